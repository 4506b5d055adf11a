#!/usr/bin/env python3
"""Write tests/vectors/*.json: what docs/format.md says, as bytes, made from fixed randomness.

    python scripts/make_vectors.py            # write
    python scripts/make_vectors.py --check    # say whether the files are what would be written

The same code and the same zlib give the same files. Byte strings are hex, or base64 where the
key ends in ``_b64``. Negative vectors say which kind of refusal is right:
``wrong-secret`` (exit 3), ``not-a-vault`` or ``newer-vault`` (exit 4), ``integrity`` (exit 6).
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import os
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tagfs.crypto.chunked import StreamKeys  # noqa: E402
from tagfs.crypto.contentid import content_id  # noqa: E402
from tagfs.crypto.kdf import KdfParams, argon2id, derive  # noqa: E402
from tagfs.crypto.padding import padme  # noqa: E402
from tagfs.crypto.recipients import public_of  # noqa: E402
from tagfs.model import (  # noqa: E402
    CHUNK,
    PART,
    UNFILED,
    Content,
    ContentId,
    DeviceId,
    Facts,
    FileId,
    FolderId,
    ObjectName,
    Place,
    Scored,
    TagId,
    UnitId,
    Word,
)
from tagfs.model import (  # noqa: E402
    ROOT as ROOT_FOLDER,
)
from tagfs.vault import cbor, header, segments  # noqa: E402
from tagfs.vault.device import DeviceKeys, certificate_name, certify  # noqa: E402
from tagfs.vault.header import create_header, next_header, with_passphrase  # noqa: E402
from tagfs.vault.keys import KeyRing  # noqa: E402
from tagfs.vault.layout import (  # noqa: E402
    HEAD,
    KIND_CERTIFICATE,
    KIND_PART,
    KIND_SEGMENT,
    STEP,
    certificate_path,
    context,
    header_path,
    object_path,
    padded_size,
    segment_path,
    stored_size,
)
from tagfs.vault.messages import open_message, seal_message  # noqa: E402
from tagfs.vault.objects import ContentWriter  # noqa: E402
from tagfs.vault.ops import (  # noqa: E402
    AddEntry,
    Entity,
    Field,
    RecordAnalysis,
    RecordContent,
    RemoveEntry,
    SetRegister,
    SetWord,
    Unit,
    encode_unit,
)
from tagfs.vault.packs import MEDIA_TYPE, PackBuilder  # noqa: E402
from tagfs.vault.segments import SegmentWriter, segment_name  # noqa: E402
from tagfs.vault.slots import Passphrase  # noqa: E402
from tagfs.vault.words import to_words  # noqa: E402

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


# -- files ---------------------------------------------------------------------------------


def keys_file() -> dict[str, Any]:
    """Key derivation, Padmé, Argon2id, content ids, names."""
    ring = the_ring()
    device = DeviceId(counted("device")(16))
    of_epoch = [
        {
            "epoch": e.number,
            "object": ring.object_key(e.number).hex(),
            "segment": ring.segment_key(e.number).hex(),
            "header": ring.header_key(e.number).hex(),
            "certificate": ring.certificate_key(e.number).hex(),
            "signing_public": e.signer_public().hex(),
        }
        for e in ring.epochs
    ]
    stream = StreamKeys.derive(ring.object_key(1), bytes(24), b"context")
    return {
        "ring": ring_json(ring),
        "of_epoch": of_epoch,
        "names_key": ring.names_key().hex(),
        "tag_key": ring.tag_key().hex(),
        "derive": [
            {
                "secret": secret.hex(),
                "label": label,
                "context": ctx.hex(),
                "length": length,
                "key": derive(secret, label, ctx, length).hex(),
            }
            for secret, label, ctx, length in [
                (bytes(32), "object", b"", 32),
                (pattern(32), "segment", pattern(16), 32),
                (pattern(5), "x y", b"\0", 77),
            ]
        ],
        "stream": {
            "input_key": ring.object_key(1).hex(),
            "salt": bytes(24).hex(),
            "context": b"context".hex(),
            "key": stream._key.hex(),
            "base_nonce": stream._base.to_bytes(12, "big").hex(),
            "commitment": stream.commitment.hex(),
            "chunks": [
                {
                    "counter": counter,
                    "last": last,
                    "plain": b"plain".hex(),
                    "sealed": bytes(stream.seal(counter, last, b"plain")).hex(),
                }
                for counter, last in [(0, False), (1, True), (2**32 - 1, True)]
            ],
        },
        "padme": [[n, padme(n)] for n in [*range(20), 100, 1000, 1025, 9999, 10**6, PART - 1]],
        "padded_part": [[n, padded_size(n), stored_size(n)] for n in [0, 1, 1024, 1025, PART]],
        "argon2id": [
            {
                "passphrase": passphrase,
                "salt": pattern(16, "salt").hex(),
                "memory_kib": params.memory_kib,
                "time": params.time,
                "lanes": params.lanes,
                "key": argon2id(Passphrase(passphrase).encode(), pattern(16, "salt"), params).hex(),
            }
            for passphrase, params in [
                (PASSPHRASE, CHEAP),
                ("bättery", KdfParams(64 * 1024, 3, 4)),
                ("ba\u0308ttery", KdfParams(64 * 1024, 3, 4)),
            ]
        ],
        "argon2id_refused": [
            [64 * 1024 - 1, 3, 1],
            [64 * 1024, 2, 1],
            [64 * 1024, 3, 0],
            [2 * 1024 * 1024 + 1, 3, 1],
            [64 * 1024, 17, 1],
            [64 * 1024, 3, 17],
        ],
        "words": [{"entropy": e.hex(), "words": to_words(e)} for e in (bytes(32), ENTROPY)],
        "content_ids": [
            {
                "seed": str(n),
                "size": n,
                "id": content_id(ring.content_key, pattern(n, str(n))).hex(),
            }
            for n in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5)
        ],
        "names": {
            "device": device.hex(),
            "segments": [[n, segment_path(segment_name(ring, device, n))] for n in (1, 2, 10**9)],
            "certificates": [
                [e.number, certificate_path(certificate_name(ring, device, e.number))]
                for e in ring.epochs
            ],
            "object": object_path(ObjectName(pattern(16))),
            "header": header_path(42),
        },
    }


def header_file() -> dict[str, Any]:
    """A first header, one after a new passphrase, one after a rotation, and broken ones."""
    ring = first_epoch(the_ring())
    device = DeviceKeys.create(counted("device"))
    random, seal = counted("header"), FixedHpke(counted("hpke"))
    one, info = create_header(ring, Passphrase(PASSPHRASE), ENTROPY, device, CHEAP, random, seal)
    changed = with_passphrase(ring, info, Passphrase("new"), CHEAP, random)
    two, info_two = next_header(ring, changed, random, seal)
    three, _ = next_header(the_ring(), info_two, random, seal)
    refused = replace(
        info,
        slots=tuple(
            replace(s, params=KdfParams(2**22, 3, 1)) if s.params else s for s in info.slots
        ),
    )
    foreign = KeyRing(ring.vault, KeyRing.create(counted("foreign")).epochs, ring.content_key)
    forged = next_header(foreign, info, random, seal)[0]
    features = _with_body(ring, one, lambda body: body.update({7: [1]}))
    later = _with_body(ring, one, lambda body: body.update({99: "later"}))
    flips = [0, 71, 8 * 9, 8 * 9 + 7, 8 * 11, 8 * 60, 8 * 150, 8 * 400, len(one) * 8 - 1]
    return {
        "passphrase": PASSPHRASE,
        "words": to_words(ENTROPY),
        "device": {
            "id": device.id.hex(),
            "exchange_private": device.exchange_private.hex(),
            "signing_seed": device.signing_seed.hex(),
        },
        "good": [
            {
                "generation": generation,
                "header_b64": b64(data),
                "passphrase": passphrase,
                "ring": ring_json(owner),
            }
            for generation, data, passphrase, owner in [
                (1, one, PASSPHRASE, ring),
                (2, two, "new", ring),
                (3, three, "new", the_ring()),
                (1, later, PASSPHRASE, ring),
            ]
        ],
        "bad": [
            *(_bad(f"bit {bit} flipped", one, flip=bit) for bit in flips),
            *(_bad(f"cut to {n} bytes", one, cut=n) for n in (0, 13, 100, len(one) - 1)),
            _bad("one byte more", one, append="00"),
            {"what": "the words of another vault", "words": to_words(bytes(32))}
            | {"generation": 1, "header_b64": b64(one), "refusal": ["wrong-secret"]},
            {"what": "the old passphrase after a change", "passphrase": PASSPHRASE}
            | {"generation": 2, "header_b64": b64(two), "refusal": ["wrong-secret"]},
            {"what": "Argon2id costs out of bounds, which must not reach the KDF"}
            | {"passphrase": PASSPHRASE, "generation": 1, "refusal": ["integrity"]}
            | {"header_b64": b64(header._encode(ring, refused, random, seal))},
            {"what": "generation 1 under the name of generation 2", "passphrase": PASSPHRASE}
            | {"generation": 2, "header_b64": b64(one), "refusal": ["integrity"]},
            {"what": "a ring of the provider's own, sealed to the public keys"}
            | {"passphrase": PASSPHRASE, "generation": 2, "refusal": ["integrity"]}
            | {"header_b64": b64(forged)},
            {"what": "a needed feature that is unknown", "passphrase": PASSPHRASE}
            | {"generation": 1, "header_b64": b64(features), "refusal": ["newer-vault"]},
        ],
    }


def _with_body(ring: KeyRing, data: bytes, change: Callable[[dict[int, Any]], None]) -> bytes:
    length = int.from_bytes(data[10:14], "big")
    body = cbor.decode(data[14 : 14 + length])
    change(body)
    new = cbor.encode(body)
    signed = data[:10] + len(new).to_bytes(4, "big") + new
    return signed + b"".join(
        hmac.digest(ring.header_key(e.number), signed, "sha256") for e in ring.epochs
    )


def _bad(what: str, data: bytes, **change: Any) -> dict[str, Any]:
    """Return a negative vector of the first header, as a change to it."""
    refusals = ["wrong-secret", "not-a-vault", "newer-vault", "integrity"]
    if "flip" in change:
        bit = change["flip"]
        if bit < 64:
            refusals = ["not-a-vault"]
        elif bit < 80:
            refusals = ["newer-vault", "not-a-vault"]
    return {"what": what, "passphrase": PASSPHRASE, "generation": 1, "of": 0} | {
        "change": change,
        "refusal": refusals if data else [],
    }


class Files:
    """Parts in a temporary folder."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory()

    def open(self, name: ObjectName) -> int:
        """Open or make the file of a part."""
        return os.open(Path(self.folder.name) / name.hex(), os.O_RDWR | os.O_CREAT)

    def close(self, name: ObjectName, fd: int) -> None:
        """Close it."""
        os.close(fd)

    def read(self, name: ObjectName) -> bytes:
        """Return its bytes."""
        return (Path(self.folder.name) / name.hex()).read_bytes()


def seal_content(
    ring: KeyRing, data: bytes, seed: str, name: bytes, media: str = "image/jpeg"
) -> tuple[Content, list[bytes]]:
    """Seal a content; return its record and the stored parts."""
    files = Files()
    writer = ContentWriter(ring, files.open, files.close, counted(seed))
    writer.append(data)
    content = writer.finish(name, 1_700_000_000_123_456_789, media)
    stored = [files.read(p.name) for p in content.parts]
    files.folder.cleanup()
    return content, stored


def record_json(content: Content) -> dict[str, Any]:
    """Return a content's record."""
    return {
        "id": content.id.hex(),
        "size": content.size,
        "media_type": content.media_type,
        "parts": [
            {
                "name": p.name.hex(),
                "epoch": p.epoch,
                "salt": p.salt.hex(),
                "commitment": p.commitment.hex(),
                "size": p.size,
                "stored": p.stored,
            }
            for p in content.parts
        ],
    }


def parts_file() -> dict[str, Any]:
    """Sealed parts of several sizes, and what must be refused."""
    ring = the_ring()
    good = []
    for size in (0, 5, 1025, CHUNK - 3, CHUNK + 1):
        content, (stored,) = seal_content(
            ring, pattern(size, str(size)), f"part {size}", b"IMG_\xff 1.jpg"
        )
        good.append(
            {
                "seed": str(size),
                "record": record_json(content),
                "name": b"IMG_\xff 1.jpg".hex(),
                "mtime_ns": 1_700_000_000_123_456_789,
                "number": 0,
                "count": 1,
                "stored_b64": b64(stored),
            }
        )
    two = PART + 1000
    content, stored_parts = seal_content(ring, pattern(two, "two"), "two parts", b"film.mp4")
    large = {
        "seed": "two",
        "record": record_json(content),
        "name": b"film.mp4".hex(),
        "random": "tagfs vector two parts",
        "stored_sha256": [hashlib.sha256(s).hexdigest() for s in stored_parts],
        "last_stored_b64": b64(stored_parts[1]),
    }
    index = len(good) - 1
    length = len(base64.b64decode(str(good[index]["stored_b64"])))
    changes: list[tuple[str, int, dict[str, Any]]] = [
        *((f"bit {b} flipped", 1, {"flip": b}) for b in (0, 31, 32, 8 * 28, 480, 481, 8 * 1000)),
        ("last bit flipped", 1, {"flip": (HEAD + 1024 + 16 + 528) * 8 - 1}),
        ("a bit of the last chunk flipped", index, {"flip": 8 * (HEAD + STEP + 3)}),
        *((f"cut to {n} bytes", index, {"cut": n}) for n in (0, 59, HEAD + STEP, length - 528)),
        ("one byte cut off", index, {"cut": length - 1}),
        ("one byte more", index, {"append": "00"}),
        ("chunks swapped", index, {"swap": [HEAD, HEAD + STEP, 1000]}),
        ("under another name", 1, {"as_name": bytes(16).hex()}),
        ("as part number 1", 1, {"as_number": 1}),
        ("another object of the same size", 1, {"stored_of": 0}),
        ("in another vault", 1, {"as_vault": bytes(16).hex()}),
        ("recorded with another commitment", 1, {"as_commitment": bytes(32).hex()}),
        ("recorded with another salt", 1, {"as_salt": bytes(24).hex()}),
        ("recorded in another epoch", 1, {"as_epoch": 1}),
        ("recorded in an epoch that is not there", 1, {"as_epoch": 3}),
        ("recorded longer than it is", 1, {"as_size": 2000}),
    ]
    return {
        "ring": ring_json(ring),
        "good": good,
        "large": large,
        "bad": [
            *({"what": w, "of": of, "change": c, "refusal": ["integrity"]} for w, of, c in changes),
            *_crafted_parts(ring, good[1]),
        ],
    }


def _crafted_parts(ring: KeyRing, good: dict[str, Any]) -> list[dict[str, Any]]:
    """Return parts that are properly sealed by who has the ring, and still wrong."""
    record = good["record"]["parts"][0]
    name, salt = ObjectName(bytes.fromhex(record["name"])), bytes.fromhex(record["salt"])
    stored = base64.b64decode(good["stored_b64"])
    trailer = stored[-528:]
    plain = pattern(5, "5").ljust(1024, b"\0")

    def with_chunk(number: int, counter: int, last: bool, plaintext: bytes) -> str:
        keys = StreamKeys.derive(
            ring.object_key(2), salt, context(ring.vault, KIND_PART, name, number)
        )
        return b64(stored[:HEAD] + keys.seal(counter, last, plaintext) + trailer)

    return [
        {"what": what, "of": 1, "change": {"stored_b64": data}, "refusal": ["integrity"]}
        for what, data in [
            ("the last chunk not marked as the last", with_chunk(0, 0, False, plain)),
            ("the first chunk numbered 1", with_chunk(0, 1, True, plain)),
            ("sealed as part number 1", with_chunk(1, 0, True, plain)),
            ("padding that is not zero", with_chunk(0, 0, True, plain[:-1] + b"x")),
        ]
    ]


def units() -> list[tuple[str, Unit]]:
    """Return one unit with every operation, and what a small gallery has."""
    device = DeviceKeys.create(counted("device")).id
    ids = counted("ids")
    folder, file, twin = FolderId(ids(16)), FileId(ids(16)), FileId(ids(16))
    ring = the_ring()
    picture, _ = seal_content(ring, pattern(5, "5"), "part 5", b"IMG_\xff 1.jpg")
    facts = Facts(4000, 3000, 6, "2026-11-24T20:15:00", "+01:00", "ACME 1", Place(41.9, 12.5, 21.0))
    hlc = NOW_MS << 16
    every = Unit(
        UnitId(ids(16)),
        hlc,
        device,
        (
            SetRegister(Entity.FOLDER, folder, Field.PLACE, (ROOT_FOLDER, b"2026", True)),
            SetRegister(Entity.FOLDER, folder, Field.MODE, 0o755),
            AddEntry(folder, b"IMG_\xff 1.jpg", file),
            AddEntry(UNFILED, b"twin.jpg", twin),
            SetRegister(Entity.FILE, file, Field.CONTENT, (picture.id, picture.size)),
            SetRegister(
                Entity.FILE, twin, Field.CONTENT, (picture.id, picture.size, ContentId(bytes(32)))
            ),
            SetRegister(Entity.FILE, file, Field.MTIME, -1),
            SetRegister(Entity.FILE, file, Field.TARGET, b"../target"),
            SetRegister(Entity.FILE, file, Field.TRASHED, (NOW_MS, ((folder, b"old"),))),
            SetRegister(Entity.FILE, file, Field.PURGED, NOW_MS),
            SetRegister(Entity.TAG, b"n02084071", Field.TAG_NAME, "Hund"),
            SetRegister(Entity.TAG, b"n02084071", Field.TAG_MERGED, None),
            SetRegister(Entity.TAG, b"n02084071", Field.TAG_KEPT, True),
            SetRegister(Entity.PHOTO, picture.id, Field.VIEW_NAME, b"IMG_1.jpg"),
            SetRegister(Entity.PHOTO, picture.id, Field.FAVOURITE, True),
            SetRegister(Entity.PHOTO, picture.id, Field.DATE, "2026-11"),
            SetRegister(Entity.PATH, b"n02084071/n09217230", Field.NARROWING, True),
            SetRegister(Entity.QUERY, b"dog beach", Field.QUERY, True),
            SetWord(picture.id, TagId("n02084071"), Word.NO),
            SetWord(twin, TagId("n02084071"), Word.YES),
            RemoveEntry(folder, b"IMG_\xff 1.jpg", file, ((device, hlc, 2),)),
            RecordContent(picture),
            RecordAnalysis(
                picture.id,
                "default-1",
                "image/jpeg",
                (Scored(TagId("n02084071"), 0.875),),
                facts,
                (ContentId(bytes(32)), 0, 100),
                None,
                None,
            ),
        ),
    )
    return [("every operation", every), ("no operation", Unit(UnitId(ids(16)), 0, device, ()))]


def units_file() -> dict[str, Any]:
    """Encoded units, and malformed ones."""
    head = [bytes(16), 1]
    part = [bytes(16), 1, bytes(24), bytes(32), 5, 1000]

    def with_ops(*listed: object) -> bytes:
        return cbor.encode([*head, list(listed)])

    bad: list[tuple[str, bytes]] = [
        ("empty", b""),
        ("an id of 15 bytes", cbor.encode([bytes(15), 1, []])),
        ("a clock that is no integer", cbor.encode([bytes(16), 1.0, []])),
        ("a name with a slash", with_ops([3, bytes(16), b"a/b", bytes(16)])),
        ("a name of two dots", with_ops([3, bytes(16), b"..", bytes(16)])),
        ("a name of 256 bytes", with_ops([3, bytes(16), b"x" * 256, bytes(16)])),
        ("parts that do not add up", with_ops([5, bytes(32), 6, "a/b", [part]])),
        ("a first part that is not whole", with_ops([5, bytes(32), 10, "a/b", [part, part]])),
        ("a latitude of 91", with_ops([6, bytes(32), "p", "a/b", [], {7: [91.0, 0.0, None]}])),
        ("a word that is none", with_ops([2, bytes(32), "n1", 3])),
        ("nested too deep", b"\x81" * 500 + b"\0"),
        ("an endless array", b"\x83\x50" + bytes(16) + b"\x01\x9f\xff"),
        ("an array that claims 2^60 items", b"\x9b\x10" + bytes(7)),
    ]
    skipped = with_ops([7, "later"], [1, 99, b"", 1, None], [3, bytes(16), b"n", bytes(16), "more"])
    return {
        "good": [
            {
                "what": what,
                "unit": encode_unit(unit).hex(),
                "id": unit.id.hex(),
                "hlc": unit.hlc,
                "ops": [_plain(op) for op in cbor.decode(encode_unit(unit))[2]],
            }
            for what, unit in units()
        ]
        + [
            {
                "what": "operations, entities and fields of a later version",
                "unit": skipped.hex(),
                "id": bytes(16).hex(),
                "hlc": 1,
                "ops": [
                    None,
                    None,
                    [3, {"hex": bytes(16).hex()}, {"hex": "6e"}, {"hex": bytes(16).hex()}],
                ],
            }
        ],
        "bad": [{"what": w, "unit": u.hex(), "refusal": ["integrity"]} for w, u in bad],
    }


def _plain(value: Any) -> Any:
    """Return a CBOR value as JSON: byte strings as {"hex": …}, maps as {"map": [[k, v], …]}."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {"map": [[_plain(k), _plain(v)] for k, v in value.items()]}
    return value


def segments_file() -> dict[str, Any]:
    """A certificate, a chain of three segments across a rotation, and what must be refused."""
    new, random = the_ring(), counted("segments")
    old = first_epoch(new)
    device = DeviceKeys.create(counted("device"))
    other = DeviceKeys.create(counted("other device"))
    _, first_certificate = certify(old, device, NOW_MS, "laptop", random)
    _, second_certificate = certify(new, device, NOW_MS + 1, "laptop", random)
    chain: list[dict[str, Any]] = []
    writer = SegmentWriter(old, device, None, random)
    heads = [segments.Head(other.id, 3, pattern(32))]
    for listed in ([b"unit one", b"unit two"], [], [bytes(5000)]):
        if len(chain) == 2:
            writer = SegmentWriter(new, device, writer.last, random)
        _, stored, head = writer.seal(listed, heads if chain else [])
        writer.last = head
        chain.append(
            {
                "seq": head.seq,
                "epoch": 2 if len(chain) == 2 else 1,
                "stored_b64": b64(stored),
                "prev": chain[-1]["hash"] if chain else bytes(32).hex(),
                "hash": head.hash.hex(),
                "heads": [[h.device.hex(), h.seq, h.hash.hex()] for h in (heads if chain else [])],
                "units": [u.hex() for u in listed],
            }
        )
    return {
        "ring": ring_json(new),
        "device": device.id.hex(),
        "certificates": [
            {
                "epoch": epoch,
                "path": certificate_path(certificate_name(new, device.id, epoch)),
                "stored_b64": b64(stored),
                "signing_public": device.signing_public.hex(),
                "exchange_public": device.exchange_public.hex(),
                "created_ms": created,
                "label": "laptop",
            }
            for epoch, stored, created in [
                (1, first_certificate, NOW_MS),
                (2, second_certificate, NOW_MS + 1),
            ]
        ],
        "bad_certificates": _bad_certificates(new, device, other, first_certificate, random),
        "chain": chain,
        "bad": _bad_segments(new, device, other, random),
    }


def _bad_certificates(
    ring: KeyRing,
    device: DeviceKeys,
    other: DeviceKeys,
    good: bytes,
    random: Callable[[int], bytes],
) -> list[dict[str, Any]]:
    name = certificate_name(ring, device.id, 1)
    _, payload = open_message(ring, KIND_CERTIFICATE, name, good, 4096, "")
    body = payload[64:]
    flipped = good[:100] + bytes([good[100] ^ 1]) + good[101:]
    old = first_epoch(ring)
    forged = seal_message(old, KIND_CERTIFICATE, name, other.sign(body) + body, random)
    return [
        {"what": what, "epoch": epoch, "stored_b64": b64(data), "refusal": ["integrity"]}
        for what, epoch, data in [
            ("a bit flipped", 1, flipped),
            ("cut", 1, good[:-1]),
            ("under the name of another epoch", 2, good),
            ("signed by somebody else", 1, forged),
        ]
    ]


def _bad_segments(
    ring: KeyRing, device: DeviceKeys, other: DeviceKeys, random: Callable[[int], bytes]
) -> list[dict[str, Any]]:
    """Return segments for sequence 1 of the device; the last one for its place in the chain."""

    def craft(
        body: bytes,
        signer: DeviceKeys = device,
        named: DeviceKeys = device,
        packed: bytes | None = None,
        seq: int = 1,
    ) -> bytes:
        name = segment_name(ring, device.id, seq)
        packed = zlib.compress(body, 6) if packed is None else packed
        signature = signer.sign(segments._signed(ring, name, packed))
        return seal_message(ring, KIND_SEGMENT, name, named.id + signature + packed, random)

    def body(**changes: Any) -> bytes:
        fields = {1: device.id, 2: 1, 3: bytes(32), 4: [], 5: []}
        return cbor.encode(fields | {int(k[1:]): v for k, v in changes.items()})

    good = craft(body())
    flipped = good[:200] + bytes([good[200] ^ 1]) + good[201:]
    cut = good[:-1]
    bomb = zlib.compress(bytes(segments.MAX_BODY + 1), 9)
    return [
        {"what": what, "seq": seq, "stored_b64": b64(data), "refusal": ["integrity"]}
        for what, seq, data in [
            ("a bit flipped", 1, flipped),
            ("cut", 1, cut),
            ("under the name of sequence 2", 2, good),
            ("signed by another device", 1, craft(body(), other)),
            ("naming another device", 1, craft(body(), device, other)),
            ("a body that names another device", 1, craft(body(_1=other.id))),
            ("a body that names another sequence", 1, craft(body(_2=2))),
            ("a body of more than 32 MiB", 1, craft(b"", packed=bomb)),
            ("a body that ends early", 1, craft(b"", packed=zlib.compress(body(), 6)[:-4])),
            ("bytes after the body", 1, craft(b"", packed=zlib.compress(body(), 6) + b"x")),
            ("a body that is no map", 1, craft(cbor.encode([]))),
            ("a head with a short hash", 1, craft(body(_4=[[other.id, 1, bytes(31)]]))),
        ]
    ] + [
        {
            "what": "well made, but it does not follow the segment before it",
            "seq": 2,
            "stored_b64": b64(craft(body(_2=2, _3=pattern(32)), seq=2)),
            "refusal": ["integrity"],
            "chain_only": True,
        }
    ]


def vault_file() -> dict[str, Any]:
    """A whole small vault: every object of its remote, its secrets, and what is in it."""
    random = counted("vault")
    ring = KeyRing.create(random)
    device = DeviceKeys.create(random)
    data, _ = create_header(
        ring, Passphrase(PASSPHRASE), ENTROPY, device, CHEAP, random, FixedHpke(random)
    )
    remote = {header_path(1): data}
    remote.update([certify(ring, device, NOW_MS, "laptop", random)])
    pictures = []
    for n, name in enumerate([b"dog.jpg", b"beach.jpg"]):
        content, stored = seal_content(ring, pattern(3000 + n, name.decode()), f"v{n}", name)
        pictures.append((name, content))
        remote.update((object_path(p.name), s) for p, s in zip(content.parts, stored, strict=True))
    builder = PackBuilder()
    place = builder.add_details([Scored(TagId("n02084071"), 0.9)], b"\0\x3c" * 8)
    pack, stored = seal_content(ring, builder.data(), "pack", b"", MEDIA_TYPE)
    remote.update((object_path(p.name), s) for p, s in zip(pack.parts, stored, strict=True))
    folder = FolderId(random(16))
    files = [FileId(random(16)) for _ in pictures]
    hlc = NOW_MS << 16
    listed = [
        Unit(
            UnitId(random(16)),
            hlc,
            device.id,
            (
                SetRegister(Entity.FOLDER, folder, Field.PLACE, (ROOT_FOLDER, b"2026", True)),
                *(
                    op
                    for file, (name, content) in zip(files, pictures, strict=True)
                    for op in (
                        AddEntry(folder, name, file),
                        SetRegister(Entity.FILE, file, Field.CONTENT, (content.id, content.size)),
                        SetRegister(Entity.FILE, file, Field.MTIME, 1_700_000_000_000_000_000),
                        RecordContent(content),
                    )
                ),
            ),
        ),
        Unit(
            UnitId(random(16)),
            hlc + 1,
            device.id,
            (
                RecordContent(pack),
                RecordAnalysis(
                    pictures[0][1].id,
                    "default-1",
                    "image/jpeg",
                    (Scored(TagId("n02084071"), 0.9),),
                    Facts(width=4000, height=3000),
                    (pack.id, *place),
                    None,
                    None,
                ),
                SetWord(pictures[1][1].id, TagId("n09217230"), Word.YES),
                RemoveEntry(folder, b"beach.jpg", files[1], ((device.id, hlc, 5),)),
                AddEntry(folder, b"sea.jpg", files[1]),
            ),
        ),
    ]
    writer = SegmentWriter(ring, device, None, random)
    for unit in listed:
        path, sealed, writer.last = writer.seal([encode_unit(unit)], [])
        remote[path] = sealed
    return {
        "passphrase": PASSPHRASE,
        "words": to_words(ENTROPY),
        "remote_b64": {name: b64(stored) for name, stored in sorted(remote.items())},
        "device": device.id.hex(),
        "tree": {
            "2026/dog.jpg": {"seed": "dog.jpg", "size": 3000, "tags": ["n02084071"]},
            "2026/sea.jpg": {"seed": "beach.jpg", "size": 3001, "tags": ["n09217230"]},
        },
    }


FILES: dict[str, Callable[[], dict[str, Any]]] = {
    "keys": keys_file,
    "header": header_file,
    "parts": parts_file,
    "units": units_file,
    "segments": segments_file,
    "vault": vault_file,
}


def make(name: str) -> str:
    """Return the text of one vector file."""
    content = {"format": 1, "zlib": zlib.ZLIB_RUNTIME_VERSION} | FILES[name]()
    return json.dumps(content, indent=1, ensure_ascii=True) + "\n"


def main() -> int:
    """Write the files, or compare them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    args = parser.parse_args()
    folder = ROOT / "tests" / "vectors"
    folder.mkdir(parents=True, exist_ok=True)
    different = []
    for name in FILES:
        path, text = folder / f"{name}.json", make(name)
        if not args.check:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            different.append(path.name)
    if different:
        print(f"These vectors are not what would be written: {', '.join(different)}.")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
