"""Extended attributes: tags and ratings that file managers edit, facts, and whatever else is set.

``user.xdg.tags`` and ``user.baloo.rating`` belong to the photo, ``user.tagfs.*`` can only be
read, every other ``user.`` attribute is kept with its file or folder as it was written.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence

from tagfs.catalog.records import FileRecord, PhotoRecord
from tagfs.catalog.state import State
from tagfs.errors import FileError, not_permitted
from tagfs.model import ContentId, FileId, TagId, is_person
from tagfs.vault.ops import Entity, Field, Op, SetRegister
from tagfs.vault.registers import MAX_ATTRIBUTE_BYTES, MAX_ATTRIBUTES
from tagfs.views.nodes import FileNode, Node, OwnFolder
from tagfs.views.places import parts_of
from tagfs.views.tag_list import TagList

TAGS = b"user.xdg.tags"
RATING = b"user.baloo.rating"
FACTS = b"user.tagfs."
WHEREABOUTS = frozenset({b"state", b"pinned", b"local"})
"""Behind FACTS: where a file's bytes are."""
TAG = b"tag."
"""Behind FACTS: what is known of one tag, ``user.tagfs.tag.dog``."""

Kept = tuple[tuple[bytes, bytes], ...]


class Attributes:
    """The attributes of each node. What changes them is returned as operations."""

    def __init__(
        self,
        state: State,
        tag_named: Callable[[str], tuple[TagId, list[Op]]],
        record: Callable[[FileId], FileRecord],
        whereabouts: Callable[[FileRecord, bytes], str | None],
    ) -> None:
        """``whereabouts`` says what the facts WHEREABOUTS of a file are."""
        self._state = state
        self._record = record
        self._whereabouts = whereabouts
        self._tags = TagList(state, tag_named)

    def get(self, node: Node, name: bytes) -> bytes | None:
        """Return the value, None for an attribute that is not there."""
        if isinstance(node, FileNode):
            file = self._record(node.file)
            if name == TAGS:
                return self._tags.read(file)
            if name == RATING:
                rating = self._rating(file)
                return None if rating is None else str(rating).encode()
            if name.startswith(FACTS):
                fact = self._fact(file, name[len(FACTS) :])
                return None if fact is None else fact.encode("utf-8", "surrogateescape")
        return dict(self._kept(node)).get(name)

    def names(self, node: Node) -> Sequence[bytes]:
        """Return the names to be listed; facts are not, or ``cp -a`` would carry them along."""
        names = [name for name, _ in self._kept(node)]
        if isinstance(node, FileNode):
            file = self._record(node.file)
            if self._tags.listed(file):
                names.append(TAGS)
            if self._rating(file) is not None:
                names.append(RATING)
        return names

    def set(self, node: Node, name: bytes, value: bytes, mirrors: bool = False) -> list[Op]:
        """Write an attribute; ``mirrors``: a program copies it from somewhere (callers.py)."""
        self._check(node, name)
        if isinstance(node, FileNode):
            file = self._record(node.file)
            if name == TAGS:
                return self._tags.write(file, value, mirrors)
            if name == RATING:
                return self._rate(file, _stars(value))
        return self._keep(node, {**dict(self._kept(node)), name: value})

    def remove(self, node: Node, name: bytes) -> list[Op]:
        """Remove an attribute; ENODATA when it is not there."""
        self._check(node, name)
        if name not in self.names(node):
            raise FileError(errno.ENODATA)
        if isinstance(node, FileNode):
            file = self._record(node.file)
            if name == TAGS:
                return self._tags.take_back(file)
            if name == RATING:
                return self._rate(file, None)
        kept = dict(self._kept(node))
        del kept[name]
        return self._keep(node, kept)

    def _check(self, node: Node, name: bytes) -> None:
        """Refuse what cannot be written: facts, what is in the trash, the views' directories."""
        if name.startswith(FACTS):
            raise not_permitted("The attributes user.tagfs.* are facts and cannot be written.")
        if not name.startswith(b"user.") or not isinstance(node, FileNode | OwnFolder):
            raise FileError(errno.ENOTSUP)
        if isinstance(node, FileNode):
            file = self._record(node.file)
            if file.trashed is not None and not file.live:
                raise not_permitted("What is in the trash cannot be written to; move it out first.")

    # -- ratings -----------------------------------------------------------------------------

    def _rating(self, file: FileRecord) -> int | None:
        rating: int | None = self._state.said(file).get(Field.RATING)
        return rating

    def _rate(self, file: FileRecord, stars: int | None) -> list[Op]:
        if stars == self._rating(file):
            return []
        return [SetRegister(Entity.PHOTO, _subject(file), Field.RATING, stars)]

    # -- facts -------------------------------------------------------------------------------

    def _fact(self, file: FileRecord, name: bytes) -> str | None:
        if name == b"id":
            return _subject(file).hex()
        if name in WHEREABOUTS:
            return self._whereabouts(file, name)
        photo = self._state.photos.get(_subject(file))
        if name.startswith(TAG):
            return self._said(file, photo, name[len(TAG) :].decode("utf-8", "surrogateescape"))
        facts = photo.sight.facts if photo is not None and photo.sight is not None else None
        if name == b"date":
            said: str | None = self._state.said(file).get(Field.DATE)
            return said or (facts.date if facts is not None else None)
        if name == b"people":
            return self._people(photo)
        if facts is None:
            return None
        if name == b"camera":
            return facts.camera
        if name == b"lens":
            return facts.lens
        if name == b"place" and facts.located is not None:
            return ", ".join(reversed(parts_of(facts.located)))
        if name == b"position" and facts.place is not None:
            where = facts.place
            numbers = (where.latitude, where.longitude, where.altitude)
            return ",".join(f"{n:.6f}".rstrip("0").rstrip(".") for n in numbers if n is not None)
        return None

    def _people(self, photo: PhotoRecord | None) -> str | None:
        """Return who is in it, by name."""
        persons = filter(is_person, photo.tags if photo is not None else ())
        return ", ".join(sorted(map(self._state.photos.tag_name, persons))) or None

    def _said(self, file: FileRecord, photo: PhotoRecord | None, name: str) -> str | None:
        """Return who says that a tag belongs to a file, and how sure they are, the surest first."""
        tag = self._state.photos.tag(name)
        if tag is None or tag not in self._tags.in_force(file):
            return None
        own = self._tags.own(file)
        if tag in own or any(tag in self._state.photos.above(t) for t in own):
            return "you"
        seen = [
            (scored.confidence, pack)
            for pack, sight in (photo.counting.items() if photo is not None else ())
            for scored in sight.tags
            if self._state.photos.canonical(scored.tag) == tag
        ]
        return ", ".join(f"{sure:.2f} auto {pack}" for sure, pack in sorted(seen, reverse=True))

    # -- what is only kept -------------------------------------------------------------------

    def _kept(self, node: Node) -> Kept:
        if isinstance(node, FileNode):
            regs = self._record(node.file).regs
        elif isinstance(node, OwnFolder):
            regs = self._state.folders.ensure(node.folder).regs
        else:
            return ()
        return tuple((name, value) for name, value in regs.get(Field.ATTRIBUTES) or ())

    def _keep(self, node: Node, values: dict[bytes, bytes]) -> list[Op]:
        kept = tuple(sorted(values.items()))
        if kept == self._kept(node):
            return []
        if (
            len(kept) > MAX_ATTRIBUTES
            or sum(len(n) + len(v) for n, v in kept) > MAX_ATTRIBUTE_BYTES
        ):
            raise FileError(errno.ENOSPC, "A file keeps at most 64 attributes of 64 KiB together.")
        if isinstance(node, FileNode):
            return [SetRegister(Entity.FILE, node.file, Field.ATTRIBUTES, kept or None)]
        assert isinstance(node, OwnFolder)
        return [SetRegister(Entity.FOLDER, node.folder, Field.ATTRIBUTES, kept or None)]


def _subject(file: FileRecord) -> ContentId:
    """Return what the user's words on a file hang on: its content, else the file itself."""
    return file.content[0] if file.content is not None else ContentId(file.id)


def _stars(value: bytes) -> int | None:
    """Return a rating in half stars, None for none; raises FileError(EINVAL)."""
    text = value.rstrip(b"\0").strip()
    if not text.isdigit() or len(text) > 4 or int(text) > 10:
        raise FileError(errno.EINVAL, "A rating is a whole number from 0 to 10.")
    return int(text) or None
