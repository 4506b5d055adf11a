"""The key ring: what a secret opens, and every key that follows from it.

One epoch for each rotation; objects name the epoch that sealed them. The keys that must stay
the same for the life of the vault (content ids, segment names, the local state) come from the
content key or from the first epoch.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tagfs.crypto.kdf import derive
from tagfs.errors import Integrity

MAX_EPOCHS = 1024
"""Rotations in the life of one vault, at most."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One rotation: a secret for sealing and the vault's signing key of that time."""

    number: int
    secret: bytes = field(repr=False)  # 32 bytes
    signing_seed: bytes = field(repr=False)  # 32 bytes, Ed25519

    def signer(self) -> Ed25519PrivateKey:
        """Return the key that certifies devices in this epoch."""
        return Ed25519PrivateKey.from_private_bytes(self.signing_seed)

    def signer_public(self) -> bytes:
        """Return the 32-byte public half of the signing key."""
        return self.signer().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Everything a vault's secrets open. Epoch numbers are 1, 2, 3, … without gaps."""

    vault: bytes  # 16 random bytes: the vault's id
    epochs: tuple[Epoch, ...]
    content_key: bytes = field(repr=False)  # 32 bytes
    _cache: dict[tuple[str, int], bytes] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        numbers = [e.number for e in self.epochs]
        if not 1 <= len(numbers) <= MAX_EPOCHS or numbers != list(range(1, len(numbers) + 1)):
            raise Integrity("The key ring's epochs are not numbered 1, 2, 3, …")
        secret_lengths = {len(e.secret) for e in self.epochs}
        secret_lengths |= {len(e.signing_seed) for e in self.epochs} | {len(self.content_key)}
        if secret_lengths != {32} or len(self.vault) != 16:
            raise Integrity("The key ring holds a key of a wrong length.")

    @classmethod
    def create(cls, random: Callable[[int], bytes] = secrets.token_bytes) -> Self:
        """Draw the ring of a new vault."""
        return cls(random(16), (Epoch(1, random(32), random(32)),), random(32))

    def rotated(self, random: Callable[[int], bytes] = secrets.token_bytes) -> Self:
        """Return the ring with one more epoch; the earlier ones stay, to read what they sealed."""
        epoch = Epoch(self.newest.number + 1, random(32), random(32))
        return type(self)(self.vault, (*self.epochs, epoch), self.content_key)

    def continues(self, earlier: KeyRing) -> bool:
        """Whether this is the ring ``earlier``, perhaps with later epochs."""
        return (
            self.vault == earlier.vault
            and self.content_key == earlier.content_key
            and self.epochs[: len(earlier.epochs)] == earlier.epochs
        )

    @property
    def newest(self) -> Epoch:
        """The epoch that seals whatever is written now."""
        return self.epochs[-1]

    def epoch(self, number: int) -> Epoch:
        """Return an epoch; raises Integrity for one that this ring does not have."""
        if not 1 <= number <= len(self.epochs):
            raise Integrity(f"Something was sealed in epoch {number}, which this key ring lacks.")
        return self.epochs[number - 1]

    def object_key(self, epoch: int) -> bytes:
        """Return the input key of the parts that ``epoch`` sealed."""
        return self._of_epoch("object", epoch)

    def segment_key(self, epoch: int) -> bytes:
        """Return the input key of the journal segments and certificates of ``epoch``."""
        return self._of_epoch("segment", epoch)

    def header_key(self, epoch: int) -> bytes:
        """Return the key of the MAC that every header carries for ``epoch``."""
        return self._of_epoch("header", epoch)

    def certificate_key(self, epoch: int) -> bytes:
        """Return the key of the names of an epoch's certificates."""
        return self._of_epoch("certificate", epoch)

    def names_key(self) -> bytes:
        """Return the key of segment names, the same for the vault's life."""
        return self._for_life("names")

    def tag_key(self) -> bytes:
        """Return the key of tag ids made from names, the same for the vault's life."""
        return self._for_life("tag")

    def local_key(self) -> bytes:
        """Return the key above the state directory's files, the same for the vault's life."""
        return self._for_life("local")

    def catalog_key(self) -> bytes:
        """Return the key above the catalog, the same for the vault's life."""
        return self._for_life("catalog")

    def _of_epoch(self, label: str, number: int) -> bytes:
        key = self._cache.get((label, number))
        if key is None:
            key = derive(self.epoch(number).secret, label, self.vault)
            self._cache[label, number] = key
        return key

    def _for_life(self, label: str) -> bytes:
        return self._of_epoch(label, 1)
