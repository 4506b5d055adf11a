"""From the classes of a network to concepts: roll-up, evidence, how sure a score is. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tagfs.model import Scored, TagId, Taxonomy

FLOOR = 0.05
"""Score from which on a concept is kept for later rescans."""
GRAINS = 65535
"""Scores are kept in so many steps."""


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

    def threshold(self, tag: TagId) -> float:
        """Return the score above which a concept is a tag."""
        return self.thresholds.get(tag, self.default)


Votes = Mapping[TagId, float]
"""What one pack thinks of a picture: a concept's score in [0, 1], as it came."""


class Scorer:
    """Scores concepts by adding up the probabilities of the classes that are, or show, them.

    Rolling up a classifier's leaves along the hypernyms lets it say ``dog`` when it is unsure
    of the breed (Deng et al., 2012, "Hedging your bets").
    """

    def __init__(
        self,
        classes: Sequence[TagId | None],
        taxonomy: Taxonomy,
        evidence: Mapping[TagId, Sequence[TagId]],
    ) -> None:
        """``classes`` has the concept of each output, None for one that means nothing."""
        rows: dict[TagId, set[int]] = {}
        position: dict[TagId, set[int]] = {}
        for index, leaf in enumerate(classes):
            if leaf is not None:
                position.setdefault(leaf, set()).add(index)
                for tag in {leaf} | taxonomy.ancestors(leaf):
                    rows.setdefault(tag, set()).add(index)
        for tag, shown_by in evidence.items():
            rows.setdefault(tag, set()).update(*(position[leaf] for leaf in shown_by))
        self.tags = sorted(rows)
        self._matrix = np.zeros((len(classes), len(self.tags)), dtype=np.float32)
        for column, tag in enumerate(self.tags):
            self._matrix[sorted(rows[tag]), column] = 1.0

    def summed(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the score of each of ``tags``, for probabilities of shape (…, classes)."""
        scores: NDArray[np.float32] = np.minimum(probabilities @ self._matrix, 1.0)
        return scores

    def votes(self, probabilities: NDArray[np.float32]) -> Votes:
        """Return the scores above the floor, as coarse as they are kept."""
        found = self.summed(probabilities)
        return coarse({self.tags[c]: float(found[c]) for c in np.flatnonzero(found >= FLOOR)})


def coarse(votes: Votes) -> Votes:
    """Return votes as they are kept: who decides by them decides the same from kept ones."""
    return {tag: round(score * GRAINS) / GRAINS for tag, score in votes.items()}


def ordered(votes: Votes) -> tuple[Scored, ...]:
    """Return votes as they are kept, the surest first."""
    return tuple(Scored(t, c) for t, c in sorted(votes.items(), key=lambda v: (-v[1], v[0])))
