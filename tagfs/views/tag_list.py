"""``user.xdg.tags``: the tags of a file as one comma-separated text, and what writing one means.

Dolphin and others read the text, change it and write all of it back. So a write counts as the
difference to what was last read: what came, the user said *yes* to, what went, *no*. Who never
read the file's tags can only have meant to add some.
"""

from __future__ import annotations

import errno
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable

from tagfs.catalog.photos import fold
from tagfs.catalog.records import FileRecord
from tagfs.catalog.state import State
from tagfs.errors import FileError
from tagfs.model import FileId, TagId, Word, is_person
from tagfs.vault.ops import Op
from tagfs.views import acts

MAX_NAMES = 256
"""Names in one text that is written, at most."""
REMEMBERED = 4096
"""Files of which it is known what was last read."""
GIVEN = 256
"""Texts of which it is known that tagfs itself gave them out."""


def join(names: Iterable[str]) -> bytes:
    """Return names as one text; a comma is written ``%2C``, and what would read as one ``%25…``."""
    escaped = (re.sub("%(?=2C|25)", "%25", name).replace(",", "%2C") for name in names)
    return ",".join(escaped).encode("utf-8", "surrogateescape")


def split(value: bytes) -> list[str]:
    """Return the names of a text, without the blanks around them; raises FileError(EINVAL)."""
    try:
        text = value.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        raise FileError(errno.EINVAL, "Tags are written in UTF-8.") from None
    names = [
        re.sub("%2C|%25", lambda code: "," if code[0] == "%2C" else "%", name.strip())
        for name in text.split(",")
    ]
    if any("\0" in name or len(name.encode()) > 255 for name in names):
        raise FileError(errno.EINVAL, "A tag's name has at most 255 bytes.")
    if len(names) > MAX_NAMES:
        raise FileError(errno.E2BIG, f"At most {MAX_NAMES} tags can be written at once.")
    return [name for name in names if name]


class TagList:
    """The tags of files as texts. Remembers, in memory only, what was read."""

    def __init__(self, state: State, tag_named: Callable[[str], tuple[TagId, list[Op]]]) -> None:
        """``tag_named`` returns the tag of a name, with what makes it when it is new."""
        self._state = state
        self._tag_named = tag_named
        self._read: OrderedDict[FileId, dict[str, TagId]] = OrderedDict()
        self._given: OrderedDict[bytes, frozenset[str]] = OrderedDict()

    def in_force(self, file: FileRecord) -> set[TagId]:
        """Return the tags that a file is listed under; of a deleted one, those the user gave."""
        if file.content is None:
            return self._standing(file)  # what is above them comes with the bytes
        photo = self._state.photos.get(file.content[0])
        if photo is not None and photo.files:
            return {tag for tag in photo.tags if not is_person(tag)}
        own = self.own(file).keys()
        return set(own).union(*(self._state.photos.above(tag) for tag in own))

    def own(self, file: FileRecord) -> dict[TagId, list[TagId]]:
        """Return the tags that the user gave, each with the tags, since merged into it, that
        hold the words."""
        given: dict[TagId, list[TagId]] = {}
        for tag, word in self._state.words(file).items():
            if word is Word.YES and not is_person(tag):
                given.setdefault(self._state.photos.canonical(tag), []).append(tag)
        return given

    def _standing(self, file: FileRecord) -> set[TagId]:
        words = self._state.lasting_words(file)
        return {tag for tag, word in words.items() if word is Word.YES and not is_person(tag)}

    def listed(self, file: FileRecord) -> list[TagId]:
        """Return the most specific of the tags in force, and those that the user gave.

        The others follow from these: who removed *animal* while *dog* stays would deny both.
        """
        force = self.in_force(file)
        implied = {above for tag in force for above in self._state.photos.above(tag)}
        chosen = {t for t in force if t not in implied} | (force & self._standing(file))
        return sorted(chosen, key=lambda t: (fold(self._state.photos.tag_name(t)), t))

    def read(self, file: FileRecord) -> bytes | None:
        """Return the text, None for no tags; the next write counts as the difference to it."""
        tags = {self._state.photos.tag_name(tag): tag for tag in self.listed(file)}
        self._remember(file.id, {fold(name): tag for name, tag in tags.items()})
        if not tags:
            return None
        value = join(tags)
        own = self.own(file)
        self._given[value] = frozenset(fold(n) for n, tag in tags.items() if tag not in own)
        self._given.move_to_end(value)
        if len(self._given) > GIVEN:
            self._given.popitem(last=False)
        return value

    def write(self, file: FileRecord, value: bytes, mirrors: bool = False) -> list[Op]:
        """Say *yes* to what came since the last read, and *no* to what went.

        A program that ``mirrors`` another copy reads too, but nobody has looked at what it read:
        what went only loses the user's *yes*, as if the attribute had been removed.
        """
        names = {fold(name): name for name in split(value)}
        if not names:
            return self.take_back(file)
        before = self._read.get(file.id)
        known = self._passed_over(file, value) if before is None else before
        ops: list[Op] = []
        kept: dict[str, TagId] = {}
        came: list[TagId] = []
        for key, name in names.items():
            if key in known:
                kept[key] = self._state.photos.canonical(known[key])
                continue
            tag, making = self._tag_named(name)
            ops += making
            kept[key] = tag
            came.append(tag)
        # A *yes* that a later *no* above it outweighs is said anew.
        said = self._standing(file)
        ops += acts.say(file, dict.fromkeys(t for t in came if t not in said), Word.YES)
        gone = {
            self._state.photos.canonical(t) for k, t in (before or {}).items() if k not in names
        }
        ops += self._drop(file, gone - set(kept.values()), set(kept.values()), mirrors)
        self._remember(file.id, kept)
        return ops

    def take_back(self, file: FileRecord) -> list[Op]:
        """Take back every *yes* of the user's; what was seen goes on being listed."""
        self._remember(file.id, {})
        held = [tag for tags in self.own(file).values() for tag in tags]
        return acts.say(file, sorted(held), Word.UNSET)

    def _drop(self, file: FileRecord, tags: set[TagId], kept: set[TagId], gently: bool) -> list[Op]:
        """Say *no*; gently, only the user's *yes* is taken back; of what a kept tag implies every
        word is, since a *no* that was said before tags were merged would deny the kept one, too."""
        own, words = self.own(file), self._state.lasting_words(file)
        implied = {above for tag in kept for above in self._state.photos.above(tag)}
        ops: list[Op] = []
        for tag in sorted(tags):
            if tag in implied:
                ops += acts.say(file, self._holders(file, tag), Word.UNSET)
            elif gently:
                ops += acts.say(file, own.get(tag, []), Word.UNSET)
            elif words.get(tag) is not Word.NO:  # one that a later *yes* outweighs is said anew
                ops += acts.say(file, [tag], Word.NO)
        return ops

    def _holders(self, file: FileRecord, tag: TagId) -> list[TagId]:
        """Return the tags, since merged into one, that hold words on a file."""
        held = [t for t, word in self._state.words(file).items() if word is not Word.UNSET]
        return [t for t in held if self._state.photos.canonical(t) == tag]

    def _passed_over(self, file: FileRecord, value: bytes) -> dict[str, TagId]:
        """Return which names a text says nothing new with that was written without reading.

        Those in force already. And when tagfs gave out this very text a while ago, it is
        ``cp -a`` inside the gallery that copies attributes, too: the copy is the same photo, and
        what a recogniser saw on it must not become the user's word.
        """
        names = {fold(self._state.photos.tag_name(t)): t for t in self.in_force(file)}
        if file.content is None:
            for key in self._given.get(value, ()):
                tag = self._state.photos.tag(key)
                if tag is not None:
                    names[key] = tag
        return names

    def _remember(self, file: FileId, tags: dict[str, TagId]) -> None:
        self._read[file] = tags
        self._read.move_to_end(file)
        if len(self._read) > REMEMBERED:
            self._read.popitem(last=False)
