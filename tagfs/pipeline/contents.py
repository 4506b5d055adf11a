"""Contents as bytes again: local objects inline, remote ones by range, decrypted into buffers.

The hot path is ``read_now``: one ``preadv`` of whole chunks, decryption into a pooled buffer, a
memoryview of it. A reader keeps what it opened last, so that small reads meet it again, and
opens up to 1 MiB at once when it is read in order.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Awaitable, Callable

import trio

from tagfs.crypto.chunked import TAG
from tagfs.errors import FileError, Integrity, NotFound, RemoteError
from tagfs.model import CHUNK, PART, Content, Part
from tagfs.pipeline.absent import MOST, Absent, Spawn
from tagfs.pipeline.buffers import BufferPool
from tagfs.pipeline.disk import Buffer
from tagfs.pipeline.heads import Heads
from tagfs.pipeline.notes import UNRECORDED, Base, DraftSaved
from tagfs.pipeline.pace import Pace
from tagfs.pipeline.scratch import Scratches
from tagfs.pipeline.spool import Spool
from tagfs.recognise.heads import MAX_HEAD
from tagfs.remote.store import Store
from tagfs.vault.keys import KeyRing
from tagfs.vault.objects import (
    HEAD,
    SEALED_TRAILER,
    ContentWriter,
    PartReader,
    object_path,
    read_trailer,
    verify_part,
)

WINDOW = 1024 * 1024
"""Bytes that are opened at once when a content is read in order."""
_STEP = CHUNK + TAG

log = logging.getLogger(__name__)

Read = Callable[[int, int], Awaitable[Buffer]]


class Contents:
    """Where readers of contents come from, and what they share."""

    def __init__(
        self,
        spool: Spool,
        scratches: Scratches,
        store: Store,
        ring: KeyRing,
        heads: Heads | None = None,
    ) -> None:
        self.spool = spool
        self.heads = heads
        self.scratches = scratches
        self.store = store
        self.ring = ring
        self.small = BufferPool(CHUNK, 32)
        self.large = BufferPool(WINDOW, 16)
        self.spawn: Spawn | None = None
        """Starts what is fetched ahead in the background; None: nothing is."""
        self.pace = Pace(MOST)
        self.stored = memoryview(bytearray(WINDOW // CHUNK * _STEP))
        """For sealed bytes between one pread and its decryption, which nothing interrupts."""

    def reader(self, content: Content) -> ContentReader:
        """Return a reader; nothing is opened before it is read."""
        return ContentReader(self, content, content.size)

    def base_reader(self, base: Base) -> ContentReader:
        """Return a reader of what a draft lies over."""
        return ContentReader(self, base.content, base.size)

    def read_of(self, content: Content) -> Read:
        """Return the ``read`` of a new reader."""
        return self.reader(content).read

    def seal(self, data: Buffer, name: bytes, mtime_ns: int, media_type: str) -> Content:
        """Seal bytes that are in memory as a content in the spool.

        Raises FileError(ENOSPC, …) with nothing left behind.
        """
        self.spool.reserve(len(data))
        writer = ContentWriter(self.ring, self.spool.open_part, self.spool.close_part)
        try:
            writer.append(data)
            return writer.finish(name, mtime_ns, media_type)
        except OSError as e:
            self.discard(writer)
            raise refused(e) from e

    def discard(self, writer: ContentWriter) -> None:
        """Give up a content that no journal line names and remove its objects."""
        writer.abandon()
        for name in writer.names():
            self.spool.remove(name)

    async def fetch(self, content: Content, copied: bool = False) -> None:
        """Bring every object of a content to this machine, into the cache if need be.

        ``copied``: also what lies in a folder of this machine that is the remote.
        Raises FileError: ENETUNREACH when the remote does not answer, EIO when an object does
        not verify, ENOSPC.
        """
        for number, part in enumerate(content.parts):
            if copied:
                if self.spool.is_here(part.name):
                    continue
            elif (fd := self.open_object(part)) is not None:
                self.spool.close(fd)
                continue
            data = memoryview(await self.get(part, 0, None))
            self._check(part, number, data)
            try:
                self.spool.keep(part.name, data)
            except OSError as e:
                raise refused(e) from e

    def _check(self, part: Part, number: int, data: memoryview) -> None:
        try:
            verify_part(self.ring, part, number, lambda at, size: data[at : at + size])
        except Integrity as e:
            raise damaged(e) from None

    def drop_draft(self, draft: DraftSaved) -> None:
        """Let a draft's bytes go once the lines journalled so far are on stable storage.

        For after a DraftDropped, or another DraftSaved of that file with another log, was
        journalled. An object that has become part of a finished content has a trailer, and is
        left to its record.
        """
        self.scratches.drop(draft.scratch)
        for name in draft.objects:
            try:
                size = self.spool.path(name).stat().st_size
                head = self.spool.pread(name, 0, HEAD)
                tail = self.spool.pread(name, size - SEALED_TRAILER, SEALED_TRAILER)
                read_trailer(self.ring, name, tail, head, size)
            except (OSError, Integrity, ValueError):
                self.spool.remove_later(name)

    def open_object(self, part: Part) -> int | None:
        """Return a descriptor of an object that is on this machine, None where it is not."""
        fd = self.spool.open_local(part.name)
        if fd is None:
            path = self.store.local_path(object_path(part.name))
            if path is not None:
                try:
                    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                except OSError:
                    return None
        return fd

    async def get(self, part: Part, offset: int, size: int | None) -> bytes:
        """Return stored bytes from the remote. Raises FileError(ENETUNREACH or EIO)."""
        began = trio.current_time()
        try:
            data = await self.store.get(object_path(part.name), offset, size)
        except NotFound:
            raise damaged(Integrity(f"Object {part.name.hex()} is not on the remote.")) from None
        except Integrity as e:
            raise damaged(e) from None
        except RemoteError as e:
            self.pace.failed()
            raise FileError(errno.ENETUNREACH, str(e)) from e
        except trio.Cancelled:
            self.pace.failed()
            raise
        self.pace.came(len(data), trio.current_time() - began)
        return data


class ContentReader:
    """Reads one content for one open file. Keeps a descriptor and up to 8 MiB until closed."""

    def __init__(self, contents: Contents, content: Content, size: int) -> None:
        """Read the first ``size`` bytes of ``content``, which is all of it but for some bases.

        Raises FileError(EIO) for a record that no writer makes.
        """
        if any(part.size != PART for part in content.parts[:-1]) or size > content.size:
            raise damaged(Integrity(f"The record of content {content.id.hex()} is malformed."))
        self.content = content
        self.size = size
        self._contents = contents
        self._window = memoryview(b"")
        self._start = 0
        self._stop = 0
        self._next = -1  # where a sequential reader goes on
        self._absent = Absent(contents, content, size, damaged)
        self._index = -1  # the part that is open
        self._fd: int | None = None
        self._part: PartReader | None = None
        self._not_local: set[int] = set()  # parts whose local copy does not verify

    def read_now(self, offset: int, size: int) -> Buffer | None:
        """Return bytes that are on this machine, short only at the end; None for others.

        Never waits for a network. The buffer is the caller's until it lets go of it. Raises
        FileError(EIO) when what is here does not verify and there is no other copy.
        """
        end = min(offset + size, self.size)
        if offset >= end:
            return b""
        if self._start <= offset and end <= self._stop:
            self._next = end
            return self._window[offset - self._start : end - self._start]
        sequential = offset == self._next
        at, out = offset, None
        while True:
            start, view = self._held(at)
            if view is None:
                loaded = self._load(at, end, sequential)
                if loaded is None:
                    return None
                start, view = loaded
            stop = start + len(view)
            if out is None and end <= stop:
                self._next = end
                return view[at - start : end - start]
            if out is None:
                out = memoryview(bytearray(end - offset))
            upto = min(end, stop)
            out[at - offset : upto - offset] = view[at - start : upto - start]
            at = upto
            if at == end:
                self._next = end
                return out

    async def read(self, offset: int, size: int) -> Buffer:
        """Return bytes after fetching those that are absent, short only at the end.

        Raises FileError: ENETUNREACH when the remote does not answer, EIO when an object does
        not verify or is gone.
        """
        end = min(offset + size, self.size)
        if offset >= end:
            return b""
        sequential = offset == self._next
        self._next = end  # so that who asks for what follows meanwhile is seen to go on
        at, pieces = offset, list[memoryview]()
        while at < end:
            start, view = self._held(at)
            if view is None:
                start, view = self._load(at, end, sequential) or await self._get(
                    at, end, sequential
                )
            upto = min(end, start + len(view))
            pieces.append(view[at - start : upto - start])
            at = upto
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Let go of descriptor and buffer; reading again opens them anew."""
        if self._fd is not None:
            self._contents.spool.close(self._fd)
        self._fd = self._part = None
        self._index = -1
        self._window = memoryview(b"")
        self._start = self._stop = 0
        self._absent.forget()

    def __del__(self) -> None:
        if getattr(self, "_fd", None) is not None:
            self.close()

    def _held(self, at: int) -> tuple[int, memoryview | None]:
        if self._start <= at < self._stop:
            return self._start, self._window
        return 0, None

    def _load(self, at: int, end: int, sequential: bool) -> tuple[int, memoryview] | None:
        """Open the chunks from ``at`` on that are on this machine; None when they are not."""
        contents = self._contents
        index, inside = divmod(at, PART)
        if index != self._index:
            self._select(index)
        if self._fd is None or self._part is None:
            return self._load_head(at)
        begin = inside - inside % CHUNK
        upto = begin + WINDOW if sequential else min(_up(end - index * PART), begin + WINDOW)
        upto = min(upto, self.content.parts[index].size, self.size - index * PART)
        stored_offset, length, first = self._part.span(begin, upto - begin)
        pool = contents.small if upto - begin <= CHUNK else contents.large
        view = pool.take()[: upto - begin]
        stored = contents.stored[:length]
        try:
            if os.preadv(self._fd, [stored], stored_offset) != length:
                raise Integrity(f"Object {self._part.part.name.hex()} is cut short.")
            self._part.open_into(stored, first, begin, view)
        except OSError as e:
            name = self._part.part.name.hex()
            self._give_up_local(index, Integrity(f"Object {name} cannot be read: {e.strerror}."))
            return None
        except Integrity as e:
            self._give_up_local(index, e)
            return None
        return self._show(index * PART + begin, view)

    async def _get(self, at: int, end: int, sequential: bool) -> tuple[int, memoryview]:
        """Fetch the chunks from ``at`` on from the remote and open them."""
        start, view = await self._absent.window(at, end, sequential)
        heads = self._contents.heads
        if heads is not None and start == 0 and self.content.id != UNRECORDED:
            heads.keep(self.content, view)
        return self._show(start, view)

    def _load_head(self, at: int) -> tuple[int, memoryview] | None:
        """Open the head that is kept of an absent content, when ``at`` is in it."""
        heads = self._contents.heads
        if heads is None or at >= MAX_HEAD or self.content.id == UNRECORDED:
            return None
        head = heads.get(self.content.id)
        return None if head is None or at >= len(head) else self._show(0, head)

    def _show(self, start: int, view: memoryview) -> tuple[int, memoryview]:
        self._window, self._start, self._stop = view, start, start + len(view)
        return start, view

    def _select(self, index: int) -> None:
        """Make ``index`` the open part; no descriptor when it is not on this machine."""
        if self._fd is not None:
            self._contents.spool.close(self._fd)
        self._fd = self._part = None
        self._index = -1
        if index in self._not_local:
            return
        part = self.content.parts[index]
        fd = self._contents.open_object(part)
        if fd is None:
            return
        try:
            self._part = PartReader(self._contents.ring, part, index)
        except Integrity as e:
            self._contents.spool.close(fd)
            raise damaged(e) from None
        self._fd, self._index = fd, index

    def _give_up_local(self, index: int, e: Integrity) -> None:
        """Go on with the remote's copy, unless the damaged one is the remote's own."""
        part = self.content.parts[index]
        spool = self._contents.spool
        here = spool.open_local(part.name)
        if here is None:
            raise damaged(e) from None
        spool.close(here)
        log.error("local copy: %s", e)
        self._not_local.add(index)
        self._select(index)
        spool.remove_cached(part.name)


def damaged(e: Integrity) -> FileError:
    """Log what does not verify, by object id, and return the error for the request."""
    log.error("%s", e)
    return FileError(errno.EIO, str(e))


def refused(e: OSError) -> FileError:
    """Return the error for a request that the local disk did not carry out."""
    return FileError(e.errno or errno.EIO, f"The state directory cannot be written: {e.strerror}.")


def _up(size: int) -> int:
    """Round up to whole chunks."""
    return -(-size // CHUNK) * CHUNK
