"""``places/``: by country, region and town, as far as its position tells of a photo."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator

from pyroaring import BitMap

from tagfs.catalog.standing import inside, joined, just_in, path_of, split
from tagfs.catalog.state import Change, PhotoChanged, State
from tagfs.model import Located
from tagfs.recognise.gazetteer import country_name
from tagfs.views import acts
from tagfs.views.gathering import Gathering
from tagfs.views.nodes import Line, Node, Spot, escape, unescape
from tagfs.views.parted import PART_COOKIES, Parted

_ANY = "\x1f"
"""Before the name of a town that was looked up right below its country; in no name of a place."""


class Places(Parted):
    """Countries, regions, towns. A photo of which only the country is known stands in it.

    A town can also be looked up below its country, ``places/Italy/Rome``, without its region; all
    towns of that name are meant then. Such a directory is not listed.
    """

    name = "places"

    def __init__(self, state: State, now_ms: Callable[[], int], keeps: acts.Keeps) -> None:
        super().__init__(state, now_ms, keeps)
        self._lists = state.photos.lists

    def lines(self, path: tuple[str, ...], start: int) -> Iterator[Line]:
        """Yield the photos of which no more is known, then the places within this one."""
        if path and start < PART_COOKIES:
            yield from self._photos(path).lines(start)
        if len(path) < 3:
            for slot, part in self._lists.places(joined(path), max(0, start - PART_COOKIES)):
                yield Line(
                    PART_COOKIES + slot + 1, _label(path, part), Spot(self.name, (*path, part))
                )

    def look_up(self, path: tuple[str, ...], name: bytes) -> Node | None:
        """Resolve a place where a photo is or was, else a photo, else a town of the country."""
        part = self._part(path, name)
        if part is not None:
            return Spot(self.name, (*path, part))
        found = self._photos(path).look_up(name) if path else None
        if found is None and len(path) == 1:
            anywhere = Spot(self.name, (*path, _ANY + unescape(name)))
            if any(map(self._lists.has_been, self._ways(anywhere.path))):
                return anywhere
        return found

    def is_listed(self, spot: Spot) -> bool:
        """Whether there is a photo in a place."""
        path = spot.path
        return not path or self._state.photos.postings.count(inside(joined(path))) > 0

    def touched(self, change: Change) -> Iterator[tuple[Spot, bytes | None]]:
        """The photo's names where it stood and stands, and the places above."""
        if not isinstance(change, PhotoChanged):
            return
        for list_id in change.lists:
            kind, _, text = list_id.decode().partition(":")
            if kind not in ("@in", "@at"):
                continue
            path = split(text)
            if kind == "@in":
                yield Spot(self.name, path[:-1]), _label(path[:-1], path[-1])
            if list_id == just_in(text):
                for name in change.names:
                    yield Spot(self.name, path), name
                    if len(path) == 3:
                        yield Spot(self.name, (path[0], _ANY + path[2])), name

    def _part(self, path: tuple[str, ...], name: bytes) -> str | None:
        """Return the part that a name stands for where a photo is, or was, in that place."""
        if not path:
            codes = (code for _, code in self._lists.all_places(""))
            return next((code for code in codes if _label(path, code) == name), None)
        part = unescape(name)
        known = len(path) < 3 and self._lists.has_been(joined((*path, part)))
        return part if known and escape(part) == name else None

    def _photos(self, path: tuple[str, ...]) -> Gathering:
        if not _is_anywhere(path):
            return Gathering.of_list(
                self._state,
                just_in(joined(path)),
                lambda name: self._part(path, name) is not None,
            )
        postings = self._state.photos.postings
        ways = list(self._ways(path))
        return Gathering(
            self._state,
            lambda: BitMap.union(BitMap(), *(postings.bitmap(inside(way)) for way in ways)),
            lambda number: any(postings.contains(inside(way), number) for way in ways),
        )

    def _ways(self, path: tuple[str, ...]) -> Iterator[str]:
        """Yield the ways to a town through every region of its country."""
        for _, region in self._lists.all_places(path[0]):
            yield joined((path[0], region, path[1].removeprefix(_ANY)))


def _is_anywhere(path: tuple[str, ...]) -> bool:
    return len(path) == 2 and path[1].startswith(_ANY)


def called(state: State, name: str) -> BitMap:
    """Return the photos taken in a country, region or town of a name, whatever its accents."""
    wanted, found = fold(name), BitMap()
    lists, postings = state.photos.lists, state.photos.postings

    def collect(path: tuple[str, ...]) -> None:
        nonlocal found
        for _, part in lists.places(joined(path)):
            way = (*path, part)
            if wanted in (fold(part), fold(shown(way)[-1])):
                found |= postings.bitmap(inside(joined(way)))
            elif len(way) < 3:
                collect(way)

    collect(())
    return found


def shown(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return a place's path with the country's name for its code."""
    return (country_name(path[0]), *path[1:])


def parts_of(located: Located) -> tuple[str, ...]:
    """Return country, region and town by their names, as far as they are known."""
    return shown(split(path_of(located)))


def fold(name: str) -> str:
    """Return the form in which names of places are compared: without case and accents."""
    plain = unicodedata.normalize("NFKD", name)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()


def _label(path: tuple[str, ...], part: str) -> bytes:
    """Return the name under which a part of a place's path is listed."""
    return escape(part if path else country_name(part))
