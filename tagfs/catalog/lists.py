"""The posting lists besides those of the tags: by date, place, arrival, and by what a photo is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from pyroaring import BitMap

from tagfs.catalog.pages import Pages
from tagfs.catalog.postings import Postings
from tagfs.catalog.schema import Table
from tagfs.catalog.standing import (
    Standing,
    below,
    came,
    day_of,
    days_of,
    exactly,
    inside,
    joined,
    parts_of,
    split,
)
from tagfs.catalog.tables import KeyValue

_KNOWN = b"k"


class Lists:
    """Moves photos between lists, and knows which years, months, days and places have any."""

    def __init__(self, store: KeyValue, postings: Postings) -> None:
        self._store = store
        self._postings = postings
        self._places = Pages(store, Table.PLACE)

    def move(self, number: int, before: Standing, after: Standing) -> set[bytes]:
        """Bring the lists in line with where a photo stands now; return those that differ."""
        if before == after:
            return set()
        old, new = before.lists(), after.lists()
        for name in old - new:
            self._postings.discard(name, number)
        for name in new - old:
            self._postings.add(name, number)
        if before.date != after.date:
            for text in (before.date, after.date):
                self._note_days(text)
        if after.place is not None and before.place != after.place:
            self._note_place(after.place)
        return old ^ new

    def _note_place(self, path: str) -> None:
        """Enter a place and what is above it where nothing was in it before."""
        parts = split(path)
        for n in range(1, len(parts) + 1):
            above, name = joined(parts[: n - 1]).encode(), joined(parts[:n])
            if not self.has_been(name):
                self._places.append(above, parts[n - 1].encode())
                self._store.put(Table.PLACE, _KNOWN + name.encode(), b"\1")

    def has_been(self, path: str) -> bool:
        """Whether a photo was ever in a place."""
        return self._store.get(Table.PLACE, _KNOWN + path.encode()) is not None

    def all_places(self, path: str, start: int = 0) -> Iterator[tuple[int, str]]:
        """Yield (slot, name) of those of which ``places`` yields some, that ever had a photo."""
        for slot, item in self._places.scan(path.encode(), start):
            yield slot, item.decode()

    def places(self, path: str, start: int = 0) -> Iterator[tuple[int, str]]:
        """Yield (slot, name) of the countries (path ""), regions of a country or towns of a region
        that have a photo, from slot ``start`` on."""
        for slot, name in self.all_places(path, start):
            if self._postings.count(inside(joined((path, name)) if path else name)):
                yield slot, name

    def _note_days(self, text: str | None) -> None:
        """Enter or withdraw the year, month and day of a date where it begins or ends to be."""
        for above, n in ((0, 4), (4, 7), (7, 10)):
            if text is not None and n <= len(text):
                owner, part = parts_of(text[:above]), int(text[:n].rpartition("-")[2])
                if self._postings.count(below(text[:n])):
                    self._postings.add(owner, part)
                else:
                    self._postings.discard(owner, part)

    def parts(self, prefix: str, start: int = 0) -> Iterator[int]:
        """Yield the years (prefix ""), months of a year or days of a month, ascending.

        Those that have a photo, from ``start`` on.
        """
        for part in self._postings.bitmap(parts_of(prefix)).iter_equal_or_larger(start):
            yield int(part)

    def between(self, first: date | None, last: date | None) -> BitMap:
        """Return the photos whose date, as far as it is known, may lie from first to last."""
        found = BitMap()
        since, until = first or date.min, last or date.max
        self._collect("", since, until, found)
        return found

    def _collect(self, prefix: str, since: date, until: date, found: BitMap) -> None:
        for part in list(self.parts(prefix)):
            text = f"{prefix}-{part:02}" if prefix else f"{part:04}"
            days = days_of(text)
            if days is None or days[1] < since or days[0] > until:
                continue
            if since <= days[0] and days[1] <= until:
                found |= self._postings.bitmap(below(text))
            else:
                found |= self._postings.bitmap(exactly(text))
                self._collect(text, since, until, found)

    def recent(self, now_ms: int, days: int, most: int) -> BitMap:
        """Return the photos that came in during the last days, the latest of them at most."""
        today = day_of(now_ms)
        found = BitMap()
        for day in range(today + 1, today - days, -1):
            if self._postings.count(came(day)):
                numbers = self._postings.bitmap(came(day))
                if len(found) + len(numbers) > most:
                    numbers = numbers[len(numbers) - (most - len(found)) :]
                found |= numbers
            if len(found) >= most:
                break
        return found
