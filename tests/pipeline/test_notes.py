"""Local notes go through CBOR unchanged, and nothing else is taken for one."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.errors import Integrity
from tagfs.model import Content, ContentId, DeviceId, FileId, ObjectName, Part
from tagfs.pipeline.condemned import Passing, Phase
from tagfs.pipeline.journal import Position
from tagfs.pipeline.notes import (
    UNRECORDED,
    Base,
    DraftDropped,
    DraftSaved,
    Dropped,
    Kind,
    ObjectsBegun,
    OnTheirWay,
    Published,
    Sealed,
    Synced,
    Uploaded,
    decode_note,
    encode_note,
)

NAME = ObjectName(b"n" * 16)
PART = Part(NAME, 1, b"s" * 24, b"c" * 32, 7, 300)
CONTENT = Content(ContentId(b"i" * 32), 7, "image/jpeg", (PART,))
PASS = Content(UNRECORDED, 7, "", (PART,))
FILE = FileId(b"f" * 16)

NOTES = [
    ObjectsBegun((NAME, NAME)),
    DraftSaved(FILE, b"x" * 16, 100, 2**40, None),
    DraftSaved(FILE, b"x" * 16, 100, 50, Base(CONTENT, 5)),
    DraftSaved(FILE, b"x" * 16, 100, 50, Base(PASS, 5, (NAME,))),
    DraftDropped(FILE),
    Sealed(CONTENT.id),
    Uploaded((NAME,)),
    Published(DeviceId(b"d" * 16), 12, b"h" * 32, Position(3, 456)),
    Synced(Position(1, 99)),
    Dropped((NAME,)),
    OnTheirWay(tuple(Passing(CONTENT.id, NAME, phase, 2**40) for phase in Phase)),
]


@pytest.mark.parametrize("note", NOTES, ids=lambda n: type(n).__name__)
def test_a_note_is_read_back_as_it_was_written(note):
    kind, payload = encode_note(note)
    assert decode_note(kind, payload) == note


def test_every_kind_but_the_unit_has_a_note():
    assert {encode_note(note)[0] for note in NOTES} == set(Kind) - {Kind.UNIT}


def test_units_and_kinds_of_a_later_version_are_no_notes():
    assert decode_note(Kind.UNIT, b"whatever") is None
    assert decode_note(77, b"whatever") is None
    assert decode_note(8, cbor2.dumps([CONTENT.id])) is None  # of an earlier version


@pytest.mark.parametrize("note", NOTES, ids=lambda n: type(n).__name__)
def test_fields_of_a_later_version_are_skipped(note):
    kind, payload = encode_note(note)
    if kind != Kind.SYNCED:
        assert decode_note(kind, cbor2.dumps([*cbor2.loads(payload), "more"])) == note


@given(st.sampled_from(sorted(set(Kind) - {Kind.UNIT})), st.binary(max_size=60))
def test_a_malformed_note_is_named_and_nothing_else_is_raised(kind, payload):
    try:
        decode_note(kind, payload)
    except Integrity:
        pass


def test_only_a_draft_over_an_interrupted_pass_keeps_objects_of_its_own():
    assert DraftSaved(FILE, b"x" * 16, 1, 5, Base(PASS, 5, (NAME,))).objects == (NAME,)
    assert DraftSaved(FILE, b"x" * 16, 1, 5, Base(CONTENT, 5)).objects == ()
    assert DraftSaved(FILE, b"x" * 16, 1, 5, None).objects == ()
