"""What a picture's own metadata says: date, offset, camera, place; runs in the worker.

EXIF 2.32 first, XMP where EXIF is silent. Nothing is believed that cannot be: dates before the
first photograph (1826) or after tomorrow, places off the globe or at exactly 0, 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from PIL import Image

from tagfs.model import Facts, Place

_MAKE, _MODEL, _EXIF, _GPS = 0x010F, 0x0110, 0x8769, 0x8825
_DATES = ((0x9003, 0x9011), (0x9004, 0x9012))  # taken, digitised: date, its offset
_FIRST_PHOTO = datetime(1826, 1, 1)
_DATE = re.compile(r"(\d{4})[:\-/. ](\d{1,2})[:\-/. ](\d{1,2})[T ](\d{1,2}):(\d{2})(?::(\d{2}))?")
_OFFSET = re.compile(r"([+-]\d{2}):?(\d{2})$")
_ISO_DATE = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2})?)(?:\.\d+)?(Z|[+-]\d{2}:\d{2})?")
_XMP_DATES = (
    "exif:DateTimeOriginal",
    "photoshop:DateCreated",
    "xmp:CreateDate",
    "xap:CreateDate",  # the same, as written before 2005
)
_XMP_ANGLE = re.compile(r"(\d{1,3}),(\d{1,2}(?:\.\d+)?)(?:,(\d{1,2}(?:\.\d+)?))?([NSEW])$")


def _directory(exif: Image.Exif, number: int) -> Mapping[int, Any]:
    try:
        return exif.get_ifd(number)
    except Exception:  # Pillow raises many kinds on broken directories
        return {}


def _text(value: object) -> str:
    """Return a text field up to its first NUL, at most 100 characters, printable."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return ""
    printable = "".join(c for c in value.split("\0")[0][:100] if c.isprintable())
    return " ".join(printable.split())


def _believable(parts: tuple[int, ...], now: datetime) -> str | None:
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
    return _believable(tuple(int(n or 0) for n in match.groups()), now) if match else None


def read_offset(text: str) -> str | None:
    """Return an EXIF time offset as "+02:00"; None when it is none."""
    if text == "Z":
        return "+00:00"
    match = _OFFSET.fullmatch(text)
    if not match or abs(int(match[1])) > 14 or int(match[2]) > 59:
        return None
    return f"{match[1]}:{match[2]}"


def camera(make: str, model: str) -> str | None:
    """Return maker and model without saying the maker twice; None for nothing."""
    brand = make.split()[0].casefold() if make else ""
    if model and brand and brand in model.casefold().split():
        return model
    return " ".join(filter(None, (make, model))) or None


def _degrees(value: object, ref: object, positive: str, negative: str) -> float | None:
    """Return an angle of three rationals (or of a text "d, m, s") as signed degrees."""
    if isinstance(value, (str, bytes)):
        value = re.split(r"[,\s]+", _text(value).strip(", "))
        if len(value) == 6:  # decimal commas: "52,00000,50,00000,34,01180"
            value = [f"{value[i]}.{value[i + 1]}" for i in (0, 2, 4)]
    letter = _text(ref)[:1].upper()
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


def _place(latitude: float | None, longitude: float | None, altitude: float | None) -> Place | None:
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
    return _place(
        _degrees(gps.get(2), gps.get(1), "N", "S"),
        _degrees(gps.get(4), gps.get(3), "E", "W"),
        altitude,
    )


class _Xmp:
    """Simple properties of an XMP packet, as attribute or element; no XML parser is trusted."""

    def __init__(self, packet: bytes) -> None:
        self._text = packet.decode("utf-8", "replace")

    def get(self, name: str) -> str:
        match = re.search(rf"{re.escape(name)}(?:=[\"']|>\s*)([^<\"']{{1,100}})", self._text)
        return match[1].strip() if match else ""

    def date(self, now: datetime) -> tuple[str | None, str | None]:
        for name in _XMP_DATES:
            match = _ISO_DATE.match(self.get(name))
            if match and (date := read_date(match[1], now)):
                return date, read_offset(match[2]) if match[2] else None
        return None, None

    def place(self) -> Place | None:
        if "Iptc4xmpExt:Location" in self._text:
            return None  # places that are shown, not where the camera stood
        angles = []
        for name in ("exif:GPSLatitude", "exif:GPSLongitude"):
            match = _XMP_ANGLE.match(self.get(name))
            if not match:
                return None
            parts = [float(p) for p in match.groups()[:3] if p]
            angle = sum(part / 60**i for i, part in enumerate(parts))
            angles.append(-angle if match[4] in "SW" else angle)
        return _place(angles[0], angles[1], None)


def read_facts(
    exif: Image.Exif,
    xmp: bytes,
    *,
    size: tuple[int, int] | None,
    orientation: int | None,
    now: datetime,
) -> Facts:
    """Return what can be believed; every field stands alone.

    Args:
        exif: as Pillow read it.
        xmp: the packet, empty when there is none.
        size: pixels of the upright picture, None when it was not decoded.
        orientation: EXIF 1..8.
        now: local time, for refusing dates to come.
    """
    details, gps, packet = _directory(exif, _EXIF), _directory(exif, _GPS), _Xmp(xmp)
    date, offset = None, None
    for tag, offset_tag in _DATES:
        source = details if tag in details else exif  # some cameras write to the main directory
        if date := read_date(_text(source.get(tag)), now):
            offset = read_offset(_text(details.get(offset_tag)))
            break
    if date is None:
        date, offset = packet.date(now)
    return Facts(
        width=size[0] if size else None,
        height=size[1] if size else None,
        orientation=orientation,
        date=date,
        offset=offset,
        camera=camera(_text(exif.get(_MAKE)), _text(exif.get(_MODEL)))
        or camera(packet.get("tiff:Make"), packet.get("tiff:Model")),
        place=read_place(gps) or packet.place(),
    )
