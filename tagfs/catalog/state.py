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
from tagfs.catalog.pages import Pages
from tagfs.catalog.photos import Photos
from tagfs.catalog.records import FileRecord, PhotoRecord
from tagfs.catalog.schema import Table
from tagfs.catalog.tables import KeyValue, Tables
from tagfs.model import (
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
    Op,
    RecordAnalysis,
    RecordContent,
    RemoveEntry,
    SetRegister,
    SetWord,
    Unit,
)


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
    """A photo came into or left views: these tags, under these names."""

    photo: ContentId
    tags: frozenset[TagId]
    names: frozenset[bytes]


Change = EntryChanged | FileChanged | PhotoChanged


class State:
    """Files, folders, photos, tags and words of one vault as this device knows them."""

    def __init__(self, store: KeyValue, taxonomy: Taxonomy) -> None:
        self.tables = Tables(store)
        self.taxonomy = taxonomy
        self._changes: list[Change] = []
        self.folders = Folders(self.tables, lambda f, n: self._changes.append(EntryChanged(f, n)))
        self.photos = Photos(self.tables, taxonomy, self._photo_changed)
        self._trash = Pages(store, Table.TRASH_PAGE)
        self._waiting = Pages(store, Table.WORD_PAGE)
        for folder in (ROOT, UNFILED):
            self.folders.ensure(folder)

    # -- reading ---------------------------------------------------------------------------

    def file(self, ident: FileId) -> FileRecord | None:
        """Return the record of a file."""
        return self.tables.files.get(ident)

    def trash(self, start: int = 0) -> Iterator[tuple[int, FileRecord]]:
        """Yield (slot, file) of everything deleted and not yet gone."""
        for slot, item in self._trash.scan(b"", start):
            yield slot, file_of(self.tables, item)

    def waiting(self, tag: TagId, start: int = 0) -> Iterator[tuple[int, FileRecord]]:
        """Yield (slot, file) of files without a content that the user put under a tag."""
        for slot, item in self._waiting.scan(tag.encode(), start):
            yield slot, file_of(self.tables, item)

    def words(self, file: FileRecord) -> dict[TagId, Word]:
        """Return the user's words on a file: on its content when it has one."""
        if file.content is not None:
            photo = self.photos.get(file.content[0])
            return {t: w for t, (w, _) in photo.words.items()} if photo else {}
        return {TagId(t): Word(w[0]) for t, w in self._file_words(file.id).items()}

    def state_hash(self) -> bytes:
        """Return 32 bytes over entries, contents, words and names, without clocks and units."""
        lines: list[bytes] = []
        contents: set[ContentId] = set()

        def walk(folder: FolderId, path: bytes) -> None:
            for item in self.folders.listing(folder):
                name = path + b"/" + item.name
                if item.kind == FOLDER:
                    record = self.folders.ensure(FolderId(item.id))
                    lines.append(cbor2.dumps(["folder", name, record.mode]))
                    walk(record.id, name)
                else:
                    lines.append(line(name, file_of(self.tables, item.id)))

        def line(name: bytes, file: FileRecord) -> bytes:
            if file.content is not None:
                contents.add(file.content[0])
            words = {t: int(w) for t, w in sorted(self.words(file).items()) if w}
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
                ]
            )

        walk(ROOT, b"")
        walk(UNFILED, b"all")
        lines += [line(b"trash/" + f.id, f) for _, f in self.trash()]
        for ident in contents:
            photo = self.photos.get(ident)
            if photo is not None:
                shown = None if photo.number is None else self.photos.names.shown(photo.number)
                name = shown.name if shown is not None and photo.name is not None else None
                lines.append(cbor2.dumps(["photo", ident, name, photo.tags, photo.listed]))
        lines += [cbor2.dumps(["tag", name, n]) for _, _, name, n in self.photos.tags()]
        return hashlib.sha256(b"\n".join(sorted(lines))).digest()

    # -- applying --------------------------------------------------------------------------

    def apply(self, unit: Unit) -> list[Change]:
        """Apply a unit and return what is different afterwards."""
        self._changes = []
        stamp = Stamp(unit.hlc, unit.device)
        self.folders.now = unit.hlc
        for index, op in enumerate(unit.ops):
            self._apply(op, stamp, index)
        changes, self._changes = self._changes, []
        return list(dict.fromkeys(changes))

    def _apply(self, op: Op, stamp: Stamp, index: int) -> None:
        match op:
            case SetRegister(entity=Entity.FILE):
                self._on_file(
                    FileId(op.id), stamp, lambda f: f.regs.write(op.field, op.value, stamp)
                )
            case AddEntry():
                dot = (stamp.device, stamp.hlc, index)
                self._on_file(op.file, stamp, lambda f: self.folders.add(f, op, dot), True)
            case RemoveEntry():
                self._on_file(op.file, stamp, lambda f: self.folders.remove(f, op), True)
            case SetRegister(entity=Entity.FOLDER):
                self.folders.set_register(op, stamp)
            case SetRegister(entity=Entity.PHOTO):
                self.photos.set_register(op, stamp)
            case SetRegister(entity=Entity.TAG):
                self.photos.set_tag_register(op, stamp)
            case SetRegister():
                pass  # kept narrowings and queries: pages of their own come with search/
            case SetWord() if len(op.photo) == 32:
                self.photos.set_word(op, stamp)
            case SetWord():
                self._set_file_word(op, stamp)
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
    ) -> None:
        """Change a file's record and carry the consequences to photos, trash and words."""
        record = self.tables.files.get(ident)
        if record is None:
            record = FileRecord(ident, self.tables.claim_inode(FILE, ident), stamp.hlc)
        before = record.content if record.live else None
        older = stamp.hlc < record.born
        record.born = min(record.born, stamp.hlc)
        change(record)
        after = record.content if record.live else None
        self._show_in_trash(record)
        self.tables.files.put(ident, record)
        if before is not None and (after is None or after[0] != before[0]):
            self.photos.detach(record, before[0])
        if after is not None and (before is None or before[0] != after[0]):
            self.photos.attach(record, after[0])
        elif after is not None and (older or renames):
            photo = self.photos.get(after[0])
            if photo is not None:
                self.photos.refresh(photo)
        self._show_waiting(record)
        self._changes.append(FileChanged(ident))

    def _show_in_trash(self, record: FileRecord) -> None:
        wanted = record.trashed is not None and not record.live and not record.purged
        if wanted and record.trash_slot is None:
            record.trash_slot = self._trash.append(b"", record.id)
        elif not wanted and record.trash_slot is not None:
            self._trash.clear(b"", record.trash_slot)
            record.trash_slot = None

    def _file_words(self, file: FileId) -> dict[str, list[Any]]:
        raw = self.tables.store.get(Table.WORD, file)
        words: dict[str, list[Any]] = {} if raw is None else cbor2.loads(raw)
        return words

    def _set_file_word(self, op: SetWord, stamp: Stamp) -> None:
        file = FileId(op.photo)
        words = self._file_words(file)
        old = words.get(op.tag, [0, -1, b"", None])
        if (stamp.hlc, stamp.device) <= (old[1], old[2]):
            return
        words[op.tag] = [int(op.word), stamp.hlc, stamp.device, old[3]]
        self.tables.store.put(Table.WORD, file, cbor2.dumps(words))
        self.photos.ensure_tag(op.tag)
        record = self.tables.files.get(file)
        if record is not None:
            self._show_waiting(record)

    def _show_waiting(self, record: FileRecord) -> None:
        """List a file without a content under the tags that the user gave it."""
        words = self._file_words(record.id)
        if not words:
            return
        changed = False
        for tag, word in words.items():
            wanted = record.live and record.content is None and word[0] == Word.YES
            if wanted and word[3] is None:
                word[3] = self._waiting.append(tag.encode(), record.id)
                changed = True
            elif not wanted and isinstance(word[3], int):
                self._waiting.clear(tag.encode(), word[3])
                word[3] = None
                changed = True
        if changed:
            self.tables.store.put(Table.WORD, record.id, cbor2.dumps(words))

    def _photo_changed(self, photo: PhotoRecord, tags: set[TagId], old_name: bytes | None) -> None:
        names = frozenset(n for n in (photo.name, old_name) if n is not None)
        self._changes.append(PhotoChanged(photo.id, frozenset(tags), names))
