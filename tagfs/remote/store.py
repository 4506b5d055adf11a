"""The store protocol: the handful of verbs that every remote answers, and what each promises.

A store keeps immutable objects under short names. It knows nothing of keys or pictures. What a
caller may rely on, whichever store it is (`tests/remote/test_store_conformance.py` holds each to
it):

- An object is there whole or not at all; once there its bytes never change.
- `put` and `put_file` write only what is new: of two that race for one name exactly one wins and
  the other raises `Exists`.
- When `put` has returned, or raised `Exists`, the object survives a power cut at the store.
- Every call may be repeated. After `Unreachable` nobody knows whether the call was carried out:
  a repeated `put` may then raise `Exists` for the bytes that the first one wrote.
- A listing may be stale: an object that was just put may be missing, one that was just deleted may
  still be named. `get` and `stat` by name are exact.
- A cancelled call leaves the store as after `Unreachable`.

Besides the errors that each verb names, every verb raises `BadName`, and as the provider has it
`Unreachable` and `Limited` (the retry layer repeats those two), `Refused` and `Revoked`.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import trio

from tagfs.errors import BadName, Integrity, Refused

MAX_OBJECT = 64 * 1024 * 1024
"""Bytes in one object, at most; a sealed part of 32 MiB with its padding stays well below."""
MAX_OBJECT_NAME = 100
"""Bytes in one name, at most."""
PAGE = 1000
"""Entries in one page of a listing, at most."""

Bytes = bytes | bytearray | memoryview

# A segment neither begins nor ends with a dot: stores keep their own files under such names,
# and some file systems drop a dot at the end.
_SEGMENT = r"[a-z0-9_-](?:[a-z0-9._-]*[a-z0-9_-])?"
_NAME = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")


@dataclass(frozen=True, slots=True)
class Stat:
    """What a store knows about one object."""

    size: int  # bytes
    hash: str | None = None  # that the provider took of the bytes; compare with `Store.hash_of`


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a listing."""

    name: str
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing. ``cursor`` asks for the next one; None on the last."""

    entries: tuple[Entry, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Space:
    """How much a store holds and how much more it takes, in bytes."""

    total: int
    free: int


def is_name(name: str) -> bool:
    """Say whether every store can keep an object under ``name``."""
    return len(name) <= MAX_OBJECT_NAME and _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """Return ``name`` if every store can keep it.

    Raises:
        BadName: not lower-case ASCII ``[a-z0-9/._-]`` of at most 100 bytes, or with a segment
            that is empty or begins or ends with a dot.
    """
    if not is_name(name):
        raise BadName(f"{name[:120]!r} is not a name that every store can keep.")
    return name


def check_prefix(prefix: str) -> str:
    """Return ``prefix`` if some name can begin with it; raise `BadName` otherwise."""
    if len(prefix) > MAX_OBJECT_NAME or _NAME.fullmatch(prefix + "0") is None:
        raise BadName(f"No name begins with {prefix[:120]!r}.")
    return prefix


def check_range(offset: int, size: int | None) -> None:
    """Raise ValueError for a range that makes no sense: that is a bug in the caller."""
    if offset < 0 or (size is not None and size < 0):
        raise ValueError(f"no such range: offset {offset}, size {size}")


def check_size(name: str, size: int) -> None:
    """Raise `Refused` for more bytes than one object may have."""
    if size > MAX_OBJECT:
        raise Refused(f"Object {name} has {size} bytes; a store takes at most {MAX_OBJECT}.")


def too_long(name: str, size: int) -> Integrity:
    """Return the error for a stored object that is longer than tagfs ever writes one."""
    return Integrity(
        f"Object {name} has {size} bytes, more than tagfs writes in one object: it is not ours. "
        "Run `tagfs verify`."
    )


class Store(ABC):
    """Keeps immutable objects by name. Safe for many tasks of one trio run at a time."""

    kind: str
    """The scheme of its URL, ``dir``."""
    where: str
    """The place in the user's words, for messages on a terminal; never for logs."""

    @abstractmethod
    async def put(self, name: str, data: Bytes) -> None:
        """Write a new object.

        Raises:
            Exists: there is one of that name; it is left as it is.
            Full: no space; nothing is left behind.
            Refused: more than `MAX_OBJECT` bytes, or ``name`` is a folder of other names.
        """

    async def put_file(self, name: str, path: Path) -> None:
        """Write a new object with the bytes of a local file; raises as `put` does.

        The file must not change meanwhile. OSError where it cannot be read.
        """
        data = await trio.to_thread.run_sync(_read_file, name, path, abandon_on_cancel=True)
        await self.put(name, data)

    @abstractmethod
    async def get(self, name: str, offset: int = 0, size: int | None = None) -> bytes:
        """Return ``size`` bytes from ``offset``, all up to the end for None.

        The answer is shorter than ``size`` at the end of the object only, and empty from there on.

        Raises:
            NotFound: no object of that name.
            Integrity: more than `MAX_OBJECT` bytes would have to be returned.
        """

    @abstractmethod
    async def stat(self, name: str) -> Stat:
        """Return what is known about an object; `NotFound` if there is none."""

    @abstractmethod
    async def list(self, prefix: str = "", cursor: str | None = None) -> Page:
        """Return one page of the names that begin with ``prefix``, in no order to rely on.

        What was there before the first page and is there after the last is named exactly once.
        Names that `is_name` refuses are left out. ``cursor`` is that of the page before.
        """

    @abstractmethod
    async def delete(self, name: str) -> None:
        """Remove an object for good; done already if there is none."""

    async def space(self) -> Space | None:
        """Return the space at the store, None where it does not tell."""
        return None

    async def hash_of(self, data: Bytes) -> str | None:
        """Return the hash that the provider takes of these bytes, None where it takes none."""
        return None

    def local_path(self, name: str) -> Path | None:
        """Return the file that holds an object, so that a reader may open it without waiting.

        None where objects are not files of this machine, and where there is no such object.
        Never blocks on a network.
        """
        return None

    async def close(self) -> None:
        """Let go of connections. The store is not used afterwards. Never raises."""
        return


def _read_file(name: str, path: Path) -> bytes:
    with open(path, "rb", buffering=0) as file:
        check_size(name, os.fstat(file.fileno()).st_size)
        data = file.read(MAX_OBJECT + 1)
    check_size(name, len(data))
    return data
