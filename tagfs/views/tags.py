"""``tags/``: by what is in the picture; ``tags/dog/beach`` is both."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator

from tagfs.catalog.records import FileRecord
from tagfs.catalog.state import (
    Change,
    EntryChanged,
    NarrowingChanged,
    PhotoChanged,
    State,
)
from tagfs.errors import FileError, no_entry, not_permitted
from tagfs.model import UNFILED, FileId, TagId, Word, is_person
from tagfs.vault.ops import Entity, Field, Op, SetRegister
from tagfs.views import acts
from tagfs.views.fixed import Fixed
from tagfs.views.gathering import Gathering
from tagfs.views.nodes import FileNode, Line, Node, Spot, escape, unescape

KEPT_COOKIES = 1 << 41
"""Cookies of narrowings that were kept follow those of photos (gathering.py)."""
MAX_DEPTH = 8
"""Tags in one path, at most."""
LINGER = 60.0
"""Seconds that an emptied tag still resolves, so that ``rm -r`` can remove its folder."""


class Tags(Fixed):
    """The view by tag. Copying in tags, removing untags, folders are tags."""

    name = "tags"
    noun = "tag"
    depth = MAX_DEPTH

    def __init__(
        self,
        state: State,
        name_tag: Callable[[str], TagId],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._name_tag = name_tag
        self._monotonic = monotonic
        self._emptied: dict[TagId, float] = {}

    def lines(self, path: tuple[str, ...], start: int) -> Iterator[Line]:
        """Yield tags at the top, photos that have every tag of the path below."""
        if not path:
            for slot, tag, name, _count in self._all():
                if slot >= start:
                    yield Line(slot + 1, escape(name), Spot(self.name, (tag,)))
            return
        yield from self._photos(path).lines(start)
        # Last, so that a recursive deletion untags the photos before it comes to narrowings.
        yield from self._kept(path, max(0, start - KEPT_COOKIES))

    def _kept(self, path: tuple[str, ...], start: int) -> Iterator[Line]:
        """Yield the narrowings that were kept, as far as they resolve now."""
        for slot, kept in self._state.narrowings.below("/".join(path).encode(), start):
            name = escape(self._state.photos.tag_name(TagId(kept.decode().rpartition("/")[2])))
            spot = Spot(self.name, tuple(kept.decode().split("/")))
            if self.look_up(path, name) == spot:
                yield Line(KEPT_COOKIES + slot + 1, name, spot)

    def look_up(self, path: tuple[str, ...], name: bytes) -> Node | None:
        """Resolve a tag; below, a listed photo, a file as it was written here, a narrowing."""
        if not path:
            tag = self._find(name)
            return None if tag is None else Spot(self.name, (tag,))
        found = self._photos(path).look_up(name)
        if found is not None:
            return found
        tag = self._find(name)
        if tag is not None and tag not in path and len(path) < self.depth:
            return Spot(self.name, (*path, tag))
        return None

    def is_listed(self, spot: Spot) -> bool:
        """Whether a tag has photos or was made, and a narrowing was kept."""
        if len(spot.path) > 1:
            return _path_id(spot.path) in self._state.narrowings
        return not spot.path or self._state.photos.is_listed_tag(TagId(spot.path[0]))

    def shift(self, path: tuple[str, ...], new_path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Say *no* to the last tag of the old path and *yes* to the new path."""
        gone = self.remove(path, file) if path and path[-1] not in new_path else []
        return [*gone, *self.add(new_path, file)]

    def add(self, path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Tag the file with every tag of the path."""
        self._need_tag(path)
        return acts.say(file, _ids(path), Word.YES)

    def create(self, path: tuple[str, ...], file: FileId) -> list[Op]:
        """Tag a new file with every tag of the path."""
        self._need_tag(path)
        return acts.say(FileRecord(file, 0, 0), _ids(path), Word.YES)

    def remove(self, path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Untag: say *no* to the last tag of the path."""
        self._need_tag(path)
        tag = TagId(path[-1])
        if self._state.photos.postings.count(tag.encode()) <= 1:
            self._emptied[tag] = self._monotonic()
        return acts.say(file, [tag], Word.NO)

    def make_dir(self, path: tuple[str, ...], name: bytes) -> list[Op]:
        """Make a tag, which stays listed while it is empty; below one, keep a narrowing."""
        text = unescape(name)
        if text.startswith("."):
            raise not_permitted(f"A {self.noun}'s name cannot begin with a dot.")
        tag = self._called(text)
        if path:
            return self._keep(path, tag, name)
        if tag is not None and self._state.photos.is_listed_tag(tag):
            raise FileError(errno.EEXIST)
        return self._make(tag, text)

    def _make(self, tag: TagId | None, text: str) -> list[Op]:
        ops: list[Op] = []
        if tag is None:
            tag = self._name_tag(text)
            ops.append(SetRegister(Entity.TAG, tag.encode(), Field.TAG_NAME, text))
        return [*ops, SetRegister(Entity.TAG, tag.encode(), Field.TAG_KEPT, True)]

    def _keep(self, path: tuple[str, ...], tag: TagId | None, name: bytes) -> list[Op]:
        """Keep a narrowing; a tag that is not there yet is made."""
        ops: list[Op] = []
        if tag is None or self._find(name) is None:
            ops = self._make(tag, unescape(name))
            tag = tag or self._name_tag(unescape(name))
        if tag in path or len(path) >= self.depth:
            raise not_permitted(f"A path has each tag once, and at most {MAX_DEPTH}.")
        there = self.look_up(path, name)
        kept = _path_id((*path, tag))
        if isinstance(there, FileNode) or kept in self._state.narrowings:
            raise FileError(errno.EEXIST)
        return [*ops, SetRegister(Entity.PATH, kept, Field.NARROWING, True)]

    def remove_dir(self, path: tuple[str, ...], name: bytes) -> list[Op]:
        """Drop the name of a tag that no photo has; below one, forget a narrowing."""
        tag = self._find(name)
        if tag is None:
            raise no_entry()
        if path:
            kept = _path_id((*path, tag))
            if kept in self._state.narrowings:
                return [SetRegister(Entity.PATH, kept, Field.NARROWING, False)]
            if self._state.photos.numbers(_ids((*path, tag))):
                raise FileError(errno.ENOTEMPTY)
            return []  # a recursive deletion emptied it
        if not self._photos((tag,)).is_empty():
            raise FileError(errno.ENOTEMPTY)
        self._emptied.pop(tag, None)
        return [SetRegister(Entity.TAG, tag.encode(), Field.TAG_KEPT, False)]

    def rename_dir(
        self, path: tuple[str, ...], name: bytes, new_path: tuple[str, ...], new_name: bytes
    ) -> list[Op]:
        """Rename a tag; onto or into another tag merges the two. Keep another narrowing."""
        if path and path == new_path:
            there, into = self._find(name), self._find(new_name)
            if there is not None and _path_id((*path, there)) in self._state.narrowings and into:
                return [*self._keep(path, into, new_name), *self.remove_dir(path, name)]
        if path or len(new_path) > 1:
            raise not_permitted("Only a tag itself can be renamed, not a narrowing.")
        tag = self._find(name)
        if tag is None:
            raise no_entry()
        text = unescape(new_name)
        # What is seen later comes under the concept of this name, listed now or not.
        into = TagId(new_path[0]) if new_path else self._called(text)
        if into is None or into == tag:
            return [SetRegister(Entity.TAG, tag.encode(), Field.TAG_NAME, text)]
        if tag in self._state.photos.above(into):
            raise not_permitted("A tag cannot be merged into one of its own kinds.")
        ops: list[Op] = [SetRegister(Entity.TAG, tag.encode(), Field.TAG_MERGED, str(into))]
        if not self._state.photos.is_listed_tag(into):  # its folder is what the user sees next
            ops.append(SetRegister(Entity.TAG, into.encode(), Field.TAG_KEPT, True))
        return ops

    def touched(self, change: Change) -> Iterator[tuple[Spot, bytes | None]]:
        """Names below the tags that a photo gained or lost, and the tags' own folders."""
        match change:
            case PhotoChanged():
                for tag in filter(self._is_mine, change.tags):
                    yield Spot(self.name), escape(self._state.photos.tag_name(tag))
                    for name in change.names:
                        yield Spot(self.name, (tag,)), name
            case NarrowingChanged(path=path):
                yield Spot(self.name, path[:-1]), escape(self._state.photos.tag_name(path[-1]))
            case EntryChanged(folder=folder, name=name) if folder == UNFILED:
                yield Spot(self.name), name

    def _all(self) -> Iterator[tuple[int, TagId, str, int]]:
        return self._state.photos.tags()

    def _called(self, name: str) -> TagId | None:
        return self._state.photos.tag(name)

    def _is_mine(self, tag: TagId) -> bool:
        return not is_person(tag)

    def _find(self, name: bytes) -> TagId | None:
        tag = self._called(unescape(name))
        if tag is None:
            return None
        if self._state.photos.is_listed_tag(tag):
            return tag
        emptied = self._emptied.get(tag)
        if emptied is not None and self._monotonic() - emptied < LINGER:
            return tag
        return tag if self._waits(tag) else None

    def _waits(self, tag: TagId) -> bool:
        return next(self._state.waiting(tag.encode()), None) is not None

    def _photos(self, path: tuple[str, ...]) -> Gathering:
        photos, tags = self._state.photos, [tag.encode() for tag in path]
        return Gathering(
            self._state,
            lambda: photos.numbers(_ids(path)),
            lambda number: all(photos.postings.contains(tag, number) for tag in tags),
            tags[0],
            lambda file: self._said(file, path),
        )

    def _said(self, file: FileRecord, path: tuple[str, ...]) -> bool:
        return all(self._state.waits(file.id, tag.encode()) for tag in path)

    def _need_tag(self, path: tuple[str, ...]) -> None:
        if not path:
            raise not_permitted(
                f"Photos go into a {self.noun}'s folder, not into {self.name}/ itself."
            )


def _path_id(path: tuple[str, ...]) -> bytes:
    return "/".join(path).encode()


def _ids(path: tuple[str, ...]) -> list[TagId]:
    return [TagId(tag) for tag in path]
