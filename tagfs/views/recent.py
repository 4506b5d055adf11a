"""``recent/``: what came in during the last 30 days, whenever it was taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pyroaring import BitMap

from tagfs.catalog.records import FileRecord
from tagfs.catalog.standing import ALL, day_of
from tagfs.catalog.state import Change, PhotoChanged, State
from tagfs.vault.ops import Op
from tagfs.views import acts
from tagfs.views.fixed import Fixed
from tagfs.views.gathering import Gathering, came_or_left
from tagfs.views.nodes import Line, Node, Spot

DAYS = 30
"""Days for which a photo is recent."""
MOST = 1000
"""Photos listed, at most: the latest."""


class Recent(Fixed):
    """The flat view of what is new. Removing deletes."""

    name = "recent"

    def __init__(self, state: State, now_ms: Callable[[], int], keeps: acts.Keeps) -> None:
        self._state = state
        self._now_ms = now_ms
        self._keeps = keeps
        self._photos = Gathering(state, self._numbers, lambda number: number in self._numbers())
        self._known: tuple[int, int, BitMap] | None = None  # epoch, day, numbers

    def lines(self, path: tuple[str, ...], start: int) -> Iterator[Line]:
        """Yield what is new, in order of recording."""
        return self._photos.lines(start)

    def look_up(self, path: tuple[str, ...], name: bytes) -> Node | None:
        """Resolve the name of what is new."""
        return self._photos.look_up(name)

    def remove(self, path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Delete the photo."""
        return acts.delete_everywhere(self._state, file, self._now_ms(), self._keeps)

    def touched(self, change: Change) -> Iterator[tuple[Spot, bytes | None]]:
        """The names of what came or was deleted."""
        if isinstance(change, PhotoChanged):
            yield from came_or_left(change, ALL, Spot(self.name))

    def _numbers(self) -> BitMap:
        now = self._now_ms()
        epoch, day = self._state.epoch, day_of(now)
        if self._known is None or self._known[:2] != (epoch, day):
            found = self._state.photos.lists.recent(now, DAYS, MOST)
            self._known = epoch, day, found
        return self._known[2]
