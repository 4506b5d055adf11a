"""A detector's scores of all its boxes become votes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from recognise_data import data

from tagfs.errors import Integrity
from tagfs.model import TagId
from tagfs.recognise.detector import BOXES, FLOOR, GRID_BOXES, score_votes, views, with_scores
from tagfs.recognise.interpreter import Network

LABELS = [TagId("dog"), None, TagId("car")]


def odds(**best: tuple[int, float]) -> np.ndarray:
    """Return (boxes, background and classes): unlikely but for a box and a score by class."""
    found = np.full((BOXES, 1 + len(LABELS)), -9.0, np.float32)
    for number, (box, share) in ((int(name[1:]), told) for name, told in best.items()):
        found[box, number] = np.log(share / (1 - share))
    return found


def test_a_vote_is_the_share_of_the_surest_box_and_large_boxes_vote_once_more() -> None:
    found = score_votes([odds(c1=(5, 0.8), c3=(GRID_BOXES + 1, 0.6))], LABELS)
    assert found[""] == {"dog": pytest.approx(0.8), "car": pytest.approx(0.6)}
    assert found["large"] == {"car": pytest.approx(0.6)}


def test_the_background_and_classes_without_a_concept_have_no_vote() -> None:
    assert score_votes([odds(c0=(5, 0.9), c2=(6, 0.9))], LABELS) == {"": {}, "large": {}}


def test_what_is_below_the_floor_has_no_vote() -> None:
    assert score_votes([odds(c1=(5, FLOOR - 0.01))], LABELS)[""] == {}


def test_the_views_of_a_picture_are_weighed_alike() -> None:
    both = score_votes([odds(c1=(5, 0.8)), odds(c1=(9, 0.8))], LABELS)
    one = score_votes([odds(c1=(5, 0.8)), odds()], LABELS)
    assert both[""]["dog"] == pytest.approx(0.8)
    assert one[""].get("dog", 0.0) < 0.3
    square, mirrored = views(Image.linear_gradient("L").rotate(90).convert("RGB"), 300)
    assert square.shape == mirrored.shape == (300, 300, 3)
    assert (square[:, ::-1] == mirrored).all()


def test_the_network_gives_the_scores_of_all_its_boxes() -> None:
    model = data("models", "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite").read_bytes()
    network = Network(with_scores(model))
    answers = network.run(np.zeros((300, 300, 3), np.uint8))
    assert answers[3].shape == (BOXES, 91)
    assert answers[3].dtype == np.float32


@pytest.mark.parametrize("cut", [0, 8, 100, 5000])
def test_another_file_is_refused(cut: int) -> None:
    model = data("models", "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite").read_bytes()
    with pytest.raises(Integrity):
        with_scores(model[:cut])
    with pytest.raises(Integrity):
        with_scores(bytes(cut))
