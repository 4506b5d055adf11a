"""The layout of a stored part: names, sizes, what is bound to what, and the trailer.

Pure arithmetic and codecs; docs/format.md, Objects, is the exact description.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from tagfs.crypto.chunked import COMMITMENT, SALT, TAG, Buffer, StreamKeys, sealed_size
from tagfs.crypto.padding import padme
from tagfs.errors import Integrity
from tagfs.model import CHUNK, MAX_NAME, PART, ContentId, ObjectName
from tagfs.vault.keys import KeyRing

HEAD: Final = 4 + SALT + COMMITMENT
"""Bytes before the first chunk."""
TRAILER: Final = 512
"""Plaintext bytes of a trailer."""
SEALED_TRAILER: Final = TRAILER + TAG
SMALLEST: Final = 1024
"""Even an empty part is padded to this many bytes."""
MAX_PARTS: Final = 2**20
"""Parts of one content, at most (32 TiB)."""
MAX_STORED: Final = HEAD + sealed_size(PART) + SEALED_TRAILER
"""Bytes of the largest stored part."""

KIND_PART: Final = 1
KIND_TRAILER: Final = 2
KIND_SEGMENT: Final = 3
KIND_CERTIFICATE: Final = 4
KIND_DEVICE_FILE: Final = 5
KIND_MEMORY: Final = 6
KIND_LOGIN: Final = 7
KIND_PINS: Final = 8

STEP: Final = CHUNK + TAG
"""Bytes from one sealed chunk to the next."""
_TRAILER: Final = struct.Struct(">BB255sqB128sIIIQ32s")


def context(vault: bytes, kind: int, name: bytes, number: int = 0) -> bytes:
    """Return what a sealed message is bound to: vault id, kind, 16-byte name, part number."""
    return struct.pack(">16sB16sI", vault, kind, name, number)


def padded_size(size: int) -> int:
    """Return to how many plaintext bytes the content of a part is padded with zeros."""
    return max(SMALLEST, padme(size))


def stored_size(size: int) -> int:
    """Return the bytes of the stored part with ``size`` content bytes."""
    return HEAD + sealed_size(padded_size(size)) + SEALED_TRAILER


def object_path(name: ObjectName) -> str:
    """Return the name of a part on the remote: ``o/`` + 2 hex digits + ``/`` + the other 30."""
    return _path("o", name)


def segment_path(name: bytes) -> str:
    """Return the remote name of the journal segment with this 16-byte keyed name."""
    return _path("j", name)


def certificate_path(name: bytes) -> str:
    """Return the remote name of the device certificate with this 16-byte keyed name."""
    return _path("d", name)


def header_path(generation: int) -> str:
    """Return the remote name of a header generation: ``h/`` + 8 decimal digits."""
    return f"h/{generation:08d}"


def header_generation(path: str) -> int | None:
    """Return the generation that a remote name means, None when it is no header's name."""
    digits = path.removeprefix("h/")
    if len(digits) != 8 or not (digits.isascii() and digits.isdigit()):
        return None
    generation = int(digits)
    return generation if generation and header_path(generation) == path else None


def _path(prefix: str, name: bytes) -> str:
    text = name.hex()
    return f"{prefix}/{text[:2]}/{text[2:]}"


def object_name(remote: str) -> ObjectName | None:
    """Return the object that a remote name means, None when it is no part's name."""
    pieces = remote.split("/")
    if len(pieces) != 3 or pieces[0] != "o" or len(pieces[1]) != 2 or len(pieces[2]) != 30:
        return None
    try:
        name = ObjectName(bytes.fromhex(pieces[1] + pieces[2]))
    except ValueError:
        return None
    return name if object_path(name) == remote else None


@dataclass(frozen=True, slots=True)
class Trailer:
    """What a part says about itself and its content."""

    name: bytes  # the file's name when it was sealed, at most 255 bytes; empty for packs
    mtime_ns: int  # nanoseconds since 1970
    media_type: str  # ASCII, at most 128 bytes
    number: int  # of this part, from 0
    count: int  # parts of the content
    size: int  # content bytes in this part
    content_size: int
    content: ContentId


def encode_trailer(trailer: Trailer) -> bytes:
    """Return the 512 plaintext bytes; raises ValueError for what does not fit."""
    media = trailer.media_type.encode("ascii")
    if len(trailer.name) > MAX_NAME or len(media) > 128 or not _is_name(trailer.name):
        raise ValueError("the name or media type does not fit into a trailer")
    packed = _TRAILER.pack(
        1,
        len(trailer.name),
        trailer.name,
        trailer.mtime_ns,
        len(media),
        media,
        trailer.number,
        trailer.count,
        trailer.size,
        trailer.content_size,
        trailer.content,
    )
    return packed.ljust(TRAILER, b"\0")


def decode_trailer(data: Buffer) -> Trailer:
    """Read the 512 plaintext bytes; raises Integrity for values that no writer makes."""
    version, n, name, mtime, m, media, number, count, size, total, ident = _TRAILER.unpack_from(
        data
    )
    expected = min(PART, total - number * PART) if total else 0
    if version != 1 or m > 128 or not number < count <= MAX_PARTS or size != expected:
        raise Integrity("A part's trailer contradicts itself.")
    if count != max(1, -(-total // PART)):
        raise Integrity("A part's trailer names an impossible number of parts.")
    if not _is_name(name[:n]):
        raise Integrity("A part's trailer has a malformed file name.")
    try:
        media_type = media[:m].decode("ascii")
    except UnicodeDecodeError:
        raise Integrity("A part's trailer has a malformed media type.") from None
    return Trailer(name[:n], mtime, media_type, number, count, size, total, ContentId(ident))


def _is_name(name: bytes) -> bool:
    return not (b"/" in name or b"\0" in name or name in (b".", b".."))


def stream_keys(
    ring: KeyRing, name: ObjectName, epoch: int, salt: bytes, kind: int, number: int
) -> StreamKeys:
    """Return the keys of a part's chunks or of its trailer (whose number is always 0)."""
    return StreamKeys.derive(ring.object_key(epoch), salt, context(ring.vault, kind, name, number))
