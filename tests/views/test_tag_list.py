"""Editing ``user.xdg.tags`` of any photo, whatever was seen on it and said of it before."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from hypothesis import assume, given
from hypothesis import strategies as st

from tagfs.catalog.records import FileRecord
from tagfs.catalog.state import State
from tagfs.model import (
    ROOT,
    Content,
    ContentId,
    DeviceId,
    Facts,
    FileId,
    Scored,
    TagId,
    UnitId,
    Word,
)
from tagfs.vault.ops import (
    AddEntry,
    Entity,
    Field,
    Op,
    RecordAnalysis,
    RecordContent,
    SetRegister,
    SetWord,
    Unit,
)
from tagfs.views.tag_list import TagList, join, split

sys.path.insert(0, str(Path(__file__).parent.parent / "catalog"))
from plain_store import PlainStore, SmallTaxonomy

FILE, PHOTO, DEVICE = FileId(b"f" * 16), ContentId(b"p" * 32), DeviceId(b"d" * 16)
CONCEPTS = ["tabby", "cat", "dog", "animal"]
NAMES = [*CONCEPTS, "holiday", "a,b"]


class Editor:
    """One photo and a program that edits its tags."""

    def __init__(self, seen: Iterable[str], said: Iterable[tuple[str, Word]], bytes_: bool) -> None:
        self.state = State(PlainStore(), SmallTaxonomy())
        self.clock = 0
        self.list = TagList(self.state, self.named)
        self.apply([AddEntry(ROOT, b"x.jpg", FILE)])
        if bytes_:
            above = self.state.taxonomy.ancestors
            tags = {TagId(t) for t in seen}.union(*(above(TagId(t)) for t in seen))
            scored = tuple(Scored(t, 0.9) for t in sorted(tags))
            self.apply([RecordContent(Content(PHOTO, 0, "image/jpeg", ()))])
            self.apply([SetRegister(Entity.FILE, FILE, Field.CONTENT, (PHOTO, 0))])
            self.apply(
                [RecordAnalysis(PHOTO, "x-1", "image/jpeg", scored, Facts(), None, None, None)]
            )
        subject = PHOTO if bytes_ else FILE
        for name, word in said:
            tag, making = self.named(name)
            self.apply([*making, SetWord(subject, tag, word)])

    def named(self, name: str) -> tuple[TagId, list[Op]]:
        tag = self.state.photos.tag(name)
        if tag is not None:
            return tag, []
        tag = TagId("u" + name.encode().hex())
        return tag, [SetRegister(Entity.TAG, tag.encode(), Field.TAG_NAME, name)]

    def apply(self, ops: list[Op]) -> None:
        self.clock += 1
        if ops:
            self.state.apply(Unit(UnitId(bytes(16)), self.clock << 16, DEVICE, tuple(ops), True))

    @property
    def file(self) -> FileRecord:
        found = self.state.file(FILE)
        assert found is not None
        return found

    def read(self) -> list[str]:
        return split(self.list.read(self.file) or b"")

    def write(self, names: list[str]) -> list[Op]:
        ops = self.list.write(self.file, join(names))
        self.apply(ops)
        return ops

    def words(self) -> dict[TagId, Word]:
        return {t: w for t, w in self.state.words(self.file).items() if w is not Word.UNSET}

    def above(self, name: str) -> set[str]:
        return set(self.state.taxonomy.ancestors(TagId(name)))


editors = st.builds(
    Editor,
    st.lists(st.sampled_from(CONCEPTS), unique=True),
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(list(Word))), max_size=6),
    st.booleans(),
)


@given(editors)
def test_writing_back_what_was_read_says_nothing(editor: Editor) -> None:
    names = editor.read()
    assume(names)
    assert editor.write(names) == []


@given(editors, st.sampled_from(NAMES))
def test_a_name_that_is_added_is_listed_and_every_other_stays_in_force(
    editor: Editor, name: str
) -> None:
    names = editor.read()
    force = editor.list.in_force(editor.file)
    editor.write([*names, name])
    assert name in editor.read()
    assert force <= editor.list.in_force(editor.file)


@given(editors, st.data())
def test_a_name_that_is_removed_is_gone_and_every_name_that_was_kept_is_listed(
    editor: Editor, data: st.DataObject
) -> None:
    names = editor.read()
    assume(len(names) > 1)
    gone = data.draw(st.sampled_from(names))
    kept = [name for name in names if name != gone]
    editor.write(kept)
    after = editor.read()
    assert gone not in after
    # What is above the name that went may be listed now: no cat, but an animal all the same.
    assert {name for name in after if name not in editor.above(gone)} <= set(kept)
    for name in kept:
        # Below what went nothing can stay, unless the user gave it.
        assert name in after or gone in editor.above(name) or name in editor.above(gone)


@given(editors)
def test_taking_the_list_away_takes_every_yes_and_adds_no_no(editor: Editor) -> None:
    before = editor.words()
    editor.apply(editor.list.take_back(editor.file))
    assert editor.words() == {t: w for t, w in before.items() if w is Word.NO}


@given(editors, st.lists(st.sampled_from(NAMES), min_size=1))
def test_who_has_not_read_the_list_denies_nothing(editor: Editor, names: list[str]) -> None:
    before, force = editor.words(), editor.list.in_force(editor.file)
    editor.write(names)
    after = editor.words()
    assert force <= editor.list.in_force(editor.file)
    assert {t for t, w in after.items() if w is Word.NO} <= before.keys()
    for name in names:
        assert editor.named(name)[0] in editor.list.in_force(editor.file)
