"""The sealed catalog file: point tables in one LMDB environment, with one writer thread.

Whoever holds the file learns how many rows there are and how long each is, nothing else: the
LMDB key of a row is a keyed hash of (table, key), its value is sealed and bound to the table,
the hashed key and the schema.

Reads see writes at once. A write goes to an overlay in memory; `request_commit` marks what was
written so far as one consistent state, complete up to a position of the local journal, and the
writer thread seals and commits marked states, position included, in one LMDB transaction. So
the file is, after any kill, the state at some mark. What was never marked is not committed: the
owner applies it again from its journal.

::

    put -> active --request_commit--> ready --writer--> committing --fsync--> LMDB
    get <- cache <- active <- ready <- committing <- LMDB

Rows move only to the right and a reader looks from left to right, so it never misses one.

Two databases: ``points`` (hashed key -> sealed value) and ``clear`` (``schema`` -> u32;
``v`` + number u32 -> 16-byte salt of the value key with that number). Every opening draws a
new number and salt and records them together with the first values sealed under them, so no
(key, nonce) is used twice whatever was lost in a crash (crypto/values.py).
"""

from __future__ import annotations

import enum
import errno
import hmac
import os
import secrets
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import lmdb

from tagfs.catalog.file import check, damaged, leave_clean, own, what_failed
from tagfs.catalog.schema import SCHEMA, Table
from tagfs.crypto.kdf import derive
from tagfs.crypto.values import MAX_USES, ValueSealer, number_of
from tagfs.errors import FileError, Integrity

INTERVAL = 0.25
"""Seconds between two commits, at least, unless somebody waits for one."""
URGENT = 16 * 1024 * 1024
"""Bytes waiting in memory from which a commit does not wait for its interval."""
_CACHED_ROWS = 4096  # in each of two generations
_CACHED_VALUE = 1024  # bytes; larger values are decoded and cached by those who read them
_MAX_RUN = MAX_USES // 2

_FORM = struct.Struct(">I")
_IDENTITY = bytes((Table.META,)) + b"identity"
_POSITION = bytes((Table.META,)) + b"position"
_PREFIX = tuple(bytes((number,)) for number in range(256))


class _Absent(enum.Enum):
    ABSENT = 0


_ABSENT = _Absent.ABSENT
_Rows = dict[bytes, bytes | None]  # (table, key) -> value, None for a deleted row


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the store is doing. ``failure`` is why the last commit failed, None when it did not."""

    pending_bytes: int
    commits: int
    map_size: int
    failure: str | None


class CatalogStore:
    """Sealed point tables of one vault on this machine.

    `get`, `put`, `delete` and `request_commit` belong to one thread (the event loop's) and never
    wait for a disk that already holds the pages; `commit`, `sync_now` and `close` block.
    """

    def __init__(
        self,
        path: Path,
        key: bytes,
        *,
        schema: int = SCHEMA,
        map_size: int = 1 << 30,
        interval: float = INTERVAL,
    ) -> None:
        """Open the catalog in the folder ``path``, making it when there is none.

        Raises Integrity when the file is damaged, of another key or another schema: call
        `wipe` and build it again. Raises MountError when another process has it open and
        FileError when the disk refuses.
        """
        self._schema = _FORM.pack(schema)
        self._name_key = derive(key, "catalog names")
        self._value_secret = derive(key, "catalog values")
        self._path = path
        self._interval = interval
        self._young: _Rows = {}
        self._old: _Rows = {}
        self._active: _Rows = {}
        self._ready: _Rows = {}
        self._committing: _Rows = {}
        self._active_bytes = self._ready_bytes = self._committing_bytes = 0
        self._position: bytes | None = None
        self._ready_position: bytes | None = None
        self._marked = self._taken = self._committed = 0
        self._failures = 0
        self._failure: FileError | None = None
        self._broken: Integrity | None = None
        self._commits = 0
        self._hurry = self._closing = False
        self._state = threading.Condition()  # overlays, marks and flags
        self._reading = threading.Lock()  # the read transaction and the map below it
        self._one_commit = threading.Lock()
        self._writer: threading.Thread | None = None
        self._openers: dict[int, ValueSealer] = {}
        self._sealer: ValueSealer
        self._salt: bytes | None  # of the sealer's key, until it is recorded
        self._reader: lmdb.Transaction[bytes]
        self._owner = own(path)
        try:
            check(path)
            self._open(map_size)
            self._begin_key()
            self._load()
        except BaseException:
            self._release()
            raise

    # -- reading and writing: the owner's thread ------------------------------------------

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return the value of a row or None; raises Integrity when it does not verify."""
        row = _PREFIX[table] + key
        value = self._young.get(row, _ABSENT)
        return self._look_up(row) if value is _ABSENT else value

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Write a row; `get` sees it at once, the file at the next commit after a mark."""
        row = _PREFIX[table] + key
        self._active[row] = value
        self._active_bytes += len(row) + len(value)
        self._remember(row, value)

    def delete(self, table: Table, key: bytes) -> None:
        """Remove a row, whether it is there or not."""
        row = _PREFIX[table] + key
        self._active[row] = None
        self._active_bytes += len(row)
        self._remember(row, None)

    def request_commit(self, position: bytes | None = None) -> None:
        """Mark everything written so far as one state, to be committed soon, all or nothing.

        ``position`` is where in the local journal this state is complete; None leaves the
        former one. Call it between units, never within one. Raises Integrity when the writer
        found the file damaged.
        """
        if self._broken is not None:
            raise self._broken
        with self._state:
            if self._ready:
                self._ready.update(self._active)
            else:
                self._ready = self._active
            self._ready_bytes += self._active_bytes
            self._active, self._active_bytes = {}, 0
            if position is not None:
                self._ready_position = position
            self._marked += 1
            self._state.notify_all()

    def position(self) -> bytes | None:
        """Return the journal position of the last committed state; None for an empty catalog."""
        return self._position

    @property
    def pending_bytes(self) -> int:
        """Bytes of keys and values that are only in memory, counting rewritten rows again."""
        return self._active_bytes + self._ready_bytes + self._committing_bytes

    def statistics(self) -> Statistics:
        """Return a snapshot of what the store is doing."""
        failure = None if self._failure is None else str(self._failure)
        return Statistics(self.pending_bytes, self._commits, self._map_size, failure)

    def _look_up(self, row: bytes) -> bytes | None:
        value = self._old.get(row, _ABSENT)
        if value is _ABSENT:
            for layer in (self._active, self._ready, self._committing):
                value = layer.get(row, _ABSENT)
                if value is not _ABSENT:
                    break
            else:
                value = self._fetch(row)
        self._remember(row, value)
        return value

    def _fetch(self, row: bytes) -> bytes | None:
        name = hmac.digest(self._name_key, row, "sha256")[:16]
        try:
            with self._reading:
                sealed = self._reader.get(name)
        except lmdb.Error as error:
            raise damaged(str(error)) from None
        if sealed is None:
            return None
        number = number_of(sealed)
        opener = self._openers.get(number)
        if opener is None:
            opener = self._opener(number)
        return opener.open(sealed, row[:1] + name + self._schema)

    def _opener(self, number: int) -> ValueSealer:
        with self._reading:
            salt = self._reader.get(_salt_row(number), db=self._clear)
        if salt is None or len(salt) != 16:
            raise damaged(f"value key {number} is missing")
        opener = self._openers[number] = ValueSealer(self._value_secret, number, salt)
        return opener

    def _remember(self, row: bytes, value: bytes | None) -> None:
        if value is not None and len(value) > _CACHED_VALUE:
            # Not worth its memory; but an older, smaller value must not answer for it.
            self._young.pop(row, None)
            self._old.pop(row, None)
            return
        if len(self._young) >= _CACHED_ROWS:
            self._old, self._young = self._young, {}
        self._young[row] = value

    # -- committing: the writer thread, or whoever calls commit ---------------------------

    def start(self) -> None:
        """Start the writer thread, which commits what `request_commit` marks."""
        self._writer = threading.Thread(target=self._run, name="catalog", daemon=True)
        self._writer.start()

    def commit(self) -> bool:
        """Commit what is marked, blocking; return whether there was anything.

        Raises FileError when the disk refuses (nothing is lost: the rows stay in memory and go
        with the next commit) and Integrity when the file turns out damaged.
        """
        with self._one_commit:
            with self._state:
                if self._taken == self._marked and self._committed == self._taken:
                    return False
                if self._committing:  # left over from a commit that failed
                    self._committing = {**self._committing, **self._ready}
                else:
                    self._committing = self._ready
                self._ready = {}
                self._committing_bytes += self._ready_bytes
                self._ready_bytes = 0
                self._taken = self._marked
                position = self._ready_position
            try:
                if self._committing or position != self._position:
                    self._write(self._committing, position)
                failure: FileError | Integrity | None = None
            except (lmdb.Error, OSError) as error:
                failure = what_failed(error, self._path)
            with self._state:
                self._state.notify_all()
                if failure is not None:
                    self._failures += 1
                    if isinstance(failure, Integrity):
                        self._broken = failure
                    else:
                        self._failure = failure
                    raise failure
                self._failure = None
                self._commits += 1
                self._committed = self._taken
                self._position = position if position is not None else self._position
                self._committing, self._committing_bytes = {}, 0
            return True

    def sync_now(self) -> None:
        """Block until everything marked before the call is on disk; raises as `commit` does."""
        if self._writer is None:
            self.commit()
            return
        with self._state:
            target, failures = self._marked, self._failures
            self._hurry = True
            self._state.notify_all()
            self._state.wait_for(
                lambda: (
                    self._committed >= target
                    or self._failures > failures
                    or self._closing
                    or self._broken is not None
                )
            )
            if self._committed < target:
                raise self._broken or self._failure or FileError(errno.EIO, "The catalog closed.")

    def close(self) -> None:
        """Commit what is marked, stop the writer and let the file go.

        A commit that fails here is not an error: the journal still has what it would have held.
        """
        with self._state:
            self._closing = True
            self._state.notify_all()
        if self._writer is not None:
            self._writer.join()
        try:
            with suppress(FileError, Integrity):
                if self._broken is None:
                    self.commit()
        finally:
            self._release()
        if self._broken is None:
            leave_clean(self._path)

    @staticmethod
    def wipe(path: Path) -> None:
        """Remove the catalog in the folder ``path``; it must not be open."""
        owner = own(path)
        try:
            for name in ("data.mdb", "lock.mdb", "clean"):
                (path / name).unlink(missing_ok=True)
        finally:
            os.close(owner)

    def _run(self) -> None:
        try:
            self._write_on()
        except BaseException:
            # A mistake of ours. Nobody may wait for this thread any longer.
            with self._state:
                self._broken = damaged("its writer stopped")
                self._state.notify_all()
            raise

    def _write_on(self) -> None:
        while True:
            with self._state:
                self._state.wait_for(lambda: self._closing or self._committed < self._marked)
                if self._closing:
                    return
                self._state.wait_for(self._urgent, self._interval)
                self._hurry = False
            try:
                self.commit()
            except Integrity:
                return
            except FileError:
                with self._state:
                    self._state.wait_for(lambda: self._closing or self._hurry, self._interval * 4)

    def _urgent(self) -> bool:
        return self._hurry or self._closing or self._ready_bytes >= URGENT

    def _write(self, rows: _Rows, position: bytes | None) -> None:
        if position is not None:
            rows = {**rows, _POSITION: position}
        if self._sealer.uses + len(rows) > _MAX_RUN:
            self._begin_key()
        names = [(hmac.digest(self._name_key, row, "sha256")[:16], row) for row in rows]
        names.sort()  # neighbours share pages
        seal, schema = self._sealer.seal, self._schema
        sealed: list[tuple[bytes, bytes]] = []
        gone: list[bytes] = []
        for name, row in names:
            value = rows[row]
            if value is None:
                gone.append(name)
            else:
                sealed.append((name, seal(value, row[:1] + name + schema)))
        while True:
            try:
                with self._env.begin(write=True, db=self._points) as txn:
                    if self._salt is not None:
                        txn.put(b"schema", schema, db=self._clear)
                        txn.put(_salt_row(self._sealer.number), self._salt, db=self._clear)
                    txn.cursor().putmulti(sealed)
                    for name in gone:
                        txn.delete(name)
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

    def _grow(self) -> None:
        """Double the map. Readers wait for the microseconds this takes; none fails."""
        with self._reading:
            self._reader.abort()
            try:
                self._env.set_mapsize(self._map_size * 2)
                self._map_size *= 2
            finally:
                self._reader = self._env.begin(db=self._points)

    # -- opening ---------------------------------------------------------------------------

    def _open(self, map_size: int) -> None:
        with suppress(FileNotFoundError):
            map_size = max(map_size, 2 * os.stat(self._path / "data.mdb").st_size)
        self._map_size = -(-map_size // (1 << 20)) * (1 << 20)
        # The only owner: whatever an earlier process left in the table of readers is stale.
        (self._path / "lock.mdb").unlink(missing_ok=True)
        try:
            self._env = lmdb.open(
                str(self._path),
                map_size=self._map_size,
                mode=0o600,
                max_dbs=2,
                max_spare_txns=2,
            )
            self._env.reader_check()
            self._points = self._env.open_db(b"points")
            self._clear = self._env.open_db(b"clear")
            self._reader = self._env.begin(db=self._points)
        except (lmdb.Error, OSError) as error:
            raise what_failed(error, self._path) from None

    def _reopen(self) -> None:
        with self._reading:
            self._reader.abort()
            self._env.close()
            self._open(self._map_size)

    def _load(self) -> None:
        with self._reading:
            schema = self._reader.get(b"schema", db=self._clear)
            rows = self._reader.stat(self._points)["entries"]
        if schema is None and rows == 0:
            self._write({_IDENTITY: b"tagfs"}, None)
            return
        if schema != self._schema:
            raise Integrity("The catalog was written by another version of tagfs; build it again.")
        if self._fetch(_IDENTITY) != b"tagfs":
            raise damaged("it belongs to another key, or its first row is lost")
        self._position = self._fetch(_POSITION)

    def _begin_key(self) -> None:
        """Draw the value key that this opening seals under."""
        last = -1
        with self._reading, self._reader.cursor(db=self._clear) as cursor:
            if cursor.last() and len(cursor.key()) == 5:
                last = _FORM.unpack(cursor.key()[1:])[0]
        salt = self._salt = secrets.token_bytes(16)
        self._sealer = ValueSealer(self._value_secret, last + 1, salt)
        self._openers[last + 1] = self._sealer

    def _release(self) -> None:
        with suppress(AttributeError):  # opening may have failed half way
            self._reader.abort()
        with suppress(AttributeError):
            self._env.close()
        os.close(self._owner)


def _salt_row(number: int) -> bytes:
    return b"v" + _FORM.pack(number)
