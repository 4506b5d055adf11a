"""``.sh_thumbnails/`` in every directory: thumbnails for file managers, that cost no network.

A *shared thumbnail repository* of the freedesktop.org thumbnail specification (0.8): the file
``<directory>/.sh_thumbnails/<size>/<MD5 of "./" and the name>.png`` with the text fields
``Thumb::URI`` and ``Thumb::MTime``. It is reachable by name and not listed; nothing in it can be
changed. What is asked for is a hash of a name, so the names of a directory are hashed when the
first is asked for.
"""

from __future__ import annotations

import errno
import hashlib
import re
import struct
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final
from urllib.parse import quote

from tagfs.catalog.records import FileRecord
from tagfs.errors import FileError
from tagfs.model import FolderId
from tagfs.pipeline.thumbnails import Thumbnails
from tagfs.views.fixed import ReadOnly
from tagfs.views.nodes import Directory, Line, Node, OwnFolder, Spot, Thumbnail
from tagfs.views.opened import Opened

NAME: Final = ".sh_thumbnails"
SIZES: Final = {"normal": (128, 56 * 1024), "large": (256, 200 * 1024)}
"""Pixels along the longer side, and bytes that every file of that size is padded to: the size of
a file is told before it is made. Pixels that do not compress need 197 KB at most."""
MAX_NAMES: Final = 50_000
"""Names of one directory that are hashed, the first ones."""
_DIRECTORIES = 8
_REST = 20.0
"""Times as long as hashing a directory took, it is not hashed again."""
_ENTRY = re.compile(rb"([0-9a-f]{32})\.png")
_UNQUOTED = "!$&'()*+,-./:=@_~"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_IHDR_END = len(_SIGNATURE) + 25


def shared_hashes(name: bytes) -> set[bytes]:
    """Return the hex hashes under which programs look for the thumbnail of a name.

    Some hash the name, some its form in a URI, in which ``;`` is quoted by some; Xfce 4.20 puts
    ``./`` before it, as the specification wants, and Xfce 4.18 does not.
    """
    forms = {name, quote(name, _UNQUOTED).encode(), quote(name, _UNQUOTED + ";").encode()}
    forms |= {b"./" + form for form in forms}
    return {hashlib.md5(form, usedforsecurity=False).hexdigest().encode() for form in forms}


def with_texts(png: bytes, name: bytes, mtime_ns: int, size: int) -> bytes:
    """Return a PNG with the fields that the specification wants, padded to ``size`` bytes.

    Raises ValueError for what is no PNG, or too large for it.
    """
    seconds, micros = mtime_ns // 10**9, mtime_ns // 1000 % 10**6
    mtime = f"{seconds}.{micros:06}" if micros else f"{seconds}"
    uri = b"./" + quote(name, _UNQUOTED).encode()
    texts = _chunk(b"tEXt", b"Thumb::URI\0" + uri) + _chunk(
        b"tEXt", b"Thumb::MTime\0" + mtime.encode()
    )
    spare = size - len(png) - len(texts) - 12
    end = _chunk(b"IEND", b"")
    if not png.startswith(_SIGNATURE) or not png.endswith(end) or spare < 0:
        raise ValueError("not a PNG that fits")
    padding = _chunk(b"tpAD", bytes(spare))  # ancillary, private, safe to copy: nobody minds it
    return png[:_IHDR_END] + texts + png[_IHDR_END : -len(end)] + padding + end


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def thumbnails_in(where: Directory, name: bytes) -> Spot | None:
    """Return the directory of thumbnails in a directory; None where or when it is not meant."""
    if name != NAME.encode():
        return None
    if isinstance(where, OwnFolder):
        return Spot(NAME, (where.folder.hex(),))
    if where.view in (NAME, ".tagfs") or where == Spot("search"):
        return None
    return Spot(NAME, ("\0".join((where.view, *where.path)),))


def directory_of(spot: Spot) -> Directory:
    """Return the directory that a directory of thumbnails stands in."""
    view, *path = spot.path[0].split("\0")
    return OwnFolder(FolderId(bytes.fromhex(view))) if len(view) == 32 else Spot(view, tuple(path))


class SharedThumbnails(ReadOnly):
    """The view that the directories of thumbnails belong to."""

    name = NAME

    def __init__(
        self,
        listed: Callable[[Directory], Iterable[bytes]],
        file: Callable[[Directory, bytes], FileRecord | None],
        made: Thumbnails,
        size_and_times: Callable[[FileRecord], tuple[int, int, int]],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``listed`` gives the names of files in a directory, ``file`` what stands under one."""
        self._listed = listed
        self._file = file
        self._made = made
        self._size_and_times = size_and_times
        self._now = now
        self._hashed: OrderedDict[Directory, tuple[dict[bytes, bytes], float]] = OrderedDict()

    def look_up(self, path: tuple[str, ...], name: bytes) -> Node | None:
        """Resolve a size, or a thumbnail that can be made."""
        if len(path) == 1:
            return Spot(NAME, (*path, name.decode())) if name.decode("latin-1") in SIZES else None
        wanted = _ENTRY.fullmatch(name)
        if wanted is None:
            return None
        found = self._under(directory_of(Spot(NAME, path)), wanted[1])
        if found is None or not self._made.has(found[1]):
            return None
        return Thumbnail(found[1].id, found[0], *SIZES[path[1]])

    async def open(self, node: Thumbnail, file: FileRecord, writing: bool) -> Opened:
        """Open a thumbnail, which is made now.

        Raises FileError: EPERM, ENOENT when there is none any more, ENETUNREACH, EIO.
        """
        if writing:
            raise self._refusal()
        pixels = await self._made.png(file, node.side)
        try:
            made = with_texts(pixels, node.name, self._size_and_times(file)[1], node.size)
        except ValueError:
            raise FileError(errno.EIO, "The thumbnail of this photo is malformed.") from None
        return Opened.of_text(node.ino, made)

    def _under(self, where: Directory, wanted: bytes) -> tuple[bytes, FileRecord] | None:
        """Return the name with this hash and the file under it."""
        names, rest = self._hashed.get(where, ({}, 0.0))
        if wanted not in names and self._now() >= rest:
            names = self._hash(where)
        name = names.get(wanted)
        file = None if name is None else self._file(where, name)
        return None if name is None or file is None else (name, file)

    def _hash(self, where: Directory) -> dict[bytes, bytes]:
        began = self._now()
        names = {
            digest: name
            for name in islice(self._listed(where), MAX_NAMES)
            for digest in shared_hashes(name)
        }
        ended = self._now()
        self._hashed[where] = names, ended + _REST * (ended - began)
        self._hashed.move_to_end(where)
        while len(self._hashed) > _DIRECTORIES:
            self._hashed.popitem(last=False)
        return names

    def lines(self, path: tuple[str, ...], start: int) -> Iterator[Line]:
        """List the sizes; thumbnails are found by name only."""
        if len(path) == 1:
            for i, name in enumerate(SIZES):
                if i >= start:
                    yield Line(i + 1, name.encode(), Spot(NAME, (*path, name)))
