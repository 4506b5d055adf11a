"""Facts of a picture as bounded CBOR: the form that operations and workers' answers share."""

from __future__ import annotations

import functools
import math
import re
from typing import Any

from tagfs.model import Facts, Located, Place, Region

_COUNTRY = re.compile(r"[A-Z]{2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
MAX_REGIONS = 64
"""Marked faces of one picture, at most."""
MAX_NAMED = 256
"""Bytes of the name of a camera or lens, at most."""
MAX_KEYWORDS = 64
"""Keywords of one picture, at most."""
MAX_KEYWORD = 128
"""Bytes of a keyword, at most."""
GRAINS = 65535
"""Steps of a share of a side."""


def encode_facts(facts: Facts) -> dict[int, Any]:
    """Return facts as a CBOR-ready map without the unknown ones."""
    place, located = facts.place, facts.located
    values = {
        1: facts.width,
        2: facts.height,
        3: facts.orientation,
        4: facts.date,
        5: facts.offset,
        6: facts.camera,
        7: place and [place.latitude, place.longitude, place.altitude],
        8: None if facts.phash is None else facts.phash.to_bytes(8, "big"),
        9: located and [located.country, located.region, located.town],
        10: facts.lens,
        11: [[r.name, *(round(s * GRAINS) for s in r.box)] for r in facts.regions] or None,
        12: list(facts.keywords) or None,
        13: facts.rating,
    }
    return {k: v for k, v in values.items() if v is not None}


def decode_facts(raw: dict[int, Any]) -> Facts:
    """Read what encode_facts wrote; keys of later versions are skipped."""
    place, located = raw.get(7), raw.get(9)
    return Facts(
        width=_optional_int(raw.get(1), 2**31),
        height=_optional_int(raw.get(2), 2**31),
        orientation=_optional_int(raw.get(3), 9),
        date=_optional_text(raw.get(4)),
        offset=_optional_text(raw.get(5)),
        camera=_optional_text(raw.get(6)),
        place=None if place is None else _place(place),
        phash=_optional_hash(raw.get(8)),
        located=None if located is None else _located(*located[:3]),
        lens=_optional_text(raw.get(10)),
        regions=_regions(raw.get(11, [])),
        keywords=_keywords(raw.get(12, [])),
        rating=_optional_int(raw.get(13), 11),
    )


def _optional_int(value: Any, limit: int) -> int | None:
    return None if value is None else _int(value, limit)


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value, MAX_NAMED)


def _optional_hash(value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, bytes) or len(value) != 8:
        raise ValueError("hash")
    return int.from_bytes(value, "big")


def _place(raw: Any) -> Place:
    latitude, longitude, altitude = raw[:3]
    height = None if altitude is None else _real(altitude, 1e6)
    return Place(_real(latitude, 90), _real(longitude, 180), height)


@functools.lru_cache(4096)  # photos of one town share it
def _located(country: Any, region: Any, town: Any) -> Located:
    if not isinstance(country, str) or not _COUNTRY.fullmatch(country):
        raise ValueError("country")
    return Located(country, _optional_name(region), _optional_name(town))


def _regions(raw: Any) -> tuple[Region, ...]:
    if not isinstance(raw, list) or len(raw) > MAX_REGIONS:
        raise ValueError("regions")
    return tuple(_region(*each[:5]) for each in raw)


def _region(name: Any, *sides: Any) -> Region:
    left, top, right, bottom = (_int(side, GRAINS + 1) / GRAINS for side in sides)
    if not (left < right and top < bottom):
        raise ValueError("box")
    return Region(_name(name, 255), (left, top, right, bottom))


def _keywords(raw: Any) -> tuple[str, ...]:
    if not isinstance(raw, list) or len(raw) > MAX_KEYWORDS:
        raise ValueError("keywords")
    return tuple(_name(each, MAX_KEYWORD) for each in raw)


def _optional_name(value: Any) -> str | None:
    return None if value is None else _name(value, 128)


def _name(value: Any, limit: int) -> str:
    name = _text(value, limit)
    if not name or _CONTROL.search(name):
        raise ValueError("name")
    return name


def _real(value: Any, limit: float) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value) or abs(value) > limit:
        raise ValueError("number")
    return float(value)


def _text(value: Any, limit: int) -> str:
    if not isinstance(value, str) or len(value.encode()) > limit:
        raise ValueError("text")
    return value


def _int(value: Any, limit: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
        raise ValueError("number")
    return value
