"""Find faces in a picture with YuNet: boxes, five points each, and how sure the network is.

YuNet (Wu, Peng, Yu, 2023) looks at a square of 640 pixels and answers, for every cell of three
grids (8, 16 and 32 pixels wide), whether it is in a face, and where that face lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]

STRIDES: Final = (8, 16, 32)
MAX_FACES: Final = 100
"""Of one picture; each takes as long as looking at the whole picture with the classifier."""
MAX_CANDIDATES: Final = 5000
OVERLAP: Final = 0.3
"""Of two boxes that share more of their union the weaker is the same face (as in OpenCV)."""


class ImageNetwork(Protocol):
    """What a network does; `interpreter.Network` is one."""

    side: int

    def run(self, image: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return every output of an image (side, side, 3), without its first axis."""
        ...


@dataclass(frozen=True, slots=True)
class Detection:
    """One face, in pixels of the picture that was looked at."""

    box: tuple[float, float, float, float]  # left, top, right, bottom
    points: tuple[tuple[float, float], ...]  # eyes, nose, corners of the mouth, left before right
    score: float


def decoded(outputs: tuple[Array, ...], side: int, least: float) -> list[Detection]:
    """Return the faces that YuNet's twelve outputs tell of, the surest first, doubles included.

    Args:
        outputs: class, object, box, points (cells, 1 | 1 | 4 | 10), of each for the three strides.
        side: pixels of the square.
        least: the score below which a cell tells of no face; the score is the geometric mean of
            class and object.
    """
    found: list[tuple[float, Array, Array]] = []
    for number, stride in enumerate(STRIDES):
        sure, there, boxes, points = (outputs[number + 3 * kind] for kind in range(4))
        scores = np.sqrt(np.clip(sure[:, 0], 0, 1) * np.clip(there[:, 0], 0, 1))
        cells = np.flatnonzero(scores >= least)
        cells = cells[np.argsort(-scores[cells], kind="stable")][:MAX_CANDIDATES]
        corner = np.stack([cells % (side // stride), cells // (side // stride)], axis=1)
        middle = (corner + boxes[cells, :2]) * stride
        half = np.exp(np.clip(boxes[cells, 2:4], -10, 10)) * stride / 2
        edges = np.concatenate([middle - half, middle + half], axis=1)
        places = (points[cells].reshape(-1, 5, 2) + corner[:, None]) * stride
        found += zip(scores[cells].tolist(), edges, places, strict=True)
    found.sort(key=lambda one: -one[0])
    return [
        Detection(
            (float(box[0]), float(box[1]), float(box[2]), float(box[3])),
            tuple((float(x), float(y)) for x, y in points),
            score,
        )
        for score, box, points in found[:MAX_CANDIDATES]
    ]


def distinct(found: list[Detection], overlap: float = OVERLAP) -> list[Detection]:
    """Return the faces without the weaker ones of those that overlap, at most ``MAX_FACES``."""
    if not found:
        return []
    boxes = np.array([one.box for one in found])
    areas = (boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(axis=1)
    left = np.argsort([-one.score for one in found], kind="stable")
    kept: list[Detection] = []
    while left.size and len(kept) < MAX_FACES:
        best, left = left[0], left[1:]
        kept.append(found[best])
        low = np.maximum(boxes[left, :2], boxes[best, :2])
        high = np.minimum(boxes[left, 2:], boxes[best, 2:])
        shared = (high - low).clip(min=0).prod(axis=1)
        union = areas[left] + areas[best] - shared
        left = left[shared <= overlap * np.maximum(union, 1e-9)]
    return kept


def look(network: ImageNetwork, image: Image.Image, scale: float, least: float) -> list[Detection]:
    """Return the faces that the network sees in a picture brought to a scale.

    Args:
        network: YuNet, its input BGR 0 to 255.
        image: RGB; ``scale`` times its sides fit into the square.
        scale: pixels of the square for one of the picture.
        least: the lowest score.
    """
    width, height = (max(1, round(n * scale)) for n in image.size)
    small = image.resize((width, height), Image.Resampling.BILINEAR)
    square = np.zeros((network.side, network.side, 3), np.float32)
    square[:height, :width] = np.asarray(small, np.float32)[:, :, ::-1]
    back = (image.width / width, image.height / height)
    return [
        Detection(
            tuple(v * back[i % 2] for i, v in enumerate(one.box)),  # type: ignore[arg-type]
            tuple((x * back[0], y * back[1]) for x, y in one.points),
            one.score,
        )
        for one in distinct(decoded(tuple(network.run(square)), network.side, least))
    ]
