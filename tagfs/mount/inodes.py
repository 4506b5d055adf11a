"""What the kernel holds: lookup counts and open files of each inode."""

from __future__ import annotations

from collections.abc import Callable


class Inodes:
    """Counts references and tells when the last one of an inode is gone.

    A forget may overtake the release of the same file, so both are counted.
    """

    def __init__(self, gone: Callable[[int], None]) -> None:
        self._gone = gone
        self._lookups: dict[int, int] = {}
        self._opened: dict[int, int] = {}

    def looked_up(self, ino: int) -> None:
        """The kernel was given this inode once more."""
        lookups = self._lookups
        lookups[ino] = lookups.get(ino, 0) + 1

    def forgotten(self, ino: int, times: int) -> None:
        """The kernel gave back so many of its references."""
        left = self._lookups.get(ino, 0) - times
        if left > 0:
            self._lookups[ino] = left
            return
        if self._lookups.pop(ino, None) is not None and ino not in self._opened:
            self._gone(ino)

    def opened(self, ino: int) -> None:
        """A handle on this inode was given out."""
        self._opened[ino] = self._opened.get(ino, 0) + 1

    def released(self, ino: int) -> None:
        """A handle on this inode was taken back."""
        left = self._opened[ino] - 1
        if left:
            self._opened[ino] = left
            return
        del self._opened[ino]
        if ino not in self._lookups:
            self._gone(ino)

    def clear(self) -> None:
        """The mount ended: nothing is referenced any more."""
        for ino in self._lookups.keys() | self._opened.keys():
            self._gone(ino)
        self._lookups.clear()
        self._opened.clear()

    def __len__(self) -> int:
        return len(self._lookups)
