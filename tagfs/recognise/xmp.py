"""Simple properties of an XMP packet (ISO 16684-1), as attribute or element; runs in the worker.

No XML parser is trusted: a property is looked for under the prefix that everybody writes, and what
stands there is a text of at most 100 characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_DATES = (
    "photoshop:DateCreated",
    "xmp:CreateDate",
    "xap:CreateDate",  # the same, as written before 2005
)
_ANGLE = re.compile(r"(\d{1,3}),(\d{1,2}(?:\.\d+)?)(?:,(\d{1,2}(?:\.\d+)?))?([NSEW])$")
_DECIMAL = re.compile(r"[+-]?\d{1,3}\.\d{1,20}$")
_HEIGHT = re.compile(r"(-?\d{1,15}(?:\.\d{1,20})?)(?:/(\d{1,9}))?$")


class Packet:
    """One packet; every method answers empty or None for what it does not say."""

    def __init__(self, packet: bytes) -> None:
        self.text = packet.decode("utf-8", "replace")

    def get(self, name: str) -> str:
        """Return a property by its usual prefix and name, "exif:GPSLatitude"."""
        match = re.search(rf"{re.escape(name)}(?:=[\"']|>\s*)([^<\"']{{1,100}})", self.text)
        return match[1].strip() if match else ""

    def first(self, name: str) -> str:
        """Return a property that may stand there in several languages: the first, or the only."""
        match = re.search(
            rf"<{re.escape(name)}>\s{{0,100}}<rdf:(?:Alt|Bag|Seq)>\s{{0,100}}"
            r"<rdf:li[^<>]{0,100}>([^<]{1,100})",
            self.text,
        )
        return match[1].strip() if match else self.get(name)

    def taken(self) -> str:
        """Return the time of capture as it was taken over from EXIF."""
        return self.get("exif:DateTimeOriginal")

    def dates(self) -> Iterator[str]:
        """Yield the other times that stand for it, the better ones first."""
        yield from map(self.get, _DATES)

    def camera(self) -> tuple[str, str]:
        """Return maker and model."""
        return self.get("tiff:Make"), self.get("tiff:Model")

    def lens(self) -> tuple[str, str]:
        """Return maker and model of the lens; raw converters write the model alone."""
        if model := self.get("exifEX:LensModel"):
            return self.get("exifEX:LensMake"), model
        return "", self.get("aux:Lens") or self.get("exif:LensModel")

    def orientation(self) -> int | None:
        """Return the EXIF orientation 1..8."""
        value = self.get("tiff:Orientation")
        return int(value) if re.fullmatch("[1-8]", value) else None

    def position(self) -> tuple[float | None, float | None, float | None]:
        """Return latitude and longitude in degrees and altitude in metres, as far as stated."""
        if "Iptc4xmpExt:Location" in self.text:
            return None, None, None  # places that are shown, not where the camera stood
        return self._angle("Latitude", "NS"), self._angle("Longitude", "EW"), self._altitude()

    def _angle(self, name: str, letters: str) -> float | None:
        """Return "48,8.51N", or decimal degrees with the letter in a property of its own.

        The second form is no XMP, but Apple's programs write it.
        """
        text = self.get(f"exif:GPS{name}")
        if match := _ANGLE.match(text):
            parts, letter = [float(p) for p in match.groups()[:3] if p], match[4]
        elif _DECIMAL.match(text):
            parts, letter = [float(text)], self.get(f"exif:GPS{name}Ref") or letters[0]
        else:
            return None
        if letter not in letters:
            return None
        angle = sum(part / 60.0**i for i, part in enumerate(parts))
        return -angle if letter == letters[1] else angle

    def _altitude(self) -> float | None:
        match = _HEIGHT.match(self.get("exif:GPSAltitude"))
        if not match or not int(match[2] or 1):
            return None
        height = round(float(match[1]) / int(match[2] or 1), 2)
        return -height if self.get("exif:GPSAltitudeRef") == "1" else height
