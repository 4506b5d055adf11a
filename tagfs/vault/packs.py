"""Packs: many small items (thumbnails, analysis details) in one content.

A pack is sealed like any content, with a media type of its own. Its bytes are the items one
after the other; who refers to an item names (content id, offset, length).
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence

from tagfs.errors import Integrity
from tagfs.model import Scored, TagId

MEDIA_TYPE = "application/x-tagfs-pack"
MAX_ITEM = 2**30 - 1
"""Bytes of one item, at most."""
MAX_SCORES = 65_535
MAX_FEATURES = 65_535
"""Bytes of an embedding, or of the faces of a picture, at most."""


class Features(enum.IntEnum):
    """What stands behind the scores of a details item."""

    EMBEDDING = 1  # float16 little-endian, of the whole picture
    FACES = 2  # records of faces, each of 278 bytes


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

    def add_details(
        self, scores: Sequence[Scored], features: bytes, kind: Features = Features.EMBEDDING
    ) -> tuple[int, int]:
        """Add what a pack saw in one photo, return (offset, length)."""
        return self.add(encode_details(scores, features, kind))

    def data(self) -> bytes:
        """Return the bytes of the pack; empty when nothing was added."""
        return bytes(self._data)


def encode_details(
    scores: Sequence[Scored], features: bytes, kind: Features = Features.EMBEDDING
) -> bytes:
    """Return one details item: every score above the floor, and the features.

    ``version u8 = 1 ‖ scores u16 ‖ feature bytes u16 ‖ kind of features u8 ‖ scores ‖ features``;
    a score is ``tag length u8 ‖ tag ‖ confidence u16`` in units of 1/65535.
    """
    if len(scores) > MAX_SCORES or len(features) > MAX_FEATURES:
        raise ValueError("too much for one details item")
    out = bytearray(_HEAD.pack(1, len(scores), len(features), kind))
    for score in scores:
        tag = score.tag.encode()
        if len(tag) > 64:
            raise ValueError("a tag id has at most 64 bytes")
        confidence = round(min(max(score.confidence, 0.0), 1.0) * 65535)
        out += bytes([len(tag)]) + tag + struct.pack(">H", confidence)
    return bytes(out) + features


def decode_details(item: bytes) -> tuple[tuple[Scored, ...], bytes]:
    """Return (scores, features) of a details item; raises Integrity."""
    try:
        version, count, features, kind = _HEAD.unpack_from(item)
        if version != 1 or kind not in tuple(Features):
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
        if len(item) != at + features:
            raise ValueError("length")
    except (struct.error, ValueError, IndexError):
        raise Integrity("The details of a photo are malformed.") from None
    return tuple(scores), bytes(item[at:])
