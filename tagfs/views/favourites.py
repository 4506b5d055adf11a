"""``favourites/``: the photos that the user marked; copying in marks, removing takes it back."""

from __future__ import annotations

from collections.abc import Iterator

from tagfs.catalog.records import FileRecord
from tagfs.catalog.standing import FAVOURITES
from tagfs.catalog.state import Change, PhotoChanged, State
from tagfs.model import FileId
from tagfs.vault.ops import Field, Op
from tagfs.views import acts
from tagfs.views.fixed import Fixed
from tagfs.views.gathering import Gathering, came_or_left
from tagfs.views.nodes import Line, Node, Spot


class Favourites(Fixed):
    """The flat view of what has the mark; nothing is deleted from here."""

    name = "favourites"

    def __init__(self, state: State) -> None:
        self._photos = Gathering.of_list(state, FAVOURITES)

    def lines(self, path: tuple[str, ...], start: int) -> Iterator[Line]:
        """Yield what is marked."""
        return self._photos.lines(start)

    def look_up(self, path: tuple[str, ...], name: bytes) -> Node | None:
        """Resolve the name of what is marked."""
        return self._photos.look_up(name)

    def add(self, path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Mark the photo."""
        return [acts.set_photo(file, Field.FAVOURITE, True)]

    def create(self, path: tuple[str, ...], file: FileId) -> list[Op]:
        """Mark a new file."""
        return self.add(path, FileRecord(file, 0, 0))

    def remove(self, path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Take the mark back; the photo and its files stay."""
        return [acts.set_photo(file, Field.FAVOURITE, False)]

    def touched(self, change: Change) -> Iterator[tuple[Spot, bytes | None]]:
        """The names of what was marked or not."""
        if isinstance(change, PhotoChanged):
            yield from came_or_left(change, FAVOURITES, Spot(self.name))
