"""What daemon and worker say to each other: length-prefixed CBOR, every length bounded.

A request is a head and the picture's bytes behind it; an answer is one map. The daemon trusts
nothing that a worker says: a worker has read whatever somebody sent.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import cbor2

from tagfs.errors import Integrity
from tagfs.model import Facts, Located, Place, Scored, Seen, TagId
from tagfs.vault.facts import decode_facts, encode_facts

MAX_PICTURE = 256 * 1024 * 1024
"""Bytes of a picture that is looked at; larger ones are kept and called too large."""
MAX_HEAD = 4096
MAX_ANSWER = 1024 * 1024
MAX_TAGS = 4096
MAX_PACKS = 32
NO_FACTS = Facts()
_LENGTH = struct.Struct(">I")


PLACES = "application/x-tagfs-places"
"""Media type of a request that asks where positions lie; its bytes are of ``pack_places``."""
MAX_PLACES = 1024
SIDECAR = "application/x-tagfs-sidecar"
"""Media type of a request that asks what a sidecar states; its bytes are of ``pack_sidecar``."""
MAX_SIDECAR = 256 * 1024
"""Bytes of a sidecar that is read; longer ones are no more than files."""


@dataclass(frozen=True, slots=True)
class Request:
    """One picture to look at, or, with a ``side``, to be made a PNG of at most so many pixels
    along each side; or, of the type PLACES, positions, of SIDECAR an XMP packet. ``now`` is in
    seconds since 1970."""

    media_type: str
    now: float
    data: bytes
    side: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What a worker answers; all empty when it says that it is ready."""

    tags: tuple[Scored, ...] = ()
    scores: tuple[Scored, ...] = ()
    embedding: bytes = b""
    thumbnail: bytes = b""  # JPEG; of a request with a side the PNG
    facts: Facts = NO_FACTS
    unreadable: str | None = None
    more: tuple[Seen, ...] = ()
    located: tuple[Located | None, ...] = ()  # of a request of the type PLACES


def request_head(media_type: str, size: int, now: float, side: int = 0) -> bytes:
    """Return what goes before the bytes of a picture."""
    head = cbor2.dumps([media_type, size, now, side])
    return _LENGTH.pack(len(head)) + head


def pack_places(places: Sequence[Place]) -> bytes:
    """Return at most MAX_PLACES positions as the bytes of a request."""
    return cbor2.dumps([[place.latitude, place.longitude] for place in places[:MAX_PLACES]])


def read_places(data: bytes) -> list[Place]:
    """Return the positions of a request."""
    return [Place(latitude, longitude) for latitude, longitude in cbor2.loads(data)]


def pack_sidecar(packet: bytes, facts: Facts) -> bytes:
    """Return an XMP packet, and how the picture beside it lies, as the bytes of a request."""
    return cbor2.dumps([packet[:MAX_SIDECAR], facts.orientation, facts.width, facts.height])


def read_sidecar(data: bytes) -> tuple[bytes, int | None, tuple[int, int] | None]:
    """Return packet, EXIF orientation and upright size of a request, as far as they are known."""
    packet, orientation, width, height = cbor2.loads(data)
    return packet, orientation, (width, height) if width and height else None


def read_request(source: BinaryIO) -> Request | None:
    """Read one request; None at the end."""
    head = _read_block(source, MAX_HEAD)
    if head is None:
        return None
    media_type, size, now, side = cbor2.loads(head)
    if not 0 <= size <= MAX_PICTURE:
        raise Integrity("A request is too long.")
    data = source.read(size)
    return None if len(data) != size else Request(media_type, now, data, side)


def write_result(target: BinaryIO, result: Result) -> None:
    """Write one answer."""
    body = cbor2.dumps(
        {
            1: _pairs(result.tags),
            2: _pairs(result.scores),
            3: result.embedding,
            4: result.thumbnail,
            5: encode_facts(result.facts),
            6: result.unreadable,
            7: [
                [seen.pack, _pairs(seen.tags), _pairs(seen.scores), seen.features]
                for seen in result.more
            ],
            8: [encode_facts(Facts(located=where)) for where in result.located],
        }
    )
    target.write(_LENGTH.pack(len(body)) + body)
    target.flush()


def answer_length(prefix: bytes) -> int:
    """Return how long the answer behind these four bytes is; raises Integrity."""
    (length,) = _LENGTH.unpack(prefix)
    if length > MAX_ANSWER:
        raise Integrity("A worker's answer is too long.")
    return int(length)


def read_answer(body: bytes) -> Result:
    """Read an answer; raises Integrity for anything but a well-formed one."""
    try:
        raw = cbor2.loads(body)
        unreadable = raw[6]
        if unreadable is not None and not (isinstance(unreadable, str) and len(unreadable) <= 256):
            raise ValueError("reason")
        return Result(
            _scored(raw[1]),
            _scored(raw[2]),
            _blob(raw[3], 64 * 1024),
            _blob(raw[4], 256 * 1024),
            decode_facts(raw[5]),
            unreadable,
            _others(raw[7]),
            tuple(decode_facts(each).located for each in raw[8][:MAX_PLACES]),
        )
    except (
        cbor2.CBORDecodeError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
    ) as e:
        raise Integrity(f"A worker's answer is malformed ({type(e).__name__}).") from e


def _read_block(source: BinaryIO, limit: int) -> bytes | None:
    prefix = source.read(4)
    if len(prefix) < 4:
        return None
    (length,) = _LENGTH.unpack(prefix)
    if length > limit:
        raise Integrity("A request's head is too long.")
    return source.read(length)


def _pairs(scored: tuple[Scored, ...]) -> list[list[str | float]]:
    return [[s.tag, s.confidence] for s in scored]


def _others(raw: Any) -> tuple[Seen, ...]:
    if not isinstance(raw, list) or len(raw) > MAX_PACKS:
        raise ValueError("packs")
    found = []
    for pack, tags, scores, features in raw:
        if not isinstance(pack, str) or not 0 < len(pack) <= 64:
            raise ValueError("pack")
        found.append(Seen(pack, _scored(tags), _scored(scores), _blob(features, 64 * 1024 - 1)))
    return tuple(found)


def _scored(raw: Any) -> tuple[Scored, ...]:
    if not isinstance(raw, list) or len(raw) > MAX_TAGS:
        raise ValueError("tags")
    found = []
    for tag, confidence in raw:
        if not isinstance(tag, str) or len(tag) > 64 or not isinstance(confidence, float):
            raise ValueError("tag")
        if not math.isfinite(confidence) or not 0 <= confidence <= 1.001:
            raise ValueError("confidence")
        found.append(Scored(TagId(tag), min(confidence, 1.0)))
    return tuple(found)


def _blob(raw: Any, limit: int) -> bytes:
    if not isinstance(raw, bytes) or len(raw) > limit:
        raise ValueError("bytes")
    return raw
