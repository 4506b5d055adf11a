"""The scores of all boxes of the object detector, beyond the ten of its last step, as votes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from recognise_data import data

from tagfs.errors import Integrity
from tagfs.model import TagId
from tagfs.recognise import taxonomy
from tagfs.recognise.detector import (
    BOXES,
    FLOOR,
    GRID_BOXES,
    LARGE,
    score_votes,
    views,
    with_scores,
)
from tagfs.recognise.interpreter import Network

MODEL = "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"
PERSON, CAR = TagId("person"), TagId("car")
LABELS = (PERSON, None, CAR)


def scores(**at: tuple[int, int, float]) -> np.ndarray:
    """Return log-odds of (boxes, background and three classes), low but for those given."""
    found = np.full((BOXES, 4), -9.0, np.float32)
    for box, number, value in at.values():
        found[box, number] = value
    return found


def test_a_small_box_votes_in_one_form_and_a_large_one_in_both() -> None:
    found = score_votes([scores(small=(3, 1, 0.0), large=(GRID_BOXES, 3, 1.0))], LABELS)
    assert found[""] == {PERSON: pytest.approx(0.5), CAR: pytest.approx(0.7311, abs=1e-4)}
    assert found[LARGE] == {CAR: pytest.approx(0.7311, abs=1e-4)}


def test_a_vote_is_the_mean_over_the_views_in_log_odds() -> None:
    seen = [scores(one=(0, 1, 2.0)), scores(one=(700, 1, -2.0))]
    assert score_votes(seen, LABELS)[""] == {PERSON: pytest.approx(0.5)}


def test_the_background_and_classes_without_a_concept_have_no_vote() -> None:
    found = score_votes([scores(background=(0, 0, 5.0), nothing=(0, 2, 5.0))], LABELS)
    assert found == {"": {}, LARGE: {}}


def test_the_second_view_is_the_mirror_image() -> None:
    picture = Image.linear_gradient("L").rotate(90).convert("RGB")
    first, second = views(picture, 300)
    assert (first[:, ::-1] == second).all()
    assert second.flags["C_CONTIGUOUS"]


def test_the_model_gives_all_scores_and_its_boxes_as_before() -> None:
    model = data("models", MODEL).read_bytes()
    photo = sorted(data("data", "tagging-dev", "photos").glob("coco_val*"))[0]
    square = views(Image.open(photo).convert("RGB"), 300)[0]
    before, after = Network(model).run(square), Network(with_scores(model)).run(square)
    assert all((a == b).all() for a, b in zip(before[:3], after[:3], strict=True))
    assert after[3].shape == (BOXES, 91)
    labels = taxonomy.load().classes("coco")
    all_of_them = score_votes([after[3]], labels)[""]
    for number, score in zip(after[1], after[2], strict=True):  # of the ten best boxes
        tag = labels[int(number)]
        assert tag is None or score < FLOOR or all_of_them[tag] > score - 0.05
    assert min(all_of_them.values()) >= FLOOR


@pytest.mark.parametrize("size", [0, 4, 100, 4_150_000])
def test_a_model_cut_short_is_refused(size: int) -> None:
    with pytest.raises(Integrity):
        with_scores(data("models", MODEL).read_bytes()[:size])


def test_a_model_of_another_form_is_refused() -> None:
    with pytest.raises(Integrity):
        with_scores(data("models", "tf2_mobilenet_v2_1.0_224_ptq.tflite").read_bytes())
