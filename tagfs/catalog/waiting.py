"""What the user said of files that have no content yet, and which views list them for it.

Words and registers of a photo hang on the file's id until there is a content to carry them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import cbor2

from tagfs.catalog.pages import Pages
from tagfs.catalog.records import FileRecord, Registers
from tagfs.catalog.schema import Table
from tagfs.catalog.standing import DENYING, FAVOURITES, believable, exactly
from tagfs.catalog.tables import KeyValue
from tagfs.model import NEVER, FileId, Stamp, TagId, Word
from tagfs.vault.ops import Field, SetRegister, SetWord

Lasting = Callable[[Mapping[TagId, tuple[Word, Stamp]]], Mapping[TagId, Word]]


@dataclass(slots=True)
class _Said:
    words: dict[str, list[Any]] = field(default_factory=dict)  # tag -> word, clock, device
    regs: Registers = field(default_factory=Registers)
    slots: dict[bytes, int] = field(default_factory=dict)  # list -> slot that the file has there


class Waiting:
    """Words by file id, and the lists of files that wait: by tag id, ``@favourites``, date, and of
    those of which the user denied some tag."""

    def __init__(self, store: KeyValue, lasting: Lasting) -> None:
        """``lasting`` returns which of some words count, through merges of tags."""
        self._store = store
        self._lasting = lasting
        self._pages = Pages(store, Table.WORD_PAGE)

    def files(self, list_id: bytes, start: int = 0) -> Iterator[tuple[int, FileId]]:
        """Yield (slot, file) of what a list has from a slot on."""
        for slot, item in self._pages.scan(list_id, start):
            yield slot, FileId(item)

    def has(self, file: FileId, list_id: bytes) -> bool:
        """Whether a list has a file."""
        return list_id in self._said(file).slots

    def words(self, file: FileId) -> dict[TagId, Word]:
        """Return the words on a file."""
        return {TagId(tag): Word(word[0]) for tag, word in self._said(file).words.items()}

    def word(self, file: FileId, tag: TagId) -> tuple[Word, Stamp]:
        """Return one word and who said it when."""
        found = self._said(file).words.get(tag)
        return (Word.UNSET, NEVER) if found is None else (Word(found[0]), Stamp(*found[1:3]))

    def register(self, file: FileId, name: Field) -> tuple[Any, Stamp]:
        """Return the value of a photo's register that hangs on a file, and its stamp."""
        regs = self._said(file).regs
        return regs.get(name), regs.stamp(name)

    def set_word(self, op: SetWord, stamp: Stamp) -> bool:
        """Note a word; say whether it is the later one."""
        file = FileId(op.photo)
        said = self._said(file)
        old = said.words.get(op.tag)
        if old is not None and stamp <= Stamp(old[1], old[2]):
            return False
        said.words[op.tag] = [int(op.word), stamp.hlc, stamp.device]
        self._put(file, said)
        return True

    def set_register(self, op: SetRegister, stamp: Stamp) -> bool:
        """Note a register of a photo that hangs on a file; say whether it is the later one."""
        file = FileId(op.id)
        said = self._said(file)
        if not said.regs.write(op.field, op.value, stamp):
            return False
        self._put(file, said)
        return True

    def show(self, record: FileRecord) -> bool:
        """List a file where its words put it while it has no content; say what differs."""
        said = self._said(record.id)
        wanted = self._wanted(said) if record.live and record.content is None else set()
        if wanted == set(said.slots):
            return False
        for gone in [name for name in said.slots if name not in wanted]:
            self._pages.clear(gone, said.slots.pop(gone))
        for name in sorted(wanted - set(said.slots)):
            said.slots[name] = self._pages.append(name, record.id)
        self._put(record.id, said)
        return True

    def _wanted(self, said: _Said) -> set[bytes]:
        words = {TagId(t): (Word(w[0]), Stamp(*w[1:3])) for t, w in said.words.items()}
        wanted = {tag.encode() for tag, word in self._lasting(words).items() if word is Word.YES}
        if any(word is Word.NO for word, _ in words.values()):
            wanted.add(DENYING)  # what was denied may be something else after a merge
        if said.regs.get(Field.FAVOURITE):
            wanted.add(FAVOURITES)
        stamp = said.regs.stamp(Field.DATE)
        date = believable(said.regs.get(Field.DATE), stamp.hlc >> 16)
        if date is not None:
            wanted.add(exactly(date))
        return wanted

    def _said(self, file: FileId) -> _Said:
        raw = self._store.get(Table.WORD, file)
        if raw is None:
            return _Said()
        words, regs, slots = cbor2.loads(raw)
        return _Said(words, Registers(regs), slots)

    def _put(self, file: FileId, said: _Said) -> None:
        row = cbor2.dumps([said.words, said.regs.raw(), said.slots])
        self._store.put(Table.WORD, file, row)
