"""From the classifier's probabilities to concepts: roll-up, evidence, thresholds. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagfs.model import Scored, TagId, Taxonomy

FLOOR = 0.05
"""Confidence from which on a concept is kept for later rescans."""


@dataclass(frozen=True, slots=True)
class Certainty:
    """How often a tag is right, by how far its score is beyond its threshold.

    A logistic curve in the difference of log-odds (Platt, 1999), one for all concepts, because
    no single concept has photos enough for its own. Rises with the score.
    """

    intercept: float
    slope: float

    def of(self, score: NDArray[np.float32], threshold: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the share of right tags in [0, 1] expected at these scores."""
        margin = log_odds(score) - log_odds(threshold)
        share: NDArray[np.float32] = 1.0 / (1.0 + np.exp(-self.intercept - self.slope * margin))
        return share


def log_odds(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ln(p / (1 - p)), for p kept between one in 10,000 and its complement."""
    kept = np.clip(probability, 1e-4, 1 - 1e-4)
    odds: NDArray[np.float32] = np.log(kept / (1 - kept))
    return odds


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a pack's manifest says about its classes (docs/accuracy.md says how it was fitted).

    ``evidence`` names classes that show a concept which is not above them in the graph: skis
    are seen on people and on snow. Without ``certainty`` a score is its own confidence.
    """

    thresholds: Mapping[TagId, float]
    default: float
    evidence: Mapping[TagId, Sequence[TagId]]
    certainty: Certainty | None = None


class Scorer:
    """Scores concepts by adding up the probabilities of the classes that are, or show, them.

    Rolling up a classifier's leaves along the hypernyms lets it say ``dog`` when it is unsure
    of the breed (Deng et al., 2012, "Hedging your bets").
    """

    def __init__(
        self, classes: Sequence[TagId], taxonomy: Taxonomy, calibration: Calibration
    ) -> None:
        self._taxonomy = taxonomy
        self._calibration = calibration
        rows: dict[TagId, set[int]] = {}
        for index, leaf in enumerate(classes):
            for tag in {leaf} | taxonomy.ancestors(leaf):
                rows.setdefault(tag, set()).add(index)
        position = {leaf: index for index, leaf in enumerate(classes)}
        for tag, shown_by in calibration.evidence.items():
            rows.setdefault(tag, set()).update(position[leaf] for leaf in shown_by)
        self.tags = sorted(rows)
        self._matrix = np.zeros((len(classes), len(self.tags)), dtype=np.float32)
        for column, tag in enumerate(self.tags):
            self._matrix[sorted(rows[tag]), column] = 1.0
        self.thresholds = np.array(
            [calibration.thresholds.get(t, calibration.default) for t in self.tags],
            dtype=np.float32,
        )

    def summed(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the score of each of ``tags``, for probabilities of shape (…, classes)."""
        scores: NDArray[np.float32] = np.minimum(probabilities @ self._matrix, 1.0)
        return scores

    def score(
        self, probabilities: NDArray[np.float32]
    ) -> tuple[tuple[Scored, ...], tuple[Scored, ...]]:
        """Return (tags that pass with their confidence, all above the floor as they scored).

        A tag that passes brings its ancestors; they are at least as sure as it is. Scores are
        not calibrated: they stay of use when thresholds change. Both are ordered surest first.
        """
        found = self.summed(probabilities)
        certainty = self._calibration.certainty
        sure = found if certainty is None else certainty.of(found, self.thresholds)
        confidence = dict(zip(self.tags, map(float, sure), strict=True))
        passed: dict[TagId, float] = {}
        for column in np.flatnonzero(found > self.thresholds):
            tag = self.tags[column]
            for implied in {tag} | self._taxonomy.ancestors(tag):
                least = max(confidence[tag], confidence.get(implied, 0.0))
                passed[implied] = max(least, passed.get(implied, 0.0))
        kept = np.flatnonzero(found >= FLOOR)
        return _ordered(passed), _ordered({self.tags[c]: float(found[c]) for c in kept})


def _ordered(scored: Mapping[TagId, float]) -> tuple[Scored, ...]:
    return tuple(Scored(t, c) for t, c in sorted(scored.items(), key=lambda s: (-s[1], s[0])))
