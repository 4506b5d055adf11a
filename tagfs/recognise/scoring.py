"""From the classes of a network to votes on concepts: roll-up, evidence, forms. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tagfs.model import Scored, TagId, Taxonomy

FLOOR = 0.05
"""Score from which on a concept is kept for later rescans."""
GRAINS = 65535
"""Scores are kept in so many steps."""


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


def joined(forms: Mapping[str, Votes]) -> Votes:
    """Return the forms of one pack's votes as they are kept: "large:n02084071" for one that is
    not the plain one."""
    return {
        TagId(f"{form}:{tag}" if form else tag): score
        for form, votes in forms.items()
        for tag, score in votes.items()
    }


def by_form(kept: Mapping[str, Votes]) -> dict[str, dict[TagId, float]]:
    """Return the votes of packs by pack, and by pack and form: "objects", "objects:large"."""
    found: dict[str, dict[TagId, float]] = {pack: {} for pack in kept}
    for pack, votes in kept.items():
        for tag, score in votes.items():
            form, _, concept = tag.rpartition(":")
            name = f"{pack}:{form}" if form else pack
            found.setdefault(name, {})[TagId(concept)] = score
    return found


def ordered(votes: Votes) -> tuple[Scored, ...]:
    """Return votes as they are kept, the surest first."""
    return tuple(Scored(t, c) for t, c in sorted(votes.items(), key=lambda v: (-v[1], v[0])))
