"""The state is the same whatever order operations arrive in, and obeys the user's words."""

from __future__ import annotations

import random
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_store import PlainStore, SmallTaxonomy

from tagfs.catalog.photos import ALL
from tagfs.catalog.shelves import TRASH, WRITTEN_OVER, versions_of
from tagfs.catalog.standing import (
    FAVOURITES,
    FLAGS,
    UNREADABLE,
    UNTAGGED,
    below,
    came,
    day_of,
    exactly,
    inside,
    joined,
    just_in,
    path_of,
    split,
)
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
    Located,
    ObjectName,
    Part,
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
PHOTOS = [ContentId(bytes([c]) * 32) for c in (30, 31, 32)]  # the last is a document
NAMES = [b"a.jpg", b"b.jpg"]
LOCATED = [
    Located("IT", "Lazio", "Rome"),
    Located("IT", "Lazio"),
    Located("IT"),
    Located("SG", None, "Singapore"),
    Located("FR", "Bretagne", "Brest"),
]
DATES = ["1969", "1969-05", "1969-05-12", "1968-12-31", "1820", "1969-02-30", None]
PATHS = [b"cat/dog", b"cat/u00", b"dog/cat/u00"]
QUERIES = [b"dog beach", b"is:favourite"]
TAGS = [TagId(t) for t in ("tabby", "cat", "dog", "animal", "u00")]


RECORDS = [ObjectName(bytes([n]) * 16) for n in range(3)]


def content(ident: ContentId, record: ObjectName = RECORDS[0]) -> Content:
    kind = "text/plain" if ident == PHOTOS[2] else "image/jpeg"
    return Content(ident, 0, kind, (Part(record, 1, bytes(24), bytes(32), 0, 1652),))


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
        said(),
        kept(),
        of_files(),
        of_tags(),
        st.builds(
            lambda p, v: SetRegister(Entity.PHOTO, p, Field.CONDEMNED, v),
            photo,
            st.sampled_from([None, tuple(RECORDS[:1]), tuple(RECORDS[1:]), tuple(RECORDS)]),
        ),
    )


def of_files() -> st.SearchStrategy[Op]:
    """What else is written about files and folders."""
    attributes = st.sampled_from([None, ((b"user.a", b"1"),), ((b"user.b", b""),)])
    values = st.one_of(
        st.tuples(st.just(Field.MODE), st.sampled_from([0o600, 0o644])),
        st.tuples(st.just(Field.MTIME), st.sampled_from([1, 2])),
        st.tuples(st.just(Field.PURGED), st.sampled_from([None, 7])),
        st.tuples(st.just(Field.VERSION_OF), st.sampled_from([None, *FILES])),
        st.tuples(st.just(Field.WRITTEN_OVER), st.sampled_from([None, *PHOTOS])),
        st.tuples(st.just(Field.ATTRIBUTES), attributes),
    )
    return st.one_of(
        st.builds(
            lambda f, v: SetRegister(Entity.FILE, f, v[0], v[1]), st.sampled_from(FILES), values
        ),
        st.builds(
            lambda f, v: SetRegister(Entity.FOLDER, f, Field.ATTRIBUTES, v),
            st.sampled_from(FOLDERS),
            attributes,
        ),
    )


def of_tags() -> st.SearchStrategy[Op]:
    values = st.one_of(
        st.tuples(st.just(Field.TAG_NAME), st.sampled_from([None, "Cat", "holiday"])),
        st.tuples(st.just(Field.TAG_KEPT), st.booleans()),
        st.tuples(st.just(Field.TAG_MERGED), st.sampled_from([None, *TAGS])),
    )
    return st.builds(
        lambda t, v: SetRegister(Entity.TAG, t.encode(), v[0], v[1]), st.sampled_from(TAGS), values
    )


def said() -> st.SearchStrategy[Op]:
    """What the user says of a photo, or of a file that may have no content."""
    subject = st.sampled_from([*PHOTOS, *FILES])
    values = st.one_of(
        st.tuples(st.just(Field.FAVOURITE), st.booleans()),
        st.tuples(st.just(Field.DATE), st.sampled_from(DATES)),
        st.tuples(st.just(Field.RATING), st.sampled_from([None, 3, 10])),
    )
    return st.builds(lambda p, v: SetRegister(Entity.PHOTO, p, v[0], v[1]), subject, values)


def kept() -> st.SearchStrategy[Op]:
    path, query = st.sampled_from(PATHS), st.sampled_from(QUERIES)
    return st.one_of(
        st.builds(
            lambda p, v: SetRegister(Entity.PATH, p, Field.NARROWING, v), path, st.booleans()
        ),
        st.builds(lambda q, v: SetRegister(Entity.QUERY, q, Field.QUERY, v), query, st.booleans()),
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
        st.builds(lambda p, r: RecordContent(content(p, r)), photo, st.sampled_from(RECORDS)),
        st.builds(
            lambda p, t, d, w, u: RecordAnalysis(
                p, "x-1", "image/jpeg", t, Facts(date=d, located=w), None, None, u
            ),
            photo,
            seen,
            st.sampled_from([None, "1969-05-12T10:00:00", "1968-12-31T00:00:00"]),
            st.sampled_from([None, *LOCATED]),
            st.sampled_from([None, "truncated"]),
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
    one, other = build(units), build(shuffled)
    assert one.state_hash() == other.state_hash()
    assert lists_of(one) == lists_of(other)


@settings(max_examples=200, deadline=None)
@given(histories())
def test_every_file_knows_how_many_entries_views_have_of_it(units: list[Unit]) -> None:
    state = build(units)
    for ident in FILES:
        file = state.file(ident)
        if file is None:
            continue
        wanted = (0, False)
        photo = state.photos.get(file.content[0]) if file.live and file.content else None
        if photo is not None and photo.number is not None and photo.name is not None:
            shown = state.photos.names.shown(photo.number)
            if shown is not None and shown.file == ident:
                wanted = (len(photo.tags) + photo.standing.places, photo.listed)
        assert (file.views, file.in_all) == wanted


@settings(max_examples=100, deadline=None)
@given(st.permutations(range(4)))
def test_an_act_is_marked_as_taken_back_in_whatever_order_that_is_heard(order: list[int]) -> None:
    """The second takes the first back and the third the second; the last is another's."""
    ids = [UnitId(bytes([n]) * 16) for n in range(4)]
    undoes = [None, ids[0], ids[1], ids[3]]
    state = State(PlainStore(), SmallTaxonomy())
    for n in order:
        op = SetRegister(Entity.QUERY, b"q%d" % n, Field.QUERY, True)
        state.apply(Unit(ids[n], (n + 1) << 16, DEVICES[n % 2], (op,), True, undoes[n]))
    acts = {act.id: act for act in state.undo.acts()}
    assert [acts[i].undone for i in ids] == [True, True, False, True]
    assert [acts[i].undoes for i in ids] == undoes
    state.undo.forget(2**64)
    assert list(state.undo.acts()) == []


def ways_of(where: Located) -> list[str]:
    parts = split(path_of(where))
    return [joined(parts[:n]) for n in range(1, len(parts) + 1)]


def list_names() -> list[bytes]:
    dates = [d for d in DATES if d is not None]
    texts = {d[:n] for d in dates for n in (4, 7, 10)}
    ways = {way for where in LOCATED for way in ways_of(where)}
    dated = [*map(below, texts), *map(exactly, texts)]
    placed = [*map(inside, ways), *map(just_in, ways)]
    return [*FLAGS, came(0), *dated, *placed, *(t.encode() for t in TAGS)]


def lists_of(state: State) -> dict[bytes, set[bytes]]:
    """Return every posting list by content, and by file what waits for one."""
    found: dict[bytes, set[bytes]] = {}
    for name in list_names():
        numbers = state.photos.postings.bitmap(name)
        shown = [state.photos.names.shown(number) for number in numbers]
        found[name] = {s.photo for s in shown if s is not None}
        found[b"waiting:" + name] = {file.id for _, file in state.waiting(name)}
    for shelf in (TRASH, WRITTEN_OVER, *map(versions_of, FILES)):
        found[b"shelf:" + shelf] = {file.id for _, file in state.shelves.files(shelf)}
    return found


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
def test_lists_hold_what_the_user_and_the_photo_say(units: list[Unit]) -> None:
    state = build(units)
    photos = [p for p in map(state.photos.get, PHOTOS) if p is not None]
    lists = lists_of(state)
    for photo in photos:
        here = bool(photo.files) and photo.content is not None
        said_date = photo.regs.get(Field.DATE) is not None
        date = photo.date if here and (photo.listed or said_date) else None
        sight = photo.sight
        expected = {
            FAVOURITES: here and bool(photo.regs.get(Field.FAVOURITE)),
            UNTAGGED: photo.listed and not photo.tags,
            UNREADABLE: photo.listed and sight is not None and sight.unreadable is not None,
            came(0): photo.listed,
            below("1969"): date is not None and date.startswith("1969"),
            exactly("1969"): date == "1969",
            below("1969-05"): date is not None and date.startswith("1969-05"),
            exactly("1969-05"): date == "1969-05",
            below("1969-05-12"): date == "1969-05-12",
        }
        there = photo.listed and sight is not None
        located = sight.facts.located if there and sight is not None else None
        ways = [] if located is None else ways_of(located)
        for way in {way for where in LOCATED for way in ways_of(where)}:
            expected[inside(way)] = way in ways
            expected[just_in(way)] = way in ways[-1:]
        assert {name: photo.id in lists[name] for name in expected} == expected
    for prefix, parts in (("", ["1968", "1969"]), ("1969", ["05"]), ("1969-05", ["12"])):
        there = [p for p in parts if lists[below(f"{prefix}-{p}" if prefix else p)]]
        assert list(state.photos.lists.parts(prefix)) == list(map(int, there))
    known = {photo.standing.place for photo in photos} - {None}
    paths = {split(path)[:n] for path in known if path is not None for n in (1, 2, 3)}
    for above in ((), ("IT",), ("IT", "Lazio"), ("SG",), ("FR",)):
        found = [name for _, name in state.photos.lists.places(joined(above))]
        assert sorted(found) == sorted(
            path[-1] for path in paths if path[:-1] == above and len(path) > len(above)
        )


@settings(max_examples=100, deadline=None)
@given(histories())
def test_what_was_said_of_a_file_lists_it_until_there_is_a_content(units: list[Unit]) -> None:
    state = build(units)
    lists = lists_of(state)
    for ident in FILES:
        file = state.file(ident)
        waits = file is not None and file.live and file.content is None
        favourite = state.register(Entity.PHOTO, ident, Field.FAVOURITE)[0]
        date = state.register(Entity.PHOTO, ident, Field.DATE)[0]
        assert (ident in lists[b"waiting:" + FAVOURITES]) == (waits and bool(favourite))
        assert (ident in lists[b"waiting:" + exactly("1969-05")]) == (waits and date == "1969-05")


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


def test_what_several_packs_see_is_taken_together_and_of_each_the_newest_version() -> None:
    bench = Bench()

    def sees(pack: str, *tags: tuple[str, float], date: str | None = None) -> RecordAnalysis:
        scored = tuple(Scored(TagId(t), c) for t, c in tags)
        return RecordAnalysis(
            PHOTOS[0], pack, "image/jpeg", scored, Facts(date=date), None, None, None
        )

    bench.do(
        sees("birds-1", ("dog", 0.7), date="1950-01-02"),
        sees("x-1", ("cat", 0.8), date="1950-01-02"),
    )
    assert bench.tags() == {"cat", "dog"}
    bench.do(sees("x-2", ("animal", 0.6), ("dog", 0.5), date="1951-01-02"))
    assert bench.tags() == {"animal", "dog"}
    photo = bench.state.photos.get(PHOTOS[0])
    assert photo is not None
    assert photo.seen == {"animal": 0.6, "dog": 0.7}  # of two packs the surer
    assert photo.date == "1951-01-02"
    bench.do(sees("birds-1"))  # saw nothing the second time
    assert photo.seen == {"animal": 0.6, "dog": 0.5}
    assert sorted(photo.counting) == ["birds-1", "x-2"]


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


def dated(bench: Bench) -> str | None:
    photo = bench.state.photos.get(PHOTOS[0])
    assert photo is not None
    return photo.date


def test_the_users_date_wins_over_the_photos_own_with_its_precision() -> None:
    bench = Bench()
    facts = Facts(date="1969-05-12T10:00:00")
    bench.do(RecordAnalysis(PHOTOS[0], "x-1", "image/jpeg", (), facts, None, None, None))
    assert dated(bench) == "1969-05-12"
    bench.do(SetRegister(Entity.PHOTO, PHOTOS[0], Field.DATE, "1968"))
    assert dated(bench) == "1968"
    assert list(bench.state.photos.lists.parts("")) == [1968]
    assert list(bench.state.photos.lists.parts("1968")) == []
    bench.do(SetRegister(Entity.PHOTO, PHOTOS[0], Field.DATE, None))
    assert dated(bench) == "1969-05-12"


@pytest.mark.parametrize("date", ["1825-12-31", "1970-01-03", "1969-02-30", "1969-13", "19", "x"])
def test_a_date_that_cannot_be_is_not_believed(date: str) -> None:
    bench = Bench()  # its clock stands on the first of January 1970
    bench.do(SetRegister(Entity.PHOTO, PHOTOS[0], Field.DATE, date))
    assert dated(bench) is None


@pytest.mark.parametrize(
    ("first", "last", "finds"),
    [
        (date(1969, 5, 12), date(1969, 5, 12), {"1969", "1969-05", "1969-05-12"}),
        (date(1969, 5, 13), None, {"1969", "1969-05"}),
        (date(1969, 6, 1), None, {"1969"}),
        (None, date(1968, 12, 31), {"1968-12-31"}),
        (date(1968, 12, 31), date(1969, 5, 11), {"1968-12-31", "1969", "1969-05"}),
        (date(1970, 1, 1), None, set()),
    ],
)
def test_a_span_of_days_finds_every_date_that_may_lie_in_it(
    first: date | None, last: date | None, finds: set[str]
) -> None:
    state = State(PlainStore(), SmallTaxonomy())
    texts = ["1969", "1969-05", "1969-05-12", "1968-12-31"]
    for i, text in enumerate(texts):
        photo, file = ContentId(bytes([i]) * 32), FileId(bytes([i]) * 16)
        ops = (
            RecordContent(content(photo)),
            AddEntry(ROOT, text.encode(), file),
            SetRegister(Entity.FILE, file, Field.CONTENT, (photo, 0)),
            SetRegister(Entity.PHOTO, photo, Field.DATE, text),
        )
        state.apply(Unit(UnitId(bytes(16)), (i + 1) << 16, DEVICES[0], ops))
    numbers = state.photos.lists.between(first, last)
    shown = [state.photos.names.shown(number) for number in numbers]
    assert {s.name.decode() for s in shown if s is not None} == finds


def test_the_latest_that_came_in_are_recent_and_no_more_than_so_many() -> None:
    state = State(PlainStore(), SmallTaxonomy())
    day = 24 * 3_600_000
    for i, came_day in enumerate((3, 40, 70, 70, 71)):
        photo, file = ContentId(bytes([i]) * 32), FileId(bytes([i]) * 16)
        ops = (
            RecordContent(content(photo)),
            AddEntry(ROOT, b"%d" % i, file),
            SetRegister(Entity.FILE, file, Field.CONTENT, (photo, 0)),
        )
        state.apply(Unit(UnitId(bytes(16)), came_day * day + i << 16, DEVICES[0], ops))
    recent = state.photos.lists.recent
    assert day_of(71 * day) == 71
    assert list(recent(71 * day, 30, 1000)) == [2, 3, 4]
    assert list(recent(69 * day, 30, 1000)) == [1, 2, 3]
    assert list(recent(71 * day, 30, 2)) == [3, 4]


def test_kept_narrowings_and_queries_are_listed_until_they_are_forgotten() -> None:
    bench = Bench()
    bench.do(SetRegister(Entity.PATH, b"cat/dog", Field.NARROWING, True))
    bench.do(SetRegister(Entity.QUERY, b"dog beach", Field.QUERY, True))
    assert list(bench.state.narrowings.below(b"cat")) == [(0, b"cat/dog")]
    assert list(bench.state.queries.names()) == [(0, b"dog beach")]
    bench.do(SetRegister(Entity.PATH, b"cat/dog", Field.NARROWING, False))
    bench.do(SetRegister(Entity.QUERY, b"dog beach", Field.QUERY, False))
    assert list(bench.state.narrowings.below(b"cat")) == []
    assert b"dog beach" not in bench.state.queries


def test_a_condemned_record_counts_no_more_until_that_is_taken_back() -> None:
    bench = Bench()

    def counting() -> ObjectName | None:
        found = bench.state.photos.content(PHOTOS[0])
        return None if found is None else found.record

    def condemn(*records: ObjectName) -> None:
        bench.do(SetRegister(Entity.PHOTO, PHOTOS[0], Field.CONDEMNED, records or None))

    assert counting() == RECORDS[0]
    condemn(RECORDS[0])
    assert counting() is None
    bench.do(RecordContent(content(PHOTOS[0], RECORDS[1])))
    assert counting() == RECORDS[1]
    condemn()
    assert counting() == RECORDS[0]  # the first of those that count
    condemn(*RECORDS)
    assert counting() is None
    assert list(bench.state.photos.contents()) == [PHOTOS[0]]
