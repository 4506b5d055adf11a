"""An open gallery: journal, catalog, spool and the tasks that bring what is new to the vault.

Everything that changes goes through the ledger: first a sealed line of the local journal, then
the catalog. The tasks (look, upload, sync, re-seal) are children of the nursery in ``run``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial

import trio

from tagfs.catalog.photos import ALL, SEEN, UNREADABLE
from tagfs.catalog.records import FileRecord
from tagfs.catalog.state import Change, FileChanged, PhotoChanged
from tagfs.errors import FileError, RemoteError
from tagfs.model import Content, ContentId, UnitId, random_id
from tagfs.pipeline.adapting import Adapting
from tagfs.pipeline.contents import Contents
from tagfs.pipeline.edits import Edits
from tagfs.pipeline.files import Files
from tagfs.pipeline.journal import Position
from tagfs.pipeline.ledger import Ledger
from tagfs.pipeline.line import Line
from tagfs.pipeline.local import LocalContents
from tagfs.pipeline.looking import Looker, Looks
from tagfs.pipeline.names import looks_temporary
from tagfs.pipeline.notes import DraftSaved
from tagfs.pipeline.open_file import Writing
from tagfs.pipeline.persons import Persons
from tagfs.pipeline.pins import Pins
from tagfs.pipeline.recovery import make_durable
from tagfs.pipeline.rescanning import Locates, Rescan
from tagfs.pipeline.resealing import reseal
from tagfs.pipeline.resting import Rest
from tagfs.pipeline.retention import expire
from tagfs.pipeline.rollback import RollbackWatch
from tagfs.pipeline.said_in_files import said_in_file
from tagfs.pipeline.scratch import Scratches
from tagfs.pipeline.sidecars import ReadsSidecars, Sidecars
from tagfs.pipeline.spool import Spool
from tagfs.pipeline.status import Status
from tagfs.pipeline.thumbnails import Draws, Thumbnails
from tagfs.pipeline.undoing import Undoing
from tagfs.pipeline.uploading import Uploader
from tagfs.pipeline.verifying import VerifyReport, verify
from tagfs.recognise import face_pack
from tagfs.recognise.rescoring import todays
from tagfs.remote.store import Space, Store
from tagfs.vault.packs import MEDIA_TYPE
from tagfs.vault.vault import Vault

log = logging.getLogger(__name__)

SYNC_EVERY = 0.25
"""Seconds after which what was journalled is brought to stable storage in the background."""
EXPIRE_EVERY = 3600.0
"""Seconds after which the trash is looked through."""
RETRY = 2.0
"""Seconds after which work that the local disk refused is tried again."""


class Gallery:
    """One vault on one device, unlocked. Sync methods never block on network or fsync."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        spool: Spool,
        scratches: Scratches,
        contents: Contents,
        local: LocalContents,
        store: Store,
        line: Line,
        rest: Rest,
        pins: Pins,
        vault: Vault,
        recogniser: Looks | None,
        no_recogniser: str,
        jobs: int,
        remember: Callable[[], Awaitable[None]],
    ) -> None:
        """``remember`` writes down what the vault has seen of its remote."""
        self.ledger = ledger
        self.state = ledger.state
        self.contents = contents
        self.vault = vault
        self.store = store
        self.spool = spool
        self.pins = pins
        self.scratches = scratches
        self._local = local
        self._recogniser = recogniser
        self._no_recogniser = no_recogniser
        self._syncing = trio.Lock()
        self._space = Space(0, 0)
        self._drafted = trio.Event()
        self.files = Files(ledger, local, contents, spool, self.sync, self._draft_changed)
        self.uploader = Uploader(
            ledger.device,
            spool,
            store,
            vault,
            local,
            line,
            ledger.journal.replay,
            ledger.note,
            self.sync,
            remember,
        )
        self.rollback = RollbackWatch(vault, self.event)
        self.undoing = Undoing(ledger, self.files.is_open)
        said = partial(said_in_file, ledger.state, ledger)
        self.edits = Edits(ledger, self.files.is_unsaved, self._look_at_deleted, said)
        self.looker = Looker(
            ledger.state,
            recogniser,
            jobs,
            contents.read_of,
            self._seal_pack,
            self.files.drop,
            ledger.commit,
            looks_temporary,
            rest,
        )
        faces = face_pack.load()
        self.persons = Persons(ledger, contents, faces.gate, faces.limits)
        self.looker.said = said
        reads = recogniser if isinstance(recogniser, ReadsSidecars) else None
        self.sidecars = Sidecars(ledger, contents, reads, rest, said)
        self.looker.recorded = self.persons.look_at
        self.looker.looked = self.sidecars.look_at
        ledger.on_changes(self.persons.changed)
        self.adapting = Adapting(ledger, contents, todays)
        self.looker.adapted = self.adapting.adapted
        ledger.on_changes(lambda changes, by_user: self.adapting.changed(changes))
        draws = recogniser if isinstance(recogniser, Draws) else None
        self.thumbnails = Thumbnails(ledger.state, contents, draws)
        locates = recogniser if isinstance(recogniser, Locates) else None
        self.rescan = Rescan(
            ledger,
            contents,
            self.looker,
            recogniser is not None,
            locates,
            lambda: self.adapting.thresholds,
        )
        ledger.on_changes(self._changes)

    # -- what is asked of its parts ------------------------------------------------------------

    def event(self, text: str) -> None:
        """Tell the user something that no request fails for."""
        self.ledger.event(text)

    def replay(self, after: Position | None) -> None:
        """Apply the lines of the local journal that the catalog has not seen."""
        self.ledger.replay(after)
        self.uploader.published = self._local.published()

    def _draft_changed(self) -> None:
        self._drafted.set()

    def _changes(self, changes: list[Change], by_user: bool) -> None:
        """Let the tasks know what there is to do after a unit."""
        for change in changes:
            if isinstance(change, PhotoChanged) and self._unseen(change.photo):
                self.looker.enqueue(change.photo)
            elif isinstance(change, FileChanged):
                self.pins.changed(change.file)
        self.edits.changed(changes)
        self.sidecars.changed(changes)
        if by_user:
            self.uploader.line.give_way()
        self.uploader.wake()

    def _unseen(self, ident: ContentId) -> bool:
        photo = self.state.photos.get(ident)
        if photo is None or not photo.listed:
            return False
        unseen = self._recogniser is not None and self._recogniser.pack not in photo.sights
        return unseen or not photo.chosen

    async def _look_at_deleted(self, photo: ContentId) -> None:
        await self.looker.look_again([photo], delay=None)

    def _seal_pack(self, data: bytes) -> Content:
        return self.contents.seal(data, b"pack", self.ledger.now_ns(), MEDIA_TYPE)

    # -- background --------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the tasks until cancelled."""
        async with trio.open_nursery() as nursery:
            self.contents.spawn = nursery.start_soon
            nursery.start_soon(self._sync_often)
            nursery.start_soon(self._reseal_drafts)
            nursery.start_soon(self.looker.run)
            nursery.start_soon(self.edits.run)
            nursery.start_soon(self.persons.run)
            nursery.start_soon(self.adapting.run)
            nursery.start_soon(self.sidecars.run)
            nursery.start_soon(self.rescan.run)
            nursery.start_soon(self.uploader.run)
            nursery.start_soon(self.pins.run)
            nursery.start_soon(self._watch_space)
            nursery.start_soon(self.rollback.look)
            nursery.start_soon(self._expire_often)
            for number in self._unseen_numbers():
                shown = self.state.photos.names.shown(number)
                if shown is not None and self._unseen(shown.photo):
                    self.looker.enqueue(shown.photo, 0.0)
            self.uploader.wake()
            self.ledger.dirty = True  # whatever recovery believed is to be synced
            task_status.started()

    def _unseen_numbers(self) -> Iterable[int]:
        postings = self.state.photos.postings
        return postings.bitmap(ALL) - postings.bitmap(SEEN)

    async def sync(self) -> None:
        """Return when everything journalled so far survives a power cut."""
        async with self._syncing:
            self.ledger.dirty = False
            await trio.to_thread.run_sync(
                make_durable, self.ledger.journal, self.spool, self.scratches
            )

    async def _sync_often(self) -> None:
        while True:
            await trio.sleep(SYNC_EVERY)
            if not self.ledger.dirty:
                continue
            try:
                await self.sync()
            except FileError as e:
                # A full disk becomes free again; what was answered is in the page cache meanwhile.
                log.error("not synced: %s", e)
                self.ledger.dirty = True
                await trio.sleep(RETRY)

    async def _reseal_drafts(self) -> None:
        """Give every draft that nobody has open its final, sealed form."""
        while True:
            self._drafted = trio.Event()
            waits = False
            for draft in self._local.drafts():
                try:
                    await self._reseal(draft)
                except (FileError, RemoteError) as e:
                    log.warning("draft of %s waits: %s", draft.file.hex(), type(e).__name__)
                    waits = True
            with trio.move_on_after(RETRY if waits else float("inf")):
                await self._drafted.wait()

    async def _reseal(self, draft: DraftSaved) -> None:
        """Re-seal one draft, unless somebody opens or changes its file meanwhile."""
        if self.files.is_open(draft.file):
            return
        record = self.state.file(draft.file)
        if record is None or not record.kept:
            self.files.forget_draft(draft.file)
            return
        content = await reseal(
            self.contents,
            self.spool,
            self.ledger.ring,
            draft,
            record.any_name,
            record.mtime_ns,
            self.files.media_type(record.any_name),
        )
        record = self.state.file(draft.file)
        if (
            record is None
            or not record.kept
            or self.files.is_open(draft.file)
            or self._local.draft(draft.file) != draft
        ):
            self.files.drop(content)
            return
        try:
            self.files.settle(record, content, None, Writing(UnitId(random_id())))
        except FileError:
            self.files.drop(content)
            raise

    async def _expire_often(self) -> None:
        while True:
            try:
                expire(self.ledger)
            except FileError as e:
                log.warning("the trash keeps what is old: %s", e)
            await trio.sleep(EXPIRE_EVERY)

    async def _watch_space(self) -> None:
        while True:
            try:
                space = await self.store.space()
            except RemoteError:
                space = None
            if space is not None:
                self._space = space
            await trio.sleep(60)

    @property
    def can_look(self) -> bool:
        """Whether there is a recogniser."""
        return self._recogniser is not None

    # -- questions ---------------------------------------------------------------------------

    def space(self) -> tuple[int, int, int]:
        """Return (total bytes, free bytes, files), the remote's as last heard; never asks it."""
        here = os.statvfs(self.spool.folder)
        free = here.f_bavail * here.f_frsize
        total = here.f_blocks * here.f_frsize
        if self._space.total:
            total, free = self._space.total, min(free, self._space.free)
        return total, free, self.state.photos.postings.count(ALL)

    def status(self) -> Status:
        """Return where the gallery stands."""
        postings = self.state.photos.postings
        progress = self.uploader.progress()
        return Status(
            photos=postings.count(ALL),
            sealed=self.looker.waiting + len(self._local.drafts()),
            recognised=max(0, progress.contents - self.looker.waiting),
            upload=progress,
            unreadable=postings.count(UNREADABLE),
            remote=self.store.where,
            remote_state=progress.failure or self.rollback.problem or "ok",
            recogniser=self._recogniser.pack if self._recogniser else self._no_recogniser,
            recognition=self.looker.rest.why() or "works",
            rescan=self.rescan.job,
            cache=self.pins.as_json(),
        )

    def unsent(self) -> dict[str, object]:
        """Return what the remote does not have yet, for who closes the gallery now."""
        upload, drafts = self.uploader.progress(), len(self._local.drafts())
        return {
            "contents": upload.contents + drafts,
            "bytes": upload.bytes,
            "stored": not (upload.contents or drafts or upload.behind),
        }

    def standing(self, file: FileRecord) -> str:
        """Return ``new`` while a file is being written, ``stored`` when the remote has its bytes
        and every act on it, else ``sealed``."""
        if self.files.is_unsaved(file.id) or self._local.draft(file.id) is not None:
            return "new"
        clock = file.latest
        if file.content is not None:
            photo = self.state.photos.get(file.content[0])
            if photo is not None and photo.content and self._local.is_waiting(photo.content):
                return "sealed"
            clock = max(clock, photo.content_at.hlc if photo is not None else 0)
        return "stored" if clock <= self.uploader.clock else "sealed"

    def report(self) -> Mapping[str, object]:
        """Return the status as .tagfs/status shows it."""
        return self.status().as_json()

    async def verify(
        self, sample: float | None, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> VerifyReport:
        """Check what is on the remote (pipeline/verifying.py)."""
        return await verify(
            self.state, self.vault, self.store, self._local, self.spool, sample, progress
        )

    async def wait(self, target: str, timeout: float | None = None) -> bool:
        """Return True when everything is ``recognised`` or ``stored``, False on time-out."""
        with trio.move_on_after(float("inf") if timeout is None else timeout):
            while self._local.drafts() or self.files.unsaved:
                await trio.sleep(0.1)
            await self.looker.wait_idle()
            await self.edits.wait_idle()
            await self.sidecars.wait_idle()
            await self.persons.wait_idle()
            if target == "stored":
                await self.uploader.wait_idle()
            return True
        return False
