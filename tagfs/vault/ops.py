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

MAX_UNIT = 8 * 1024 * 1024
"""Bytes of one encoded unit, at most."""
MAX_OPS = 100_000
"""Operations in one unit, at most."""
MAX_ATTRIBUTES = 64
"""Extended attributes of one file or folder, at most."""
MAX_ATTRIBUTE_BYTES = 64 * 1024
"""Bytes of their names and values together, at most."""


class Field(enum.IntEnum):
    """Registers of a file or folder. A number, once given, is never used for something else."""

    CONTENT = 1  # file: (content id, size[, id of the content it replaces]), None when empty
    MODE = 2  # permission bits
    MTIME = 3  # nanoseconds since 1970
    TARGET = 4  # symlink: where it points, bytes
    TRASHED = 5  # file: (time in ms, ((folder id, name), ...)) or None when live
    PLACE = 6  # folder: (parent id, name, alive)
    TAG_NAME = 7  # tag: its name, text
    TAG_MERGED = 8  # tag: the tag id it was merged into, or None
    TAG_KEPT = 9  # tag: True when the folder stands though it is empty
    VIEW_NAME = 10  # photo: the name chosen for the views, bytes
    FAVOURITE = 11  # photo: True or False
    DATE = 12  # photo: the user's date, text of 4, 7 or 10 characters (its precision), or None
    NARROWING = 13  # kept narrowing: True or False; the entity is the path of tag ids
    QUERY = 14  # kept query: True or False; the entity is the query's text
    PURGED = 15  # file: when it was removed from the trash (ms), or None
    VERSION_OF = 16  # file: id of the file whose former content it keeps, or None
    WRITTEN_OVER = 17  # file: content id of what had its name when it was written, or None
    RATING = 18  # photo: the user's, 1 to 10 (half stars), or None
    ATTRIBUTES = 19  # file, folder: extended attributes ((name, value), ...), or None


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
        undoes = None if mark is None else UnitId(_bytes(mark, 0, 16)) or None
        by_user = mark is not None
        return Unit(UnitId(_id(unit_id)), _int(hlc, 2**64), device, ops, by_user, undoes)
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
        ident = _entity_id(entity, raw[2])
        return SetRegister(entity, ident, Field(raw[3]), _register(Field(raw[3]), raw[4]))
    if kind == 2:
        return SetWord(_bytes(raw[1], 16, 32), TagId(_text(raw[2], 64)), Word(raw[3]))
    if kind == 3:
        return AddEntry(FolderId(_id(raw[1])), _name(raw[2]), FileId(_id(raw[3])))
    if kind == 4:
        dots = tuple((DeviceId(_id(d)), _int(h, 2**64), _int(i, MAX_OPS)) for d, h, i in raw[4])
        return RemoveEntry(FolderId(_id(raw[1])), _name(raw[2]), FileId(_id(raw[3])), dots)
    if kind == 5:
        return RecordContent(decode_content(raw[1:]))
    if kind == 6:
        return RecordAnalysis(
            ContentId(_bytes(raw[1], 32)),
            _text(raw[2], 64),
            _text(raw[3], 128),
            tuple(Scored(TagId(_text(t, 64)), _int(c, 1001) / 1000) for t, c in raw[4]),
            decode_facts(raw[5]),
            _reference(raw[6]),
            _reference(raw[7]),
            None if raw[8] is None else _text(raw[8], 256),
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
            ObjectName(_id(p[0])),
            _int(p[1], 2**32),
            _bytes(p[2], 24),
            _bytes(p[3], 32),
            _int(p[4], 2**32),
            _int(p[5], 2**32),
        )
        for p in raw[3]
    )
    size = _int(raw[1], 2**63)
    # Readers find the part of an offset by division, so all but the last must be whole.
    if sum(p.size for p in parts) != size or any(p.size != PART for p in parts[:-1]):
        raise ValueError("part sizes")
    return Content(ContentId(_bytes(raw[0], 32)), size, _text(raw[2], 128), parts)


def _register(field: Field, value: Any) -> Any:
    """Check a register's value against its field and give it the in-memory shape."""
    match field:
        case Field.CONTENT:
            if value is None:
                return None
            content = (ContentId(_bytes(value[0], 32)), _int(value[1], 2**63))
            if len(value) < 3 or value[2] is None:
                return content
            return (*content, ContentId(_bytes(value[2], 32)))
        case Field.MODE:
            return _int(value, 0o10000)
        case Field.MTIME:
            return cbor.check_number(value, 2**63, -(2**63))
        case Field.TARGET:
            return _target(value)
        case Field.PURGED:
            return None if value is None else _int(value, 2**63)
        case Field.VERSION_OF:
            return None if value is None else FileId(_id(value))
        case Field.WRITTEN_OVER:
            return None if value is None else ContentId(_bytes(value, 32))
        case Field.RATING:
            return None if value is None else _int(value, 11)
        case Field.ATTRIBUTES:
            return None if value is None else _attributes(value)
        case Field.TRASHED:
            if value is None:
                return None
            places = tuple((FolderId(_id(f)), _name(n)) for f, n in value[1])
            return (_int(value[0], 2**63), places)
        case Field.PLACE:
            return (FolderId(_id(value[0])), _name(value[1]), _bool(value[2]))
        case Field.TAG_NAME:
            return None if value is None else _text(value, 255)
        case Field.TAG_MERGED:
            return None if value is None else TagId(_text(value, 64))
        case Field.VIEW_NAME:
            return None if value is None else _name(value)
        case Field.DATE:
            return None if value is None else _text(value, 10)
        case _:
            return value is not None and _bool(value)


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("boolean")
    return value


def _entity_id(entity: Entity, value: Any) -> bytes:
    match entity:
        case Entity.FILE | Entity.FOLDER:
            return _id(value)
        case Entity.PHOTO:
            return _bytes(value, 16, 32)
        case _:
            # UTF-8: a UnicodeDecodeError is a ValueError.
            limit = 64 if entity is Entity.TAG else 4096
            return _text(cbor.check_bytes(value, most=limit).decode(), limit).encode()


def _id(value: Any) -> bytes:
    return _bytes(value, 16)


def _bytes(value: Any, *lengths: int) -> bytes:
    if not isinstance(value, bytes) or len(value) not in lengths:
        raise ValueError("bytes")
    return value


def _name(value: Any) -> bytes:
    if not isinstance(value, bytes) or not 0 < len(value) <= 255 or b"/" in value or b"\0" in value:
        raise ValueError("name")
    if value in (b".", b".."):
        raise ValueError("name")
    return value


def _target(value: Any) -> bytes:
    if not isinstance(value, bytes) or not 0 < len(value) < 4096 or b"\0" in value:
        raise ValueError("target")
    return value


def _attributes(value: Any) -> tuple[tuple[bytes, bytes], ...]:
    pairs = []
    for name, content in cbor.check_items(value, MAX_ATTRIBUTES):
        if not cbor.check_bytes(name, most=255) or b"\0" in name:
            raise ValueError("attribute name")
        pairs.append((name, cbor.check_bytes(content, most=MAX_ATTRIBUTE_BYTES)))
    size = sum(len(n) + len(c) for n, c in pairs)
    if size > MAX_ATTRIBUTE_BYTES or len({n for n, _ in pairs}) < len(pairs):
        raise ValueError("attributes")
    return tuple(pairs)


def _text(value: Any, limit: int) -> str:
    if not isinstance(value, str) or len(value.encode()) > limit:
        raise ValueError("text")
    return value


def _int(value: Any, limit: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
        raise ValueError("number")
    return value


def _reference(value: Any) -> tuple[ContentId, int, int] | None:
    if value is None:
        return None
    return (ContentId(_bytes(value[0], 32)), _int(value[1], 2**40), _int(value[2], 2**30))
