"""The state is the same whatever order operations arrive in, and obeys the user's words."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_store import PlainStore, SmallTaxonomy

from tagfs.catalog.photos import ALL
from tagfs.catalog.state import State
from tagfs.model import (
    ROOT,
    UNFILED,
    Content,
    ContentId,
    DeviceId,
    Facts,
    FileId,
    FolderId,
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
    RemoveEntry,
    SetRegister,
    SetWord,
    Unit,
    decode_unit,
    encode_unit,
)

DEVICES = [DeviceId(bytes([d]) * 16) for d in (1, 2)]
FILES = [FileId(bytes([f]) * 16) for f in (10, 11, 12)]
FOLDERS = [FolderId(bytes([f]) * 16) for f in (20, 21)]
PHOTOS = [ContentId(bytes([c]) * 32) for c in (30, 31)]
NAMES = [b"a.jpg", b"b.jpg"]
TAGS = [TagId(t) for t in ("tabby", "cat", "dog", "animal", "u00")]


def content(ident: ContentId) -> Content:
    return Content(ident, 0, "image/jpeg", ())


def registers() -> st.SearchStrategy[Op]:
    file = st.sampled_from(FILES)
    folder = st.sampled_from(FOLDERS)
    photo = st.sampled_from(PHOTOS)
    held = st.one_of(st.none(), photo.map(lambda p: (p, 0)))
    place = st.tuples(st.sampled_from([ROOT, *FOLDERS]), st.sampled_from(NAMES), st.booleans())
    trashed = st.one_of(st.none(), st.just((5, ((ROOT, b"a.jpg"),))))
    name = st.sampled_from(NAMES)
    return st.one_of(
        st.builds(lambda f, v: SetRegister(Entity.FILE, f, Field.CONTENT, v), file, held),
        st.builds(lambda f, v: SetRegister(Entity.FILE, f, Field.TRASHED, v), file, trashed),
        st.builds(lambda f, v: SetRegister(Entity.FOLDER, f, Field.PLACE, v), folder, place),
        st.builds(lambda p, v: SetRegister(Entity.PHOTO, p, Field.VIEW_NAME, v), photo, name),
    )


def other_ops() -> st.SearchStrategy[Op]:
    photo = st.sampled_from(PHOTOS)
    where = st.sampled_from([ROOT, UNFILED, *FOLDERS])
    name = st.sampled_from(NAMES)
    seen = st.lists(st.sampled_from(TAGS[:4]), unique=True).map(
        lambda tags: tuple(Scored(t, 0.9) for t in tags)
    )
    return st.one_of(
        st.builds(AddEntry, where, name, st.sampled_from(FILES)),
        st.builds(SetWord, photo, st.sampled_from(TAGS), st.sampled_from(list(Word))),
        st.builds(SetWord, st.sampled_from(FILES), st.sampled_from(TAGS), st.sampled_from(Word)),
        st.builds(lambda p: RecordContent(content(p)), photo),
        st.builds(
            lambda p, t: RecordAnalysis(p, "x-1", "image/jpeg", t, Facts(), None, None, None),
            photo,
            seen,
        ),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Unit]:
    """Units of two devices; removals take back dots that were added earlier."""
    units: list[Unit] = []
    added: list[tuple[AddEntry, tuple[DeviceId, int, int]]] = []
    for i in range(draw(st.integers(1, 12))):
        device = draw(st.sampled_from(DEVICES))
        hlc = (i // 2 + 1) << 16
        if added and draw(st.booleans()):
            entry, dot = draw(st.sampled_from(added))
            ops: list[Op] = [RemoveEntry(entry.folder, entry.name, entry.file, (dot,))]
        else:
            ops = draw(st.lists(st.one_of(registers(), other_ops()), min_size=1, max_size=3))
        unit = Unit(UnitId(bytes([i]) * 16), hlc, device, tuple(ops))
        if any(u.hlc == hlc and u.device == device for u in units):
            continue  # a device's clock never gives the same value twice
        units.append(unit)
        for index, op in enumerate(ops):
            if isinstance(op, AddEntry):
                added.append((op, (device, hlc, index)))
    return units


def build(units: list[Unit]) -> State:
    state = State(PlainStore(), SmallTaxonomy())
    for unit in units:
        state.apply(unit)
    return state


@settings(max_examples=300, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_any_order_and_repetition_of_units_gives_the_same_state(
    units: list[Unit], shuffler: random.Random
) -> None:
    shuffled = units + [u for u in units if shuffler.random() < 0.3]
    shuffler.shuffle(shuffled)
    assert build(units).state_hash() == build(shuffled).state_hash()


@settings(max_examples=100, deadline=None)
@given(histories())
def test_posting_lists_hold_exactly_the_photos_that_are_listed(units: list[Unit]) -> None:
    state = build(units)
    photos = [p for p in map(state.photos.get, PHOTOS) if p is not None]
    listed = {p.number for p in photos if p.listed}
    assert set(state.photos.postings.bitmap(ALL)) == listed
    for tag in TAGS:
        tagged = {p.number for p in photos if tag in p.tags}
        assert set(state.photos.numbers([tag])) == tagged
        assert state.photos.postings.count(tag.encode()) == len(tagged)


@settings(max_examples=100, deadline=None)
@given(histories())
def test_every_listed_name_resolves_to_what_is_listed(units: list[Unit]) -> None:
    state = build(units)
    for folder in (ROOT, UNFILED, *FOLDERS):
        names = set()
        for item in state.folders.listing(folder):
            assert item.name not in names
            names.add(item.name)
            assert state.folders.look_up(folder, item.name) == (item.kind, item.id)


@settings(max_examples=100, deadline=None)
@given(histories())
def test_units_survive_encoding(units: list[Unit]) -> None:
    for unit in units:
        back = decode_unit(encode_unit(unit), unit.device)
        assert (back.id, back.hlc, back.device) == (unit.id, unit.hlc, unit.device)
        assert back.ops == unit.ops


class Bench:
    """One photo ``a.jpg`` that a pack saw a tabby on."""

    def __init__(self) -> None:
        self.state = State(PlainStore(), SmallTaxonomy())
        self.clock = 1 << 16
        tags = tuple(Scored(TagId(t), 0.9) for t in ("tabby", "cat", "animal"))
        self.do(
            AddEntry(ROOT, b"a.jpg", FILES[0]),
            RecordContent(content(PHOTOS[0])),
            SetRegister(Entity.FILE, FILES[0], Field.CONTENT, (PHOTOS[0], 0)),
            RecordAnalysis(PHOTOS[0], "x-1", "image/jpeg", tags, Facts(), None, None, None),
        )

    def do(self, *ops: Op) -> None:
        self.clock += 1 << 16
        self.state.apply(Unit(UnitId(bytes(16)), self.clock, DEVICES[0], ops))

    def tags(self) -> set[str]:
        photo = self.state.photos.get(PHOTOS[0])
        assert photo is not None
        return set(photo.tags)


def test_no_on_a_tag_denies_everything_below_it() -> None:
    bench = Bench()
    bench.do(SetWord(PHOTOS[0], TagId("animal"), Word.NO))
    assert bench.tags() == set()


def test_no_on_a_leaf_leaves_its_ancestors() -> None:
    bench = Bench()
    bench.do(SetWord(PHOTOS[0], TagId("tabby"), Word.NO))
    assert bench.tags() == {"cat", "animal"}


def test_yes_implies_ancestors_and_a_later_analysis_changes_no_word() -> None:
    bench = Bench()
    bench.do(SetWord(PHOTOS[0], TagId("cat"), Word.NO), SetWord(PHOTOS[0], TagId("dog"), Word.YES))
    again = (Scored(TagId("cat"), 1.0), Scored(TagId("animal"), 1.0))
    bench.do(RecordAnalysis(PHOTOS[0], "x-1", "image/jpeg", again, Facts(), None, None, None))
    assert bench.tags() == {"dog", "animal"}


def test_a_deleted_file_leaves_the_views_and_stands_in_the_trash() -> None:
    bench = Bench()
    record = bench.state.file(FILES[0])
    assert record is not None
    dots = tuple(record.entries[ROOT, b"a.jpg"])
    bench.do(
        RemoveEntry(ROOT, b"a.jpg", FILES[0], dots),
        SetRegister(Entity.FILE, FILES[0], Field.TRASHED, (1, ((ROOT, b"a.jpg"),))),
    )
    assert bench.state.photos.postings.count(ALL) == 0
    assert [f.id for _, f in bench.state.trash()] == [FILES[0]]
    assert bench.tags() == set()


@pytest.mark.parametrize("word", ["kitty", "CAT", "cat"])
def test_a_tag_is_found_by_name_and_synonym_whatever_the_case(word: str) -> None:
    assert Bench().state.photos.tag(word) == "cat"


def test_merged_tags_show_their_photos_under_the_tag_they_went_into() -> None:
    bench = Bench()
    bench.do(SetRegister(Entity.TAG, b"cat", Field.TAG_MERGED, TagId("dog")))
    assert "cat" not in bench.tags()
    assert "dog" in bench.tags()
    bench.do(SetRegister(Entity.TAG, b"cat", Field.TAG_MERGED, None))
    assert bench.tags() == {"tabby", "cat", "animal"}


def test_of_two_tags_merged_into_each_other_the_later_merge_loses() -> None:
    bench = Bench()
    bench.do(SetRegister(Entity.TAG, b"cat", Field.TAG_MERGED, TagId("dog")))
    bench.do(SetRegister(Entity.TAG, b"dog", Field.TAG_MERGED, TagId("cat")))
    assert bench.state.photos.canonical(TagId("cat")) == "dog"
    assert bench.state.photos.canonical(TagId("dog")) == "dog"
