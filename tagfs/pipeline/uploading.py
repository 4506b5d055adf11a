"""From sealed to stored: parts go to the remote, then the journal lines that need them.

A segment holds the units of the local journal in order, and ends before the first one whose
content is not on the remote yet, so that whoever reads a record finds its parts.

LocalContents.queue says what goes first, Line how much at once and how fast.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import trio

from tagfs.errors import Exists, FileError, Integrity, RemoteError
from tagfs.model import Content, DeviceId, ObjectName
from tagfs.pipeline.journal import Position
from tagfs.pipeline.line import Line
from tagfs.pipeline.local import LocalContents
from tagfs.pipeline.notes import Kind, Note, ObjectsBegun, Published, Uploaded
from tagfs.pipeline.spool import Spool
from tagfs.remote.store import Store
from tagfs.vault.layout import object_path
from tagfs.vault.ops import RecordContent, decode_unit
from tagfs.vault.vault import Vault

log = logging.getLogger(__name__)

SEGMENT_BYTES = 1024 * 1024
"""A segment is closed when its units reach this size."""
SEGMENT_UNITS = 4096
TOGETHER = 32
"""Contents that one sync allows to begin."""
PAUSE = 1.0
"""Seconds in which further acts may join a segment."""
PLENTY = 16 * 1024 * 1024
"""Bytes that wait for no company: they take longer than that."""
PUBLISH_EVERY = 10.0
"""Seconds after which what is uploaded is published although there is more to upload."""
RETRY = 5.0
"""Seconds between attempts while the remote does not do what is asked."""

FAILURES = (RemoteError, Integrity, FileError, OSError)
"""What is waited out."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far uploading is."""

    contents: int  # still to be uploaded
    bytes: int  # sealed, of these contents
    behind: bool  # whether there are journal lines that no segment has
    failure: str | None
    paused: bool
    limit: int  # bytes in a second that uploads may take; 0 for no limit
    rate: float  # bytes in a second of late
    seconds: float | None  # that it may still take; None where nobody can say

    def as_json(self) -> dict[str, object]:
        """Return the stable form of ``tagfs status --json``."""
        return {
            "bytes": self.bytes,
            "paused": self.paused,
            "limit": self.limit or None,
            "rate": round(self.rate),
            "seconds": None if self.seconds is None else round(self.seconds),
        }


@dataclass(slots=True)
class _Upload:
    """A record on its way."""

    content: Content
    names: tuple[ObjectName, ...]  # of the parts that are brought
    left: set[ObjectName]  # of these, not there yet
    running: int  # of these, neither brought nor failed


class Uploader:
    """One task that brings contents and journal segments to the remote, in that order."""

    def __init__(
        self,
        device: DeviceId,
        spool: Spool,
        store: Store,
        vault: Vault,
        local: LocalContents,
        line: Line,
        lines: Callable[[Position | None], Iterator[tuple[Position, int, bytes]]],
        note: Callable[[Note], None],
        secure: Callable[[], Awaitable[None]],
        remember: Callable[[], Awaitable[None]],
    ) -> None:
        self._device = device
        self._spool = spool
        self._store = store
        self._vault = vault
        self._local = local
        self.line = line
        self._lines = lines
        self._note = note
        self._secure = secure
        self._remember = remember
        self.published: Position | None = None
        self._clock = 0  # of the last unit that was published since the start
        self._wake = trio.Event()
        self._idle = trio.Event()
        self._under_way: set[ObjectName] = set()  # records
        self._ended = trio.Event()  # one of them has
        self._failure: str | None = None
        self._asked = 1  # times that something new was announced
        self._answered = 0  # of them, those whose lines are all published

    def wake(self) -> None:
        """There is something new to upload or to publish."""
        self._asked += 1
        if self._idle.is_set():  # else somebody may be waiting for this one
            self._idle = trio.Event()
        self._wake.set()

    @property
    def clock(self) -> int:
        """Up to which clock this device's units are known to be published."""
        return self._clock if self._behind else 2**64

    def progress(self) -> Progress:
        """Return how far uploading is."""
        size = self._local.waiting_bytes()
        return Progress(
            self._local.waiting(),
            size,
            self._behind,
            self._failure,
            self.line.paused,
            self.line.limit,
            self.line.rate,
            self.line.seconds_for(size),
        )

    @property
    def _behind(self) -> bool:
        return self._answered < self._asked

    async def wait_idle(self) -> None:
        """Return when everything journalled so far is stored."""
        while self._behind or self._local.waiting():
            await self._idle.wait()

    async def run(self) -> None:
        """Upload and publish until cancelled; failures of the remote are waited out."""
        while True:
            try:
                await self._round()
                self._failure = None
            except FAILURES as e:
                self._failure = str(e)
                log.warning("upload waits: %s", type(e).__name__)
                await trio.sleep(RETRY)
                continue
            if not self._behind and not self._local.waiting():
                self._idle.set()
                await self._wake.wait()
                self._wake = trio.Event()
                await self._company()

    async def _company(self) -> None:
        """Wait a moment for more that may go together, until there is plenty."""
        with trio.move_on_after(PAUSE):
            while self._local.waiting_bytes() < PLENTY:
                await self._wake.wait()
                self._wake = trio.Event()

    async def _round(self) -> None:
        """Upload what waits, and publish what is uploaded, at intervals and in the end.

        What has begun is brought to its end; after a failure nothing more begins, and the first
        one is raised.
        """
        self._under_way.clear()
        failures: list[Exception] = []
        async with trio.open_nursery() as nursery:
            try:
                await self._upload_all(nursery, failures)
            except FAILURES as e:
                failures.append(e)
        if failures:
            raise failures[0]
        await self._publish_all()

    async def _upload_all(self, nursery: trio.Nursery, failures: list[Exception]) -> None:
        published = trio.current_time()
        while not failures:
            self._ended = trio.Event()
            # Asked anew each time: what is new by then may come first.
            if contents := list(islice(self._not_begun(), TOGETHER)):
                await self._begin(contents, nursery, failures)
            elif self._under_way:
                await self._ended.wait()
            else:
                break
            if trio.current_time() - published >= PUBLISH_EVERY:
                await self._publish_all()
                published = trio.current_time()

    def _not_begun(self) -> Iterator[Content]:
        return (c for c in self._local.queue() if c.record not in self._under_way)

    async def _publish_all(self) -> None:
        while await self._publish():
            pass

    async def _begin(
        self, contents: list[Content], nursery: trio.Nursery, failures: list[Exception]
    ) -> None:
        """Begin to upload contents; return when the line has let all of them through.

        One sync secures them all: it costs as much as an upload.
        """
        here = [self._spooled(content) for content in contents]
        if any(here):
            # What is on the remote is what is safe here, and its names are known before it is.
            self._note(ObjectsBegun(tuple(chain.from_iterable(here))))
            await self._secure()
            # A start over queues what recovery finds settled, and that is moved by now.
            here = [self._spooled(content) for content in contents]
        for content, names in zip(contents, here, strict=True):
            if not names:
                self._local.uploaded(content)
                continue
            upload = _Upload(content, names, set(names), len(names))
            self._under_way.add(upload.content.record)
            for name in names:  # each begins before the next one asks: the order counts
                await nursery.start(self._upload_part, upload, name, failures)

    def _spooled(self, content: Content) -> tuple[ObjectName, ...]:
        return tuple(part.name for part in content.parts if self._spool.has(part.name))

    async def _upload_part(
        self,
        upload: _Upload,
        name: ObjectName,
        failures: list[Exception],
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Upload one part; the content has left the queue when none is left."""
        begun = False
        try:
            path = self._spool.path(name)
            size = path.stat().st_size
            async with self.line.carrying(size):
                begun = True
                task_status.started()
                await self._put(name, path, size)
            upload.left.discard(name)
            if not upload.left:
                self._note(Uploaded(upload.names))
                self._local.uploaded(upload.content)
        except FAILURES as e:
            if self._local.is_waiting(upload.content):  # else it was removed meanwhile
                failures.append(e)
            if not begun:
                task_status.started()
        finally:
            upload.running -= 1
            if not upload.running:
                self._under_way.discard(upload.content.record)
                self._ended.set()

    async def _put(self, name: ObjectName, path: Path, size: int) -> None:
        try:
            await self._store.put_file(object_path(name), path)
        except Exists:
            stat = await self._store.stat(object_path(name))
            if stat.size != size:
                raise Integrity(
                    f"Object {name.hex()} on the remote is not the one that was sealed here."
                ) from None

    async def _publish(self) -> bool:
        """Publish one segment; say whether there may be more."""
        await self.line.until_awake()
        asked = self._asked  # what is announced from here on may not be among these lines
        units: list[bytes] = []
        contents: list[Content] = []
        clock = self._clock
        size = 0
        upto = self.published
        stopped = False
        for position, kind, payload in self._lines(self.published):
            if kind == Kind.UNIT:
                unit = decode_unit(payload, self._device)
                recorded = [op.content for op in unit.ops if isinstance(op, RecordContent)]
                if any(self._local.is_waiting(c) for c in recorded):
                    stopped = True
                    break
                units.append(payload)
                contents += recorded
                clock = unit.hlc
                size += len(payload)
            upto = position
            if size >= SEGMENT_BYTES or len(units) >= SEGMENT_UNITS:
                stopped = True
                break
        if not units:
            self.published = upto
            if not stopped:
                self._answered = asked
            return False
        await self._secure()
        head = await self._vault.publish(units)
        assert upto is not None
        await self._remember()
        self._note(Published(self._device, head.seq, head.hash, upto))
        self.published, self._clock = upto, clock
        for content in contents:
            self._local.settle(content)
        if not stopped:
            self._answered = asked
        return True
