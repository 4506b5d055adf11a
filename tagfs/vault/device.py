"""Device keys and their certificates.

A device signs its journal segments with Ed25519 and receives new epochs by X25519. The vault's
signing key of an epoch certifies both, so that nobody without that epoch's ring can add one.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tagfs.crypto.recipients import public_of
from tagfs.errors import Integrity
from tagfs.model import DeviceId
from tagfs.vault import cbor
from tagfs.vault.keys import KeyRing
from tagfs.vault.layout import KIND_CERTIFICATE, KIND_DEVICE_FILE, certificate_path
from tagfs.vault.messages import open_local, open_message, seal_local, seal_message

MAX_CERTIFICATE = 4096
"""Stored bytes of a certificate, at most."""
MAX_LABEL = 64
"""UTF-8 bytes of a device's label, at most."""


@dataclass(frozen=True, slots=True)
class DeviceKeys:
    """The private keys of this installation."""

    id: DeviceId
    signing_seed: bytes = field(repr=False)  # 32 bytes, Ed25519
    exchange_private: bytes = field(repr=False)  # 32 bytes, X25519

    @classmethod
    def create(cls, random: Callable[[int], bytes] = secrets.token_bytes) -> Self:
        """Draw the keys of a new device."""
        return cls(DeviceId(random(16)), random(32), random(32))

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature."""
        return Ed25519PrivateKey.from_private_bytes(self.signing_seed).sign(message)

    @property
    def signing_public(self) -> bytes:
        """The 32-byte Ed25519 public key."""
        key = Ed25519PrivateKey.from_private_bytes(self.signing_seed).public_key()
        return key.public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def exchange_public(self) -> bytes:
        """The 32-byte X25519 public key."""
        return public_of(self.exchange_private)

    def seal(self, ring: KeyRing, random: Callable[[int], bytes] = secrets.token_bytes) -> bytes:
        """Return the bytes of the file that keeps the keys in the state directory."""
        payload = cbor.encode({1: self.id, 2: self.signing_seed, 3: self.exchange_private})
        return seal_local(ring, KIND_DEVICE_FILE, payload, random)

    @classmethod
    def open(cls, ring: KeyRing, stored: bytes) -> Self:
        """Read the file; raises Integrity."""
        payload = open_local(ring, KIND_DEVICE_FILE, stored, "The device file")
        try:
            fields = cbor.Fields(cbor.decode(payload))
            return cls(DeviceId(fields.bytes(1, 16)), fields.bytes(2, 32), fields.bytes(3, 32))
        except cbor.Malformed as e:
            raise Integrity(f"The device file is malformed: {e}.") from None


@dataclass(frozen=True, slots=True)
class Certificate:
    """Public keys of a device, as the vault certified them in one epoch."""

    device: DeviceId
    signing_public: bytes  # 32 bytes, Ed25519
    exchange_public: bytes  # 32 bytes, X25519
    epoch: int
    created_ms: int  # milliseconds since 1970, by the clock of whoever certified
    label: str  # what the user calls the machine; may be empty

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the device signed this message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.signing_public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


def certificate_name(ring: KeyRing, device: DeviceId, epoch: int) -> bytes:
    """Return the 16-byte keyed name: only who has the ring can tell whose certificate it is.

    Keyed by the epoch itself, so that of two rotations at once the one that loses leaves nothing
    under the names of the other.
    """
    return hmac.digest(ring.certificate_key(epoch), device, "sha256")[:16]


def certify(
    ring: KeyRing,
    keys: DeviceKeys | Certificate,
    created_ms: int | None,
    label: str = "",
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[str, bytes]:
    """Certify a device under the newest epoch; return (remote name, stored bytes).

    A rotation certifies the devices that stay again, from their earlier certificates.
    ``created_ms`` None is now.
    """
    if created_ms is None:
        created_ms = time.time_ns() // 1_000_000
    device = keys.device if isinstance(keys, Certificate) else keys.id
    epoch = ring.newest
    body = cbor.encode(
        {
            1: device,
            2: keys.signing_public,
            3: keys.exchange_public,
            4: epoch.number,
            5: created_ms,
            6: _fitting(label),
        }
    )
    signature = epoch.signer().sign(_signed(ring, body))
    name = certificate_name(ring, device, epoch.number)
    stored = seal_message(ring, KIND_CERTIFICATE, name, signature + body, random)
    return certificate_path(name), stored


def open_certificate(ring: KeyRing, device: DeviceId, epoch: int, stored: bytes) -> Certificate:
    """Read the certificate of a device in an epoch; raises Integrity naming the device."""
    what = f"The certificate of device {device.hex()}"
    name = certificate_name(ring, device, epoch)
    sealed_in, payload = open_message(ring, KIND_CERTIFICATE, name, stored, MAX_CERTIFICATE, what)
    signature, body = payload[:64], payload[64:]
    try:
        Ed25519PublicKey.from_public_bytes(ring.epoch(epoch).signer_public()).verify(
            signature, _signed(ring, body)
        )
    except InvalidSignature:
        raise Integrity(f"{what} is not signed by the vault.") from None
    try:
        fields = cbor.Fields(cbor.decode(body))
        certificate = Certificate(
            DeviceId(fields.bytes(1, 16)),
            fields.bytes(2, 32),
            fields.bytes(3, 32),
            fields.number(4, 2**32),
            fields.number(5, 2**63),
            fields.text(6, MAX_LABEL),
        )
    except cbor.Malformed as e:
        raise Integrity(f"{what} is malformed: {e}.") from None
    if (certificate.device, certificate.epoch, sealed_in) != (device, epoch, epoch):
        raise Integrity(f"{what} is that of another device or epoch.")
    return certificate


def _signed(ring: KeyRing, body: bytes) -> bytes:
    return b"tagfs/1 certificate\0" + ring.vault + body


def _fitting(label: str) -> str:
    """Cut a label to its limit without breaking a character."""
    return label.encode()[:MAX_LABEL].decode(errors="ignore")
