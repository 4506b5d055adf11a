"""Cuts the power in tests: records what changes the disk, and rebuilds what may be left after.

``Recorder`` is a Disk (tagfs/pipeline/disk.py) that passes everything on to a real folder and
writes it down. ``rebuild`` makes a folder as it may look when the power fails at some moment:

- what fdatasync or the fsync of a folder covered is there;
- every other write is there, is not, or is torn at 512-byte sectors; where it is not, the file may
  have grown by zeros all the same; later writes may be there when earlier ones are not;
- every other entry (made, renamed, removed) has happened or not, each for itself; a rename is
  atomic, and durable once either of its folders was synced.

Writers that are given a descriptor (vault/writing.py) are watched by how their files grow, which
is exact for files that are only appended to.
"""

from __future__ import annotations

import os
import random
import threading
from dataclasses import dataclass
from pathlib import Path

from tagfs.pipeline.disk import Buffer, RealDisk

SECTOR = 512


@dataclass(frozen=True)
class Made:
    """A file or folder got an entry."""

    path: str
    inode: int | None  # None for a folder


@dataclass(frozen=True)
class Wrote:
    """Bytes were written."""

    inode: int
    offset: int
    data: bytes


@dataclass(frozen=True)
class Synced:
    """A file's bytes and size were synced."""

    inode: int


@dataclass(frozen=True)
class FolderSynced:
    """A folder's entries were synced."""

    path: str


@dataclass(frozen=True)
class Renamed:
    """An entry was moved, replacing what was there."""

    old: str
    new: str


@dataclass(frozen=True)
class Removed:
    """An entry was removed."""

    path: str


Event = Made | Wrote | Synced | FolderSynced | Renamed | Removed


class Recorder(RealDisk):
    """The real disk below ``root``, written down. Safe from any thread."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.events: list[Event] = []
        self._lock = threading.RLock()
        self._paths: dict[str, int] = {}  # the present entries
        self._open: dict[int, int] = {}  # descriptor -> inode
        self._writing: dict[int, int] = {}  # the same for those that may be written
        self._sizes: dict[int, int] = {}
        self._real: dict[int, int] = {}  # inode here -> inode of the file system
        self._count = 0

    def mark(self) -> int:
        """Return the number of events so far, with every write before this moment."""
        with self._lock:
            self._notice()
            return len(self.events)

    def make_folder(self, path: Path) -> bool:
        """See Disk."""
        with self._lock:
            made = super().make_folder(path)
            if made:
                self._record(Made(self._name(path), None))
            return made

    def create(self, path: Path) -> int:
        """See Disk."""
        with self._lock:
            fd = super().create(path)
            self._count += 1
            self._paths[self._name(path)] = self._count
            self._open[fd] = self._writing[fd] = self._count
            self._sizes[self._count] = 0
            self._real[self._count] = os.fstat(fd).st_ino
            self._record(Made(self._name(path), self._count))
            return fd

    def open(self, path: Path, *, write: bool = False) -> int:
        """See Disk."""
        with self._lock:
            fd = super().open(path, write=write)
            inode = self._paths.get(self._name(path))
            if inode is not None:
                self._open[fd] = inode
                if write:
                    self._writing[fd] = inode
            return fd

    def close(self, fd: int) -> None:
        """See Disk."""
        with self._lock:
            self._notice()
            self._open.pop(fd, None)
            self._writing.pop(fd, None)
            super().close(fd)

    def pwrite(self, fd: int, data: Buffer, offset: int) -> int:
        """See Disk."""
        with self._lock:
            self._notice()
            done = super().pwrite(fd, data, offset)
            inode = self._open[fd]
            self._sizes[inode] = max(self._sizes[inode], offset + done)
            self.events.append(Wrote(inode, offset, bytes(data)))
            return done

    def fdatasync(self, fd: int) -> None:
        """See Disk; the real one is not asked, the recorded one is what counts."""
        with self._lock:
            self._record(Synced(self._open[fd]))

    def fsync_folder(self, path: Path) -> None:
        """See Disk; the real one is not asked."""
        with self._lock:
            self._record(FolderSynced(self._name(path)))

    def rename(self, old: Path, new: Path) -> None:
        """See Disk."""
        with self._lock:
            super().rename(old, new)
            self._paths[self._name(new)] = self._paths.pop(self._name(old))
            self._record(Renamed(self._name(old), self._name(new)))

    def unlink(self, path: Path) -> None:
        """See Disk."""
        with self._lock:
            super().unlink(path)
            if self._paths.pop(self._name(path), None) is not None:
                self._record(Removed(self._name(path)))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _record(self, event: Event) -> None:
        self._notice()
        self.events.append(event)

    def _notice(self) -> None:
        """Write down how open files have grown behind our back."""
        for fd, inode in list(self._open.items()):
            try:
                status = os.fstat(fd)
            except OSError:
                status = None
            # Readers close their descriptors themselves, and the number may be another file's.
            if status is None or status.st_ino != self._real.get(inode):
                del self._open[fd]
                continue
            known, size = self._sizes[inode], status.st_size
            if size > known:
                self.events.append(Wrote(inode, known, os.pread(fd, size - known, known)))
                self._sizes[inode] = size


def rebuild(events: list[Event], target: Path, rng: random.Random) -> None:
    """Make ``target`` one legal state of the recorded folder after ``events`` and a power cut.

    ``rng`` decides; some of its states lose everything that may be lost, some nothing.
    """
    chance = rng.choice([0.0, 1.0, rng.random(), rng.random()])
    files = _files(events, rng, chance)
    target.mkdir(parents=True)
    for path, inode in sorted(_entries(events, rng, chance).items()):
        place = target / path
        if not place.parent.is_dir():
            continue  # the folder above was never synced into its own folder
        if inode is None:
            place.mkdir(mode=0o700)
        else:
            place.write_bytes(files.get(inode, b""))


def _files(events: list[Event], rng: random.Random, chance: float) -> dict[int, bytearray]:
    last_sync = {e.inode: n for n, e in enumerate(events) if isinstance(e, Synced)}
    files: dict[int, bytearray] = {}
    for n, event in enumerate(events):
        if not isinstance(event, Wrote):
            continue
        data = files.setdefault(event.inode, bytearray())
        if n < last_sync.get(event.inode, -1) or rng.random() < chance:
            _write(data, event.offset, event.data)
            continue
        fate = rng.random()
        if fate < 0.3:
            _tear(data, event, rng)
        elif fate < 0.5:
            data.extend(bytes(max(0, event.offset + len(event.data) - len(data))))
    return files


def _write(file: bytearray, offset: int, data: bytes) -> None:
    file.extend(bytes(max(0, offset - len(file))))
    file[offset : offset + len(data)] = data


def _tear(file: bytearray, event: Wrote, rng: random.Random) -> None:
    """Write some of the sectors; a sector is written whole or not at all."""
    end = event.offset + len(event.data)
    start = event.offset
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        if rng.random() < 0.5:
            _write(file, start, event.data[start - event.offset : stop - event.offset])
        start = stop


def _entries(events: list[Event], rng: random.Random, chance: float) -> dict[str, int | None]:
    synced: dict[str, int] = {}
    for n, event in enumerate(events):
        if isinstance(event, FolderSynced):
            synced[event.path] = n
    now: dict[str, int | None] = {}  # as the program saw it
    left: dict[str, int | None] = {}
    for n, event in enumerate(events):
        match event:
            case Made(path, inode):
                folders, gone, here = [path], None, path
                now[path] = inode
            case Renamed(old, new):
                folders, gone, here = [old, new], old, new
                now[new] = now.pop(old)
            case Removed(path):
                folders, gone, here = [path], path, None
                now.pop(path)
            case _:
                continue
        durable = any(synced.get(os.path.dirname(p) or ".", -1) > n for p in folders)
        if durable or rng.random() < chance:
            if gone is not None:
                left.pop(gone, None)
            if here is not None:
                left[here] = now[here]
    return left
