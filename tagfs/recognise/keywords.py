"""Keywords and stars that other programs wrote into a picture; runs in the worker.

Keywords are XMP's ``dc:subject`` (ISO 16684-1), else those of the IPTC block (IIM 4.2, 2:25), which
is the order of the Metadata Working Group (Guidelines for Handling Image Metadata 2.0, 5.3).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping

from tagfs.recognise.xmp import Packet

_SUBJECT = re.compile(r"<dc:subject(?:\s[^<>]{0,200})?(?<!/)>")
_ITEM = re.compile(r"<rdf:li[^<>]{0,200}>([^<]{1,400})<")
_STARS = re.compile(r"[0-5](?:\.\d{1,9})?")
_UTF8 = b"\x1b%G"  # what 1:90 says of the coded character set


def keywords(packet: Packet, iptc: Mapping[tuple[int, int], object]) -> Iterator[str]:
    """Yield the keywords as they stand there, white space and all."""
    listed = _SUBJECT.search(packet.text)
    end = packet.text.find("</dc:subject>", listed.end()) if listed else -1
    found = _ITEM.findall(packet.text, listed.end(), end) if listed and end >= 0 else []
    yield from map(html.unescape, found)
    if found:
        return
    fields = iptc.get((2, 25), ())
    utf8 = iptc.get((1, 90)) == _UTF8
    for field in fields if isinstance(fields, list) else [fields]:
        if isinstance(field, bytes):
            yield _decoded(field[:400], utf8)


def rating(packet: Packet, exif: object) -> int | None:
    """Return 1 to 10 half stars, ``xmp:Rating`` before what EXIF says; None for none.

    ``exif`` is the value of 0x4746, which Windows writes. A picture that was rejected has none.
    """
    text = packet.get("xmp:Rating") or packet.get("xap:Rating")
    if not text and isinstance(exif, int):
        text = str(exif)
    halves = round(2 * float(text)) if _STARS.fullmatch(text) else 0
    return halves if 1 <= halves <= 10 else None


def _decoded(field: bytes, utf8: bool) -> str:
    """Decode a field of an IPTC block; many programs write UTF-8 without saying so."""
    try:
        return field.decode()
    except UnicodeDecodeError:
        return field.decode("utf-8" if utf8 else "cp1252", "replace")
