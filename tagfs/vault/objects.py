"""Sealed parts: how a content of any size becomes objects of at most 32 MiB, and back.

A stored part is ``head (epoch u32 ‖ salt 24 ‖ commitment 32) ‖ sealed chunks ‖ sealed trailer``.
The chunks hold the content and zeros up to a Padmé length; the trailer says enough to bring the
content back with every journal gone. Here are the readers; the writers stand in
``tagfs.vault.writing``, the arithmetic in ``tagfs.vault.layout``, and both are offered here too.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from tagfs.crypto.chunked import TAG, Buffer, chunk_count, plain_size, sealed_size
from tagfs.errors import Integrity
from tagfs.model import CHUNK, PART, ObjectName, Part
from tagfs.vault.keys import KeyRing
from tagfs.vault.layout import (
    HEAD,
    KIND_PART,
    KIND_TRAILER,
    MAX_STORED,
    SEALED_TRAILER,
    STEP,
    Trailer,
    decode_trailer,
    object_name,
    object_path,
    padded_size,
    stored_size,
    stream_keys,
)
from tagfs.vault.writing import ContentWriter, PartWriter, open_piece

__all__ = [
    "HEAD",
    "SEALED_TRAILER",
    "ContentWriter",
    "PartReader",
    "PartWriter",
    "Trailer",
    "object_name",
    "object_path",
    "padded_size",
    "read_head",
    "read_trailer",
    "stored_size",
    "verify_part",
]


class PartReader:
    """Opens any range of one stored part, knowing its record. Holds keys: do not print."""

    __slots__ = ("_chunks", "_keys", "_padded", "number", "part")

    def __init__(self, ring: KeyRing, part: Part, number: int) -> None:
        """Derive the keys; raises Integrity when the record cannot be that of a sealed part."""
        self.part = part
        self.number = number
        self._padded = _padded_of(part)
        self._chunks = chunk_count(self._padded)
        self._keys = stream_keys(ring, part.name, part.epoch, part.salt, KIND_PART, number)
        if not self._keys.commits_to(part.commitment):
            raise Integrity(
                f"Object {part.name.hex()}: the recorded commitment is not that of its keys."
            )

    def span(self, offset: int, size: int) -> tuple[int, int, int]:
        """Return (stored offset, stored length, first chunk) of the chunks that hold a range.

        The range must be inside the part's content and not empty.
        """
        if offset < 0 or size <= 0 or offset + size > self.part.size:
            raise ValueError("the range is not inside the part")
        first = offset // CHUNK
        last = (offset + size - 1) // CHUNK
        return HEAD + first * STEP, self._stored_end(last) - HEAD - first * STEP, first

    def open_into(self, stored: Buffer, first_chunk: int, offset: int, out: memoryview) -> None:
        """Open the stored bytes of a span and place the content from ``offset`` on in ``out``.

        Whole chunks are opened in place. Raises Integrity naming the object; what ``out``
        holds then is not to be used.
        """
        view = memoryview(stored)
        done, size = 0, len(out)
        while done < size:
            index, start = divmod(offset + done, CHUNK)
            step = min(CHUNK - start, size - done)
            begin = (index - first_chunk) * STEP
            end = begin + self._stored_end(index) - HEAD - index * STEP
            if begin < 0 or end > len(view):
                raise Integrity(f"Object {self.part.name.hex()} is cut short.")
            try:
                open_piece(
                    self._keys,
                    index,
                    index == self._chunks - 1,
                    view[begin:end],
                    start,
                    out[done : done + step],
                )
            except Integrity as e:
                raise Integrity(f"Object {self.part.name.hex()}: {e}") from None
            done += step

    def _stored_end(self, index: int) -> int:
        return HEAD + min((index + 1) * STEP, sealed_size(self._padded))


def read_head(name: ObjectName, head: Buffer) -> tuple[int, bytes, bytes]:
    """Return (epoch, salt, commitment) from the first 60 bytes of a stored part."""
    if len(head) < HEAD:
        raise Integrity(f"Object {name.hex()} is too short to be a part.")
    epoch, salt, commitment = struct.unpack_from(">I24s32s", head)
    return epoch, salt, commitment


def read_trailer(
    ring: KeyRing, name: ObjectName, stored_tail: Buffer, head: Buffer, size: int
) -> tuple[Trailer, Part]:
    """Open the trailer of a part that no record names, as recovery does.

    ``head`` is the first 60 bytes of the stored object, ``stored_tail`` its last 528, ``size``
    its length. The commitment is checked, the chunks are not. Raises Integrity naming the
    object.
    """
    epoch, salt, commitment = read_head(name, head)
    try:
        keys = stream_keys(ring, name, epoch, salt, KIND_TRAILER, 0)
        if len(stored_tail) != SEALED_TRAILER:
            raise Integrity("the trailer is cut short.")
        trailer = decode_trailer(keys.open(0, True, stored_tail))
        part = Part(name, epoch, salt, commitment, trailer.size, size)
        PartReader(ring, part, trailer.number)
    except Integrity as e:
        raise Integrity(f"Object {name.hex()}: {e}") from None
    return trailer, part


def verify_part(
    ring: KeyRing,
    part: Part,
    number: int,
    read_at: Callable[[int, int], Buffer],
    on_chunk: Callable[[Buffer], object] = lambda content: None,
) -> Trailer:
    """Open every chunk, the padding and the trailer of a stored part.

    ``read_at(offset, size)`` returns stored bytes, short only at the end; ``on_chunk`` is shown
    the content in each chunk. Raises Integrity naming the object.
    """
    label = f"Object {part.name.hex()}"
    keys = PartReader(ring, part, number)._keys
    head = read_at(0, HEAD)
    if read_head(part.name, head) != (part.epoch, part.salt, part.commitment):
        raise Integrity(f"{label}: its head is not the recorded one.")
    padded = _padded_of(part)
    count = chunk_count(padded)
    try:
        for index in range(count):
            length = min(CHUNK, padded - index * CHUNK)
            stored = read_at(HEAD + index * STEP, length + TAG)
            if len(stored) != length + TAG:
                raise Integrity("it is cut short.")
            plain = keys.open(index, index == count - 1, stored)
            held = max(0, part.size - index * CHUNK)
            if any(memoryview(plain)[held:]):
                raise Integrity("its padding is not zero.")
            if held:
                on_chunk(memoryview(plain)[:held])
    except Integrity as e:
        raise Integrity(f"{label}: {e}") from None
    tail = read_at(part.stored - SEALED_TRAILER, SEALED_TRAILER + 1)
    trailer, _ = read_trailer(ring, part.name, tail, head, part.stored)
    if (trailer.number, trailer.size) != (number, part.size):
        raise Integrity(f"{label}: its trailer is that of another part.")
    return trailer


def _padded_of(part: Part) -> int:
    """Return the padded plaintext bytes of a recorded part; raises Integrity."""
    if part.stored > MAX_STORED:
        raise Integrity(f"Object {part.name.hex()} is longer than a part can be.")
    try:
        padded = plain_size(part.stored - HEAD - SEALED_TRAILER)
    except Integrity as e:
        raise Integrity(f"Object {part.name.hex()}: {e}") from None
    if not 0 <= part.size <= padded <= PART:
        raise Integrity(f"Object {part.name.hex()} is shorter than its content.")
    return padded
