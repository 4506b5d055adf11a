"""Sealing to a public key: HPKE (RFC 9180), base mode, X25519, HKDF-SHA-256, AES-256-GCM.

Anybody can seal to a public key, so what is inside must be authenticated by other means.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tagfs.errors import Integrity

OVERHEAD = 32 + 16
"""Bytes that sealing adds: the encapsulated key before, the tag behind."""
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def public_of(private: bytes) -> bytes:
    """Return the 32-byte X25519 public key of a 32-byte private key."""
    key = X25519PrivateKey.from_private_bytes(private)
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def seal_to(public: bytes, plaintext: bytes, info: bytes) -> bytes:
    """Return ``enc 32 ‖ ciphertext ‖ tag`` for the holder of the private key."""
    return _SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public), info)


def open_with(private: bytes, sealed: bytes, info: bytes) -> bytes:
    """Open what seal_to made for the same info; raises Integrity."""
    try:
        return _SUITE.decrypt(sealed, X25519PrivateKey.from_private_bytes(private), info)
    except (InvalidTag, ValueError):
        raise Integrity("A sealed key does not verify.") from None
