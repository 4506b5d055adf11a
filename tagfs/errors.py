"""Every error that tagfs raises on purpose, in one tree.

TagfsError
 +- Usage                what the user asked for makes no sense (exit 2)
 +- WrongSecret          the passphrase or the recovery words do not open the vault (exit 3)
 +- NotAVault            nothing there, or something else (exit 4)
 |   +- NewerVault       written by a newer tagfs (exit 4)
 +- RemoteError          the store did not do what was asked (exit 5)
 |   +- Unreachable      offline or no answer in time: try again later
 |   +- Limited          the provider asks to slow down: try again after ``retry_after``
 |   +- Refused          the provider says no: trying again does not help
 |   +- Full             no space left at the provider
 |   +- Revoked          the login is no longer accepted
 |   +- NotFound         no object of that name
 |   +- Exists           an object of that name is already there
 |   +- BadName          a name that no store may be given
 +- Integrity            something does not verify; names it (exit 6)
 +- MountError           not mounted, already mounted, unusable mountpoint, no FUSE (exit 7)
 +- Unfinished           done, but for some items, which are listed (exit 8)
 +- FileError            one file-system request is refused; carries the errno
"""

from __future__ import annotations

import errno as _errno
import os


class TagfsError(Exception):
    """Root of the tree. The message is one sentence: what happened, to what, what to do."""

    exit_code = 1


class Usage(TagfsError):
    """What was asked for makes no sense; the message says what would."""

    exit_code = 2


class WrongSecret(TagfsError):
    """The passphrase or recovery words do not open this vault."""

    exit_code = 3


class NotAVault(TagfsError):
    """There is no vault at this place."""

    exit_code = 4


class NewerVault(NotAVault):
    """The vault was written by a newer tagfs than this one."""


class RemoteError(TagfsError):
    """The remote store did not do what was asked."""

    exit_code = 5


class Unreachable(RemoteError):
    """No answer from the store; raised by stores, retried by the retry layer."""


class Limited(RemoteError):
    """The store asks for fewer requests; wait ``retry_after`` seconds."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Refused(RemoteError):
    """The store says no; the same call will be refused again."""


class Full(RemoteError):
    """The store has no space left."""


class Revoked(RemoteError):
    """The store no longer accepts this login."""


class NotFound(RemoteError):
    """The store has no object of that name."""


class Exists(RemoteError):
    """The store already has an object of that name, which was left as it is."""


class BadName(RemoteError):
    """The name is not one that every store can keep."""


class Integrity(TagfsError):
    """Something stored does not verify; the message names the object."""

    exit_code = 6


class MountError(TagfsError):
    """The mountpoint or FUSE itself cannot be used; the message says why."""

    exit_code = 7


class Unfinished(TagfsError):
    """Most was done; ``items`` lists what was not."""

    exit_code = 8

    def __init__(self, message: str, items: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.items = items


class FileError(TagfsError):
    """A file-system request is refused. ``errno`` is what the kernel is told."""

    def __init__(self, errno: int, message: str = "") -> None:
        super().__init__(message or os.strerror(errno))
        self.errno = errno


def not_permitted(why: str) -> FileError:
    """Return the error for what a view does not allow."""
    return FileError(_errno.EPERM, why)


def no_entry(what: str = "") -> FileError:
    """Return the error for a name that does not resolve."""
    return FileError(_errno.ENOENT, what)
