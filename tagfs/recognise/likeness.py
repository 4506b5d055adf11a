"""Whether two contents show the same picture: an edit of one another, not just the same motif.

Pure, and needs no decoder: it compares what the worker found (phash.py, facts.py).
"""

from __future__ import annotations

from typing import Final

from tagfs.model import Facts

SURE: Final = 6
"""Bits that two hashes may differ in where nothing else is known: sizes, encodings, brightness."""
BACKED: Final = 18
"""Bits that they may differ in where camera and second agree: a crop, a filter, a turn."""
_ODD_ROWS: Final = 0x00FF00FF00FF00FF


def distance(a: int, b: int) -> int:
    """Return in how many of 64 bits two perceptual hashes differ."""
    return (a ^ b).bit_count()


def same_picture(a: Facts, b: Facts) -> bool:
    """Return whether two contents are one picture, perhaps edited; False when in doubt.

    Either the hashes are as good as equal, or camera and time of capture (to the second) are
    known and equal and the hashes, where both are known, are alike with one of the four ways up.
    """
    known = None if a.phash is None or b.phash is None else (a.phash, b.phash)
    if known is not None and distance(*known) <= SURE:
        return True
    if a.camera is None or a.date is None or (a.camera, a.date) != (b.camera, b.date):
        return False
    return known is None or any(distance(way, known[1]) <= BACKED for way in _ways_up(known[0]))


def _ways_up(phash: int) -> list[int]:
    """Return about the hashes of the picture as it is and turned by 90, 180 and 270 degrees.

    Turning transposes the coefficients and changes the sign of every other row. A sign is a bit,
    as their median is close to zero: a real turn differs from this by at most 12 bits.
    """
    ways = [phash]
    for _ in range(3):
        ways.append(_transposed(ways[-1]) ^ _ODD_ROWS)
    return ways


def _transposed(bits: int) -> int:
    """Return 8 x 8 bits with rows and columns exchanged."""
    found = 0
    for place in range(64):
        row, column = divmod(place, 8)
        found |= (bits >> place & 1) << (column * 8 + row)
    return found
