"""Journal segments: what one device did, sealed, signed, and chained to what it did before.

The name of a segment is a keyed function of (device, sequence), so that a reader probes for the
next one instead of trusting a listing. docs/format.md, Journal, is the exact description.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tagfs.errors import Integrity
from tagfs.model import DeviceId
from tagfs.vault import cbor
from tagfs.vault.device import Certificate, DeviceKeys
from tagfs.vault.keys import KeyRing
from tagfs.vault.layout import KIND_SEGMENT, segment_path
from tagfs.vault.messages import open_message, seal_message
from tagfs.vault.ops import MAX_UNIT

MAX_STORED = 40 * 1024 * 1024
"""Stored bytes of a segment, at most."""
MAX_BODY = 32 * 1024 * 1024
"""Decompressed bytes of a segment, at most."""
MAX_UNITS = 100_000
MAX_HEADS = 1024
"""Devices that a vault can have, at most."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last segment of a device that somebody saw: enough to notice any other history."""

    device: DeviceId
    seq: int  # from 1
    hash: bytes  # SHA-256 of the stored bytes

    def encode(self) -> list[Any]:
        """Return the form that segments and memories hold."""
        return [self.device, self.seq, self.hash]


def decode_head(raw: Any) -> Head:
    """Read what Head.encode gave; raises cbor.Malformed."""
    device, seq, digest = (*cbor.check_items(raw, 16), None, None, None)[:3]
    return Head(
        DeviceId(cbor.check_bytes(device, 16)),
        cbor.check_number(seq, 2**63, 1),
        cbor.check_bytes(digest, 32),
    )


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment, verified."""

    device: DeviceId
    seq: int
    prev: bytes  # hash of the segment before, 32 zero bytes for the first
    heads: tuple[Head, ...]  # of other devices, as the writer had seen them
    units: tuple[bytes, ...]  # ops.encode_unit bytes, in the order they happened
    epoch: int  # that sealed it
    hash: bytes

    @property
    def head(self) -> Head:
        """This segment as a head."""
        return Head(self.device, self.seq, self.hash)


FIRST = bytes(32)
"""What the first segment of a device names as the hash before it."""


def segment_name(ring: KeyRing, device: DeviceId, seq: int) -> bytes:
    """Return the 16-byte keyed name of a device's segment."""
    message = b"j" + device + struct.pack(">Q", seq)
    return hmac.digest(ring.names_key(), message, "sha256")[:16]


class SegmentWriter:
    """Seals the segments of this device, one after the other."""

    def __init__(
        self,
        ring: KeyRing,
        keys: DeviceKeys,
        last: Head | None,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """Go on after ``last``, None for a device that has written nothing yet."""
        self._ring = ring
        self._keys = keys
        self._random = random
        self.last = last

    def seal(self, units: Sequence[bytes], heads: Sequence[Head]) -> tuple[str, bytes, Head]:
        """Return (remote name, stored bytes, head) of the next segment.

        ``last`` stays: the caller sets it once the segment is on the remote. Raises ValueError
        for units that are too many or too long for one segment.
        """
        seq = self.last.seq + 1 if self.last else 1
        body = cbor.encode(
            {
                1: self._keys.id,
                2: seq,
                3: self.last.hash if self.last else FIRST,
                4: [h.encode() for h in heads],
                5: list(units),
            }
        )
        if len(body) > MAX_BODY or len(units) > MAX_UNITS or len(heads) > MAX_HEADS:
            raise ValueError("too much for one segment")
        name = segment_name(self._ring, self._keys.id, seq)
        packed = zlib.compress(body, 6)
        signature = self._keys.sign(_signed(self._ring, name, packed))
        payload = self._keys.id + signature + packed
        stored = seal_message(self._ring, KIND_SEGMENT, name, payload, self._random)
        return segment_path(name), stored, Head(self._keys.id, seq, hashlib.sha256(stored).digest())


def open_segment(
    ring: KeyRing,
    certificates: Mapping[tuple[DeviceId, int], Certificate],
    device: DeviceId,
    seq: int,
    stored: bytes,
) -> Segment:
    """Open the segment that was found under the name of (device, seq).

    ``certificates`` are by (device, epoch). The signature is checked before anything is
    decompressed. Raises Integrity naming device and sequence; the chain is not checked here.
    """
    what = f"Journal segment {seq} of device {device.hex()}"
    name = segment_name(ring, device, seq)
    epoch, payload = open_message(ring, KIND_SEGMENT, name, stored, MAX_STORED, what)
    certificate = certificates.get((device, epoch))
    if certificate is None:
        raise Integrity(f"{what} was sealed in epoch {epoch}, where no certificate is known.")
    signature, packed = payload[16:80], payload[80:]
    if payload[:16] != device or not certificate.verify(_signed(ring, name, packed), signature):
        raise Integrity(f"{what} is not signed by that device.")
    try:
        fields = cbor.Fields(cbor.decode(_inflate(packed)))
        segment = Segment(
            DeviceId(fields.bytes(1, 16)),
            fields.number(2, 2**63, 1),
            fields.bytes(3, 32),
            tuple(map(decode_head, fields.items(4, MAX_HEADS))),
            tuple(cbor.check_bytes(u, most=MAX_UNIT) for u in fields.items(5, MAX_UNITS)),
            epoch,
            hashlib.sha256(stored).digest(),
        )
    except (cbor.Malformed, zlib.error) as e:
        raise Integrity(f"{what} is malformed: {e}.") from None
    if (segment.device, segment.seq) != (device, seq):
        raise Integrity(f"{what} says that it is another one.")
    return segment


def epoch_of(stored: bytes, device: DeviceId, seq: int) -> int:
    """Return the epoch that a stored segment names, to look for the certificate; unverified."""
    if len(stored) < 4:
        raise Integrity(f"Journal segment {seq} of device {device.hex()} is cut short.")
    return int.from_bytes(stored[:4], "big")


def _inflate(packed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    body = inflater.decompress(packed, MAX_BODY + 1)
    if len(body) > MAX_BODY or not inflater.eof or inflater.unused_data:
        raise cbor.Malformed("its body is longer than format 1 allows, or cut short")
    return body


def _signed(ring: KeyRing, name: bytes, packed: bytes) -> bytes:
    return b"tagfs/1 segment\0" + ring.vault + name + packed
