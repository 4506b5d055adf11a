"""The state that operations build: one ``apply`` for local acts, replays and other devices.

Applying the same units in any order, any number of times, gives the same state
(tests/catalog/test_state.py); the state hash is over what a user can see, without clocks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cbor2

from tagfs.catalog.folders import FILE, FOLDER, Folders, file_of
from tagfs.catalog.kept import Kept
from tagfs.catalog.photos import Photos
from tagfs.catalog.records import FileRecord, FolderRecord, PhotoRecord, Registers, TagRecord
from tagfs.catalog.schema import Table
from tagfs.catalog.shelves import TRASH, Shelves
from tagfs.catalog.standing import DENYING
from tagfs.catalog.tables import KeyValue, Tables
from tagfs.catalog.undo import Deed, Listed, Said, UndoLog, Wrote
from tagfs.catalog.waiting import Waiting
from tagfs.model import (
    NEVER,
    ROOT,
    UNFILED,
    ContentId,
    FileId,
    FolderId,
    Stamp,
    TagId,
    Taxonomy,
    Word,
)
from tagfs.vault.ops import (
    AddEntry,
    Entity,
    Field,
    Op,
    RecordAnalysis,
    RecordContent,
    RemoveEntry,
    SetRegister,
    SetWord,
    Unit,
)

SAID = (Field.FAVOURITE, Field.DATE, Field.RATING)
"""What the user says of a photo besides its tags; goes from the file to its content."""


@dataclass(frozen=True, slots=True)
class EntryChanged:
    """A folder lists something else under this name now."""

    folder: FolderId
    name: bytes


@dataclass(frozen=True, slots=True)
class FileChanged:
    """A file's attributes or bytes are different now."""

    file: FileId


@dataclass(frozen=True, slots=True)
class PhotoChanged:
    """A photo came into or left views: these tags and lists, under these names."""

    photo: ContentId
    tags: frozenset[TagId]
    names: frozenset[bytes]
    lists: frozenset[bytes] = frozenset()  # further posting lists (standing.py)


@dataclass(frozen=True, slots=True)
class NarrowingChanged:
    """A narrowing was kept or forgotten: the ids of its tags."""

    path: tuple[TagId, ...]


@dataclass(frozen=True, slots=True)
class QueryChanged:
    """A query was kept or forgotten."""

    text: str


Change = EntryChanged | FileChanged | PhotoChanged | NarrowingChanged | QueryChanged


class State:
    """Files, folders, photos, tags and words of one vault as this device knows them."""

    def __init__(self, store: KeyValue, taxonomy: Taxonomy) -> None:
        self.tables = Tables(store)
        self.taxonomy = taxonomy
        self._changes: list[Change] = []
        self._by_user = False  # of the unit that is being applied
        self.folders = Folders(self.tables, lambda f, n: self._changes.append(EntryChanged(f, n)))
        self.photos = Photos(self.tables, taxonomy, self._photo_changed)
        self.shelves = Shelves(self.tables)
        self.undo = UndoLog(store)
        self._waiting = Waiting(store, self.photos.lasting)
        self.narrowings = Kept(store, Table.NARROWING, Field.NARROWING)
        self.queries = Kept(store, Table.QUERY, Field.QUERY)
        self.epoch = 0
        """Grows with every unit: what was read before may be different since."""
        for folder in (ROOT, UNFILED):
            self.folders.ensure(folder)

    # -- reading ---------------------------------------------------------------------------

    def file(self, ident: FileId) -> FileRecord | None:
        """Return the record of a file."""
        return self.tables.files.get(ident)

    def trash(self, start: int = 0) -> Iterator[tuple[int, FileRecord]]:
        """Return (slot, file) of everything deleted and not yet gone."""
        return self.shelves.files(TRASH, start)

    def waiting(self, list_id: bytes, start: int = 0) -> Iterator[tuple[int, FileRecord]]:
        """Yield (slot, file) of files without a content that the user put into a list.

        The id of a tag, ``@favourites``, or ``exactly`` a date.
        """
        for slot, file in self._waiting.files(list_id, start):
            yield slot, file_of(self.tables, file)

    def waits(self, file: FileId, list_id: bytes) -> bool:
        """Whether a file without a content is in such a list."""
        return self._waiting.has(file, list_id)

    def words(self, file: FileRecord) -> dict[TagId, Word]:
        """Return the user's words on a file: on its content when it has one."""
        if file.content is not None:
            photo = self.photos.get(file.content[0])
            return {t: w for t, (w, _) in photo.words.items()} if photo else {}
        return self._waiting.words(file.id)

    def lasting_words(self, file: FileRecord) -> dict[TagId, Word]:
        """Return those of the words that count (Photos.lasting)."""
        photo = self.photos.get(file.content[0]) if file.content is not None else None
        own = {tag: self._waiting.word(file.id, tag) for tag in self.words(file)}
        return self.photos.lasting(photo.words if photo else own)

    def said(self, file: FileRecord) -> dict[Field, Any]:
        """Return what else the user said of a file's photo: favourite, date, rating."""
        subject = file.id if file.content is None else file.content[0]
        found = {field: self._photo_register(subject, field)[0] for field in SAID}
        return {field: value for field, value in found.items() if value}

    def _photo_register(self, ident: bytes, field: Field) -> tuple[Any, Stamp]:
        """Return a register of a photo, which hangs on the file while there is no content."""
        if len(ident) == 16:
            return self._waiting.register(FileId(ident), field)
        photo = self.photos.get(ContentId(ident))
        return (None, NEVER) if photo is None else _held(photo.regs, field)

    def state_hash(self) -> bytes:
        """Return 32 bytes over entries, contents, words and names, without clocks and units."""
        lines: list[bytes] = []
        contents: set[ContentId] = set()

        def walk(folder: FolderId, path: bytes) -> None:
            for item in self.folders.listing(folder):
                name = path + b"/" + item.name
                if item.kind == FOLDER:
                    record = self.folders.ensure(FolderId(item.id))
                    kept = record.regs.get(Field.ATTRIBUTES)
                    lines.append(cbor2.dumps(["folder", name, record.mode, kept]))
                    walk(record.id, name)
                else:
                    lines.append(line(name, file_of(self.tables, item.id)))

        def line(name: bytes, file: FileRecord) -> bytes:
            if file.content is not None:
                contents.add(file.content[0])
            words = {t: int(w) for t, w in sorted(self.words(file).items()) if w}
            said = {int(field): value for field, value in self.said(file).items()}
            return cbor2.dumps(
                [
                    "file",
                    name,
                    file.id,
                    file.mode,
                    file.mtime_ns,
                    file.target,
                    file.content,
                    words,
                    said,
                    file.regs.get(Field.ATTRIBUTES),
                ]
            )

        walk(ROOT, b"")
        walk(UNFILED, b"all")
        lines += [line(b"trash/" + f.id, f) for _, f in self.trash()]
        for ident in contents:
            photo = self.photos.get(ident)
            # A record may be there only because a file that is in the trash now had it once.
            if photo is not None and photo.files:
                shown = None if photo.number is None else self.photos.names.shown(photo.number)
                name = shown.name if shown is not None and photo.name is not None else None
                lines.append(cbor2.dumps(["photo", ident, name, photo.tags, photo.listed]))
        lines += [cbor2.dumps(["narrowing", path]) for _, path in self.narrowings.names()]
        lines += [cbor2.dumps(["query", text]) for _, text in self.queries.names()]
        lines += [cbor2.dumps(["tag", name, n]) for _, _, name, n in self.photos.tags()]
        return hashlib.sha256(b"\n".join(sorted(lines))).digest()

    # -- applying --------------------------------------------------------------------------

    def apply(self, unit: Unit) -> list[Change]:
        """Apply a unit and return what is different afterwards."""
        self._changes = []
        self.epoch += 1
        stamp = Stamp(unit.hlc, unit.device)
        self.folders.now = unit.hlc
        self._by_user = unit.by_user
        if unit.by_user:
            self._apply_act(unit, stamp)
        else:
            for index, op in enumerate(unit.ops):
                self._apply(op, stamp, index)
        changes, self._changes = self._changes, []
        return list(dict.fromkeys(changes))

    def _apply_act(self, unit: Unit, stamp: Stamp) -> None:
        """Apply an act of the user's and keep what it replaced."""
        deeds: list[Deed] = []
        for index, op in enumerate(unit.ops):
            before = self._before(op)
            self._apply(op, stamp, index)
            deed = self._deed(op, before, stamp, index)
            if deed is not None:
                deeds.append(deed)
        self.undo.note(unit, deeds)

    def _before(self, op: Op) -> Any:
        match op:
            case SetRegister():
                return self.register(op.entity, op.id, op.field)
            case SetWord():
                return self.word(op.photo, op.tag)
            case AddEntry() | RemoveEntry():
                return self._is_listed(op)
        return None

    def _deed(self, op: Op, before: Any, stamp: Stamp, index: int) -> Deed | None:
        """Return what an operation did, None when it changed nothing."""
        match op:
            case SetRegister(entity, ident, field):
                if stamp > before[1] and self.register(entity, ident, field)[1] == stamp:
                    return Wrote(entity, ident, field, before[0], before[1], stamp)
            case SetWord(subject, tag):
                if stamp > before[1] and self.word(subject, tag)[1] == stamp:
                    return Said(subject, tag, before[0], before[1], stamp)
            case AddEntry(folder, name, file):
                if not before and self._is_listed(op):
                    return Listed(folder, name, file, (stamp.device, stamp.hlc, index))
            case RemoveEntry(folder, name, file):
                if before and not self._is_listed(op):
                    return Listed(folder, name, file, None)
        return None

    def _is_listed(self, op: AddEntry | RemoveEntry) -> bool:
        record = self.tables.files.get(op.file)
        return record is not None and (op.folder, op.name) in record.entries

    def register(self, entity: Entity, ident: bytes, field: Field) -> tuple[Any, Stamp]:
        """Return a register's value in force and its stamp; (None, NEVER) when nobody wrote it."""
        record: FileRecord | FolderRecord | TagRecord | None = None
        match entity:
            case Entity.PHOTO:
                return self._photo_register(ident, field)
            case Entity.PATH:
                return self.narrowings.register(ident, field)
            case Entity.QUERY:
                return self.queries.register(ident, field)
            case Entity.FILE:
                record = self.tables.files.get(FileId(ident))
            case Entity.FOLDER:
                record = self.tables.folders.get(FolderId(ident))
            case Entity.TAG:
                record = self.tables.tags.get(TagId(ident.decode()))
        return (None, NEVER) if record is None else _held(record.regs, field)

    def word(self, subject: bytes, tag: TagId) -> tuple[Word, Stamp]:
        """Return the user's word on a tag of a photo or file, and its stamp."""
        if len(subject) == 32:
            photo = self.photos.get(ContentId(subject))
            return photo.words.get(tag, (Word.UNSET, NEVER)) if photo else (Word.UNSET, NEVER)
        return self._waiting.word(FileId(subject), tag)

    def _apply(self, op: Op, stamp: Stamp, index: int) -> None:
        match op:
            case SetRegister(entity=Entity.FILE):
                # A file's bytes get their final form when nobody does anything; every act on
                # them writes its time of modification, too.
                self._on_file(
                    FileId(op.id),
                    stamp,
                    lambda f: f.regs.write(op.field, op.value, stamp),
                    acts=op.field is not Field.CONTENT,
                )
            case AddEntry():
                dot = (stamp.device, stamp.hlc, index)
                self._on_file(op.file, stamp, lambda f: self.folders.add(f, op, dot), True)
            case RemoveEntry():
                self._on_file(op.file, stamp, lambda f: self.folders.remove(f, op), True)
            case SetRegister(entity=Entity.FOLDER):
                self.folders.set_register(op, stamp)
            case SetRegister(entity=Entity.PHOTO) if len(op.id) == 32:
                self.photos.set_register(op, stamp)
            case SetRegister(entity=Entity.PHOTO):
                if self._waiting.set_register(op, stamp):
                    self._show_waiting(FileId(op.id))
            case SetRegister(entity=Entity.TAG):
                self._set_tag_register(op, stamp)
            case SetRegister(entity=Entity.PATH):
                if self.narrowings.set_register(op, stamp):
                    path = tuple(map(TagId, op.id.decode().split("/")))
                    self._changes.append(NarrowingChanged(path))
            case SetRegister(entity=Entity.QUERY):
                if self.queries.set_register(op, stamp):
                    self._changes.append(QueryChanged(op.id.decode()))
            case SetWord() if len(op.photo) == 32:
                self.photos.set_word(op, stamp)
            case SetWord():
                if self._waiting.set_word(op, stamp):
                    self.photos.ensure_tag(op.tag)
                    self._show_waiting(FileId(op.photo))
            case RecordContent():
                self.photos.record_content(op, stamp)
            case RecordAnalysis():
                self.photos.record_analysis(op, stamp)

    def _on_file(
        self,
        ident: FileId,
        stamp: Stamp,
        change: Callable[[FileRecord], object],
        renames: bool = False,
        acts: bool = True,
    ) -> None:
        """Change a file's record and carry the consequences to photos, trash and words.

        ``acts``: when it is the user who says so, ``ctime`` tells of it.
        """
        record = self.tables.files.get(ident)
        if record is None:
            record = FileRecord(ident, self.tables.claim_inode(FILE, ident), stamp.hlc)
        before = record.content if record.live else None
        older = stamp.hlc < record.born
        record.born = min(record.born, stamp.hlc)
        if acts and self._by_user:
            record.changed = max(record.changed, stamp.hlc)
        change(record)
        after = record.content if record.live else None
        self.shelves.place(record)
        self.tables.files.put(ident, record)
        if before is not None and (after is None or after[0] != before[0]):
            self.photos.detach(record, before[0])
        if after is not None and (before is None or before[0] != after[0]):
            self.photos.attach(record, after[0])
        elif after is not None and (older or renames):
            photo = self.photos.get(after[0])
            if photo is not None:
                self.photos.refresh(photo)
        self._waiting.show(record)
        self._changes.append(FileChanged(ident))

    def _set_tag_register(self, op: SetRegister, stamp: Stamp) -> None:
        before = self.photos.canonical(TagId(op.id.decode()))
        self.photos.set_tag_register(op, stamp)
        if op.field is Field.TAG_MERGED:
            for name in (before.encode(), DENYING):
                for _, file in list(self._waiting.files(name)):
                    self._show_waiting(file)

    def _show_waiting(self, file: FileId) -> None:
        """List a file where the words put it that were said of it, once it is there."""
        record = self.tables.files.get(file)
        if record is not None and self._waiting.show(record):
            self._changes.append(FileChanged(file))

    def _photo_changed(
        self, photo: PhotoRecord, tags: set[TagId], lists: set[bytes], old_name: bytes | None
    ) -> None:
        names = frozenset(n for n in (photo.name, old_name) if n is not None)
        self._changes.append(PhotoChanged(photo.id, frozenset(tags), names, frozenset(lists)))


def _held(regs: Registers, field: Field) -> tuple[Any, Stamp]:
    return regs.get(field), regs.stamp(field)
