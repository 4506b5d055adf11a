"""From votes to tags: thresholds, ancestors, packs beside each other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_scoring import Graph

from tagfs.model import TagId
from tagfs.recognise import packs
from tagfs.recognise.fusion import Fusion
from tagfs.recognise.scoring import Calibration, Certainty


def fuse(
    certainty: Certainty | None = None, default: float = 0.5, **votes: dict[str, float]
) -> dict[str, dict[str, float]]:
    calibration = Calibration({TagId("skis"): 0.1, TagId("dog"): 1.01}, default, {}, certainty)
    known = [
        replace(packs.load(), name=name, calibration=calibration) for name in ("first", "second")
    ]
    found = Fusion(Graph(), known).fuse(
        {name: {TagId(t): s for t, s in given.items()} for name, given in votes.items()}
    )
    return {name: {s.tag: s.confidence for s in tags} for name, tags in found.items()}


def test_a_tag_that_passes_brings_its_ancestors_as_sure_as_it_is() -> None:
    assert fuse(first={"tabby": 0.8, "cat": 0.9, "animal": 0.4})["first"] == {
        "tabby": 0.8,
        "cat": 0.9,
        "animal": 0.9,
    }


def test_an_unsure_breed_and_a_sure_animal_give_the_animal() -> None:
    votes = {"tabby": 0.4, "siamese": 0.35, "cat": 0.75, "animal": 0.85}
    assert set(fuse(first=votes)["first"]) == {"cat", "animal"}


def test_a_threshold_above_one_is_never_passed() -> None:
    assert fuse(first={"dog": 1.0})["first"] == {}


def test_every_pack_gives_its_own_and_an_unknown_one_nothing() -> None:
    found = fuse(first={"cat": 0.9}, second={"beagle": 0.7}, third={"cat": 0.9})
    assert set(found["first"]) == {"cat", "animal"}
    assert set(found["second"]) == {"beagle", "dog", "animal"}
    assert found["third"] == {}


def test_confidence_is_by_how_far_the_threshold_is_passed() -> None:
    found = fuse(Certainty(0.0, 1.0), first={"skis": 0.3, "cat": 0.6})["first"]
    assert found["skis"] > found["cat"] > 0.5  # 0.3 of 0.1 says more than 0.6 of 0.5


def test_the_threshold_that_counts_is_told_for_todays_version_only() -> None:
    fusion = Fusion(Graph(), [packs.load()])
    assert fusion.threshold(packs.load().id, TagId("x")) == pytest.approx(0.3)
    assert fusion.threshold("default-999", TagId("x")) is None
