"""Writes contents as sealed parts into files: each chunk is sealed once, in order, for good.

A full disk is no end: after an OSError ``size`` says what was taken, and the next call writes
the sealed bytes that did not fit before it goes on. Nothing here syncs.
"""

from __future__ import annotations

import os
import secrets
import struct
from collections.abc import Callable

from tagfs.crypto.chunked import SALT, TAG, Buffer, StreamKeys, chunk_count, sealed_size
from tagfs.crypto.contentid import ContentHasher
from tagfs.errors import Integrity
from tagfs.model import CHUNK, PART, Content, ContentId, ObjectName, Part
from tagfs.vault.keys import KeyRing
from tagfs.vault.layout import (
    HEAD,
    KIND_PART,
    KIND_TRAILER,
    STEP,
    Trailer,
    encode_trailer,
    padded_size,
    stored_size,
    stream_keys,
)

_NOTHING = memoryview(b"")


class PartWriter:
    """Writes one part into an open file, strictly forwards, each chunk sealed once.

    ``append`` seals whole chunks at once and holds the latest back (even a whole one), because
    only ``close_chunks`` knows which is the last. The file is written by position, so that one
    descriptor may serve reads meanwhile.
    """

    def __init__(
        self,
        fd: int,
        ring: KeyRing,
        name: ObjectName,
        number: int,
        random: Callable[[int], bytes] = secrets.token_bytes,
        on_chunk: Callable[[Buffer], None] | None = None,
    ) -> None:
        """Begin a part; ``on_chunk`` is shown the content of each chunk before it is sealed."""
        self.name = name
        self.number = number
        self.size = 0
        self.fd = fd
        self.epoch = ring.newest.number
        self.salt = random(SALT)
        self._ring = ring
        self._on_chunk = on_chunk
        self._keys = stream_keys(ring, name, self.epoch, self.salt, KIND_PART, number)
        self._sealed = 0
        self._closed = False
        self._last: int | None = None  # the chunk that was sealed as the last
        self._held = _NOTHING
        self._own: bytearray | None = None
        self._out: bytearray | None = None
        self._unwritten: tuple[bytes, int] | None = None
        self._trailer: tuple[Trailer, bytes] | None = None
        self._write(struct.pack(">I", self.epoch) + self.salt + self._keys.commitment, 0)

    def append(self, data: Buffer) -> int:
        """Take bytes up to the part's 32 MiB; return how many were taken.

        An immutable ``bytes`` may be kept until the next call instead of being copied.
        """
        self._catch_up()
        if self._closed:
            return 0
        view = memoryview(data)
        if view.format != "B":
            view = view.cast("B")
        view = view[: PART - self.size]
        taken = len(view)
        lasting = isinstance(view.obj, bytes)
        while view:
            held = len(self._held)
            if held == CHUNK:
                full, self._held = self._held, _NOTHING
                self._seal_before(full, view)
            elif not held and len(view) > CHUNK:
                piece, view = view[:CHUNK], view[CHUNK:]
                self.size += CHUNK
                self._seal_before(piece, view)
            elif not held and len(view) == CHUNK and lasting:
                # Nobody can change these bytes, so keeping them is as good as a copy.
                self.size += CHUNK
                self._held, view = view, view[CHUNK:]
            else:
                step = min(CHUNK - held, len(view))
                self._hold(held, view[:step])
                self.size += step
                view = view[step:]
        return taken

    def tail(self) -> memoryview:
        """Return the bytes that are held back; valid until the next call."""
        return self._held.toreadonly()

    def sealed_chunks(self) -> int:
        """Return how many chunks are in the file in final form."""
        return self._sealed

    def read_into(self, offset: int, out: memoryview) -> int:
        """Read content back, from sealed chunks and the tail; short only at the end so far.

        Raises Integrity when the file was changed behind our back.
        """
        size = max(0, min(len(out), self.size - offset))
        done = 0
        while done < size:
            index, start = divmod(offset + done, CHUNK)
            step = min(CHUNK - start, size - done)
            target = out[done : done + step]
            if index < self._sealed:
                self._read_chunk(index, start, target)
            else:
                target[:] = self._held[start : start + step]
            done += step
        return size

    def close_chunks(self) -> None:
        """Seal what is held back, and the padding; only the trailer is missing then."""
        self._catch_up()
        if self._closed:
            return
        padded = padded_size(self.size)
        count = chunk_count(padded)
        while self._sealed < count:
            content, self._held = self._held, _NOTHING
            length = min(CHUNK, padded - self._sealed * CHUNK)
            if content and self._on_chunk is not None:
                self._on_chunk(content)
            plain = content if len(content) == length else bytes(content).ljust(length, b"\0")
            self._put(plain, last=self._sealed == count - 1)
        self._closed = True
        self._own = None
        self._out = None

    def finish(self, trailer: Trailer) -> Part:
        """Close the chunks, write the trailer, and return the part's record.

        Raises ValueError for a second, different trailer: each is sealed once.
        """
        if (trailer.number, trailer.size) != (self.number, self.size):
            raise ValueError("the trailer belongs to another part")
        self.close_chunks()
        if self._trailer is None:
            keys = stream_keys(self._ring, self.name, self.epoch, self.salt, KIND_TRAILER, 0)
            self._trailer = trailer, bytes(keys.seal(0, True, encode_trailer(trailer)))
        if self._trailer[0] != trailer:
            raise ValueError("a part has one trailer")
        self._write(self._trailer[1], HEAD + sealed_size(padded_size(self.size)))
        return Part(
            self.name,
            self.epoch,
            self.salt,
            self._keys.commitment,
            self.size,
            stored_size(self.size),
        )

    def _hold(self, held: int, piece: memoryview) -> None:
        if self._own is None:
            self._own = bytearray(CHUNK)
        self._own[held : held + len(piece)] = piece
        self._held = memoryview(self._own)[: held + len(piece)]

    def _seal_before(self, plain: memoryview, rest: memoryview) -> None:
        """Seal a chunk that others follow. On a full disk one byte of them is held back, so that
        there is still a chunk to be marked as the last."""
        try:
            self._seal(plain)
        except OSError:
            self._hold(0, rest[:1])
            self.size += 1
            raise

    def _seal(self, plain: memoryview) -> None:
        if self._on_chunk is not None:
            self._on_chunk(plain)
        self._put(plain, last=False)

    def _put(self, plain: Buffer, last: bool) -> None:
        if len(plain) == CHUNK:
            if self._out is None:
                self._out = bytearray(STEP)
            out = self._out
        else:
            out = bytearray(len(plain) + TAG)
        # Counted before the write: should the write fail, this counter is spent all the same.
        index = self._sealed
        self._sealed += 1
        if last:
            self._last = index
        self._keys.seal_into(index, last, plain, out)
        self._write(out, HEAD + index * STEP)

    def _write(self, data: Buffer, offset: int) -> None:
        try:
            _write_at(self.fd, data, offset)
        except OSError:
            self._unwritten = bytes(data), offset
            raise

    def _catch_up(self) -> None:
        """Write the sealed bytes that an earlier call could not; raises OSError again."""
        if self._unwritten is not None:
            data, offset = self._unwritten
            _write_at(self.fd, data, offset)
            self._unwritten = None

    def _read_chunk(self, index: int, start: int, target: memoryview) -> None:
        padded = padded_size(self.size)
        last = index == self._last
        length = padded - index * CHUNK if last else CHUNK
        if self._unwritten is not None and self._unwritten[1] == HEAD + index * STEP:
            stored = self._unwritten[0]
        else:
            stored = os.pread(self.fd, length + TAG, HEAD + index * STEP)
        try:
            open_piece(self._keys, index, last, memoryview(stored), start, target)
        except Integrity as e:
            raise Integrity(f"Object {self.name.hex()}: {e}") from None


class ContentWriter:
    """Takes a content's bytes in order and leaves sealed parts of 32 MiB in files.

    ``open_part(name)`` returns a descriptor that is open for reading and writing; it makes the
    file the first time and must open the one that is there (neither O_EXCL nor O_TRUNC) when it
    is called again for the same name: the trailers of earlier parts, which say how long the
    whole is and what its id is, are written at the end. ``close_part(name, fd)`` is called
    exactly once for each descriptor. An OSError (ENOSPC) goes to the caller, who may call again
    when there is space, or abandon.
    """

    def __init__(
        self,
        ring: KeyRing,
        open_part: Callable[[ObjectName], int],
        close_part: Callable[[ObjectName, int], None],
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._ring = ring
        self._open_part = open_part
        self._close_part = close_part
        self._random = random
        self._hasher = ContentHasher(ring.content_key)
        self._parts: list[PartWriter] = []
        self._open: PartWriter | None = None
        self._finished: list[Part] = []
        self._ended = False

    @property
    def size(self) -> int:
        """Bytes that were taken so far."""
        return (len(self._parts) - 1) * PART + self._parts[-1].size if self._parts else 0

    def append(self, data: Buffer) -> None:
        """Add bytes at the end; after an OSError ``size`` says how many were taken."""
        view = memoryview(data)
        while view:
            view = view[self._writer().append(view) :]

    def names(self) -> list[ObjectName]:
        """Return the parts' object names so far, in order."""
        return [p.name for p in self._parts]

    def tail(self) -> memoryview:
        """Return the bytes at the end that are not sealed yet; valid until the next call."""
        return self._parts[-1].tail() if self._parts else _NOTHING

    def read_into(self, offset: int, out: memoryview) -> int:
        """Read back what was appended; short only at the end so far. Raises Integrity."""
        done = 0
        while done < len(out) and offset + done < self.size:
            index, start = divmod(offset + done, PART)
            writer = self._parts[index]
            if writer is self._open:
                done += writer.read_into(start, out[done:])
                continue
            writer.fd = self._open_part(writer.name)
            try:
                done += writer.read_into(start, out[done:])
            finally:
                self._close_part(writer.name, writer.fd)
        return done

    def finish(self, name: bytes, mtime_ns: int, media_type: str) -> Content:
        """Seal what is held back, write every trailer, close the files; nothing is synced.

        Called again after an OSError it goes on; the arguments must be the same then.
        """
        if not self._parts:
            self._writer()
        if self._open is not None:
            self._open.close_chunks()
        self._ended = True
        ident = self._hasher.digest()
        # The current part first: its file is open.
        for writer in self._parts[::-1][len(self._finished) :]:
            if self._open is None:
                writer.fd = self._open_part(writer.name)
                self._open = writer
            self._finished.append(
                writer.finish(self._trailer(writer, ident, name, mtime_ns, media_type))
            )
            self._close()
        return Content(ident, self.size, media_type, tuple(reversed(self._finished)))

    def abandon(self) -> None:
        """Close the open file; the caller removes the files of names()."""
        self._ended = True
        self._close()

    def _trailer(
        self, writer: PartWriter, ident: ContentId, name: bytes, mtime_ns: int, media_type: str
    ) -> Trailer:
        return Trailer(
            name,
            mtime_ns,
            media_type,
            writer.number,
            len(self._parts),
            writer.size,
            self.size,
            ident,
        )

    def _writer(self) -> PartWriter:
        """Return the part that takes the next byte."""
        if self._open is not None:
            if self._open.size < PART:
                return self._open
            self._open.close_chunks()
            self._close()
        elif self._ended:
            raise ValueError("a finished or abandoned content takes no more bytes")
        name = ObjectName(self._random(16))
        fd = self._open_part(name)
        try:
            number = len(self._parts)
            writer = PartWriter(fd, self._ring, name, number, self._random, self._hasher.chunk)
        except BaseException:
            self._close_part(name, fd)
            raise
        self._parts.append(writer)
        self._open = writer
        return writer

    def _close(self) -> None:
        writer, self._open = self._open, None
        if writer is not None:
            self._close_part(writer.name, writer.fd)


def open_piece(
    keys: StreamKeys, index: int, last: bool, sealed: memoryview, start: int, target: memoryview
) -> None:
    """Open one chunk and place its bytes from ``start`` on in ``target``; raises Integrity."""
    if start == 0 and len(target) == len(sealed) - TAG:
        keys.open_into(index, last, sealed, target)
    else:
        plain = keys.open(index, last, sealed)
        target[:] = memoryview(plain)[start : start + len(target)]


def _write_at(fd: int, data: Buffer, offset: int) -> None:
    """Write all of ``data``; a full disk raises OSError after a part of it."""
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view = view[written:]
        offset += written
