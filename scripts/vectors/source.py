"""What all vectors are made from: fixed randomness, fixed secrets, fixed HPKE."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tagfs.crypto.kdf import KdfParams
from tagfs.crypto.recipients import public_of
from tagfs.vault.keys import KeyRing

CHEAP = KdfParams(64 * 1024, 3, 1)
PASSPHRASE = "correct horse bättery"
ENTROPY = bytes(range(32))
NOW_MS = 1_764_000_000_000


def counted(seed: str) -> Callable[[int], bytes]:
    """Return a source that gives SHAKE-256("tagfs vector " + seed + " " + call number)."""
    calls = 0

    def random(n: int) -> bytes:
        nonlocal calls
        calls += 1
        return hashlib.shake_256(f"tagfs vector {seed} {calls}".encode()).digest(n)

    return random


def b64(data: bytes | bytearray) -> str:
    """Return base64 text."""
    return base64.b64encode(data).decode()


def pattern(size: int, seed: str = "") -> bytes:
    """Return the content of vectors: SHAKE-256 of "tagfs content " + seed, ``size`` bytes."""
    return hashlib.shake_256(b"tagfs content " + seed.encode()).digest(size)


class FixedHpke:
    """RFC 9180 base mode with ephemeral keys from a fixed source, for vectors only."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random

    def __call__(self, public: bytes, plaintext: bytes, info: bytes) -> bytes:
        """Seal, as tagfs.crypto.recipients.seal_to does with random keys."""
        private = self._random(32)
        enc = public_of(private)
        dh = X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(public)
        )
        kem = b"KEM" + struct.pack(">H", 0x20)
        prk = _labeled_extract(kem, b"", b"eae_prk", dh)
        shared = _labeled_expand(kem, prk, b"shared_secret", enc + public, 32)
        suite = b"HPKE" + struct.pack(">HHH", 0x20, 1, 2)
        psk_id = _labeled_extract(suite, b"", b"psk_id_hash", b"")
        info_hash = _labeled_extract(suite, b"", b"info_hash", info)
        schedule = b"\0" + psk_id + info_hash
        secret = _labeled_extract(suite, shared, b"secret", b"")
        key = _labeled_expand(suite, secret, b"key", schedule, 32)
        nonce = _labeled_expand(suite, secret, b"base_nonce", schedule, 12)
        return enc + AESGCM(key).encrypt(nonce, plaintext, b"")


def _labeled_extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")


def _labeled_expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    labeled = struct.pack(">H", length) + b"HPKE-v1" + suite + label + info
    out, block = b"", b""
    while len(out) < length:
        block = hmac.digest(prk, block + labeled + bytes([len(out) // 32 + 1]), "sha256")
        out += block
    return out[:length]


def the_ring() -> KeyRing:
    """Return the ring of every vector: two epochs."""
    random = counted("ring")
    return KeyRing.create(random).rotated(random)


def first_epoch(ring: KeyRing) -> KeyRing:
    """Return the ring as it was before the rotation."""
    return KeyRing(ring.vault, ring.epochs[:1], ring.content_key)


def ring_json(ring: KeyRing) -> dict[str, Any]:
    """Return the ring in the clear."""
    return {
        "vault": ring.vault.hex(),
        "content_key": ring.content_key.hex(),
        "epochs": [
            {"number": e.number, "secret": e.secret.hex(), "signing_seed": e.signing_seed.hex()}
            for e in ring.epochs
        ],
    }
