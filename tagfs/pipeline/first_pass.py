"""A first pass: a new content that is written strictly forwards, sealed in final form at once.

As long as a file is written from its beginning to its end, whole chunks go to their objects and
never again anywhere else. Whatever else happens to it turns the chunks that are sealed into the
base of a draft (``base``), and the object is not continued.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from tagfs.crypto.chunked import TAG
from tagfs.errors import FileError, Integrity
from tagfs.model import CHUNK, PART, Content, ObjectName, Part
from tagfs.pipeline.contents import damaged
from tagfs.pipeline.disk import Buffer
from tagfs.pipeline.notes import UNRECORDED, Base
from tagfs.pipeline.spool import Spool
from tagfs.vault.keys import KeyRing
from tagfs.vault.objects import HEAD, ContentWriter, read_head, stored_size


class FirstPass:
    """One content on its way into the spool. Everything is inline; nothing is synced."""

    def __init__(self, spool: Spool, ring: KeyRing) -> None:
        self._spool = spool
        self._writer = ContentWriter(ring, spool.open_part, spool.close_part)
        self._head = bytearray()  # the first chunk, to tell the type from
        self._ending: tuple[bytes, int, str] | None = None  # of a finish that did not fit
        self._stuck = False

    @property
    def size(self) -> int:
        """Bytes taken so far."""
        return self._writer.size

    @property
    def may_go_on(self) -> bool:
        """Whether more bytes may be appended."""
        return self._ending is None and not self._stuck

    @property
    def may_finish(self) -> bool:
        """Whether it may become a content; after a full disk it may be fit for a draft only."""
        return not self._stuck

    def append(self, data: Buffer) -> None:
        """Add bytes; after an OSError ``size`` says how many were taken."""
        room = CHUNK - len(self._head)
        try:
            self._writer.append(data)
        except OSError:
            # The latest chunk is held back so that it can be sealed as the last one. When it was
            # sealed as another and could not be written, nothing can end the pass any more.
            self._stuck = not self._writer.tail() and self._writer.size % PART != 0
            raise
        finally:
            if room:
                self._head += memoryview(data)[:room]
                del self._head[self._writer.size :]

    def read_into(self, offset: int, out: memoryview) -> None:
        """Fill ``out`` with bytes that were taken. Raises FileError(EIO)."""
        try:
            if self._writer.read_into(offset, out) != len(out):
                raise Integrity("An object that is being written is cut short.")
        except Integrity as e:
            raise damaged(e) from None
        except OSError as e:
            raise FileError(errno.EIO, f"The state directory cannot be read: {e.strerror}.") from e

    def finish(self, name: bytes, mtime_ns: int, media_type_of: Callable[[bytes], str]) -> Content:
        """Seal the rest and return the content. Raises OSError; call again then.

        What was said the first time stays in the trailers: each is sealed once.
        """
        if self._ending is None:
            self._ending = (name, mtime_ns, media_type_of(bytes(self._head)))
        return self._writer.finish(*self._ending)

    def base(self) -> tuple[Base | None, int]:
        """Return what is sealed so far as the base of a draft, and how many bytes that has.

        Only whole chunks count that are in the files and are surely not last ones. Raises
        OSError.
        """
        names = self._writer.names()
        if not names:
            return None, 0
        rest = self.size - (len(names) - 1) * PART
        chunks = max(0, min((rest - 1) // CHUNK, self._chunks_on_disk(names[-1])))
        if not chunks:
            names.pop()
        if not names:
            return None, 0
        parts = tuple(self._as_whole(name) for name in names)
        content = Content(UNRECORDED, len(parts) * PART, "application/octet-stream", parts)
        if chunks:
            size = (len(parts) - 1) * PART + chunks * CHUNK
            return Base(content, size, (names[-1],)), size
        return Base(content, len(parts) * PART), len(parts) * PART

    def names(self) -> list[ObjectName]:
        """Return the names of its objects so far."""
        return self._writer.names()

    def leave(self, keep: Base | None) -> None:
        """End it without a content; removes its objects but for those of a base."""
        self._writer.abandon()
        kept = {part.name for part in keep.content.parts} if keep is not None else set()
        for name in self._writer.names():
            if name not in kept:
                self._spool.remove(name)

    def leave_all(self) -> None:
        """End it without a content and leave its objects, which a note names."""
        self._writer.abandon()

    def _chunks_on_disk(self, name: ObjectName) -> int:
        fd = self._spool.open_part(name)
        try:
            return max(0, os.fstat(fd).st_size - HEAD) // (CHUNK + TAG)
        finally:
            self._spool.disk.close(fd)

    def _as_whole(self, name: ObjectName) -> Part:
        """Describe an unfinished object as if it were a part of 32 MiB: its chunks open so."""
        epoch, salt, commitment = read_head(name, self._spool.pread(name, 0, HEAD))
        return Part(name, epoch, salt, commitment, PART, stored_size(PART))
