"""What makers of phones write in forms of their own: maker notes, trailers; runs in the worker.

ExifTool's documents of tags describe them (Apple, Samsung trailer). Every number that a file gives
is bounded before it is used.
"""

from __future__ import annotations

import struct
from typing import Final

from tagfs.recognise.facts import plain_text

_APPLE: Final = b"Apple iOS\0"
_DIRECTORY: Final = 14  # behind that word, a version and the order of bytes
_BURST_UUID: Final = 0x000B
_ASCII: Final = 2
MAX_ENTRIES: Final = 256
"""Entries of a directory that are looked at."""
MAX_TEXT: Final = 64
"""Bytes of a text or name that are looked at."""
MAX_TRAILER: Final = 64 * 1024
"""Bytes of the directory at the end of a file."""


def burst_of_apple(note: object) -> str:
    """Return what all pictures of a burst share, of an Apple maker note; empty where it has none.

    Positions in the note count from its beginning.
    """
    if not isinstance(note, bytes) or not note.startswith(_APPLE):
        return ""
    order = {b"MM": ">", b"II": "<"}.get(note[12:14])
    if order is None or len(note) < _DIRECTORY + 2:
        return ""
    (count,) = struct.unpack_from(order + "H", note, _DIRECTORY)
    for number in range(min(count, MAX_ENTRIES)):
        at = _DIRECTORY + 2 + 12 * number
        if at + 12 > len(note):
            break
        tag, form, length, start = struct.unpack_from(order + "HHII", note, at)
        if (tag, form) == (_BURST_UUID, _ASCII):
            start = at + 8 if length <= 4 else start  # so short a text stands in its place
            return plain_text(note[start : start + min(length, MAX_TEXT)])
    return ""


def trailer_of_samsung(data: bytes) -> frozenset[str]:
    """Return the names of the blocks that Samsung's programs append to a picture.

    The file ends with a directory (SEFH), its length and SEFT; each entry says how far before the
    directory its block begins: four bytes that repeat its type, the length of the name, the name.
    """
    if data[-4:] != b"SEFT" or len(data) < 20:
        return frozenset()
    (length,) = struct.unpack_from("<I", data, len(data) - 8)
    start = len(data) - 8 - length
    if not 12 <= length <= MAX_TRAILER or start < 0 or data[start : start + 4] != b"SEFH":
        return frozenset()
    (count,) = struct.unpack_from("<I", data, start + 8)
    names = set()
    for number in range(min(count, MAX_ENTRIES, (length - 12) // 12)):
        (back,) = struct.unpack_from("<I", data, start + 12 + 12 * number + 4)
        if 8 <= back <= start:
            (named,) = struct.unpack_from("<I", data, start - back + 4)
            begin = start - back + 8
            names.add(plain_text(data[begin : begin + min(named, MAX_TEXT)]))
    return frozenset(names)
