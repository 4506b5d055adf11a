"""Concepts from probabilities: roll-up, evidence, forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from tagfs.model import TagId
from tagfs.recognise.scoring import Scorer, by_form, joined

LEAVES = [TagId(t) for t in ("tabby", "siamese", "beagle", "skis")]


class Graph:
    above: ClassVar = {
        "tabby": {"cat", "animal"},
        "siamese": {"cat", "animal"},
        "beagle": {"dog", "animal"},
        "cat": {"animal"},
        "dog": {"animal"},
    }

    def name(self, tag: TagId) -> str | None:
        return tag

    def ancestors(self, tag: TagId) -> frozenset[TagId]:
        return frozenset(TagId(t) for t in self.above.get(tag, ()))

    def find(self, word: str) -> TagId | None:
        return TagId(word)


EVIDENCE = {TagId("person"): (TagId("skis"),)}


def votes(*probabilities: float, classes: Sequence[TagId | None] = LEAVES) -> dict[str, float]:
    evidence = EVIDENCE if TagId("skis") in classes else {}
    found = Scorer(classes, Graph(), evidence).votes(np.array(probabilities, dtype=np.float32))
    return {tag: round(score, 3) for tag, score in found.items()}


def test_the_probabilities_of_classes_add_up_in_what_is_above_them() -> None:
    assert votes(0.4, 0.35, 0.1, 0.0) == {
        "tabby": 0.4,
        "siamese": 0.35,
        "beagle": 0.1,
        "cat": 0.75,
        "dog": 0.1,
        "animal": 0.85,
    }


def test_evidence_shows_a_concept_that_is_not_above_the_class() -> None:
    assert votes(0.0, 0.0, 0.0, 0.9) == {"person": 0.9, "skis": 0.9}


def test_scores_below_the_floor_are_not_kept() -> None:
    assert set(votes(0.2, 0.0, 0.04, 0.0)) == {"tabby", "cat", "animal"}


def test_a_score_is_never_above_one() -> None:
    assert max(votes(0.7, 0.4, 0.0, 0.0).values()) == 1.0


def test_an_output_that_means_nothing_is_ignored() -> None:
    assert votes(0.9, 0.06, 0.0, 0.04, classes=[None, *LEAVES[:2], None]) == {
        "tabby": 0.06,
        "cat": 0.06,
        "animal": 0.06,
    }


def test_outputs_that_mean_one_concept_are_added_up() -> None:
    assert votes(0.3, 0.4, classes=[LEAVES[3], LEAVES[3]])["skis"] == 0.7


def test_forms_of_votes_are_kept_together_and_told_apart_again() -> None:
    dog, car = TagId("dog"), TagId("car")
    kept = joined({"": {dog: 0.5}, "large": {dog: 0.25, car: 0.1}})
    assert kept == {"dog": 0.5, "large:dog": 0.25, "large:car": 0.1}
    assert by_form({"objects": kept, "faces": {}}) == {
        "objects": {dog: 0.5},
        "objects:large": {dog: 0.25, car: 0.1},
        "faces": {},
    }
