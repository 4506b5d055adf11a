"""``review/``: what the user may want to decide about: who it may be, what was not decoded."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping

from pyroaring import BitMap

from tagfs.catalog.photos import ALL
from tagfs.catalog.records import FileRecord
from tagfs.catalog.standing import UNREADABLE
from tagfs.catalog.state import Change, PhotoChanged, State
from tagfs.errors import FileError, no_entry
from tagfs.model import TagId, Word
from tagfs.vault.ops import Op
from tagfs.views import acts
from tagfs.views.fixed import Fixed
from tagfs.views.gathering import Gathering, came_or_left
from tagfs.views.nodes import Line, Node, Spot, escape, unescape

LISTS = {"unreadable": UNREADABLE}
"""Posting lists by the folder that shows them."""
MAYBE = b"maybe-"
"""Before the name of a person: photos that may show them."""
MAYBE_COOKIES = 1 << 20

Doubts = Callable[[], Mapping[TagId, BitMap]]


class Review(Fixed):
    """A folder for each kind of doubt.

    Removing deletes the photo, but for ``maybe-Anna``, where it says that it is not Anna; moving
    one to ``people/Anna`` says that it is. Emptied folders stand.
    """

    name = "review"

    def __init__(
        self, state: State, now_ms: Callable[[], int], keeps: acts.Keeps, doubts: Doubts
    ) -> None:
        """``doubts`` returns the photos that may show a person, by named persons."""
        self._state = state
        self._now_ms = now_ms
        self._keeps = keeps
        self._doubts = doubts
        self._lists = {name: Gathering.of_list(state, at) for name, at in LISTS.items()}

    def lines(self, path: tuple[str, ...], start: int) -> Iterator[Line]:
        """Yield the folders, or the photos of one."""
        if path:
            yield from self._photos(path[0]).lines(start)
            return
        for i, name in enumerate(LISTS):
            if i >= start:
                yield Line(i + 1, name.encode(), Spot(self.name, (name,)))
        if not self._doubts():
            return
        for slot, person, name, _ in self._state.photos.persons():
            if MAYBE_COOKIES + slot >= start and self._undecided(person):
                yield Line(
                    MAYBE_COOKIES + slot + 1, MAYBE + escape(name), Spot(self.name, (person,))
                )

    def look_up(self, path: tuple[str, ...], name: bytes) -> Node | None:
        """Resolve a folder, or a photo in one."""
        if path:
            return self._photos(path[0]).look_up(name)
        if name.startswith(MAYBE):
            person = self._state.photos.person(unescape(name[len(MAYBE) :]))
            known = person is not None and person in self._doubts()
            return Spot(self.name, (str(person),)) if known else None
        found = [known for known in LISTS if known.encode() == name]
        return Spot(self.name, (found[0],)) if found else None

    def remove(self, path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Delete the photo, or say that a person is not in it."""
        if path and path[0] not in LISTS:
            return acts.say(file, [TagId(path[0])], Word.NO)
        return acts.delete_everywhere(self._state, file, self._now_ms(), self._keeps)

    def remove_dir(self, path: tuple[str, ...], name: bytes) -> list[Op]:
        """Let a recursive deletion finish; the folder stays."""
        node = self.look_up(path, name)
        if not isinstance(node, Spot):
            raise no_entry() if node is None else FileError(errno.ENOTDIR)
        if not self._photos(node.path[0]).is_empty():
            raise FileError(errno.ENOTEMPTY)
        return []

    def touched(self, change: Change) -> Iterator[tuple[Spot, bytes | None]]:
        """The names of what joined or left a list."""
        if isinstance(change, PhotoChanged):
            for name, list_id in LISTS.items():
                yield from came_or_left(change, list_id, Spot(self.name, (name,)))

    def _photos(self, folder: str) -> Gathering:
        known = self._lists.get(folder)
        if known is not None:
            return known
        person = TagId(folder)
        return Gathering(
            self._state,
            lambda: self._undecided(person),
            lambda number: number in self._undecided(person),
        )

    def _undecided(self, person: TagId) -> BitMap:
        """Return the photos that may show a person, but for those of which the user said it."""
        found = self._doubts().get(person, BitMap()) & self._state.photos.postings.bitmap(ALL)
        return BitMap(number for number in found if not self._said(number, person))

    def _said(self, number: int, person: TagId) -> bool:
        shown = self._state.photos.names.shown(number)
        photo = None if shown is None else self._state.photos.get(shown.photo)
        return photo is None or person in self._state.photos.latest(photo.words)
