"""A cache of small sealed values that survives restarts and lets the oldest go first.

``folder/`` holds files that are appended to and never changed (numbers in 8 hex digits):

    file    = "TFSC" ‖ version u8 = 1 ‖ number u32 ‖ salt (16) ‖ records
    record  = name (16) ‖ length u32 ‖ sealed value (crypto/values.py)

A name is HMAC-SHA-256 of the key, cut to 16 bytes, and the additional data of its value. A value
is padded to whole pages. A process begins a file, and with it a value key, of its own: no
(key, nonce) is used twice whatever a crash has lost. Nothing is ever synced: what a crash tears
does not verify and counts as absent.
"""

from __future__ import annotations

import hmac
import logging
import os
import secrets
import struct
import threading
from collections.abc import Callable
from pathlib import Path

from tagfs.crypto.kdf import derive
from tagfs.crypto.values import OVERHEAD, ValueSealer
from tagfs.errors import FileError, Integrity
from tagfs.pipeline.disk import REAL, Buffer, Disk

MAX_VALUE = 1024 * 1024
"""Bytes of one value, at most."""
MAX_FILES = 4096
PAD = 4096
"""Values are padded to a multiple of this many bytes."""
_FILES_IN_LIMIT = 64
_HEAD = struct.Struct(">4sBI16s")
_RECORD = struct.Struct(">16sI")
_LENGTH = struct.Struct(">I")
_MAGIC = b"TFSC"

log = logging.getLogger(__name__)


class SmallCache:
    """Sealed values by key. Safe from any thread; never raises for what the disk does."""

    def __init__(
        self,
        folder: Path,
        key: bytes,
        limit: int,
        reserve: Callable[[int], None] = lambda size: None,
        disk: Disk = REAL,
    ) -> None:
        """Keep about ``limit`` bytes in ``folder``, which is made when it is missing.

        ``reserve(size)`` raises FileError when the disk has no room for so many bytes.
        """
        self._folder = folder
        self._limit = limit
        self._reserve = reserve
        self._disk = disk
        self._secret = derive(key, "small cache values")
        self._name_key = derive(key, "small cache names")
        self._lock = threading.Lock()
        self._where: dict[bytes, tuple[int, int, int]] = {}  # file, offset, length of the value
        self._files: dict[int, tuple[ValueSealer, list[bytes]]] = {}  # with their names, by age
        self._sizes: dict[int, int] = {}
        self._open: int | None = None  # the number of the file that this process appends to
        self._next = 1
        disk.make_folder(folder)
        for number in sorted(filter(None, (_number(e.name) for e in os.scandir(folder)))):
            self._load(number)
        with self._lock:
            self._shrink()

    def __contains__(self, key: bytes) -> bool:
        return self._name(key) in self._where

    @property
    def size(self) -> int:
        """Bytes that the files have."""
        return sum(self._sizes.values())

    def get(self, key: bytes) -> bytes | None:
        """Return a value; None when it is not here or does not verify."""
        name = self._name(key)
        with self._lock:
            where = self._where.get(name)
            if where is None:
                return None
            number, offset, length = where
            sealer = self._files[number][0]
        try:
            padded = sealer.open(self._pread(number, offset, length), name)
            (size,) = _LENGTH.unpack_from(padded)
            if size > len(padded) - _LENGTH.size:
                raise Integrity("A small value is malformed.")
        except (OSError, Integrity) as e:
            log.warning("a cached value is left out: %s", type(e).__name__)
            with self._lock:
                self._where.pop(name, None)
            return None
        return padded[_LENGTH.size : _LENGTH.size + size]

    def put(self, key: bytes, value: Buffer) -> None:
        """Keep a value; one that is here already stays as it is."""
        size = len(value)
        name = self._name(key)
        if size > MAX_VALUE or name in self._where:
            return
        padded = _LENGTH.pack(size) + bytes(value)
        padded += bytes(-len(padded) % PAD)
        try:
            with self._lock:
                self._append(name, padded)
                self._shrink()
        except (OSError, FileError) as e:
            log.warning("a value is not cached: %s", type(e).__name__)

    # -- inside, with the lock held ------------------------------------------------------------

    def _append(self, name: bytes, padded: bytes) -> None:
        self._reserve(len(padded))
        number = self._open
        if number is None or self._sizes[number] >= self._limit // _FILES_IN_LIMIT:
            number = self._begin()
        sealer, names = self._files[number]
        sealed = sealer.seal(padded, name)
        at = self._sizes[number]
        self._open = None  # what fails halfway is a gap, behind which nothing is found
        self._sizes[number] = at + _RECORD.size + len(sealed)
        self._write(number, _RECORD.pack(name, len(sealed)) + sealed, at)
        self._open = number
        self._where[name] = (number, at + _RECORD.size, len(sealed))
        names.append(name)

    def _begin(self) -> int:
        number, salt = self._next, secrets.token_bytes(16)
        self._next += 1
        self._disk.close(self._disk.create(self._path(number)))
        self._sizes[number] = _HEAD.size
        self._files[number] = (ValueSealer(self._secret, number, salt), [])
        self._write(number, _HEAD.pack(_MAGIC, 1, number, salt), 0)
        return number

    def _write(self, number: int, data: bytes, at: int) -> None:
        fd = self._disk.open(self._path(number), write=True)
        try:
            self._disk.pwrite(fd, data, at)
        finally:
            self._disk.close(fd)

    def _shrink(self) -> None:
        while self._sizes and (self.size > self._limit or len(self._sizes) > MAX_FILES):
            number = next(iter(self._sizes))
            if number == self._open:
                self._open = None
            for name in self._files.pop(number)[1]:
                if self._where.get(name, (0,))[0] == number:
                    del self._where[name]
            del self._sizes[number]
            self._disk.unlink(self._path(number))

    # -- inside ----------------------------------------------------------------------------

    def _name(self, key: bytes) -> bytes:
        return hmac.digest(self._name_key, key, "sha256")[:16]

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08x}"

    def _pread(self, number: int, offset: int, length: int) -> bytes:
        fd = self._disk.open(self._path(number))
        try:
            return os.pread(fd, length, offset)
        finally:
            self._disk.close(fd)

    def _load(self, number: int) -> None:
        """Find the records of a file of an earlier process, up to the first torn one."""
        self._next = max(self._next, number + 1)
        names: list[bytes] = []
        try:
            fd = self._disk.open(self._path(number))
            try:
                size = os.fstat(fd).st_size
                magic, version, named, salt = _HEAD.unpack(os.pread(fd, _HEAD.size, 0))
                if (magic, version, named) != (_MAGIC, 1, number):
                    raise ValueError("another file")
                at = _HEAD.size
                while len(raw := os.pread(fd, _RECORD.size, at)) == _RECORD.size:
                    name, length = _RECORD.unpack(raw)
                    at += _RECORD.size
                    if not OVERHEAD < length <= size - at or length > 2 * MAX_VALUE:
                        break
                    self._where[name] = (number, at, length)
                    names.append(name)
                    at += length
            finally:
                self._disk.close(fd)
        except (OSError, ValueError, struct.error):
            self._disk.unlink(self._path(number))
            return
        self._files[number] = (ValueSealer(self._secret, number, salt), names)
        self._sizes[number] = size


def _number(name: str) -> int | None:
    try:
        number = int(name, 16)
    except ValueError:
        return None
    return number if f"{number:08x}" == name else None
