"""Items of a pack and details of a photo come back, and malformed ones are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.errors import Integrity
from tagfs.model import Scored, TagId
from tagfs.vault.packs import PackBuilder, decode_details, encode_details

SCORES = st.lists(
    st.builds(
        Scored,
        st.from_regex(r"[nu][0-9a-f]{1,33}", fullmatch=True).map(TagId),
        st.floats(0, 1, allow_nan=False),
    ),
    max_size=30,
)


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_items_are_found_by_offset_and_length(items: list[bytes]) -> None:
    builder = PackBuilder()
    places = [builder.add(item) for item in items]
    data = builder.data()
    assert [data[at : at + length] for at, length in places] == items


@given(SCORES, st.binary(max_size=2560))
def test_details_come_back_to_a_65535th(scores: list[Scored], embedding: bytes) -> None:
    builder = PackBuilder()
    builder.add(b"before")
    at, length = builder.add_details(scores, embedding)
    found, vector = decode_details(builder.data()[at : at + length])
    assert vector == embedding
    assert [s.tag for s in found] == [s.tag for s in scores]
    for one, other in zip(found, scores, strict=True):
        assert one.confidence == pytest.approx(other.confidence, abs=1e-5)


def test_cut_and_foreign_details_are_refused() -> None:
    item = encode_details([Scored(TagId("n02084071"), 0.5)], b"ab")
    assert decode_details(item)[1] == b"ab"
    for bad in [*(item[:n] for n in range(len(item))), item + b"x", b"\2" + item[1:]]:
        with pytest.raises(Integrity):
            decode_details(bad)
