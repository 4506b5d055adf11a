"""The one table from exceptions to what the kernel is told."""

from __future__ import annotations

import errno

import trio

from tagfs.errors import FileError, Full, Integrity, Limited, NotFound, Revoked, Unreachable, Usage

TABLE: tuple[tuple[type[BaseException], int], ...] = (
    (Unreachable, errno.ENETUNREACH),
    (Limited, errno.ENETUNREACH),
    (Revoked, errno.ENETUNREACH),
    (trio.TooSlowError, errno.ENETUNREACH),
    (Full, errno.ENOSPC),
    (NotFound, errno.EIO),
    (Integrity, errno.EIO),
    (Usage, errno.EINVAL),
    (MemoryError, errno.ENOMEM),
)
"""First match counts. FileError and OSError carry their own number; the rest is EIO."""

PASSED_ON = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of the backing disk that a writing program can do something about. Any other, such as a
missing spool file's ENOENT, would be taken for a statement about the file in the mount."""


def errno_of(error: BaseException) -> int:
    """Return the errno that stands for an exception; of a group, that of its first member."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, FileError):
        return error.errno
    for kind, number in TABLE:
        if isinstance(error, kind):
            return number
    if isinstance(error, OSError) and error.errno in PASSED_ON:
        return error.errno
    return errno.EIO


def expected(error: BaseException) -> bool:
    """Whether this is an answer rather than a fault of tagfs that its log should mention."""
    return isinstance(error, FileError) or any(isinstance(error, kind) for kind, _ in TABLE)
