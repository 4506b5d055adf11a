"""``dates/``: by the day of capture, as far as it is known; copying in sets the user's date."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tagfs.catalog.records import FileRecord
from tagfs.catalog.standing import below, days_of, exactly
from tagfs.catalog.state import Change, PhotoChanged
from tagfs.errors import not_permitted
from tagfs.model import FileId
from tagfs.vault.ops import Field, Op
from tagfs.views import acts
from tagfs.views.gathering import Gathering
from tagfs.views.nodes import Line, Node, Spot
from tagfs.views.parted import PART_COOKIES, Parted


class Dates(Parted):
    """Years, months, days. A photo of which only the year is known stands in the year.

    Every day up to tomorrow can be looked up, so that a scan of 1987 can be put where no photo
    is yet; those that have photos are listed.
    """

    name = "dates"

    def lines(self, path: tuple[str, ...], start: int) -> Iterator[Line]:
        """Yield the photos of no more precise date, then the next smaller parts."""
        if path and start < PART_COOKIES:
            yield from self._photos(path).lines(start)
        if len(path) < 3:
            lists, after = self._state.photos.lists, max(0, start - PART_COOKIES)
            for part in lists.parts("-".join(path), after):
                text = f"{part:02}" if path else f"{part:04}"
                yield Line(PART_COOKIES + part + 1, text.encode(), Spot(self.name, (*path, text)))

    def look_up(self, path: tuple[str, ...], name: bytes) -> Node | None:
        """Resolve a part of the calendar, else a photo."""
        if _is_part(path, name):
            part = name.decode()
            days = days_of("-".join((*path, part)))
            tomorrow = datetime.fromtimestamp(self._now_ms() / 1000, UTC) + timedelta(days=1)
            if days is not None and days[0] <= tomorrow.date():
                return Spot(self.name, (*path, part))
        return self._photos(path).look_up(name) if path else None

    def is_listed(self, spot: Spot) -> bool:
        """Whether there is a photo of that time."""
        text = "-".join(spot.path)
        return not text or self._state.photos.postings.count(below(text)) > 0

    def add(self, path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Say that the photo was taken then."""
        return [acts.set_photo(file, Field.DATE, self._date(path))]

    def create(self, path: tuple[str, ...], file: FileId) -> list[Op]:
        """Say that a new file was taken then."""
        return self.add(path, FileRecord(file, 0, 0))

    def shift(self, path: tuple[str, ...], new_path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Say that the photo was taken at another time."""
        return self.add(new_path, file)

    def touched(self, change: Change) -> Iterator[tuple[Spot, bytes | None]]:
        """The photo's names where it stood and stands, and the parts of the calendar above."""
        if not isinstance(change, PhotoChanged):
            return
        for list_id in change.lists:
            kind, _, text = list_id.decode().partition(":")
            path = tuple(text.split("-"))
            if kind == "@date":
                yield Spot(self.name, path[:-1]), path[-1].encode()
            if list_id == exactly(text):
                for name in change.names:
                    yield Spot(self.name, path), name

    def _photos(self, path: tuple[str, ...]) -> Gathering:
        return Gathering.of_list(
            self._state, exactly("-".join(path)), lambda name: _is_part(path, name)
        )

    def _date(self, path: tuple[str, ...]) -> str:
        if not path:
            raise not_permitted("Photos go into a year, month or day, not into dates/ itself.")
        return "-".join(path)


def _is_part(path: tuple[str, ...], name: bytes) -> bool:
    """Whether a name has the form of a year, month or day that may stand below a path."""
    return len(path) < 3 and len(name) == (2 if path else 4) and name.isdigit()
