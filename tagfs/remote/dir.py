"""The directory store: objects are files of a folder of this machine, a disk or a network share.

A new object is written under a temporary name, fsynced, linked to its final name only if that is
free, and the folder is fsynced. The work is done in threads of its own, so that a disk that hangs
never takes the threads of others; a cancelled call leaves its thread to finish alone.
"""

from __future__ import annotations

import errno
import os
import stat as stat_
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import trio

from tagfs.errors import Exists, Full, NotFound, Refused, Unreachable
from tagfs.remote.folder import Folder, NotConnected, fill_from, fill_with
from tagfs.remote.store import (
    PAGE,
    Bytes,
    Page,
    Space,
    Stat,
    Store,
    check_name,
    check_prefix,
    check_range,
    check_size,
    too_long,
)

_T = TypeVar("_T")

_THREADS = 8
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EINVAL,
)


class DirStore(Store):
    """Keeps objects as files below ``root``.

    ``create`` says that ``root`` may be missing or empty because the store is a new one. Without
    it such a folder is `Unreachable`: it is what a disk leaves behind that is not connected, and
    what is written there would be lost from sight as soon as the disk comes back.
    """

    kind = "dir"

    def __init__(self, root: Path, *, create: bool) -> None:
        self.where = str(root)
        self._folder = Folder(root, create)
        self._limiter = trio.CapacityLimiter(_THREADS)

    async def put(self, name: str, data: Bytes) -> None:
        check_name(name)
        check_size(name, memoryview(data).nbytes)
        await self._in_thread(name, lambda: self._folder.write(name, fill_with(data)))

    async def put_file(self, name: str, path: Path) -> None:
        check_name(name)

        def write() -> None:
            # An unreadable source is the caller's trouble, not the store's: not translated.
            with open(path, "rb", buffering=0) as source:
                size = os.fstat(source.fileno()).st_size
                check_size(name, size)
                with self._translated(name):
                    self._folder.write(name, fill_from(source.fileno(), size))

        await self._thread(write)

    async def get(self, name: str, offset: int = 0, size: int | None = None) -> bytes:
        check_name(name)
        check_range(offset, size)

        def read() -> bytes:
            try:
                return self._folder.read(name, offset, size)
            except OverflowError as error:
                raise too_long(name, int(error.args[0])) from None
            except NotADirectoryError:
                raise FileNotFoundError(errno.ENOENT, name) from None

        return await self._in_thread(name, read)

    async def stat(self, name: str) -> Stat:
        check_name(name)

        def look() -> Stat:
            try:
                return Stat(self._folder.size(name))
            except NotADirectoryError:
                raise FileNotFoundError(errno.ENOENT, name) from None

        return await self._in_thread(name, look)

    async def list(self, prefix: str = "", cursor: str | None = None) -> Page:
        check_prefix(prefix)
        found = await self._in_thread(
            prefix, lambda: self._folder.entries(prefix, cursor or "", PAGE + 1)
        )
        return Page(tuple(found[:PAGE]), found[PAGE - 1].name if len(found) > PAGE else None)

    async def delete(self, name: str) -> None:
        check_name(name)
        await self._in_thread(name, lambda: self._folder.remove(name))

    async def space(self) -> Space | None:
        try:
            total, free = await self._in_thread("", self._folder.space)
        except NotFound:
            return None  # a new store, not made yet
        return Space(total, free)

    def local_path(self, name: str) -> Path | None:
        path = self._folder.root
        try:
            for segment in check_name(name).split("/"):
                path = path / segment
                mode = path.lstat().st_mode
                if stat_.S_ISLNK(mode):
                    return None  # `get` refuses it with a message
        except OSError:
            return None
        return path if stat_.S_ISREG(mode) else None

    async def _in_thread(self, name: str, work: Callable[[], _T]) -> _T:
        def work_translated() -> _T:
            with self._translated(name):
                return work()

        return await self._thread(work_translated)

    async def _thread(self, work: Callable[[], _T]) -> _T:
        return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._limiter)

    @contextmanager
    def _translated(self, name: str) -> Iterator[None]:
        """Turn an OSError into the error of the tree that says what it means for a store."""
        what = f"object {name} in {self.where}"
        try:
            yield
        except NotConnected as error:
            raise Unreachable(
                f"The folder of the vault, {self.where}, is {error.strerror}. "
                "Connect the disk it lies on."
            ) from error
        except FileExistsError as error:
            raise Exists(f"There is an {what} already.") from error
        except FileNotFoundError as error:
            raise NotFound(f"There is no {what}.") from error
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            if error.errno in _FULL:
                raise Full(f"No space left for {what} ({why}). Free some there.") from error
            if error.errno in _REFUSED:
                raise Refused(f"The file system refuses {what} ({why}).") from error
            raise Unreachable(f"Cannot reach {what} ({why}). tagfs tries again.") from error
