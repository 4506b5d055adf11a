"""Blocking file work of the directory store: every path is walked without following a link.

A vault may lie on a disk that somebody else has prepared. A link planted in it must lead neither a
read nor a delete out of it, so names are resolved folder by folder from a descriptor of the root.
Raises OSError throughout; `tagfs.remote.dir` gives those their meaning.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import stat as stat_
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tagfs.remote.store import MAX_OBJECT, Bytes, Entry, is_name

TEMPORARY = ".tmp"
"""Folder of objects on their way in. No object name begins with a dot."""

_STALE = 24 * 3600  # seconds after which a temporary file is nobody's any more
_STEP = 1024 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a planted FIFO must not wait for a writer.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_RENAME_NOREPLACE = 1


class NotConnected(OSError):
    """The root folder is gone, or empty where a store is expected."""


class Folder:
    """The folder of one directory store."""

    def __init__(self, root: Path, create: bool) -> None:
        self.root = root
        self._new = create
        self._seen: tuple[int, int] | None = None
        self._lasting: set[str] = set()  # folders whose entry in their parent was fsynced
        self._swept = False
        self._lock = threading.Lock()  # over the looks at the root, which threads share

    def write(self, name: str, fill: Callable[[int], None]) -> None:
        """Make an object whose bytes ``fill`` writes into a descriptor; FileExistsError if taken.

        Either way what is there afterwards is on stable storage.
        """
        *folders, last = name.split("/")
        with self._walk(folders, make=True) as target, self._walk([TEMPORARY], make=True) as temps:
            if self._is_there(target, last):
                os.fsync(target)
                raise FileExistsError(errno.EEXIST, "exists", name)
            temporary = secrets.token_hex(16)
            try:
                fd = os.open(temporary, _WRITE, 0o600, dir_fd=temps)
                try:
                    fill(fd)
                    os.fsync(fd)
                    self._sweep(temps, os.fstat(fd).st_mtime)
                finally:
                    os.close(fd)
                _link_or_rename(temporary, temps, last, target)
            except FileExistsError:
                os.fsync(target)  # whoever made it may not have come so far yet
                raise
            finally:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=temps)
            os.fsync(target)

    def read(self, name: str, offset: int, size: int | None) -> bytes:
        """Return bytes of an object, fewer only at its end; OverflowError past `MAX_OBJECT`."""
        with self._open(name) as (fd, length):
            wanted = max(0, length - offset if size is None else min(size, length - offset))
            if wanted > MAX_OBJECT:
                raise OverflowError(length)
            data = bytearray(wanted)
            view, done = memoryview(data), 0
            while done < wanted:
                got = os.preadv(fd, [view[done:]], offset + done)
                if got == 0:
                    # A shorter object than fstat said is a failing disk, not the object's end.
                    raise OSError(errno.EIO, "the file shrank while it was read", name)
                done += got
            return bytes(data)

    def size(self, name: str) -> int:
        """Return the bytes of an object."""
        with self._open(name) as (_, length):
            return length

    def entries(self, prefix: str, after: str, limit: int) -> list[Entry]:
        """Return up to ``limit`` objects in the order of their names, all later than ``after``."""
        found: list[Entry] = []
        try:
            with self._walk([], make=False) as root:
                for entry in self._scan(root, "", prefix, after):
                    found.append(entry)
                    if len(found) == limit:
                        break
        except FileNotFoundError:
            return []
        return found

    def remove(self, name: str) -> None:
        """Remove an object if it is there, for good also over a power cut."""
        *folders, last = name.split("/")
        try:
            with self._walk(folders, make=False) as folder:
                if self._is_there(folder, last):
                    os.unlink(last, dir_fd=folder)
                    os.fsync(folder)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return

    def space(self) -> tuple[int, int]:
        """Return total and free bytes of the file system."""
        with self._walk([], make=False) as root:
            of = os.fstatvfs(root)
            return of.f_blocks * of.f_frsize, of.f_bavail * of.f_frsize

    @contextmanager
    def _open(self, name: str) -> Iterator[tuple[int, int]]:
        """Open an object for reading; yields its descriptor and its length."""
        *folders, last = name.split("/")
        with self._walk(folders, make=False) as folder:
            fd = os.open(last, _READ, dir_fd=folder)
        try:
            status = os.fstat(fd)
            if not stat_.S_ISREG(status.st_mode):
                raise FileNotFoundError(errno.ENOENT, "not a plain file", name)
            yield fd, status.st_size
        finally:
            os.close(fd)

    @contextmanager
    def _walk(self, folders: list[str], make: bool) -> Iterator[int]:
        """Open the folder that lies ``folders`` below the root, made where ``make`` says so."""
        with self._lock:
            fd = self._open_root(make)
        try:
            path = ""
            for folder in folders:
                path = f"{path}/{folder}"
                try:
                    below = _open_below(fd, folder)
                except FileNotFoundError:
                    if not make:
                        raise
                    with suppress(FileExistsError):
                        os.mkdir(folder, 0o700, dir_fd=fd)
                    self._lasting.discard(path)
                    below = _open_below(fd, folder)
                above, fd = fd, below
                try:
                    if make and path not in self._lasting:
                        os.fsync(above)  # also for another writer, who may have crashed since
                        self._lasting.add(path)
                finally:
                    os.close(above)
            yield fd
        finally:
            os.close(fd)

    def _open_root(self, make: bool) -> int:
        """Open the root; `NotConnected` where it is not the folder that it was or should be."""
        if self._new and make:
            self._make_root()
        try:
            fd = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as error:
            if self._new and isinstance(error, FileNotFoundError):
                raise
            raise NotConnected(errno.ENODEV, "not there", str(self.root)) from error
        try:
            status = os.fstat(fd)
            identity = (status.st_dev, status.st_ino)
            if identity != self._seen:
                # An empty folder is what a disk leaves behind when it is taken away.
                empty = not os.listdir(fd)
                if empty and not self._new:
                    raise NotConnected(errno.ENODEV, "empty", str(self.root))
                self._lasting.clear()
                if make or not empty:
                    self._seen, self._new = identity, False
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _make_root(self) -> None:
        missing = [p for p in (self.root, *self.root.parents) if not p.exists()]
        self.root.mkdir(0o700, parents=True, exist_ok=True)
        for path in missing:
            fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    @staticmethod
    def _is_there(folder: int, name: str) -> bool:
        """Say whether a plain file is there; IsADirectoryError for a folder, ELOOP for a link."""
        try:
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return False
        if stat_.S_ISLNK(mode):
            raise OSError(errno.ELOOP, "a link inside a store", name)
        if stat_.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "a folder of other objects", name)
        return stat_.S_ISREG(mode)

    def _scan(self, folder: int, path: str, prefix: str, after: str) -> Iterator[Entry]:
        """Yield the objects below an open folder whose names begin with ``path``."""
        with os.scandir(folder) as listing:
            # With its slash a folder sorts where the names below it belong.
            names = sorted(
                e.name + ("/" if e.is_dir(follow_symlinks=False) else "") for e in listing
            )
        for name in names:
            full = path + name
            if not name.endswith("/"):
                if full > after and full.startswith(prefix) and is_name(full):
                    with suppress(FileNotFoundError):  # deleted meanwhile
                        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                        if stat_.S_ISREG(status.st_mode):
                            yield Entry(full, status.st_size)
            elif (
                is_name(full[:-1])
                and (full.startswith(prefix) or prefix.startswith(full))
                and (full > after or after.startswith(full))
            ):
                with suppress(FileNotFoundError):
                    below = os.open(name[:-1], _FOLDER, dir_fd=folder)
                    try:
                        yield from self._scan(below, full, prefix, after)
                    finally:
                        os.close(below)

    def _sweep(self, temps: int, now: float) -> None:
        """Remove what crashed writers left a day ago, by the clock of this file system."""
        if self._swept:
            return
        self._swept = True
        for name in os.listdir(temps):
            with suppress(OSError):
                if os.stat(name, dir_fd=temps, follow_symlinks=False).st_mtime < now - _STALE:
                    os.unlink(name, dir_fd=temps)


def _open_below(fd: int, folder: str) -> int:
    """Open a folder inside an open one; OSError(ELOOP) for a link."""
    try:
        return os.open(folder, _FOLDER, dir_fd=fd)
    except NotADirectoryError:
        if stat_.S_ISLNK(os.stat(folder, dir_fd=fd, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, "a link inside a store", folder) from None
        raise


def fill_with(data: Bytes) -> Callable[[int], None]:
    """Return a function that writes ``data`` into a descriptor."""

    def fill(fd: int) -> None:
        view = memoryview(data).cast("B")
        while view:
            view = view[os.write(fd, view) :]

    return fill


def fill_from(source: int, size: int) -> Callable[[int], None]:
    """Return a function that writes the first ``size`` bytes of ``source`` into a descriptor."""

    def fill(fd: int) -> None:
        done = 0
        with suppress(OSError):  # other file systems, old kernels: the loop below does it
            while done < size:
                got = os.copy_file_range(source, fd, size - done, offset_src=done)
                if got == 0:
                    break
                done += got
        while done < size:
            block = os.pread(source, min(_STEP, size - done), done)
            if not block:
                raise OSError(errno.EIO, "the file shrank while it was copied")
            fill_with(block)(fd)
            done += len(block)

    return fill


def _link_or_rename(old: str, old_folder: int, new: str, new_folder: int) -> None:
    """Give a file its final name, never over another; FileExistsError if that is taken."""
    try:
        os.link(old, new, src_dir_fd=old_folder, dst_dir_fd=new_folder, follow_symlinks=False)
        return
    except OSError as error:
        # No hard links on FAT, exFAT and some network file systems.
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            raise
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(old_folder, old.encode(), new_folder, new.encode(), _RENAME_NOREPLACE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), new)
