"""Looking costs nothing: heads of contents whose bytes are not on this machine any more.

File managers read the first pages of everything they show, and photo programs the EXIF data in
front of the pixels. Where the local copy of a content goes, its head stays (recognise/heads.py
says how much that is); of a content whose beginning was fetched it is kept, too.
"""

from __future__ import annotations

import os
from pathlib import Path

from tagfs.errors import Integrity
from tagfs.model import Content, ContentId, ObjectName
from tagfs.pipeline.disk import Buffer, Disk
from tagfs.pipeline.small_cache import SmallCache
from tagfs.pipeline.spool import Spool
from tagfs.recognise.heads import MAX_HEAD, head_size
from tagfs.vault.keys import KeyRing
from tagfs.vault.objects import HEAD, SEALED_TRAILER, PartReader, read_trailer
from tagfs.vault.packs import MEDIA_TYPE as PACK

LIMIT = 512 * 1024 * 1024
"""Bytes of heads that are kept on this machine."""


class Heads:
    """Sealed heads by content id. Safe from any thread, and never raises."""

    def __init__(self, cache: SmallCache, ring: KeyRing) -> None:
        self._cache = cache
        self._ring = ring

    @classmethod
    def beside(cls, spool: Spool, folder: Path, ring: KeyRing, disk: Disk) -> Heads:
        """Keep heads in ``folder``, among them those of what the spool lets go from now on."""
        cache = SmallCache(folder, ring.local_key(), LIMIT, spool.reserve, disk)
        heads = cls(cache, ring)
        spool.copies.parting = heads.parting
        spool.shrink()
        return heads

    def get(self, content: ContentId) -> memoryview | None:
        """Return the first bytes of a content; None when its head is not kept."""
        head = self._cache.get(content)
        return None if head is None else memoryview(head)

    def keep(self, content: Content, first: Buffer) -> None:
        """Keep the head of a content whose first bytes, 64 KiB or all, are at hand."""
        if content.id not in self._cache and content.media_type != PACK:
            self._keep(content.id, content.media_type, memoryview(first)[:MAX_HEAD])

    def parting(self, name: ObjectName, fd: int) -> bool:
        """Keep the head of what a sealed object holds, whose local copy is about to go.

        Returns whether the whole copy should stay for now, because it is small and looked at
        often: packs of thumbnails and details.
        """
        try:
            size = os.fstat(fd).st_size
            tail = os.pread(fd, SEALED_TRAILER, size - SEALED_TRAILER)
            trailer, part = read_trailer(self._ring, name, tail, os.pread(fd, HEAD, 0), size)
            if trailer.media_type == PACK:
                return True
            wanted = min(MAX_HEAD, trailer.size)
            if trailer.number == 0 and wanted and trailer.content not in self._cache:
                reader = PartReader(self._ring, part, 0)
                offset, length, first = reader.span(0, wanted)
                data = memoryview(bytearray(wanted))
                reader.open_into(os.pread(fd, length, offset), first, 0, data)
                self._keep(trailer.content, trailer.media_type, data)
        except (OSError, ValueError, Integrity):
            pass  # a copy that does not verify has no head either
        return False

    def _keep(self, content: ContentId, media_type: str, first: memoryview) -> None:
        self._cache.put(content, first[: head_size(first, media_type)])
