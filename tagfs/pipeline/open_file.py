"""An open file: the bytes that all handles of one inode share, and when they become a content."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

from tagfs.catalog.records import FileRecord
from tagfs.errors import FileError
from tagfs.model import Content, FileId, UnitId
from tagfs.pipeline.drafts import OpenContent
from tagfs.pipeline.notes import DraftSaved

Bytes = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Writing:
    """What writing through one handle means."""

    act: UnitId  # the user's act that it belongs to
    emptied: bool = False  # by opening it: a new content, rather than an edit of the old one
    again: bool = False  # over what the same handle made final, which nobody will miss


class Keeper(Protocol):
    """What an open file asks of the gallery."""

    def now_ns(self) -> int:
        """Return the time."""

    def file_record(self, file: FileId) -> FileRecord | None:
        """Return the file's record as it is now."""

    def settle(self, file: FileRecord, content: Content, mtime_ns: int, why: Writing) -> None:
        """Journal that a file holds a sealed content."""

    def save_draft(self, file: FileRecord, draft: DraftSaved, mtime_ns: int, why: Writing) -> None:
        """Journal that a file's bytes are in a scratch log."""

    def settle_empty(self, file: FileRecord, mtime_ns: int, why: Writing) -> None:
        """Journal that a file is empty."""

    def closed(self, file: OpenFile) -> None:
        """The last handle is gone."""

    async def sync(self) -> None:
        """Wait until everything journalled survives a power cut."""

    def media_type(self, name: bytes) -> Callable[[bytes], str]:
        """Return the function that tells a content's media type from its first bytes."""


class OpenFile:
    """One inode while somebody has it open."""

    def __init__(self, keeper: Keeper, file: FileId, bytes_: OpenContent) -> None:
        self._keeper = keeper
        self.file = file
        self.bytes = bytes_
        self.handles = 0
        self.finisher: FileHandle | None = None
        """The handle that made final what the file holds, while no other has changed it since."""
        self._final: object = None  # what it was
        self._mtime: int | None = None  # of the last write, or as set since
        self._ctime = 0  # of the last write or setting

    @property
    def mtime_ns(self) -> int | None:
        """Modification time that is not journalled yet, None when there is none."""
        return self._mtime

    @property
    def ctime_ns(self) -> int:
        """When bytes or their time were last changed, to the millisecond, as journals have it."""
        return self._ctime // 1_000_000 * 1_000_000

    @property
    def dirty(self) -> bool:
        """Whether there are bytes that no journal line names."""
        return self.bytes.dirty

    def set_mtime(self, mtime_ns: int) -> bool:
        """Use this time for what is being written; False when nothing is."""
        if not self.dirty:
            return False
        self._mtime, self._ctime = mtime_ns, self._keeper.now_ns()
        return True

    def write(self, offset: int, data: Bytes) -> int:
        """Take all of ``data``."""
        self.bytes.write(offset, data)
        self._mtime = self._ctime = self._keeper.now_ns()
        return len(data)

    def truncate(self, size: int) -> None:
        """Cut the file or extend it by zeros."""
        if size != self.bytes.size:
            self.bytes.truncate(size)
            self._mtime = self._ctime = self._keeper.now_ns()

    def flush(self, why: Writing) -> bool:
        """Journal what was written and say whether there was anything.

        A file that nobody can reach any more needs no line; undo may have put it into the trash.
        """
        record = self._keeper.file_record(self.file)
        if not self.dirty or record is None or not record.kept:
            return False
        mtime = self._mtime if self._mtime is not None else self._keeper.now_ns()
        name = record.any_name
        if self.bytes.size == 0:
            self.bytes.forget()
            self._keeper.settle_empty(record, mtime, why)
        else:
            result = self.bytes.finish(name, mtime, self._keeper.media_type(name))
            try:
                if isinstance(result, Content):
                    self._keeper.settle(record, result, mtime, why)
                elif result is not None:
                    self._keeper.save_draft(record, result, mtime, why)
            except FileError:
                # The line was not written, so these bytes are still to be journalled.
                if result is not None:
                    self.bytes.not_recorded(result)
                raise
        self._mtime = None
        return True

    def finished(self, handle: FileHandle) -> None:
        """A handle made final what the file holds now."""
        record = self._keeper.file_record(self.file)
        self.finisher, self._final = handle, None if record is None else record.content

    def finished_by(self, handle: FileHandle) -> bool:
        """Whether this handle made final what the file holds."""
        if self.finisher is not handle:
            return False
        record = self._keeper.file_record(self.file)
        return record is not None and record.content == self._final

    async def fsync(self, why: Writing) -> None:
        """Make what was written so far survive a power cut; a sequential pass goes on after."""
        record = self._keeper.file_record(self.file)
        if self.dirty and record is not None and record.kept and self.bytes.size:
            mtime = self._mtime if self._mtime is not None else self._keeper.now_ns()
            self._keeper.save_draft(record, self.bytes.checkpoint(), mtime, why)
        await self._keeper.sync()


class FileHandle:
    """One ``open`` of an open file."""

    def __init__(self, file: OpenFile, writing: Writing | None, act: UnitId) -> None:
        """``writing``: None for a handle that only reads."""
        self._file = file
        self._writing = writing
        self._act = act
        file.handles += 1

    @property
    def keep_cache(self) -> bool:
        """The kernel's pages stay right: every change of this inode's bytes goes through it."""
        return True

    def read_now(self, offset: int, size: int) -> Bytes | None:
        """Return bytes that are on this machine, None when they are not."""
        return self._file.bytes.read_now(offset, size)

    def read(self, offset: int, size: int) -> Awaitable[Bytes]:
        """Return bytes after fetching what is missing."""
        return self._file.bytes.read(offset, size)

    def write(self, offset: int, data: Bytes) -> int:
        """Take all of ``data``."""
        if self._file.finisher is not self:
            self._file.finisher = None
        return self._file.write(offset, data)

    def truncate(self, size: int) -> None:
        """Cut the file or extend it by zeros."""
        if self._file.finisher is not self:
            self._file.finisher = None
        self._file.truncate(size)

    async def flush(self) -> None:
        """Make what was written survive the death of this process."""
        self._flush()

    async def fsync(self) -> None:
        """Make what was written survive a power cut."""
        await self._file.fsync(self._why or Writing(self._act))

    async def release(self) -> None:
        """Let go; what a shared mapping wrote after the last close becomes final here."""
        self._flush()
        self.let_go()

    def let_go(self) -> None:
        """Let go of a file that was not written to."""
        self._file.handles -= 1
        if self._file.handles == 0:
            self._file._keeper.closed(self._file)

    @property
    def _why(self) -> Writing | None:
        if self._writing is None or not self._file.finished_by(self):
            return self._writing
        return replace(self._writing, again=True)

    def _flush(self) -> None:
        why = self._why
        if why is not None and self._file.flush(why):
            self._file.finished(self)
