"""Key derivation: HKDF-SHA-256 sub-keys by label, Argon2id for passphrases.

Every key in tagfs comes from one of the two functions here; docs/format.md lists the labels.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from tagfs.errors import Integrity, TagfsError

SALT = 16
"""Bytes in an Argon2id salt."""


def derive(secret: bytes, label: str, context: bytes = b"", length: int = 32) -> bytes:
    """Return ``length`` bytes of HKDF-SHA-256 (RFC 5869, empty salt) of a secret.

    The info is ``"tagfs/1 " + label + 0x00 + context``; labels are ASCII without NUL, so that
    no two (label, context) pairs share an info.
    """
    return HKDF(SHA256(), length, None, _info(label, context)).derive(secret)


def expand(key: bytes, label: str, context: bytes, length: int) -> bytes:
    """Return ``length`` bytes of HKDF-Expand of a key that is uniformly random already."""
    return HKDFExpand(SHA256(), length, _info(label, context)).derive(key)


def _info(label: str, context: bytes) -> bytes:
    if "\0" in label:
        raise ValueError("a label has no NUL")
    return b"tagfs/1 " + label.encode("ascii") + b"\0" + context


@dataclass(frozen=True, slots=True)
class KdfParams:
    """Argon2id cost: memory in KiB, passes, lanes. The default takes about a second."""

    memory_kib: int = 256 * 1024
    time: int = 4
    lanes: int = 4

    def check(self) -> None:
        """Raise Integrity when format 1 forbids these costs.

        Too cheap would let a hostile store weaken a passphrase, too dear would let it exhaust
        the machine, so this runs before any work is done.
        """
        enough = self.memory_kib >= MINIMUM.memory_kib and self.time >= MINIMUM.time
        bearable = (
            self.memory_kib <= MAXIMUM.memory_kib
            and self.time <= MAXIMUM.time
            and self.lanes <= MAXIMUM.lanes
        )
        if not (enough and bearable and self.lanes >= 1):
            raise Integrity(
                "The vault header asks for Argon2id costs that tagfs refuses "
                f"({self.memory_kib} KiB, {self.time} passes, {self.lanes} lanes); "
                "it was damaged or tampered with."
            )


MINIMUM = KdfParams(64 * 1024, 3, 1)
"""The cheapest costs that are accepted."""
MAXIMUM = KdfParams(2 * 1024 * 1024, 16, 16)
"""The dearest costs that are accepted."""


def argon2id(passphrase: bytes, salt: bytes, params: KdfParams) -> bytes:
    """Return the 32-byte Argon2id (RFC 9106, version 0x13) hash; checks ``params`` first."""
    params.check()
    if len(salt) != SALT:
        raise ValueError("an Argon2id salt has 16 bytes")
    kdf = Argon2id(
        salt=salt,
        length=32,
        iterations=params.time,
        lanes=params.lanes,
        memory_cost=params.memory_kib,
    )
    try:
        return kdf.derive(passphrase)
    except MemoryError:
        raise TagfsError(
            f"Unlocking needs {params.memory_kib // 1024} MiB of memory for a moment, which this "
            "machine does not have free; close other programs and try again."
        ) from None
