"""Re-sealing: a draft becomes a content in final form, in steps that let other tasks run."""

from __future__ import annotations

from collections.abc import Callable

import trio

from tagfs.model import CHUNK, Content
from tagfs.pipeline.contents import Contents, refused
from tagfs.pipeline.drafts import OpenContent
from tagfs.pipeline.notes import DraftSaved
from tagfs.pipeline.spool import Spool
from tagfs.vault.keys import KeyRing
from tagfs.vault.objects import ContentWriter

STEP = 1024 * 1024
"""Bytes that are re-sealed between two chances for other tasks."""


async def reseal(
    contents: Contents,
    spool: Spool,
    ring: KeyRing,
    draft: DraftSaved,
    name: bytes,
    mtime_ns: int,
    media_type_of: Callable[[bytes], str],
) -> Content:
    """Seal a draft, as its note describes it, into a new content in the spool.

    Later changes of the file do not show in it. Lets other tasks run after every 1 MiB; when
    it is cancelled or fails nothing is left behind. Raises FileError: ENETUNREACH (the base is
    absent and the remote does not answer), EIO, ENOSPC.
    """
    source = OpenContent.from_draft(contents, spool, ring, draft)
    writer = ContentWriter(ring, spool.open_part, spool.close_part)
    try:
        head = b""
        while (done := writer.size) < source.size:
            data = await source.read(done, STEP)
            if len(head) < CHUNK:
                head += bytes(data[: CHUNK - len(head)])
            spool.reserve(len(data))
            writer.append(data)
            await trio.lowlevel.checkpoint()
        content = writer.finish(name, mtime_ns, media_type_of(head))
    except BaseException as e:
        contents.discard(writer)
        if isinstance(e, OSError):
            raise refused(e) from e
        raise
    finally:
        source.close()
    return content
