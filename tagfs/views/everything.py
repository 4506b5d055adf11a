"""``all/``: every photo and video, flat, and every file that is in no folder of the user's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tagfs.catalog.folders import suffixed
from tagfs.catalog.photos import ALL
from tagfs.catalog.records import FileRecord
from tagfs.catalog.state import Change, EntryChanged, PhotoChanged, State
from tagfs.errors import not_permitted
from tagfs.model import UNFILED, FileId
from tagfs.vault.ops import Op
from tagfs.views import acts
from tagfs.views.fixed import Fixed
from tagfs.views.nodes import FileNode, Line, Node, Spot

MOST_SUFFIXES = 4
"""Times that a name gets ``~id`` before that is given up."""
UNFILED_COOKIES = 1 << 40
"""Cookies of unfiled files follow those of photos, which are their numbers."""


class Everything(Fixed):
    """The flat view. Copying in makes an unfiled file, removing deletes."""

    name = "all"

    def __init__(self, state: State, now_ms: Callable[[], int], keeps: acts.Keeps) -> None:
        self._state = state
        self._now_ms = now_ms
        self._keeps = keeps

    def lines(self, path: tuple[str, ...], start: int) -> Iterator[Line]:
        """Yield photos in order of recording, then the unfiled files that are no listed photo."""
        photos = self._state.photos
        if start < UNFILED_COOKIES:
            for number in photos.postings.bitmap(ALL).iter_equal_or_larger(start):
                shown = photos.names.shown(number)
                if shown is not None:
                    yield Line(number + 1, shown.name, FileNode(shown.file))
        for item in self._state.folders.listing(UNFILED, max(0, start - UNFILED_COOKIES)):
            file = self._state.file(FileId(item.id))
            if file is not None and not self._stands_for_photo(file):
                name = self._label(file, item.recorded)
                yield Line(UNFILED_COOKIES + item.slot + 1, name, FileNode(file.id))

    def _label(self, file: FileRecord, entry: bytes) -> bytes:
        """Return what shows an entry of an unfiled file: its name, with as many suffixes as it
        takes to be nothing else's."""
        taken: set[bytes] = set()
        label = entry
        for label in sorted(name for folder, name in file.entries if folder == UNFILED):
            own = label == entry
            for _ in range(MOST_SUFFIXES):
                if label not in taken and self.look_up((), label) == FileNode(file.id):
                    break
                label = suffixed(label, file.id)
            taken.add(label)
            if own:
                break
        return label

    def look_up(self, path: tuple[str, ...], name: bytes) -> Node | None:
        """Resolve a listed name, else the name under which an unfiled file was written, else the
        ``name~id`` that a photo answers to in any case."""
        shown = self._state.photos.names.named(name)
        photo = None if shown is None else self._state.photos.get(shown.photo)
        if photo is None or not photo.listed:
            shown = None
        if shown is None or shown.name != name:
            file = next(acts.written_as(self._state, name), None)
            if file is not None:
                return FileNode(file.id)
        return None if shown is None else FileNode(shown.file)

    def add(self, path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Everything is here already; a file of no folder yet gets its place."""
        return []

    def create(self, path: tuple[str, ...], file: FileId) -> list[Op]:
        """Nothing beyond being unfiled."""
        return []

    def remove(self, path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Delete the photo: each of its live files goes to the trash."""
        return acts.delete_everywhere(self._state, file, self._now_ms(), self._keeps)

    def make_dir(self, path: tuple[str, ...], name: bytes) -> list[Op]:
        """Refuse: the view is flat."""
        raise not_permitted("all/ has no folders; make the folder at the root of the gallery.")

    def remove_dir(self, path: tuple[str, ...], name: bytes) -> list[Op]:
        """Refuse: the view is flat."""
        raise not_permitted("all/ has no folders.")

    def rename_dir(
        self, path: tuple[str, ...], name: bytes, new_path: tuple[str, ...], new_name: bytes
    ) -> list[Op]:
        """Refuse: the view is flat."""
        raise not_permitted("all/ has no folders.")

    def touched(self, change: Change) -> Iterator[tuple[Spot, bytes | None]]:
        """Names of photos that came or left, and of unfiled files."""
        match change:
            case PhotoChanged():
                for name in change.names:
                    yield Spot(self.name), name
            case EntryChanged(folder=folder, name=name) if folder == UNFILED:
                yield Spot(self.name), name

    def _stands_for_photo(self, file: FileRecord) -> bool:
        shown = acts.number_of(self._state, file)
        if shown is None or shown.file != file.id:
            return False
        photo = self._state.photos.get(shown.photo)
        return photo is not None and photo.listed
