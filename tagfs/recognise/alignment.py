"""Turn a face upright and to a fixed size by five points: eyes, nose, corners of the mouth."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Array = NDArray[Any]

SIDE: Final = 112
"""Pixels of the square that ``aligned`` returns."""
TEMPLATE: Final = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
"""Where the points lie in the square, (x, y) each, left to right as seen: those of ArcFace
(Deng et al., 2019), which SFace was trained on."""
_FEATURES: Final = (24, 32, 88, 104)
"""Left, top, right and bottom of brows, eyes, nose and mouth in the square."""
_MARGIN: Final = 4
"""Pixels around a face that the filter of a shrunken copy may read."""


def similarity(points: Array, target: Array) -> Array:
    """Return the 2 x 3 matrix of rotation, scale and shift that brings points nearest a target.

    Least squares after Umeyama (1991), "Least-squares estimation of transformation parameters
    between two point patterns"; never a mirror image.

    Args:
        points: (n, 2), not all the same.
        target: (n, 2).

    Raises:
        ValueError: the points coincide.
    """
    from_mean, to_mean = points.mean(axis=0), target.mean(axis=0)
    centred, wanted = points - from_mean, target - to_mean
    spread = float((centred**2).sum()) / len(points)
    if not spread > 1e-9 or not np.isfinite(spread):
        raise ValueError("the points coincide")
    left, sizes, right = np.linalg.svd(wanted.T @ centred / len(points))
    signs = np.array([1.0, math.copysign(1.0, np.linalg.det(left) * np.linalg.det(right))])
    scale = float((sizes * signs).sum()) / spread
    turn = scale * (left * signs) @ right
    return np.column_stack([turn, to_mean - turn @ from_mean])


def aligned(image: Image.Image, points: Array) -> Image.Image:
    """Return the face, upright, as a square of ``SIDE`` pixels.

    A face that is larger is first shrunk with an averaging filter, because the interpolation of
    a turn looks at few pixels and would leave out the others. Outside of the picture is black.

    Args:
        image: RGB, upright.
        points: (5, 2), (x, y) in pixels of the picture.

    Raises:
        ValueError: the points coincide.
    """
    matrix = similarity(points, TEMPLATE)
    scale = math.hypot(matrix[0, 0], matrix[1, 0])
    if not scale > 1e-6:
        raise ValueError("the points coincide")
    back = _inverse(matrix)
    source, shift, shrink = image, (0.0, 0.0), 1.0
    if scale < 1.0:
        corners = np.array([[0, 0], [SIDE, 0], [0, SIDE], [SIDE, SIDE]])
        reach = corners @ back[:, :2].T + back[:, 2]
        margin = _MARGIN / scale
        low = np.maximum(np.floor(reach.min(axis=0) - margin), 0)
        high = np.minimum(np.ceil(reach.max(axis=0) + margin), image.size)
        if (high - low).min() < 1:
            raise ValueError("the points lie outside of the picture")
        small = tuple(max(1, round(float(n) * scale)) for n in high - low)
        box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        source = image.resize((small[0], small[1]), Image.Resampling.BICUBIC, box=box)
        shift, shrink = (box[0], box[1]), scale
    data = back.copy()
    data[:, 2] -= shift
    data *= shrink
    return source.transform(
        (SIDE, SIDE),
        Image.Transform.AFFINE,
        tuple(float(v) for v in data.reshape(-1)),
        Image.Resampling.BICUBIC,
    )


def _inverse(matrix: Array) -> Array:
    turn = np.linalg.inv(matrix[:, :2])
    return np.column_stack([turn, -turn @ matrix[:, 2]])


def sharpness(square: Image.Image) -> float:
    """Return how much of the contrast of an aligned face is in its finest detail, 0 to about 1.

    The variance of the Laplacian (Pech-Pacheco et al., 2000) over that of the picture, so that
    light and contrast do not matter, from the brows to the chin: hair and background may be sharp
    where the face is not. A face that was enlarged to the square has little. What is black
    because it lies outside of the picture is left out; 0 where that is more than half.
    """
    face = square.convert("L").crop(_FEATURES)
    outside = face.point(lambda value: 255 * (value == 0)).filter(ImageFilter.MaxFilter(5))
    grey = np.asarray(face, np.float32)
    inner, within = grey[1:-1, 1:-1], np.asarray(outside)[1:-1, 1:-1] == 0
    if 2 * np.count_nonzero(within) < within.size:
        return 0.0
    laplace = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    contrast = float(inner[within].var())
    return float(laplace[within].var()) / contrast if contrast > 1.0 else 0.0


def yaw(points: Array) -> float:
    """Return how far a head is turned: 0 from the front, ±1 where the nose is level with an eye.

    Where the nose lies between the eyes, along the line through them; positive when it is
    nearer to the second point.
    """
    axis = points[1] - points[0]
    length = float(axis @ axis)
    if length < 1e-9:
        return 1.0
    return float(np.clip(2 * ((points[2] - points[0]) @ axis) / length - 1, -2, 2))
