"""Recovery words survive how people type; a passphrase is never called stronger than it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.errors import WrongSecret
from tagfs.vault.words import (
    ENOUGH_BITS,
    from_words,
    offer_passphrase,
    strength_bits,
    to_words,
)


@given(st.binary(min_size=32, max_size=32))
def test_words_carry_every_bit(entropy: bytes) -> None:
    words = to_words(entropy)
    assert len(words.split()) == 24
    assert from_words(words) == entropy


def test_case_spacing_and_cut_words_do_not_matter() -> None:
    words = to_words(bytes(range(32)))
    assert from_words("  " + words.upper().replace(" ", "\n\t") + " ") == bytes(range(32))
    assert from_words(" ".join(w[:4] for w in words.split())) == bytes(range(32))


def test_a_wrong_word_is_told_by_its_place_and_never_repeated() -> None:
    words = to_words(bytes(32)).split()
    words[4] = "zzzzsecret"
    with pytest.raises(WrongSecret, match="number 5") as caught:
        from_words(" ".join(words))
    assert "zzzz" not in str(caught.value)
    with pytest.raises(WrongSecret, match="24"):
        from_words("abandon")
    with pytest.raises(WrongSecret, match="fit together"):
        from_words("abandon " * 24)


def test_offered_passphrases_are_six_words_and_strong_enough() -> None:
    offered = offer_passphrase()
    assert len(offered.split()) == 6
    assert offer_passphrase(lambda n: 0) == " ".join(["abandon"] * 6)
    different = iter(range(0, 600, 100))
    assert strength_bits(offer_passphrase(lambda n: next(different))) == pytest.approx(66)


@pytest.mark.parametrize(
    "weak", ["", "password", "aaaaaaaaaaaaaaaaaaaaaaaa", "123456789012345", "Sommer2024!", "qwertz"]
)
def test_weak_passphrases_are_called_weak(weak: str) -> None:
    assert strength_bits(weak) < ENOUGH_BITS


def test_long_sentences_are_accepted() -> None:
    assert strength_bits("my dog ate 3 socks on Tuesday and regretted it") >= ENOUGH_BITS
