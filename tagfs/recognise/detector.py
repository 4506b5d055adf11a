"""From the raw answer of an object detector to votes: each concept as sure as its surest box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tagfs.model import TagId

FLOOR: Final = 0.1
"""Scores below it say nothing: a detector always returns its ten best boxes, good or not."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One thing in its place; sides are shares of the picture in [0, 1] from its top left."""

    tag: TagId
    score: float
    top: float
    left: float
    bottom: float
    right: float


def squeezed(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """Return the whole picture as a square (side, side, 3), RGB 0 to 255, as detectors want it."""
    square = image.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(square.convert("RGB"), dtype=np.uint8)


def detections(
    boxes: NDArray[Any],
    classes: NDArray[Any],
    scores: NDArray[Any],
    labels: Sequence[TagId | None],
) -> tuple[Detection, ...]:
    """Return what an SSD's answer shows, the surest first.

    Args:
        boxes: (n, 4), top, left, bottom, right as shares of the picture.
        classes: (n,), the number of each box's class.
        scores: (n,), in [0, 1], not calibrated.
        labels: the concept of each class; None for a number that stands for nothing.

    What is no number, has no class or scores below ``FLOOR`` is left out.
    """
    found = []
    for box, number, score in zip(
        np.asarray(boxes, np.float64).reshape(-1, 4),
        np.asarray(classes, np.float64).reshape(-1),
        np.asarray(scores, np.float64).reshape(-1),
        strict=True,
    ):
        if not (np.isfinite(box).all() and np.isfinite(number) and score >= FLOOR):
            continue
        tag = labels[int(number)] if 0 <= number < len(labels) else None
        if tag is not None:
            sides = map(float, np.clip(box, 0.0, 1.0))
            found.append(Detection(tag, min(float(score), 1.0), *sides))
    return tuple(sorted(found, key=lambda d: (-d.score, d.tag)))


def votes(found: Sequence[Detection]) -> Mapping[TagId, float]:
    """Return the score of the surest box of each concept."""
    surest: dict[TagId, float] = {}
    for detection in found:
        surest[detection.tag] = max(detection.score, surest.get(detection.tag, 0.0))
    return surest
