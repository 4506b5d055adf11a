"""Recovery words, offered passphrases, and a guess at how strong a passphrase is.

24 English words carry 256 random bits and an 8-bit checksum as BIP-39 lays down; they are the
secret itself and not a seed phrase of a wallet (no PBKDF2 is run on them).
"""

from __future__ import annotations

import math
import secrets
import unicodedata
from collections.abc import Callable

from mnemonic import Mnemonic

from tagfs.errors import WrongSecret

WORDS = 24
ENOUGH_BITS = 50
"""A passphrase estimated below this is warned about: a second of Argon2id buys 20 bits more."""

_BOOK = Mnemonic("english")


def new_entropy(random: Callable[[int], bytes] = secrets.token_bytes) -> bytes:
    """Return the 32 random bytes behind new recovery words."""
    return random(32)


def to_words(entropy: bytes) -> str:
    """Return the 24 words of 32 bytes, separated by spaces."""
    if len(entropy) != 32:
        raise ValueError("recovery words carry 32 bytes")
    return str(_BOOK.to_mnemonic(entropy))


def from_words(words: str) -> bytes:
    """Return the 32 bytes behind 24 words, whatever case and spacing they were typed in.

    The first four letters of a word are enough. Raises WrongSecret that says which word is
    unknown, or that the checksum does not fit; never repeats the words.
    """
    typed = unicodedata.normalize("NFKD", words).casefold().split()
    if len(typed) != WORDS:
        raise WrongSecret(f"Recovery words are {WORDS}; {len(typed)} were given.")
    found = []
    for place, word in enumerate(typed, 1):
        full = _whole(word)
        if full is None:
            raise WrongSecret(f"Recovery word number {place} is not one of the list; check it.")
        found.append(full)
    text = " ".join(found)
    if not _BOOK.check(text):
        raise WrongSecret("The recovery words do not fit together: one is wrong or misplaced.")
    return bytes(_BOOK.to_entropy(text))


def _whole(word: str) -> str | None:
    if word in _BOOK.wordlist:
        return word
    if len(word) < 4:
        return None
    return next((w for w in _BOOK.wordlist if w[:4] == word[:4] and w.startswith(word)), None)


def offer_passphrase(choose: Callable[[int], int] = secrets.randbelow) -> str:
    """Return six random words (66 bits), a passphrase that can be remembered."""
    return " ".join(_BOOK.wordlist[choose(len(_BOOK.wordlist))] for _ in range(6))


def strength_bits(passphrase: str) -> float:
    """Return a guess at the entropy, meant to be too low rather than too high.

    Words of the list count 11 bits, other runs of letters 2 bits a character as in written
    text (Shannon 1951 gives 1 to 1.5 for English; names and leetspeak are as guessable), other
    characters 5; whatever repeats the character or the word before it, or counts on from it,
    counts nothing.
    """
    bits = 0.0
    seen: set[str] = set()
    for token in unicodedata.normalize("NFC", passphrase).split():
        key = token.casefold()
        if key not in seen:
            bits += math.log2(len(_BOOK.wordlist)) if key in _BOOK.wordlist else _token(token)
        seen.add(key)
    return bits


def _token(token: str) -> float:
    bits, before = 0.0, ""
    for character in token:
        step = abs(ord(character) - ord(before)) if before else 2
        if step > 1:
            bits += 2 if character.isalpha() else 5 if not character.isdigit() else 3
        before = character
    return bits
