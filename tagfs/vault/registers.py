"""Registers: the fields of files, folders, tags and photos, and which values they take."""

from __future__ import annotations

import enum
from itertools import pairwise
from typing import Any

from tagfs.model import ContentId, FileId, FolderId, ObjectName, TagId
from tagfs.vault import cbor

MAX_ATTRIBUTES = 64
"""Extended attributes of one file or folder, at most."""
MAX_ATTRIBUTE_BYTES = 64 * 1024
"""Bytes of their names and values together, at most."""
MAX_CONDEMNED = 1024
"""Records of one content that are condemned, at most."""


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
    CONDEMNED = 20  # photo: records that count no more, each by its first object, or None


def register_value(field: Field, value: Any) -> Any:
    """Check a register's value against its field and give it the in-memory shape."""
    match field:
        case Field.CONTENT:
            if value is None:
                return None
            content = (ContentId(exact(value[0], 32)), integer(value[1], 2**63))
            if len(value) < 3 or value[2] is None:
                return content
            return (*content, ContentId(exact(value[2], 32)))
        case Field.MODE:
            return integer(value, 0o10000)
        case Field.MTIME:
            return cbor.check_number(value, 2**63, -(2**63))
        case Field.TARGET:
            return _target(value)
        case Field.PURGED:
            return None if value is None else integer(value, 2**63)
        case Field.VERSION_OF:
            return None if value is None else FileId(an_id(value))
        case Field.WRITTEN_OVER:
            return None if value is None else ContentId(exact(value, 32))
        case Field.RATING:
            return None if value is None else integer(value, 11)
        case Field.ATTRIBUTES:
            return None if value is None else _attributes(value)
        case Field.CONDEMNED:
            return None if value is None else _records(value)
        case Field.TRASHED:
            if value is None:
                return None
            places = tuple((FolderId(an_id(f)), entry_name(n)) for f, n in value[1])
            return (integer(value[0], 2**63), places)
        case Field.PLACE:
            return (FolderId(an_id(value[0])), entry_name(value[1]), _bool(value[2]))
        case Field.TAG_NAME:
            return None if value is None else text(value, 255)
        case Field.TAG_MERGED:
            return None if value is None else TagId(text(value, 64))
        case Field.VIEW_NAME:
            return None if value is None else entry_name(value)
        case Field.DATE:
            return None if value is None else text(value, 10)
        case _:
            return value is not None and _bool(value)


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("boolean")
    return value


def _records(value: Any) -> tuple[ObjectName, ...]:
    """Read which records are condemned: each once, in ascending order."""
    names = tuple(ObjectName(an_id(name)) for name in cbor.check_items(value, MAX_CONDEMNED))
    if not names or any(a >= b for a, b in pairwise(names)):
        raise ValueError("condemned records")
    return names


def an_id(value: Any) -> bytes:
    return exact(value, 16)


def exact(value: Any, *lengths: int) -> bytes:
    if not isinstance(value, bytes) or len(value) not in lengths:
        raise ValueError("bytes")
    return value


def entry_name(value: Any) -> bytes:
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


def text(value: Any, limit: int) -> str:
    if not isinstance(value, str) or len(value.encode()) > limit:
        raise ValueError("text")
    return value


def integer(value: Any, limit: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
        raise ValueError("number")
    return value
