"""Operations: what a journal line says happened, as values and as bounded CBOR.

An operation either writes one last-writer-wins register, adds or removes an element of an
observed-remove set (folder entries), or records an immutable fact (a content, an analysis).
Applied in any order, any number of times, the same operations build the same state
(docs/format.md, Operations).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from tagfs.errors import Integrity
from tagfs.model import (
    PART,
    Content,
    ContentId,
    DeviceId,
    Facts,
    FileId,
    FolderId,
    ObjectName,
    Part,
    Scored,
    TagId,
    UnitId,
    Word,
)
from tagfs.vault import cbor
from tagfs.vault.facts import decode_facts, encode_facts
from tagfs.vault.registers import Field as Field
from tagfs.vault.registers import an_id, entry_name, exact, integer, register_value, text

MAX_UNIT = 8 * 1024 * 1024
"""Bytes of one encoded unit, at most."""
MAX_OPS = 100_000
"""Operations in one unit, at most."""


class Entity(enum.IntEnum):
    """What a register belongs to."""

    FILE = 1
    FOLDER = 2
    TAG = 3
    PHOTO = 4
    PATH = 5  # of tags, "/"-joined ids
    QUERY = 6


@dataclass(frozen=True, slots=True)
class SetRegister:
    """Write a register; the operation with the greatest stamp is the one that counts."""

    entity: Entity
    id: bytes
    field: Field
    value: Any


@dataclass(frozen=True, slots=True)
class SetWord:
    """The user says yes, no or nothing about a tag on a photo (or on a file without a content)."""

    photo: bytes  # content id, or file id while there is no content
    tag: TagId
    word: Word


@dataclass(frozen=True, slots=True)
class AddEntry:
    """List a file in a folder under a name. The dot is (device, hlc, index in the unit)."""

    folder: FolderId
    name: bytes
    file: FileId


@dataclass(frozen=True, slots=True)
class RemoveEntry:
    """Take back the entries of a name whose dots were seen; others stay."""

    folder: FolderId
    name: bytes
    file: FileId
    dots: tuple[tuple[DeviceId, int, int], ...]


@dataclass(frozen=True, slots=True)
class RecordContent:
    """A content exists, in these parts. The first record of a content id that verifies counts."""

    content: Content


@dataclass(frozen=True, slots=True)
class RecordAnalysis:
    """A model pack looked at a content. Replaces that pack's earlier rows, never a user's word."""

    photo: ContentId
    pack: str
    media_type: str
    tags: tuple[Scored, ...]
    facts: Facts
    details: tuple[ContentId, int, int] | None  # pack object, offset, length of scores+embedding
    thumbnail: tuple[ContentId, int, int] | None
    unreadable: str | None


@dataclass(frozen=True, slots=True)
class Skipped:
    """An operation of a later version. It keeps its place, because dots number operations."""


Op = SetRegister | SetWord | AddEntry | RemoveEntry | RecordContent | RecordAnalysis | Skipped


@dataclass(frozen=True, slots=True)
class Unit:
    """Operations that happen together.

    The units of one id are one act, which is undone as a whole: a recursive removal is many units.
    ``by_user`` says that it is an act of the user's; ``undoes`` names the act that it takes back.
    """

    id: UnitId
    hlc: int
    device: DeviceId
    ops: tuple[Op, ...]
    by_user: bool = False
    undoes: UnitId | None = None


def encode_unit(unit: Unit) -> bytes:
    """Return the unit as CBOR, without its device (the journal it stands in says which)."""
    items: list[Any] = [unit.id, unit.hlc, [_encode(op) for op in unit.ops]]
    if unit.by_user:
        items.append(unit.undoes or b"")
    return cbor.encode(items)


def decode_unit(data: bytes, device: DeviceId) -> Unit:
    """Read a unit that ``device`` wrote; raises Integrity for anything malformed or oversized.

    Operations of a kind that this version does not know become Skipped (docs/format.md, Versions).
    """
    if len(data) > MAX_UNIT:
        raise Integrity(f"A journal unit of {len(data)} bytes is longer than format 1 allows.")
    try:
        unit_id, hlc, raw, *more = cbor.check_items(cbor.decode(data), 64)
        ops = tuple(map(_decode, cbor.check_items(raw, MAX_OPS)))
        mark = more[0] if more else None
        undoes = None if mark is None else UnitId(exact(mark, 0, 16)) or None
        by_user = mark is not None
        return Unit(UnitId(an_id(unit_id)), integer(hlc, 2**64), device, ops, by_user, undoes)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError) as e:
        raise Integrity(f"A journal unit is malformed ({type(e).__name__}).") from e


def _encode(op: Op) -> list[Any]:
    match op:
        case SetRegister():
            return [1, int(op.entity), op.id, int(op.field), op.value]
        case SetWord():
            return [2, op.photo, op.tag, int(op.word)]
        case AddEntry():
            return [3, op.folder, op.name, op.file]
        case RemoveEntry():
            return [4, op.folder, op.name, op.file, [list(d) for d in op.dots]]
        case RecordContent():
            return [5, *encode_content(op.content)]
        case RecordAnalysis():
            return [
                6,
                op.photo,
                op.pack,
                op.media_type,
                [[s.tag, round(s.confidence * 1000)] for s in op.tags],
                encode_facts(op.facts),
                list(op.details) if op.details else None,
                list(op.thumbnail) if op.thumbnail else None,
                op.unreadable,
            ]
        case Skipped():
            raise ValueError("an operation that was skipped cannot be written")


def _decode(raw: list[Any]) -> Op:
    kind = raw[0]
    if kind == 1:
        if raw[1] not in Entity._value2member_map_ or raw[3] not in Field._value2member_map_:
            return Skipped()
        entity = Entity(raw[1])
        field, ident = Field(raw[3]), _entity_id(entity, raw[2])
        if field is Field.CONDEMNED and len(ident) != 32:
            raise ValueError("condemned is of contents")
        return SetRegister(entity, ident, field, register_value(field, raw[4]))
    if kind == 2:
        return SetWord(exact(raw[1], 16, 32), TagId(text(raw[2], 64)), Word(raw[3]))
    if kind == 3:
        return AddEntry(FolderId(an_id(raw[1])), entry_name(raw[2]), FileId(an_id(raw[3])))
    if kind == 4:
        dots = tuple(
            (DeviceId(an_id(d)), integer(h, 2**64), integer(i, MAX_OPS)) for d, h, i in raw[4]
        )
        return RemoveEntry(FolderId(an_id(raw[1])), entry_name(raw[2]), FileId(an_id(raw[3])), dots)
    if kind == 5:
        return RecordContent(decode_content(raw[1:]))
    if kind == 6:
        return RecordAnalysis(
            ContentId(exact(raw[1], 32)),
            text(raw[2], 64),
            text(raw[3], 128),
            tuple(Scored(TagId(text(t, 64)), integer(c, 1001) / 1000) for t, c in raw[4]),
            decode_facts(raw[5]),
            _reference(raw[6]),
            _reference(raw[7]),
            None if raw[8] is None else text(raw[8], 256),
        )
    if isinstance(kind, int) and kind > 6:
        return Skipped()
    raise ValueError("operation kind")


def encode_content(content: Content) -> list[Any]:
    """Return a content record as a CBOR-ready list; the catalog keeps the same form."""
    return [
        content.id,
        content.size,
        content.media_type,
        [[p.name, p.epoch, p.salt, p.commitment, p.size, p.stored] for p in content.parts],
    ]


def decode_content(raw: list[Any]) -> Content:
    """Read what encode_content wrote; raises ValueError for what is out of bounds."""
    parts = tuple(
        Part(
            ObjectName(an_id(p[0])),
            integer(p[1], 2**32),
            exact(p[2], 24),
            exact(p[3], 32),
            integer(p[4], 2**32),
            integer(p[5], 2**32),
        )
        for p in raw[3]
    )
    size = integer(raw[1], 2**63)
    # Readers find the part of an offset by division, so all but the last must be whole.
    if sum(p.size for p in parts) != size or any(p.size != PART for p in parts[:-1]):
        raise ValueError("part sizes")
    return Content(ContentId(exact(raw[0], 32)), size, text(raw[2], 128), parts)


def _entity_id(entity: Entity, value: Any) -> bytes:
    match entity:
        case Entity.FILE | Entity.FOLDER:
            return an_id(value)
        case Entity.PHOTO:
            return exact(value, 16, 32)
        case _:
            # UTF-8: a UnicodeDecodeError is a ValueError.
            limit = 64 if entity is Entity.TAG else 4096
            return text(cbor.check_bytes(value, most=limit).decode(), limit).encode()


def _reference(value: Any) -> tuple[ContentId, int, int] | None:
    if value is None:
        return None
    return (ContentId(exact(value[0], 32)), integer(value[1], 2**40), integer(value[2], 2**30))
