"""Write FlatBuffers: the same tree gives the same bytes, on every machine and version.

The form is that of https://flatbuffers.dev/internals: little-endian, tables that begin with a
signed offset back to a vtable of 16-bit field offsets, vectors with a 32-bit count, unsigned
32-bit offsets that point forward. Parents are written before children, so all offsets do.
A writer of our own keeps converted models bit-reproducible and needs no package.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number in a table: ``code`` is its ``struct`` letter, of at most 4 bytes."""

    code: str
    value: float


@dataclass(frozen=True, slots=True)
class Table:
    """A table: fields by the number that the schema gives them."""

    fields: Mapping[int, Scalar | Node]


@dataclass(frozen=True, slots=True)
class Numbers:
    """A vector of numbers of one ``struct`` letter."""

    code: str
    values: Sequence[int]


@dataclass(frozen=True, slots=True)
class Tables:
    """A vector of tables."""

    items: Sequence[Table]


@dataclass(frozen=True, slots=True)
class Text:
    """A string, UTF-8."""

    text: str


@dataclass(frozen=True, slots=True)
class Blob:
    """A vector of bytes whose first byte lies on a multiple of 16."""

    data: bytes


Node = Table | Numbers | Tables | Text | Blob


class _Writer:
    def __init__(self) -> None:
        self.out = bytearray()
        self.todo: deque[tuple[int, Node]] = deque()

    def align(self, to: int, ahead: int = 0) -> None:
        """Pad until the position ``ahead`` bytes further on is a multiple of ``to``."""
        self.out += bytes(-(len(self.out) + ahead) % to)

    def refer(self, node: Node) -> None:
        """Leave room for an offset to a node that is placed later."""
        self.todo.append((len(self.out), node))
        self.out += bytes(4)

    def table(self, table: Table) -> int:
        at = 4
        offsets = [0] * (max(table.fields, default=-1) + 1)
        for number, value in sorted(table.fields.items()):
            size = struct.calcsize(value.code) if isinstance(value, Scalar) else 4
            at += -at % size
            offsets[number] = at
            at += size
        self.align(2)
        vtable = len(self.out)
        self.out += struct.pack(f"<{2 + len(offsets)}H", 4 + 2 * len(offsets), at, *offsets)
        self.align(4)
        start = len(self.out)
        self.out += struct.pack("<i", start - vtable)
        for number, value in sorted(table.fields.items()):
            self.out += bytes(start + offsets[number] - len(self.out))
            if isinstance(value, Scalar):
                self.out += struct.pack("<" + value.code, value.value)
            else:
                self.refer(value)
        return start

    def place(self, node: Node) -> int:
        """Write a node; return where offsets to it point."""
        if isinstance(node, Table):
            return self.table(node)
        self.align(16, ahead=4) if isinstance(node, Blob) else self.align(4)
        start = len(self.out)
        match node:
            case Numbers(code, values):
                self.out += struct.pack(f"<I{len(values)}{code}", len(values), *values)
            case Tables(items):
                self.out += struct.pack("<I", len(items))
                for item in items:
                    self.refer(item)
            case Text(text):
                raw = text.encode()
                self.out += struct.pack("<I", len(raw)) + raw + b"\0"
            case Blob(data):
                self.out += struct.pack("<I", len(data)) + data
        return start


def write(root: Table, identifier: bytes) -> bytes:
    """Return the buffer of a tree; ``identifier`` is the schema's, 4 bytes."""
    writer = _Writer()
    writer.refer(root)
    writer.out += identifier
    while writer.todo:
        at, node = writer.todo.popleft()
        struct.pack_into("<I", writer.out, at, writer.place(node) - at)
    return bytes(writer.out)
