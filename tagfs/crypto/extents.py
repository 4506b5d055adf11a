"""Sealing of extents that come in any order: one random key, a random nonce for each.

For bytes that are rewritten in place (pipeline/scratch.py), where no counter survives a crash
for certain. Two of 2^32 random 96-bit nonces meet with probability 2^-33 (NIST SP 800-38D,
8.3), so a key seals at most that many.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tagfs.crypto import chunked
from tagfs.crypto.chunked import TAG, Buffer
from tagfs.errors import Integrity

NONCE = 12
OVERHEAD = NONCE + TAG
"""Bytes that sealing adds to an extent."""


class ExtentSealer:
    """One 32-byte key that seals this one kind of thing. ``sealed = nonce ‖ ciphertext ‖ tag``."""

    __slots__ = ("_aead", "_key")

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise ValueError("an extent key has 32 bytes")
        self._key = key
        self._aead = AESGCM(key)

    def seal_into(self, plain: Buffer, data: bytes, out: memoryview) -> None:
        """Seal ``plain``, bound to ``data``, into ``out``, which has OVERHEAD bytes more."""
        nonce = secrets.token_bytes(NONCE)
        if chunked.observe is not None:
            chunked.observe(self._key, nonce)
        out[:NONCE] = nonce
        self._aead.encrypt_into(nonce, plain, data, out[NONCE:])

    def open_into(self, sealed: memoryview, data: bytes, out: memoryview) -> None:
        """Open into ``out``, which has OVERHEAD bytes less.

        Raises Integrity when the extent does not verify; ``out`` is zeroed then.
        """
        if len(sealed) < OVERHEAD or len(out) != len(sealed) - OVERHEAD:
            raise Integrity("A sealed extent has an impossible length.")
        try:
            self._aead.decrypt_into(bytes(sealed[:NONCE]), sealed[NONCE:], data, out)
        except InvalidTag:
            out[:] = bytes(len(out))
            raise Integrity("A sealed extent does not verify.") from None

    def seal(self, plain: Buffer, data: bytes) -> bytes:
        """Seal into a new buffer."""
        out = bytearray(len(plain) + OVERHEAD)
        self.seal_into(plain, data, memoryview(out))
        return bytes(out)

    def open(self, sealed: Buffer, data: bytes) -> bytes:
        """Open into a new buffer; raises Integrity."""
        out = bytearray(max(len(sealed) - OVERHEAD, 0))
        self.open_into(memoryview(sealed), data, memoryview(out))
        return bytes(out)
