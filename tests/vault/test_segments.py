"""Journal segments: read back exactly, and refused for whatever is wrong with them."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping

import pytest
from fixtures_vault import counted_random, ring
from hypothesis import given, settings
from hypothesis import strategies as st

from tagfs.errors import Integrity
from tagfs.model import DeviceId
from tagfs.vault import cbor, segments
from tagfs.vault.chains import Alarm, Trouble, check_next, compare, newest
from tagfs.vault.device import (
    Certificate,
    DeviceKeys,
    certificate_name,
    certify,
    open_certificate,
)
from tagfs.vault.layout import KIND_CERTIFICATE, KIND_SEGMENT
from tagfs.vault.messages import open_message, seal_message
from tagfs.vault.segments import Head, Segment, SegmentWriter, open_segment, segment_name

RING = ring()
DEVICE = DeviceKeys.create(counted_random("device"))
OTHER = DeviceKeys.create(counted_random("other"))


def certificates(owner=RING, *devices: DeviceKeys) -> Mapping[tuple[DeviceId, int], Certificate]:
    result = {}
    for device in devices or (DEVICE, OTHER):
        epoch = owner.newest.number
        _, stored = certify(owner, device, 1, "label")
        result[device.id, epoch] = open_certificate(owner, device.id, epoch, stored)
    return result


CERTIFICATES = certificates()


def seal(units: list[bytes], last: Head | None = None, heads: tuple[Head, ...] = ()) -> bytes:
    return SegmentWriter(RING, DEVICE, last).seal(units, heads)[1]


def open_first(stored: bytes, certs=CERTIFICATES, owner=RING) -> Segment:
    return open_segment(owner, certs, DEVICE.id, 1, stored)


@settings(max_examples=30)
@given(st.lists(st.binary(max_size=2000), max_size=20))
def test_what_was_published_is_read_back(units: list[bytes]) -> None:
    heads = (Head(OTHER.id, 7, b"h" * 32),)
    stored = seal(units, heads=heads)
    segment = open_first(stored)
    assert segment.units == tuple(units)
    assert segment.heads == heads
    assert (segment.seq, segment.prev, segment.epoch) == (1, bytes(32), 1)
    assert segment.hash == hashlib.sha256(stored).digest()


def test_a_chain_of_segments_verifies_in_order_only() -> None:
    writer = SegmentWriter(RING, DEVICE, None)
    chain = []
    for seq in (1, 2, 3):
        path, stored, head = writer.seal([bytes([seq])], [])
        assert path == "j/" + "/".join(
            [(name := segment_name(RING, DEVICE.id, seq).hex())[:2], name[2:]]
        )
        chain.append(open_segment(RING, CERTIFICATES, DEVICE.id, seq, stored))
        writer.last = head
    last = None
    for segment in chain:
        last = check_next(last, segment)
    assert last == chain[2].head
    for before, after in [(None, 1), (0, 2), (2, 0)]:
        with pytest.raises(Integrity, match="chain is broken"):
            check_next(None if before is None else chain[before].head, chain[after])


def test_another_history_does_not_fit_into_the_chain() -> None:
    first = open_first(seal([b"seen"]))
    other = open_first(seal([b"other"]))
    following = SegmentWriter(RING, DEVICE, other.head).seal([b"x"], [])[1]
    second = open_segment(RING, CERTIFICATES, DEVICE.id, 2, following)
    with pytest.raises(Integrity, match="chain is broken"):
        check_next(first.head, second)


def test_an_epoch_never_goes_back_along_a_sequence() -> None:
    with pytest.raises(Integrity, match="epoch"):
        check_next(None, open_first(seal([])), newest_epoch=2)


def test_flipped_bits_and_truncations_are_noticed_and_the_segment_named() -> None:
    stored = seal([b"unit" * 100])
    for bit in range(0, len(stored) * 8, 11):
        bad = bytearray(stored)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Integrity, match=f"segment 1 of device {DEVICE.id.hex()}"):
            open_first(bytes(bad))
    for length in [*range(0, len(stored), 50), len(stored) - 1]:
        with pytest.raises(Integrity, match="segment 1"):
            open_first(stored[:length])


def test_a_segment_is_refused_under_another_name_device_or_vault() -> None:
    stored = seal([b"unit"])
    for device, seq, owner in [
        (DEVICE.id, 2, RING),
        (OTHER.id, 1, RING),
        (DEVICE.id, 1, ring("foreign")),
    ]:
        with pytest.raises(Integrity):
            open_segment(owner, CERTIFICATES, device, seq, stored)


def craft(body: bytes, signer: DeviceKeys = DEVICE, packed: bytes | None = None) -> bytes:
    """Seal what somebody with the ring might: properly sealed, whatever is inside."""
    name = segment_name(RING, DEVICE.id, 1)
    packed = zlib.compress(body) if packed is None else packed
    signature = signer.sign(segments._signed(RING, name, packed))
    return seal_message(RING, KIND_SEGMENT, name, DEVICE.id + signature + packed)


def body(**changes: object) -> bytes:
    fields = {1: DEVICE.id, 2: 1, 3: bytes(32), 4: [], 5: []}
    return cbor.encode(fields | {int(k[1:]): v for k, v in changes.items()})


def test_a_segment_that_another_device_signed_is_refused() -> None:
    with pytest.raises(Integrity, match="not signed by that device"):
        open_first(craft(body(), OTHER))


def test_a_segment_needs_a_certificate_of_its_epoch() -> None:
    with pytest.raises(Integrity, match="no certificate"):
        open_first(seal([]), {})


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\xff",
        cbor.encode([]),
        body(_1=OTHER.id),
        body(_2=2),
        body(_2=True),
        body(_3=bytes(31)),
        body(_4=[[DEVICE.id, 0, bytes(32)]]),
        body(_4=[[DEVICE.id]]),
        body(_4=[5]),
        body(_5=["text"]),
        body(_5={}),
        b"\x81" * 1000 + b"\0",
        b"\x9b" + b"\xff" * 8,
        b"\xd8\x23\x65((((a",
        b"\xc4\x82\x1a\x7f\xff\xff\xff\x01",
    ],
)
def test_a_malformed_body_is_refused_though_it_is_signed(bad: bytes) -> None:
    with pytest.raises(Integrity, match="segment 1"):
        open_first(craft(bad))


def test_a_decompression_bomb_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MAX_BODY", 10_000)
    with pytest.raises(Integrity, match="longer than format 1 allows"):
        open_first(craft(bytes(10_001)))
    with pytest.raises(Integrity, match="longer than format 1 allows"):
        open_first(craft(b"", packed=zlib.compress(b"x" * 5000)[:-3]))


def test_unknown_fields_of_a_body_are_skipped() -> None:
    assert open_first(craft(body(_9="later"))).units == ()


def test_the_size_of_a_segment_says_little() -> None:
    assert len({len(seal([bytes(n)])) for n in range(0, 400, 10)}) == 1


def test_a_certificate_is_bound_to_device_epoch_and_vault() -> None:
    _, stored = certify(RING, DEVICE, 5, "ein Gerät")
    found = open_certificate(RING, DEVICE.id, 1, stored)
    assert (found.label, found.created_ms) == ("ein Gerät", 5)
    assert found.signing_public == DEVICE.signing_public
    rotated = RING.rotated()
    for owner, device, epoch in [
        (RING, OTHER.id, 1),
        (rotated, DEVICE.id, 2),
        (ring("foreign"), DEVICE.id, 1),
    ]:
        with pytest.raises(Integrity):
            open_certificate(owner, device, epoch, stored)
    for bit in range(0, len(stored) * 8, 23):
        bad = bytearray(stored)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Integrity, match=DEVICE.id.hex()):
            open_certificate(RING, DEVICE.id, 1, bytes(bad))


def test_a_certificate_that_the_vault_did_not_sign_is_refused() -> None:
    _, stored = certify(RING, DEVICE, 5, "x")
    name = certificate_name(RING, DEVICE.id, 1)
    _, payload = open_message(RING, KIND_CERTIFICATE, name, stored, 4096, "")
    forged = seal_message(RING, KIND_CERTIFICATE, name, OTHER.sign(payload[64:]) + payload[64:])
    with pytest.raises(Integrity, match="not signed by the vault"):
        open_certificate(RING, DEVICE.id, 1, forged)


def test_a_long_label_is_cut_between_characters() -> None:
    _, stored = certify(RING, DEVICE, 5, "ü" * 100)
    assert open_certificate(RING, DEVICE.id, 1, stored).label == "ü" * 32


def head(seq: int, digest: bytes = b"a", device: DeviceKeys = DEVICE) -> Head:
    return Head(device.id, seq, digest * 32)


def test_no_alarm_when_a_journal_only_grew() -> None:
    assert compare({DEVICE.id: head(2)}, {DEVICE.id: [head(2), head(5, b"b")]}) == []
    assert compare({}, {DEVICE.id: [head(1)]}) == []


@pytest.mark.parametrize(
    ("found", "trouble", "words"),
    [
        ([], Trouble.MISSING, "is gone"),
        ([head(1)], Trouble.MISSING, "ends at segment 1"),
        ([head(2, b"z")], Trouble.FORKED, "not the one that was seen"),
    ],
)
def test_rollback_truncation_and_fork_are_told_with_device_and_heads(
    found: list[Head], trouble: Trouble, words: str
) -> None:
    alarms = compare({DEVICE.id: head(2)}, {DEVICE.id: found})
    assert alarms == [Alarm(trouble, DEVICE.id, head(2), found[0] if found else None)]
    text = alarms[0].text()
    assert words in text
    assert DEVICE.id.hex()[:8] in text
    assert "Restore the remote" in text


def test_the_newest_of_the_heads_that_others_named_counts() -> None:
    named = [head(3), head(5, b"b"), head(4), head(1, b"c", OTHER)]
    assert newest(named) == {DEVICE.id: head(5, b"b"), OTHER.id: head(1, b"c", OTHER)}
