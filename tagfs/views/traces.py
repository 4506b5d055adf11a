"""What each process did last, as far as its next call can only be understood by it.

FUSE tells which inode is opened and not by which name; not whether a program that renames a file
over another has just made it; and not that a file gets the name which the same program took from
another a moment ago.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tagfs.model import FileId
from tagfs.vault.ops import Op
from tagfs.views.nodes import Directory

AWAY = 2.0
"""Seconds in which a program that renamed or removed a file writes its next (exiftool, cp -a)."""
MADE = 60.0
"""Seconds in which a program renames the file that it made over the one that it saves."""
KEPT = 1024
"""Processes, and files that they made, that are remembered."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Latest(Generic[K, V]):
    """The values of the keys that were set last."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._values: OrderedDict[K, V] = OrderedDict()

    def set(self, key: K, value: V) -> None:
        """Remember a value; the one that was set longest ago may be forgotten for it."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)

    def get(self, key: K) -> V | None:
        """Return the value, None when it is not or no longer known."""
        return self._values.get(key)

    def pop(self, key: K) -> V | None:
        """Forget a value and return it."""
        return self._values.pop(key, None)

    def items(self) -> list[tuple[K, V]]:
        """Return what is remembered, the oldest first."""
        return list(self._values.items())


@dataclass(frozen=True, slots=True)
class Door:
    """The name through which a file was reached."""

    file: FileId
    where: Directory
    name: bytes


@dataclass(frozen=True, slots=True)
class Away:
    """A name that was taken from a file, by a rename or a removal."""

    door: Door
    back: tuple[Op, ...] = ()  # what takes the removal back and leaves the name to another


class Traces:
    """Names looked up, files made and names taken, by the process that is being answered."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.monotonic = monotonic
        self.caller = 0
        """The process whose call is being answered; 0 is nobody in particular."""
        self._doors: Latest[int, Door] = Latest()
        self._made: Latest[FileId, tuple[int, float]] = Latest()
        self._away: Latest[int, tuple[Away, float]] = Latest()

    def looked_up(self, door: Door) -> None:
        """The caller resolved a name to a file."""
        self._doors.set(self.caller, door)

    def door(self, file: FileId) -> Door | None:
        """Return how the caller reached this file, if that was the last file it looked up."""
        door = self._doors.get(self.caller)
        return door if door is not None and door.file == file else None

    def made(self, file: FileId) -> None:
        """The caller made a file."""
        self._made.set(file, (self.caller, self.monotonic()))

    def made_by_caller(self, file: FileId) -> bool:
        """Whether the caller made this file a short while ago."""
        maker, at = self._made.get(file) or (-1, 0.0)
        return maker == self.caller and self.monotonic() - at < MADE

    def took(self, away: Away) -> None:
        """The caller took a name from a file."""
        self._away.set(self.caller, (away, self.monotonic()))

    def taken(self, where: Directory, name: bytes) -> Away | None:
        """Return what the caller has just taken this name from; once."""
        away, at = self._away.get(self.caller) or (None, 0.0)
        if away is None or (away.door.where, away.door.name) != (where, name):
            return None
        self._away.pop(self.caller)
        return away if self.monotonic() - at < AWAY else None
