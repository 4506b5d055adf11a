"""Packs: many small items (thumbnails, analysis details) in one content.

A pack is sealed like any content, with a media type of its own. Its bytes are the items one
after the other; who refers to an item names (content id, offset, length).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from tagfs.errors import Integrity
from tagfs.model import Scored, TagId

MEDIA_TYPE = "application/x-tagfs-pack"
MAX_ITEM = 2**30 - 1
"""Bytes of one item, at most."""
MAX_SCORES = 65_535
MAX_EMBEDDING = 65_535
"""Bytes of an embedding, at most."""

_HEAD = struct.Struct(">BHHB")


class PackBuilder:
    """Collects items in memory; the caller seals ``data()`` as one content."""

    def __init__(self) -> None:
        self._data = bytearray()

    def add(self, item: bytes) -> tuple[int, int]:
        """Add an item, return (offset, length)."""
        if len(item) > MAX_ITEM:
            raise ValueError("the item is too long for a pack")
        offset = len(self._data)
        self._data += item
        return offset, len(item)

    def add_details(self, scores: Sequence[Scored], embedding: bytes) -> tuple[int, int]:
        """Add what a worker saw in one photo, return (offset, length)."""
        return self.add(encode_details(scores, embedding))

    def data(self) -> bytes:
        """Return the bytes of the pack; empty when nothing was added."""
        return bytes(self._data)


def encode_details(scores: Sequence[Scored], embedding: bytes) -> bytes:
    """Return one details item: every score above the floor, and the pooled embedding.

    ``version u8 = 1 ‖ scores u16 ‖ embedding bytes u16 ‖ embedding type u8 (1: float16
    little-endian) ‖ scores ‖ embedding``; a score is ``tag length u8 ‖ tag ‖ confidence u16``
    in units of 1/65535.
    """
    if len(scores) > MAX_SCORES or len(embedding) > MAX_EMBEDDING:
        raise ValueError("too much for one details item")
    out = bytearray(_HEAD.pack(1, len(scores), len(embedding), 1))
    for score in scores:
        tag = score.tag.encode()
        if len(tag) > 64:
            raise ValueError("a tag id has at most 64 bytes")
        confidence = round(min(max(score.confidence, 0.0), 1.0) * 65535)
        out += bytes([len(tag)]) + tag + struct.pack(">H", confidence)
    return bytes(out) + embedding


def decode_details(item: bytes) -> tuple[tuple[Scored, ...], bytes]:
    """Return (scores, embedding) of a details item; raises Integrity."""
    try:
        version, count, embedding, kind = _HEAD.unpack_from(item)
        if (version, kind) != (1, 1):
            raise ValueError("version")
        at = _HEAD.size
        scores = []
        for _ in range(count):
            length = item[at]
            tag = item[at + 1 : at + 1 + length].decode()
            (confidence,) = struct.unpack_from(">H", item, at + 1 + length)
            if length > 64 or confidence > 65535:
                raise ValueError("tag")
            scores.append(Scored(TagId(tag), confidence / 65535))
            at += 3 + length
        if len(item) != at + embedding:
            raise ValueError("length")
    except (struct.error, ValueError, IndexError):
        raise Integrity("The details of a photo are malformed.") from None
    return tuple(scores), bytes(item[at:])
