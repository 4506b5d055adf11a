"""Where camera raw and Photoshop files keep EXIF and XMP; runs in the worker, leaves pixels alone.

Most are TIFF files or begin like one (TIFF 6.0); the others have one inside, or a JPEG. Where that
lies is told by ExifTool's documents of tags (FujiFilm RAF, MinoltaRaw, Canon uuid).
"""

from __future__ import annotations

import io
from typing import Final

from PIL import Image

from tagfs.recognise.boxes import boxes, within

_AS_TIFF: Final = {
    b"II": b"II*\0",  # also IIU (Panasonic), IIRO and IIRS (Olympus)
    b"MM": b"MM\0*",
}
_CANON: Final = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
_DIRECTORIES: Final = ((b"CMT2", 0x8769), (b"CMT4", 0x8825))  # what CR3 has for EXIF and GPS
_XMP: Final = 700
_EXIF_RESOURCE: Final = 1058
_XMP_RESOURCE: Final = 1060
MAX_BLOCKS: Final = 64


def read_raw(data: bytes, media_type: str) -> tuple[Image.Exif, bytes]:
    """Return EXIF and XMP of a camera raw file.

    Raises whatever Pillow makes of a broken one, ValueError where nothing is in its place.
    """
    if media_type == "image/x-canon-cr3":
        return _canon(data), b""
    if media_type == "image/x-fujifilm-raf":
        start, length = (int.from_bytes(data[at : at + 4], "big") for at in (84, 88))
        with Image.open(io.BytesIO(data[start : start + length]), formats=("JPEG",)) as inner:
            return inner.getexif(), inner.info.get("xmp", b"")
    exif = _tiff(_minolta(data) if media_type == "image/x-minolta-mrw" else data)
    packet = exif.get(_XMP)
    return exif, packet if isinstance(packet, bytes) else b""


def read_photoshop(data: bytes) -> tuple[Image.Exif, bytes]:
    """Return EXIF and XMP of a Photoshop file, which has them among its resources.

    Numbers by Adobe's "Photoshop File Formats Specification". Raises whatever Pillow makes of a
    broken one.
    """
    exif = Image.Exif()
    with Image.open(io.BytesIO(data), formats=("PSD",)) as image:
        found = {number: body for number, _, body in getattr(image, "resources", ())}
    exif.load(found.get(_EXIF_RESOURCE, b""))
    return exif, found.get(_XMP_RESOURCE, b"")


def _tiff(data: bytes) -> Image.Exif:
    """Read TIFF directories, whatever number their maker has put in the place of 42."""
    head = _AS_TIFF.get(data[:2])
    if head is None:
        raise ValueError("no TIFF")
    exif = Image.Exif()
    exif.load(head + data[4:])
    return exif


def _minolta(data: bytes) -> bytes:
    """Return the TIFF in the block TTW, one of those that MRM consists of."""
    at = 8
    for _ in range(MAX_BLOCKS):
        length = int.from_bytes(data[at + 4 : at + 8], "big")
        if data[at : at + 4] == b"\0TTW":
            return data[at + 8 : at + 8 + length]
        at += 8 + length
    raise ValueError("no TTW")


def _canon(data: bytes) -> Image.Exif:
    """Put together the directories that CR3 keeps apart, each a TIFF of its own."""
    parts: dict[bytes, bytes] = {}
    for box in within(data, b"moov", b"uuid"):
        if data[box.start : box.start + 16] == _CANON:
            inner = boxes(data, box.start + 16, box.end)
            parts.update((b.kind, data[b.start : b.end]) for b in inner)
    exif = _tiff(parts.get(b"CMT1", b""))
    for kind, number in _DIRECTORIES:
        if kind in parts:
            exif.get_ifd(number).update(_tiff(parts[kind]))
    return exif
