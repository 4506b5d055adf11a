"""Where one gallery's own words put the threshold of a concept. Pure.

The threshold stays as it ships until the user corrected a concept several times. It rises when more
of a concept's tags were denied than was promised, and only as far as that asks for: what the user
left standing counts as right. It falls to where nearly all photos have the concept because the user
added it; what the user passed over counts as not having it.
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
"""Photos that the stated confidence is worth below the shipped threshold, where words are few."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A photo as the packs see one concept in it, and what the user said."""

    confidence: float  # calibrated share in [0, 1]
    word: bool | None  # None: nothing
    weight: float = 1.0  # photos that this one stands for


def is_enough(words: Sequence[Sample], shipped: float) -> bool:
    """Whether corrections, without the photos of which nothing was said, can move a threshold."""
    denied = sum(s.word is False and s.confidence >= shipped for s in words)
    added = sum(s.word is True and s.confidence < shipped for s in words)
    return max(denied, added) >= LEAST


def threshold(samples: Sequence[Sample], shipped: float) -> float:
    """Return the threshold for a concept.

    ``samples`` are photos as they come, those of which the user spoke among them: all of these, of
    the others those that have the tag and, where something was added, those that nearly have it.
    """
    above = sorted(
        (s for s in samples if s.confidence >= shipped), key=lambda s: s.confidence, reverse=True
    )
    below = sorted(
        (s for s in samples if s.confidence < shipped), key=lambda s: s.confidence, reverse=True
    )
    if sum(s.word is False for s in above) >= LEAST:
        raised = _raised(above, shipped)
        if raised > shipped:
            return raised
    return _lowered(below, shipped)


def _raised(above: Sequence[Sample], shipped: float) -> float:
    """Return the least threshold that keeps the promise, just above every wrong one at most."""
    found = math.nextafter(max(s.confidence for s in above if s.word is False), 1.0)
    told = right = 0.0
    for index, sample in enumerate(above):
        told += sample.weight
        right += sample.weight * (sample.word is not False)
        last = index + 1 == len(above)
        if not last and above[index + 1].confidence == sample.confidence:
            continue  # a threshold takes all that are equally sure
        if right >= PROMISED * told:
            found = min(found, shipped if last else sample.confidence)
    return found


def _lowered(below: Sequence[Sample], shipped: float) -> float:
    """Return the least threshold between which and the shipped one the promise is kept."""
    found, told, right, stated = shipped, 0.0, 0, 0.0
    for sample in below:
        told += sample.weight
        stated += sample.weight * sample.confidence
        right += sample.word is True
        share = (right + WEIGHT * stated / told) / (told + WEIGHT)
        if right >= LEAST and sample.word is True and share >= PROMISED:
            found = sample.confidence
    return found
