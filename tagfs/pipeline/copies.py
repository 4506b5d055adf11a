"""The copies of stored objects that this machine keeps: how much of them, and which go first.

Everything here is on the remote and published, or was fetched from it; what is not lies in the
spool (pipeline/spool.py) and never comes here before it is. So any copy may go at any time, and
what is asked for again is fetched.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tagfs.model import ObjectName
from tagfs.pipeline.disk import Disk
from tagfs.pipeline.lru import Lru

CACHE = 10 * 1024**3
"""Bytes of copies that are kept."""
SMALL = 512 * 1024**2
"""Bytes of small copies, of these, that are kept after all others: packs of thumbnails."""

Parting = Callable[[ObjectName, int], bool]
"""Told of a copy that is about to go, with a descriptor to read it; whether it is a small one."""


class Copies:
    """Copies by name. Safe from any thread.

    Ordinary ones go first, the least recently used before others; then small ones. Pinned ones
    and those that somebody has open stay, and count.
    """

    def __init__(self, folder: Path, disk: Disk, limit: int) -> None:
        """Find what an earlier process left in ``folder``; nothing goes before shrink()."""
        self.folder = folder
        self.limit = limit
        self._disk = disk
        self._lock = threading.Lock()
        self._ordinary = Lru()
        self._small = Lru()
        self._kept = Lru()  # pinned
        self._pinned: set[ObjectName] = set()
        self._open: dict[int, ObjectName] = {}  # by descriptor
        self.parting: Parting = lambda name, fd: False
        """Called without a lock, in any thread; must not raise."""
        self._load()

    @property
    def pinned_bytes(self) -> int:
        """Bytes that the pinned ones of them have."""
        return self._kept.bytes

    @property
    def bytes(self) -> int:
        """Bytes that all copies have."""
        return self._ordinary.bytes + self._small.bytes + self._kept.bytes

    def path(self, name: ObjectName) -> Path:
        """Return where a copy lies, or would lie."""
        return place(self.folder, name)

    def size(self, name: ObjectName) -> int:
        """Return the bytes of a copy, 0 when there is none."""
        with self._lock:
            return sum(lru.size(name) for lru in (self._ordinary, self._small, self._kept))

    def add(self, name: ObjectName, size: int) -> None:
        """Count a copy that was just put into its place, as the one that was used last."""
        with self._lock:
            self._small.remove(name)
            (self._kept if name in self._pinned else self._ordinary).add(name, size)
        self.shrink()

    def remove(self, name: ObjectName) -> None:
        """Remove a copy, if there is one, whoever has it open or pinned."""
        with self._lock:
            for lru in (self._ordinary, self._small, self._kept):
                lru.remove(name)
        self._disk.unlink(self.path(name))

    def let_go(self, name: ObjectName) -> int:
        """Remove a copy as shrink() does; return its size, 0 when none is there or it stays."""
        with self._lock:
            if name in self._pinned or name in self._open.values():
                return 0
            size = self._ordinary.size(name) + self._small.size(name)
        if size:
            self._part(name)
            self.remove(name)
        return size

    # -- who uses them -------------------------------------------------------------------------

    def opened(self, name: ObjectName, fd: int) -> None:
        """A descriptor of an object is in use from now on."""
        with self._lock:
            self._open[fd] = name
            for lru in (self._ordinary, self._small):
                lru.used(name)

    def closed(self, fd: int) -> None:
        """A descriptor is about to be closed; nothing happens when it is none of these."""
        with self._lock:
            self._open.pop(fd, None)

    def is_open(self, name: ObjectName) -> bool:
        """Whether somebody has an object open."""
        with self._lock:
            return name in self._open.values()

    def is_pinned(self, name: ObjectName) -> bool:
        """Whether an object stays, wherever it is."""
        with self._lock:
            return name in self._pinned

    def pin(self, names: Iterable[ObjectName]) -> None:
        """Let these stay, those of them that come later, too."""
        with self._lock:
            for name in names:
                self._pinned.add(name)
                size = self._ordinary.remove(name) + self._small.remove(name)
                if size:
                    self._kept.add(name, size)

    def unpin(self, names: Iterable[ObjectName]) -> None:
        """Let these go like others again."""
        with self._lock:
            for name in names:
                self._pinned.discard(name)
                size = self._kept.remove(name)
                if size:
                    self._ordinary.add(name, size)

    # -- going ---------------------------------------------------------------------------------

    def shrink(self, limit: int | None = None) -> None:
        """Let copies go until all together have no more bytes than ``self.limit``.

        With ``limit``: until the ordinary ones have no more than that. Small ones never have
        more than SMALL.
        """
        while (name := self._next(limit)) is not None:
            if self._part(name):
                with self._lock:
                    self._small.add(name, self._ordinary.remove(name))
            else:
                self.remove(name)

    def _next(self, limit: int | None) -> ObjectName | None:
        """Return which copy may go now; None when enough are gone or nobody may."""
        with self._lock:
            in_use = set(self._open.values())
            over = self.bytes > self.limit if limit is None else self._ordinary.bytes > limit
            name = self._ordinary.oldest(in_use) if over else None
            if name is None and (self._small.bytes > SMALL or (over and limit is None)):
                name = self._small.oldest(in_use)
            return name

    def _part(self, name: ObjectName) -> bool:
        """Tell parting(); return whether an ordinary copy proves to be a small one."""
        try:
            fd = self._disk.open(self.path(name))
        except OSError:
            return False
        try:
            small = self.parting(name, fd)
        finally:
            self._disk.close(fd)
        with self._lock:
            return small and self._ordinary.size(name) > 0

    def _load(self) -> None:
        found = []
        for folder in folders(self.folder):
            for entry in os.scandir(folder):
                name = name_of(folder.name, entry.name)
                if name is None:
                    self._disk.unlink(Path(entry.path))  # a copy that a crash interrupted
                else:
                    stat = entry.stat()
                    found.append((stat.st_atime_ns, name, stat.st_size))
        for _, name, size in sorted(found):
            self._ordinary.add(name, size)


def place(folder: Path, name: ObjectName) -> Path:
    """Return where an object lies below a folder of objects."""
    text = name.hex()
    return folder / f"{text[:2]}/{text[2:]}"


def folders(folder: Path) -> Iterator[Path]:
    """Yield the folders in which objects lie."""
    for entry in os.scandir(folder):
        if len(entry.name) == 2 and entry.is_dir(follow_symlinks=False):
            yield Path(entry.path)


def name_of(folder: str, rest: str) -> ObjectName | None:
    """Return the object that lies at these names; None for another file."""
    if len(rest) != 30:
        return None
    try:
        name = bytes.fromhex(folder + rest)
    except ValueError:
        return None
    return ObjectName(name) if name.hex() == folder + rest else None
