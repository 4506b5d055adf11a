"""What the mount holds for one open: a file's handle, or a generated text."""

from __future__ import annotations

import errno
from collections.abc import Callable

from tagfs.errors import FileError
from tagfs.pipeline.open_file import Bytes, FileHandle


class Opened:
    """One open file, from ``open`` to ``release`` (tagfs/mount/seam.py)."""

    def __init__(
        self,
        ino: int,
        handle: FileHandle | None,
        text: bytes = b"",
        released: Callable[[], None] | None = None,
        fetching: Callable[[], None] | None = None,
    ) -> None:
        """``fetching`` is called once, when bytes of the file are not on this machine."""
        self.ino = ino
        self._fetching = fetching
        self._released = released
        self._handle = handle
        self._text = text

    @classmethod
    def of_text(cls, ino: int, text: bytes) -> Opened:
        """Open a generated text as it reads at this moment."""
        return cls(ino, None, text)

    @property
    def keep_cache(self) -> bool:
        """Whether the kernel's pages of this inode are still right."""
        return self._handle is not None and self._handle.keep_cache

    def read_now(self, offset: int, size: int) -> Bytes | None:
        """Return bytes that are on this machine, None when they are not."""
        if self._handle is None:
            return self._text[offset : offset + size]
        return self._handle.read_now(offset, size)

    async def read(self, offset: int, size: int) -> Bytes:
        """Return bytes after fetching what is missing."""
        if self._handle is None:
            return self._text[offset : offset + size]
        if self._fetching is not None:
            self._fetching()
            self._fetching = None
        return await self._handle.read(offset, size)

    def write(self, offset: int, data: Bytes) -> int:
        """Take all of ``data``."""
        return self._need().write(offset, data)

    def truncate(self, size: int) -> None:
        """Cut the file or extend it by zeros."""
        self._need().truncate(size)

    async def flush(self) -> None:
        """Make what was written survive the death of this process."""
        if self._handle is not None:
            await self._handle.flush()

    async def fsync(self) -> None:
        """Make what was written survive a power cut."""
        if self._handle is not None:
            await self._handle.fsync()

    async def release(self) -> None:
        """Let go of the file."""
        if self._handle is not None:
            await self._handle.release()
        if self._released is not None:
            self._released()

    def _need(self) -> FileHandle:
        if self._handle is None:
            raise FileError(errno.EPERM, "This text is made by tagfs.")
        return self._handle
