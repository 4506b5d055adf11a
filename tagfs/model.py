"""The nouns that every storey shares: identifiers, clocks, contents, photos and words.

Everything here is a value: frozen, hashable where it can be, free of I/O.
"""

from __future__ import annotations

import enum
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NewType, Protocol

FileId = NewType("FileId", bytes)
"""16 random bytes: one inode, in however many folders it is listed."""
FolderId = NewType("FolderId", bytes)
"""16 random bytes, or one of the two fixed folders below."""
DeviceId = NewType("DeviceId", bytes)
"""16 random bytes: one installation that writes to the vault."""
ContentId = NewType("ContentId", bytes)
"""32 bytes: keyed hash of a content (docs/format.md); the id of the photo it shows."""
UnitId = NewType("UnitId", bytes)
"""16 random bytes: one undoable act of the user (or of the pipeline)."""
ObjectName = NewType("ObjectName", bytes)
"""16 random bytes: the name of one sealed part on the remote."""
TagId = NewType("TagId", str)
"""A concept id such as ``n02084071``; with 32 hex digits behind it, ``u`` for a tag that the user
made and ``p`` for a person."""

ROOT = FolderId(bytes(16))
"""The folder whose entries stand at the root of the mount."""
UNFILED = FolderId(bytes(15) + b"\x01")
"""The folder of files that are listed in ``all/`` only."""

CHUNK = 128 * 1024
"""Plaintext bytes in one sealed chunk; pinned by format 1."""
PART = 32 * 1024 * 1024
"""Content bytes in one part, at most; pinned by format 1."""
MAX_NAME = 255
"""Bytes in one file name, at most."""


ACT_GAP = 2.0
"""Seconds without a call of a process after which its next one begins a new act of the user's."""


def random_id() -> bytes:
    """Return 16 bytes that nobody can guess."""
    return secrets.token_bytes(16)


def is_person(tag: TagId) -> bool:
    """Whether a tag stands for a person."""
    return tag.startswith("p") and len(tag) == 33


@dataclass(frozen=True, slots=True, order=True)
class Stamp:
    """When and where a register was written: decides the last writer.

    ``hlc`` is a hybrid logical clock (Kulkarni et al., 2014): milliseconds since 1970 in the
    upper 48 bits, a counter in the lower 16.
    """

    hlc: int
    device: DeviceId


NEVER = Stamp(0, DeviceId(bytes(16)))


class Clock:
    """A hybrid logical clock: later than everything it has given out or seen."""

    def __init__(self, now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._now_ms = now_ms
        self._last = 0

    def tick(self) -> int:
        """Return a value greater than every earlier one, close to the wall clock."""
        self._last = max(self._last + 1, self._now_ms() << 16)
        return self._last

    def witness(self, hlc: int) -> None:
        """Make every later tick greater than ``hlc``, which was seen in a journal."""
        self._last = max(self._last, hlc)


@dataclass(frozen=True, slots=True)
class Part:
    """One sealed object of a content, as the record names it (docs/format.md, Objects)."""

    name: ObjectName
    epoch: int
    salt: bytes  # 24 bytes
    commitment: bytes  # 32 bytes
    size: int  # content bytes in this part, before padding
    stored: int  # bytes of the sealed object


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds: identified by its keyed hash, stored in one or more parts."""

    id: ContentId
    size: int
    media_type: str  # "image/jpeg"; "application/octet-stream" when unknown
    parts: tuple[Part, ...]

    @property
    def record(self) -> ObjectName:
        """What tells this record of the content from every other one: its first object."""
        return self.parts[0].name if self.parts else ObjectName(b"")


class Word(enum.IntEnum):
    """What the user said about a tag on a photo, also by another program that wrote it into the
    file. Never written by a recogniser."""

    UNSET = 0
    YES = 1
    NO = 2


@dataclass(frozen=True, slots=True)
class Place:
    """A position in degrees (WGS 84), altitude in metres where known."""

    latitude: float
    longitude: float
    altitude: float | None = None


@dataclass(frozen=True, slots=True)
class Located:
    """Where a position lies, from the large to the small, as far as that can be said."""

    country: str  # ISO 3166-1, two capitals
    region: str | None = None  # first-level administrative division, by its English name
    town: str | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """A face that another program marked in a file, and whose it is."""

    name: str
    box: tuple[float, float, float, float]  # left, top, right, bottom, as shares of the sides


@dataclass(frozen=True, slots=True)
class Facts:
    """What a file says and shows of its picture. ``None`` where it says nothing believable."""

    width: int | None = None  # pixels, upright
    height: int | None = None
    orientation: int | None = None  # EXIF 1..8
    date: str | None = None  # local time of capture, "YYYY-MM-DDTHH:MM:SS"
    offset: str | None = None  # of that time, "+02:00"
    camera: str | None = None  # "Apple iPhone XS"
    place: Place | None = None
    phash: int | None = None  # perceptual hash of 64 bits; None for a picture without shapes
    located: Located | None = None  # where ``place`` is
    lens: str | None = None  # "EF24-105mm f/4L IS USM"
    regions: tuple[Region, ...] = ()  # of the upright picture
    keywords: tuple[str, ...] = ()  # of other programs, as tags can be called
    rating: int | None = None  # 1..10 half stars, given in another program


@dataclass(frozen=True, slots=True)
class Scored:
    """A concept that a recogniser saw, with its calibrated confidence in [0, 1]."""

    tag: TagId
    confidence: float


FACES = "faces"
"""The pack whose features are faces."""


METADATA = "metadata-1"
"""The pack that is no network: what files say of themselves. The number rises with what is read."""


def pack_name(pack: str) -> str:
    """Return the name of a pack without its version: "default" of "default-1"."""
    return pack.rpartition("-")[0] or pack


@dataclass(frozen=True, slots=True)
class Seen:
    """What a pack beside the default one saw in a content."""

    pack: str  # name and version, "birds-1"
    tags: tuple[Scored, ...]
    scores: tuple[Scored, ...]
    features: bytes = b""  # what later versions can look at again: numbers, or faces


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a worker found in one content: what the default pack saw, then what others did."""

    pack: str  # name and version of the model pack, "default-1"
    media_type: str  # as decoded; the sniffed one when it was not
    tags: tuple[Scored, ...]  # passed their thresholds; ancestors are listed too
    scores: tuple[Scored, ...]  # everything above the floor, for later rescans
    facts: Facts
    embedding: bytes  # float16 little-endian, shape (1280,); empty when there is none
    thumbnail: bytes  # JPEG, at most 256 x 256; empty when there is none
    unreadable: str | None = None  # one clause, "truncated JPEG"; None when decoded
    more: tuple[Seen, ...] = ()  # of each other pack that was asked, even if it saw nothing


class Taxonomy(Protocol):
    """The concept graph as the storeys below recognition need it."""

    def name(self, tag: TagId) -> str | None:
        """Return the plain English name, None for a tag that is no concept."""

    def ancestors(self, tag: TagId) -> frozenset[TagId]:
        """Return every concept above ``tag``, without itself; empty for an unknown tag."""

    def find(self, word: str) -> TagId | None:
        """Return the concept with this name or synonym (NFC casefold compared)."""
