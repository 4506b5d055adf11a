"""The nouns of the model: files, folders, tags, views and contents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

MEDIA = b"\x89PNG\r\n\x1a\n"
"""Contents that begin so are photos; the byte after it says what a recogniser sees."""
ABOVE = {"tabby": ("cat", "animal"), "cat": ("animal",), "dog": ("animal",), "animal": ()}
"""The concepts, and what is above each."""
SEEN = {b"d": ("dog", "animal"), b"t": ("tabby", "cat", "animal"), b"n": (), b"u": ()}
"""What is seen in a photo, by the byte after MEDIA; u cannot be decoded."""
_NAMES = "all tags people places dates recent untagged favourites review search trash"
VIEWS = tuple(_NAMES.split(" "))
"""The views that there are."""
RESERVED = frozenset((*VIEWS, "videos", ".tagfs"))
TAKES = ("all", "tags", "dates", "favourites")
"""Views that something can be copied into."""


@dataclass(eq=False, repr=False)
class Tag:
    """A tag. A concept is one from the beginning, though nothing lists it."""

    name: str
    concept: str | None = None
    kept: bool = False
    into: Tag | None = None

    def __repr__(self) -> str:
        return f"tag {self.name!r}"


@dataclass(eq=False, repr=False)
class Folder:
    """An own folder; the root has no parent."""

    parent: Folder | None = None
    name: str = ""
    children: dict[str, Folder | File] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"folder {self.name!r}"


@dataclass(eq=False, repr=False)
class File:
    """One inode. ``places``: (folder, name), with None for the unfiled ones."""

    born: int
    data: bytes = b""
    target: str | None = None
    places: list[tuple[Folder | None, str]] = field(default_factory=list)
    lost: list[tuple[Folder | None, str]] = field(default_factory=list)
    ino: int | None = None
    labels: set[str] = field(default_factory=set)  # under which names all/ lists it
    gathered: str | None = None  # under which name the views of what somebody tagged list it
    trashed: float = 0.0  # when, by the clock on the wall
    order: int = 0  # in which it was trashed
    version_of: File | None = None  # whose former content it is, in the trash
    over: set[bytes] = field(default_factory=set)  # what it was written over, until looked at
    before: bytes | None = None  # the picture among them that it is to be compared with
    said: Content = field(default_factory=lambda: Content())  # while it is empty

    def __repr__(self) -> str:
        return f"file {self.born} {self.data!r} at {self.places or self.lost}"

    @property
    def photo(self) -> bool:
        """Whether its content is a picture."""
        return self.data.startswith(MEDIA)


@dataclass(frozen=True)
class View:
    """A view directory: ``tags`` for a path of tags, ``parts`` for other paths."""

    name: str
    tags: tuple[Tag, ...] = ()
    parts: tuple[str, ...] = ()


@dataclass(eq=False)
class Content:
    """What is known of equal bytes: a photo, or a document that somebody tagged."""

    words: dict[Tag, tuple[bool, int]] = field(default_factory=dict)
    seen: tuple[str, ...] | None = None  # None until it was looked at
    favourite: bool = False
    date: str | None = None
    label: str | None = None  # under which name views list it now
    chosen: bool = False  # "chosen once for the whole vault": the label stays from now on
    asked: str | None = None  # what it was renamed to in a view
    gone: bool = False  # no live file had it when this was last looked at


Where = Folder | View
Words = dict[Tag, tuple[bool, int]]
"""The user's yes or no, and when."""


def plain(name: str) -> Iterator[str]:
    """Yield what a listed name may have been written as: itself, or without one ``~id`` or more."""
    yield name
    while match := re.fullmatch(r"(.+)~[0-9a-f]{8}(\.[^.]*)?", name, re.DOTALL):
        name = match[1] + (match[2] or "")
        yield name
