"""``search/``: any query is a folder on demand; ``mkdir`` keeps one, so that it is listed."""

from __future__ import annotations

import errno
from collections import OrderedDict
from collections.abc import Callable, Iterator

from pyroaring import BitMap

from tagfs.catalog.records import FileRecord
from tagfs.catalog.state import Change, QueryChanged, State
from tagfs.errors import FileError, no_entry, not_permitted
from tagfs.model import MAX_NAME
from tagfs.vault.ops import Entity, Field, Op, SetRegister
from tagfs.views.desktop import is_junk, is_probed
from tagfs.views.fixed import Fixed
from tagfs.views.gathering import Gathering
from tagfs.views.nodes import Line, Node, Spot
from tagfs.views.query import QuerySyntax
from tagfs.views.search import find

ANSWERS = 64
"""Queries whose answers are remembered."""
TOLD = 256
"""Hints and mistakes that are not told again."""


class Search(Fixed):
    """Folders by query, each with what it finds now. Nothing in them can be changed."""

    name = "search"

    def __init__(self, state: State, tell: Callable[[str], None]) -> None:
        self._state = state
        self._tell = tell
        self._answers: OrderedDict[str, tuple[int, BitMap]] = OrderedDict()
        self._told: OrderedDict[tuple[str, str], None] = OrderedDict()

    def lines(self, path: tuple[str, ...], start: int) -> Iterator[Line]:
        """Yield the queries that were kept, or what one finds."""
        if path:
            yield from self._photos(path[0]).lines(start)
            return
        for slot, text in self._state.queries.names(start):
            if _can_stand(text):
                yield Line(slot + 1, text, Spot(self.name, (text.decode(),)))

    def look_up(self, path: tuple[str, ...], name: bytes) -> Node | None:
        """Resolve any query that can be read; EINVAL for others, with the reason in the events."""
        if path:
            return self._photos(path[0]).look_up(name)
        if not _can_stand(name):
            return None
        text = name.decode("utf-8", "surrogateescape")
        self._found(text)
        return Spot(self.name, (text,))

    def is_listed(self, spot: Spot) -> bool:
        """Whether the query was kept."""
        return not spot.path or spot.path[0].encode() in self._state.queries

    def remove(self, path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Refuse: what a query finds follows from its words."""
        raise not_permitted("What a search finds cannot be removed from it.")

    def make_dir(self, path: tuple[str, ...], name: bytes) -> list[Op]:
        """Keep a query."""
        if path:
            raise not_permitted("A search has no folders.")
        if name in self._state.queries:
            raise FileError(errno.EEXIST)
        return self._keep(name)

    def remove_dir(self, path: tuple[str, ...], name: bytes) -> list[Op]:
        """Forget a query that was kept; what it finds stays."""
        if path or name not in self._state.queries:
            raise no_entry()
        return [SetRegister(Entity.QUERY, name, Field.QUERY, False)]

    def rename_dir(
        self, path: tuple[str, ...], name: bytes, new_path: tuple[str, ...], new_name: bytes
    ) -> list[Op]:
        """Keep another query instead. ``mv`` moves into a folder that it sees: the same."""
        if path or len(new_path) > 1 or (new_path and new_name != name):
            raise not_permitted("A search has no folders.")
        into = new_path[0].encode() if new_path else new_name
        if into == name:
            return []
        ops = [] if into in self._state.queries else self._keep(into)
        return [*self.remove_dir(path, name), *ops]

    def touched(self, change: Change) -> Iterator[tuple[Spot, bytes | None]]:
        """The query that was kept or forgotten."""
        if isinstance(change, QueryChanged):
            yield Spot(self.name), change.text.encode()

    def _keep(self, name: bytes) -> list[Op]:
        if not _can_stand(name):
            raise not_permitted("A search that is kept cannot begin with a dot.")
        self._found(name.decode("utf-8", "surrogateescape"))
        return [SetRegister(Entity.QUERY, name, Field.QUERY, True)]

    def _photos(self, text: str) -> Gathering:
        numbers = self._found(text)
        return Gathering(self._state, lambda: numbers, lambda number: number in numbers)

    def _found(self, text: str) -> BitMap:
        """Return what a query finds: evaluated once, until anything changes."""
        known = self._answers.get(text)
        if known is not None and known[0] == self._state.epoch:
            self._answers.move_to_end(text)
            return known[1]
        try:
            found = find(self._state, text)
        except QuerySyntax as error:
            self._say(text, str(error))
            raise FileError(errno.EINVAL, str(error)) from None
        for hint in found.hints:
            self._say(text, hint)
        self._answers[text] = self._state.epoch, found.numbers
        self._answers.move_to_end(text)
        if len(self._answers) > ANSWERS:
            self._answers.popitem(last=False)
        return found.numbers

    def _say(self, query: str, what: str) -> None:
        if (query, what) in self._told:
            return
        self._tell(what)
        self._told[query, what] = None
        if len(self._told) > TOLD:
            self._told.popitem(last=False)


def _can_stand(name: bytes) -> bool:
    """Whether a name may be a query at all: programs look for their own files everywhere."""
    ours = not is_probed(name) and not is_junk(name)
    return ours and b"/" not in name and 0 < len(name) <= MAX_NAME
