"""Reading a scratch log over its base: pieces of both, put together in one buffer."""

from __future__ import annotations

import errno
from collections.abc import Callable

from tagfs.errors import FileError, Integrity
from tagfs.pipeline.contents import ContentReader, Contents, damaged
from tagfs.pipeline.notes import DraftSaved
from tagfs.pipeline.scratch import Piece, Scratch


def read_now(
    scratch: Scratch, base: ContentReader | None, offset: int, size: int
) -> memoryview | None:
    """Return ``size`` bytes that are on this machine; None when the base is not.

    Raises FileError(EIO) for what does not verify.
    """
    out = memoryview(bytearray(size))
    for piece in list(scratch.pieces(offset, size)):
        target = out[piece.start - offset : piece.end - offset]
        if piece.base:
            assert base is not None
            data = base.read_now(piece.start, piece.end - piece.start)
            if data is None:
                return None
            target[:] = data
        else:
            _read_piece(scratch, piece, target)
    return out


async def read(
    scratch: Scratch, base: ContentReader, offset: int, size: int, valid: Callable[[], bool]
) -> memoryview:
    """Return the same after fetching what is absent of the base.

    Stops early, with a buffer that means nothing, as soon as ``valid`` says no.
    """
    out = memoryview(bytearray(size))
    for piece in list(scratch.pieces(offset, size)):
        target = out[piece.start - offset : piece.end - offset]
        if piece.base:
            target[:] = await base.read(piece.start, piece.end - piece.start)
            if not valid():
                break
        else:
            _read_piece(scratch, piece, target)
    return out


def open_scratch(contents: Contents, draft: DraftSaved) -> Scratch:
    """Open the log of a draft; raises FileError(EIO) when it is not what the note says."""
    base = draft.base.size if draft.base is not None else 0
    try:
        scratch = contents.scratches.open(draft.scratch, draft.length, base)
    except Integrity as e:
        raise damaged(e) from None
    if scratch.size != draft.size:
        scratch.close()
        raise damaged(Integrity(f"Scratch log {draft.scratch.hex()} does not fit its note."))
    return scratch


def _read_piece(scratch: Scratch, piece: Piece, target: memoryview) -> None:
    if piece.extent is None:
        return  # the buffer is zero already
    try:
        scratch.read_extent(piece, target)
    except Integrity as e:
        raise damaged(e) from None
    except OSError as e:
        raise FileError(errno.EIO, f"The state directory cannot be read: {e.strerror}.") from e
