"""What recognisers saw, read back from the sealed packs: every score, and the embedding."""

from __future__ import annotations

import errno

from tagfs.catalog.records import Sight
from tagfs.catalog.state import State
from tagfs.errors import FileError
from tagfs.model import Scored
from tagfs.pipeline.contents import Contents
from tagfs.vault.packs import decode_details


async def details(
    state: State, contents: Contents, sight: Sight
) -> tuple[tuple[Scored, ...], bytes] | None:
    """Return (scores, embedding) of one look at a photo, None where none were kept.

    Absent packs are fetched. Raises FileError as reading a file does, Integrity for a pack that
    is malformed.
    """
    if sight.details is None:
        return None
    pack, offset, length = sight.details
    content = state.photos.content(pack)
    if content is None:
        raise FileError(errno.EIO, "The record of a pack of scores is missing.")
    reader = contents.reader(content)
    try:
        item = b""
        while len(item) < length:
            piece = bytes(await reader.read(offset + len(item), length - len(item)))
            if not piece:
                raise FileError(errno.EIO, "A pack of scores is shorter than its record says.")
            item += piece
        return decode_details(item)
    finally:
        reader.close()
