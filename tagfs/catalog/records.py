"""The catalog's records: mutable in memory, CBOR in the table, registers with their stamps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cbor2

from tagfs.catalog.sights import Sight, counting, newest, seen_together
from tagfs.catalog.standing import NOWHERE, Standing, believable
from tagfs.model import (
    NEVER,
    UNFILED,
    Content,
    ContentId,
    DeviceId,
    FileId,
    FolderId,
    ObjectName,
    Stamp,
    TagId,
    Word,
)
from tagfs.vault.ops import (
    Field,
    decode_content,
    encode_content,
)

Dot = tuple[DeviceId, int, int]
"""Who added an entry, at which clock, as which operation of its unit."""


class Registers:
    """Last-writer-wins registers by field: the value with the greatest stamp stays."""

    __slots__ = ("_values",)

    def __init__(self, raw: dict[int, list[Any]] | None = None) -> None:
        self._values: dict[int, list[Any]] = raw if raw is not None else {}

    def write(self, name: Field, value: Any, stamp: Stamp) -> bool:
        """Store ``value`` if it is the later one; say whether it was."""
        if stamp <= self.stamp(name):
            return False
        self._values[int(name)] = [value, stamp.hlc, stamp.device]
        return True

    def get(self, name: Field, default: Any = None) -> Any:
        """Return the value in force."""
        found = self._values.get(int(name))
        return default if found is None else found[0]

    def stamp(self, name: Field) -> Stamp:
        """Return who wrote the value in force, NEVER when nobody did."""
        found = self._values.get(int(name))
        return NEVER if found is None else Stamp(found[1], found[2])

    def latest(self) -> int:
        """Return the greatest clock of any register."""
        return max((v[1] for v in self._values.values()), default=0)

    def raw(self) -> dict[int, list[Any]]:
        """Return the form that the table keeps."""
        return self._values


@dataclass(slots=True)
class FileRecord:
    """One inode: its registers and the folders that list it."""

    id: FileId
    ino: int
    born: int  # smallest clock that any operation on it had: decides which twin is the oldest
    regs: Registers = field(default_factory=Registers)
    entries: dict[tuple[FolderId, bytes], list[Dot]] = field(default_factory=dict)
    gone: list[Dot] = field(default_factory=list)  # removed; whatever comes late stays so
    slots: dict[bytes, int] = field(default_factory=dict)  # lists that it stands on (shelves.py)
    changed: int = 0  # greatest clock of an act on it; giving its bytes their final form is none
    views: int = 0  # entries in views that it has as a photo
    in_all: bool = False  # whether one of these is in all/, where it then is no unfiled file

    @property
    def ctime_ns(self) -> int:
        """Nanoseconds since 1970 of the last act on it."""
        return (max(self.changed, self.born) >> 16) * 1_000_000

    @property
    def content(self) -> tuple[ContentId, int] | None:
        """Content id and size; None while the file is empty."""
        value = self.regs.get(Field.CONTENT)
        return None if value is None else (ContentId(value[0]), value[1])

    @property
    def live(self) -> bool:
        """Whether any folder lists it."""
        return bool(self.entries)

    @property
    def mode(self) -> int:
        """Permission bits."""
        return int(self.regs.get(Field.MODE, 0o644))

    @property
    def mtime_ns(self) -> int:
        """Nanoseconds since 1970."""
        return int(self.regs.get(Field.MTIME, 0))

    @property
    def target(self) -> bytes | None:
        """Where a symlink points; None for a regular file."""
        value: bytes | None = self.regs.get(Field.TARGET)
        return value

    @property
    def trashed(self) -> tuple[int, tuple[tuple[FolderId, bytes], ...]] | None:
        """When it was deleted (ms) and where it stood; None when it was not."""
        value = self.regs.get(Field.TRASHED)
        if value is None:
            return None
        return (value[0], tuple((FolderId(f), n) for f, n in value[1]))

    @property
    def kept(self) -> bool:
        """Whether its bytes can still be reached: listed, or in the trash."""
        return self.live or (self.trashed is not None and not self.purged)

    @property
    def any_name(self) -> bytes:
        """A name that it has, or had when it was deleted."""
        places = tuple(self.entries) or (self.trashed[1] if self.trashed else ())
        return places[0][1] if places else self.id.hex().encode()

    @property
    def purged(self) -> bool:
        """Whether it was removed from the trash too."""
        return self.regs.get(Field.PURGED) is not None

    @property
    def links(self) -> int:
        """How many entries show it, 0 for what is gone.

        Those in ``recent/``, which time takes away, in kept narrowings and searches, and those of
        a tag before there are bytes are not counted; what is in the trash has one.
        """
        own = sum(1 for folder, _ in self.entries if folder != UNFILED or not self.in_all)
        return max(1, own + self.views) if self.kept else 0

    @property
    def latest(self) -> int:
        """The greatest clock of its registers and entries."""
        dots = (dot[1] for dots in self.entries.values() for dot in dots)
        return max(self.regs.latest(), *dots, 0)

    def encode(self) -> bytes:
        """Return the table's value."""
        entries = [[f, n, dots] for (f, n), dots in self.entries.items()]
        return cbor2.dumps(
            [
                self.ino,
                self.born,
                self.regs.raw(),
                entries,
                self.gone,
                self.slots,
                self.changed,
                self.views,
                self.in_all,
            ]
        )

    @classmethod
    def decode(cls, ident: FileId, data: bytes) -> FileRecord:
        """Read the table's value."""
        ino, born, regs, entries, gone, slots, changed, views, in_all = cbor2.loads(data)
        return cls(
            ident,
            ino,
            born,
            Registers(regs),
            {(f, n): [(d[0], d[1], d[2]) for d in dots] for f, n, dots in entries},
            [(d[0], d[1], d[2]) for d in gone],
            slots,
            changed,
            views,
            in_all,
        )


@dataclass(slots=True)
class FolderRecord:
    """One own folder: its place, mode and times."""

    id: FolderId
    ino: int
    regs: Registers = field(default_factory=Registers)
    shown: tuple[FolderId, bytes, int] | None = None  # parent, name and slot it is listed under
    files: int = 0  # entries below that keep a deleted folder alive
    folders: int = 0  # folders listed below
    changed: int = 0  # greatest clock that added or removed an entry

    @property
    def place(self) -> tuple[FolderId, bytes, bool] | None:
        """Parent, name and whether the user wants it there."""
        value = self.regs.get(Field.PLACE)
        return None if value is None else (FolderId(value[0]), value[1], value[2])

    @property
    def mode(self) -> int:
        """Permission bits."""
        return int(self.regs.get(Field.MODE, 0o755))

    @property
    def mtime_ns(self) -> int:
        """Nanoseconds since 1970: as set by the user, or when an entry came or went later."""
        if self.regs.stamp(Field.MTIME).hlc >= self.changed:
            return int(self.regs.get(Field.MTIME, 0))
        return (self.changed >> 16) * 1_000_000

    @property
    def ctime_ns(self) -> int:
        """Nanoseconds since 1970: when it, or what it lists, was last changed."""
        return (max(self.changed, self.regs.latest()) >> 16) * 1_000_000

    def encode(self) -> bytes:
        """Return the table's value."""
        return cbor2.dumps(
            [self.ino, self.regs.raw(), self.shown, self.files, self.folders, self.changed]
        )

    @classmethod
    def decode(cls, ident: FolderId, data: bytes) -> FolderRecord:
        """Read the table's value."""
        ino, regs, shown, files, folders, changed = cbor2.loads(data)
        place = None if shown is None else (FolderId(shown[0]), shown[1], shown[2])
        return cls(ident, ino, Registers(regs), place, files, folders, changed)


@dataclass(slots=True)
class PhotoRecord:
    """One content: its parts, the files that hold it, what was seen and what the user said."""

    id: ContentId
    number: int | None = None  # in posting lists; None while nothing lists it
    records: list[tuple[Stamp, Content]] = field(default_factory=list)  # in order of their stamps
    files: list[FileId] = field(default_factory=list)  # live ones
    sights: dict[str, Sight] = field(default_factory=dict)  # by model pack
    words: dict[TagId, tuple[Word, Stamp]] = field(default_factory=dict)
    regs: Registers = field(default_factory=Registers)
    name: bytes | None = None  # view name as entered in VIEW_NAME
    chosen: bool = False  # whether that name was recorded, rather than borrowed from the file
    tags: list[TagId] = field(default_factory=list)  # in force and in posting lists
    listed: bool = False
    standing: Standing = NOWHERE

    @property
    def content(self) -> Content | None:
        """Where its bytes lie: by the first record that is not condemned; None without one."""
        return self._counting[1]

    @property
    def content_at(self) -> Stamp:
        """When that was recorded, NEVER when there is none."""
        return self._counting[0]

    @property
    def condemned(self) -> tuple[ObjectName, ...]:
        """The records that do not count any more, each by its first object."""
        return tuple(self.regs.get(Field.CONDEMNED) or ())

    @property
    def _counting(self) -> tuple[Stamp, Content | None]:
        gone = self.condemned
        return next(((at, c) for at, c in self.records if c.record not in gone), (NEVER, None))

    @property
    def date(self) -> str | None:
        """When it was taken, in 4, 7 or 10 characters; None when nothing believable is known.

        The user's word and its precision go before what the photo says of itself.
        """
        said = self.regs.get(Field.DATE)
        date = believable(said, self.regs.stamp(Field.DATE).hlc >> 16)
        sight = self.sight
        if date is None and sight is not None and sight.facts.date is not None:
            date = believable(sight.facts.date[:10], sight.stamp.hlc >> 16)
        return date

    @property
    def media(self) -> bool:
        """Whether this is a photo or video rather than a document."""
        kind = self.content.media_type if self.content else ""
        return kind.startswith(("image/", "video/"))

    @property
    def sight(self) -> Sight | None:
        """The newest analysis."""
        return newest(self.sights)

    @property
    def counting(self) -> dict[str, Sight]:
        """The analyses that count, by pack: of the versions of each pack the newest."""
        return counting(self.sights)

    @property
    def seen(self) -> dict[TagId, float]:
        """What the packs saw together, as sure as the surest of them."""
        return seen_together(counting(self.sights).values())

    def encode(self) -> bytes:
        """Return the table's value."""
        return cbor2.dumps(
            [
                self.number,
                [[at.hlc, at.device, encode_content(c)] for at, c in self.records],
                self.files,
                {pack: s.raw() for pack, s in self.sights.items()},
                [[t, int(w), s.hlc, s.device] for t, (w, s) in self.words.items()],
                self.regs.raw(),
                self.name,
                self.chosen,
                self.tags,
                self.listed,
                self.standing.raw(),
            ]
        )

    @classmethod
    def decode(cls, ident: ContentId, data: bytes) -> PhotoRecord:
        """Read the table's value."""
        number, records, files, sights, words, regs, name, chosen, tags, listed, standing = (
            cbor2.loads(data)
        )
        return cls(
            ident,
            number,
            [(Stamp(h, d), decode_content(raw)) for h, d, raw in records],
            [FileId(f) for f in files],
            {pack: Sight.load(raw) for pack, raw in sights.items()},
            {TagId(t): (Word(w), Stamp(h, d)) for t, w, h, d in words},
            Registers(regs),
            name,
            chosen,
            [TagId(t) for t in tags],
            listed,
            Standing.load(standing),
        )


@dataclass(slots=True)
class TagRecord:
    """One tag: its name and whether it stands though it is empty."""

    id: TagId
    slot: int
    regs: Registers = field(default_factory=Registers)
    key: str | None = None  # casefolded name as entered in TAG_NAME

    def encode(self) -> bytes:
        """Return the table's value."""
        return cbor2.dumps([self.slot, self.regs.raw(), self.key])

    @classmethod
    def decode(cls, ident: TagId, data: bytes) -> TagRecord:
        """Read the table's value."""
        slot, regs, key = cbor2.loads(data)
        return cls(ident, slot, Registers(regs), key)
