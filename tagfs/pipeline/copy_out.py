"""The folder that an export writes into: blocking file work, for threads; raises OSError.

Links that lie below the folder are never followed, and nothing that is there is replaced.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterable

from tagfs.crypto.contentid import ContentHasher
from tagfs.model import CHUNK

Way = tuple[bytes, ...]
"""Folders below the destination, then the name."""

TEMPORARY = b".tagfs-export"
"""Name of a file on its way in; one folder has one at most, which the next run writes anew."""
MARK = b'x:xmptk="tagfs"'
"""Stands in the sidecars that tagfs has written; only those are replaced."""

_NOFOLLOW = os.O_NOFOLLOW | os.O_CLOEXEC


class Target:
    """One destination. ``key`` is the vault's key for content ids."""

    def __init__(self, root: bytes, key: bytes) -> None:
        self.root = root
        self._key = key
        self._folders: set[Way] = set()

    def begin(self) -> None:
        """Make the destination where it is not there."""
        os.makedirs(self.root, exist_ok=True)
        self.root = os.path.realpath(self.root)
        self._folders.add(())

    def make_folder(self, way: Way, mode: int | None = None) -> None:
        """Make a folder and those above it."""
        if way in self._folders:
            return
        self.make_folder(way[:-1])
        path = self._path(way)
        try:
            # Others' bits come at the end, so that what has to be written into can be.
            os.mkdir(path, 0o700)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
            if not os.access(path, os.W_OK | os.X_OK):
                os.chmod(path, 0o700)  # as it was left by the last run; the end sets it again
        else:
            if mode is None:
                os.chmod(path, 0o755)
        self._folders.add(way)

    def compare(self, way: Way, ident: bytes, size: int, target: bytes | None) -> bool | None:
        """Say whether this file is there with these bytes; None when nothing is there.

        ``target`` is a symbolic link's.
        """
        self.make_folder(way[:-1])
        path = self._path(way)
        try:
            there = os.lstat(path)
        except FileNotFoundError:
            return None
        if target is not None:
            return stat.S_ISLNK(there.st_mode) and os.readlink(path) == target
        if not stat.S_ISREG(there.st_mode) or there.st_size != size:
            return False
        return size == 0 or self._content_id(path, size) == ident

    def _content_id(self, path: bytes, size: int) -> bytes:
        hasher = ContentHasher(self._key)
        fd = os.open(path, os.O_RDONLY | _NOFOLLOW)
        with os.fdopen(fd, "rb") as file:
            while chunk := file.read(CHUNK):
                hasher.chunk(chunk)
        return hasher.digest()

    def link_to(self, way: Way, target: bytes) -> None:
        """Make a symbolic link."""
        os.symlink(target, self._path(way))

    def twin(self, there: Way, way: Way) -> bool:
        """Make a second name of a file that was written; say whether the file system can."""
        try:
            os.link(self._path(there), self._path(way))
        except OSError:
            return False
        return True

    def open(self, way: Way) -> int:
        """Begin a file; it gets its name when it is finished. Locked against other exports."""
        temporary = self._temporary(way)
        while True:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | _NOFOLLOW, 0o600)
            try:
                _lock(fd)
                if _is(fd, temporary):
                    os.ftruncate(fd, 0)
                    return fd
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)  # whoever had it has given it its name meanwhile

    def write(self, fd: int, data: bytes | bytearray | memoryview) -> None:
        """Write all of ``data``."""
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    def finish(self, way: Way, fd: int, mode: int, mtime_ns: int) -> None:
        """Give a file its mode, its time and its name, when its bytes survive a power cut."""
        temporary = self._temporary(way)
        try:
            os.fsync(fd)
            _set_mode(fd, mode)
            os.utime(fd, ns=(mtime_ns, mtime_ns))
            if os.path.lexists(self._path(way)):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
            os.rename(temporary, self._path(way))
        except BaseException:
            _remove(temporary)
            raise
        finally:
            os.close(fd)  # with the lock, so not before it has its name

    def abandon(self, way: Way, fd: int) -> None:
        """Give a file up."""
        _remove(self._temporary(way))
        os.close(fd)

    def sidecar(self, way: Way, text: bytes) -> bool:
        """Write ``NAME.xmp`` beside a file; ``NAME.tagfs.xmp`` where somebody else's is there.

        Says whether anything was written: not where it says the same already.
        """
        path = self._path(way)
        for place in (path + b".xmp", path + b".tagfs.xmp"):
            old = _read(place)
            if old == text:
                return False
            if old is None or MARK in old[:512]:
                fd = self.open(way)
                try:
                    self.write(fd, text)
                    os.fsync(fd)
                    _set_mode(fd, 0o644)
                    os.rename(self._temporary(way), place)
                finally:
                    os.close(fd)
                return True
        raise FileExistsError(errno.EEXIST, "Something else has the name of its sidecar there")

    def end(self, folders: Iterable[tuple[Way, int, int]]) -> None:
        """Give the folders their modes and times, and bring their entries to stable storage."""
        for way in self._folders:
            self._sweep(way)
            fd = os.open(self._path(way), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        for way, mode, mtime_ns in sorted(folders, key=lambda f: -len(f[0])):
            if way in self._folders:
                _set_mode(self._path(way), mode)
                os.utime(self._path(way), ns=(mtime_ns, mtime_ns))

    def _sweep(self, folder: Way) -> None:
        """Remove what an export that was killed had begun here."""
        temporary = self._temporary((*folder, b""))
        try:
            fd = os.open(temporary, os.O_WRONLY | _NOFOLLOW)
        except OSError:
            return
        try:
            _lock(fd)
            if _is(fd, temporary):
                _remove(temporary)
        except BlockingIOError:
            pass  # it is going on
        finally:
            os.close(fd)

    def _path(self, way: Way) -> bytes:
        return b"/".join((self.root, *way))

    def _temporary(self, way: Way) -> bytes:
        return self._path((*way[:-1], TEMPORARY))


def _lock(fd: int) -> None:
    """Lock a file that is being written; BlockingIOError when another export has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BlockingIOError(errno.EWOULDBLOCK, "Another export is writing there") from None
    except OSError:
        return  # a file system without locks


def _is(fd: int, path: bytes) -> bool:
    """Whether a path still leads to an open file."""
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return False
    mine = os.fstat(fd)
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def _set_mode(file: int | bytes, mode: int) -> None:
    """Set permission bits where the file system has any."""
    try:
        os.chmod(file, mode & 0o777)
    except PermissionError:
        return


def _read(path: bytes) -> bytes | None:
    """Return a sidecar's bytes, of something longer only the beginning; None for nothing."""
    try:
        fd = os.open(path, os.O_RDONLY | _NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(fd, "rb") as file:
        return file.read(1024 * 1024)


def _remove(path: bytes) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
