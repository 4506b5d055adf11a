"""``review/``: what the user may want to decide about; so far what could not be decoded."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator

from tagfs.catalog.records import FileRecord
from tagfs.catalog.standing import UNREADABLE
from tagfs.catalog.state import Change, PhotoChanged, State
from tagfs.errors import FileError, no_entry
from tagfs.vault.ops import Op
from tagfs.views import acts
from tagfs.views.fixed import Fixed
from tagfs.views.gathering import Gathering, came_or_left
from tagfs.views.nodes import Line, Node, Spot

LISTS = {"unreadable": UNREADABLE}
"""Posting lists by the folder that shows them."""


class Review(Fixed):
    """A folder for each kind of doubt. Removing deletes; emptied folders stand."""

    name = "review"

    def __init__(self, state: State, now_ms: Callable[[], int], keeps: acts.Keeps) -> None:
        self._state = state
        self._now_ms = now_ms
        self._keeps = keeps
        self._photos = {name: Gathering.of_list(state, at) for name, at in LISTS.items()}

    def lines(self, path: tuple[str, ...], start: int) -> Iterator[Line]:
        """Yield the folders, or the photos of one."""
        if path:
            yield from self._photos[path[0]].lines(start)
            return
        for i, name in enumerate(LISTS):
            if i >= start:
                yield Line(i + 1, name.encode(), Spot(self.name, (name,)))

    def look_up(self, path: tuple[str, ...], name: bytes) -> Node | None:
        """Resolve a folder, or a photo in one."""
        if path:
            return self._photos[path[0]].look_up(name)
        found = [known for known in LISTS if known.encode() == name]
        return Spot(self.name, (found[0],)) if found else None

    def remove(self, path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Delete the photo."""
        return acts.delete_everywhere(self._state, file, self._now_ms(), self._keeps)

    def remove_dir(self, path: tuple[str, ...], name: bytes) -> list[Op]:
        """Let a recursive deletion finish; the folder stays."""
        node = self.look_up(path, name)
        if not isinstance(node, Spot):
            raise no_entry() if node is None else FileError(errno.ENOTDIR)
        if not self._photos[node.path[0]].is_empty():
            raise FileError(errno.ENOTEMPTY)
        return []

    def touched(self, change: Change) -> Iterator[tuple[Spot, bytes | None]]:
        """The names of what joined or left a list."""
        if isinstance(change, PhotoChanged):
            for name, list_id in LISTS.items():
                yield from came_or_left(change, list_id, Spot(self.name, (name,)))
