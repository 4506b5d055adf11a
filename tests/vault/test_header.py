"""The header opens with each secret and with nothing else, whatever is done to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from fixtures_vault import counted_random, ring

from tagfs.crypto import kdf, recipients
from tagfs.crypto.kdf import KdfParams
from tagfs.errors import Integrity, NewerVault, NotAVault, TagfsError, WrongSecret
from tagfs.model import DeviceId
from tagfs.vault import cbor, header
from tagfs.vault.device import DeviceKeys
from tagfs.vault.header import (
    HeaderInfo,
    create_header,
    next_header,
    open_header,
    peek,
    with_device,
    with_passphrase,
    with_words,
    without_devices,
)
from tagfs.vault.keys import KeyRing
from tagfs.vault.slots import DevicePrivate, Passphrase, SlotKind, Words
from tagfs.vault.words import to_words

CHEAP = KdfParams(64 * 1024, 3, 1)
RING = ring()
DEVICE = DeviceKeys.create(counted_random("device"))
ENTROPY = bytes(range(32))
PASSPHRASE = Passphrase("correct horse")
BY_DEVICE = DevicePrivate(DEVICE.id, DEVICE.exchange_private, RING)


def make() -> tuple[bytes, HeaderInfo]:
    return create_header(RING, PASSPHRASE, ENTROPY, DEVICE, CHEAP)


@pytest.fixture(autouse=True)
def remembered_kdf(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[KdfParams]]:
    """Memoise Argon2id by everything that goes in; record with which costs it was reached."""
    reached: list[KdfParams] = []

    def remembered(passphrase: bytes, salt: bytes, params: KdfParams) -> bytes:
        params.check()
        reached.append(params)
        key = (passphrase, salt, params)
        if key not in MEMO:
            MEMO[key] = REAL(passphrase, salt, params)
        return MEMO[key]

    monkeypatch.setattr(kdf, "argon2id", remembered)
    return reached


REAL = kdf.argon2id
MEMO: dict[tuple[bytes, bytes, KdfParams], bytes] = {}


@pytest.mark.parametrize("secret", [PASSPHRASE, Words(to_words(ENTROPY)), BY_DEVICE])
def test_each_secret_opens_the_ring(secret: Passphrase | Words | DevicePrivate) -> None:
    data, info = make()
    assert open_header(data, secret, 1) == (RING, info)
    assert peek(data) == info
    assert info.path == "h/00000001"


def test_a_wrong_secret_is_said_to_be_wrong() -> None:
    data, _ = make()
    stranger = DeviceKeys.create()
    for wrong in [
        Passphrase("incorrect horse"),
        Passphrase(""),
        Words(to_words(bytes(32))),
        Words("one two three"),
        DevicePrivate(stranger.id, stranger.exchange_private, RING),
    ]:
        with pytest.raises(WrongSecret):
            open_header(data, wrong)


def test_a_passphrase_is_the_same_however_its_accents_were_typed() -> None:
    data, _ = create_header(RING, Passphrase("caf\u00e9"), ENTROPY, DEVICE, CHEAP)
    assert open_header(data, Passphrase("cafe\u0301"))[0] == RING


def cheap_stand_in(data: bytes, monkeypatch: pytest.MonkeyPatch) -> list[KdfParams]:
    """Run the real KDF for the header's own salt and costs, a hash for any others.

    Any other salt or cost gives other bytes; which ones does not matter to the outcome, and so
    a flip of each of hundreds of bits takes seconds instead of minutes.
    """
    slot = next(s for s in peek(data).slots if s.kind is SlotKind.PASSPHRASE)
    reached: list[KdfParams] = []

    def stand_in(passphrase: bytes, salt: bytes, params: KdfParams) -> bytes:
        params.check()
        reached.append(params)
        if (salt, params) == (slot.salt, slot.params):
            key = (passphrase, salt, params)
            if key not in MEMO:
                MEMO[key] = REAL(*key)
            return MEMO[key]
        return hashlib.sha256(repr((salt, params)).encode()).digest()

    monkeypatch.setattr(kdf, "argon2id", stand_in)
    return reached


@pytest.mark.parametrize("secret", [PASSPHRASE, Words(to_words(ENTROPY)), BY_DEVICE])
def test_every_flipped_bit_of_the_header_is_noticed(
    secret: Passphrase | Words | DevicePrivate, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _ = make()
    reached = cheap_stand_in(data, monkeypatch)
    flip_every_bit(data, secret)
    for params in reached:
        params.check()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_flipped_bit_of_the_header_is_noticed_with_argon2id_throughout(
    remembered_kdf: list[KdfParams],
) -> None:
    data, info = make()
    salts = {slot.salt for slot in info.slots if slot.kind is SlotKind.PASSPHRASE}
    flip_every_bit(data, PASSPHRASE)
    assert len({salt for _, salt, _ in MEMO} - salts) >= 8 * len(salts.pop())
    for params in remembered_kdf:
        params.check()


def flip_every_bit(data: bytes, secret: Passphrase | Words | DevicePrivate) -> None:
    """Open a header with each of its bits flipped in turn; each is an error that names it."""
    outcomes: dict[type[TagfsError], int] = {}
    for bit in range(len(data) * 8):
        bad = bytearray(data)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(TagfsError) as caught:
            open_header(bytes(bad), secret, 1)
        kind = type(caught.value)
        assert kind in (WrongSecret, NotAVault, NewerVault, Integrity)
        if kind is Integrity:
            assert "header" in str(caught.value)
        outcomes[kind] = outcomes.get(kind, 0) + 1
    assert outcomes[NotAVault] >= 64
    assert outcomes[NewerVault] >= 1
    assert outcomes[Integrity] > 1000


def test_refused_costs_in_a_header_never_reach_the_kdf(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, info = make()
    too_dear = KdfParams(4 * 1024 * 1024, 3, 1)
    slots = tuple(replace(s, params=too_dear) if s.params else s for s in info.slots)
    forged = header._encode(
        RING, replace(info, slots=slots), counted_random("x"), recipients.seal_to
    )

    def never(**_: object) -> None:
        raise AssertionError("the KDF was reached")

    monkeypatch.setattr(kdf, "argon2id", REAL)
    monkeypatch.setattr(kdf, "Argon2id", never)
    with pytest.raises(Integrity, match="Argon2id costs"):
        open_header(forged, PASSPHRASE)


def test_every_truncation_and_addition_is_noticed() -> None:
    data, _ = make()
    for bad in [*(data[:n] for n in range(0, len(data), 7)), data[:-1], data + b"\0", b""]:
        with pytest.raises((NotAVault, Integrity)):
            open_header(bad, BY_DEVICE, 1)


@pytest.mark.parametrize("bad", [b"", b"tagfsH\r\n", b"\x89PNG\r\n\x1a\n" + bytes(500)])
def test_something_else_is_not_a_vault(bad: bytes) -> None:
    with pytest.raises(NotAVault):
        open_header(bad, BY_DEVICE)


def test_a_header_of_a_later_format_is_told_apart() -> None:
    data, _ = make()
    with pytest.raises(NewerVault, match="update"):
        open_header(data[:9] + b"\2" + data[10:], BY_DEVICE)


def test_a_header_under_the_name_of_another_generation_is_refused() -> None:
    data, _ = make()
    with pytest.raises(Integrity, match="h/00000002"):
        open_header(data, BY_DEVICE, 2)


def test_a_new_passphrase_shuts_the_old_one_out_and_keeps_the_words() -> None:
    _, info = make()
    data, after = next_header(RING, with_passphrase(RING, info, Passphrase("new"), CHEAP))
    assert after.generation == 2
    assert open_header(data, Passphrase("new"), 2)[0] == RING
    assert open_header(data, Words(to_words(ENTROPY)), 2)[0] == RING
    with pytest.raises(WrongSecret):
        open_header(data, PASSPHRASE, 2)


def test_new_words_shut_the_old_ones_out() -> None:
    _, info = make()
    data, _ = next_header(RING, with_words(RING, info, bytes(32)))
    assert open_header(data, Words(to_words(bytes(32))))[0] == RING
    assert open_header(data, PASSPHRASE)[0] == RING
    with pytest.raises(WrongSecret):
        open_header(data, Words(to_words(ENTROPY)))


@pytest.mark.parametrize("at_hand", [PASSPHRASE, Words(to_words(ENTROPY)), BY_DEVICE])
def test_a_rotation_with_any_one_secret_reaches_all_the_others(
    at_hand: Passphrase | Words | DevicePrivate,
) -> None:
    data, _ = make()
    known, info = open_header(data, at_hand)
    rotated = known.rotated()
    data, _ = next_header(rotated, info)
    for secret in (PASSPHRASE, Words(to_words(ENTROPY)), BY_DEVICE):
        opened, _ = open_header(data, secret, 2)
        assert opened == rotated
        assert opened.newest.number == 2
        assert opened.local_key() == RING.local_key()
        assert opened.object_key(1) == RING.object_key(1) != opened.object_key(2)
    third, _ = next_header(rotated.rotated(), info)
    assert open_header(third, PASSPHRASE)[0].newest.number == 3


def test_a_removed_device_learns_no_new_epoch() -> None:
    _, info = make()
    other = DeviceKeys.create(counted_random("other"))
    info = without_devices(with_device(info, other), [DEVICE.id])
    data, _ = next_header(RING.rotated(), info)
    with pytest.raises(WrongSecret, match="no longer"):
        open_header(data, BY_DEVICE)
    assert open_header(data, DevicePrivate(other.id, other.exchange_private, RING))


def forge(info: HeaderInfo, own: KeyRing) -> bytes:
    """What a provider can do: public keys stand in the header, so seal a ring of its own."""
    return next_header(own, info)[0]


def test_a_provider_cannot_put_a_ring_of_its_own_into_the_header() -> None:
    _, info = make()
    foreign = KeyRing(RING.vault, ring("the provider's").epochs, RING.content_key)
    for secret in (PASSPHRASE, Words(to_words(ENTROPY)), BY_DEVICE):
        with pytest.raises(Integrity, match="not authenticated by epoch 1"):
            open_header(forge(info, foreign), secret)


def test_a_ring_that_does_not_continue_the_known_one_is_refused() -> None:
    _, info = make()
    other = KeyRing(RING.vault, RING.epochs, bytes(32))
    with pytest.raises(Integrity, match="does not continue"):
        open_header(forge(info, other), BY_DEVICE)


def replace_in_body(data: bytes, change: Callable[[dict[int, object]], None]) -> bytes:
    length = int.from_bytes(data[10:14], "big")
    body = cbor.decode(data[14 : 14 + length])
    change(body)
    new = cbor.encode(body)
    return data[:10] + len(new).to_bytes(4, "big") + new + data[14 + length :]


def test_unknown_fields_and_slot_kinds_are_skipped_but_needed_features_are_not() -> None:
    data, info = make()

    def add(body: dict[int, object]) -> None:
        body[99] = "later"
        body[4].append({1: 7, 2: bytes(32), 3: bytes(16), 5: b"", 6: b""})

    later = peek(replace_in_body(data, add))
    assert later == info
    with pytest.raises(NewerVault, match="update"):
        next_header(RING, later)
    with pytest.raises(NewerVault):
        peek(replace_in_body(data, lambda body: body.update({7: [1]})))


@pytest.mark.parametrize(
    "change",
    [
        {4: [{}] * 9},
        {4: 5},
        {5: [{1: bytes(15)}]},
        {1: bytes(17)},
        {2: 0},
        {2: -1},
        {3: 2000},
        {6: "text"},
        {3: 2},
    ],
)
def test_fields_out_of_bounds_are_refused(change: dict[int, object]) -> None:
    data, _ = make()
    with pytest.raises(Integrity, match="header"):
        open_header(replace_in_body(data, lambda body: body.update(change)), BY_DEVICE)


def test_secrets_are_never_printed() -> None:
    _, info = make()
    text = repr((info, PASSPHRASE, Words("w"), BY_DEVICE, DEVICE))
    for secret in (b"correct", DEVICE.exchange_private, DEVICE.signing_seed, RING.newest.secret):
        assert repr(secret)[2:-1] not in text


def test_a_device_file_opens_with_its_ring_only() -> None:
    stored = DEVICE.seal(RING)
    assert DeviceKeys.open(RING, stored) == DEVICE
    assert DeviceKeys.open(RING.rotated(), stored) == DEVICE
    with pytest.raises(Integrity):
        DeviceKeys.open(ring("other"), stored)
    for bit in range(0, len(stored) * 8, 17):
        bad = bytearray(stored)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Integrity, match="device file"):
            DeviceKeys.open(RING, bytes(bad))
    assert DeviceId(DEVICE.id) not in stored
