"""The local journal: sealed lines, append-only, written before anything else believes them.

A folder of files ``00000001.log``, ``00000002.log``, … Each is

    magic 8 | file number u32 | salt 16 | lines: length u32 | sealed

A line is sealed as a value (crypto/values.py) under the key of (file number, salt); its counter
is the line's index in the file, and both are bound as additional data. The plaintext is one byte
of kind and the payload. A file is begun at the first append after every opening, so that no
(key, counter) pair ever seals twice, and again after a failed append or when it has grown.

The first line of a file says at which position of an earlier file it goes on. What stands in
earlier files after that position is dead: it was torn or not believed at a recovery
(pipeline/recovery.py). A file is begun only after everything before it was synced, so a line
missing below such a position is damage and not a power cut.

Lengths of lines are in the clear, contents are not. Whole lines are one write(2) each.
"""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from tagfs.crypto.kdf import derive
from tagfs.errors import FileError, Integrity
from tagfs.pipeline.disk import REAL, Disk
from tagfs.pipeline.lines import (
    BEGUN,
    FIRST_LINE,
    MAX_LINE,
    START,
    JournalFile,
    Line,
    Position,
    decode_number,
    encode_number,
    has_magic,
)

__all__ = ["FILE_LIMIT", "MAX_LINE", "START", "SYNCED", "Line", "LocalJournal", "Position"]

FILE_LIMIT = 64 * 1024 * 1024
"""A file that has grown to this many bytes is followed by another."""

SYNCED = 9
"""Kind of the mark that make_durable() writes: its payload is a position up to which this
journal, and before it the bytes that its lines name, were synced."""
_RETIRED = 0xF1  # payload: number of the last retired file

_FILE_NAME = re.compile(r"[0-9]{8}\.log")


class LocalJournal:
    """The journal of one state directory, owned by one process.

    ``append`` is for the hot thread; ``sync`` blocks on the disk and is for another one.
    """

    def __init__(
        self, folder: Path, key: bytes, disk: Disk = REAL, limit: int = FILE_LIMIT
    ) -> None:
        """Use open() instead."""
        self._folder = folder
        self._secret = derive(key, "local journal")
        self._disk = disk
        self._limit = limit
        self._lock = threading.Lock()  # append against the snapshots of other threads
        self._syncing = threading.Lock()  # one sync at a time; taken before the other lock
        self._files: list[JournalFile] = []
        self._last_number = 0  # of any file seen, dead ones too
        self._retired = 0
        self._fd: int | None = None
        self._listed = 0  # the file whose entry in the folder is on stable storage
        self._broken: str | None = None
        self._to_retire: tuple[Position, int] | None = None
        self._end = START
        self._synced = START
        self._mark_end = START
        self.marked = START
        """Up to where the last mark says that lines and the bytes they name were synced."""
        self.damage: list[Integrity] = []
        """Lines that had been synced and are gone or do not verify; the rest is read."""

    @classmethod
    def open(cls, folder: Path, key: bytes, disk: Disk = REAL, limit: int = FILE_LIMIT) -> Self:
        """Open the journal in ``folder``, which is made when it is not there.

        ``key`` is the ring's local key. Reads the newest file whole and of the others only the
        first line. A torn tail is left out silently; what had been synced and is lost is put
        into ``damage``. Raises Integrity when no line of a non-empty journal opens (wrong key).
        """
        journal = cls(folder, key, disk, limit)
        if disk.make_folder(folder):
            disk.fsync_folder(folder.parent)
        journal._load()
        return journal

    @property
    def base(self) -> Position:
        """Lines up to here were retired and are not in the journal any more."""
        return self._files[0].after if self._files else self._end

    @property
    def end(self) -> Position:
        """The end of the last line that counts."""
        return self._end

    @property
    def synced(self) -> Position:
        """Up to where sync() has brought this opening's lines to stable storage."""
        return self._synced

    def covers(self, position: Position) -> bool:
        """Tell whether a position lies on this journal: not in a dead tail, not after the end.

        A catalog that is complete up to a position which is not covered has seen lines that a
        power cut took back, and has to be rebuilt.
        """
        if position == self.base:
            return True
        return any(f.number == position.file and position.offset <= f.end for f in self._files)

    def cut(self, position: Position) -> None:
        """Let the journal end at a line, before the first append: later lines are dead.

        For recovery. Raises ValueError after an append or for a position that is not covered.
        """
        if self._fd is not None or not self.covers(position):
            raise ValueError("a journal is cut before the first append, where it has a line")
        while self._files and self._files[-1].number > position.file:
            self._files.pop()
        if self._files:
            self._files[-1].end = position.offset
        self._end = position
        self.marked = min(self.marked, position)

    def append(self, kind: int, payload: bytes) -> Position:
        """Write one line into the page cache and return its end. Survives ``kill -9``.

        Safe from any thread. Raises FileError (ENOSPC, EIO, …) with nothing appended; it may be
        called again. ``kind`` is below 0xF0; ``payload`` has at most 16 MiB.
        """
        if not 0 < kind < BEGUN or len(payload) > MAX_LINE:
            raise ValueError("no such kind of line, or too long")
        with self._lock:
            if self._broken:
                raise FileError(errno.EIO, self._broken)
            if self._fd is None or self._end.offset >= self._limit:
                self._begin()
            return self._write(kind, payload)

    def sync(self) -> None:
        """Block until every line appended so far is on stable storage. Not for trio's thread.

        Raises FileError when the disk fails; the journal takes no more lines then, because
        the kernel may have dropped what it could not write.
        """
        with self._syncing:
            with self._lock:
                if self._broken:
                    raise FileError(errno.EIO, self._broken)
                end, retire = self._end, self._to_retire
                file = self._files[-1] if self._synced < end else None
            if file is not None:
                # By path: the hot thread may close its own descriptor meanwhile.
                self._flush_path(file)
                self._synced = max(self._synced, end)
            if retire is not None and retire[0] <= self._synced:
                self._unlink_retired(retire[1])
                with self._lock:
                    if self._to_retire is retire:
                        self._to_retire = None

    def mark(self, position: Position) -> None:
        """Record that lines up to ``position``, and the bytes they name, were synced.

        Writes nothing when no line was appended since the last mark.
        """
        if self._mark_end != self._end:
            self._mark_end = self.append(SYNCED, position.encode())

    def stop(self, why: str) -> None:
        """Take no more lines: every further append and sync raises FileError(EIO, why)."""
        self._broken = self._broken or why

    def retire(self, before: Position) -> None:
        """Let go of files that hold only lines up to ``before``, at the next sync.

        The caller promises that all of these lines are in the published vault and that no
        object in spool/ and no draft is named by them.
        """
        with self._lock:
            files = [f for f in self._files if f.number != self._end.file]
            done = [f.number for f in files if Position(f.number, f.end) <= before]
            if not done or self._fd is None:
                return
            at = self._write(_RETIRED, encode_number(done[-1]))
            self._retired = done[-1]
            self._to_retire = (at, self._retired)
            self._files = [f for f in self._files if f.number > self._retired]

    def replay(self, after: Position | None = None) -> Iterator[Line]:
        """Yield the lines that end after a position, oldest first, up to the present end.

        May run beside append(). Raises Integrity when ``after`` lies before the base, that is
        when lines which are asked for were retired or lost.
        """
        with self._lock:
            files = [(f, f.end) for f in self._files]
        after = self.base if after is None else after
        if after < self.base:
            raise Integrity(
                "The local journal no longer has the lines that are asked for; "
                "the catalog has to be rebuilt from the vault."
            )
        for file, limit in files:
            if file.number < after.file:
                continue
            known = after.offset if file.number == after.file else 0
            for offset, kind, payload in file.lines(limit, known):
                position = Position(file.number, offset)
                if payload is not None and kind < BEGUN and position > after:
                    yield position, kind, payload

    def close(self) -> None:
        """Close the file. Does not sync."""
        with self._lock:
            if self._fd is not None:
                self._disk.close(self._fd)
                self._fd = None
            self._broken = "The local journal is closed."

    # -- writing ---------------------------------------------------------------------------

    def _begin(self) -> None:
        """Begin the next file, after everything before it is on stable storage."""
        if self._fd is not None:
            self._leave(self._fd)
        elif self._files:
            self._flush_path(self._files[-1])
            self._synced = self._end
        number = self._last_number + 1
        file = JournalFile.begin(self._folder, number, self._secret)
        first = file.first(self._end, self._retired)
        self._last_number = number  # a number that failed half-way is not tried again
        try:
            fd = self._disk.create(file.path)
            try:
                self._disk.pwrite(fd, first, 0)
            except OSError:
                self._disk.close(fd)
                raise
        except OSError as e:
            raise _refused(e) from e
        file.after, file.end = self._end, len(first)
        self._fd = fd
        self._files.append(file)
        self._end = Position(number, file.end)

    def _write(self, kind: int, payload: bytes) -> Position:
        file, fd = self._files[-1], self._fd
        assert fd is not None
        line = file.seal(kind, payload)
        try:
            self._disk.pwrite(fd, line, file.end)
        except OSError as e:
            # Part of the line may stand there, under a counter that is spent: go on elsewhere.
            self._leave(fd)
            raise _refused(e) from e
        file.end += len(line)
        self._end = Position(file.number, file.end)
        return self._end

    def _leave(self, fd: int) -> None:
        """Sync and close the file that is written; the next append begins another."""
        self._fd = None
        try:
            self._flush(fd, self._files[-1].number)
        finally:
            self._disk.close(fd)
        self._synced = max(self._synced, self._end)

    def _flush_path(self, file: JournalFile) -> None:
        try:
            fd = self._disk.open(file.path)
        except OSError as e:
            raise _refused(e) from e
        try:
            self._flush(fd, file.number)
        finally:
            self._disk.close(fd)

    def _flush(self, fd: int, number: int) -> None:
        try:
            self._disk.fdatasync(fd)
            if self._listed < number:
                self._disk.fsync_folder(self._folder)
                self._listed = number
        except OSError as e:
            self._broken = (
                "The disk under the state directory fails; nothing more is written to the local "
                "journal. Check the disk, then mount again."
            )
            raise FileError(e.errno or errno.EIO, self._broken) from e

    def _unlink_retired(self, last: int) -> None:
        for name in sorted(os.listdir(self._folder)):
            if _FILE_NAME.fullmatch(name) and int(name[:8]) <= last:
                self._disk.unlink(self._folder / name)

    # -- reading ---------------------------------------------------------------------------

    def _load(self) -> None:
        names = sorted(n for n in os.listdir(self._folder) if _FILE_NAME.fullmatch(n))
        found: dict[int, JournalFile] = {}
        for name in names:
            self._last_number = max(self._last_number, int(name[:8]))
            opened = JournalFile.open(self._folder / name, self._secret)
            if opened is not None:
                found[opened[0].number] = opened[0]
                self._retired = max(self._retired, opened[1])
        if not found:
            if any(has_magic(self._folder / n) for n in names):
                # The first line shares a disk sector with the magic: this is no torn write.
                raise Integrity(
                    "No line of the local journal opens: it belongs to another vault or is "
                    "damaged. Move the state directory away and run `tagfs join`."
                )
            return
        newest = found[max(found)]
        newest.end = self._find_end(newest)
        chain = [newest]
        while (before := chain[-1].after).file:
            file = found.get(before.file)
            if file is not None:
                file.end = before.offset
                chain.append(file)
                continue
            if before.file <= self._retired:
                break
            self.damage.append(Integrity(f"Local journal file {before.file:08d}.log is missing."))
            older = [n for n in found if n < before.file]
            if not older:
                break
            file = found[max(older)]
            file.end = self._find_end(file)
            chain.append(file)
        self._files = [f for f in reversed(chain) if f.number > self._retired]
        for file in self._files[:-1]:
            self._check_whole(file)
        self._end = Position(newest.number, newest.end)
        self._unlink_retired(self._retired)

    def _find_end(self, file: JournalFile) -> int:
        """Return where the newest file ends: before its first line that does not open.

        Unless a later mark says that this line had been synced: then it is damage, and what
        follows it counts.
        """
        end = good = FIRST_LINE
        marked, bad = START, list[int]()
        for offset, kind, payload in file.lines(None):
            if payload is None:
                bad.append(good)
            elif kind == SYNCED:
                marked = max(marked, Position.decode(payload))
                if bad and Position(file.number, bad[-1]) < marked:
                    self.damage += [file.damaged(b) for b in bad]
                    bad.clear()
            elif kind == _RETIRED and not bad:
                self._retired = max(self._retired, decode_number(payload))
            if not bad:
                end = offset
            good = offset
        self.marked = max(self.marked, min(marked, Position(file.number, end)))
        return end

    def _check_whole(self, file: JournalFile) -> None:
        good = FIRST_LINE
        for offset, kind, payload in file.lines(file.end):
            if payload is None:
                self.damage.append(file.damaged(good))
            elif kind == SYNCED:
                self.marked = max(self.marked, Position.decode(payload))
            good = offset
        if good != file.end:
            self.damage.append(file.damaged(good))


def _refused(e: OSError) -> FileError:
    return FileError(e.errno or errno.EIO, f"The local journal cannot be written ({e.strerror}).")
