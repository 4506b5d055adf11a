"""Which person of the clustering is which tag of the vault, and what nameless ones are called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from tagfs.catalog.photos import Photos
from tagfs.model import TagId
from tagfs.vault.ops import Entity, Field, Op, SetRegister

_NAMELESS = re.compile(r"unknown-(\d{2,9})")


def is_nameless(name: str) -> bool:
    """Whether a name is one of those that tagfs itself gives."""
    return _NAMELESS.fullmatch(name) is not None


class PersonIds:
    """Numbers of persons, which are this device's, and their ids, which are the vault's."""

    def __init__(
        self,
        photos: Photos,
        ids: Mapping[int, TagId],
        merged: Mapping[TagId, int],
        last: int,
    ) -> None:
        """``merged`` are ids that the user merged into a number's, ``last`` is the last number
        that was given in a name: none is given twice."""
        self._photos = photos
        self._ids = dict(ids)
        self._numbers = {tag: number for number, tag in self._ids.items()}
        self.merged = dict(merged)
        self.last = last

    def raw(self) -> dict[int, TagId]:
        """Return the ids by number."""
        return self._ids

    def id(self, number: int) -> TagId | None:
        """Return the id of a person; None while they have none."""
        return self._ids.get(number)

    def number(self, tag: TagId) -> int | None:
        """Return the number of a person; None while the clustering does not know them."""
        return self._numbers.get(tag)

    def bind(self, number: int, tag: TagId) -> None:
        """Say that a number stands for an id."""
        self._ids[number] = tag
        self._numbers[tag] = number

    def drop(self, number: int) -> TagId | None:
        """Forget a number that is gone; return the id that it had."""
        tag = self._ids.pop(number, None)
        if tag is not None and self._numbers.get(tag) == number:
            del self._numbers[tag]
        return tag

    def come_back(self) -> list[tuple[TagId, int]]:
        """Return whom the user merged and has taken out again, each with whom they were in."""
        apart = [(t, n) for t, n in self.merged.items() if self._photos.canonical(t) == t]
        for tag, _ in apart:
            del self.merged[tag]
        return apart

    def is_named(self, tag: TagId) -> bool:
        """Whether the user has named a person."""
        name = self._photos.tag_name(tag)
        return name != tag and not is_nameless(name)

    def is_dismissed(self, tag: TagId) -> bool:
        """Whether the user removed the folder of somebody nameless: a stranger."""
        return self._photos.is_dropped(tag) and not self.is_named(tag)

    def known_before(self, tags: Iterable[TagId]) -> TagId | None:
        """Return whom most of these rows and words named, if no number stands for them yet."""
        free = Counter(tag for tag in tags if tag not in self._numbers)
        return min(free, key=lambda tag: (-free[tag], tag), default=None)

    def hear_names(self) -> None:
        """Give no number again that somebody is called by; looks at every person."""
        taken = [_NAMELESS.fullmatch(name) for _, _, name, _ in self._photos.persons()]
        self.last = max([self.last, *(int(found[1]) for found in taken if found)])

    def called(self, tag: TagId) -> list[Op]:
        """Return what calls a new person unknown-NN; nothing for one who has a name."""
        if self._photos.tag_name(tag) != tag:
            return []
        self.last += 1
        return [SetRegister(Entity.TAG, tag.encode(), Field.TAG_NAME, f"unknown-{self.last:02}")]

    def united(self, stays: int, goes: int) -> list[Op]:
        """Hear that two numbers are one; return what makes their ids one."""
        kept, gone = self._ids.get(stays), self.drop(goes)
        if gone is None or gone == kept:
            return []
        if kept is None:
            self.bind(stays, gone)
            return []
        return [SetRegister(Entity.TAG, gone.encode(), Field.TAG_MERGED, str(kept))]
