"""Tests that must hold on the machine's own file system and in a gallery's own folders alike.

What a test expects is then no opinion: it was so on the file system under the temporary folder,
too. ``Both`` goes further: it does one thing on both and compares.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest


def refused(number: int, call: Callable[..., object], *args: object, **words: object) -> None:
    """The call must fail with this errno."""
    with pytest.raises(OSError) as caught:
        call(*args, **words)
    assert errno.errorcode[caught.value.errno] == errno.errorcode[number]


def outcome(call: Callable[[Path], object], folder: Path) -> object:
    """Return what a call in a folder returns, or the name of its errno."""
    try:
        return call(folder)
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def tree(folder: Path) -> dict[str, object]:
    """Return everything below a folder: kind and mode, and bytes, target or names."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        what: object = None
        if stat.S_ISLNK(status.st_mode):
            what = os.readlink(path)
        elif stat.S_ISREG(status.st_mode):
            what = path.read_bytes()
        found[str(path.relative_to(folder))] = (oct(status.st_mode), what)
    return found


def later(call: Callable[[], object]) -> None:
    """Do something after the clock that stamps files has moved on."""
    # Kernels stamp with the time of the last tick (4 to 10 ms), tagfs with milliseconds.
    end = time.time_ns() + 25_000_000
    while time.time_ns() < end:
        os.sched_yield()
    call()


class Both:
    """The same folder twice: on the machine's own file system, and in a gallery."""

    def __init__(self, plain: Path, vault: Path) -> None:
        self.plain = plain
        self.vault = vault

    def do(self, what: str, call: Callable[[Path], object]) -> object:
        """Do the same on both; return the outcome, which must be the same."""
        expected, found = outcome(call, self.plain), outcome(call, self.vault)
        assert found == expected, f"{what}: {found!r} in the gallery, {expected!r} elsewhere"
        return found

    def compare(self, after: str) -> None:
        """What is there must be the same."""
        expected, found = tree(self.plain), tree(self.vault)
        assert found == expected, f"after {after}"
