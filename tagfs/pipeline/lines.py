"""Files of the local journal: positions, the form of a file, sealing and finding lines.

What the files mean together is the business of pipeline/journal.py, where the form is described.
"""

from __future__ import annotations

import io
import os
import secrets
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Self

from tagfs.crypto.values import OVERHEAD, ValueSealer
from tagfs.errors import Integrity

MAX_LINE = 16 * 1024 * 1024
"""Bytes of one payload, at most; a unit has at most 8 MiB."""
BEGUN = 0xF0
"""Kind of the first line of a file: position of the predecessor, last retired file."""

_MAGIC = b"tagfsLJ1"
_HEADER = struct.Struct(">8sI16s")
_LENGTH = struct.Struct(">I")
_BINDING = struct.Struct(">IQ")
_POSITION = struct.Struct(">IQ")
_NUMBER = struct.Struct(">I")
MARK = 64
"""Lines from one place that is remembered to the next."""
FIRST_LINE = _HEADER.size
"""Offset of the first line in a file."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """The end of a line: (file number, offset behind the line). Later lines compare greater."""

    file: int
    offset: int

    def encode(self) -> bytes:
        """Return 12 bytes that compare as positions do."""
        return _POSITION.pack(self.file, self.offset)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what encode() returned; raises Integrity for another length."""
        if len(data) != _POSITION.size:
            raise Integrity("A journal position does not have 12 bytes.")
        return cls(*_POSITION.unpack(data))


START = Position(0, 0)
"""Before every line."""

Line = tuple[Position, int, bytes]
"""(end of the line, kind, payload)."""


@dataclass(slots=True)
class JournalFile:
    """One file that belongs to the journal."""

    number: int
    path: Path
    salt: bytes
    sealer: ValueSealer
    after: Position = START  # where it goes on
    end: int = FIRST_LINE  # bytes that count
    _marks: list[tuple[int, int]] = field(default_factory=lambda: [(FIRST_LINE, 0)])
    """Where some lines begin, and how many are before them: where readers may begin."""

    @classmethod
    def begin(cls, folder: Path, number: int, secret: bytes) -> Self:
        """Describe a file that is not there yet, with a fresh key."""
        salt = secrets.token_bytes(16)
        path = folder / f"{number:08d}.log"
        return cls(number, path, salt, ValueSealer(secret, number, salt))

    @classmethod
    def open(cls, path: Path, secret: bytes) -> tuple[Self, int] | None:
        """Return (file, last retired file) if its first line opens, with ``end`` behind it.

        None for a file that was never begun properly: torn, or of another vault.
        """
        number = int(path.name[:8])
        with open(path, "rb") as stream:
            head = stream.read(_HEADER.size)
        if len(head) != _HEADER.size:
            return None
        magic, claimed, salt = _HEADER.unpack(head)
        if magic != _MAGIC or claimed != number:
            return None
        file = cls(number, path, salt, ValueSealer(secret, number, salt))
        for offset, kind, payload in file.lines(None):
            if kind != BEGUN or payload is None or len(payload) != 16:
                return None
            file.after, file.end = Position.decode(payload[:12]), offset
            return (file, decode_number(payload[12:])) if file.after.file < number else None
        return None

    def first(self, after: Position, retired: int) -> bytes:
        """Return the bytes that a file begins with: header and first line."""
        head = _HEADER.pack(_MAGIC, self.number, self.salt)
        return head + self.seal(BEGUN, after.encode() + encode_number(retired))

    def seal(self, kind: int, payload: bytes) -> bytes:
        """Return the next line, with its length."""
        binding = _BINDING.pack(self.number, self.sealer.uses)
        sealed = self.sealer.seal(bytes((kind,)) + payload, binding)
        return _LENGTH.pack(len(sealed)) + sealed

    def lines(self, limit: int | None, after: int = 0) -> Iterator[tuple[int, int, bytes | None]]:
        """Yield (end offset, kind, payload), payload None for bytes that are no line.

        Behind such bytes it goes on at the next line that opens, or ends where there is none. Lines
        that end at ``after`` or before it may be left out where they were opened earlier.
        """
        with open(self.path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            limit = size if limit is None else min(limit, size)
            known = max(after, FIRST_LINE)
            offset, index = max(mark for mark in self._marks if mark[0] <= known)
            while offset < limit:
                stream.seek(offset)
                line = self._read_line(stream, limit - offset, index)
                if line is None:
                    gap = self._find_line(stream, offset, limit)
                    if gap is None:
                        return
                    offset, index = gap
                    yield offset, 0, None
                else:
                    length, kind, payload = line
                    offset += length
                    index += 1
                    if index % MARK == 0 and offset > self._marks[-1][0]:
                        self._marks.append((offset, index))
                    yield offset, kind, payload

    def _find_line(self, stream: BinaryIO, offset: int, limit: int) -> tuple[int, int] | None:
        """Return (offset, index) of the first line behind ``offset`` that opens.

        Found by the number and the upper half of the counter that every sealed line begins with.
        """
        stream.seek(offset)
        rest = stream.read(limit - offset)
        pattern = _NUMBER.pack(self.number) + bytes(4)
        at = rest.find(pattern, _LENGTH.size + 1)
        while at >= 0:
            start = at - _LENGTH.size
            index = int.from_bytes(rest[at + 4 : at + 12], "big")
            if self._read_line(io.BytesIO(rest[start:]), len(rest) - start, index):
                return offset + start, index
            at = rest.find(pattern, at + 1)
        return None

    def _read_line(self, stream: BinaryIO, limit: int, index: int) -> tuple[int, int, bytes] | None:
        """Read one line: (bytes it takes, kind, payload), or None when it does not open."""
        head = stream.read(min(limit, _LENGTH.size))
        if len(head) != _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack(head)
        if not OVERHEAD < length <= min(MAX_LINE + OVERHEAD + 1, limit - _LENGTH.size):
            return None
        try:
            plain = self.sealer.open(stream.read(length), _BINDING.pack(self.number, index))
        except Integrity:
            return None
        return _LENGTH.size + length, plain[0], plain[1:]

    def damaged(self, offset: int) -> Integrity:
        """Return the error that names a damaged place."""
        return Integrity(f"Local journal file {self.path.name} is damaged at byte {offset}.")


def has_magic(path: Path) -> bool:
    """Whether a file begins as a journal file does."""
    with open(path, "rb") as stream:
        return stream.read(len(_MAGIC)) == _MAGIC


def encode_number(number: int) -> bytes:
    """Return a file number as 4 bytes."""
    return _NUMBER.pack(number)


def decode_number(data: bytes) -> int:
    """Read what encode_number() returned; raises Integrity for another length."""
    if len(data) != _NUMBER.size:
        raise Integrity("A journal file number does not have 4 bytes.")
    return int(_NUMBER.unpack(data)[0])
