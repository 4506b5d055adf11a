"""A second writer of tagfs vaults, from docs/format.md alone: another device with its own chain.

With it a test can put any operation into the journal of a real vault, as another device would,
and see whether tagfs merges it as the decoder does.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cbor2
import decoder as d
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def hpke_seal(public: bytes, info: bytes, plain: bytes) -> bytes:
    private = X25519PrivateKey.generate()
    enc = private.public_key().public_bytes_raw()
    shared = private.exchange(X25519PublicKey.from_public_bytes(public))
    key, nonce = d.hpke_schedule(shared, enc, public, info)
    return enc + AESGCM(key).encrypt(nonce, plain, b"")


def seal_stream(input_key: bytes, salt: bytes, context: bytes, plain: bytes) -> tuple[bytes, bytes]:
    """Return commitment and sealed chunks."""
    stream = d.Stream(input_key, salt, context)
    count = max(1, -(-len(plain) // d.CHUNK))
    sealed = b"".join(
        stream.seal_chunk(i, i == count - 1, plain[i * d.CHUNK : (i + 1) * d.CHUNK])
        for i in range(count)
    )
    return stream.commitment, sealed


def seal_message(ring: d.Ring, kind: int, name: bytes, epoch: int, payload: bytes) -> bytes:
    plain = d.u32(len(payload)) + payload
    plain = plain.ljust(max(1024, d.padme(len(plain))), b"\x00")
    salt = os.urandom(24)
    context = d.stream_context(ring.vault, kind, name)
    commitment, sealed = seal_stream(ring.key("segment", epoch), salt, context, plain)
    return d.u32(epoch) + salt + commitment + sealed


def pack_trailer(trailer: d.Trailer) -> bytes:
    media_type = trailer.media_type.encode()
    return b"".join(
        (
            bytes([1, len(trailer.name)]),
            trailer.name.ljust(255, b"\x00"),
            trailer.mtime_ns.to_bytes(8, "big", signed=True),
            bytes([len(media_type)]),
            media_type.ljust(128, b"\x00"),
            d.u32(trailer.number),
            d.u32(trailer.count),
            d.u32(trailer.size),
            d.u64(trailer.total),
            trailer.content,
            bytes(66),
        )
    )


def seal_part(
    ring: d.Ring, name: bytes, epoch: int, salt: bytes, content: bytes, trailer: d.Trailer
) -> tuple[d.Part, bytes]:
    """Return the record of a part and its stored bytes."""
    key = ring.key("object", epoch)
    padded = content.ljust(d.padded_part(len(content))[0], b"\x00")
    context = d.stream_context(ring.vault, d.CHUNKS, name, trailer.number)
    commitment, sealed = seal_stream(key, salt, context, padded)
    context = d.stream_context(ring.vault, d.TRAILERS, name)
    _, end = seal_stream(key, salt, context, pack_trailer(trailer))
    stored = d.u32(epoch) + salt + commitment + sealed + end
    return d.Part(name, epoch, salt, commitment, len(content), len(stored)), stored


def next_header(header: d.Header, ring: d.Ring, devices: dict[bytes, bytes]) -> bytes:
    """Return a header that has more devices, given as ids and X25519 public keys."""
    generation = header.generation + 1
    ring_key = os.urandom(32)

    def sealed_to(public: bytes) -> bytes:
        info = b"tagfs/1 ring key\x00" + header.vault + d.u32(generation) + public
        return hpke_seal(public, info, ring_key)

    publics = {ident: public for ident, (public, _) in header.devices.items()} | devices
    slots = []
    for slot in header.slots:
        fields: dict[int, Any] = {1: slot.kind, 2: slot.public, 3: slot.salt}
        if slot.kind == 1:
            fields[4] = list(slot.costs)
        slots.append({**fields, 5: slot.wrapped, 6: sealed_to(slot.public)})
    epochs = [[i, secret, seed] for i, (secret, seed) in enumerate(ring.epochs, 1)]
    plain = cbor2.dumps({1: ring.vault, 2: ring.content_key, 3: epochs})
    bound = header.vault + d.u32(generation)
    body = cbor2.dumps(
        {
            1: header.vault,
            2: generation,
            3: header.newest,
            4: slots,
            5: [{1: i, 2: public, 3: sealed_to(public)} for i, public in publics.items()],
            6: AESGCM(d.derive(ring_key, "ring", bound)).encrypt(bytes(12), plain, bound),
        }
    )
    start = b"tagfsH\r\n" + b"\x00\x01" + d.u32(len(body)) + body
    macs = (
        d.hmac_sha256(ring.key("header", epoch), start) for epoch in range(1, header.newest + 1)
    )
    return start + b"".join(macs)


@dataclass
class Device:
    """A device of its own, with a chain of its own, in the folder of a remote."""

    remote: Path
    ring: d.Ring
    ident: bytes = field(default_factory=lambda: os.urandom(16))
    signing: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    exchange: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    seq: int = 0
    before: bytes = bytes(32)

    def put(self, path: str, data: bytes) -> None:
        where = self.remote / path
        where.parent.mkdir(parents=True, exist_ok=True)
        with where.open("xb") as file:
            file.write(data)

    def join(self, header: d.Header, label: str = "second writer") -> None:
        """Put a certificate and the next header generation."""
        epoch = header.newest
        body = cbor2.dumps(
            {
                1: self.ident,
                2: self.signing.public_key().public_bytes_raw(),
                3: self.exchange.public_key().public_bytes_raw(),
                4: epoch,
                5: 1764000000000,
                6: label,
            }
        )
        seed = Ed25519PrivateKey.from_private_bytes(self.ring.epochs[epoch - 1][1])
        signature = seed.sign(b"tagfs/1 certificate\x00" + self.ring.vault + body)
        name = self.ring.certificate_name(epoch, self.ident)
        sealed = seal_message(self.ring, d.CERTIFICATE, name, epoch, signature + body)
        self.put(d.path_of("d", name), sealed)
        public = self.exchange.public_key().public_bytes_raw()
        data = next_header(header, self.ring, {self.ident: public})
        self.put(d.header_path(header.generation + 1), data)

    def write(self, units: Iterable[tuple[int, list[Any]]], heads: Iterable[Any] = ()) -> None:
        """Put the next segment, of units given as clock and operations."""
        packed_units = [cbor2.dumps([os.urandom(16), clock, ops]) for clock, ops in units]
        seq = self.seq + 1
        body = cbor2.dumps({1: self.ident, 2: seq, 3: self.before, 4: list(heads), 5: packed_units})
        packed = zlib.compress(body)
        name = self.ring.segment_name(self.ident, seq)
        signature = self.signing.sign(b"tagfs/1 segment\x00" + self.ring.vault + name + packed)
        payload = self.ident + signature + packed
        sealed = seal_message(self.ring, d.SEGMENT, name, len(self.ring.epochs), payload)
        self.put(d.path_of("j", name), sealed)
        self.seq, self.before = seq, hashlib.sha256(sealed).digest()

    def content(self, data: bytes, name: bytes = b"", media_type: str = "image/png") -> list[Any]:
        """Put a content of one part; return the operation that says that it exists."""
        ident = d.content_id(self.ring, data)
        trailer = d.Trailer(name, 0, media_type, 0, 1, len(data), len(data), ident)
        part, stored = seal_part(
            self.ring, os.urandom(16), len(self.ring.epochs), os.urandom(24), data, trailer
        )
        self.put(d.path_of("o", part.name), stored)
        parts = [part.name, part.epoch, part.salt, part.commitment, part.size, part.stored]
        return [5, ident, len(data), media_type, [parts]]
