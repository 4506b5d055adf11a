"""Operations survive encoding, unknown ones are skipped, and hostile ones are refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.errors import Integrity
from tagfs.model import (
    PART,
    Content,
    ContentId,
    DeviceId,
    Facts,
    FileId,
    FolderId,
    Located,
    ObjectName,
    Part,
    Place,
    Region,
    Scored,
    TagId,
    UnitId,
    Word,
)
from tagfs.vault import cbor
from tagfs.vault.ops import (
    AddEntry,
    Entity,
    Field,
    RecordAnalysis,
    RecordContent,
    RemoveEntry,
    SetRegister,
    SetWord,
    Skipped,
    Unit,
    decode_unit,
    encode_unit,
)

DEVICE = DeviceId(b"d" * 16)
ids = st.binary(min_size=16, max_size=16)
hashes = st.binary(min_size=32, max_size=32)
names = st.binary(min_size=1, max_size=255).filter(
    lambda n: b"/" not in n and b"\0" not in n and n not in (b".", b"..")
)
tags = st.from_regex(r"[nu][0-9a-f]{1,33}", fullmatch=True).map(TagId)
scored = st.builds(Scored, tags, st.integers(0, 1000).map(lambda n: n / 1000))
places = st.builds(
    Place, st.floats(-90, 90), st.floats(-180, 180), st.none() | st.floats(-500, 9000)
)
lines = st.text(st.characters(blacklist_categories=("Cc", "Cs")), min_size=1, max_size=32)
place_names = st.none() | lines
located = st.builds(
    Located, st.from_regex("[A-Z]{2}", fullmatch=True), region=place_names, town=place_names
)
sides = st.lists(st.integers(0, 65535), min_size=2, max_size=2, unique=True).map(sorted)
regions = st.builds(
    lambda name, x, y: Region(name, (x[0] / 65535, y[0] / 65535, x[1] / 65535, y[1] / 65535)),
    lines,
    sides,
    sides,
)
facts = st.builds(
    Facts,
    width=st.none() | st.integers(0, 2**31 - 1),
    orientation=st.none() | st.integers(1, 8),
    date=st.none() | st.just("2026-11-24T20:00:00"),
    camera=st.none() | st.text(max_size=20),
    place=st.none() | places,
    phash=st.none() | st.integers(0, 2**64 - 1),
    located=st.none() | located,
    lens=st.none() | st.text(max_size=20),
    regions=st.lists(regions, max_size=3).map(tuple),
    keywords=st.lists(lines, max_size=3).map(tuple),
    rating=st.none() | st.integers(0, 10),
)
references = st.none() | st.tuples(
    hashes.map(ContentId), st.integers(0, 2**40 - 1), st.integers(0, 2**30 - 1)
)
values: dict[Field, st.SearchStrategy[Any]] = {
    Field.CONTENT: st.none()
    | st.tuples(hashes, st.integers(0, 2**62))
    | st.tuples(hashes, st.integers(0, 2**62), hashes),
    Field.MODE: st.integers(0, 0o7777),
    Field.MTIME: st.integers(-(2**63), 2**63 - 1),
    Field.TARGET: st.binary(min_size=1, max_size=4095).filter(lambda t: b"\0" not in t),
    Field.TRASHED: st.none()
    | st.tuples(st.integers(0, 2**62), st.lists(st.tuples(ids, names), max_size=3).map(tuple)),
    Field.PLACE: st.tuples(ids, names, st.booleans()),
    Field.TAG_NAME: st.none() | st.text(max_size=50),
    Field.TAG_MERGED: st.none() | tags,
    Field.TAG_KEPT: st.booleans(),
    Field.VIEW_NAME: st.none() | names,
    Field.FAVOURITE: st.booleans(),
    Field.DATE: st.none() | st.just("2026-11"),
    Field.NARROWING: st.booleans(),
    Field.QUERY: st.booleans(),
    Field.PURGED: st.none() | st.integers(0, 2**62),
    Field.CONDEMNED: st.none() | st.sets(ids, min_size=1, max_size=3).map(sorted).map(tuple),
}
entities = st.one_of(
    st.tuples(st.sampled_from([Entity.FILE, Entity.FOLDER]), ids),
    st.tuples(st.just(Entity.PHOTO), ids | hashes),
    st.tuples(st.sampled_from([Entity.TAG, Entity.PATH, Entity.QUERY]), tags.map(str.encode)),
)
registers = (
    st.tuples(entities, st.sampled_from(list(values)))
    .filter(lambda e: e[1] is not Field.CONDEMNED or len(e[0][1]) == 32)
    .flatmap(lambda e: values[e[1]].map(lambda value: SetRegister(*e[0], e[1], value)))
)


def content_of(sizes: list[int]) -> Content:
    parts = tuple(
        Part(ObjectName(bytes([i]) * 16), 1, bytes(24), bytes(32), n, n + 1000)
        for i, n in enumerate(sizes)
    )
    return Content(ContentId(bytes(32)), sum(sizes), "image/jpeg", parts)


ops = st.one_of(
    registers,
    st.builds(SetWord, ids | hashes, tags, st.sampled_from(Word)),
    st.builds(AddEntry, ids.map(FolderId), names, ids.map(FileId)),
    st.builds(
        RemoveEntry,
        ids.map(FolderId),
        names,
        ids.map(FileId),
        st.lists(
            st.tuples(ids.map(DeviceId), st.integers(0, 2**64 - 1), st.integers(0, 99_999)),
            max_size=3,
        ).map(tuple),
    ),
    st.builds(RecordContent, st.sampled_from([[0], [1], [PART], [PART, 5]]).map(content_of)),
    st.builds(
        RecordAnalysis,
        hashes.map(ContentId),
        st.just("default-1"),
        st.just("image/png"),
        st.lists(scored, max_size=3).map(tuple),
        facts,
        references,
        references,
        st.none() | st.just("truncated JPEG"),
    ),
)


@given(ids.map(UnitId), st.integers(0, 2**64 - 1), st.lists(ops, max_size=8).map(tuple))
def test_every_operation_survives_encoding(ident: UnitId, hlc: int, listed: tuple) -> None:
    unit = Unit(ident, hlc, DEVICE, listed)
    assert decode_unit(encode_unit(unit), DEVICE) == unit


def raw_unit(*raw: object) -> bytes:
    return cbor.encode([bytes(16), 1, list(raw)])


@pytest.mark.parametrize(
    "raw",
    [
        [7, "of a later version"],
        [1, 99, b"id", 1, None],
        [1, 1, bytes(16), 99, {"any": "thing"}],
    ],
)
def test_what_a_later_version_brought_is_skipped_and_keeps_its_place(raw: list[object]) -> None:
    known = [3, bytes(16), b"name", bytes(16)]
    skipped, op = decode_unit(raw_unit(raw, known), DEVICE).ops
    assert skipped == Skipped()
    assert isinstance(op, AddEntry), "dots count operations by their place"


def test_fields_behind_the_known_ones_are_skipped() -> None:
    data = cbor.encode([bytes(16), 1, [[3, bytes(16), b"n", bytes(16), "later"]], None, "later"])
    assert decode_unit(data, DEVICE).ops == (
        AddEntry(FolderId(bytes(16)), b"n", FileId(bytes(16))),
    )


PART_OK = [bytes(16), 1, bytes(24), bytes(32), 5, 1000]


@pytest.mark.parametrize(
    "raw",
    [
        [],
        5,
        [0],
        ["kind"],
        [1, 1, "text", 1, None],
        [1, 1, bytes(17), 1, None],
        [1, 3, b"\xff", 8, None],
        [1, 5, b"a" * 4097, 13, True],
        [1, 1, bytes(16), 1, [bytes(31), 5]],
        [1, 1, bytes(16), 1, [bytes(32), -1]],
        [1, 1, bytes(16), 2, 0o10000],
        [1, 1, bytes(16), 2, True],
        [1, 1, bytes(16), 3, 2**63],
        [1, 1, bytes(16), 4, b"a\0b"],
        [1, 1, bytes(16), 4, b""],
        [1, 2, bytes(16), 6, [bytes(16), b"..", True]],
        [1, 2, bytes(16), 6, [bytes(16), b"a/b", True]],
        [1, 2, bytes(16), 6, [bytes(16), b"a", 1]],
        [1, 4, bytes(32), 10, b""],
        [1, 4, bytes(32), 11, 1],
        [2, bytes(17), "n1", 1],
        [2, bytes(16), "n1", 3],
        [2, bytes(16), 5, 1],
        [3, bytes(16), b"x" * 256, bytes(16)],
        [3, bytes(15), b"x", bytes(16)],
        [4, bytes(16), b"x", bytes(16), [[bytes(16), 1]]],
        [4, bytes(16), b"x", bytes(16), [[bytes(16), 2**64, 0]]],
        [5, bytes(32), 6, "a/b", [PART_OK]],
        [5, bytes(32), 10, "a/b", [PART_OK, PART_OK]],
        [5, bytes(32), 5, "a" * 129, [PART_OK]],
        [5, bytes(32), 5, "a/b", [[*PART_OK[:4], 5.0, 1000]]],
        [6, bytes(32), "p", "a/b", [["n1", 1001]], {}, None, None, None],
        [6, bytes(32), "p", "a/b", [], {7: [91.0, 0.0, None]}, None, None, None],
        [6, bytes(32), "p", "a/b", [], {7: [float("nan"), 0.0, None]}, None, None, None],
        [6, bytes(32), "p", "a/b", [], {7: [0.0, 0.0, "high"]}, None, None, None],
        [6, bytes(32), "p", "a/b", [], {1: "wide"}, None, None, None],
        [6, bytes(32), "p", "a/b", [], [], None, None, None],
        [6, bytes(32), "p", "a/b", [], {}, [bytes(32), 2**40, 1], None, None],
    ],
)
def test_an_operation_out_of_bounds_refuses_the_unit(raw: object) -> None:
    with pytest.raises(Integrity, match="unit"):
        decode_unit(raw_unit(raw), DEVICE)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"\xff",
        b"\x81" * 500,
        cbor.encode([bytes(15), 1, []]),
        cbor.encode([bytes(16), -1, []]),
        cbor.encode([bytes(16), 1.5, []]),
        cbor.encode([bytes(16), 2**64, []]),
        cbor.encode([bytes(16), 1, {}]),
        b"\x83\x50" + bytes(16) + b"\x01\x9f\xff",
        bytes(9 * 1024 * 1024),
    ],
)
def test_a_malformed_unit_is_refused(data: bytes) -> None:
    with pytest.raises(Integrity, match="unit"):
        decode_unit(data, DEVICE)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_unit_or_refused(data: bytes) -> None:
    try:
        decode_unit(data, DEVICE)
    except Integrity:
        pass


def test_nesting_ends_at_the_depth_that_the_format_says() -> None:
    assert cbor.decode(b"\x81" * 16 + b"\0")
    with pytest.raises(cbor.Malformed):
        cbor.decode(b"\x81" * 17 + b"\0")
