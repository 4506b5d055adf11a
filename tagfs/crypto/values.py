"""Sealing of many small values under one key with a counted nonce.

A writer draws a fresh (number, salt) pair whenever it begins, so that no key is ever used with
a counter it has seen before, whatever was lost in a crash.
"""

from __future__ import annotations

import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tagfs.crypto import chunked
from tagfs.crypto.chunked import TAG, Buffer
from tagfs.crypto.kdf import derive
from tagfs.errors import Integrity

MAX_USES = 2**30
"""Values sealed under one key, at most: far below the 2^32 that GCM allows."""
OVERHEAD = 4 + 8 + TAG
"""Bytes that sealing adds to a value."""
_HEAD = struct.Struct(">IQ")


class ValueSealer:
    """One key, one counter. ``sealed = number u32 ‖ counter u64 ‖ ciphertext ‖ tag``."""

    __slots__ = ("_aead", "_key", "_next", "number")

    def __init__(self, secret: bytes, number: int, salt: bytes) -> None:
        """Derive the key for the pair (number, salt); salt has 16 random bytes.

        The same pair opens what was sealed under it; sealing again under a pair that another
        process used is forbidden, so draw a new salt to seal and use the old ones to open.
        """
        if len(salt) != 16 or not 0 <= number < 2**32:
            raise ValueError("a value key has a u32 number and a 16-byte salt")
        self._key = derive(secret, "value", struct.pack(">I", number) + salt)
        self._aead = AESGCM(self._key)
        self._next = 0
        self.number = number

    @property
    def uses(self) -> int:
        """How many values were sealed."""
        return self._next

    def seal(self, value: Buffer, data: bytes) -> bytes:
        """Seal a value, bound to ``data``; raises OverflowError after 2^30 values."""
        counter = self._next
        if counter >= MAX_USES:
            raise OverflowError("this value key is used up: draw a new one")
        self._next += 1
        nonce = struct.pack(">IQ", 0, counter)
        if chunked.observe is not None:
            chunked.observe(self._key, nonce)
        out = bytearray(_HEAD.size + len(value) + TAG)
        _HEAD.pack_into(out, 0, self.number, counter)
        self._aead.encrypt_into(nonce, value, data, memoryview(out)[_HEAD.size :])
        return bytes(out)

    def open(self, sealed: Buffer, data: bytes) -> bytes:
        """Open what seal() returned for the same ``data``; raises Integrity."""
        if len(sealed) < OVERHEAD or number_of(sealed) != self.number:
            raise Integrity("A sealed value is malformed or belongs to another key.")
        counter = _HEAD.unpack_from(sealed)[1]
        nonce = struct.pack(">IQ", 0, counter)
        try:
            return self._aead.decrypt(nonce, memoryview(sealed)[_HEAD.size :], data)
        except InvalidTag:
            raise Integrity("A sealed value does not verify.") from None


def number_of(sealed: Buffer) -> int:
    """Return the number of the key that sealed a value; raises Integrity when it is too short."""
    if len(sealed) < OVERHEAD:
        raise Integrity("A sealed value is too short.")
    return int(_HEAD.unpack_from(sealed)[0])
