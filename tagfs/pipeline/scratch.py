"""Scratch logs: bytes written in any order, sealed and appended, until they are re-sealed.

One log for each draft, ``scratch/`` + 32 hex digits of a random id. It is

    magic 8 | wrapped key 60 | records: kind u8 | offset u64 | length u32 | nonce 12 | sealed

The key is random and wrapped under a key of the vault and the id; every record has a random
nonce and is bound to id, place in the log and its own head. A record is the bytes of the file
from ``offset`` on, or says that the file was cut or stretched to ``offset``. How many bytes of
a log count stands in the local journal (notes.DraftSaved); what follows is garbage that the
next record overwrites, under another nonce.
"""

from __future__ import annotations

import os
import secrets
import struct
import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tagfs.crypto.extents import OVERHEAD, ExtentSealer
from tagfs.crypto.kdf import derive
from tagfs.errors import Integrity
from tagfs.model import CHUNK
from tagfs.pipeline.disk import REAL, Buffer, Disk, sync_file

_MAGIC = b"tagfsSC1"
_WRAPPED = 32 + OVERHEAD
HEADER = len(_MAGIC) + _WRAPPED
"""Bytes of an empty log."""
_RECORD = struct.Struct(">BQI")
_PLACE = struct.Struct(">16sQ")
_DATA = 1
_RESIZE = 2


@dataclass(frozen=True, slots=True)
class Extent:
    """Bytes ``start`` to ``end`` of the file, in the record at ``at`` of the log."""

    start: int
    end: int
    at: int  # where the record's head stands
    offset: int  # of the file, where the record's bytes begin
    length: int  # of the record's bytes


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of the file and where its bytes are: an extent, the base, or nowhere (zeros)."""

    start: int
    end: int
    extent: Extent | None
    base: bool


class Scratch:
    """One log, and the file as it is with that log laid over a base. Made by Scratches."""

    def __init__(self, owner: Scratches, ident: bytes, fd: int, key: bytes, base: int) -> None:
        self.id = ident
        self.length = HEADER
        """Bytes of the log that count."""
        self.size = base
        """Bytes of the file."""
        self.base_size = base
        """Bytes of the base that still show through."""
        self._owner = owner
        self._fd = fd
        self._sealer = ExtentSealer(key)
        self._starts: list[int] = []
        self._extents: list[Extent] = []
        self._opened: tuple[int, bytearray] | None = None

    def lie_over(self, base: int) -> None:
        """Say how many bytes the base has by now; it may grow until the first truncate()."""
        self.base_size = base
        self.size = max(self.size, base)

    def write(self, offset: int, data: Buffer) -> int:
        """Record bytes of the file; return how many were taken, which is all unless the disk
        is full half-way. Raises OSError when nothing was taken."""
        view = memoryview(data)
        done = 0
        while done < len(view):
            piece = view[done : done + CHUNK]
            try:
                at = self._append(_DATA, offset + done, piece)
            except OSError:
                if done:
                    return done
                raise
            start, length = offset + done, len(piece)
            self._cover(Extent(start, start + length, at, start, length))
            done += length
        return done

    def write_all(self, offset: int, data: Buffer) -> None:
        """Write bytes of any length, in as many records as they need. Raises OSError."""
        view = memoryview(data)
        done = 0
        while done < len(view):
            done += self.write(offset + done, view[done:])

    def truncate(self, size: int) -> None:
        """Record that the file was cut or stretched (with zeros). Raises OSError."""
        self._append(_RESIZE, size, b"")
        self._resize(size)

    def pieces(self, offset: int, size: int) -> Iterator[Piece]:
        """Yield where the bytes of a range come from, in order, up to the end of the file."""
        end = min(offset + size, self.size)
        index = bisect_right(self._starts, offset)
        if index and self._extents[index - 1].end > offset:
            index -= 1
        while offset < end:
            extent = self._extents[index] if index < len(self._extents) else None
            if extent is not None and extent.start <= offset:
                stop = min(extent.end, end)
                yield Piece(offset, stop, extent, False)
                index += 1
            else:
                stop = end if extent is None else min(extent.start, end)
                if offset < self.base_size:
                    stop = min(stop, self.base_size)
                    yield Piece(offset, stop, None, True)
                else:
                    yield Piece(offset, stop, None, False)
            offset = stop

    def read_extent(self, piece: Piece, out: memoryview) -> None:
        """Put the bytes of a piece that lies in an extent into ``out``. Raises Integrity."""
        extent = piece.extent
        assert extent is not None
        if piece.start == extent.offset and piece.end - piece.start == extent.length:
            self._read(extent.at, _DATA, extent.offset, extent.length, out)
            return
        if self._opened is None or self._opened[0] != extent.at:
            plain = bytearray(extent.length)
            self._read(extent.at, _DATA, extent.offset, extent.length, memoryview(plain))
            self._opened = (extent.at, plain)
        begin = piece.start - extent.offset
        out[:] = memoryview(self._opened[1])[begin : begin + len(out)]

    def close(self) -> None:
        """Close the file; the log stays."""
        if self._fd >= 0:
            self._owner.disk.close(self._fd)
            self._fd = -1

    # -- the log ---------------------------------------------------------------------------

    def _append(self, kind: int, offset: int, data: Buffer) -> int:
        at = self.length
        head = _RECORD.pack(kind, offset, len(data))
        record = bytearray(_RECORD.size + OVERHEAD + len(data))
        record[: _RECORD.size] = head
        self._sealer.seal_into(data, self._bind(at, head), memoryview(record)[_RECORD.size :])
        self._owner.disk.pwrite(self._fd, record, at)
        self.length = at + len(record)
        self._owner.changed(self.id)
        return at

    def _read(self, at: int, kind: int, offset: int, length: int, out: memoryview) -> None:
        head = _RECORD.pack(kind, offset, length)
        sealed = os.pread(self._fd, length + OVERHEAD, at + _RECORD.size)
        try:
            self._sealer.open_into(memoryview(sealed), self._bind(at, head), out)
        except Integrity:
            raise Integrity(
                f"Scratch log {self.id.hex()} is damaged at byte {at}; the edit is lost there."
            ) from None

    def _bind(self, at: int, head: bytes) -> bytes:
        return _PLACE.pack(self.id, at) + head

    def replay(self, length: int) -> None:
        """Read the first ``length`` bytes of the log again, opening each record.

        Raises Integrity when they are not all there. For Scratches.open.
        """
        while self.length < length:
            at = self.length
            head = os.pread(self._fd, _RECORD.size, at)
            if len(head) != _RECORD.size:
                raise Integrity(f"Scratch log {self.id.hex()} is cut short at byte {at}.")
            kind, offset, size = _RECORD.unpack(head)
            end = at + _RECORD.size + OVERHEAD + size
            if size > CHUNK or end > length or kind not in (_DATA, _RESIZE):
                raise Integrity(f"Scratch log {self.id.hex()} is damaged at byte {at}.")
            self._read(at, kind, offset, size, memoryview(bytearray(size)))
            self.length = end
            if kind == _DATA:
                self._cover(Extent(offset, offset + size, at, offset, size))
            else:
                self._resize(offset)

    # -- the index -------------------------------------------------------------------------

    def _cover(self, new: Extent) -> None:
        low = bisect_right(self._starts, new.start)
        if low and self._extents[low - 1].end > new.start:
            low -= 1
        high = bisect_left(self._starts, new.end, low)
        old = self._extents[low:high]
        kept = [new]
        if old and old[0].start < new.start:
            kept.insert(0, _trimmed(old[0], old[0].start, new.start))
        if old and old[-1].end > new.end:
            kept.append(_trimmed(old[-1], new.end, old[-1].end))
        self._extents[low:high] = kept
        self._starts[low:high] = [e.start for e in kept]
        self.size = max(self.size, new.end)

    def _resize(self, size: int) -> None:
        if size < self.size:
            keep = bisect_left(self._starts, size)
            del self._extents[keep:], self._starts[keep:]
            if self._extents and self._extents[-1].end > size:
                last = self._extents[-1]
                self._extents[-1] = _trimmed(last, last.start, size)
            self.base_size = min(self.base_size, size)
        self.size = size


class Scratches:
    """The scratch logs of one state directory."""

    def __init__(self, folder: Path, key: bytes, disk: Disk = REAL) -> None:
        """Use the folder, which is made when it is not there; ``key`` is the ring's local key."""
        self.disk = disk
        self._folder = folder
        self._secret = derive(key, "scratch logs")
        self._lock = threading.Lock()
        self._dirty: set[bytes] = set()
        self._folder_dirty = False
        self._dropped: list[bytes] = []
        if disk.make_folder(folder):
            disk.fsync_folder(folder.parent)

    def create(self, base: int) -> Scratch:
        """Begin a log over ``base`` bytes. Raises OSError."""
        ident, key = secrets.token_bytes(16), secrets.token_bytes(32)
        fd = self.disk.create(self._path(ident))
        try:
            self.disk.pwrite(fd, _MAGIC + self._wrapper(ident).seal(key, ident), 0)
        except OSError:
            self.disk.close(fd)
            self.disk.unlink(self._path(ident))
            raise
        with self._lock:
            self._folder_dirty = True
            self._dirty.add(ident)
        return Scratch(self, ident, fd, key, base)

    def open(self, ident: bytes, length: int, base: int) -> Scratch:
        """Open the first ``length`` bytes of a log over ``base`` bytes, to read and to go on.

        Every record is opened. Raises Integrity, naming the log, when it is not whole.
        """
        try:
            fd = self.disk.open(self._path(ident), write=True)
        except OSError as e:
            raise Integrity(f"Scratch log {ident.hex()} cannot be read ({e.strerror}).") from e
        try:
            head = os.pread(fd, HEADER, 0)
            if len(head) != HEADER or not head.startswith(_MAGIC):
                raise Integrity(f"Scratch log {ident.hex()} is damaged at its beginning.")
            try:
                key = self._wrapper(ident).open(head[len(_MAGIC) :], ident)
            except Integrity:
                raise Integrity(f"Scratch log {ident.hex()} is not of this vault.") from None
            scratch = Scratch(self, ident, fd, key, base)
            scratch.replay(length)
        except BaseException:
            self.disk.close(fd)
            raise
        return scratch

    def ids(self) -> set[bytes]:
        """Return the ids of the logs in the folder."""
        return {bytes.fromhex(n) for n in os.listdir(self._folder) if _is_id(n)}

    def remove(self, ident: bytes) -> None:
        """Remove a log that no line of the journal names."""
        with self._lock:
            self._dirty.discard(ident)
        self.disk.unlink(self._path(ident))

    def drop(self, ident: bytes) -> None:
        """Remove a log once the lines that are in the journal now are on stable storage.

        One of them says that its draft was dropped or replaced.
        """
        with self._lock:
            self._dropped.append(ident)

    def changed(self, ident: bytes) -> None:
        """Take note that a log has to be synced."""
        self._dirty.add(ident)

    def adopt(self, ident: bytes) -> None:
        """Let the next sync() cover a log of an earlier process, its entry in the folder too."""
        with self._lock:
            self._dirty.add(ident)
            self._folder_dirty = True

    def take_dropped(self) -> list[bytes]:
        """Return what drop() was called for and forget it; for recovery.make_durable."""
        with self._lock:
            dropped, self._dropped = self._dropped, []
        return dropped

    def sync(self) -> None:
        """Block until all logs are on stable storage. Raises OSError; call again then."""
        with self._lock:
            dirty, self._dirty = self._dirty, set()
            folder_dirty, self._folder_dirty = self._folder_dirty, False
        try:
            for ident in dirty:
                sync_file(self.disk, self._path(ident))
            if folder_dirty:
                self.disk.fsync_folder(self._folder)
        except OSError:
            with self._lock:
                self._dirty |= dirty
                self._folder_dirty |= folder_dirty
            raise

    def _path(self, ident: bytes) -> Path:
        return self._folder / ident.hex()

    def _wrapper(self, ident: bytes) -> ExtentSealer:
        return ExtentSealer(derive(self._secret, "scratch log", ident))


def _trimmed(extent: Extent, start: int, end: int) -> Extent:
    return Extent(start, end, extent.at, extent.offset, extent.length)


def _is_id(name: str) -> bool:
    return len(name) == 32 and all(c in "0123456789abcdef" for c in name)
