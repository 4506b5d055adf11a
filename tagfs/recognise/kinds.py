"""What kind of picture a file says it is: panorama, screenshot, selfie, burst; runs in the worker.

Told by metadata alone, never by pixels or names, so that it is as sure as what was written. Numbers
and wordings are those of ExifTool's documents of tags, of Google's "Photo Sphere XMP Metadata" and
of the programs that are named below.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from PIL import Image

from tagfs.model import METADATA, Scored, Seen, TagId
from tagfs.recognise import taxonomy
from tagfs.recognise.facts import EXIF, directory, plain_text
from tagfs.recognise.makers import burst_of_apple, trailer_of_samsung
from tagfs.recognise.xmp import Packet

PANORAMA: Final = TagId("h.panorama")
SCREENSHOT: Final = TagId("h.screenshot")
SELFIE: Final = TagId("h.selfie")
BURST: Final = TagId("h.burst")

_MAKER_NOTE, _COMMENT, _RENDERED = 0x927C, 0x9286, 0xA401
_STITCHED: Final = 6
"""Value of CustomRendered in the panoramas of Apple's phones; the standard has 0 and 1."""
_FRONT: Final = re.compile(r"\bfront (?:\w+ ){0,2}camera\b|\btruedepth\b", re.IGNORECASE)
"""In the lens model: "iPhone X front TrueDepth camera 2.87mm f/2.2", "Pixel 4a front camera"."""
_OF_SCREENS: Final = frozenset({"gnome-screenshot", "mate-screenshot"})
"""What programs that take screenshots call themselves in PNG; GNOME Shell has the first, too."""
_TRAILERS: Final = {
    "Panorama_Shot_Info": PANORAMA,
    "Samsung_Capture_Info": SCREENSHOT,
    "Front_Cam_Selfie_Info": SELFIE,
    "Burst_Shot_Info": BURST,
}


def read_kinds(
    exif: Image.Exif, xmp: bytes, *, lens: str | None, software: str, data: bytes
) -> frozenset[TagId]:
    """Return the concepts that a file says its picture shows; nearly always none.

    Args:
        exif: as Pillow read it.
        xmp: the packet, empty when there is none.
        lens: its name as the facts have it.
        software: what a PNG says made it, empty elsewhere.
        data: the whole file, of which the end is looked at.
    """
    details, packet = directory(exif, EXIF), Packet(xmp)
    found = {_TRAILERS[name] for name in trailer_of_samsung(data) if name in _TRAILERS}
    if details.get(_RENDERED) == _STITCHED or _is_sphere(packet):
        found.add(PANORAMA)
    comments = (comment(details.get(_COMMENT)), packet.first("exif:UserComment"))
    if software in _OF_SCREENS or "screenshot" in map(str.casefold, comments):
        found.add(SCREENSHOT)
    if lens is not None and _FRONT.search(lens):
        found.add(SELFIE)
    if burst_of_apple(details.get(_MAKER_NOTE)) or _burst_of_google(packet):
        found.add(BURST)
    return frozenset(found)


def comment(value: object) -> str:
    """Return a UserComment without the eight bytes that name its characters (EXIF 2.32).

    What is no ASCII in it may be wrong: UTF-16 comes in either order of bytes, and without a mark.
    """
    if isinstance(value, bytes):
        code, text = value[:8], value[8:256]
        if code == b"UNICODE\0":
            value = text.removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff").replace(b"\0", b"")
        elif code in (b"ASCII\0\0\0", bytes(8)):
            value = text
    return plain_text(value)


def _is_sphere(packet: Packet) -> bool:
    shown_in_a_viewer = packet.get("GPano:UsePanoramaViewer").casefold() == "true"
    return shown_in_a_viewer or bool(packet.get("GPano:ProjectionType"))


def _burst_of_google(packet: Packet) -> bool:
    return bool(packet.get("GCamera:BurstID") or packet.get("GCreations:CameraBurstID"))


def rows(kinds: Iterable[TagId]) -> tuple[Seen, ...]:
    """Return the row that records these kinds, ancestors too; none where there are none.

    It has no votes: what a file says of itself is weighed by no threshold.
    """
    graph = taxonomy.load()
    tags = {tag for kind in kinds for tag in {kind} | graph.ancestors(kind)}
    said = tuple(Scored(tag, 1.0) for tag in sorted(tags))
    return (Seen(METADATA, said, ()),) if said else ()
