"""What a picture's own metadata says: date, offset, camera, lens, place; runs in the worker.

EXIF 2.32 first, XMP and IPTC where EXIF is silent. Nothing is believed that cannot be: dates before
the first photograph (1826) or after tomorrow, places off the globe or at exactly 0, 0.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from PIL import Image

from tagfs.model import Facts, Place, Region
from tagfs.recognise.keywords import keywords, rating
from tagfs.recognise.regions import regions
from tagfs.recognise.xmp import Packet
from tagfs.vault.facts import GRAINS, MAX_KEYWORD, MAX_KEYWORDS, MAX_NAMED

Iptc = Mapping[tuple[int, int], bytes | list[bytes]]
_NO_IPTC: Iptc = {}

_MAKE, _MODEL, EXIF, _GPS = 0x010F, 0x0110, 0x8769, 0x8825
_LENS_MAKE, _LENS_MODEL = 0xA433, 0xA434
_RATING = 0x4746
_DATES = ((0x9003, 0x9011), (0x9004, 0x9012))  # taken, digitised: date, its offset
LONGEST_TEXT = 100
"""Characters of a text field that are believed."""
_FIRST_PHOTO = datetime(1826, 1, 1)
_DATE = re.compile(r"(\d{4})[:\-/. ](\d{1,2})[:\-/. ](\d{1,2})[T ](\d{1,2}):(\d{2})(?::(\d{2}))?")
_OFFSET = re.compile(r"([+-]\d{2}):?(\d{2})$")
_ISO_DATE = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2})?)(?:\.\d+)?(Z|[+-]\d{2}:?\d{2})?")
_NO_LENS = re.compile(r"(?:mm|f/|[\W_0])*", re.IGNORECASE)  # "----", "0.0 mm f/0.0"
_IPTC_TIME = re.compile(r"(\d{2})(\d{2})(\d{2})([+-]\d{4})?$")


def directory(exif: Image.Exif, number: int) -> Mapping[int, Any]:
    """Return one of the directories below the main one, empty where it cannot be read."""
    try:
        return exif.get_ifd(number)
    except Exception:  # Pillow raises many kinds on broken directories
        return {}


def plain_text(value: object) -> str:
    """Return a text field up to its first NUL, at most LONGEST_TEXT characters, printable."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return ""
    printable = "".join(c for c in value.split("\0")[0][:LONGEST_TEXT] if c.isprintable())
    return " ".join(printable.split())


def believable(parts: tuple[int, ...], now: datetime) -> str | None:
    """Return year, month, day, hour, minute, second as a date; None for one that cannot be."""
    try:
        date = datetime(*parts)  # type: ignore[arg-type]
    except ValueError:
        return None
    if not _FIRST_PHOTO <= date <= now + timedelta(days=1):
        return None
    return date.isoformat(timespec="seconds")


def read_date(text: str, now: datetime) -> str | None:
    """Return an EXIF date as "YYYY-MM-DDTHH:MM:SS"; None when it is no believable date."""
    match = _DATE.match(text)
    return believable(tuple(int(n or 0) for n in match.groups()), now) if match else None


def read_offset(text: str) -> str | None:
    """Return an EXIF time offset as "+02:00"; None when it is none."""
    if text == "Z":
        return "+00:00"
    match = _OFFSET.fullmatch(text)
    if not match or abs(int(match[1])) > 14 or int(match[2]) > 59:
        return None
    return f"{match[1]}:{match[2]}"


def camera(make: str, model: str) -> str | None:
    """Return maker and model without saying the maker twice, at most 256 bytes of them (as much
    as is kept); None for nothing."""
    brand = make.split()[0].casefold() if make else ""
    if model and brand and brand in model.casefold().split():
        make = ""
    named = " ".join(filter(None, (make, model)))
    return named.encode()[:MAX_NAMED].decode("utf-8", "ignore") or None


def lens(make: str, model: str) -> str | None:
    """Return maker and model as ``camera`` does; None for what cameras write without a lens."""
    return None if _NO_LENS.fullmatch(model) else camera(make, model)


def _degrees(value: object, ref: object, positive: str, negative: str) -> float | None:
    """Return an angle of three rationals (or of a text "d, m, s") as signed degrees."""
    if isinstance(value, (str, bytes)):
        value = re.split(r"[,\s]+", plain_text(value).strip(", "))
        if len(value) == 6:  # decimal commas: "52,00000,50,00000,34,01180"
            value = [f"{value[i]}.{value[i + 1]}" for i in (0, 2, 4)]
    letter = plain_text(ref)[:1].upper()
    if not isinstance(value, (tuple, list)) or not 1 <= len(value) <= 3:
        return None
    if letter not in (positive, negative):
        return None
    try:
        parts = [float(v) for v in value]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    angle = sum((part / 60.0**i for i, part in enumerate(parts)), 0.0)
    return -angle if letter == negative else angle


def place_of(
    latitude: float | None, longitude: float | None, altitude: float | None
) -> Place | None:
    """Return a place of degrees and metres; None where it is incomplete, off the globe or 0, 0."""
    if latitude is None or longitude is None:
        return None
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):  # also false for NaN
        return None
    if latitude == longitude == 0:
        return None
    if altitude is not None and not -12_000 < altitude < 100_000:
        altitude = None
    return Place(round(latitude, 7), round(longitude, 7), altitude)


def read_place(gps: Mapping[int, Any]) -> Place | None:
    """Return the place of a GPS directory; None where it is missing, broken or off the globe."""
    altitude = None
    try:
        if gps.get(6) is not None:
            altitude = round(float(gps[6]), 2)
            below = gps.get(5)
            if below in (1, b"\x01", "\x01"):
                altitude = -altitude
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        altitude = None
    return place_of(
        _degrees(gps.get(2), gps.get(1), "N", "S"),
        _degrees(gps.get(4), gps.get(3), "E", "W"),
        altitude,
    )


def read_iptc(iptc: Iptc, now: datetime) -> tuple[str | None, str | None]:
    """Return date and offset of an IPTC block (IIM 4.2, 2:55 and 2:60); midnight without a time."""
    date, time = (plain_text(_first(iptc.get((2, field)))) for field in (55, 60))
    if not re.fullmatch(r"\d{8}", date):
        return None, None
    day = (int(date[:4]), int(date[4:6]), int(date[6:]))
    match = _IPTC_TIME.match(time)
    if match is None:
        return believable(day, now), None
    told = believable((*day, *map(int, match.groups()[:3])), now)
    return told, read_offset(match[4]) if told and match[4] else None


def _first(value: object) -> object:
    """Return the first of a field that stands more than once."""
    return value[0] if isinstance(value, list) and value else value


def _date(
    exif: Image.Exif, details: Mapping[int, Any], packet: Packet, iptc: Iptc, now: datetime
) -> tuple[str | None, str | None]:
    """Return date and offset of the capture.

    EXIF before all others; what XMP took over from EXIF; the IPTC block, where it knows the time;
    the younger dates of XMP; the day that IPTC states.
    """
    for tag, offset_tag in _DATES:
        source = details if tag in details else exif  # some cameras write to the main directory
        if date := read_date(plain_text(source.get(tag)), now):
            return date, read_offset(plain_text(details.get(offset_tag)))
    block = read_iptc(iptc, now)
    timed = block if (2, 60) in iptc else (None, None)
    younger = [read_iso_date(text, now) for text in packet.dates()]
    for told in (read_iso_date(packet.taken(), now), timed, *younger):
        if told[0]:
            return told
    return block


def read_iso_date(text: str, now: datetime) -> tuple[str | None, str | None]:
    """Return date and offset of an ISO 8601 text with a time, as XMP and QuickTime have them."""
    match = _ISO_DATE.match(text)
    if not match or not (date := read_date(match[1], now)):
        return None, None
    return date, read_offset(match[2]) if match[2] else None


def read_facts(
    exif: Image.Exif,
    xmp: bytes,
    *,
    iptc: Iptc = _NO_IPTC,
    size: tuple[int, int] | None,
    orientation: int | None,
    now: datetime,
) -> Facts:
    """Return what can be believed; every field stands alone.

    Args:
        exif: as Pillow read it.
        xmp: the packet, empty when there is none.
        iptc: fields of the IPTC block by record and number.
        size: pixels of the upright picture, None when it was not decoded.
        orientation: EXIF 1..8.
        now: local time, for refusing dates to come.
    """
    details, gps, packet = directory(exif, EXIF), directory(exif, _GPS), Packet(xmp)
    date, offset = _date(exif, details, packet, iptc, now)
    named = (
        (exif.get(_MAKE), exif.get(_MODEL)),
        (details.get(_MAKE), details.get(_MODEL)),  # some programs write them one level too low
        packet.camera(),
    )
    cameras = (camera(plain_text(make), plain_text(model)) for make, model in named)
    lenses = (
        lens(plain_text(make), plain_text(model))
        for make, model in ((details.get(_LENS_MAKE), details.get(_LENS_MODEL)), packet.lens())
    )
    marked = _regions(packet, orientation, size)
    return Facts(
        width=size[0] if size else None,
        height=size[1] if size else None,
        orientation=orientation or packet.orientation(),
        date=date,
        offset=offset,
        camera=next(filter(None, cameras), None),
        place=read_place(gps) or place_of(*packet.position()),
        lens=next(filter(None, lenses), None),
        regions=marked,
        keywords=_keywords(packet, iptc, marked),
        rating=rating(packet, exif.get(_RATING)),
    )


def _regions(
    packet: Packet, orientation: int | None, size: tuple[int, int] | None
) -> tuple[Region, ...]:
    """Return the marked faces of a picture; of two with one name the first."""
    found: dict[str, Region] = {}
    for text, box in regions(packet.text, orientation or packet.orientation(), size):
        name = plain_text(text)
        sides = [round(side * GRAINS) for side in box]  # as they are kept
        if name and len(name.encode()) <= 255 and sides[0] < sides[2] and sides[1] < sides[3]:
            left, top, right, bottom = (side / GRAINS for side in sides)
            found.setdefault(name, Region(name, (left, top, right, bottom)))
    return tuple(found.values())


def _keywords(packet: Packet, iptc: Iptc, marked: Iterable[Region]) -> tuple[str, ...]:
    """Return the keywords that can be tags; the names of marked people are none."""
    people = {unicodedata.normalize("NFC", region.name).casefold() for region in marked}
    found: dict[str, str] = {}
    for text in keywords(packet, iptc):
        name = unicodedata.normalize("NFC", plain_text(text))
        folded = name.casefold()
        if not name or name.startswith(".") or len(name.encode()) > MAX_KEYWORD:
            continue  # no tag can be called so
        if len(text) > LONGEST_TEXT:
            continue  # half a keyword is another one
        if folded not in people:
            found.setdefault(folded, name)
    return tuple(found.values())[:MAX_KEYWORDS]
