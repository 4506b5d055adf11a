"""The sealed objects that lie on this machine: spool (only copy) and cache (the remote has it).

``spool/xx/`` + 30 hex digits holds objects that are being written, wait for their upload, or
are not published yet; ``cache/xx/…`` holds copies that may go (pipeline/copies.py).
Everything here is ciphertext in the form that is uploaded (docs/format.md, Objects).

Removing obeys the rule of pipeline/recovery.py: what a journal line names goes by remove_later
or settle, which act when the lines that allow it are on stable storage.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from tagfs.errors import FileError, Integrity
from tagfs.model import ObjectName, Part
from tagfs.pipeline.copies import CACHE, Copies, folders, name_of, place
from tagfs.pipeline.disk import REAL, Buffer, Disk, sync_file
from tagfs.vault.keys import KeyRing
from tagfs.vault.layout import MAX_STORED
from tagfs.vault.objects import HEAD, verify_part

RESERVE = 512 * 1024 * 1024
"""Bytes left free on the disk, or one fiftieth of it where that is less."""
CREDIT = 16 * 1024 * 1024
"""Bytes that are written between two looks at the free space."""


def reserve_of(total: int) -> int:
    """Return how many bytes are left free on a disk of ``total`` bytes."""
    return min(RESERVE, total // 50)


class Spool:
    """Sealed objects by name, for one process. Safe from any thread; only sync() blocks long."""

    def __init__(
        self,
        folder: Path,
        ring: KeyRing,
        cache: Path | None = None,
        disk: Disk = REAL,
        cache_bytes: int = CACHE,
        space: Callable[[Path], tuple[int, int]] | None = None,
    ) -> None:
        """Use ``folder`` and ``cache`` (default: beside it), which are made when missing.

        ``space(folder)`` returns (total, free) bytes of the file system.
        """
        self.folder = folder
        self.cache = cache or folder.with_name("cache")
        self.disk = disk
        self._ring = ring
        self._space = space or _space
        self._credit = 0
        self._lock = threading.Lock()
        self._dirty: set[ObjectName] = set()
        self._folders_dirty: set[Path] = set()
        self._known_folders: set[Path] = set()
        self._later: list[tuple[bool, ObjectName]] = []
        for path in (self.folder, self.cache):
            if disk.make_folder(path):
                disk.fsync_folder(path.parent)
        self.copies = Copies(self.cache, disk, cache_bytes)

    # -- writing ---------------------------------------------------------------------------

    def reserve(self, size: int) -> None:
        """Make sure that ``size`` more bytes may be written.

        Raises FileError(ENOSPC) when the disk is filled up to the reserve. Looks at the disk
        only now and then, so other writers can eat up to CREDIT bytes of the reserve.
        """
        self._credit -= size
        if self._credit >= 0:
            return
        total, free = self._space(self.folder)
        usable = free - reserve_of(total)
        if usable < size:
            self._credit = 0
            raise FileError(
                errno.ENOSPC,
                "The disk under the state directory is full up to the reserve; free some space "
                "there or wait for the upload.",
            )
        self._credit = min(CREDIT, usable - size)

    def open_part(self, name: ObjectName) -> int:
        """Return a descriptor to write an object, which is made the first time.

        For ContentWriter. Raises OSError. Nothing is synced before close_part().
        """
        path = self.path(name)
        try:
            return self.disk.open(path, write=True)
        except FileNotFoundError:
            self._make_folder(path.parent)
            return self.disk.create(path)

    def close_part(self, name: ObjectName, fd: int) -> None:
        """Close a descriptor of open_part() and take note that the object is to be synced.

        A file without even a head is removed: its writer gave up before it had a name for it.
        """
        begun = os.fstat(fd).st_size >= HEAD
        self.disk.close(fd)
        if begun:
            self.touch(name)
        else:
            self.remove(name)

    def touch(self, name: ObjectName) -> None:
        """Let the next sync() bring an object to stable storage, its entry included."""
        with self._lock:
            self._dirty.add(name)
            self._folders_dirty.add(self.path(name).parent)

    def adopt(self, name: ObjectName) -> None:
        """Let the next sync() cover an object of an earlier process, and all its folders."""
        self.touch(name)
        with self._lock:
            self._folders_dirty.add(self.folder)

    def keep(self, name: ObjectName, data: Buffer) -> None:
        """Keep a copy of an object of the remote in the cache.

        Raises FileError(ENOSPC), OSError. A crash leaves the copy whole, cut or absent, which
        readers find out; it is not synced.
        """
        self.reserve(len(data))
        path = self.copies.path(name)
        self._make_folder(path.parent)
        temporary = path.with_name(path.name + ".new")
        self.disk.unlink(temporary)
        fd = self.disk.create(temporary)
        try:
            self.disk.pwrite(fd, data, 0)
        except OSError:
            self.disk.unlink(temporary)
            raise
        finally:
            self.disk.close(fd)
        self.disk.rename(temporary, path)
        self.copies.add(name, len(data))

    # -- reading ---------------------------------------------------------------------------

    def path(self, name: ObjectName) -> Path:
        """Return where an object lies, or would lie, in the spool."""
        return place(self.folder, name)

    def has(self, name: ObjectName) -> bool:
        """Whether the object is in the spool: not settled, its only sure copy."""
        return os.path.exists(self.path(name))

    def is_here(self, name: ObjectName) -> bool:
        """Whether the object is in spool or cache."""
        return self.copies.size(name) > 0 or self.has(name)

    def open_local(self, name: ObjectName) -> int | None:
        """Return a descriptor to read an object of spool or cache, None when it is in neither.

        For close(), not os.close(). It stays good when the object is settled or removed meanwhile.
        """
        fd = self._open(name)
        if fd is not None:
            self.copies.opened(name, fd)
        return fd

    def _open(self, name: ObjectName) -> int | None:
        for path in (self.path(name), self.copies.path(name)):
            with suppress(FileNotFoundError):
                return self.disk.open(path)
        return None

    def close(self, fd: int) -> None:
        """Close a descriptor of open_local()."""
        self.copies.closed(fd)
        self.disk.close(fd)

    def pread(self, name: ObjectName, offset: int, size: int) -> bytes:
        """Return stored bytes of a local object, short at its end. Raises FileNotFoundError."""
        fd = self.open_local(name)
        if fd is None:
            raise FileNotFoundError(errno.ENOENT, "no local copy", name.hex())
        try:
            return os.pread(fd, size, offset)
        finally:
            self.close(fd)

    def peek(self, name: ObjectName) -> bytes | None:
        """Return all of a local object, None when it is not here; that counts as no use of it."""
        fd = self._open(name)
        if fd is None:
            return None
        try:
            return os.pread(fd, MAX_STORED, 0)
        finally:
            self.disk.close(fd)

    def verify(self, part: Part, number: int) -> None:
        """Open every chunk and the trailer of a local object.

        Raises Integrity, naming the object, also when it is not here or has another size.
        """
        fd = self.open_local(part.name)
        if fd is None:
            raise Integrity(f"Object {part.name.hex()} is not on this machine.")
        try:
            size = os.fstat(fd).st_size
            if size != part.stored:
                raise Integrity(f"Object {part.name.hex()} has {size} bytes, not {part.stored}.")
            verify_part(self._ring, part, number, lambda at, n: os.pread(fd, n, at))
        finally:
            self.close(fd)

    def sizes(self) -> dict[ObjectName, int]:
        """Return the stored size of every object in the spool. Reads its folders."""
        return dict(_objects(self.folder))

    # -- going -----------------------------------------------------------------------------

    def remove(self, name: ObjectName) -> None:
        """Remove at once every copy of an object that no journal line names."""
        with self._lock:
            self._dirty.discard(name)
        self.disk.unlink(self.path(name))
        self.remove_cached(name)

    def remove_cached(self, name: ObjectName) -> None:
        """Remove the copy in the cache, if there is one."""
        self.copies.remove(name)

    def shrink(self, limit: int | None = None) -> None:
        """Let copies in the cache go (Copies.shrink)."""
        self.copies.shrink(limit)

    def remove_later(self, name: ObjectName) -> None:
        """Remove an object once the lines that are in the journal now are on stable storage.

        One of them says that it is not needed (notes.Dropped, notes.DraftDropped, …).
        """
        with self._lock:
            self._later.append((False, name))

    def settle(self, name: ObjectName) -> None:
        """Move an object from spool to cache, under the same condition as remove_later().

        The lines say that it was uploaded. The copy stays readable all the time.
        """
        with self._lock:
            self._later.append((True, name))

    def take_later(self) -> list[tuple[bool, ObjectName]]:
        """Return what was asked for by settle() (True) and remove_later() (False), forget it."""
        with self._lock:
            later, self._later = self._later, []
        return later

    def put_back(self, later: list[tuple[bool, ObjectName]]) -> None:
        """Undo take_later()."""
        with self._lock:
            self._later = later + self._later

    def do_later(self, later: list[tuple[bool, ObjectName]]) -> None:
        """Do what take_later() returned; for recovery.make_durable. Raises OSError."""
        for settle, name in later:
            if settle:
                self._move_to_cache(name)
            else:
                self.remove(name)

    # -- durability ------------------------------------------------------------------------

    def sync(self) -> None:
        """Block until closed objects and their entries are on stable storage.

        Not for trio's thread. Raises OSError; what was not synced is tried again then.
        """
        with self._lock:
            dirty, self._dirty = self._dirty, set()
            folders, self._folders_dirty = self._folders_dirty, set()
        try:
            for name in dirty:
                sync_file(self.disk, self.path(name))
            for folder in folders:
                self.disk.fsync_folder(folder)
        except OSError:
            with self._lock:
                self._dirty |= dirty
                self._folders_dirty |= folders
            raise

    # -- inside ----------------------------------------------------------------------------

    def _make_folder(self, path: Path) -> None:
        if path not in self._known_folders:
            # Also when it was there: the process that made it may not have come to its sync.
            self.disk.make_folder(path)
            self._known_folders.add(path)
            with self._lock:
                self._folders_dirty.add(path.parent)

    def _move_to_cache(self, name: ObjectName) -> None:
        old, new = self.path(name), self.copies.path(name)
        try:
            size = os.stat(old).st_size
        except FileNotFoundError:
            return
        self._make_folder(new.parent)
        self.disk.rename(old, new)
        self.copies.add(name, size)


def _objects(folder: Path) -> Iterator[tuple[ObjectName, int]]:
    for inner in folders(folder):
        for entry in os.scandir(inner):
            name = name_of(inner.name, entry.name)
            if name is not None:
                yield name, entry.stat().st_size


def _space(folder: Path) -> tuple[int, int]:
    stat = os.statvfs(folder)
    return stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize
