"""Boxes of ISO base media files (ISO/IEC 14496-12) and QuickTime atoms: which lie in which.

Pure and bounded: a length that leads outside, or of a box too many, ends the walk.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

HEADER: Final = 16
"""Bytes that the header of a box has, at most."""
MAX_BOXES: Final = 1024
"""Boxes of one level that are looked at."""


@dataclass(frozen=True, slots=True)
class Box:
    """A box: its type, where its content begins and where it ends, in bytes of what it lies in."""

    kind: bytes
    start: int
    end: int


def box_at(header: bytes, at: int, limit: int) -> Box | None:
    """Return the box that begins at ``at`` with these first bytes; None for what is no box.

    It ends at ``limit`` at the latest, as one does whose length is left open.
    """
    if len(header) < 8:
        return None
    length, kind = struct.unpack_from(">I4s", header)
    start = 8
    if length == 1 and len(header) >= HEADER:
        (length,) = struct.unpack_from(">Q", header, 8)
        start = HEADER
    elif length == 0:
        length = limit - at
    if length < start:
        return None
    return Box(kind, min(at + start, limit), min(at + length, limit))


def boxes(data: bytes, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes between two places."""
    for _ in range(MAX_BOXES):
        box = box_at(data[start : min(start + HEADER, end)], start, end)
        if box is None:
            return
        yield box
        start = box.end


def within(data: bytes, *path: bytes, of: Box | None = None) -> Iterator[Box]:
    """Yield the boxes at the end of a path of types, of all of ``data`` or of one box."""
    level = [of or Box(b"", 0, len(data))]
    for kind in path:
        level = [b for box in level for b in boxes(data, box.start, box.end) if b.kind == kind]
    yield from level[:MAX_BOXES]
