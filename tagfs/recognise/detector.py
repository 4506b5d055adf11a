"""From the raw answer of an object detector to votes: each concept as sure as its surest box.

The network's last step keeps its ten best boxes. What it thought of the other classes is worth as
much: `with_scores` has it give the scores of all its boxes, and `score_votes` makes votes of them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tagfs.errors import Integrity
from tagfs.model import TagId

FLOOR: Final = 0.1
"""Scores below it say nothing: a detector always returns its ten best boxes, good or not."""
LARGE: Final = "large"
"""The form of a vote that counts only boxes of the four coarsest grids."""
BOXES: Final = 1917
"""Of SSD MobileNetV1 at 300 pixels: grids of 19, 10, 5, 3, 2 and 1 cells a side."""
GRID_BOXES: Final = 19 * 19 * 3 + 10 * 10 * 6
"""Those of the two finest grids; they come first."""
_COUNT, _SCORES = 170, 173
"""Tensors of the model: how many boxes it keeps (always ten), log-odds of every box and class."""


def squeezed(image: Image.Image, side: int) -> NDArray[np.uint8]:
    """Return the whole picture as a square (side, side, 3), RGB 0 to 255, as detectors want it."""
    square = image.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(square.convert("RGB"), dtype=np.uint8)


def views(image: Image.Image, side: int) -> list[NDArray[np.uint8]]:
    """Return the squares that the scores are averaged over: the picture and its mirror image."""
    square = squeezed(image, side)
    return [square, np.ascontiguousarray(square[:, ::-1])]


def with_scores(model: bytes) -> bytes:
    """Return the model with the log-odds of all boxes as its fourth output.

    They are (1, 1917, 91), class 0 is the background. They stand in for the number of boxes,
    which is always ten; nothing else of the file changes.

    Raises:
        Integrity: the file is not that of the detector that this was written for.
    """
    try:
        graphs = _followed(model, _field(model, _followed(model, 0), 2))
        first = _followed(model, graphs + 4)
        outputs = _followed(model, _field(model, first, 2))
        count, *numbers = struct.unpack_from("<5I", model, outputs)
    except struct.error:
        raise Integrity("The model of the object detector is cut short.") from None
    if count != 4 or numbers[3] != _COUNT:
        raise Integrity("The model of the object detector is not the expected one.")
    at = outputs + 4 * count
    return model[:at] + struct.pack("<I", _SCORES) + model[at + 4 :]


def _followed(data: bytes, at: int) -> int:
    """Return where the offset at a place of a flatbuffer leads."""
    return at + int(struct.unpack_from("<I", data, at)[0])


def _field(data: bytes, table: int, number: int) -> int:
    """Return where a field of a flatbuffer's table is."""
    names = table - int(struct.unpack_from("<i", data, table)[0])
    if names < 0:
        raise Integrity("The model of the object detector is not the expected one.")
    return table + int(struct.unpack_from("<H", data, names + 4 + 2 * number)[0])


def score_votes(
    scores: Sequence[NDArray[Any]], labels: Sequence[TagId | None]
) -> dict[str, dict[TagId, float]]:
    """Return two forms of votes: "" over all boxes, ``LARGE`` over those of the coarse grids.

    Args:
        scores: of each of `views`, the fourth output: log-odds (1917, classes + 1).
        labels: the concept of each class, without the background.
    """
    best = [(view.max(axis=0), view[GRID_BOXES:].max(axis=0)) for view in scores]
    return votes_of([every for every, _ in best], [large for _, large in best], labels)


def votes_of(
    every: Sequence[NDArray[Any]], large: Sequence[NDArray[Any]], labels: Sequence[TagId | None]
) -> dict[str, dict[TagId, float]]:
    """Return the votes as `score_votes` does, from the best log-odds of each class in each view.

    A vote is the share that the mean over the views stands for; below ``FLOOR`` it is left out.
    """
    found = {}
    for form, views_best in (("", every), (LARGE, large)):
        best = np.mean(np.asarray(views_best, np.float64), axis=0)[1:]
        shares = 1.0 / (1.0 + np.exp(-np.clip(best, -30.0, 30.0)))
        found[form] = {
            tag: float(share)
            for tag, share in zip(labels, shares, strict=True)
            if tag is not None and share >= FLOOR
        }
    return found
