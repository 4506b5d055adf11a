"""Taking acts back: what `tagfs undo` writes, and what it says an act was.

An undo is an act of its own, so it can be taken back in turn. It sets back only what still holds
what the undone act wrote, and destroys nothing: what an act brought in goes to the trash.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import trio

from tagfs.catalog import undo
from tagfs.catalog.records import FileRecord
from tagfs.catalog.undo import Act, Dot
from tagfs.errors import TagfsError
from tagfs.model import FileId, FolderId, Stamp, TagId, UnitId, Word, random_id
from tagfs.pipeline.ledger import Ledger
from tagfs.pipeline.retention import undoable_since
from tagfs.vault.ops import AddEntry, Entity, Field, Op, RemoveEntry, SetRegister, SetWord

BATCH = 1000
"""Operations in one unit of an undo; between two units everything else gets its turn."""
TOLD = 2000
"""Deeds of an act that are looked at to say what it was."""


@dataclass(slots=True)
class _Entry:
    """One name in one folder: whether it listed the file before an act, and what the act added."""

    was: bool
    dots: list[Dot]


_Registers = dict[tuple[Entity, bytes, Field], tuple[object, Stamp]]
"""Registers that an act wrote: the value before, and the stamp of the last write."""
_Words = dict[tuple[bytes, TagId], tuple[Word, Stamp]]
_Places = dict[tuple[FolderId, bytes], _Entry]
_Entries = dict[FileId, _Places]


@dataclass(frozen=True, slots=True)
class _Sum:
    """What an act did on the whole, or the beginning of it."""

    registers: _Registers = field(default_factory=dict)
    words: _Words = field(default_factory=dict)
    entries: _Entries = field(default_factory=dict)

    def add(self, deed: undo.Deed) -> None:
        """Add one deed, in order."""
        match deed:
            case undo.Wrote(entity, ident, name, before, before_at, at):
                wrote = self.registers.get((entity, ident, name))
                first = wrote[0] if wrote and wrote[1] == before_at else before
                self.registers[entity, ident, name] = (first, at)
            case undo.Said(subject, tag, word, before_at, at):
                said = self.words.get((subject, tag))
                word = said[0] if said and said[1] == before_at else word
                self.words[subject, tag] = (word, at)
            case undo.Listed(folder, name, file, dot):
                places = self.entries.setdefault(file, {})
                entry = places.setdefault((folder, name), _Entry(dot is None, []))
                if dot is not None:
                    entry.dots.append(dot)

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

    def __init__(self, ledger: Ledger, is_open: Callable[[FileId], bool]) -> None:
        """``is_open``: whether somebody has a file open, who may be writing to it."""
        self._ledger = ledger
        self._is_open = is_open
        self._state = ledger.state

    def acts(self) -> Iterator[Deed]:
        """Yield this device's acts, the newest first."""
        yield from map(self._describe, self._own_acts())

    def undo(self, ident: UnitId | None = None) -> Deed:
        """Take an act back, the newest that was not taken back yet when none is named.

        Raises TagfsError when there is no such act, or it was taken back already.
        """
        act = self._undoable(ident)
        deed = self._describe(act)
        done = _Sum()
        for item in self._state.undo.deeds(act):
            done.add(item)
        for _ in self._commits(act, done):
            pass
        return deed

    async def wait_undone(self, ident: UnitId | None = None) -> Deed:
        """Do the same, and let everything else have its turn all the while."""
        act = self._undoable(ident)
        deed = self._describe(act)
        done = _Sum()
        for number, item in enumerate(self._state.undo.deeds(act)):
            done.add(item)
            if number % BATCH == 0:
                await trio.lowlevel.checkpoint()
        with trio.CancelScope(shield=True):  # half an undo is nobody's wish
            for _ in self._commits(act, done):
                await trio.lowlevel.checkpoint()
        return deed

    def find(self, prefix: str) -> UnitId:
        """Return the act whose id begins so; raises TagfsError for none or several."""
        found = [a.id for a in self._state.undo.acts() if a.id.hex().startswith(prefix.lower())]
        if len(found) != 1:
            raise TagfsError(_UNKNOWN if not found else f"Several acts begin with {prefix}.")
        return found[0]

    # -- parts of it -----------------------------------------------------------------------

    def _undoable(self, ident: UnitId | None) -> Act:
        act = self._newest() if ident is None else self._state.undo.act(ident)
        if act is None or self._is_too_old(act):
            raise TagfsError("There is nothing to undo." if ident is None else _UNKNOWN)
        if act.undone:
            raise TagfsError("That was undone already; undo the undo to have it back.")
        return act

    def _commits(self, act: Act, done: _Sum) -> Iterator[None]:
        """Commit what takes an act back, a unit at a time."""
        own = UnitId(random_id())
        batch: list[Op] = []
        for step in self._steps(act, done):
            batch += step
            if len(batch) >= BATCH:
                self._ledger.commit(batch, act=own)
                batch = []
                yield
        # The mark comes last: an undo that a crash cut short can be asked for again.
        self._ledger.commit(batch, act=own, undoes=act.id)

    def _steps(self, act: Act, done: _Sum) -> Iterator[list[Op]]:
        """Yield what takes an act back as things are now. What belongs to one file is one step:
        it must not be half done when the power goes."""
        for (subject, tag), (before, at) in done.words.items():
            if self._state.word(subject, tag)[1] == at:
                yield [SetWord(subject, tag, before)]
        of_files: dict[FileId, list[Field]] = {}
        for (entity, ident, name), (value, at) in done.registers.items():
            if entity is Entity.FILE:
                of_files.setdefault(FileId(ident), []).append(name)
            elif self._state.register(entity, ident, name)[1] != at:
                continue
            elif entity is Entity.FOLDER and value is None and name is not Field.ATTRIBUTES:
                yield self._drop_folder(FolderId(ident), name)
            else:
                yield [SetRegister(entity, ident, name, value)]
        back: set[bytes] = set()  # contents that files hold again
        for file in sorted(done.files, key=lambda file: self._made(file, act)):
            record = self._state.file(file)
            if record is not None:
                ops = self._registers(act, record, done, of_files.get(file, []), back)
                yield ops + self._places(record, done.entries.get(file, {}))

    def _registers(
        self,
        act: Act,
        file: FileRecord,
        done: _Sum,
        names: Iterable[Field],
        back: set[bytes],
    ) -> list[Op]:
        """Return what sets a file's registers back that nobody wrote since."""
        ops: list[Op] = []
        made = file.born >= act.first
        for name in names:
            value, at = done.registers[Entity.FILE, file.id, name]
            if file.regs.stamp(name) != at:
                continue
            if made and name is not Field.TRASHED:
                continue  # a file that the act made keeps its bytes and times, in the trash
            if made and value is None and not self._is_back(file, back):
                continue  # and stays there, while nothing else has its content
            if name is Field.CONTENT:
                if self._ledger.local.draft(file.id) is not None:
                    continue  # it was written to since
                ops += self._keep(file)
                if isinstance(value, list | tuple) and file.kept:
                    back.add(value[0])
            ops.append(_file(file.id, name, value))
        return ops

    def _places(self, file: FileRecord, places: _Places) -> list[Op]:
        """Return what lists a file where it stood before, or trashes what stood nowhere."""
        ops: list[Op] = []
        left = set(file.entries)
        gone: list[tuple[FolderId, bytes]] = []
        for place, entry in places.items():
            dots = file.entries.get(place)
            if entry.was and dots is None:
                ops.append(AddEntry(*place, file.id))
                left.add(place)
            elif not entry.was and dots is not None and set(dots) <= set(entry.dots):
                ops.append(RemoveEntry(*place, file.id, tuple(dots)))
                left.discard(place)
                gone.append(place)
        if left and file.purged:  # deleted again it must be in the trash again
            ops.append(_file(file.id, Field.PURGED, None))
        if gone and not left and self._worth_keeping(file):
            ops.append(_file(file.id, Field.TRASHED, (self._ledger.now_ms(), tuple(gone))))
        return ops

    def _is_back(self, file: FileRecord, back: set[bytes]) -> bool:
        """Whether nothing is lost when a file that an act made leaves the trash."""
        if not self._worth_keeping(file):
            return True
        return file.content is not None and file.content[0] in back

    def _worth_keeping(self, file: FileRecord) -> bool:
        if file.content is not None or self._is_open(file.id):
            return True
        return self._ledger.local.draft(file.id) is not None

    def _made(self, file: FileId, act: Act) -> bool:
        record = self._state.file(file)
        return record is not None and record.born >= act.first

    def _keep(self, record: FileRecord) -> list[Op]:
        """Keep what a file holds now in the trash, as a file of its own."""
        if record.content is None or not record.kept:
            return []
        places = tuple(record.entries) or (record.trashed[1] if record.trashed else ())
        ghost = FileId(random_id())
        return [
            _file(ghost, Field.MODE, record.mode),
            _file(ghost, Field.MTIME, record.mtime_ns),
            _file(ghost, Field.CONTENT, record.content),
            _file(ghost, Field.TRASHED, (self._ledger.now_ms(), places)),
        ]

    def _drop_folder(self, folder: FolderId, field: Field) -> list[Op]:
        """Take away a folder that the act made; one that others filled since stays."""
        place = self._state.folders.ensure(folder).place
        if field is not Field.PLACE or place is None:
            return []
        return [SetRegister(Entity.FOLDER, folder, Field.PLACE, (place[0], place[1], False))]

    def _newest(self) -> Act | None:
        acts = self._own_acts()
        return next((a for a in acts if not a.undone and not self._takes_back(a)), None)

    def _own_acts(self) -> Iterator[Act]:
        acts = (a for a in self._state.undo.acts() if a.device == self._ledger.device)
        return (act for act in acts if not self._is_too_old(act))

    def _is_too_old(self, act: Act) -> bool:
        return act.last < undoable_since(self._ledger.now_ms())

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
        done = _Sum()
        deeds = self._state.undo.deeds(act)
        for item in islice(deeds, TOLD):
            done.add(item)
        more = next(deeds, None) is not None
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
        if more:
            text += ", and more"
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
            name = self._state.photos.tag_name(tag)
            shown = "a tag that is gone" if name == tag else name
            texts.append(f"{verbs[word]} {photos}: {shown}")
        if len(counts) > 3:
            texts.append(f"{len(counts) - 3} more tags")
        return texts


_UNKNOWN = "No such act is known here; `tagfs undo --list` shows those that can be undone."


def _registers_text(registers: _Registers) -> list[str]:
    """Say what happened to folders, tags and photos' own registers."""
    counts = Counter((entity, name) for entity, _, name in registers)
    texts = []
    for (entity, name), words in _REGISTERS.items():
        n = counts[entity, name]
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
