"""Concepts from probabilities: roll-up, evidence, thresholds."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from tagfs.model import TagId
from tagfs.recognise.scoring import Calibration, Certainty, Scorer, log_odds

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


def scorer(**thresholds: float) -> Scorer:
    evidence = {TagId("person"): (TagId("skis"),)}
    calibration = Calibration({TagId(t): v for t, v in thresholds.items()}, 0.5, evidence)
    return Scorer(LEAVES, Graph(), calibration)


def tags(found: Scorer, *probabilities: float) -> dict[str, float]:
    passed, _ = found.score(np.array(probabilities, dtype=np.float32))
    return {s.tag: round(s.confidence, 3) for s in passed}


def test_an_unsure_breed_and_a_sure_animal_give_the_animal() -> None:
    assert tags(scorer(), 0.4, 0.35, 0.1, 0.0) == {"cat": 0.75, "animal": 0.85}


def test_a_tag_that_passes_brings_its_ancestors() -> None:
    assert set(tags(scorer(animal=0.99), 0.8, 0.0, 0.0, 0.0)) == {"tabby", "cat", "animal"}


def test_evidence_shows_a_concept_that_is_not_above_the_class() -> None:
    assert tags(scorer(skis=1.01), 0.0, 0.0, 0.0, 0.9) == {"person": 0.9}


def test_a_threshold_above_one_is_never_passed() -> None:
    assert "skis" not in tags(scorer(skis=1.01), 0.0, 0.0, 0.0, 1.0)


def test_scores_keep_what_did_not_pass_for_later_rescans() -> None:
    passed, scores = scorer().score(np.array([0.2, 0.0, 0.04, 0.0], dtype=np.float32))
    assert passed == ()
    assert {s.tag for s in scores} == {"tabby", "cat", "animal"}


def test_confidences_are_ordered_and_never_above_one() -> None:
    passed, _ = scorer().score(np.array([0.7, 0.4, 0.0, 0.0], dtype=np.float32))
    values = [s.confidence for s in passed]
    assert values == sorted(values, reverse=True)
    assert max(values) == pytest.approx(1.0)


def test_certainty_rises_with_the_score_and_is_even_at_the_threshold() -> None:
    curve = Certainty(0.0, 0.7)
    scores = np.linspace(0, 1, 50, dtype=np.float32)
    shares = curve.of(scores, np.full(50, 0.2, dtype=np.float32))
    assert (np.diff(shares) >= 0).all()
    assert shares.min() >= 0
    assert shares.max() <= 1
    at = np.array([0.2], dtype=np.float32)
    assert curve.of(at, at)[0] == pytest.approx(0.5)
    assert np.isfinite(log_odds(np.array([0.0, 1.0, 1.01], dtype=np.float32))).all()


def test_confidence_is_by_the_threshold_and_scores_are_as_they_were() -> None:
    calibration = Calibration({TagId("skis"): 0.1}, 0.5, {}, Certainty(0.0, 1.0))
    passed, scores = Scorer(LEAVES, Graph(), calibration).score(
        np.array([0.0, 0.0, 0.6, 0.3], dtype=np.float32)
    )
    confidence = {s.tag: s.confidence for s in passed}
    assert confidence["skis"] > confidence["beagle"] > 0.5  # 0.3 of 0.1 says more than 0.6 of 0.5
    assert {s.tag: round(s.confidence, 3) for s in scores}["skis"] == 0.3


def test_an_ancestor_is_at_least_as_sure_as_what_is_below_it() -> None:
    calibration = Calibration({TagId("animal"): 0.95}, 0.2, {}, Certainty(0.0, 1.0))
    passed, _ = Scorer(LEAVES, Graph(), calibration).score(
        np.array([0.8, 0.0, 0.0, 0.0], dtype=np.float32)
    )
    confidence = {s.tag: s.confidence for s in passed}
    assert confidence["animal"] >= confidence["cat"] >= confidence["tabby"]
