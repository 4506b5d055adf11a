"""``untagged/``: photos in which nothing was recognised and to which nobody gave a tag."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tagfs.catalog.records import FileRecord
from tagfs.catalog.standing import UNTAGGED
from tagfs.catalog.state import Change, PhotoChanged, State
from tagfs.vault.ops import Op
from tagfs.views import acts
from tagfs.views.fixed import Fixed
from tagfs.views.gathering import Gathering, came_or_left
from tagfs.views.nodes import Line, Node, Spot


class Untagged(Fixed):
    """The flat view of what has no tag. Tagging takes a photo out; removing deletes it."""

    name = "untagged"

    def __init__(self, state: State, now_ms: Callable[[], int], keeps: acts.Keeps) -> None:
        self._state = state
        self._now_ms = now_ms
        self._keeps = keeps
        self._photos = Gathering.of_list(state, UNTAGGED)

    def lines(self, path: tuple[str, ...], start: int) -> Iterator[Line]:
        """Yield what has no tag."""
        return self._photos.lines(start)

    def look_up(self, path: tuple[str, ...], name: bytes) -> Node | None:
        """Resolve the name of what has no tag."""
        return self._photos.look_up(name)

    def remove(self, path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Delete the photo."""
        return acts.delete_everywhere(self._state, file, self._now_ms(), self._keeps)

    def touched(self, change: Change) -> Iterator[tuple[Spot, bytes | None]]:
        """The names of what got its first tag or lost its last."""
        if isinstance(change, PhotoChanged):
            yield from came_or_left(change, UNTAGGED, Spot(self.name))
