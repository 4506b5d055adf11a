"""Chunked sealing of one message: random access, a commitment, a marked last chunk.

The shape is C2SP chunked-encryption (https://c2sp.org/chunked-encryption) with SHA-256 and
AEAD_AES_256_GCM. Three things differ, so the derivation has a label of its own: chunks have
128 KiB, the last chunk may be whole and is marked by a flag, and the additional data of each
chunk repeats the context, the counter and that flag.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Callable
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tagfs.crypto.kdf import expand
from tagfs.errors import Integrity
from tagfs.model import CHUNK

TAG = 16
"""Bytes that sealing adds to a chunk."""
SALT = 24
COMMITMENT = 32
MAX_COUNTER = 2**32
"""Chunks in one message, at most."""

Buffer = bytes | bytearray | memoryview

observe: Callable[[bytes, bytes], None] | None = None
"""Called with (key, nonce) before each sealing when a test sets it; None otherwise."""


class StreamKeys:
    """The keys of one message. Never printed, never compared; a (key, counter) seals once."""

    __slots__ = ("_aead", "_base", "_context", "_key", "commitment")

    def __init__(self, key: bytes, base_nonce: bytes, commitment: bytes, context: bytes) -> None:
        self._key = key
        self._aead = AESGCM(key)
        self._base = int.from_bytes(base_nonce, "big")
        self._context = context
        self.commitment = commitment

    @classmethod
    def derive(cls, input_key: bytes, salt: bytes, context: bytes) -> Self:
        """Derive key (32) ‖ base nonce (12) ‖ commitment (32) from a uniformly random key.

        ``salt`` has 24 bytes and is never used twice with one input key; ``context`` says
        what is sealed and stands in every chunk's additional data too.
        """
        if len(salt) != SALT:
            raise ValueError("a stream salt has 24 bytes")
        okm = expand(input_key, "chunked AEAD_AES_256_GCM", salt + context, 32 + 12 + COMMITMENT)
        return cls(okm[:32], okm[32:44], okm[44:], context)

    def commits_to(self, commitment: bytes) -> bool:
        """Tell in constant time whether the stored commitment is that of these keys."""
        return hmac.compare_digest(self.commitment, commitment)

    def seal_into(
        self, counter: int, last: bool, plaintext: Buffer, out: bytearray | memoryview
    ) -> None:
        """Seal one chunk of at most 128 KiB into ``out``, which has exactly 16 bytes more."""
        nonce, data = self._bind(counter, last)
        if len(plaintext) > CHUNK:
            raise ValueError("a chunk has at most 128 KiB")
        if observe is not None:
            observe(self._key, nonce)
        self._aead.encrypt_into(nonce, plaintext, data, out)

    def open_into(
        self, counter: int, last: bool, sealed: Buffer, out: bytearray | memoryview
    ) -> None:
        """Open one chunk into ``out``, which has exactly 16 bytes less.

        Raises Integrity when the chunk does not verify; ``out`` is zeroed then, because
        decryption in place has already put unverified bytes there.
        """
        nonce, data = self._bind(counter, last)
        if not TAG <= len(sealed) <= CHUNK + TAG:
            raise Integrity(f"Sealed chunk {counter} has an impossible length.")
        try:
            self._aead.decrypt_into(nonce, sealed, data, out)
        except InvalidTag:
            out[:] = bytes(len(out))
            raise Integrity(f"Sealed chunk {counter} does not verify.") from None

    def seal(self, counter: int, last: bool, plaintext: Buffer) -> bytearray:
        """Seal one chunk into a new buffer."""
        out = bytearray(len(plaintext) + TAG)
        self.seal_into(counter, last, plaintext, out)
        return out

    def open(self, counter: int, last: bool, sealed: Buffer) -> bytearray:
        """Open one chunk into a new buffer; raises Integrity."""
        out = bytearray(max(len(sealed) - TAG, 0))
        self.open_into(counter, last, sealed, out)
        return out

    def _bind(self, counter: int, last: bool) -> tuple[bytes, bytes]:
        if not 0 <= counter < MAX_COUNTER:
            raise ValueError("chunk counter out of range")
        nonce = (self._base ^ counter).to_bytes(12, "big")
        return nonce, self._context + struct.pack(">QB", counter, last)


def sealed_size(plain: int) -> int:
    """Return the bytes of all sealed chunks of ``plain`` bytes; there is always one chunk."""
    return plain + TAG * chunk_count(plain)


def chunk_count(plain: int) -> int:
    """Return into how many chunks ``plain`` bytes are cut; an empty message has one."""
    return max(1, -(-plain // CHUNK))


def plain_size(sealed: int) -> int:
    """Return the inverse of sealed_size; raises Integrity for a length no message has."""
    chunks = -(-sealed // (CHUNK + TAG))
    plain = sealed - TAG * chunks
    if plain < 0 or chunks < 1 or sealed_size(plain) != sealed:
        raise Integrity(f"{sealed} bytes cannot be a sequence of sealed chunks.")
    return plain
