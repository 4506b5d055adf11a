"""Notes: what a local-journal line says besides the units of the user, as values and as CBOR.

A unit (vault/ops.py) is for every device; a note is about the bytes on this machine. Notes obey
one rule (pipeline/recovery.py): bytes that a line names are removed only after a later line
says so and has been synced.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cbor2

from tagfs.errors import Integrity
from tagfs.model import Content, ContentId, DeviceId, FileId, ObjectName
from tagfs.pipeline.condemned import Passing, Phase
from tagfs.pipeline.journal import SYNCED, Position
from tagfs.vault.ops import decode_content, encode_content

MAX_NAMES = 100_000
"""Object names in one note, at most."""


class Kind(enum.IntEnum):
    """Kinds of journal lines. A number, once given, is never used for something else."""

    UNIT = 1  # payload: vault/ops.encode_unit
    OBJECTS_BEGUN = 2
    DRAFT_SAVED = 3
    DRAFT_DROPPED = 4
    SEALED = 5
    UPLOADED = 6
    PUBLISHED = 7
    # 8 was SETTLED, which named a content. What is settled is a record; 6 and 7 say which.
    SYNCED = SYNCED
    DROPPED = 10
    PASSING = 11


@dataclass(frozen=True, slots=True)
class ObjectsBegun:
    """The upload of these objects begins: they may be on the remote from now on."""

    names: tuple[ObjectName, ...]


@dataclass(frozen=True, slots=True)
class Base:
    """What a draft lies over: the first ``size`` bytes that these parts hold.

    For a content that is recorded, ``unfinished`` is empty. Otherwise ``content`` has the zero
    id and describes an interrupted sequential pass: its parts hold ``size`` bytes in whole
    sealed chunks, and ``unfinished`` names the parts whose last chunk is not sealed yet. Those
    are read like longer ones and never past ``size`` (pipeline/contents.py).
    """

    content: Content
    size: int
    unfinished: tuple[ObjectName, ...] = ()


@dataclass(frozen=True, slots=True)
class DraftSaved:
    """A file's bytes as far as they are not sealed in final form; replaces its earlier drafts."""

    file: FileId
    scratch: bytes  # 16 bytes: which scratch log
    length: int  # bytes of that log that count
    size: int  # bytes of the file
    base: Base | None  # None: nothing below the scratch log

    @property
    def objects(self) -> tuple[ObjectName, ...]:
        """Spool objects that no record names and that live as long as this draft."""
        if self.base is None or self.base.content.id != UNRECORDED:
            return ()
        return tuple(part.name for part in self.base.content.parts)


UNRECORDED = ContentId(bytes(32))
"""The content id of a base that is an interrupted pass."""


@dataclass(frozen=True, slots=True)
class DraftDropped:
    """The drafts of this file are not needed any more: re-sealed, overwritten or deleted."""

    file: FileId


@dataclass(frozen=True, slots=True)
class Sealed:
    """A content lies in the spool in final form."""

    content: ContentId


@dataclass(frozen=True, slots=True)
class Uploaded:
    """These objects are on the remote, read back or acknowledged."""

    names: tuple[ObjectName, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """Lines up to ``upto`` are in this device's segments up to ``seq``, whose hash is the head."""

    device: DeviceId
    seq: int
    hash: bytes  # 32 bytes
    upto: Position


@dataclass(frozen=True, slots=True)
class Synced:
    """Lines up to here, and the bytes they name, were on stable storage."""

    upto: Position


@dataclass(frozen=True, slots=True)
class Dropped:
    """These spool objects are not needed any more: nobody has them, or another copy does."""

    names: tuple[ObjectName, ...]


@dataclass(frozen=True, slots=True)
class OnTheirWay:
    """These records, condemned in the vault, have come so far on their way out of it."""

    records: tuple[Passing, ...]


Note = (
    ObjectsBegun
    | DraftSaved
    | DraftDropped
    | Sealed
    | Uploaded
    | Published
    | Synced
    | Dropped
    | OnTheirWay
)


def encode_note(note: Note) -> tuple[Kind, bytes]:
    """Return the kind and the payload of a note's line."""
    match note:
        case ObjectsBegun():
            return Kind.OBJECTS_BEGUN, cbor2.dumps([list(note.names)])
        case DraftSaved():
            base = note.base and [
                encode_content(note.base.content),
                note.base.size,
                list(note.base.unfinished),
            ]
            fields = [note.file, note.scratch, note.length, note.size, base]
            return Kind.DRAFT_SAVED, cbor2.dumps(fields)
        case DraftDropped():
            return Kind.DRAFT_DROPPED, cbor2.dumps([note.file])
        case Sealed():
            return Kind.SEALED, cbor2.dumps([note.content])
        case Uploaded():
            return Kind.UPLOADED, cbor2.dumps([list(note.names)])
        case Published():
            fields = [note.device, note.seq, note.hash, note.upto.encode()]
            return Kind.PUBLISHED, cbor2.dumps(fields)
        case Synced():
            return Kind.SYNCED, note.upto.encode()
        case OnTheirWay():
            rows = [[p.content, p.record, int(p.phase), p.at_ms] for p in note.records]
            return Kind.PASSING, cbor2.dumps([rows])
        case Dropped():
            return Kind.DROPPED, cbor2.dumps([list(note.names)])


def decode_note(kind: int, payload: bytes) -> Note | None:
    """Read a note; None for a unit and for kinds that this version does not use.

    Raises Integrity for a malformed one. Fields that a later version appends are skipped.
    """
    decoder = _DECODERS.get(kind)
    if decoder is None:
        return None
    try:
        return decoder(payload)
    except (cbor2.CBORDecodeError, ValueError, TypeError, IndexError, KeyError) as e:
        raise Integrity(f"A local note of kind {kind} is malformed ({type(e).__name__}).") from e


def _draft_saved(payload: bytes) -> DraftSaved:
    file, scratch, length, size, base = cbor2.loads(payload)[:5]
    return DraftSaved(
        FileId(_bytes(file, 16)),
        _bytes(scratch, 16),
        _int(length, 2**63),
        _int(size, 2**63),
        None if base is None else _base(base),
    )


def _base(raw: list[Any]) -> Base:
    return Base(decode_content(raw[0]), _int(raw[1], 2**63), _names(raw[2]))


def _published(payload: bytes) -> Published:
    device, seq, digest, upto = cbor2.loads(payload)[:4]
    return Published(
        DeviceId(_bytes(device, 16)),
        _int(seq, 2**64),
        _bytes(digest, 32),
        Position.decode(_bytes(upto, 12)),
    )


def _content(payload: bytes) -> ContentId:
    return ContentId(_bytes(cbor2.loads(payload)[0], 32))


def _on_their_way(payload: bytes) -> OnTheirWay:
    rows = cbor2.loads(payload)[0]
    if not isinstance(rows, list) or len(rows) > MAX_NAMES:
        raise ValueError("records")
    return OnTheirWay(
        tuple(
            Passing(
                ContentId(_bytes(content, 32)),
                ObjectName(_bytes(record, 16)),
                Phase(phase),
                _int(at, 2**63),
            )
            for content, record, phase, at in rows
        )
    )


_DECODERS: dict[int, Callable[[bytes], Note]] = {
    Kind.OBJECTS_BEGUN: lambda p: ObjectsBegun(_names(cbor2.loads(p)[0])),
    Kind.DRAFT_SAVED: _draft_saved,
    Kind.DRAFT_DROPPED: lambda p: DraftDropped(FileId(_bytes(cbor2.loads(p)[0], 16))),
    Kind.SEALED: lambda p: Sealed(_content(p)),
    Kind.UPLOADED: lambda p: Uploaded(_names(cbor2.loads(p)[0])),
    Kind.PUBLISHED: _published,
    Kind.SYNCED: lambda p: Synced(Position.decode(p)),
    Kind.PASSING: _on_their_way,
    Kind.DROPPED: lambda p: Dropped(_names(cbor2.loads(p)[0])),
}


def _names(raw: Any) -> tuple[ObjectName, ...]:
    if not isinstance(raw, list) or len(raw) > MAX_NAMES:
        raise ValueError("names")
    return tuple(ObjectName(_bytes(n, 16)) for n in raw)


def _bytes(value: Any, length: int) -> bytes:
    if not isinstance(value, bytes) or len(value) != length:
        raise ValueError("bytes")
    return value


def _int(value: Any, limit: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
        raise ValueError("number")
    return value
