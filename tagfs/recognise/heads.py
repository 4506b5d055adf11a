"""How much of a file's beginning says what it is: type, metadata, everything before the pixels.

Pure and bounded: it walks lengths in the first 64 KiB and believes none of them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

Bytes = bytes | bytearray | memoryview

MAX_HEAD: Final = 64 * 1024
"""Bytes of a head, at most."""
LEAST: Final = 16 * 1024
"""Bytes of a head, at least: what the kernel asks for when a program reads the first page."""
PAGE: Final = 4096

_JPEG_LONE: Final = (*range(0xD0, 0xD9), 0x01)  # markers without a length
_SCAN: Final = 0xDA


def head_size(first: Bytes, media_type: str) -> int:
    """Return how many bytes of a file make its head, in whole pages.

    ``first`` is the beginning of the file, 64 KiB of it where it has as many. Of a JPEG, PNG or
    WebP the head goes up to the pixels; of other pictures and videos, whose metadata may lie
    anywhere, it is all of the 64 KiB; of other files what tells their type.
    """
    first = memoryview(first)[:MAX_HEAD]
    walk = _WALKS.get(media_type)
    if walk is not None:
        pixels = walk(first)
    else:
        pixels = MAX_HEAD if media_type.startswith(("image/", "video/")) else 0
    pages = -(-max(pixels, LEAST) // PAGE) * PAGE
    return min(pages, MAX_HEAD, len(first))


def _before_scan(data: memoryview) -> int:
    """Return where the pixels of a JPEG begin; the whole length when that is not found."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in _JPEG_LONE:  # fill bytes
            at += 1 if marker == 0xFF else 2
            continue
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _SCAN:
            return at
    return len(data)


def _before_png_pixels(data: memoryview) -> int:
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IDAT":
            return at + 8
        at += 12 + int(length)
    return len(data)


def _before_webp_pixels(data: memoryview) -> int:
    at = 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind in (b"VP8 ", b"VP8L", b"ANMF"):
            return at + 32  # with the sizes that these begin with
        at += 8 + int(length) + int(length) % 2
    return len(data)


_WALKS: Final[dict[str, Callable[[memoryview], int]]] = {
    "image/jpeg": _before_scan,
    "image/png": _before_png_pixels,
    "image/webp": _before_webp_pixels,
}
