"""The bytes of one open file, shared by all who have it open, and how they become a content.

    CLEAN ----write at 0 of nothing----> PASS ----finish----> CLEAN over the new content
      |                                   |
      +------any other change------> DRAFT <--anything but the next byte--+

CLEAN is a content, or nothing, as recorded. PASS is a first pass strictly forwards: whole
chunks go to their final sealed form at once. DRAFT is a scratch log over a base: the recorded
content, or the whole chunks of an interrupted pass. A draft is re-sealed after the last close
(``reseal``); until then its DraftSaved note says where the bytes are.

Everything is inline but ``read``, ``fetch`` and ``reseal``. What a note has named is never
removed here: the caller does that (Contents.drop_draft) when the next line is in the journal.
"""

from __future__ import annotations

import enum
import errno
from collections.abc import Callable
from dataclasses import replace
from typing import Self

from tagfs.errors import FileError
from tagfs.model import Content, FileId, Part
from tagfs.pipeline.contents import ContentReader, Contents, refused
from tagfs.pipeline.disk import Buffer
from tagfs.pipeline.first_pass import FirstPass
from tagfs.pipeline.notes import UNRECORDED, Base, DraftSaved
from tagfs.pipeline.overlay import open_scratch, read, read_now
from tagfs.pipeline.scratch import Scratch
from tagfs.pipeline.spool import Spool
from tagfs.vault.keys import KeyRing

MAX_SIZE = 2**45
"""Bytes of one file, at most (format 1: 2^20 parts of 32 MiB)."""


class _State(enum.Enum):
    CLEAN = 1
    PASS = 2
    DRAFT = 3


class OpenContent:
    """The bytes of one inode while it is open."""

    def __init__(
        self,
        contents: Contents,
        spool: Spool,
        ring: KeyRing,
        file: FileId,
        base: Content | None = None,
    ) -> None:
        """Open what is recorded for a file: a content, or None for an empty file."""
        self.file = file
        self._contents = contents
        self._spool = spool
        self._ring = ring
        self._state = _State.CLEAN
        self._base: Base | None = Base(base, base.size) if base is not None else None
        self._reader = contents.reader(base) if base is not None else None
        self._pass: FirstPass | None = None
        self._scratch: Scratch | None = None
        self._size = base.size if base is not None else 0
        self._dirty = False
        self._named = False  # whether a note names the objects of the pass
        self._scratch_named = False
        self._mirrored = 0  # bytes of the pass that its scratch log has the tail up to
        self._result: Content | DraftSaved | None = None  # of a finish that was not journalled
        self._turn = 0  # counts new beginnings, for a read that waits meanwhile

    @classmethod
    def from_draft(cls, contents: Contents, spool: Spool, ring: KeyRing, draft: DraftSaved) -> Self:
        """Open a draft that a note names. Raises FileError(EIO) when its log is not whole."""
        found = cls(contents, spool, ring, draft.file)
        found._base = draft.base
        found._reader = contents.base_reader(draft.base) if draft.base is not None else None
        found._scratch = open_scratch(contents, draft)
        found._named = found._scratch_named = True
        found._size = draft.size
        found._state = _State.DRAFT
        return found

    @property
    def size(self) -> int:
        """Bytes of the file as it is now."""
        return self._size

    @property
    def dirty(self) -> bool:
        """Whether anything changed since finish(), checkpoint() or the opening.

        After a checkpoint in a first pass it stays True: the pass is not finished.
        """
        return self._dirty

    # -- reading ---------------------------------------------------------------------------

    def read_now(self, offset: int, size: int) -> Buffer | None:
        """Return bytes that are on this machine, short only at the end; None for others.

        Raises FileError(EIO) for what does not verify.
        """
        size = min(size, self._size - offset)
        if size <= 0:
            return b""
        if self._state is _State.CLEAN:
            assert self._reader is not None
            return self._reader.read_now(offset, size)
        if self._pass is not None:
            out = memoryview(bytearray(size))
            self._pass.read_into(offset, out)
            return out
        assert self._scratch is not None
        return read_now(self._scratch, self._reader, offset, size)

    async def read(self, offset: int, size: int) -> Buffer:
        """Return bytes after fetching what is absent, short only at the end.

        Raises FileError: ENETUNREACH, EIO.
        """
        while True:
            now = self.read_now(offset, size)
            if now is not None:
                return now
            turn = self._turn
            try:
                data = await self._read(offset, size)
            except FileError:
                if turn == self._turn:
                    raise
            if turn == self._turn:
                return data

    async def _read(self, offset: int, size: int) -> Buffer:
        reader = self._reader
        assert reader is not None
        if self._state is _State.CLEAN:
            return await reader.read(offset, size)
        size = min(size, self._size - offset)
        turn = self._turn
        assert self._scratch is not None
        return await read(self._scratch, reader, offset, size, lambda: turn == self._turn)

    async def fetch(self) -> None:
        """Bring the recorded content to this machine, so that an edit cannot fail later.

        Raises FileError: ENETUNREACH, EIO, ENOSPC.
        """
        if self._base is not None and self._base.content.id != UNRECORDED:
            await self._contents.fetch(self._base.content)

    # -- writing ---------------------------------------------------------------------------

    def write(self, offset: int, data: Buffer) -> int:
        """Take all of ``data`` and return its length.

        Raises FileError(ENOSPC, EIO, EFBIG): some of it may have been taken then, as after a
        short write; nothing before it is harmed, and the same call may be repeated.
        """
        size = len(data)
        if not size:
            return 0
        if offset + size > MAX_SIZE:
            raise FileError(errno.EFBIG, "A file has at most 32 TiB.")
        self._spool.reserve(size)
        try:
            if self._pass is not None and offset == self._size and self._pass.may_go_on:
                self._append(self._pass, data)
            elif self._state is _State.CLEAN and offset == 0 and self._size == 0:
                self._append(self._begin_pass(), data)
            else:
                self._to_draft()
                self._write_scratch(offset, data)
        except OSError as e:
            raise refused(e) from e
        return size

    def truncate(self, size: int) -> None:
        """Cut the file or stretch it with zeros. Raises FileError(ENOSPC, EIO, EFBIG)."""
        if size == self._size:
            return
        if size > MAX_SIZE:
            raise FileError(errno.EFBIG, "A file has at most 32 TiB.")
        if size == 0:
            self._leave_all()
            self._dirty = True
            return
        try:
            self._to_draft()
            assert self._scratch is not None
            self._scratch.truncate(size)
            self._result = None
        except OSError as e:
            raise refused(e) from e
        self._size = size
        self._dirty = True

    # -- becoming final --------------------------------------------------------------------

    def finish(
        self, name: bytes, mtime_ns: int, media_type_of: Callable[[bytes], str]
    ) -> Content | DraftSaved | None:
        """Bring what was written into a form that a journal line can name.

        A first pass becomes a content (in the spool, in final form), anything else a draft;
        None when nothing changed, and for an empty file, which needs no bytes. Nothing is
        synced. ``media_type_of`` is given the first bytes, at most 128 KiB. ``name`` goes into
        the sealed trailer. Raises FileError(ENOSPC, EIO); call again, or go on writing. When
        the line cannot be written, call ``not_recorded`` with what this returned.
        """
        if not self._dirty:
            return None
        if self._result is not None:
            result, self._result = self._result, None
            self._dirty = False
            return result
        if self._size == 0:
            self.forget()
            return None
        try:
            if self._pass is not None and self._pass.may_finish:
                content = self._pass.finish(name, mtime_ns, media_type_of)
                self.become(content)
                return content
            self._to_draft()
        except OSError as e:
            raise refused(e) from e
        return self._saved()

    def checkpoint(self) -> DraftSaved:
        """Bring everything written so far into a form that a journal line can name, for fsync.

        A first pass goes on: only its unsealed tail is copied into a scratch log. The bytes
        are to be synced by spool and scratch logs, then the line. Raises FileError.
        """
        try:
            if self._pass is None:
                self._to_draft()
                return self._saved()
            base = self._mirror(self._pass)
        except OSError as e:
            raise refused(e) from e
        self._named = self._scratch_named = True
        for name in self._pass.names():
            self._spool.touch(name)
        assert self._scratch is not None
        return DraftSaved(self.file, self._scratch.id, self._scratch.length, self._size, base)

    def not_recorded(self, result: Content | DraftSaved) -> None:
        """Take back what finish() returned last, because no journal line names it.

        The file is dirty again, and the next finish() returns the same, or what was changed.
        """
        self._result = result
        self._dirty = True

    def forget(self) -> None:
        """Forget all bytes: the file is empty and clean. Nothing that a note names is removed."""
        self._leave_all()
        self._dirty = False

    def abandon(self) -> None:
        """Forget all bytes because the file is gone, and close."""
        self.forget()
        self.close()

    def close(self) -> None:
        """Close descriptors. Unfinished changes are given up; what notes name stays."""
        if self._dirty:
            self._leave_all()
        if self._reader is not None:
            self._reader.close()
        if self._scratch is not None:
            self._scratch.close()

    # -- a first pass ----------------------------------------------------------------------

    def _begin_pass(self) -> FirstPass:
        self._leave_all()
        self._state = _State.PASS
        self._pass = FirstPass(self._spool, self._ring)
        return self._pass

    def _append(self, first: FirstPass, data: Buffer) -> None:
        self._dirty = True
        try:
            first.append(data)
        finally:
            self._size = first.size

    def become(self, content: Content) -> None:
        """Be clean over a content; a scratch log that a note names stays for the caller.

        Also for right after ``finish``: the same bytes may be recorded in other objects.
        """
        scratch, named = self._scratch, self._scratch_named
        self._scratch = None
        self._reset(Base(content, content.size), self._contents.reader(content), content.size)
        if scratch is not None:
            scratch.close()
            if not named:
                self._contents.scratches.remove(scratch.id)

    def _mirror(self, first: FirstPass) -> Base | None:
        """Copy the tail of the pass, which its base does not have, into a scratch log."""
        base, sealed = first.base()
        scratch = self._own_scratch(0)
        scratch.lie_over(sealed)
        begin = max(sealed, self._mirrored)
        if begin < self._size:
            tail = memoryview(bytearray(self._size - begin))
            first.read_into(begin, tail)
            scratch.write_all(begin, tail)
            self._mirrored = self._size
        return base

    # -- a draft ---------------------------------------------------------------------------

    def _to_draft(self) -> None:
        """Be a draft, whatever this was. Raises OSError with nothing changed."""
        if self._state is _State.DRAFT:
            return
        if self._state is _State.CLEAN:
            self._own_scratch(self._size)
            if self._result is not None and self._base is not None:
                # The content is in final form but nowhere recorded: it lives with the draft.
                self._base = Base(replace(self._base.content, id=UNRECORDED), self._size)
            self._result = None
            self._state = _State.DRAFT
            return
        assert self._pass is not None
        base = self._mirror(self._pass)
        # An object that is not in this base has no whole chunk, so no note ever named it.
        self._pass.leave(base)
        self._pass = None
        self._mirrored = 0
        self._base = base
        self._reader = self._contents.base_reader(base) if base is not None else None
        self._state = _State.DRAFT

    def _own_scratch(self, base: int) -> Scratch:
        if self._scratch is None:
            self._scratch = self._contents.scratches.create(base)
            self._scratch_named = False
        return self._scratch

    def _write_scratch(self, offset: int, data: Buffer) -> None:
        assert self._scratch is not None
        self._result = None
        self._dirty = True
        try:
            self._scratch.write_all(offset, data)
        finally:
            self._size = self._scratch.size

    def _saved(self) -> DraftSaved:
        assert self._scratch is not None
        self._dirty = False
        self._scratch_named = True
        self._named = True
        log = self._scratch
        return DraftSaved(self.file, log.id, log.length, self._size, self._base)

    # -- nothing ---------------------------------------------------------------------------

    def _leave_all(self) -> None:
        """Be clean and empty. Removes what no note names."""
        doomed: tuple[Part, ...] = ()
        if self._pass is not None:
            if self._named:
                self._pass.leave_all()
            else:
                self._pass.leave(None)
        elif self._base is not None and self._base.content.id == UNRECORDED and not self._named:
            doomed = self._base.content.parts
        elif isinstance(self._result, Content):
            doomed = self._result.parts
        for part in doomed:
            self._spool.remove(part.name)
        if self._scratch is not None:
            self._scratch.close()
            if not self._scratch_named:
                self._contents.scratches.remove(self._scratch.id)
            self._scratch = None
        if self._reader is not None:
            self._reader.close()
        self._reset(None, None, 0)

    def _reset(self, base: Base | None, reader: ContentReader | None, size: int) -> None:
        self._base, self._reader, self._size = base, reader, size
        self._pass = None
        self._state = _State.CLEAN
        self._turn += 1
        self._dirty = False
        self._named = self._scratch_named = False
        self._mirrored = 0
        self._result = None
