"""Where a photo stands: the posting lists besides those of its tags, and what date is believed."""

from __future__ import annotations

import calendar
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from tagfs.model import Located

ALL = b"@all"
"""Posting list of every listed photo."""
SEEN = b"@seen"
"""Posting list of listed photos that a pack has looked at."""
UNREADABLE = b"@unreadable"
"""Posting list of listed photos that could not be decoded."""
FAVOURITES = b"@favourites"
"""Posting list of photos that the user marked."""
UNTAGGED = b"@untagged"
"""Posting list of listed photos that have no tag in force."""
DENYING = b"@denying"
"""Posting list of photos of which the user denied some tag, whether it is in force or not."""

FLAGS = (ALL, SEEN, UNREADABLE, FAVOURITES, UNTAGGED, DENYING)
"""Lists by the bit that stands for them in a record; the order is part of the schema."""

FIRST_YEAR = 1826
"""Year of the first photograph; nothing is believed to be older."""
_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_DAY_MS = 86_400_000
_BETWEEN = "\x1f"
"""Between the parts of a place's path; stands in none of them (docs/format.md)."""


@lru_cache(4096)
def days_of(text: str) -> tuple[date, date] | None:
    """Return the first and last day of ``YYYY``, ``YYYY-MM`` or ``YYYY-MM-DD``.

    None for anything else, and for what is before the first photograph.
    """
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day = (None if part is None else int(part) for part in found.groups())
    if year is None or year < FIRST_YEAR:
        return None
    try:
        first = date(year, 1 if month is None else month, 1 if day is None else day)
    except ValueError:
        return None
    if day is not None:
        return first, first
    until = 12 if month is None else month
    return first, date(year, until, calendar.monthrange(year, until)[1])


def believable(text: str | None, said_ms: int) -> str | None:
    """Return a date that was said at a time (ms since 1970), None when it cannot be true.

    Nobody photographs later than tomorrow, wherever on earth it is.
    """
    days = None if text is None else days_of(text)
    if days is None or days[0] > _day(said_ms) + timedelta(days=1):
        return None
    return text


def _day(ms: int) -> date:
    return datetime.fromtimestamp(min(ms, 253_370_764_800_000) / 1000, UTC).date()


def day_of(ms: int) -> int:
    """Return the days since 1970 of a time in ms."""
    return ms // _DAY_MS


def below(prefix: str) -> bytes:
    """Return the list of the photos of a year, month or day, however precise their date is."""
    return b"@date:" + prefix.encode()


def exactly(prefix: str) -> bytes:
    """Return the list of the photos of which no more than this year, month or day is known."""
    return below(prefix) if len(prefix) == 10 else b"@only:" + prefix.encode()


def parts_of(prefix: str) -> bytes:
    """Return the list of the years (prefix ""), months of a year or days of a month there are."""
    return b"@parts:" + prefix.encode()


@lru_cache(4096)
def path_of(located: Located) -> str:
    """Return country, region and town, as far as they are known, as one path."""
    parts = (located.country, located.region, located.town)
    return joined(part for part in parts if part is not None)


def joined(parts: Iterable[str]) -> str:
    """Return the path of a place from its parts, the largest first."""
    return _BETWEEN.join(parts)


def split(path: str) -> tuple[str, ...]:
    """Return the parts of a place's path."""
    return tuple(path.split(_BETWEEN))


def inside(path: str) -> bytes:
    """Return the list of the photos of a country, region or town, however much more is known."""
    return b"@in:" + path.encode()


def just_in(path: str) -> bytes:
    """Return the list of the photos of which no more than this place is known."""
    return inside(path) if path.count(_BETWEEN) == 2 else b"@at:" + path.encode()


def came(day: int) -> bytes:
    """Return the list of the photos that came in on a day (days since 1970)."""
    return b"@came:" + str(day).encode()


@dataclass(frozen=True, slots=True)
class Standing:
    """In which posting lists, besides those of its tags, a photo stands."""

    flags: frozenset[bytes] = frozenset()
    date: str | None = None  # 4, 7 or 10 characters
    came: int | None = None  # days since 1970
    place: str | None = None  # path of a place

    def lists(self) -> set[bytes]:
        """Return every list."""
        found = set(self.flags)
        if self.date is not None:
            found |= {below(self.date[:n]) for n in (4, 7, 10) if n <= len(self.date)}
            found.add(exactly(self.date))
        if self.came is not None:
            found.add(came(self.came))
        if self.place is not None:
            parts = split(self.place)
            found |= {inside(joined(parts[:n])) for n in range(1, len(parts) + 1)}
            found.add(just_in(self.place))
        return found

    @property
    def places(self) -> int:
        """How many directories of views list it, besides those of tags and ``recent/``."""
        dated, placed = self.date is not None, self.place is not None
        return len(self.flags - {SEEN, DENYING}) + dated + placed

    def raw(self) -> list[int | str | None]:
        """Return the form that the table keeps."""
        bits = sum(1 << i for i, flag in enumerate(FLAGS) if flag in self.flags)
        return [bits, self.date, self.came, self.place]

    @classmethod
    def load(cls, raw: list[int | str | None]) -> Standing:
        """Read what raw() gave."""
        bits, day, arrived, place = raw
        assert isinstance(bits, int)
        assert not isinstance(day, int)
        assert not isinstance(arrived, str)
        assert not isinstance(place, int)
        flags = frozenset(flag for i, flag in enumerate(FLAGS) if bits >> i & 1)
        return cls(flags, day, arrived, None if place is None else sys.intern(place))


NOWHERE = Standing()
"""What nothing lists."""
