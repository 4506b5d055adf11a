"""Key derivation, padding, chunks, content ids and small values behave as docs/format.md says."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.crypto import chunked, kdf
from tagfs.crypto.chunked import StreamKeys, chunk_count, plain_size, sealed_size
from tagfs.crypto.contentid import ContentHasher, content_id
from tagfs.crypto.kdf import KdfParams, argon2id, derive
from tagfs.crypto.padding import padme
from tagfs.crypto.values import ValueSealer, number_of
from tagfs.errors import Integrity
from tagfs.model import CHUNK


def hkdf_by_hand(secret: bytes, info: bytes, length: int) -> bytes:
    prk = hmac.digest(bytes(32), secret, "sha256")
    out, block, i = b"", b"", 1
    while len(out) < length:
        block = hmac.digest(prk, block + info + bytes([i]), "sha256")
        out, i = out + block, i + 1
    return out[:length]


def test_a_derived_key_is_hkdf_with_the_documented_info() -> None:
    expected = hkdf_by_hand(b"s" * 32, b"tagfs/1 label\0context", 50)
    assert derive(b"s" * 32, "label", b"context", 50) == expected


def test_label_and_context_cannot_be_shifted_into_each_other() -> None:
    assert derive(b"s", "a", b"b") != derive(b"s", "ab", b"")
    with pytest.raises(ValueError):
        derive(b"s", "a\0b")


@pytest.mark.parametrize(
    "params",
    [
        KdfParams(64 * 1024 - 1, 3, 1),
        KdfParams(64 * 1024, 2, 1),
        KdfParams(64 * 1024, 3, 0),
        KdfParams(2 * 1024 * 1024 + 1, 3, 4),
        KdfParams(64 * 1024, 17, 4),
        KdfParams(64 * 1024, 3, 17),
        KdfParams(-1, -1, -1),
    ],
)
def test_refused_costs_never_reach_the_kdf(
    params: KdfParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(**_: object) -> None:
        raise AssertionError("the KDF was reached")

    monkeypatch.setattr(kdf, "Argon2id", never)
    with pytest.raises(Integrity, match="Argon2id"):
        argon2id(b"p", bytes(16), params)


@given(st.integers(0, 2**40))
def test_padme_never_shortens_and_adds_at_most_twelve_percent(n: int) -> None:
    padded = padme(n)
    assert n <= padded <= n * 1.12 + 1
    assert padme(padded) == padded


def test_padme_agrees_with_values_worked_out_by_hand() -> None:
    # 1000 = 2^9.97: E = 9, S = 4, so the low 5 bits are cleared: 1024.
    assert [padme(n) for n in (0, 1, 2, 9, 100, 1000, 1025)] == [0, 1, 2, 10, 104, 1024, 1088]
    assert padme(32 * 1024 * 1024) == 32 * 1024 * 1024


def keys(context: bytes = b"context") -> StreamKeys:
    return StreamKeys.derive(b"k" * 32, b"n" * 24, context)


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1), st.booleans())
def test_what_was_sealed_opens_again(plain: bytes, counter: int, last: bool) -> None:
    sealed = keys().seal(counter, last, plain)
    assert keys().open(counter, last, sealed) == plain


def test_a_chunk_opens_only_at_its_place() -> None:
    sealed = keys().seal(1, False, b"plain")
    for other, counter, last in [(b"context", 2, False), (b"context", 1, True), (b"other", 1, 0)]:
        with pytest.raises(Integrity):
            keys(other).open(counter, bool(last), sealed)


def test_any_flipped_bit_or_cut_of_a_chunk_is_noticed() -> None:
    sealed = keys().seal(0, True, b"plain")
    for bit in range(len(sealed) * 8):
        bad = bytearray(sealed)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Integrity):
            keys().open(0, True, bad)
    for length in range(len(sealed)):
        with pytest.raises(Integrity):
            keys().open(0, True, sealed[:length])


def test_unverified_bytes_never_stay_in_the_callers_buffer() -> None:
    sealed = keys().seal(0, True, b"plain")
    sealed[0] ^= 1
    out = bytearray(5)
    with pytest.raises(Integrity):
        keys().open_into(0, True, sealed, out)
    assert out == bytes(5)


def test_the_observer_sees_every_key_and_nonce(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr(chunked, "observe", lambda key, nonce: seen.append((key, nonce)))
    keys().seal(0, False, b"a")
    keys().seal(1, True, b"b")
    ValueSealer(b"s" * 32, 1, bytes(16)).seal(b"v", b"")
    assert len(set(seen)) == 3


@given(st.integers(0, 2**30))
def test_sizes_of_sealed_messages_are_invertible(n: int) -> None:
    assert plain_size(sealed_size(n)) == n
    assert chunk_count(n) >= 1


@pytest.mark.parametrize("n", [0, 15, CHUNK + 16 + 1, CHUNK + 16 + 15, 2 * (CHUNK + 16) + 5])
def test_lengths_that_no_sealed_message_has_are_refused(n: int) -> None:
    with pytest.raises(Integrity):
        plain_size(n)


def test_the_keys_of_a_stream_are_not_printed() -> None:
    assert "k" * 5 not in repr(keys())


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7])
def test_a_content_id_is_the_hash_of_hashes_worked_out_by_hand(size: int) -> None:
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    inner, outer = derive(b"c" * 32, "content chunk"), derive(b"c" * 32, "content id")
    hashes = b"".join(
        hmac.digest(inner, i.to_bytes(8, "big") + data[i * CHUNK : (i + 1) * CHUNK], "sha256")
        for i in range(-(-size // CHUNK))
    )
    expected = hmac.digest(outer, hashes + size.to_bytes(8, "big"), "sha256")
    assert content_id(b"c" * 32, data) == expected
    assert expected != hashlib.sha256(data).digest()


def test_content_chunks_must_be_whole_but_for_the_last() -> None:
    hasher = ContentHasher(b"c" * 32)
    hasher.chunk(b"short")
    with pytest.raises(ValueError):
        hasher.chunk(b"more")


@given(st.binary(max_size=200), st.binary(max_size=20))
def test_a_value_opens_only_with_its_data_and_key(value: bytes, data: bytes) -> None:
    sealer = ValueSealer(b"s" * 32, 7, b"t" * 16)
    sealed = sealer.seal(value, data)
    assert number_of(sealed) == 7
    assert ValueSealer(b"s" * 32, 7, b"t" * 16).open(sealed, data) == value
    for other, wrong in [
        (ValueSealer(b"s" * 32, 7, b"u" * 16), data),
        (ValueSealer(b"s" * 32, 8, b"t" * 16), data),
        (sealer, data + b"x"),
    ]:
        with pytest.raises(Integrity):
            other.open(sealed, wrong)


def test_a_value_key_is_refused_when_used_up() -> None:
    sealer = ValueSealer(b"s" * 32, 7, b"t" * 16)
    sealer._next = 2**30 - 1
    sealer.seal(b"", b"")
    with pytest.raises(OverflowError):
        sealer.seal(b"", b"")


@pytest.mark.parametrize("length", [0, 3, 11, 27])
def test_a_cut_value_is_refused(length: int) -> None:
    sealer = ValueSealer(b"s" * 32, 0, bytes(16))
    with pytest.raises(Integrity):
        sealer.open(sealer.seal(b"", b"")[:length], b"")
