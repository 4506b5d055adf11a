"""A second reader of tagfs vaults, written from docs/format.md alone; it imports nothing of tagfs.

    python decoder.py REMOTE_DIR OUT_DIR < passphrase
    python decoder.py --words REMOTE_DIR OUT_DIR < recovery words
    python decoder.py --from-trailers REMOTE_DIR OUT_DIR < passphrase

The first two write the user's folders to OUT_DIR/tree, files that no folder lists to
OUT_DIR/unfiled, deleted ones to OUT_DIR/trash, and the tags of every path to OUT_DIR/tags.json.
The third needs no journal: it writes every whole content that it finds to OUT_DIR/contents.
What is refused on the way is told on standard error, and makes the exit status 1.

Sections below have the names of the sections of the document.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import importlib.resources
import json
import os
import re
import struct
import sys
import unicodedata
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

CHUNK = 131072
PART = 33554432
HEAD = 60
TRAILER = 512
SEALED_TRAILER = TRAILER + 16
ROOT = bytes(16)
UNFILED = bytes(15) + b"\x01"
PACK = "application/x-tagfs-pack"


class Refused(Exception):
    """A thing that the document tells a reader to refuse."""

    outcome = "integrity"


class NotAVault(Refused):
    outcome = "not-a-vault"


class NewerVault(Refused):
    outcome = "newer-vault"


class WrongSecret(Refused):
    outcome = "wrong-secret"


# --- Conventions ---------------------------------------------------------------------------------


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA-256 of RFC 2104."""
    return hmac.digest(key, data, "sha256")


def hkdf_expand(key: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand of RFC 5869 with SHA-256."""
    out = block = b""
    number = 1
    while len(out) < length:
        block = hmac_sha256(key, block + info + bytes([number]))
        out += block
        number += 1
    return out[:length]


def expand(key: bytes, label: str, context: bytes, length: int) -> bytes:
    return hkdf_expand(key, b"tagfs/1 " + label.encode() + b"\x00" + context, length)


def derive(secret: bytes, label: str, context: bytes = b"", length: int = 32) -> bytes:
    return expand(hmac_sha256(b"", secret), label, context, length)


def padme(n: int) -> int:
    """The padded length of n bytes."""
    if n < 2:
        return n
    e = n.bit_length() - 1
    s = e.bit_length()
    unit = 1 << max(e - s, 0)
    return -(-n // unit) * unit


def u32(n: int) -> bytes:
    return struct.pack(">I", n)


def u64(n: int) -> bytes:
    return struct.pack(">Q", n)


def same(a: bytes, b: bytes) -> bool:
    return hmac.compare_digest(a, b)


# --- CBOR ----------------------------------------------------------------------------------------

DEEPEST = 16


class Cbor:
    """A reader of one CBOR value that accepts only what the document allows."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise Refused("CBOR ends early")
        self.at += count
        return self.data[self.at - count : self.at]

    def head(self) -> tuple[int, int, int]:
        """Return major type, additional information and argument."""
        first = self.take(1)[0]
        major, info = first >> 5, first & 31
        if info < 24:
            return major, info, info
        if info > 27:
            raise Refused("CBOR of indefinite length or with a reserved head")
        return major, info, int.from_bytes(self.take(1 << (info - 24)), "big")

    def value(self, depth: int = 0) -> Any:
        major, info, argument = self.head()
        if major == 0:
            return argument
        if major == 1:
            return -1 - argument
        if major == 2:
            return self.take(argument)
        if major == 3:
            try:
                return self.take(argument).decode()
            except UnicodeDecodeError:
                raise Refused("CBOR text that is not UTF-8") from None
        if major in (4, 5):
            if depth == DEEPEST:
                raise Refused("CBOR nested too deep")
            if argument > len(self.data) - self.at:
                raise Refused("CBOR claims more items than there are bytes")
            if major == 4:
                return [self.value(depth + 1) for _ in range(argument)]
            return self.map(argument, depth + 1)
        if major == 6:
            raise Refused("CBOR tag")
        return self.simple(info, argument)

    def map(self, count: int, depth: int) -> dict[int, Any]:
        out: dict[int, Any] = {}
        for _ in range(count):
            key = self.value(depth)
            if type(key) is not int or key < 0:
                raise Refused("CBOR map key that is no unsigned integer")
            if key in out:
                raise Refused("CBOR map key that is repeated")
            out[key] = self.value(depth)
        return out

    def simple(self, info: int, argument: int) -> Any:
        if info in (20, 21):
            return info == 21
        if info == 22:
            return None
        if info in (25, 26, 27):
            width = 1 << (info - 24)
            return struct.unpack({2: ">e", 4: ">f", 8: ">d"}[width], argument.to_bytes(width))[0]
        raise Refused("CBOR simple value that has no meaning here")


def cbor(data: bytes) -> Any:
    """Decode the first value of ``data``; bytes behind it are ignored."""
    return Cbor(data).value()


def uint(value: Any, below: int = 1 << 64, least: int = 0) -> int:
    if type(value) is not int or not least <= value < below:
        raise Refused("a number is not what it must be")
    return value


def octets(value: Any, most: int, least: int = 0) -> bytes:
    if type(value) is not bytes or not least <= len(value) <= most:
        raise Refused("a byte string is not what it must be")
    return value


def exact(value: Any, length: int) -> bytes:
    return octets(value, length, length)


def text(value: Any, most: int) -> str:
    if type(value) is not str or len(value.encode()) > most:
        raise Refused("a text is not what it must be")
    return value


def array(value: Any, least: int = 0, most: int | None = None) -> list[Any]:
    if type(value) is not list or len(value) < least or (most is not None and len(value) > most):
        raise Refused("an array is not what it must be")
    return value


def boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise Refused("a boolean is not what it must be")
    return value


def mapping(value: Any) -> dict[int, Any]:
    if type(value) is not dict:
        raise Refused("a map is not what it must be")
    return value


# --- Names on the remote -------------------------------------------------------------------------

NAMES = re.compile(r"h/[0-9]{8}|[djo]/[0-9a-f]{2}/[0-9a-f]{30}")


def path_of(kind: str, name: bytes) -> str:
    return f"{kind}/{name[:1].hex()}/{name[1:].hex()}"


def header_path(generation: int) -> str:
    return f"h/{generation:08d}"


class Remote:
    """A folder that holds a vault."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def get(self, name: str) -> bytes | None:
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            return None

    def names(self, prefix: str) -> list[str]:
        found = []
        for above, _, files in os.walk(self.root / prefix):
            for file in files:
                name = (Path(above) / file).relative_to(self.root).as_posix()
                if NAMES.fullmatch(name):
                    found.append(name)
        return sorted(found)


class RemoteInMemory:
    """The same, of names and bytes."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects

    def get(self, name: str) -> bytes | None:
        return self.objects.get(name)

    def names(self, prefix: str) -> list[str]:
        return sorted(n for n in self.objects if n.startswith(prefix) and NAMES.fullmatch(n))


AnyRemote = Remote | RemoteInMemory


# --- Secrets -------------------------------------------------------------------------------------


def bip39_english() -> list[str]:
    """The word list of BIP-39, which the package ``mnemonic`` carries as a text file."""
    file = importlib.resources.files("mnemonic") / "wordlist" / "english.txt"
    return file.read_text("ascii").split()


def entropy_of_words(phrase: str) -> bytes:
    """Return the 32 bytes that 24 words stand for."""
    index = {word: i for i, word in enumerate(bip39_english())}
    words = phrase.lower().split()
    if len(words) != 24 or any(word not in index for word in words):
        raise WrongSecret("these are not 24 words of the list")
    bits = 0
    for word in words:
        bits = bits << 11 | index[word]
    entropy, check = (bits >> 8).to_bytes(32, "big"), bits & 255
    if hashlib.sha256(entropy).digest()[0] != check:
        raise WrongSecret("the checksum of the words is wrong")
    return entropy


def words_of_entropy(entropy: bytes) -> str:
    bits = int.from_bytes(entropy, "big") << 8 | hashlib.sha256(entropy).digest()[0]
    words = bip39_english()
    return " ".join(words[bits >> shift & 2047] for shift in range(253, -1, -11))


def check_costs(memory: int, passes: int, lanes: int) -> None:
    if memory < 65536 or passes < 3 or lanes < 1:
        raise Refused("Argon2id costs that are too small")
    if memory > 2097152 or passes > 16 or lanes > 16:
        raise Refused("Argon2id costs that are too great")


def stretch(passphrase: str, salt: bytes, memory: int, passes: int, lanes: int) -> bytes:
    check_costs(memory, passes, lanes)
    kdf = Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory)
    return kdf.derive(unicodedata.normalize("NFC", passphrase).encode())


# --- Key ring ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ring:
    vault: bytes
    content_key: bytes
    epochs: tuple[tuple[bytes, bytes], ...]
    """Secret and signing seed of epoch 1, 2, …"""

    def secret(self, epoch: int) -> bytes:
        if not 1 <= epoch <= len(self.epochs):
            raise Refused(f"epoch {epoch} is not in the ring")
        return self.epochs[epoch - 1][0]

    def key(self, label: str, epoch: int = 1) -> bytes:
        return derive(self.secret(epoch), label, self.vault)

    def signing_public(self, epoch: int) -> Ed25519PublicKey:
        self.secret(epoch)
        return Ed25519PrivateKey.from_private_bytes(self.epochs[epoch - 1][1]).public_key()

    def certificate_name(self, epoch: int, device: bytes) -> bytes:
        return hmac_sha256(self.key("certificate", epoch), device)[:16]

    def segment_name(self, device: bytes, seq: int) -> bytes:
        return hmac_sha256(self.key("names"), b"j" + device + u64(seq))[:16]


def tag_id_of_name(ring: Ring, name: str) -> str:
    folded = unicodedata.normalize("NFC", name).casefold().encode()
    return "u" + hmac_sha256(ring.key("tag"), folded)[:16].hex()


# --- HPKE (RFC 9180), base mode, one message ------------------------------------------------------

KEM_SUITE = b"KEM" + bytes.fromhex("0020")
HPKE_SUITE = b"HPKE" + bytes.fromhex("002000010002")


def labeled_extract(suite: bytes, salt: bytes, label: bytes, key: bytes) -> bytes:
    return hmac_sha256(salt, b"HPKE-v1" + suite + label + key)


def labeled_expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return hkdf_expand(key, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


def public_of(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def hpke_schedule(shared: bytes, enc: bytes, public: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Return key and nonce of the one message."""
    eae = labeled_extract(KEM_SUITE, b"", b"eae_prk", shared)
    secret = labeled_expand(KEM_SUITE, eae, b"shared_secret", enc + public, 32)
    context = (
        b"\x00"
        + labeled_extract(HPKE_SUITE, b"", b"psk_id_hash", b"")
        + labeled_extract(HPKE_SUITE, b"", b"info_hash", info)
    )
    schedule = labeled_extract(HPKE_SUITE, secret, b"secret", b"")
    key = labeled_expand(HPKE_SUITE, schedule, b"key", context, 32)
    return key, labeled_expand(HPKE_SUITE, schedule, b"base_nonce", context, 12)


def hpke_open(private: bytes, info: bytes, sealed: bytes) -> bytes:
    enc, box = sealed[:32], sealed[32:]
    try:
        shared = X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(enc)
        )
    except ValueError:
        raise Refused("the sealed ring key has a public key of small order") from None
    key, nonce = hpke_schedule(shared, enc, public_of(private), info)
    return gcm_open(key, nonce, box, b"", "the sealed ring key")


def gcm_open(key: bytes, nonce: bytes, box: bytes, data: bytes, what: str) -> bytes:
    if len(box) < 16:
        raise Refused(f"{what} is too short")
    try:
        return AESGCM(key).decrypt(nonce, box, data)
    except InvalidTag:
        raise Refused(f"{what} does not verify") from None


# --- Header --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Slot:
    kind: int
    public: bytes
    salt: bytes
    costs: tuple[int, int, int]
    wrapped: bytes
    sealed: bytes


@dataclass(frozen=True)
class Header:
    vault: bytes
    generation: int
    newest: int
    slots: tuple[Slot, ...]
    devices: dict[bytes, tuple[bytes, bytes]]
    """Of each device id: X25519 public key and sealed ring key."""
    ring: bytes
    authenticated: bytes
    macs: tuple[bytes, ...]

    def check_mac(self, epoch: int, key: bytes) -> None:
        if not 1 <= epoch <= self.newest:
            raise Refused("the header has no MAC for this epoch")
        if not same(hmac_sha256(key, self.authenticated), self.macs[epoch - 1]):
            raise Refused(f"the header's MAC of epoch {epoch} is wrong")


def read_header(data: bytes, generation: int) -> Header:
    """Check a header without a secret."""
    if len(data) < 46 or data[:8] != b"tagfsH\r\n":
        raise NotAVault("not a vault")
    version, length = struct.unpack(">HI", data[8:14])
    if version == 0:
        raise NotAVault("not a vault")
    if version > 1:
        raise NewerVault("a newer vault")
    macs = data[14 + length :]
    if len(data) > 1 << 20 or not macs or len(macs) % 32:
        raise Refused("the header has a wrong length")
    body = mapping(cbor(data[14 : 14 + length]))
    if 7 in body and array(body[7], most=64):
        raise NewerVault("a newer vault")
    newest = uint(body.get(3), 1025, 1)
    header = Header(
        vault=exact(body.get(1), 16),
        generation=uint(body.get(2), 100000000, 1),
        newest=newest,
        slots=tuple(read_slots(array(body.get(4), most=8))),
        devices=read_devices(array(body.get(5), most=1024)),
        ring=octets(body.get(6), 1 << 20),
        authenticated=data[: 14 + length],
        macs=tuple(macs[i : i + 32] for i in range(0, len(macs), 32)),
    )
    if len(header.macs) != newest:
        raise Refused("the header does not have one MAC for each epoch")
    if header.generation != generation:
        raise Refused("the header stands under the name of another generation")
    return header


def read_slots(items: list[Any]) -> Iterator[Slot]:
    for item in items:
        slot = mapping(item)
        kind = uint(slot.get(1), 65536)
        if kind not in (1, 2):
            continue
        costs = (0, 0, 0)
        if kind == 1:
            memory, passes, lanes = array(slot.get(4), 3)[:3]
            costs = (uint(memory, 1 << 32), uint(passes, 1 << 32), uint(lanes, 1 << 32))
        yield Slot(
            kind,
            exact(slot.get(2), 32),
            exact(slot.get(3), 16),
            costs,
            exact(slot.get(5), 84),
            exact(slot.get(6), 80),
        )


def read_devices(items: list[Any]) -> dict[bytes, tuple[bytes, bytes]]:
    devices = {}
    for item in items:
        device = mapping(item)
        devices[exact(device.get(1), 16)] = (exact(device.get(2), 32), exact(device.get(3), 80))
    return devices


def open_ring(header: Header, private: bytes, public: bytes, sealed: bytes) -> Ring:
    """Steps 5 and 6 of opening a header."""
    number = u32(header.generation)
    info = b"tagfs/1 ring key\x00" + header.vault + number + public
    ring_key = hpke_open(private, info, sealed)
    if len(ring_key) != 32:
        raise Refused("the ring key has a wrong length")
    bound = header.vault + number
    plain = gcm_open(derive(ring_key, "ring", bound), bytes(12), header.ring, bound, "the ring")
    ring = mapping(cbor(plain))
    if exact(ring.get(1), 16) != header.vault:
        raise Refused("the ring is of another vault")
    epochs = []
    for item in array(ring.get(3)):
        number_of, secret, seed = array(item, 3)[:3]
        epochs.append((uint(number_of), exact(secret, 32), exact(seed, 32)))
    if [number for number, _, _ in epochs] != list(range(1, header.newest + 1)):
        raise Refused("the epochs of the ring are not those of the header")
    return Ring(header.vault, exact(ring.get(2), 32), tuple((s, d) for _, s, d in epochs))


def open_header(header: Header, passphrase: str | None = None, words: str | None = None) -> Ring:
    """Return the ring that a passphrase or the recovery words open."""
    kind = 1 if words is None else 2
    entropy = b"" if words is None else entropy_of_words(words)
    slots = [slot for slot in header.slots if slot.kind == kind]
    for slot in slots:
        if kind == 1:
            check_costs(*slot.costs)
    for slot in slots:
        if kind == 1:
            stretched = stretch(passphrase or "", slot.salt, *slot.costs)
            key = derive(stretched, "slot passphrase", header.vault)
            costs = slot.costs
        else:
            key = derive(entropy, "slot words", header.vault + slot.salt)
            costs = (0, 0, 0)
        bound = b"tagfs/1 slot\x00" + header.vault + bytes([kind]) + slot.public + slot.salt
        bound += b"".join(u32(cost) for cost in costs)
        try:
            plain = gcm_open(key, bytes(12), slot.wrapped, bound, "the slot")
        except Refused:
            continue
        private, epoch, header_key = plain[:32], int.from_bytes(plain[32:36], "big"), plain[36:]
        if public_of(private) != slot.public:
            continue
        header.check_mac(epoch, header_key)
        ring = open_ring(header, private, slot.public, slot.sealed)
        if not same(ring.key("header", epoch), header_key):
            raise Refused("the ring has another header key than the slot")
        header.check_mac(header.newest, ring.key("header", header.newest))
        return ring
    raise WrongSecret("no slot opens with this secret")


def open_header_as_device(header: Header, device: bytes, private: bytes, known: Ring) -> Ring:
    """Return the ring that a device's key opens, given a ring that the device had before."""
    if device not in header.devices:
        raise WrongSecret("the vault is not sealed to this device")
    newest = len(known.epochs)
    header.check_mac(newest, known.key("header", newest))
    public, sealed = header.devices[device]
    ring = open_ring(header, private, public, sealed)
    if (ring.vault, ring.content_key) != (known.vault, known.content_key):
        raise Refused("the ring is of another vault than the known one")
    if ring.epochs[:newest] != known.epochs:
        raise Refused("the ring does not begin with the known epochs")
    header.check_mac(header.newest, ring.key("header", header.newest))
    return ring


FEW = 4


def newest_header(remote: AnyRemote) -> Header:
    listed = [int(name[2:]) for name in remote.names("h/") if name != "h/00000000"]
    generation = max(listed, default=1)
    found = None
    missing = 0
    while missing < (FEW if found is None else 1):
        data = remote.get(header_path(generation))
        if data is None:
            missing += 1
        else:
            found, missing = (data, generation), 0
        generation += 1
    if found is None:
        raise NotAVault("no header is there")
    return read_header(*found)


# --- Streams -------------------------------------------------------------------------------------

CHUNKS, TRAILERS, SEGMENT, CERTIFICATE = 1, 2, 3, 4


def stream_context(vault: bytes, kind: int, name: bytes, number: int = 0) -> bytes:
    return vault + bytes([kind]) + name + u32(number)


class Stream:
    """The keys of one sealed message."""

    def __init__(self, input_key: bytes, salt: bytes, context: bytes) -> None:
        keys = expand(input_key, "chunked AEAD_AES_256_GCM", salt + context, 76)
        self.key, self.nonce, self.commitment = keys[:32], keys[32:44], keys[44:]
        self.context = context
        self.aead = AESGCM(self.key)

    def bound(self, number: int, last: bool) -> tuple[bytes, bytes]:
        """Return nonce and additional data of a chunk."""
        nonce = int.from_bytes(self.nonce, "big") ^ number
        return nonce.to_bytes(12, "big"), self.context + u64(number) + bytes([last])

    def open_chunk(self, number: int, last: bool, sealed: bytes) -> bytes:
        try:
            nonce, data = self.bound(number, last)
            return self.aead.decrypt(nonce, sealed, data)
        except InvalidTag:
            raise Refused(f"chunk {number} does not verify") from None

    def seal_chunk(self, number: int, last: bool, plain: bytes) -> bytes:
        nonce, data = self.bound(number, last)
        return self.aead.encrypt(nonce, plain, data)

    def open(self, sealed: bytes) -> bytes:
        plain_length(len(sealed))
        step = CHUNK + 16
        count = -(-len(sealed) // step)
        return b"".join(
            self.open_chunk(i, i == count - 1, sealed[i * step : (i + 1) * step])
            for i in range(count)
        )


def plain_length(sealed: int) -> int:
    """Return the length of what a stream of this many bytes holds."""
    count = -(-sealed // (CHUNK + 16))
    plain = sealed - 16 * count
    if count < 1 or plain < 0 or plain + 16 * max(1, -(-plain // CHUNK)) != sealed:
        raise Refused("no stream has this length")
    return plain


# --- Objects -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    name: bytes
    epoch: int
    salt: bytes
    commitment: bytes
    size: int
    stored: int


@dataclass(frozen=True)
class Record:
    content: bytes
    size: int
    media_type: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Trailer:
    name: bytes
    mtime_ns: int
    media_type: str
    number: int
    count: int
    size: int
    total: int
    content: bytes


def parts_of(size: int) -> int:
    return max(1, -(-size // PART))


def size_of_part(total: int, number: int) -> int:
    return max(0, min(PART, total - number * PART))


def padded_part(size: int) -> tuple[int, int]:
    """Return p and the stored bytes of a part with this many bytes of content."""
    p = max(1024, padme(size))
    return p, HEAD + p + 16 * max(1, -(-p // CHUNK)) + SEALED_TRAILER


def parse_trailer(plain: bytes) -> Trailer:
    if len(plain) != TRAILER or plain[0] != 1:
        raise Refused("a trailer of another version")
    name = plain[2 : 2 + plain[1]]
    if plain[265] > 128 or not plain[266 : 266 + plain[265]].isascii():
        raise Refused("a trailer whose media type is none")
    if b"/" in name or b"\x00" in name or name in (b".", b".."):
        raise Refused("a trailer whose file name is none")
    number, count, size, total = struct.unpack(">IIIQ", plain[394:414])
    if not 1 <= count <= 1048576 or count != parts_of(total) or number >= count:
        raise Refused("a trailer whose part number or count is wrong")
    if size != size_of_part(total, number):
        raise Refused("a trailer whose size is wrong")
    return Trailer(
        name=name,
        mtime_ns=struct.unpack(">q", plain[257:265])[0],
        media_type=plain[266 : 266 + plain[265]].decode("ascii"),
        number=number,
        count=count,
        size=size,
        total=total,
        content=plain[414:446],
    )


def open_trailer(ring: Ring, name: bytes, epoch: int, salt: bytes, sealed: bytes) -> Trailer:
    stream = Stream(ring.key("object", epoch), salt, stream_context(ring.vault, TRAILERS, name))
    if len(sealed) != SEALED_TRAILER:
        raise Refused("a trailer of another length")
    return parse_trailer(stream.open_chunk(0, True, sealed))


def open_chunks(ring: Ring, part: Part, number: int, stored: bytes) -> bytes:
    """Return the content bytes of a part, all chunks opened and its padding checked."""
    sealed = stored[HEAD:-SEALED_TRAILER]
    padded = plain_length(len(sealed))
    if padded > PART or padded < part.size:
        raise Refused("a part whose padded length is wrong")
    stream = Stream(
        ring.key("object", part.epoch),
        part.salt,
        stream_context(ring.vault, CHUNKS, part.name, number),
    )
    if not same(stream.commitment, part.commitment):
        raise Refused("a part whose commitment is wrong")
    plain = stream.open(sealed)
    if plain[part.size :].strip(b"\x00"):
        raise Refused("a part whose padding is not zero")
    return plain[: part.size]


def head_of(stored: bytes) -> tuple[int, bytes, bytes]:
    """Return epoch, salt and commitment of a stored part."""
    if len(stored) < HEAD + 16 + SEALED_TRAILER:
        raise Refused("a part that is too short")
    return int.from_bytes(stored[:4], "big"), stored[4:28], stored[28:60]


def open_part(ring: Ring, part: Part, number: int, stored: bytes) -> tuple[bytes, Trailer]:
    """Verify a whole part against its record; return content bytes and trailer."""
    if len(stored) != part.stored:
        raise Refused("a part that has another length than its record says")
    if head_of(stored) != (part.epoch, part.salt, part.commitment):
        raise Refused("a part that begins otherwise than its record says")
    content = open_chunks(ring, part, number, stored)
    sealed = stored[-SEALED_TRAILER:]
    trailer = open_trailer(ring, part.name, part.epoch, part.salt, sealed)
    if (trailer.number, trailer.size) != (number, part.size):
        raise Refused("a part whose trailer does not fit its record")
    return content, trailer


# --- Content id ----------------------------------------------------------------------------------


class ContentId:
    """Takes a content in pieces of whole chunks (the last may be short) and gives its id."""

    def __init__(self, ring: Ring) -> None:
        self.chunk_key = derive(ring.content_key, "content chunk")
        self.hashes = hmac.new(derive(ring.content_key, "content id"), digestmod="sha256")
        self.number = 0
        self.size = 0

    def update(self, piece: bytes) -> None:
        for at in range(0, len(piece), CHUNK):
            chunk = piece[at : at + CHUNK]
            self.hashes.update(hmac_sha256(self.chunk_key, u64(self.number) + chunk))
            self.number += 1
        self.size += len(piece)

    def digest(self) -> bytes:
        final = self.hashes.copy()
        final.update(u64(self.size))
        return final.digest()


def content_id(ring: Ring, content: bytes) -> bytes:
    whole = ContentId(ring)
    whole.update(content)
    return whole.digest()


def read_content(
    remote: AnyRemote, ring: Ring, record: Record, take: Callable[[bytes], Any]
) -> None:
    """Give the content of a record to ``take``, a part at a time, everything verified."""
    whole = ContentId(ring)
    for number, part in enumerate(record.parts):
        stored = remote.get(path_of("o", part.name))
        if stored is None:
            raise Refused(f"{path_of('o', part.name)} is missing")
        try:
            piece, trailer = open_part(ring, part, number, stored)
            if trailer.content != record.content or trailer.total != record.size:
                raise Refused("a trailer of another content")
        except Refused as e:
            raise Refused(f"{path_of('o', part.name)}: {e}") from None
        whole.update(piece)
        take(piece)
    if whole.digest() != record.content:
        raise Refused(f"content {record.content.hex()} has another content id")


# --- Packs ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Details:
    scores: tuple[tuple[str, int], ...]
    embedding: tuple[float, ...]


def parse_details(item: bytes) -> Details:
    """Read the details of one photo; a score is a tag id and a confidence in 1/65535."""
    if len(item) < 6:
        raise Refused("details that are too short")
    version, scores, length, kind = struct.unpack(">BHHB", item[:6])
    if version != 1 or kind != 1 or length % 2:
        raise Refused("details of another version")
    at = 6
    found = []
    for _ in range(scores):
        size = item[at] if at < len(item) else 255
        if size > 64 or at + 1 + size + 2 > len(item):
            raise Refused("details that end early")
        try:
            tag = item[at + 1 : at + 1 + size].decode()
        except UnicodeDecodeError:
            raise Refused("details whose tag is no text") from None
        at += 1 + size
        found.append((tag, int.from_bytes(item[at : at + 2], "big")))
        at += 2
    if len(item) != at + length:
        raise Refused("details of a wrong length")
    return Details(tuple(found), struct.unpack(f"<{length // 2}e", item[at:]))


# --- Messages ------------------------------------------------------------------------------------


def open_message(ring: Ring, kind: int, name: bytes, stored: bytes) -> tuple[int, bytes]:
    """Return epoch and payload of a certificate or segment."""
    epoch, salt, commitment = int.from_bytes(stored[:4], "big"), stored[4:28], stored[28:60]
    if len(stored) < HEAD:
        raise Refused("a message that is too short")
    stream = Stream(ring.key("segment", epoch), salt, stream_context(ring.vault, kind, name))
    plain_length(len(stored) - HEAD)
    if not same(stream.commitment, commitment):
        raise Refused("a message whose commitment is wrong")
    plain = stream.open(stored[HEAD:])
    if len(plain) < 4 or int.from_bytes(plain[:4], "big") > len(plain) - 4:
        raise Refused("a message whose length is wrong")
    return epoch, plain[4 : 4 + int.from_bytes(plain[:4], "big")]


# --- Device certificates -------------------------------------------------------------------------


@dataclass(frozen=True)
class Certificate:
    device: bytes
    signing_public: bytes
    exchange_public: bytes
    epoch: int
    created_ms: int
    label: str


def verify(public: Ed25519PublicKey, signature: bytes, message: bytes) -> None:
    try:
        public.verify(signature, message)
    except InvalidSignature:
        raise Refused("a signature does not verify") from None


def read_certificate(ring: Ring, device: bytes, epoch: int, stored: bytes) -> Certificate:
    if len(stored) > 4096:
        raise Refused("a certificate that is too long")
    name = ring.certificate_name(epoch, device)
    sealed_in, payload = open_message(ring, CERTIFICATE, name, stored)
    signature, body = payload[:64], payload[64:]
    signed = b"tagfs/1 certificate\x00" + ring.vault + body
    verify(ring.signing_public(epoch), signature, signed)
    fields = mapping(cbor(body))
    certificate = Certificate(
        exact(fields.get(1), 16),
        exact(fields.get(2), 32),
        exact(fields.get(3), 32),
        uint(fields.get(4), 1 << 32),
        uint(fields.get(5), 1 << 63),
        text(fields.get(6), 64),
    )
    if (certificate.device, certificate.epoch, sealed_in) != (device, epoch, epoch):
        raise Refused("a certificate under a name that is not its own")
    return certificate


# --- Journal segments ----------------------------------------------------------------------------

LARGEST_SEGMENT = 41943040
LARGEST_BODY = 33554432
LARGEST_UNIT = 8388608


@dataclass(frozen=True)
class Segment:
    device: bytes
    seq: int
    epoch: int
    before: bytes
    heads: dict[bytes, tuple[int, bytes]]
    units: tuple[bytes, ...]
    digest: bytes


def inflate(packed: bytes) -> bytes:
    """Undo zlib, up to the longest body."""
    stream = zlib.decompressobj()
    try:
        body = stream.decompress(packed, LARGEST_BODY + 1)
    except zlib.error:
        raise Refused("a segment whose body is no zlib stream") from None
    if len(body) > LARGEST_BODY or not stream.eof or stream.unused_data:
        raise Refused("a segment whose body is too long, or ends early or late")
    return body


def read_segment(
    ring: Ring,
    device: bytes,
    seq: int,
    stored: bytes,
    certificate_of: Callable[[bytes, int], Certificate],
) -> Segment:
    """Verify and decode one segment. ``certificate_of`` takes device and epoch."""
    if len(stored) > LARGEST_SEGMENT:
        raise Refused("a segment that is too long")
    name = ring.segment_name(device, seq)
    epoch, payload = open_message(ring, SEGMENT, name, stored)
    named, signature, packed = payload[:16], payload[16:80], payload[80:]
    if named != device:
        raise Refused("a segment of another device")
    certificate = certificate_of(device, epoch)
    signed = b"tagfs/1 segment\x00" + ring.vault + name + packed
    verify(Ed25519PublicKey.from_public_bytes(certificate.signing_public), signature, signed)
    body = mapping(cbor(inflate(packed)))
    if exact(body.get(1), 16) != device or uint(body.get(2), 1 << 63, 1) != seq:
        raise Refused("a segment under a name that is not its own")
    heads: dict[bytes, tuple[int, bytes]] = {}
    for item in array(body.get(4), most=1024):
        other, number, digest = array(item, 3)[:3]
        if exact(other, 16) in heads:
            raise Refused("a segment that names two heads of one device")
        heads[other] = (uint(number, least=1), exact(digest, 32))
    units = tuple(octets(unit, LARGEST_UNIT) for unit in array(body.get(5), most=100000))
    digest = hashlib.sha256(stored).digest()
    return Segment(device, seq, epoch, exact(body.get(3), 32), heads, units, digest)


def check_follows(segment: Segment, before: Segment | None) -> None:
    """Refuse a segment that is not the next of its chain."""
    seq, digest, epoch = (before.seq, before.digest, before.epoch) if before else (0, bytes(32), 0)
    if segment.seq != seq + 1 or segment.before != digest or segment.epoch < epoch:
        raise Refused("a segment that does not follow the one before it")


class Journal:
    """All chains of a vault. ``problems`` says what was refused or is missing."""

    def __init__(self, remote: AnyRemote, ring: Ring, devices: Iterable[bytes]) -> None:
        self.remote = remote
        self.ring = ring
        self.problems: list[str] = []
        self.certificates: dict[tuple[bytes, int], Certificate] = {}
        self.chains: dict[bytes, list[Segment]] = {}
        waiting = list(devices)
        while waiting:
            device = waiting.pop(0)
            if device in self.chains:
                continue
            self.chains[device] = self.read_chain(device)
            waiting += [other for segment in self.chains[device] for other in segment.heads]
        self.check_heads()

    def certificate_of(self, device: bytes, epoch: int) -> Certificate:
        if (device, epoch) not in self.certificates:
            path = path_of("d", self.ring.certificate_name(epoch, device))
            stored = self.remote.get(path)
            if stored is None:
                raise Refused(f"{path}: the certificate is missing")
            self.certificates[device, epoch] = read_certificate(self.ring, device, epoch, stored)
        return self.certificates[device, epoch]

    def read_chain(self, device: bytes) -> list[Segment]:
        chain: list[Segment] = []
        while True:
            seq = len(chain) + 1
            path = path_of("j", self.ring.segment_name(device, seq))
            stored = self.remote.get(path)
            if stored is None:
                return chain
            try:
                segment = read_segment(self.ring, device, seq, stored, self.certificate_of)
                check_follows(segment, chain[-1] if chain else None)
            except Refused as e:
                self.problems.append(f"{path}: {e}")
                return chain
            chain.append(segment)

    def check_heads(self) -> None:
        for chain in self.chains.values():
            for segment in chain:
                for device, (seq, digest) in segment.heads.items():
                    theirs = self.chains[device]
                    if seq > len(theirs):
                        self.problems.append(f"device {device.hex()}: segment {seq} is missing")
                    elif theirs[seq - 1].digest != digest:
                        self.problems.append(f"device {device.hex()}: segment {seq} was forked")

    def units(self) -> Iterator[tuple[bytes, Unit]]:
        """Give device and unit, all that are well made."""
        for device, chain in self.chains.items():
            for segment in chain:
                for data in segment.units:
                    try:
                        yield device, read_unit(data)
                    except Refused as e:
                        path = path_of("j", self.ring.segment_name(device, segment.seq))
                        self.problems.append(f"{path}: a unit: {e}")


# --- Units and operations ------------------------------------------------------------------------

FILE, FOLDER, TAG, PHOTO, TAG_PATH, QUERY_TEXT = 1, 2, 3, 4, 5, 6
CONTENT, MODE, MTIME, TARGET, TRASHED, PLACE, TAG_NAME, TAG_MERGED = 1, 2, 3, 4, 5, 6, 7, 8
TAG_KEPT, VIEW_NAME, FAVOURITE, DATE, NARROWING, QUERY, PURGED = 9, 10, 11, 12, 13, 14, 15
VERSION_OF, WRITTEN_OVER, RATING, ATTRIBUTES, CONDEMNED = 16, 17, 18, 19, 20


@dataclass(frozen=True)
class Unit:
    ident: bytes
    clock: int
    ops: tuple[list[Any] | None, ...]
    """Operations as arrays without additional items; None where one is skipped."""
    mark: bytes | None = None


def file_name(value: Any) -> bytes:
    name = octets(value, 255, 1)
    if b"/" in name or b"\x00" in name or name in (b".", b".."):
        raise Refused("a name that is none")
    return name


def photo_id(value: Any) -> bytes:
    if type(value) is not bytes or len(value) not in (16, 32):
        raise Refused("a photo's id that is none")
    return value


def utf8(value: Any, most: int) -> bytes:
    try:
        octets(value, most).decode()
    except UnicodeDecodeError:
        raise Refused("an id that is not UTF-8") from None
    return value


def number(value: Any, most: float) -> float:
    if type(value) not in (int, float) or not -most <= value <= most:
        raise Refused("a number is out of range")
    return value


ENTITY_ID: dict[int, Callable[[Any], bytes]] = {
    FILE: lambda v: exact(v, 16),
    FOLDER: lambda v: exact(v, 16),
    TAG: lambda v: utf8(v, 64),
    PHOTO: photo_id,
    TAG_PATH: lambda v: utf8(v, 4096),
    QUERY_TEXT: lambda v: utf8(v, 4096),
}


def or_null(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else check(value)


def content_value(value: Any) -> None:
    items = array(value, 2)
    exact(items[0], 32)
    uint(items[1], 1 << 63)
    if len(items) > 2 and items[2] is not None:
        exact(items[2], 32)


def target_value(value: Any) -> None:
    if b"\x00" in octets(value, 4095, 1):
        raise Refused("a link target with a zero byte")


def mtime_value(value: Any) -> None:
    if type(value) is not int or not -(1 << 63) <= value < 1 << 63:
        raise Refused("a time that is none")


def trashed_value(value: Any) -> None:
    when, places = array(value, 2)[:2]
    uint(when, 1 << 63)
    for place in array(places):
        folder, name = array(place, 2)[:2]
        exact(folder, 16)
        file_name(name)


def place_value(value: Any) -> None:
    parent, name, alive = array(value, 3)[:3]
    exact(parent, 16)
    file_name(name)
    boolean(alive)


def attributes_value(value: Any) -> None:
    names, size = set(), 0
    for pair in array(value):
        name, content = array(pair, 2)[:2]
        if b"\x00" in octets(name, 255, 1):
            raise Refused("an attribute's name with a zero byte")
        names.add(name)
        size += len(name) + len(octets(content, 65536))
    if len(value) > 64 or len(names) < len(value) or size > 65536:
        raise Refused("too many attributes, or one twice")


def condemned_value(value: Any) -> None:
    names = [exact(name, 16) for name in array(value, 1, 1024)]
    if names != sorted(set(names)):
        raise Refused("condemned records out of order, or one twice")


FIELDS: dict[int, tuple[tuple[int, ...], Callable[[Any], Any]]] = {
    CONTENT: ((FILE,), or_null(content_value)),
    MODE: ((FILE, FOLDER), lambda v: uint(v, 4096)),
    MTIME: ((FILE, FOLDER), mtime_value),
    TARGET: ((FILE,), target_value),
    TRASHED: ((FILE,), or_null(trashed_value)),
    PLACE: ((FOLDER,), place_value),
    TAG_NAME: ((TAG,), or_null(lambda v: text(v, 255))),
    TAG_MERGED: ((TAG,), or_null(lambda v: text(v, 64))),
    TAG_KEPT: ((TAG,), or_null(boolean)),
    VIEW_NAME: ((PHOTO,), or_null(file_name)),
    FAVOURITE: ((PHOTO,), or_null(boolean)),
    DATE: ((PHOTO,), or_null(lambda v: text(v, 10))),
    NARROWING: ((TAG_PATH,), or_null(boolean)),
    QUERY: ((QUERY_TEXT,), or_null(boolean)),
    PURGED: ((FILE,), or_null(lambda v: uint(v, 1 << 63))),
    VERSION_OF: ((FILE,), or_null(lambda v: exact(v, 16))),
    WRITTEN_OVER: ((FILE,), or_null(lambda v: exact(v, 32))),
    RATING: ((PHOTO,), or_null(lambda v: uint(v, 11))),
    ATTRIBUTES: ((FILE, FOLDER), or_null(attributes_value)),
    CONDEMNED: ((PHOTO,), or_null(condemned_value)),
}


def register_op(op: list[Any]) -> list[Any] | None:
    _, entity, ident, which, value = array(op, 5)[:5]
    if uint(entity) not in ENTITY_ID or uint(which) not in FIELDS:
        return None
    ENTITY_ID[entity](ident)
    entities, check = FIELDS[which]
    if entity not in entities:
        raise Refused("a field of another entity")
    if which == CONDEMNED:
        exact(ident, 32)
    check(value)
    return op[:5]


def word_op(op: list[Any]) -> list[Any]:
    _, photo, tag, word = array(op, 4)[:4]
    photo_id(photo)
    text(tag, 64)
    uint(word, 3)
    return op[:4]


def add_op(op: list[Any]) -> list[Any]:
    _, folder, name, file = array(op, 4)[:4]
    exact(folder, 16)
    file_name(name)
    exact(file, 16)
    return op[:4]


def take_op(op: list[Any]) -> list[Any]:
    add_op(op)
    for dot in array(array(op, 5)[4]):
        device, clock, place = array(dot, 3)[:3]
        exact(device, 16)
        uint(clock)
        uint(place, 100000)
    return op[:5]


def record_op(op: list[Any]) -> list[Any]:
    _, content, size, media_type, parts = array(op, 5)[:5]
    exact(content, 32)
    uint(size, 1 << 63)
    text(media_type, 128)
    sizes = []
    for part in array(parts, 1, 1048576):
        name, epoch, salt, commitment, held, stored = array(part, 6)[:6]
        exact(name, 16)
        uint(epoch, 1 << 32)
        exact(salt, 24)
        exact(commitment, 32)
        uint(stored)
        sizes.append(uint(held))
    if sizes != [size_of_part(size, i) for i in range(len(sizes))] or sum(sizes) != size:
        raise Refused("parts that do not add up")
    return op[:5]


def look_op(op: list[Any]) -> list[Any]:
    _, content, pack, media_type, tags, facts, details, thumbnail, unreadable = array(op, 9)[:9]
    exact(content, 32)
    text(pack, 64)
    text(media_type, 128)
    for item in array(tags):
        tag, confidence = array(item, 2)[:2]
        text(tag, 64)
        uint(confidence, 1001)
    check_facts(mapping(facts))
    for reference in (details, thumbnail):
        if reference is not None:
            held_in, offset, length = array(reference, 3)[:3]
            exact(held_in, 32)
            uint(offset, 1 << 40)
            uint(length, 1 << 30)
    if unreadable is not None:
        text(unreadable, 256)
    return op[:9]


def check_facts(facts: dict[int, Any]) -> None:
    for key, value in facts.items():
        if key in (1, 2):
            uint(value, 1 << 31)
        elif key == 3:
            uint(value, 9)
        elif key in (4, 5, 6, 10):
            text(value, 256)
        elif key == 7:
            latitude, longitude, altitude = array(value, 3)[:3]
            number(latitude, 90)
            number(longitude, 180)
            if altitude is not None:
                number(altitude, 1000000)
        elif key == 8:
            exact(value, 8)
        elif key == 9:
            country, region, town = array(value, 3)[:3]
            if not re.fullmatch("[A-Z][A-Z]", text(country, 2)):
                raise Refused("a country is not two capital letters")
            for name in (region, town):
                if name is not None and not re.fullmatch("[^\0-\x1f\x7f]+", text(name, 128)):
                    raise Refused("a place has no name, or control characters in it")
        elif key == 11:
            for face in array(value, most=64):
                name, left, top, right, bottom = array(face, 5)[:5]
                if not re.fullmatch("[^\0-\x1f\x7f]+", text(name, 255)):
                    raise Refused("a marked face has no name, or control characters in it")
                sides = [uint(side, 65536) for side in (left, top, right, bottom)]
                if sides[0] >= sides[2] or sides[1] >= sides[3]:
                    raise Refused("a marked face without width or height")
        elif key == 12:
            for keyword in array(value, most=64):
                if not re.fullmatch("[^\0-\x1f\x7f]+", text(keyword, 128)):
                    raise Refused("an empty keyword, or control characters in it")
        elif key == 13:
            uint(value, 11)


OPERATIONS: dict[int, Callable[[list[Any]], list[Any] | None]] = {
    1: register_op,
    2: word_op,
    3: add_op,
    4: take_op,
    5: record_op,
    6: look_op,
}


def read_op(op: Any) -> list[Any] | None:
    kind = uint(array(op, 1)[0])
    if kind > 6:
        return None
    if kind == 0:
        raise Refused("an operation of kind 0")
    return OPERATIONS[kind](op)


def read_unit(data: bytes) -> Unit:
    if len(data) > LARGEST_UNIT:
        raise Refused("a unit that is too long")
    ident, clock, ops, *more = array(cbor(data), 3)
    checked = tuple(read_op(op) for op in array(ops, most=100000))
    mark = more[0] if more else None
    if mark is not None and octets(mark, 16) and len(mark) != 16:
        raise Refused("the mark of a unit")
    return Unit(exact(ident, 16), uint(clock), checked, mark)


# --- Merging -------------------------------------------------------------------------------------

Stamp = tuple[int, bytes, int]
"""Clock, device, and minus the number of the operation: the greatest counts."""


@dataclass(frozen=True)
class Entry:
    """One name in a listed folder. ``content`` overrides that of the file (a second write)."""

    name: bytes
    folder: bytes = b""
    file: bytes = b""
    content: list[Any] | None = None


@dataclass
class State:
    """What a set of operations amounts to."""

    registers: dict[tuple[int, bytes, int], tuple[Stamp, Any]] = field(default_factory=dict)
    contents: dict[bytes, dict[Stamp, Any]] = field(default_factory=lambda: defaultdict(dict))
    words: dict[tuple[bytes, str], tuple[Stamp, int]] = field(default_factory=dict)
    adds: dict[tuple[bytes, bytes, bytes], set[Any]] = field(
        default_factory=lambda: defaultdict(set)
    )
    takes: dict[tuple[bytes, bytes, bytes], set[Any]] = field(
        default_factory=lambda: defaultdict(set)
    )
    records: dict[bytes, dict[Stamp, Record]] = field(default_factory=lambda: defaultdict(dict))
    looks: dict[tuple[bytes, str], tuple[Stamp, list[Any]]] = field(default_factory=dict)

    def apply(self, device: bytes, unit: Unit) -> None:
        for place, op in enumerate(unit.ops):
            if op is not None:
                self.apply_op((unit.clock, device, -place), op)

    def apply_op(self, stamp: Stamp, op: list[Any]) -> None:
        kind = op[0]
        if kind == 1:
            _, entity, ident, which, value = op
            greatest(self.registers, (entity, ident, which), stamp, value)
            if which == CONTENT:
                self.contents[ident][stamp] = value
        elif kind == 2:
            greatest(self.words, (op[1], op[2]), stamp, op[3])
        elif kind == 3:
            self.adds[op[1], op[2], op[3]].add((stamp[1], stamp[0], -stamp[2]))
        elif kind == 4:
            self.takes[op[1], op[2], op[3]].update(tuple(dot[:3]) for dot in op[4])
        elif kind == 5:
            parts = tuple(Part(*part[:6]) for part in op[4])
            self.records[op[1]][stamp] = Record(op[1], op[2], op[3], parts)
        elif kind == 6:
            greatest(self.looks, (op[1], op[2]), stamp, op)

    def get(self, entity: int, ident: bytes, which: int, default: Any = None) -> Any:
        held = self.registers.get((entity, ident, which))
        return default if held is None or held[1] is None else held[1]

    def live_entries(self) -> set[tuple[bytes, bytes, bytes]]:
        """Return (folder, name, file) of every entry that was added and not taken back."""
        return {entry for entry, dots in self.adds.items() if dots - self.takes[entry]}

    def trash(self) -> list[bytes]:
        """Return the files in the trash."""
        listed = {file for _, _, file in self.live_entries()}
        return sorted(
            ident
            for entity, ident, which in self.registers
            if (entity, which) == (FILE, TRASHED)
            and ident not in listed
            and self.get(FILE, ident, TRASHED) is not None
            and self.get(FILE, ident, PURGED) is None
        )

    def records_of(self, content: bytes) -> list[Record]:
        """Return the records of a content that count, the one to use first."""
        found = self.records.get(content, {})
        order = [found[s] for s in sorted(found, key=lambda s: (s[0], s[1], -s[2]))]
        condemned = self.get(PHOTO, content, CONDEMNED, ())
        return [record for record in order if record.parts[0].name not in condemned]

    def second_writes(self, file: bytes) -> list[list[Any]]:
        """Return contents that other writes put in the place of what the last one replaced."""
        held = self.registers.get((FILE, file, CONTENT))
        if held is None or held[1] is None or len(held[1]) < 3 or held[1][2] is None:
            return []
        beside = {}
        for value in self.contents[file].values():
            if value is None or len(value) < 3 or value[2] != held[1][2]:
                continue
            if value[0] != held[1][0]:
                beside[value[0]] = value
        return [beside[key] for key in sorted(beside)]

    def tags_of(self, file: bytes) -> set[str]:
        """Return the ids of a file's tags, as far as they follow without the graph of concepts.

        The document does not say what lies above or below a concept: what the user said is applied
        to the very tag only.
        """
        value = self.get(FILE, file, CONTENT)
        photo = file if value is None else value[0]
        newest: dict[str, tuple[Stamp, list[Any]]] = {}
        for (content, pack), held in sorted(self.looks.items(), key=lambda look: look[0]):
            name = pack.rpartition("-")[0] or pack
            if content == photo and (name not in newest or newest[name][0] <= held[0]):
                newest[name] = held
        tags = {item[0] for _, look in newest.values() for item in look[4]}
        for (about, tag), (_, word) in self.words.items():
            if about == photo and word == 1:
                tags.add(tag)
            if about == photo and word == 2:
                tags.discard(tag)
        return {self.merged(tag) for tag in tags}

    def merged(self, tag: str) -> str:
        """Follow TAG_MERGED; in a cycle the merge with the greatest stamp does not hold."""
        way = [tag]
        while (above := self.get(TAG, way[-1].encode(), TAG_MERGED)) is not None:
            if above in way:
                cycle = way[way.index(above) :]
                return max(cycle, key=lambda t: self.registers[TAG, t.encode(), TAG_MERGED][0])
            way.append(above)
        return way[-1]


def greatest(held: dict[Any, Any], key: Any, stamp: Stamp, value: Any) -> None:
    if key not in held or held[key][0] < stamp:
        held[key] = (stamp, value)


class Tree:
    """The user's folders, as the merged state lists them."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.places = {
            ident: held
            for (entity, ident, which), held in state.registers.items()
            if (entity, which) == (FOLDER, PLACE) and ident not in (ROOT, UNFILED)
        }
        self.entries: dict[bytes, list[tuple[bytes, bytes]]] = defaultdict(list)
        for folder, name, file in state.live_entries():
            self.entries[folder].append((name, file))
        self.parent = self.effective_parents()
        self.children: dict[bytes, list[bytes]] = defaultdict(list)
        for folder in self.listed_folders():
            self.children[self.parent[folder]].append(folder)

    def effective_parents(self) -> dict[bytes, bytes]:
        parent = {}
        for folder, (_, value) in self.places.items():
            parent[folder] = value[0] if value[0] in self.places else ROOT
        done = {ROOT}
        for start in sorted(parent):
            way: list[bytes] = []
            at = start
            while at not in done and at not in way:
                way.append(at)
                at = parent[at]
            if at in way:
                cycle = way[way.index(at) :]
                parent[max(cycle, key=lambda f: self.places[f][0])] = ROOT
            done.update(way)
        return parent

    def listed_folders(self) -> set[bytes]:
        listed: set[bytes] = set()
        for folder, (_, value) in self.places.items():
            if value[2] or self.entries.get(folder):
                at = folder
                while at != ROOT and at not in listed:
                    listed.add(at)
                    at = self.parent[at]
        return listed

    def list(self, united: tuple[bytes, ...] = (ROOT,)) -> list[tuple[Entry, tuple[bytes, ...]]]:
        """Return the entries of folders that are one; with a folder, all that unite in it."""
        folders: dict[bytes, list[bytes]] = defaultdict(list)
        files: dict[bytes, set[bytes]] = defaultdict(set)
        for above in united:
            for folder in self.children[above]:
                folders[self.places[folder][1][1]].append(folder)
            for name, file in self.entries[above]:
                files[name].add(file)
        out = []
        later = []
        for name in sorted(folders):
            group = tuple(sorted(folders[name]))
            out.append((Entry(name, folder=group[0]), group))
        for name in sorted(files):
            for place, file in enumerate(sorted(files[name])):
                if place or name in folders:
                    later.append((name, file, Entry(name, file=file)))
                else:
                    out.append((Entry(name, file=file), ()))
                for value in self.state.second_writes(file):
                    later.append((name, value[0], Entry(name, file=file, content=value)))
        taken = set(folders) | set(files)
        for name, ident, entry in later:
            own = suffixed(name, ident, taken)
            taken.add(own)
            out.append((Entry(own, file=entry.file, content=entry.content), ()))
        return out

    def walk(self) -> Iterator[tuple[bytes, Entry]]:
        """Give path and entry of everything below the root, a folder before what is in it."""
        waiting: list[tuple[bytes, tuple[bytes, ...]]] = [(b"", (ROOT,))]
        while waiting:
            above, united = waiting.pop()
            for entry, group in self.list(united):
                path = above + b"/" + entry.name if above else entry.name
                yield path, entry
                if group:
                    waiting.append((path, group))

    def unfiled(self) -> list[tuple[Entry, tuple[bytes, ...]]]:
        return self.list((UNFILED,))


def suffixed(name: bytes, ident: bytes, taken: set[bytes]) -> bytes:
    """Return ``stem~xxxxxxxx.ext`` that is not taken."""
    dot = name.rfind(b".")
    if dot <= 0 or len(name) - dot - 1 > 16:
        dot = len(name)
    stem, ext = name[:dot], name[dot:]
    for digits in (8, 16, len(ident) * 2):
        mark = b"~" + ident.hex()[:digits].encode()
        own = stem[: 255 - len(mark) - len(ext)] + mark + ext
        if own not in taken:
            return own
    raise Refused("no name is left for an entry")


# --- How to read a vault -------------------------------------------------------------------------


class Vault:
    """A vault that was opened and whose journal was read."""

    def __init__(
        self, remote: AnyRemote, passphrase: str | None = None, words: str | None = None
    ) -> None:
        self.remote = remote
        self.header = newest_header(remote)
        self.ring = open_header(self.header, passphrase, words)
        self.journal = Journal(remote, self.ring, self.header.devices)
        self.state = State()
        for device, unit in self.journal.units():
            self.state.apply(device, unit)
        self.tree = Tree(self.state)

    @property
    def problems(self) -> list[str]:
        return self.journal.problems

    def content_of(self, entry: Entry) -> list[Any] | None:
        return entry.content or self.state.get(FILE, entry.file, CONTENT)

    def read(self, entry: Entry) -> bytes:
        """Return the bytes of a file."""
        pieces: list[bytes] = []
        self.read_into(entry, pieces.append, pieces.clear)
        return b"".join(pieces)

    def read_into(
        self, entry: Entry, take: Callable[[bytes], Any], again: Callable[[], Any]
    ) -> None:
        """Give the bytes of a file to ``take``; ``again`` is called when a record fails."""
        value = self.content_of(entry)
        if value is None:
            return
        refusal = Refused(f"content {value[0].hex()} has no record")
        for record in self.state.records_of(value[0]):
            try:
                if record.size != value[1]:
                    raise Refused(f"content {value[0].hex()} has another size than its file")
                read_content(self.remote, self.ring, record, take)
                return
            except Refused as e:
                refusal = e
                again()
        raise refusal

    def mode(self, entry: Entry) -> int:
        if entry.folder:
            return self.state.get(FOLDER, entry.folder, MODE, 0o755)
        return self.state.get(FILE, entry.file, MODE, 0o644)

    def mtime_ns(self, entry: Entry) -> int | None:
        if entry.folder:
            return self.state.get(FOLDER, entry.folder, MTIME)
        return self.state.get(FILE, entry.file, MTIME)

    def target(self, entry: Entry) -> bytes | None:
        return self.state.get(FILE, entry.file, TARGET) if entry.file else None

    def tag_name(self, tag: str) -> str:
        return self.state.get(TAG, tag.encode(), TAG_NAME, tag)

    def trash(self) -> list[Entry]:
        """Return the deleted files, under the first name that each had."""
        taken: set[bytes] = set()
        out = []
        for file in self.state.trash():
            places = self.state.get(FILE, file, TRASHED)[1]
            name = places[0][1] if places else file.hex().encode()
            if name in taken:
                name = suffixed(name, file, taken)
            taken.add(name)
            out.append(Entry(name, file=file))
        return out


class Writer:
    """Writes a vault's files below a folder."""

    def __init__(self, vault: Vault, out: Path) -> None:
        self.vault = vault
        self.out = os.fsencode(out)
        self.written: dict[tuple[bytes, bytes], bytes] = {}
        self.links: list[tuple[bytes, Entry]] = []
        self.folders: list[tuple[bytes, Entry]] = []
        self.tags: dict[str, list[str]] = {}

    def write_all(self) -> None:
        self.write_under(b"tree", self.vault.tree.walk())
        unfiled = ((entry.name, entry) for entry, _ in self.vault.tree.unfiled())
        self.write_under(b"unfiled", unfiled)
        self.write_under(b"trash", ((entry.name, entry) for entry in self.vault.trash()))
        for path, entry in self.links:
            os.symlink(self.vault.target(entry) or b"", path)
            self.set_times(path, entry)
        for path, entry in reversed(self.folders):
            os.chmod(path, self.vault.mode(entry))
            self.set_times(path, entry)
        tags = json.dumps(self.tags, indent=1, sort_keys=True) + "\n"
        Path(os.fsdecode(self.out), "tags.json").write_text(tags)

    def write_under(self, top: bytes, entries: Iterable[tuple[bytes, Entry]]) -> None:
        base = os.path.join(self.out, top)
        os.makedirs(base)
        for below, entry in entries:
            path = os.path.join(base, below)
            if entry.folder:
                os.mkdir(path, 0o700)
                self.folders.append((path, entry))
                continue
            self.note_tags(os.path.join(top, below), entry)
            if self.vault.target(entry) is not None:
                self.links.append((path, entry))
                continue
            key = (entry.file, entry.content[0] if entry.content else b"")
            if key in self.written:
                os.link(self.written[key], path)
            else:
                self.write_file(path, entry)
                self.written[key] = path

    def note_tags(self, path: bytes, entry: Entry) -> None:
        tags = self.vault.state.tags_of(entry.file)
        if tags:
            self.tags[os.fsdecode(path)] = sorted(self.vault.tag_name(tag) for tag in tags)

    def write_file(self, path: bytes, entry: Entry) -> None:
        with open(path, "xb") as file:

            def again() -> None:
                file.seek(0)
                file.truncate()

            try:
                self.vault.read_into(entry, file.write, again)
            except Refused as e:
                self.vault.problems.append(f"{os.fsdecode(path)}: {e}")
        os.chmod(path, self.vault.mode(entry))
        self.set_times(path, entry)

    def set_times(self, path: bytes, entry: Entry) -> None:
        mtime = self.vault.mtime_ns(entry)
        if mtime is not None:
            os.utime(path, ns=(mtime, mtime), follow_symlinks=False)


# --- Recovery without a journal ------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """A whole content that trailers alone led to."""

    trailer: Trailer
    parts: tuple[tuple[Part, int], ...]
    """Parts in their order, with their numbers."""


def find_contents(remote: AnyRemote, ring: Ring, problems: list[str]) -> list[Found]:
    """Group the objects of a vault by what their trailers say."""
    sets: dict[tuple[bytes, int, int], dict[int, tuple[Part, Trailer]]] = defaultdict(dict)
    for path in remote.names("o/"):
        stored = remote.get(path) or b""
        name = bytes.fromhex(path[2:].replace("/", ""))
        try:
            epoch, salt, commitment = head_of(stored)
            trailer = open_trailer(ring, name, epoch, salt, stored[-SEALED_TRAILER:])
            part = Part(name, epoch, salt, commitment, trailer.size, len(stored))
            open_chunks(ring, part, trailer.number, stored)
        except Refused as e:
            problems.append(f"{path}: {e}")
            continue
        key = (trailer.content, trailer.count, trailer.total)
        sets[key].setdefault(trailer.number, (part, trailer))
    whole = []
    for (content, count, _), parts in sorted(sets.items()):
        if len(parts) < count:
            problems.append(f"content {content.hex()}: {count - len(parts)} parts are missing")
            continue
        whole.append(Found(parts[0][1], tuple((parts[i][0], i) for i in range(count))))
    return whole


def read_found(remote: AnyRemote, ring: Ring, found: Found, take: Callable[[bytes], Any]) -> None:
    record = Record(
        found.trailer.content,
        found.trailer.total,
        found.trailer.media_type,
        tuple(part for part, _ in found.parts),
    )
    read_content(remote, ring, record, take)


def recover(remote: AnyRemote, ring: Ring, out: Path) -> list[str]:
    """Write every whole content, packs too, to a folder; return the problems."""
    problems: list[str] = []
    base = os.path.join(os.fsencode(out), b"contents")
    os.makedirs(base)
    taken: set[bytes] = set()
    for found in find_contents(remote, ring, problems):
        name = found.trailer.name or found.trailer.content.hex().encode()
        if name in taken:
            name = suffixed(name, found.trailer.content, taken)
        taken.add(name)
        path = os.path.join(base, name)
        with open(path, "xb") as file:
            try:
                read_found(remote, ring, found, file.write)
            except Refused as e:
                problems.append(f"{os.fsdecode(name)}: {e}")
        os.utime(path, ns=(found.trailer.mtime_ns, found.trailer.mtime_ns))
    return problems


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write the files of a tagfs vault to a folder.")
    parser.add_argument("remote", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--words", action="store_true", help="standard input is the 24 words")
    parser.add_argument("--from-trailers", action="store_true", help="do without the journal")
    options = parser.parse_args(arguments)
    secret = sys.stdin.read().removesuffix("\n")
    secrets = {"words": secret} if options.words else {"passphrase": secret}
    remote = Remote(options.remote)
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        if options.from_trailers:
            problems = recover(remote, open_header(newest_header(remote), **secrets), options.out)
        else:
            vault = Vault(remote, **secrets)
            Writer(vault, options.out).write_all()
            problems = vault.problems
    except Refused as e:
        print(f"{e.outcome}: {e}", file=sys.stderr)
        return 1
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
