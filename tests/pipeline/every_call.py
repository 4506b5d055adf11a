"""Kills a command at every call that changes a disk: what lies there after each of them.

``Steps`` (kills.py) sees what goes through the disk seam and the store. Here it is the operating
system's own calls, so that small files of the state directory and each step inside the directory
store count, too. Every write is stopped half-way once: no reader may trust half of a file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PLAIN = (
    *("rename", "replace", "link", "unlink", "remove", "mkdir", "rmdir", "chmod"),
    *("ftruncate", "truncate", "fsync", "fdatasync"),
)
"""Calls that happen or do not."""
PAGE = 4096
SPARED = ("catalog", "lock")
"""What is not kept of a state directory: it can be lost at any time."""


@dataclass(frozen=True)
class Moment:
    """What a process that dies now leaves behind."""

    number: int
    what: str
    there: dict[str, bytes | None]  # path below the root, None for a folder


class EveryCall:
    """The folders ``names`` below ``root``, after every call that changed something in them."""

    def __init__(self, root: Path, *names: str) -> None:
        self._root = root
        self._names = names
        self._lock = threading.RLock()
        self._within = False
        self.calls = 0
        """Calls that were made, those that changed nothing that a kill leaves included."""
        self.moments: list[Moment] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Stop at every call of this process, of whatever thread, while this is open."""
        self._done("nothing")
        with pytest.MonkeyPatch.context() as patch:
            for name in PLAIN:
                patch.setattr(os, name, self._plain(name, getattr(os, name)))
            for name in ("write", "pwrite"):
                patch.setattr(os, name, self._torn(name, getattr(os, name)))
            patch.setattr(os, "open", self._opening(os.open))
            patch.setattr(os, "copy_file_range", self._copying(os.copy_file_range))
            yield
        self._done("everything")

    def restore(self, moment: Moment) -> None:
        """Make the folders what they were."""
        for name in self._names:
            shutil.rmtree(self._root / name, ignore_errors=True)
        for path, data in moment.there.items():
            target = self._root / path
            if data is None:
                target.mkdir(mode=0o700, parents=True, exist_ok=True)
            else:
                target.write_bytes(data)

    def each(self, check: Callable[[Moment], object]) -> None:
        """Start again from every moment, and say at which one that went wrong."""
        for moment in self.moments:
            self.restore(moment)
            try:
                check(moment)
            except BaseException as e:
                e.add_note(f"killed at step {moment.number}, after {moment.what}")
                raise

    def _plain(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            with self._lock:
                result = real(*args, **options)
                self._done(f"{name} {args[0]}")
            return result

        return call

    def _torn(self, name: str, real: Callable[..., int]) -> Callable[..., int]:
        def call(fd: int, data: Any, *at: int) -> int:
            with self._lock:
                if self._within:
                    return real(fd, data, *at)
                start = at[0] if at else os.lseek(fd, 0, os.SEEK_CUR)
                cut, done = PAGE - start % PAGE, 0
                if cut < len(data):
                    done = real(fd, memoryview(data)[:cut], *at)
                    self._done(f"a page of a {name}")
                done += real(fd, memoryview(data)[done:], *(n + done for n in at))
                self._done(name)
            return done

        return call

    def _opening(self, real: Callable[..., int]) -> Callable[..., int]:
        def call(path: Any, flags: int, *args: Any, **options: Any) -> int:
            with self._lock:
                fd = real(path, flags, *args, **options)
                if flags & (os.O_CREAT | os.O_TRUNC):
                    self._done(f"open {path}")
            return fd

        return call

    def _copying(self, real: Callable[..., int]) -> Callable[..., int]:
        def call(source: int, target: int, count: int, *args: Any, **options: Any) -> int:
            with self._lock:
                done = real(source, target, max(1, count // 2), *args, **options)
                self._done("a part of copy_file_range")
            return done

        return call

    def _done(self, what: str) -> None:
        """Keep what is there, unless it is what was there before."""
        with self._lock:
            if self._within:
                return
            self._within = True
            try:
                self.calls += 1
                there = self._there()
                if not self.moments or self.moments[-1].there != there:
                    self.moments.append(Moment(len(self.moments), what, there))
            finally:
                self._within = False

    def _there(self) -> dict[str, bytes | None]:
        found: dict[str, bytes | None] = {}
        for name in self._names:
            top = self._root / name
            for folder, below, files in os.walk(top):
                if Path(folder) == top:
                    below[:] = [b for b in below if b not in SPARED]
                    files = [f for f in files if f not in SPARED]
                relative = Path(folder).relative_to(self._root)
                found[str(relative)] = None
                for file in files:
                    found[str(relative / file)] = (Path(folder) / file).read_bytes()
        return found


def quick_argon2id(passphrase: bytes, salt: bytes, params: object) -> bytes:
    """Stand in for Argon2id where nobody guesses passphrases and hundreds of vaults are opened."""
    return hashlib.sha256(b"%d " % len(salt) + salt + passphrase + repr(params).encode()).digest()
