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
class Calibration:
    """What a pack's manifest says about its classes (docs/accuracy.md says how it was fitted).

    ``evidence`` names classes that show a concept which is not above them in the graph: skis
    are seen on people and on snow.
    """

    thresholds: Mapping[TagId, float]
    default: float
    evidence: Mapping[TagId, Sequence[TagId]]


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

    def confidences(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the confidence of each of ``tags`` for probabilities of shape (classes,)."""
        summed: NDArray[np.float32] = np.minimum(probabilities @ self._matrix, 1.0)
        return summed

    def score(
        self, probabilities: NDArray[np.float32]
    ) -> tuple[tuple[Scored, ...], tuple[Scored, ...]]:
        """Return (tags that pass, everything above the floor), surest first.

        A tag that passes brings its ancestors, at their own confidence.
        """
        found = self.confidences(probabilities)
        by_tag = dict(zip(self.tags, map(float, found), strict=True))
        passed = {
            t for t, c, least in zip(self.tags, found, self.thresholds, strict=True) if c > least
        }
        for tag in list(passed):
            passed |= self._taxonomy.ancestors(tag)
        scores = [Scored(t, c) for t, c in by_tag.items() if c >= FLOOR]
        tags = [Scored(t, by_tag.get(t, 0.0)) for t in passed]
        return _ordered(tags), _ordered(scores)


def _ordered(scored: list[Scored]) -> tuple[Scored, ...]:
    return tuple(sorted(scored, key=lambda s: (-s.confidence, s.tag)))
