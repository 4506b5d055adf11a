"""What recognisers saw, read back from the sealed packs: every score, and the embedding."""

from __future__ import annotations

import errno

from tagfs.catalog.sights import Sight
from tagfs.catalog.state import State
from tagfs.errors import FileError
from tagfs.model import Scored
from tagfs.pipeline.contents import ContentReader, Contents
from tagfs.vault.packs import decode_details


class Details:
    """Reads details; photos of one pack one after the other open it once."""

    def __init__(self, state: State, contents: Contents) -> None:
        self._state = state
        self._contents = contents
        self._reader: ContentReader | None = None

    async def of(self, sight: Sight) -> tuple[tuple[Scored, ...], bytes] | None:
        """Return (scores, embedding) of one look at a photo, None where none were kept.

        Absent packs are fetched. Raises FileError as reading a file does, Integrity for a pack
        that is malformed.
        """
        if sight.details is None:
            return None
        pack, offset, length = sight.details
        if self._reader is None or self._reader.content.id != pack:
            self.close()
            content = self._state.photos.content(pack)
            if content is None:
                raise FileError(errno.EIO, "The record of a pack of scores is missing.")
            self._reader = self._contents.reader(content)
        item = b""
        while len(item) < length:
            piece = bytes(await self._reader.read(offset + len(item), length - len(item)))
            if not piece:
                raise FileError(errno.EIO, "A pack of scores is shorter than its record says.")
            item += piece
        return decode_details(item)

    def close(self) -> None:
        """Let go of the pack that is open."""
        if self._reader is not None:
            self._reader.close()
        self._reader = None
