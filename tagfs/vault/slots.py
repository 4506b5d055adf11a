"""Slots: X25519 key pairs whose private half a passphrase or the recovery words unwrap.

The key ring is sealed to the public half, so that whoever holds any one secret can seal a new
ring to all the others. Anybody can seal to a public key, the provider too: so a slot also keeps,
wrapped beside its private half, the key that authenticated headers when the slot was made, and
every later header carries a MAC under that key.
"""

from __future__ import annotations

import enum
import secrets
import struct
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tagfs.crypto import kdf
from tagfs.crypto.kdf import KdfParams, derive
from tagfs.crypto.recipients import public_of
from tagfs.errors import WrongSecret
from tagfs.model import DeviceId
from tagfs.vault.keys import KeyRing
from tagfs.vault.words import from_words

WRAPPED = 32 + 4 + 32 + 16
"""Bytes of what a slot wraps: private key, epoch, that epoch's header key, tag."""


class SlotKind(enum.IntEnum):
    """What unwraps a slot."""

    PASSPHRASE = 1
    WORDS = 2


@dataclass(frozen=True, slots=True)
class Passphrase:
    """What the user typed."""

    text: str = field(repr=False)

    def encode(self) -> bytes:
        """Return the bytes that Argon2id is run on: NFC, UTF-8."""
        return unicodedata.normalize("NFC", self.text).encode()


@dataclass(frozen=True, slots=True)
class Words:
    """24 recovery words, as typed."""

    text: str = field(repr=False)

    def entropy(self) -> bytes:
        """Return the 32 bytes; raises WrongSecret for what are no recovery words."""
        return from_words(self.text)


@dataclass(frozen=True, slots=True)
class DevicePrivate:
    """The X25519 key of a device that the ring is sealed to, and the ring that it knew before.

    A header is accepted from it only when its ring continues the known one.
    """

    device: DeviceId
    private: bytes = field(repr=False)
    known: KeyRing


Secret = Passphrase | Words | DevicePrivate


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot of a header, without the ring key that is sealed to it."""

    kind: SlotKind
    public: bytes  # 32 bytes, X25519
    salt: bytes  # 16 bytes; of Argon2id for a passphrase
    params: KdfParams | None  # of a passphrase, None for words
    wrapped: bytes  # private half, epoch and header key; 84 bytes


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """What a secret gets out of its slot."""

    private: bytes = field(repr=False)
    epoch: int  # in which the slot was made
    header_key: bytes = field(repr=False)  # of that epoch


def new_slot(
    ring: KeyRing,
    secret: Passphrase | Words,
    params: KdfParams,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> Slot:
    """Make a slot that ``secret`` opens. Takes as long as Argon2id does with ``params``."""
    private, salt = random(32), random(kdf.SALT)
    if isinstance(secret, Passphrase):
        slot = Slot(SlotKind.PASSPHRASE, public_of(private), salt, params, b"")
    else:
        slot = Slot(SlotKind.WORDS, public_of(private), salt, None, b"")
    plain = private + struct.pack(">I", ring.newest.number) + ring.header_key(ring.newest.number)
    # The key is fresh with its salt, so the nonce may be fixed.
    wrapped = AESGCM(_wrapping_key(ring.vault, slot, secret)).encrypt(
        bytes(12), plain, _bound(ring.vault, slot)
    )
    return replace(slot, wrapped=wrapped)


def unwrap(vault: bytes, slot: Slot, secret: Passphrase | Words) -> Unwrapped:
    """Return what the slot wraps.

    Raises WrongSecret when the secret is not the slot's, or the slot was tampered with: the two
    cannot be told apart. Raises Integrity for Argon2id costs that are refused.
    """
    if slot.params is not None:
        slot.params.check()
    key = _wrapping_key(vault, slot, secret)
    try:
        plain = AESGCM(key).decrypt(bytes(12), slot.wrapped, _bound(vault, slot))
    except InvalidTag:
        raise WrongSecret("This does not open the vault.") from None
    private, epoch, header_key = struct.unpack(">32sI32s", plain)
    if public_of(private) != slot.public:
        raise WrongSecret("This does not open the vault.")
    return Unwrapped(private, epoch, header_key)


def opens(kind: SlotKind, secret: Passphrase | Words) -> bool:
    """Whether a secret of this type belongs to slots of this kind."""
    return (kind is SlotKind.PASSPHRASE) == isinstance(secret, Passphrase)


def _wrapping_key(vault: bytes, slot: Slot, secret: Passphrase | Words) -> bytes:
    if isinstance(secret, Passphrase):
        assert slot.params is not None
        stretched = kdf.argon2id(secret.encode(), slot.salt, slot.params)
        return derive(stretched, "slot passphrase", vault)
    return derive(secret.entropy(), "slot words", vault + slot.salt)


def _bound(vault: bytes, slot: Slot) -> bytes:
    params = slot.params or KdfParams(0, 0, 0)
    costs = struct.pack(">III", params.memory_kib, params.time, params.lanes)
    head = b"tagfs/1 slot\0" + vault + bytes([slot.kind])
    return head + slot.public + slot.salt + costs
