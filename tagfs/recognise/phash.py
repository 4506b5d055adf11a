"""The perceptual hash of a picture: 64 bits that survive another size, encoding and brightness.

pHash (Zauner 2010) as ImageHash defines it: the 8 x 8 lowest coefficients of the two-dimensional
DCT-II of the picture in grey at 32 x 32, each bit whether a coefficient is above their median;
the first bit is the mean brightness, rows follow from top to bottom. Runs in the worker.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image

_SIDE: Final = 32
_KEPT: Final = 8
_FLAT: Final = 1.0
"""Standard deviation of the greys below which a picture has nothing to be known by."""
_NUMBERS = np.arange(_SIDE)
_BASIS: Final = np.cos(np.pi * np.outer(np.arange(_KEPT), 2 * _NUMBERS + 1) / (2 * _SIDE))


def perceptual_hash(image: Image.Image) -> int | None:
    """Return the hash of an upright picture, 0 … 2^64 - 1; None for one without any shapes."""
    small = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    grey = np.asarray(small, dtype=np.float64)
    if grey.std() < _FLAT:
        return None
    lowest = _BASIS @ grey @ _BASIS.T
    bits = np.packbits((lowest > np.median(lowest)).ravel())
    return int.from_bytes(bits.tobytes(), "big")
