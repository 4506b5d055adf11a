"""One directory of photos: those of a set, and the files put there whose bytes are still coming."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pyroaring import BitMap

from tagfs.catalog.folders import suffixed
from tagfs.catalog.records import FileRecord
from tagfs.catalog.state import PhotoChanged, State
from tagfs.catalog.view_names import Shown
from tagfs.model import UNFILED
from tagfs.views import acts
from tagfs.views.nodes import FileNode, Line, Spot

WAITING_COOKIES = 1 << 40
"""Cookies of files without a content yet follow those of photos, which are their numbers."""


class Gathering:
    """Lists photos by their view names, and resolves also the name that a file was written under.

    ``waiting`` is a list of files without a content, ``waits`` says which of them belong here.
    ``is_taken`` says which names the view needs for itself: photos of such names have a suffix.
    """

    def __init__(
        self,
        state: State,
        numbers: Callable[[], BitMap],
        holds: Callable[[int], bool],
        waiting: bytes | None = None,
        waits: Callable[[FileRecord], bool] = lambda file: False,
        is_taken: Callable[[bytes], bool] = lambda name: False,
    ) -> None:
        self._state = state
        self._numbers = numbers
        self._holds = holds
        self._waiting = waiting
        self._waits = waits
        self._is_taken = is_taken

    @classmethod
    def of_list(
        cls, state: State, list_id: bytes, is_taken: Callable[[bytes], bool] = lambda name: False
    ) -> Gathering:
        """Gather a posting list and the files that wait for a place in it."""
        postings = state.photos.postings
        return cls(
            state,
            lambda: postings.bitmap(list_id),
            lambda number: postings.contains(list_id, number),
            list_id,
            lambda file: state.waits(file.id, list_id),
            is_taken,
        )

    def lines(self, start: int) -> Iterator[Line]:
        """Yield the lines after a cookie."""
        if start < WAITING_COOKIES:
            for number in self._numbers().iter_equal_or_larger(start):
                shown = self._state.photos.names.shown(number)
                if shown is not None:
                    yield Line(number + 1, self._label(shown), FileNode(shown.file))
        if self._waiting is None:
            return
        for slot, file in self._state.waiting(self._waiting, max(0, start - WAITING_COOKIES)):
            name = next((name for folder, name in file.entries if folder == UNFILED), None)
            if name is not None and self._waits(file):
                if self.look_up(name) != FileNode(file.id):
                    name = suffixed(name, file.id)
                yield Line(WAITING_COOKIES + slot + 1, name, FileNode(file.id))

    def look_up(self, name: bytes) -> FileNode | None:
        """Resolve the name of a photo, else the one under which a file was written here, else the
        ``name~id`` that a photo answers to in any case."""
        if self._is_taken(name):
            return None
        shown = self._state.photos.names.named(name)
        if shown is not None and not self._holds(shown.number):
            shown = None
        if shown is None or shown.name != name:
            for file in acts.written_as(self._state, name):
                if self._has(file):
                    return FileNode(file.id)
        return None if shown is None else FileNode(shown.file)

    def is_empty(self) -> bool:
        """Whether nothing is listed."""
        return next(self.lines(0), None) is None

    def _label(self, shown: Shown) -> bytes:
        return suffixed(shown.name, shown.photo) if self._is_taken(shown.name) else shown.name

    def _has(self, file: FileRecord) -> bool:
        shown = acts.number_of(self._state, file)
        if shown is not None:
            return self._holds(shown.number)
        return self._waits(file)


def came_or_left(change: PhotoChanged, list_id: bytes, spot: Spot) -> Iterator[tuple[Spot, bytes]]:
    """Yield the names of a photo that came into a list, left it, or may be called otherwise."""
    if list_id in change.lists or len(change.names) > 1:
        for name in change.names:
            yield spot, name
