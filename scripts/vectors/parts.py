"""Vectors of sealed parts."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

from scripts.vectors.source import (
    b64,
    counted,
    pattern,
    ring_json,
    the_ring,
)
from tagfs.crypto.chunked import StreamKeys
from tagfs.model import (
    CHUNK,
    PART,
    Content,
    ObjectName,
)
from tagfs.vault.keys import KeyRing
from tagfs.vault.layout import (
    HEAD,
    KIND_PART,
    STEP,
    context,
)
from tagfs.vault.objects import ContentWriter


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
