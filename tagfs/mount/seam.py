"""What the mount asks of the tree behind it; tagfs.views and the tests' plain tree both answer.

Everything is sync and must return at once, except what is async, which may wait for the disk or
the network and is cut off at a deadline (tagfs.mount.patience), so it has to survive being
cancelled. Refusals are FileError; tagfs.mount.errnos says what the kernel is told for the rest.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Protocol

from tagfs.errors import FileError
from tagfs.views.nodes import Attr

Bytes = bytes | bytearray | memoryview
Changed = Callable[[int, bytes | None], None]
"""``(directory, name)`` for an entry, ``(inode, None)`` for attributes that are different now."""


class Opened(Protocol):
    """One open file, from ``open`` to ``release``."""

    @property
    def ino(self) -> int:
        """The inode that was opened."""

    @property
    def keep_cache(self) -> bool:
        """Whether the pages that the kernel holds of this inode are still right."""

    def read_now(self, offset: int, size: int) -> Bytes | None:
        """Return ``size`` bytes, fewer only at the end; None when they are not on this machine.

        The buffer may be reused by the next call.
        """

    async def read(self, offset: int, size: int) -> Bytes:
        """Return the same after fetching what is missing."""

    def write(self, offset: int, data: Bytes) -> int:
        """Take all of ``data`` and return its length."""

    def truncate(self, size: int) -> None:
        """Cut the file or extend it by zeros."""

    async def flush(self) -> None:
        """Make what was written survive the death of this process (called at each close)."""

    async def fsync(self) -> None:
        """Make what was written survive a power cut."""

    async def release(self) -> None:
        """Let go of the file; called once."""


class Tree(Protocol):
    """Inodes, names and what changing them means."""

    def acting(self, pid: int) -> None:
        """Whose calls follow, until another process is named."""

    def refused(self, error: FileError) -> None:
        """A program is answered with this error, of which the kernel passes on the number only."""

    def attr(self, ino: int) -> Attr:
        """Return what ``stat`` shows of an inode."""

    def look_up(self, parent: int, name: bytes) -> Attr:
        """Resolve one name; ENOENT when nothing stands there."""

    def parent(self, ino: int) -> int:
        """Return the inode of the directory above a directory."""

    def list(self, ino: int, start: int) -> Iterator[tuple[int, bytes, Attr]]:
        """Yield (cookie, name, attributes) after cookie ``start``, without ``.`` and ``..``."""

    def read_link(self, ino: int) -> bytes:
        """Return where a symlink points."""

    def statfs(self) -> tuple[int, int, int]:
        """Return (total bytes, free bytes, files)."""

    def create(self, parent: int, name: bytes, mode: int) -> Attr:
        """Make an empty file; EEXIST when the name is taken."""

    def symlink(self, parent: int, name: bytes, target: bytes) -> Attr:
        """Make a symbolic link."""

    def mkdir(self, parent: int, name: bytes, mode: int) -> Attr:
        """Make a directory."""

    def link(self, ino: int, parent: int, name: bytes) -> Attr:
        """List a file in one more place."""

    def unlink(self, parent: int, name: bytes) -> None:
        """Remove a file from a place."""

    def rmdir(self, parent: int, name: bytes) -> None:
        """Remove an empty directory."""

    def rename(
        self, parent: int, name: bytes, new_parent: int, new_name: bytes, no_replace: bool
    ) -> None:
        """Move an entry."""

    def set_attr(self, ino: int, mode: int | None = None, mtime_ns: int | None = None) -> Attr:
        """Change mode or modification time."""

    async def open(self, ino: int, flags: int) -> Opened:
        """Open a file; ``flags`` as for open(2). ESTALE has the kernel look the name up again."""

    async def truncate(self, ino: int, size: int) -> Attr:
        """Cut or extend a file that the caller has not opened."""

    def on_change(self, listener: Changed) -> None:
        """Call ``listener`` for every change that the kernel cannot know of."""

    def on_arrival(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever bytes that somebody waits for have come in."""

    def forget(self, ino: int) -> None:
        """The kernel knows this inode no longer, and nobody has it open."""


class Attributed(Protocol):
    """Extended attributes: what a tree that has any holds as ``marks``."""

    def xattr(self, ino: int, name: bytes) -> bytes | None:
        """Return the value, None for an attribute that is not there."""

    def xattrs(self, ino: int) -> Sequence[bytes]:
        """Return the names to be listed."""

    def set_xattr(self, ino: int, name: bytes, value: bytes) -> None:
        """Write a value; FileError(ENOTSUP) for a name that means nothing here."""

    def remove_xattr(self, ino: int, name: bytes) -> None:
        """Remove an attribute; FileError(ENODATA) when it is not there."""


Sync = Callable[[], Awaitable[None]]
"""Return when everything that was answered so far survives a power cut."""
