"""Heads of our own: bands of feature maps, votes, and a file that is read with care."""

from __future__ import annotations

import io

import numpy as np
import pytest

from tagfs.errors import Integrity
from tagfs.model import TagId
from tagfs.recognise import taxonomy
from tagfs.recognise.own_heads import Heads, banded, features, load, parse

SKY, ROAD, PAVEMENT = TagId("sky"), TagId("road"), TagId("pavement")
HEADS = Heads(
    ((SKY,), (ROAD, PAVEMENT)),
    np.array([[4, 0, 0], [0, 0, 4]], np.float32),
    np.array([-2, -2], np.float32),
)


def written(**arrays: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def whole(**changes: np.ndarray) -> bytes:
    arrays = {
        "shows": np.array(["sky", "road pavement"]),
        "weights": HEADS.weights.astype(np.float16),
        "biases": HEADS.biases,
    }
    return written(**(arrays | changes))


def test_bands_are_the_means_of_the_upper_middle_and_lower_third() -> None:
    rows = np.array([1, 1, 1, 2, 2, 2, 3, 3, 3], np.float32)
    feature_map = np.stack([np.tile(rows[:, None], (1, 9)), np.zeros((9, 9), np.float32)], axis=2)
    assert banded(feature_map).tolist() == [1, 0, 2, 0, 3, 0]


def test_a_map_of_17_rows_is_cut_without_losing_one() -> None:
    feature_map = np.arange(17, dtype=np.float32)[:, None, None]
    assert banded(feature_map).tolist() == [2.5, 8.0, 13.5]


def test_features_are_the_mean_over_the_crops() -> None:
    maps = [[np.full((3, 3, 1), value), np.full((3, 3, 2), 2 * value)] for value in (1.0, 3.0)]
    assert features(maps).tolist() == [2.0] * 3 + [4.0] * 6


def test_a_head_votes_for_all_that_it_shows() -> None:
    votes = HEADS.votes(np.array([1, 0, 0], np.float32))
    assert votes[SKY] == pytest.approx(1 / (1 + np.exp(-2)))
    assert votes[ROAD] == votes[PAVEMENT] == pytest.approx(1 / (1 + np.exp(2)))


def test_features_that_were_kept_as_float16_give_nearly_the_same_votes() -> None:
    heads = load()
    seen = np.random.default_rng(1).normal(0, 0.5, heads.weights.shape[1]).astype(np.float32)
    exact = heads.votes(seen)
    kept = heads.votes(np.frombuffer(seen.astype("<f2").tobytes(), "<f2"))
    assert all(abs(exact[tag] - kept[tag]) < 0.002 for tag in exact)


def test_features_of_another_network_are_refused() -> None:
    with pytest.raises(Integrity):
        HEADS.votes(np.zeros(4, np.float32))


def test_the_shipped_heads_show_concepts_of_the_graph() -> None:
    heads = load()
    graph = taxonomy.load()
    shown = {graph.name(tag) for tags in heads.shows for tag in tags}
    assert {"sky", "grass", "tree", "road", "sunset"} <= shown
    assert None not in shown


def test_weights_are_read_as_they_are_written() -> None:
    read = parse(whole())
    assert read.shows == HEADS.shows
    assert (read.weights == HEADS.weights).all()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 no archive",
        whole(biases=np.zeros(3, np.float32)),
        whole(weights=np.full((2, 3), np.nan, np.float16)),
        whole(weights=np.zeros(3, np.float16)),
        written(shows=np.array(["sky"])),
        whole(shows=np.array([object()], dtype=object)),
    ],
)
def test_a_file_of_another_form_is_refused(data: bytes) -> None:
    with pytest.raises(Integrity):
        parse(data)
