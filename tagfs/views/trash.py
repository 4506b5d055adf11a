"""``trash/``: what was deleted; moving something out restores it, moving in deletes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tagfs.catalog.folders import suffixed, without_suffix
from tagfs.catalog.records import FileRecord
from tagfs.catalog.state import Change, FileChanged, State
from tagfs.errors import not_permitted
from tagfs.model import FileId
from tagfs.vault.ops import Field, Op
from tagfs.views import acts
from tagfs.views.fixed import Fixed
from tagfs.views.nodes import FileNode, Line, Node, Spot

MOST_SUFFIXES = 4
"""Times that a name gets ``~id`` before the id alone is shown."""


class Trash(Fixed):
    """Deleted files by the name that they had, the later ones of a name with their suffix."""

    name = "trash"

    def __init__(self, state: State, now_ms: Callable[[], int], keeps: acts.Keeps) -> None:
        self._state = state
        self._now_ms = now_ms
        self._keeps = keeps
        self._names: dict[bytes, tuple[int, FileId]] | None = None

    def lines(self, path: tuple[str, ...], start: int) -> Iterator[Line]:
        """Yield the deleted files in the order of their deletion."""
        by_slot = sorted((slot, name, file) for name, (slot, file) in self._index().items())
        for slot, name, file in by_slot:
            if slot >= start:
                yield Line(slot + 1, name, FileNode(file))

    def look_up(self, path: tuple[str, ...], name: bytes) -> Node | None:
        """Resolve the name of a deleted file."""
        found = self._index().get(name)
        if found is None and without_suffix(name) is not None:
            plain = without_suffix(name)
            other = self._index().get(plain) if plain else None
            if other is not None and plain and suffixed(plain, other[1]) == name:
                found = other
        return None if found is None else FileNode(found[1])

    def add(self, path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Delete the file."""
        return acts.delete_file(file, self._now_ms(), self._keeps)

    def create(self, path: tuple[str, ...], file: FileId) -> list[Op]:
        """Refuse: nothing is written into the trash."""
        raise not_permitted("Nothing can be written into trash/; move files there to delete them.")

    def remove(self, path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Take the file out of the trash for good; its bytes go after the grace time."""
        return [acts.set_file(file.id, Field.PURGED, self._now_ms())]

    def make_dir(self, path: tuple[str, ...], name: bytes) -> list[Op]:
        """Refuse: the trash is flat."""
        raise not_permitted("trash/ has no folders.")

    def remove_dir(self, path: tuple[str, ...], name: bytes) -> list[Op]:
        """Refuse: the trash is flat."""
        raise not_permitted("trash/ has no folders.")

    def rename_dir(
        self, path: tuple[str, ...], name: bytes, new_path: tuple[str, ...], new_name: bytes
    ) -> list[Op]:
        """Refuse: the trash is flat."""
        raise not_permitted("trash/ has no folders.")

    def touched(self, change: Change) -> Iterator[tuple[Spot, bytes | None]]:
        """Any file may have come or gone."""
        if isinstance(change, FileChanged):
            file = self._state.file(change.file)
            if file is not None and (file.trashed is not None or self._known(file.id)):
                self._names = None
                yield Spot(self.name), None

    def _known(self, file: FileId) -> bool:
        return self._names is not None and any(f == file for _, f in self._names.values())

    def _index(self) -> dict[bytes, tuple[int, FileId]]:
        if self._names is None:
            names: dict[bytes, tuple[int, FileId]] = {}
            for slot, file in self._state.trash():
                name = file.any_name
                for _ in range(MOST_SUFFIXES):
                    if name not in names:
                        break
                    name = suffixed(name, file.id)
                else:
                    name = file.id.hex().encode()
                names[name] = (slot, file.id)
            self._names = names
        return self._names
