"""What names in the tree resolve to: folders, places in views, files and generated texts."""

from __future__ import annotations

import enum
import errno
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from tagfs.catalog.folders import suffixed
from tagfs.catalog.records import FileRecord
from tagfs.catalog.state import Change
from tagfs.errors import FileError
from tagfs.model import MAX_NAME, FileId, FolderId
from tagfs.vault.ops import Op

ROOT_INODE = 1


class Kind(enum.Enum):
    """What an inode is to the kernel."""

    FILE = "file"
    DIR = "dir"
    SYMLINK = "symlink"


@dataclass(frozen=True, slots=True)
class Attr:
    """What ``stat`` shows. ``volatile``: the same inode may be reached through another folder
    under other rules, so the kernel must ask again before it opens it by name. ``on_demand``: a
    directory that is there for who asks for it, and not listed until it is made."""

    ino: int
    kind: Kind
    size: int
    mode: int
    mtime_ns: int
    ctime_ns: int
    nlink: int
    volatile: bool = False
    on_demand: bool = False


@dataclass(frozen=True, slots=True)
class OwnFolder:
    """A folder of the user's."""

    folder: FolderId


@dataclass(frozen=True, slots=True)
class Spot:
    """A directory inside a view: the view's name and the ids on the way."""

    view: str
    path: tuple[str, ...] = ()

    @property
    def ino(self) -> int:
        """The same number on every mount: a hash of the way, apart from files' numbers."""
        digest = hashlib.sha256("\0".join((self.view, *self.path)).encode()).digest()
        return (int.from_bytes(digest[:8], "big") >> 3) | 1 << 62


@dataclass(frozen=True, slots=True)
class FileNode:
    """A file, wherever it is listed."""

    file: FileId


@dataclass(frozen=True, slots=True)
class Text:
    """A generated text such as ``.tagfs/status``."""

    name: str

    @property
    def ino(self) -> int:
        """The same number on every mount."""
        return Spot("text:" + self.name).ino


@dataclass(frozen=True, slots=True)
class Scrap:
    """A file that a file manager left in a view, in memory only (junk.py)."""

    number: int

    @property
    def ino(self) -> int:
        """Apart from the numbers of files and of views."""
        return 0b11 << 61 | self.number


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture of a file under one of its names, made when it is opened."""

    file: FileId
    name: bytes
    side: int  # pixels, at most
    size: int  # bytes, exactly

    @property
    def ino(self) -> int:
        """The same number on every mount."""
        return Spot(f"thumbnail:{self.side}", (self.file.hex(), self.name.hex())).ino


Directory = OwnFolder | Spot
Node = Directory | FileNode | Text | Scrap | Thumbnail


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a listing; a reader who has it continues after ``cookie``."""

    cookie: int
    name: bytes
    node: Node


class View(Protocol):
    """One view of the collection: what it lists and what changing it means.

    Methods that change return the operations which the act stands for; the tree commits them.
    They raise FileError for what the view does not allow.
    """

    name: str

    def lines(self, path: tuple[str, ...], start: int) -> Iterator[Line]:
        """Yield the lines after cookie ``start`` (0: from the beginning)."""

    def look_up(self, path: tuple[str, ...], name: bytes) -> Node | None:
        """Return what stands under the name, None for nothing."""

    def add(self, path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Bring a file that is listed elsewhere here as well."""

    def create(self, path: tuple[str, ...], file: FileId) -> list[Op]:
        """Say what a new unfiled file gets for being written here."""

    def remove(self, path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Take a file away from here."""

    def shift(self, path: tuple[str, ...], new_path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Take a file from one place of this view to another."""

    def is_listed(self, spot: Spot) -> bool:
        """Whether a directory of this view is listed, rather than found by its name alone."""

    def make_dir(self, path: tuple[str, ...], name: bytes) -> list[Op]:
        """Make a directory."""

    def remove_dir(self, path: tuple[str, ...], name: bytes) -> list[Op]:
        """Remove a directory."""

    def rename_dir(
        self, path: tuple[str, ...], name: bytes, new_path: tuple[str, ...], new_name: bytes
    ) -> list[Op]:
        """Rename a directory within the view."""

    def touched(self, change: Change) -> Iterator[tuple[Spot, bytes | None]]:
        """Yield the names (None: all) whose listing a change made stale."""


def escape(name: str) -> bytes:
    """Return a tag's name as a file name; reversible by ``unescape``.

    ``/``, NUL, ``%``, a leading dot and whatever exceeds 255 bytes are percent-encoded or cut.
    """
    quoted = name.replace("%", "%25").replace("/", "%2F").replace("\0", "%00")
    if quoted.startswith("."):
        quoted = "%2E" + quoted[1:]
    raw = quoted.encode("utf-8", "surrogateescape")
    return raw if len(raw) <= 255 else suffixed(raw[:255], hashlib.sha256(raw).digest())


def unescape(name: bytes) -> str:
    """Return the tag's name that a file name stands for."""
    text = name.decode("utf-8", "surrogateescape")
    for code, character in (("%2E", "."), ("%2F", "/"), ("%00", "\0"), ("%25", "%")):
        text = text.replace(code, character)
    return text


def check_name(name: bytes) -> None:
    """Raise FileError for what cannot be the name of a new entry."""
    if len(name) > MAX_NAME:
        raise FileError(errno.ENAMETOOLONG)
    if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
        raise FileError(errno.EINVAL)
