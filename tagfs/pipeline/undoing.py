"""Taking acts back: what `tagfs undo` writes, and what it says an act was.

An undo is an act of its own, so it can be taken back in turn. It sets back only what still holds
what the undone act wrote, and destroys nothing: what an act brought in goes to the trash.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tagfs.catalog.records import FileRecord
from tagfs.catalog.undo import Act, Dot, Listed, Said, Wrote
from tagfs.errors import TagfsError
from tagfs.model import FileId, FolderId, Stamp, TagId, UnitId, Word, random_id
from tagfs.pipeline.ledger import Ledger
from tagfs.vault.ops import AddEntry, Entity, Field, Op, RemoveEntry, SetRegister, SetWord

BATCH = 5000
"""Operations in one unit of an undo, which bounds its length."""


@dataclass(slots=True)
class _Entry:
    """One name in one folder: whether it listed the file before an act, and what the act added."""

    was: bool
    dots: list[Dot]


_Registers = dict[tuple[Entity, bytes, Field], tuple[object, Stamp]]
"""Registers that an act wrote: the value before, and the stamp of the last write."""
_Words = dict[tuple[bytes, TagId], tuple[Word, Stamp]]
_Entries = dict[FileId, dict[tuple[FolderId, bytes], _Entry]]


@dataclass(frozen=True, slots=True)
class _Sum:
    """What an act did on the whole."""

    registers: _Registers
    words: _Words
    entries: _Entries

    @property
    def files(self) -> dict[FileId, None]:
        """The files that it did something to, in order."""
        touched = [FileId(i) for entity, i, _ in self.registers if entity is Entity.FILE]
        return dict.fromkeys([*touched, *self.entries])


@dataclass(frozen=True, slots=True)
class Deed:
    """One undoable act as people see it."""

    id: UnitId
    time_ms: int  # when it began
    text: str  # "deleted 12 files, untagged 3 photos"
    undone: bool
    is_undo: bool

    def as_json(self) -> dict[str, object]:
        """Return the stable form of ``tagfs undo --list --json``."""
        return {
            "id": self.id.hex(),
            "time": self.time_ms // 1000,
            "text": self.text,
            "undone": self.undone,
            "undo": self.is_undo,
        }


class Undoing:
    """Undo over a ledger: lists acts, takes them back."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._state = ledger.state

    def acts(self) -> Iterator[Deed]:
        """Yield this device's acts, the newest first."""
        for act in self._state.undo.acts():
            if act.device == self._ledger.device:
                yield self._describe(act)

    def undo(self, ident: UnitId | None = None) -> Deed:
        """Take an act back, the newest that was not taken back yet when none is named.

        Raises TagfsError when there is no such act, or it was taken back already.
        """
        act = self._newest() if ident is None else self._state.undo.act(ident)
        if act is None:
            raise TagfsError("There is nothing to undo." if ident is None else _UNKNOWN)
        if act.undone:
            raise TagfsError("That was undone already; undo the undo to have it back.")
        deed = self._describe(act)
        ops = self.operations(act)
        own = UnitId(random_id())
        while len(ops) > BATCH:
            self._ledger.commit(ops[:BATCH], act=own)
            del ops[:BATCH]
        # The mark comes last: an undo that a crash cut short can be asked for again.
        self._ledger.commit(ops, act=own, undoes=act.id)
        return deed

    def find(self, prefix: str) -> UnitId:
        """Return the act whose id begins so; raises TagfsError for none or several."""
        found = [a.id for a in self._state.undo.acts() if a.id.hex().startswith(prefix.lower())]
        if len(found) != 1:
            raise TagfsError(_UNKNOWN if not found else f"Several acts begin with {prefix}.")
        return found[0]

    def operations(self, act: Act) -> list[Op]:
        """Return what takes an act back now."""
        done = self._sum(act)
        files = self._entries(done.entries)
        made = {file for file in done.files if self._made(file, act)}
        ops: list[Op] = []
        for (subject, tag), (before, at) in done.words.items():
            if self._state.word(subject, tag)[1] == at:
                ops.append(SetWord(subject, tag, before))
        for (entity, ident, field), (value, at) in done.registers.items():
            if self._state.register(entity, ident, field)[1] != at:
                continue
            if entity is Entity.FILE and ident in made and field is not Field.TRASHED:
                continue  # a file that the act made keeps its bytes and times, in the trash
            if entity is Entity.FILE and field is Field.CONTENT:
                if self._ledger.local.draft(FileId(ident)) is not None:
                    continue  # it was written to since
                ops += self._keep(FileId(ident))
            if entity is Entity.FOLDER and value is None and field is not Field.ATTRIBUTES:
                ops += self._drop_folder(FolderId(ident), field)
            else:
                ops.append(SetRegister(entity, ident, field, value))
        return ops + files

    # -- parts of it -----------------------------------------------------------------------

    def _sum(self, act: Act) -> _Sum:
        """Add up what the units of an act did."""
        registers: _Registers = {}
        words: _Words = {}
        entries: _Entries = {}
        for deed in self._state.undo.deeds(act):
            match deed:
                case Wrote(entity, ident, field, before, before_at, at):
                    known = registers.get((entity, ident, field))
                    first = known[0] if known and known[1] == before_at else before
                    registers[entity, ident, field] = (first, at)
                case Said(subject, tag, word, before_at, at):
                    said = words.get((subject, tag))
                    words[subject, tag] = (
                        said[0] if said and said[1] == before_at else word,
                        at,
                    )
                case Listed(folder, name, file, dot):
                    of_file = entries.setdefault(file, {})
                    entry = of_file.setdefault((folder, name), _Entry(dot is None, []))
                    if dot is not None:
                        entry.dots.append(dot)
        return _Sum(registers, words, entries)

    def _entries(self, entries: _Entries) -> list[Op]:
        """Return what lists files where they stood before, and trashes what stood nowhere."""
        ops: list[Op] = []
        for file, places in entries.items():
            record = self._state.file(file)
            if record is None:
                continue
            left = set(record.entries)
            gone: list[tuple[FolderId, bytes]] = []
            for place, entry in places.items():
                dots = record.entries.get(place)
                if entry.was and dots is None:
                    ops.append(AddEntry(*place, file))
                    left.add(place)
                elif not entry.was and dots is not None and set(dots) <= set(entry.dots):
                    ops.append(RemoveEntry(*place, file, tuple(dots)))
                    left.discard(place)
                    gone.append(place)
            if left and record.purged:  # deleted again it must be in the trash again
                ops.append(_file(file, Field.PURGED, None))
            if gone and not left and self._worth_keeping(record):
                ops.append(_file(file, Field.TRASHED, (self._ledger.now_ms(), tuple(gone))))
        return ops

    def _worth_keeping(self, file: FileRecord) -> bool:
        return file.content is not None or self._ledger.local.draft(file.id) is not None

    def _made(self, file: FileId, act: Act) -> bool:
        record = self._state.file(file)
        return record is not None and record.born >= act.first

    def _keep(self, file: FileId) -> list[Op]:
        """Keep what a file holds now in the trash, as a file of its own."""
        record = self._state.file(file)
        if record is None or record.content is None or not record.entries:
            return []
        ghost = FileId(random_id())
        return [
            _file(ghost, Field.MODE, record.mode),
            _file(ghost, Field.MTIME, record.mtime_ns),
            _file(ghost, Field.CONTENT, record.content),
            _file(ghost, Field.TRASHED, (self._ledger.now_ms(), tuple(record.entries))),
        ]

    def _drop_folder(self, folder: FolderId, field: Field) -> list[Op]:
        """Take away a folder that the act made; one that others filled since stays."""
        place = self._state.folders.ensure(folder).place
        if field is not Field.PLACE or place is None:
            return []
        return [SetRegister(Entity.FOLDER, folder, Field.PLACE, (place[0], place[1], False))]

    def _newest(self) -> Act | None:
        acts = (a for a in self._state.undo.acts() if a.device == self._ledger.device)
        return next((a for a in acts if not a.undone and not self._takes_back(a)), None)

    def _takes_back(self, act: Act) -> bool:
        """Whether this is an undo; the undo of an undo is the act done again."""
        takes_back, at = False, act
        while at.undoes is not None:
            takes_back = not takes_back
            above = self._state.undo.act(at.undoes)
            if above is None or above.first >= at.first:  # forgotten, or a hostile loop
                break
            at = above
        return takes_back

    # -- in words --------------------------------------------------------------------------

    def _describe(self, act: Act) -> Deed:
        done = self._sum(act)
        counts: Counter[str] = Counter()
        names: dict[str, bytes] = {}
        for file in done.files:
            what, name = self._deed_on(file, done, act)
            if what:
                counts[what] += 1
                names.setdefault(what, name)
        texts = [
            f"{what} {os.fsdecode(names[what])}" if n == 1 else f"{what} {n} files"
            for what, n in counts.items()
        ]
        texts += self._words_text(done.words)
        texts += _registers_text(done.registers)
        text = ", ".join(texts) or "changed modes or times"
        is_undo = self._takes_back(act)
        if is_undo:
            text = "undid: " + text
        return Deed(act.id, act.first >> 16, text, act.undone, is_undo)

    def _deed_on(self, file: FileId, done: _Sum, act: Act) -> tuple[str, bytes]:
        """Return one verb for what an act did to a file, and the name it did it to."""
        places = done.entries.get(file, {})
        added = [name for (_, name), entry in places.items() if not entry.was]
        removed = [name for (_, name), entry in places.items() if entry.was]
        if removed:
            trashed = done.registers.get((Entity.FILE, file, Field.TRASHED))
            deleted = trashed is not None and trashed[0] is None
            return ("deleted" if deleted or not added else "moved"), removed[0]
        if added:
            return ("brought in" if self._made(file, act) else "added"), added[0]
        record = self._state.file(file)
        if record is None or self._made(file, act):
            return "", b""
        if (Entity.FILE, file, Field.CONTENT) in done.registers:
            return "changed", record.any_name
        if (Entity.FILE, file, Field.PURGED) in done.registers:
            return "took out of the trash", record.any_name
        return "", b""

    def _words_text(self, words: _Words) -> list[str]:
        counts: Counter[tuple[Word, TagId]] = Counter()
        for subject, tag in words:
            counts[self._state.word(subject, tag)[0], tag] += 1
        verbs = {Word.YES: "tagged", Word.NO: "untagged", Word.UNSET: "took back a word on"}
        texts = []
        for (word, tag), n in counts.most_common(3):
            photos = "1 photo" if n == 1 else f"{n} photos"
            texts.append(f"{verbs[word]} {photos}: {self._state.photos.tag_name(tag)}")
        if len(counts) > 3:
            texts.append(f"{len(counts) - 3} more tags")
        return texts


_UNKNOWN = "No such act is known here; `tagfs undo --list` shows those that can be undone."


def _registers_text(registers: _Registers) -> list[str]:
    """Say what happened to folders, tags and photos' own registers."""
    counts = Counter((entity, field) for entity, _, field in registers)
    texts = []
    for (entity, field), words in _REGISTERS.items():
        n = counts[entity, field]
        if n:
            texts.append(words if n == 1 else f"{words} ({n} times)")
    return texts


_REGISTERS = {
    (Entity.FILE, Field.ATTRIBUTES): "wrote an attribute",
    (Entity.FOLDER, Field.ATTRIBUTES): "wrote a folder's attribute",
    (Entity.FOLDER, Field.PLACE): "made, moved or removed a folder",
    (Entity.TAG, Field.TAG_NAME): "named a tag",
    (Entity.TAG, Field.TAG_MERGED): "merged a tag",
    (Entity.TAG, Field.TAG_KEPT): "made or dropped a tag",
    (Entity.PHOTO, Field.VIEW_NAME): "renamed a photo in the views",
    (Entity.PHOTO, Field.FAVOURITE): "marked a favourite",
    (Entity.PHOTO, Field.DATE): "dated a photo",
    (Entity.PHOTO, Field.RATING): "rated a photo",
    (Entity.PATH, Field.NARROWING): "kept or dropped a narrowing",
    (Entity.QUERY, Field.QUERY): "kept or dropped a query",
}


def _file(file: FileId, field: Field, value: object) -> SetRegister:
    return SetRegister(Entity.FILE, file, field, value)
