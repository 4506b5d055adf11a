"""The catalog's folder on disk: who owns it, whether its file may be trusted, what failed.

Beside LMDB's ``data.mdb`` and ``lock.mdb`` it has ``owner``, locked by the process that has the
catalog open, and ``clean``, left by an orderly close: size and time of the data file it left.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import lmdb
import lmdb.verify

from tagfs.errors import FileError, Integrity, MountError

TRUSTED_SIZE = 64 * 1024 * 1024
"""Bytes of a file that is checked at every opening; a larger one only after an unclean end."""
_FULL = 1024 * 1024  # bytes; with less left, a failed write is taken for a full disk
_verify: Callable[[str], list[str]] = lmdb.verify.verify


def own(path: Path) -> int:
    """Return a locked descriptor that keeps every other process out of the folder."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = os.open(path / "owner", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(owner)
        raise MountError(
            "The catalog is in use by another tagfs process; unmount there first."
        ) from None
    return owner


def check(path: Path) -> bool:
    """Raise Integrity unless LMDB may be trusted with the file; return whether it was walked.

    LMDB follows the offsets of a page without looking where they lead, so a damaged page can
    kill the process instead of raising. The walk reads every page (4 ms for a megabyte), which
    a big file that was closed cleanly and not touched since is spared.
    """
    data, clean = path / "data.mdb", path / "clean"
    left = clean.read_bytes() if clean.exists() else b""
    clean.unlink(missing_ok=True)
    if not data.exists() or data.stat().st_size == 0:
        return False
    if data.stat().st_size > TRUSTED_SIZE and left == _clean_mark(data):
        return False
    try:
        problems = _verify(str(data))
    except Exception as error:  # whatever hostile bytes make the walk trip over
        problems = [str(error)]
    if problems:
        raise damaged(problems[0])
    return True


def _clean_mark(data: Path) -> bytes:
    status = data.stat()
    return b"%d %d" % (status.st_size, status.st_mtime_ns)


def leave_clean(path: Path) -> None:
    """Note what the data file is like, so that the next opening need not walk a big one."""
    with suppress(OSError):
        (path / "clean").write_bytes(_clean_mark(path / "data.mdb"))


def damaged(why: str) -> Integrity:
    return Integrity(f"The catalog is damaged ({why}) and has to be built again.")


def what_failed(error: lmdb.Error | OSError, path: Path) -> FileError | Integrity:
    """Tell a disk that refuses (try again later) from a file that is no longer sound."""
    if isinstance(error, OSError):
        code = error.errno or errno.EIO
    elif isinstance(error, lmdb.PanicError):
        code = errno.EIO
    else:
        code = getattr(error, "code", 0)  # LMDB's own codes are negative
        if code <= 0:
            return damaged(str(error))
    if code == errno.EIO and _is_full(path):
        code = errno.ENOSPC
    return FileError(code, f"The catalog could not be written ({os.strerror(code)}).")


def _is_full(path: Path) -> bool:
    # A full disk cuts a write short before it refuses one, and LMDB calls that EIO.
    try:
        space = os.statvfs(path)
    except OSError:
        return False
    return space.f_bavail * space.f_frsize < _FULL
