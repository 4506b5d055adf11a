"""One file of sealed rows: LMDB below, rows and Integrity above.

Whoever holds the file learns how many rows there are and how long each is, nothing else: names
are hashed and values sealed under keys of the vault (catalog/sealing.py).

Two databases: ``points`` (name -> sealed value) and ``clear`` (``schema`` -> u32;
``v`` + number u32 -> 16-byte salt of the value key with that number). Every opening draws a
new number and salt and records them together with the first values sealed under them, so no
(key, nonce) is used twice whatever was lost in a crash (crypto/values.py).
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import lmdb

from tagfs.catalog.file import check, damaged, leave_clean, own, what_failed
from tagfs.catalog.schema import Table
from tagfs.catalog.sealing import CENSUS, RowSealer
from tagfs.errors import Integrity

_IDENTITY = bytes((Table.META,)) + b"identity"
_CENSUS = bytes((Table.META,)) + b"census"
_U32 = struct.Struct(">I")


class RowFile:
    """Rows by (table number ‖ key), written whole transactions at a time.

    `fetch` may run in one thread while `write` runs in another. No row of this class's own (META)
    may be written by others: ``identity`` and ``census``.
    """

    def __init__(self, path: Path, key: bytes, schema: int, map_size: int) -> None:
        """Open the file in the folder ``path``, making it when there is none.

        Raises Integrity when it is damaged, of another key or another schema, MountError when
        another process has it open, FileError when the disk refuses.
        """
        self._path = path
        self._schema = _U32.pack(schema)
        self._rows = RowSealer(key, schema, self._salt_of)
        self._salt: bytes | None  # of the newest value key, until it is recorded
        self._reader: lmdb.Transaction[bytes]
        self._reading = threading.Lock()  # the read transaction and the map below it
        self._owner = own(path)
        try:
            walked = check(path)
            self._open(map_size)
            self._begin_key()
            self._identify()
            if walked:
                self._count()
        except (lmdb.Error, OSError) as error:
            self.close()
            raise what_failed(error, path) from None
        except BaseException:
            self.close()
            raise

    @property
    def map_size(self) -> int:
        """Bytes of address space that the file may grow into before the map grows."""
        return self._map_size

    def fetch(self, row: bytes) -> bytes | None:
        """Return the value of a row or None; raises Integrity when it does not verify."""
        name = self._rows.name(row)
        try:
            with self._reading:
                sealed = self._reader.get(name)
        except lmdb.Error as error:
            raise damaged(str(error)) from None
        if sealed is None:
            return None
        return self._rows.open(row, name, sealed)

    def write(self, rows: Mapping[bytes, bytes | None]) -> None:
        """Write and delete (None) rows in one transaction that is on disk on return.

        Raises lmdb.Error or OSError, having changed nothing that `fetch` shows.
        """
        if self._rows.is_used_up(len(rows) + 1):
            self._begin_key()
        names = [(self._rows.name(row), row) for row in rows]
        names.sort()  # neighbours share pages
        changes = [
            (name, None if (value := rows[row]) is None else self._rows.seal(row, name, value))
            for name, row in names
        ]
        while True:
            try:
                with self._env.begin(write=True, db=self._points) as txn:
                    self._change(txn, changes)
                break
            except lmdb.MapFullError:
                self._grow()
            except lmdb.PanicError:
                # A failed write of the meta page: LMDB wants the environment opened again.
                self._reopen()
                raise
        self._salt = None
        with self._reading:
            self._reader.abort()
            self._reader = self._env.begin(db=self._points)

    def close(self, clean: bool = False) -> None:
        """Let the file go; ``clean`` says that it was sound to the end."""
        with suppress(AttributeError):  # opening may have failed half way
            self._reader.abort()
        with suppress(AttributeError):
            self._env.close()
        if clean:
            leave_clean(self._path)
        os.close(self._owner)

    def _salt_of(self, number: int) -> bytes | None:
        with self._reading:
            return self._reader.get(_salt_row(number), db=self._clear)

    def _change(
        self, txn: lmdb.Transaction[bytes], changes: list[tuple[bytes, bytes | None]]
    ) -> None:
        apart, mark = self._rows.name(_CENSUS), self._rows.mark
        before = txn.get(apart)
        census = 0
        if before is not None:
            census = int.from_bytes(self._rows.open(_CENSUS, apart, before), "big")
        for name, sealed in changes:
            if sealed is None:
                former = txn.pop(name)
            else:
                former = txn.get(name)
                txn.put(name, sealed)
                census ^= mark(name, sealed)
            if former is not None:
                census ^= mark(name, former)
        txn.put(apart, self._rows.seal(_CENSUS, apart, census.to_bytes(CENSUS, "big")))
        if self._salt is not None:
            txn.put(b"schema", self._schema, db=self._clear)
            txn.put(_salt_row(self._rows.number), self._salt, db=self._clear)

    def _grow(self) -> None:
        """Double the map. Readers wait for the microseconds this takes; none fails."""
        with self._reading:
            self._reader.abort()
            try:
                self._env.set_mapsize(self._map_size * 2)
                self._map_size *= 2
            finally:
                self._reader = self._env.begin(db=self._points)

    def _open(self, map_size: int) -> None:
        with suppress(FileNotFoundError):
            map_size = max(map_size, 2 * os.stat(self._path / "data.mdb").st_size)
        self._map_size = -(-map_size // (1 << 20)) * (1 << 20)
        # The only owner: whatever an earlier process left in the table of readers is stale.
        (self._path / "lock.mdb").unlink(missing_ok=True)
        self._env = lmdb.open(
            str(self._path), map_size=self._map_size, mode=0o600, max_dbs=2, max_spare_txns=2
        )
        self._env.reader_check()
        self._points = self._env.open_db(b"points")
        self._clear = self._env.open_db(b"clear")
        self._reader = self._env.begin(db=self._points)

    def _reopen(self) -> None:
        with self._reading:
            self._reader.abort()
            self._env.close()
            self._open(self._map_size)

    def _identify(self) -> None:
        with self._reading:
            schema = self._reader.get(b"schema", db=self._clear)
            rows = self._reader.stat(self._points)["entries"]
        if schema is None and rows == 0:
            self.write({_IDENTITY: b"tagfs"})
            return
        if schema != self._schema:
            raise Integrity("The catalog was written by another version of tagfs; build it again.")
        if self.fetch(_IDENTITY) != b"tagfs":
            raise damaged("it belongs to another key, or its first row is lost")

    def _count(self) -> None:
        """Raise Integrity when a row is lost or stale: each of them is looked at."""
        census, apart = 0, self._rows.name(_CENSUS)
        with self._env.begin(db=self._points, buffers=True) as txn:
            for name, sealed in txn.cursor():
                if name != apart:
                    census ^= self._rows.mark(name, sealed)
        if census.to_bytes(CENSUS, "big") != self.fetch(_CENSUS):
            raise damaged("rows are lost")

    def _begin_key(self) -> None:
        """Draw the value key that this opening seals under."""
        last = -1
        with self._reading, self._reader.cursor(db=self._clear) as cursor:
            if cursor.last() and len(cursor.key()) == 5:
                last = _U32.unpack(cursor.key()[1:])[0]
        self._salt = self._rows.begin(last + 1)


def _salt_row(number: int) -> bytes:
    return b"v" + _U32.pack(number)
