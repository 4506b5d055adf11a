"""The seam through which the local side changes the disk, so that tests can cut the power.

Only what changes the disk goes through here; reads use ``os`` directly, because a recorder
(tests/pipeline/powercut.py) passes every change on to a real folder and only writes it down.
Everything is created with mode 0600 or 0700 and never follows a link in the last component.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

Buffer = bytes | bytearray | memoryview
"""What can be written without a copy (``collections.abc.Buffer`` needs Python 3.12)."""


class Disk(Protocol):
    """Changes to local files. Every call blocks at most for the page cache, but for the syncs.

    All raise OSError as the operating system does; callers decide what it means.
    """

    def make_folder(self, path: Path) -> bool:
        """Create a folder of mode 0700; return False when it was there already."""

    def create(self, path: Path) -> int:
        """Create a file that must not exist yet; return a descriptor to read and write."""

    def open(self, path: Path, *, write: bool = False) -> int:
        """Open a file that exists; return its descriptor."""

    def close(self, fd: int) -> None:
        """Close a descriptor of create() or open()."""

    def pwrite(self, fd: int, data: Buffer, offset: int) -> int:
        """Write all of ``data`` at ``offset`` and return its length.

        When it fails, an unknown prefix has been written.
        """

    def fdatasync(self, fd: int) -> None:
        """Block until the file's bytes and size are on stable storage."""

    def fsync_folder(self, path: Path) -> None:
        """Block until the folder's entries are on stable storage."""

    def rename(self, old: Path, new: Path) -> None:
        """Rename within the file system, replacing what stands at ``new``."""

    def unlink(self, path: Path) -> None:
        """Remove a file; one that is not there is no error."""


class RealDisk:
    """The operating system's own files."""

    def make_folder(self, path: Path) -> bool:
        """See Disk."""
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            return False
        return True

    def create(self, path: Path) -> int:
        """See Disk."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(path, flags, 0o600)

    def open(self, path: Path, *, write: bool = False) -> int:
        """See Disk."""
        mode = os.O_RDWR if write else os.O_RDONLY
        return os.open(path, mode | os.O_CLOEXEC | os.O_NOFOLLOW)

    def close(self, fd: int) -> None:
        """See Disk."""
        os.close(fd)

    def pwrite(self, fd: int, data: Buffer, offset: int) -> int:
        """See Disk."""
        size = len(data)
        done = os.pwrite(fd, data, offset)
        if done < size:  # a full disk first writes short, and fails only when asked again
            view = memoryview(data)
            while done < size:
                done += os.pwrite(fd, view[done:], offset + done)
        return size

    def fdatasync(self, fd: int) -> None:
        """See Disk."""
        os.fdatasync(fd)

    def fsync_folder(self, path: Path) -> None:
        """See Disk."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, old: Path, new: Path) -> None:
        """See Disk."""
        os.rename(old, new)

    def unlink(self, path: Path) -> None:
        """See Disk."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass


REAL = RealDisk()
"""The one that everything uses unless a test says otherwise."""


def sync_file(disk: Disk, path: Path) -> None:
    """Block until a file's bytes are on stable storage; one that was removed needs nothing.

    Opens it anew, so that many files can be dirty without as many descriptors; Linux tells a
    write-back error to the first who asks, whichever descriptor wrote.
    """
    try:
        fd = disk.open(path)
    except FileNotFoundError:
        return
    try:
        disk.fdatasync(fd)
    finally:
        disk.close(fd)
