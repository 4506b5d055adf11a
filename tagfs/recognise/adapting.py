"""Where one gallery's own words put the threshold of a concept. Pure.

The threshold stays as it ships until the user corrected a concept several times. Then it is put
where the mean confidence of what passes, with the words in its place where there are any, is what
was promised: a correction counts fully, a photo that nobody spoke of as surely as it was stated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

PROMISED: Final = 0.90
"""Share of right tags that the shipped thresholds are made for (docs/accuracy.md)."""
LEAST: Final = 3
"""Corrections to one side from which on they count: one may be a slip."""
WEIGHT: Final = 3.0
"""Photos that the stated confidence is worth where only what was added is known, and not what was
passed over in silence."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A photo as the packs see one concept in it, and what the user said."""

    confidence: float  # calibrated share in [0, 1]
    word: bool | None  # None: nothing

    @property
    def worth(self) -> float:
        """How surely the concept is there."""
        return self.confidence if self.word is None else float(self.word)


def threshold(samples: Sequence[Sample], shipped: float) -> float:
    """Return the threshold for a concept.

    ``samples`` are all photos at or above the shipped one, and those below it of which the user
    spoke.
    """
    above = [s for s in samples if s.confidence >= shipped]
    denied = [s.confidence for s in above if s.word is False]
    if len(denied) >= LEAST and _share(above) < PROMISED:
        return _raised(above, max(denied))
    below = sorted((s for s in samples if s.confidence < shipped), key=lambda s: -s.confidence)
    return _lowered(below, shipped)


def _raised(above: Sequence[Sample], most: float) -> float:
    """Return the least threshold that keeps the promise, just above every wrong one at most."""
    for cut in sorted({s.confidence for s in above}):
        if cut > most:
            break
        if _share([s for s in above if s.confidence >= cut]) >= PROMISED:
            return cut
    return math.nextafter(most, 1.0)


def _lowered(below: Sequence[Sample], shipped: float) -> float:
    """Return the least threshold between which and the shipped one the promise is kept."""
    found = shipped
    for count in range(LEAST, len(below) + 1):
        between = below[:count]
        right = sum(s.word is True for s in between)
        stated = sum(s.confidence for s in between) / count
        share = (right + WEIGHT * stated) / (count + WEIGHT)
        if between[-1].word is True and share >= PROMISED:
            found = between[-1].confidence
    return found


def _share(samples: Sequence[Sample]) -> float:
    return sum(s.worth for s in samples) / len(samples)
