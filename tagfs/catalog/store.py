"""The catalog's point tables: read and written at once in memory, committed by one writer thread.

The rows are sealed in one LMDB file (catalog/rowfile.py).

Reads see writes at once. A write goes to an overlay in memory; `request_commit` marks what was
written so far as one consistent state, complete up to a position of the local journal, and the
writer thread seals and commits marked states, position included, in one LMDB transaction. So
the file is, after any kill, the state at some mark. What was never marked is not committed: the
owner applies it again from its journal.

::

    put -> active --request_commit--> ready --writer--> committing --fsync--> LMDB
    get <- cache <- active <- ready <- committing <- LMDB

Rows move only to the right and a reader looks from left to right, so it never misses one.
"""

from __future__ import annotations

import enum
import errno
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import lmdb

from tagfs.catalog.file import damaged, own, what_failed
from tagfs.catalog.rowfile import RowFile
from tagfs.catalog.schema import SCHEMA, Table
from tagfs.errors import FileError, Integrity

INTERVAL = 0.25
"""Seconds between two commits, at least, unless somebody waits for one."""
URGENT = 16 * 1024 * 1024
"""Bytes waiting in memory from which a commit does not wait for its interval."""
_CACHED_ROWS = 4096  # in each of two generations
_CACHED_VALUE = 1024  # bytes; larger values are decoded and cached by those who read them

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
        self._one_commit = threading.Lock()
        self._writer: threading.Thread | None = None
        self._file = RowFile(path, key, schema, map_size)
        try:
            self._position = self._file.fetch(_POSITION)
        except Integrity:
            self._file.close()
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
            idle = self._marked == self._committed
            if self._ready:
                self._ready.update(self._active)
            else:
                self._ready = self._active
            self._ready_bytes += self._active_bytes
            self._active, self._active_bytes = {}, 0
            if position is not None:
                self._ready_position = position
            self._marked += 1
            if idle or self._ready_bytes >= URGENT:
                self._state.notify_all()  # else the writer waits for its interval already

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
        return Statistics(self.pending_bytes, self._commits, self._file.map_size, failure)

    def _look_up(self, row: bytes) -> bytes | None:
        value = self._old.get(row, _ABSENT)
        if value is _ABSENT:
            for layer in (self._active, self._ready, self._committing):
                value = layer.get(row, _ABSENT)
                if value is not _ABSENT:
                    break
            else:
                value = self._file.fetch(row)
        self._remember(row, value)
        return value

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
                rows = self._committing
                if position != self._position and position is not None:
                    rows = {**rows, _POSITION: position}
                if rows:
                    self._file.write(rows)
                failure: FileError | Integrity | None = None
            except (lmdb.Error, OSError) as error:
                failure = what_failed(error, self._path)
            except Integrity as error:
                failure = error
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
            self._file.close(clean=self._broken is None)

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
