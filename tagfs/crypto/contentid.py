"""The content id: a keyed hash over the keyed hashes of a content's 128 KiB chunks.

Who does not have the key cannot tell whether a vault holds a known picture. The hash of a chunk
binds its index, the outer hash the total length, so that contents never share an id.
"""

from __future__ import annotations

import hmac
import struct

from tagfs.crypto.chunked import Buffer
from tagfs.crypto.kdf import derive
from tagfs.model import CHUNK, ContentId


class ContentHasher:
    """Feed the chunks in order, each of 128 KiB but for the last; an empty content has none."""

    __slots__ = ("_chunk", "_count", "_outer", "_size")

    def __init__(self, key: bytes) -> None:
        self._chunk = hmac.new(derive(key, "content chunk"), digestmod="sha256")
        self._outer = hmac.new(derive(key, "content id"), digestmod="sha256")
        self._count = 0
        self._size = 0

    def chunk(self, data: Buffer) -> None:
        """Take the next chunk, 1 byte to 128 KiB; only the last may be short."""
        if self._size != self._count * CHUNK or not 0 < len(data) <= CHUNK:
            raise ValueError("chunks are whole, but for the last")
        inner = self._chunk.copy()
        inner.update(struct.pack(">Q", self._count))
        inner.update(data)
        self._outer.update(inner.digest())
        self._count += 1
        self._size += len(data)

    def digest(self) -> ContentId:
        """Return the id of what was fed so far; feeding may go on."""
        outer = self._outer.copy()
        outer.update(struct.pack(">Q", self._size))
        return ContentId(outer.digest())


def content_id(key: bytes, data: Buffer) -> ContentId:
    """Return the id of a content that is in memory."""
    hasher = ContentHasher(key)
    view = memoryview(data)
    for start in range(0, len(view), CHUNK):
        hasher.chunk(view[start : start + CHUNK])
    return hasher.digest()
