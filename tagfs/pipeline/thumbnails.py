"""Thumbnails as other programs want them: the sealed JPEG of a photo as pixels in a PNG."""

from __future__ import annotations

import errno
from collections import OrderedDict
from typing import Protocol, runtime_checkable

from tagfs.catalog.records import FileRecord, PhotoRecord
from tagfs.catalog.state import State
from tagfs.errors import FileError
from tagfs.model import ContentId
from tagfs.pipeline.contents import Contents
from tagfs.recognise.packs import PackMissing

REMEMBERED = 16
"""PNGs that stay in memory: whoever looks at one reads it more than once."""
MAX_JPEG = 256 * 1024
"""Bytes of a sealed thumbnail that is looked at."""


@runtime_checkable
class Draws(Protocol):
    """The recogniser, as what turns one form of a picture into another."""

    async def png(self, jpeg: bytes, side: int) -> bytes | None:
        """Return a JPEG as a PNG of at most ``side`` x ``side`` pixels; None when it is broken."""


class Thumbnails:
    """What ``.sh_thumbnails/`` is made of."""

    def __init__(self, state: State, contents: Contents, draws: Draws | None) -> None:
        """``draws`` is None where no worker can be had; there are no thumbnails then."""
        self._state = state
        self._contents = contents
        self._draws = draws
        self._made: OrderedDict[tuple[ContentId, int], bytes] = OrderedDict()

    def has(self, file: FileRecord) -> bool:
        """Whether there is a thumbnail of a file as it is now. Reads no bytes."""
        photo = self._photo(file)
        sight = photo.sight if photo is not None else None
        return self._draws is not None and sight is not None and sight.thumbnail is not None

    async def png(self, file: FileRecord, side: int) -> bytes:
        """Return the thumbnail, at most ``side`` pixels wide and high, without any text in it.

        Raises FileError: ENOENT when there is none, ENETUNREACH, EIO.
        """
        photo = self._photo(file)
        sight = photo.sight if photo is not None else None
        if photo is None or sight is None or sight.thumbnail is None or self._draws is None:
            raise FileError(errno.ENOENT)
        made = self._made.get((photo.id, side))
        if made is None:
            jpeg = await self._jpeg(*sight.thumbnail)
            try:
                made = await self._draws.png(jpeg, side)
            except PackMissing as e:
                raise FileError(errno.EIO, str(e)) from e
            if made is None:
                raise FileError(errno.EIO, "The thumbnail of this photo is broken.")
            self._made[photo.id, side] = made
            while len(self._made) > REMEMBERED:
                self._made.popitem(last=False)
        return made

    def _photo(self, file: FileRecord) -> PhotoRecord | None:
        return None if file.content is None else self._state.photos.get(file.content[0])

    async def _jpeg(self, ident: ContentId, offset: int, length: int) -> bytes:
        pack = self._state.photos.content(ident)
        if pack is None or not 0 < length <= MAX_JPEG or offset + length > pack.size:
            raise FileError(errno.EIO, "The record of this photo's thumbnail is malformed.")
        # The whole pack, because its neighbours are looked at next.
        await self._contents.fetch(pack)
        reader = self._contents.reader(pack)
        try:
            return bytes(await reader.read(offset, length))
        finally:
            reader.close()
