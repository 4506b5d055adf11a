"""What the header of a movie says: date, position, camera, which way up; runs in the worker.

QuickTime and MP4: metadata items by their keys, as Apple's and most phones write them (QuickTime
File Format, Metadata); user data with a © before them, as Android's (©xyz); the movie header's
date, in UTC. Times of that header before 1991, when there was no QuickTime, are of clocks that
were not set.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from datetime import datetime, timedelta

from tagfs.model import Facts, Place
from tagfs.recognise.boxes import Box, boxes, within
from tagfs.recognise.facts import camera, place_of, plain_text, read_date, read_iso_date

MAX_TEXT = 256
"""Bytes of one item that are looked at."""
_EPOCH = datetime(1904, 1, 1)
_QUICKTIME = datetime(1991, 1, 1)
_KEY = "com.apple.quicktime."
_USER_DATA = {
    b"\xa9xyz": "location.ISO6709",
    b"\xa9mak": "make",
    b"\xa9mod": "model",
    b"\xa9day": "creationdate",
}
_ISO_6709 = re.compile(
    r"([+-])(\d{2}|\d{4}|\d{6})(\.\d{1,12})?([+-])(\d{3}|\d{5}|\d{7})(?!\d)(\.\d{1,12})?"
    r"([+-]\d{1,6}(?:\.\d{1,12})?)?"
)
_TURNS = {(1, 0, 0, 1): 1, (0, 1, -1, 0): 6, (-1, 0, 0, -1): 3, (0, -1, 1, 0): 8}


def read_movie(data: bytes, now: datetime) -> Facts:
    """Return what the box ``moov`` among the boxes of ``data`` says; nothing without one."""
    movie = next(within(data, b"moov"), None)
    if movie is None:
        return Facts()
    told = {**_user_data(data, movie), **_items(data, movie)}
    date, offset = read_iso_date(told.get("creationdate", ""), now)
    if date is None:
        date = _header_date(data, movie, now)
        offset = "+00:00" if date else None
    return Facts(
        orientation=_orientation(data, movie),
        date=date,
        offset=offset,
        camera=camera(told.get("make", ""), told.get("model", "")),
        place=read_iso_6709(told.get("location.ISO6709", "")),
    )


def read_iso_6709(text: str) -> Place | None:
    """Return the place of a text such as "+32.0929+034.8620+028.516/" (ISO 6709, annex H)."""
    match = _ISO_6709.match(text)
    if not match:
        return None
    latitude, longitude = (_angle(*match.groups()[i : i + 3]) for i in (0, 3))
    return place_of(latitude, longitude, round(float(match[7]), 2) if match[7] else None)


def _angle(sign: str, digits: str, fraction: str | None) -> float:
    """Return degrees of DD, DDMM or DDMMSS (a third D for a longitude) and a fraction."""
    whole = 2 + len(digits) % 2
    parts = [digits[:whole], *re.findall("..", digits[whole:])]
    parts[-1] += fraction or ""
    angle = sum(float(part) / 60.0**i for i, part in enumerate(parts))
    return -angle if sign == "-" else angle


def _user_data(data: bytes, movie: Box) -> Mapping[str, str]:
    """Return texts of ``udta``: each a length, a language and as many bytes."""
    found = {}
    for box in within(data, b"udta", of=movie):
        for item in boxes(data, box.start, box.end):
            if item.kind in _USER_DATA and item.end - item.start >= 4:
                (length,) = struct.unpack_from(">H", data, item.start)
                end = min(item.start + 4 + length, item.end)
                found[_USER_DATA[item.kind]] = _text(data, item.start + 4, end)
    return found


def _items(data: bytes, movie: Box) -> Mapping[str, str]:
    """Return texts of ``meta``: ``keys`` has the names, ``ilst`` the values by their numbers."""
    found: dict[str, str] = {}
    for box in within(data, b"meta", of=movie):
        # In MP4 four bytes of version and flags come first, in QuickTime none.
        full = data[box.start + 4 : box.start + 8] != b"hdlr"
        meta = Box(box.kind, min(box.start + 4 * full, box.end), box.end)
        names: list[str] = []
        for keys in within(data, b"keys", of=meta):
            names += [_text(data, k.start, k.end) for k in boxes(data, keys.start + 8, keys.end)]
        for item in within(data, b"ilst", of=meta):
            for one in boxes(data, item.start, item.end):
                name = (
                    names[n - 1] if 0 < (n := int.from_bytes(one.kind, "big")) <= len(names) else ""
                )
                if name.startswith(_KEY):
                    for value in within(data, b"data", of=one):
                        found[name.removeprefix(_KEY)] = _text(data, value.start + 8, value.end)
    return found


def _text(data: bytes, start: int, end: int) -> str:
    return plain_text(data[start : min(end, start + MAX_TEXT)])


def _header_date(data: bytes, movie: Box, now: datetime) -> str | None:
    """Return the date of ``mvhd``: seconds since 1904 in UTC."""
    for box in within(data, b"mvhd", of=movie):
        wide = data[box.start : box.start + 1] == b"\x01"
        start = box.start + 4
        seconds = int.from_bytes(data[start : min(start + (8 if wide else 4), box.end)], "big")
        if seconds < 2**33:  # the year 2176
            date = _EPOCH + timedelta(seconds=seconds)
            return read_date(date.isoformat(" "), now) if date >= _QUICKTIME else None
    return None


def _orientation(data: bytes, movie: Box) -> int | None:
    """Return how the first track with pixels is turned, as EXIF's 1, 3, 6 or 8."""
    for box in within(data, b"trak", b"tkhd", of=movie):
        matrix = box.start + (52 if data[box.start : box.start + 1] == b"\x01" else 40)
        if matrix + 44 > box.end:
            continue
        a, b, _, c, d, _, _, _, _, width, height = struct.unpack_from(">9i2I", data, matrix)
        if width and height:
            return _TURNS.get((a >> 16, b >> 16, c >> 16, d >> 16))
    return None
