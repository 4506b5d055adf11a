"""From sealed to recognised: workers look at each new photo, what they saw is journalled."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

import trio

from tagfs.catalog.records import PhotoRecord
from tagfs.catalog.state import State
from tagfs.errors import FileError, Integrity, RemoteError
from tagfs.model import FACES, METADATA, Analysis, Content, ContentId, Facts, Seen, pack_name
from tagfs.pipeline.resting import Rest
from tagfs.pipeline.said_in_files import with_said_before
from tagfs.recognise.packs import PackMissing
from tagfs.vault.ops import Entity, Field, Op, RecordAnalysis, RecordContent, SetRegister
from tagfs.vault.packs import Features, PackBuilder

log = logging.getLogger(__name__)

SETTLE = 2.0
"""Seconds after the last close before a photo is looked at."""
PATIENCE = 600.0
"""Seconds that a file under a temporary name is waited for."""
BATCH = 32
"""Photos in one pack, at most."""
BATCH_WAIT = 1.0
"""Seconds after which a pack is closed when no more photos wait to be looked at."""
WAITS = 3
"""Times as long that a pack which is not full waits for these."""
RETRY = 2.0
"""Seconds after which a batch that the disk had no room for is tried again."""

Read = Callable[[int, int], Awaitable[bytes | bytearray | memoryview]]


class Looks(Protocol):
    """The recogniser, or what stands in its place."""

    pack: str

    async def recognise(self, read: Read, size: int, media_type: str) -> Analysis:
        """Return what is in a picture; never raises for what the picture is."""


@dataclass(order=True)
class _Due:
    at: float
    first: float = field(compare=False)
    photo: ContentId = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Placed:
    """A photo, what was seen, and where that lies in the packs."""

    photo: ContentId
    analysis: Analysis
    seen: tuple[tuple[Seen, tuple[int, int] | None], ...]  # each with its details
    thumbnail: tuple[int, int] | None


class Looker:
    """The tasks that look at new photos: a queue by due time, some workers, one pack writer."""

    def __init__(
        self,
        state: State,
        recogniser: Looks | None,
        jobs: int,
        reader: Callable[[Content], Read],
        seal_pack: Callable[[bytes], Content],
        drop_pack: Callable[[Content], None],
        commit: Callable[[list[Op]], object],
        temporary: Callable[[bytes], bool],
        rest: Rest,
    ) -> None:
        self._state = state
        self._recogniser = recogniser
        self._jobs = jobs
        self._reader = reader
        self._seal_pack = seal_pack
        self._drop_pack = drop_pack
        self._commit = commit
        self._temporary = temporary
        self.rest = rest
        self.recorded: Callable[[ContentId], None] = lambda ident: None
        """Told of each photo when what was seen of it is journalled, or when it was passed over."""
        self.looked: Callable[[ContentId], None] = lambda ident: None
        """Told of those of them that were looked at."""
        self.said: Callable[[ContentId, Facts], list[Op]] = lambda ident, facts: []
        """Asked what the user said in the metadata of a photo."""
        self.adapted: Callable[[Analysis], Analysis] = lambda analysis: analysis
        """Puts the gallery's own thresholds in the place of those that ship."""
        self.settle = SETTLE
        self.batch_wait = BATCH_WAIT
        self._due: list[_Due] = []
        self._queued: set[ContentId] = set()
        self._again: set[ContentId] = set()  # that are looked at though the pack saw them before
        self._wake = trio.Event()
        self._done: list[tuple[ContentId, Analysis | None]] = []
        self._finished = trio.Event()
        self._recorded = trio.Event()

    def enqueue(self, photo: ContentId, delay: float | None = None) -> None:
        """Look at a photo when ``delay`` seconds have passed, ``settle`` where none are given."""
        delay = self.settle if delay is None else delay
        if photo not in self._queued:
            self._queued.add(photo)
            now = trio.current_time()
            heapq.heappush(self._due, _Due(now + delay, now, photo))
            if self._finished.is_set():  # else somebody may be waiting for this one
                self._finished = trio.Event()
            self._wake.set()

    async def look_again(self, photos: Collection[ContentId], delay: float | None = 0.0) -> None:
        """Look at photos though the pack has seen them, or though nothing lists them any more.

        Returns when what was seen is journalled; of a photo that cannot be read that is nothing.
        """
        await self._none_of(photos)  # a look that was due before may have passed them over
        self._again.update(photos)
        for photo in photos:
            self.enqueue(photo, delay)
        await self._none_of(photos)

    async def _none_of(self, photos: Collection[ContentId]) -> None:
        while not self._queued.isdisjoint(photos):
            await self._recorded.wait()

    @property
    def waiting(self) -> int:
        """Photos that were not looked at yet."""
        return len(self._queued)

    async def wait_idle(self) -> None:
        """Return when every photo was looked at and what was seen is journalled."""
        while self._queued:
            await self._finished.wait()

    async def run(self) -> None:
        """Look at photos until cancelled."""
        send, receive = trio.open_memory_channel[ContentId](0)
        async with trio.open_nursery() as nursery:
            for _ in range(self._jobs):
                nursery.start_soon(self._work, receive.clone())
            nursery.start_soon(self._write_packs)
            await self._hand_out(send)

    async def _hand_out(self, send: trio.MemorySendChannel[ContentId]) -> None:
        while True:
            if not self._due:
                self._wake = trio.Event()
                await self._wake.wait()
            due = self._due[0]
            if due.at > trio.current_time():
                self._wake = trio.Event()
                with trio.move_on_at(due.at):
                    await self._wake.wait()
                continue
            heapq.heappop(self._due)
            if self._still_written(due):
                due.at = trio.current_time() + self.settle
                heapq.heappush(self._due, due)
                continue
            await send.send(due.photo)

    def _still_written(self, due: _Due) -> bool:
        photo = self._state.photos.get(due.photo)
        if photo is None or trio.current_time() - due.first > PATIENCE:
            return False
        files = [f for f in map(self._state.file, photo.files) if f is not None]
        names = [name for f in files for _, name in f.entries]
        return bool(names) and all(map(self._temporary, names))

    async def _work(self, receive: trio.MemoryReceiveChannel[ContentId]) -> None:
        async for ident in receive:
            photo, analysis = self._state.photos.get(ident), None
            if photo is not None and (photo.listed or ident in self._again):
                analysis = await self._look(photo)
            self._done.append((ident, analysis))

    async def _look(self, photo: PhotoRecord) -> Analysis | None:
        content = photo.content
        if self._recogniser is None or content is None:
            return None
        if self._recogniser.pack in photo.sights and photo.id not in self._again:
            return None
        await self.rest.wait_over()
        try:
            seen = await self._recogniser.recognise(
                self._reader(content), content.size, content.media_type
            )
            return self.adapted(seen)
        except (FileError, RemoteError, Integrity, PackMissing) as e:
            # The bytes cannot be read now, or no worker starts: the photo stays unseen and is
            # tried at the next start.
            log.warning("photo %s not looked at: %s", photo.id.hex()[:16], type(e).__name__)
            return None

    async def _write_packs(self) -> None:
        waited = 1
        while True:
            await trio.sleep(self.batch_wait if len(self._done) < BATCH else 0)
            if not self._done:
                continue
            more = len(self._done) < min(BATCH, len(self._queued))
            if more and waited < WAITS:  # every pack costs two objects
                waited += 1
                continue
            waited = 1
            batch = self._done[:BATCH]
            try:
                self._record(batch)
            except FileError as e:
                log.warning("what was seen waits: %s", e)
                await trio.sleep(RETRY)
                continue
            del self._done[: len(batch)]
            looked = {ident for ident, _ in batch}
            for ident, analysis in batch:
                self.recorded(ident)
                if analysis is not None:
                    self.looked(ident)
            self._queued -= looked
            self._again -= looked
            self._recorded.set()
            self._recorded = trio.Event()
            if not self._queued:
                self._finished.set()

    def _record(self, batch: list[tuple[ContentId, Analysis | None]]) -> None:
        """Journal a batch as one unit: the pack, what was seen, and the names for the views."""
        details, thumbnails = PackBuilder(), PackBuilder()
        placed: list[_Placed] = []
        for ident, analysis in batch:
            if analysis is not None:
                first = Seen(analysis.pack, analysis.tags, analysis.scores)
                seen: list[tuple[Seen, tuple[int, int] | None]]
                seen = [(first, details.add_details(first.scores, analysis.embedding))]
                for each in analysis.more:
                    if each.pack == METADATA:  # no votes: a rescan has nothing to weigh anew
                        seen.append((each, None))
                        continue
                    kind = Features.FACES if pack_name(each.pack) == FACES else Features.EMBEDDING
                    where = details.add_details(each.scores, each.features, kind)
                    seen.append((each, where))
                thumbnail = thumbnails.add(analysis.thumbnail) if analysis.thumbnail else None
                placed.append(_Placed(ident, analysis, tuple(seen), thumbnail))
        packs: list[Content | None] = []
        try:
            for builder in (details, thumbnails):
                packs.append(self._seal_pack(builder.data()) if builder.data() else None)
            known = [p for p in packs if p is not None and self._state.photos.content(p.id)]
            ops = self._operations(placed, *packs)
            ops += [op for ident, _ in batch for op in self._name(ident)]
            if ops:
                self._commit(ops)
        except FileError:
            for pack in filter(None, packs):
                self._drop_pack(pack)
            raise
        for pack in known:  # seen again as it was before: its bytes are kept already
            self._drop_pack(pack)

    def _operations(
        self, placed: list[_Placed], pack: Content | None, small: Content | None
    ) -> list[Op]:
        """Return the operations that record two packs and what is in them."""
        ops: list[Op] = [
            RecordContent(p)
            for p in (pack, small)
            if p is not None and self._state.photos.content(p.id) is None
        ]
        for each in placed:
            thumbnail = (small.id, *each.thumbnail) if small and each.thumbnail else None
            photo = self._state.photos.get(each.photo)
            facts = with_said_before(photo, each.analysis.facts)
            ops += self.said(each.photo, facts)
            for seen, where in each.seen:
                ops.append(
                    RecordAnalysis(
                        each.photo,
                        seen.pack,
                        each.analysis.media_type,
                        seen.tags,
                        facts,
                        (pack.id, *where) if pack is not None and where is not None else None,
                        thumbnail,
                        each.analysis.unreadable,
                    )
                )
        return ops

    def _name(self, ident: ContentId) -> list[Op]:
        """Choose the view name of a photo, once and for the whole vault: what it is shown as."""
        photo = self._state.photos.get(ident)
        if photo is None or not photo.listed or photo.chosen or photo.number is None:
            return []
        shown = self._state.photos.names.shown(photo.number)
        if shown is None:
            return []
        return [SetRegister(Entity.PHOTO, ident, Field.VIEW_NAME, shown.name)]
