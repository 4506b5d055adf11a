"""An open gallery: journal, catalog, spool and the tasks that bring what is new to the vault.

Everything that changes goes through ``commit``: first a sealed line of the local journal, then
the catalog. The tasks (look, upload, sync, re-seal) are children of the nursery in ``run``.
"""

from __future__ import annotations

import hmac
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import trio

from tagfs.catalog.folders import suffixed
from tagfs.catalog.photos import ALL, SEEN, UNREADABLE, fold
from tagfs.catalog.records import FileRecord
from tagfs.catalog.state import Change, PhotoChanged, State
from tagfs.catalog.store import CatalogStore
from tagfs.errors import FileError, RemoteError
from tagfs.model import Clock, Content, ContentId, DeviceId, FileId, TagId, UnitId, Word, random_id
from tagfs.pipeline.contents import Contents
from tagfs.pipeline.drafts import OpenContent, reseal
from tagfs.pipeline.journal import LocalJournal, Position
from tagfs.pipeline.local import LocalContents
from tagfs.pipeline.looking import Looker, Looks
from tagfs.pipeline.names import looks_temporary
from tagfs.pipeline.notes import (
    DraftDropped,
    DraftSaved,
    Dropped,
    Kind,
    Note,
    Published,
    decode_note,
    encode_note,
)
from tagfs.pipeline.open_file import FileHandle, OpenFile
from tagfs.pipeline.recovery import make_durable
from tagfs.pipeline.scratch import Scratches
from tagfs.pipeline.spool import Spool
from tagfs.pipeline.uploading import Uploader
from tagfs.pipeline.verifying import VerifyReport, verify
from tagfs.recognise.sniff import sniff
from tagfs.remote.store import Space, Store
from tagfs.vault.keys import KeyRing
from tagfs.vault.ops import (
    Entity,
    Field,
    Op,
    RecordContent,
    SetRegister,
    SetWord,
    Unit,
    decode_unit,
    encode_unit,
)
from tagfs.vault.vault import Vault
from tagfs.vault.writing import ContentWriter

log = logging.getLogger(__name__)

SYNC_EVERY = 0.25
"""Seconds after which what was journalled is brought to stable storage in the background."""
EVENTS = 200
"""Events that .tagfs/events keeps."""
VERSION_EVERY_MS = 3_600_000
"""Milliseconds between two old versions kept of a file that is no photo."""

Listener = Callable[[list[Change], bool], None]


@dataclass(frozen=True, slots=True)
class Status:
    """Where a gallery stands; the counts of ``tagfs status``."""

    photos: int
    sealed: int  # waiting to be looked at
    recognised: int  # looked at, waiting for their turn to be uploaded
    uploading: int  # contents that are not on the remote yet
    unreadable: int
    behind: bool  # whether there are acts that no segment on the remote has
    remote: str
    remote_state: str  # "ok" or what keeps it from being so
    recogniser: str  # pack, or why there is none

    def as_json(self) -> dict[str, object]:
        """Return the stable form of ``tagfs status --json``."""
        return {
            "photos": self.photos,
            "queue": {
                "sealed": self.sealed,
                "recognised": self.recognised,
                "uploading": self.uploading,
            },
            "unreadable": self.unreadable,
            "stored": not self.behind and not self.uploading,
            "remote": {"state": self.remote_state, "where": self.remote},
            "recogniser": self.recogniser,
        }


class Gallery:
    """One vault on one device, unlocked. Sync methods never block on network or fsync."""

    def __init__(
        self,
        *,
        ring: KeyRing,
        device: DeviceId,
        clock: Clock,
        journal: LocalJournal,
        catalog: CatalogStore,
        state: State,
        spool: Spool,
        scratches: Scratches,
        contents: Contents,
        local: LocalContents,
        store: Store,
        vault: Vault,
        recogniser: Looks | None,
        no_recogniser: str,
        jobs: int,
        now_ns: Callable[[], int],
        uploader: Callable[[Gallery], Uploader],
    ) -> None:
        self.ring = ring
        self.device = device
        self.state = state
        self.contents = contents
        self.vault = vault
        self.store = store
        self.spool = spool
        self.scratches = scratches
        self.now_ns = now_ns
        self._clock = clock
        self._journal = journal
        self.catalog = catalog
        self._local = local
        self._no_recogniser = no_recogniser
        self._recogniser = recogniser
        self._open: dict[FileId, OpenFile] = {}
        self._listeners: list[Listener] = []
        self._events: deque[dict[str, object]] = deque(maxlen=EVENTS)
        self._versions: dict[FileId, int] = {}
        self._dirty = False
        self._syncing = trio.Lock()
        self._space = Space(0, 0)
        self._reseal = trio.Event()
        self.uploader = uploader(self)
        self.looker = Looker(
            state,
            recogniser,
            jobs,
            contents.read_of,
            self._seal_pack,
            self.commit,
            looks_temporary,
        )

    # -- acts --------------------------------------------------------------------------------

    def commit(self, ops: Iterable[Op], by_user: bool = False) -> UnitId:
        """Journal and apply operations as one unit. Raises FileError(ENOSPC) with nothing done.

        ``by_user``: a file-system call stands for it, so the kernel knows its own part already.
        """
        unit = Unit(UnitId(random_id()), self._clock.tick(), self.device, tuple(ops))
        position = self._journal.append(Kind.UNIT, encode_unit(unit))
        self._apply(unit, by_user)
        self.catalog.request_commit(position.encode())
        self._dirty = True
        self.uploader.wake()
        return unit.id

    def note(self, note: Note) -> None:
        """Journal something about the bytes on this machine."""
        position = self._journal.append(*encode_note(note))
        self._apply_note(note)
        self.catalog.request_commit(position.encode())
        self._dirty = True

    def learn(self, unit: Unit) -> None:
        """Apply a unit that a segment of the vault has."""
        self._clock.witness(unit.hlc)
        self._apply(unit, False)

    def replay(self, after: Position | None) -> None:
        """Apply the lines of the local journal that the catalog has not seen."""
        for position, kind, payload in self._journal.replay(after):
            if kind == Kind.UNIT:
                unit = decode_unit(payload, self.device)
                self._clock.witness(unit.hlc)
                self._apply(unit, False)
            else:
                note = decode_note(kind, payload)
                if note is not None:
                    self._apply_note(note)
            self.catalog.request_commit(position.encode())
        if after is None:
            self.catalog.request_commit(self._journal.end.encode())
        self.uploader.published = self._local.published()

    def _apply_note(self, note: Note) -> None:
        match note:
            case DraftSaved():
                self._local.save_draft(note)
            case DraftDropped():
                self._local.drop_draft(note.file)
            case Published():
                self._local.note_published(note.upto)
            case _:
                pass  # the uploader asks the spool and the remote again after a crash

    def on_changes(self, listener: Listener) -> None:
        """Call ``listener(changes, by_user)`` after every unit."""
        self._listeners.append(listener)

    def event(self, text: str) -> None:
        """Tell the user something that no request fails for."""
        seconds = self.now_ns() // 1_000_000_000
        self._events.append({"time": seconds, "text": text})

    def events(self) -> list[Mapping[str, object]]:
        """Return what was told, oldest first."""
        return list(self._events)

    def now_ms(self) -> int:
        """Return milliseconds since 1970."""
        return self.now_ns() // 1_000_000

    def name_tag(self, name: str) -> TagId:
        """Return the id of a tag of the user's: a keyed hash of its first casefolded name."""
        digest = hmac.digest(
            self.ring.tag_key(), fold(name).encode("utf-8", "surrogateescape"), "sha256"
        )
        return TagId("u" + digest[:16].hex())

    @staticmethod
    def suffixed(name: bytes, photo: ContentId) -> bytes:
        """Return the name of a photo beside another one that has the plain name."""
        return suffixed(name, photo)

    def _apply(self, unit: Unit, by_user: bool) -> None:
        changes = self.state.apply(unit)
        for op in unit.ops:
            if isinstance(op, RecordContent):
                self._local.recorded(op.content)
        for change in changes:
            if isinstance(change, PhotoChanged):
                photo = self.state.photos.get(change.photo)
                if photo is not None and photo.listed and self._unseen(photo.id):
                    self.looker.enqueue(photo.id)
        for listener in self._listeners:
            listener(changes, by_user)

    def _unseen(self, ident: ContentId) -> bool:
        photo = self.state.photos.get(ident)
        if photo is None or not photo.listed:
            return False
        unseen = self._recogniser is not None and self._recogniser.pack not in photo.sights
        return unseen or not photo.chosen

    # -- files -------------------------------------------------------------------------------

    async def open_file(self, record: FileRecord, writing: bool, truncate: bool) -> FileHandle:
        """Open a file's bytes. Absent bytes that are to be edited are fetched first."""
        file = self._open.get(record.id)
        if file is None:
            file = OpenFile(self, record.id, self._bytes(record))
            if writing and not truncate:
                await file.bytes.fetch()
            # Another open may have been faster while this one was fetching.
            file = self._open.setdefault(record.id, file)
        handle = FileHandle(file, writing)
        if truncate:
            file.truncate(0)
        return handle

    def _bytes(self, record: FileRecord) -> OpenContent:
        draft = self._local.draft(record.id)
        if draft is not None:
            return OpenContent.from_draft(self.contents, self.spool, self.ring, draft)
        content = None
        if record.content is not None:
            photo = self.state.photos.get(record.content[0])
            content = photo.content if photo else None
            if content is None:
                raise FileError(5, "The record of this file's content is missing.")
        return OpenContent(self.contents, self.spool, self.ring, record.id, content)

    def size_and_mtime(self, record: FileRecord) -> tuple[int, int]:
        """Return a file's size and modification time, as far as they are written now."""
        file = self._open.get(record.id)
        if file is not None:
            mtime = file.mtime_ns
            return file.bytes.size, record.mtime_ns if mtime is None else mtime
        draft = self._local.draft(record.id)
        if draft is not None:
            return draft.size, record.mtime_ns
        content = record.content
        return (0 if content is None else content[1]), record.mtime_ns

    def set_open_mtime(self, file: FileId, mtime_ns: int) -> bool:
        """Give what is being written this time; False when the file has nothing pending."""
        found = self._open.get(file)
        return found is not None and found.set_mtime(mtime_ns)

    def file_record(self, file: FileId) -> FileRecord | None:
        """Return the record of a file."""
        return self.state.file(file)

    def media_type(self, name: bytes) -> Callable[[bytes], str]:
        """Return the function that tells a content's media type from its first bytes."""
        return lambda head: sniff(head, name)

    def settle(self, file: FileRecord, content: Content, mtime_ns: int) -> None:
        """A file holds a sealed content from now on."""
        ops: list[Op] = []
        known = self.state.photos.get(content.id)
        duplicate = known is not None and known.content is not None
        if not duplicate:
            ops.append(RecordContent(content))
        old = file.content
        if old is None or old[0] != content.id:
            ops += self._move_words(file, content.id)
        replaced = None if old is None or old[0] == content.id else old[0]
        value = (
            (content.id, content.size) if replaced is None else (content.id, content.size, replaced)
        )
        ops.append(_set(file.id, Field.CONTENT, value))
        ops.append(_set(file.id, Field.MTIME, mtime_ns))
        if old is not None and old[0] != content.id:
            ops += self._keep_old(file)
        self.commit(ops, by_user=True)
        if duplicate:
            self._drop(content)
        self._forget_draft(file.id)

    def settle_empty(self, file: FileRecord, mtime_ns: int) -> None:
        """A file is empty from now on."""
        ops: list[Op] = [_set(file.id, Field.MTIME, mtime_ns)]
        if file.content is not None:
            ops = [_set(file.id, Field.CONTENT, None), *ops, *self._keep_old(file)]
        self.commit(ops, by_user=True)
        self._forget_draft(file.id)

    def adopt(self, file: FileId, content: Content | None, ops: list[Op]) -> None:
        """Journal a new file that holds a sealed content (None: empty), with what ``ops`` say."""
        before: list[Op] = []
        duplicate = False
        if content is not None:
            known = self.state.photos.get(content.id)
            duplicate = known is not None and known.content is not None
            if not duplicate:
                before.append(RecordContent(content))
            before.append(_set(file, Field.CONTENT, (content.id, content.size)))
        self.commit([*before, *ops])
        if duplicate and content is not None:
            self._drop(content)

    def writer(self) -> ContentWriter:
        """Return a writer that seals a new content into the spool."""
        return ContentWriter(self.ring, self.spool.open_part, self.spool.close_part)

    def discard(self, writer: ContentWriter) -> None:
        """Remove what a writer has written."""
        writer.abandon()
        for name in writer.names():
            self.spool.remove(name)

    def tag_named(self, name: str) -> tuple[TagId, list[Op]]:
        """Return the tag of this name, and what must be journalled when it is a new one."""
        tag = self.state.photos.tag(name)
        if tag is not None:
            return tag, []
        tag = self.name_tag(name)
        return tag, [SetRegister(Entity.TAG, tag.encode(), Field.TAG_NAME, name)]

    def save_draft(self, file: FileRecord, draft: DraftSaved, mtime_ns: int) -> None:
        """A file's bytes are in a scratch log until they are re-sealed."""
        self.note(draft)
        if mtime_ns != file.mtime_ns:
            self.commit([_set(file.id, Field.MTIME, mtime_ns)], by_user=True)
        self._reseal.set()

    def closed(self, file: OpenFile) -> None:
        """The last handle of a file is gone."""
        self._open.pop(file.file, None)
        record = self.state.file(file.file)
        if record is None or not record.live:
            file.bytes.abandon()
            if self._local.draft(file.file) is not None:
                self._forget_draft(file.file)
        else:
            file.bytes.close()
        self._reseal.set()

    def _forget_draft(self, file: FileId) -> None:
        draft = self._local.draft(file)
        if draft is not None:
            self.note(DraftDropped(file))
            self.contents.drop_draft(draft)

    def _drop(self, content: Content) -> None:
        names = tuple(part.name for part in content.parts)
        self.note(Dropped(names))
        for name in names:
            self.spool.remove_later(name)

    def _move_words(self, file: FileRecord, content: ContentId) -> list[Op]:
        """Carry the user's words over to the content that a file is about to get."""
        ops: list[Op] = []
        for tag, word in self.state.words(file).items():
            if word is not Word.UNSET:
                ops.append(SetWord(content, tag, word))
                if file.content is None:
                    ops.append(SetWord(file.id, tag, Word.UNSET))
        return ops

    def _keep_old(self, file: FileRecord) -> list[Op]:
        """Keep the content that is being overwritten in the trash, as a file of its own."""
        assert file.content is not None
        photo = self.state.photos.get(file.content[0])
        places = tuple(file.entries)
        if not places or looks_temporary(places[0][1]):
            return []
        if photo is None or not photo.media:
            last = self._versions.get(file.id, 0)
            if self.now_ms() - last < VERSION_EVERY_MS:
                return []
            self._versions[file.id] = self.now_ms()
        ghost = FileId(random_id())
        return [
            _set(ghost, Field.MODE, file.mode),
            _set(ghost, Field.MTIME, file.mtime_ns),
            _set(ghost, Field.CONTENT, file.content),
            _set(ghost, Field.TRASHED, (self.now_ms(), places)),
        ]

    def _seal_pack(self, data: bytes) -> Content:
        return self.contents.seal(data, b"pack", self.now_ns(), "application/x-tagfs-pack")

    # -- background --------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the tasks until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._sync_often)
            nursery.start_soon(self._reseal_drafts)
            nursery.start_soon(self.looker.run)
            nursery.start_soon(self.uploader.run)
            nursery.start_soon(self._watch_space)
            for number in self._unseen_numbers():
                shown = self.state.photos.shown(number)
                if shown is not None and self._unseen(shown.photo):
                    self.looker.enqueue(shown.photo, 0.0)
            self.uploader.wake()
            task_status.started()

    def _unseen_numbers(self) -> Iterable[int]:
        postings = self.state.photos.postings
        return postings.bitmap(ALL) - postings.bitmap(SEEN)

    async def sync(self) -> None:
        """Return when everything journalled so far survives a power cut."""
        async with self._syncing:
            self._dirty = False
            await trio.to_thread.run_sync(make_durable, self._journal, self.spool, self.scratches)

    async def _sync_often(self) -> None:
        while True:
            await trio.sleep(SYNC_EVERY)
            if self._dirty:
                await self.sync()

    async def _reseal_drafts(self) -> None:
        """Give every draft that nobody has open its final, sealed form."""
        while True:
            self._reseal = trio.Event()
            for draft in self._local.drafts():
                record = self.state.file(draft.file)
                if draft.file in self._open:
                    continue
                if record is None or not record.live:
                    self._forget_draft(draft.file)
                    continue
                name = next(iter(record.entries))[1]
                try:
                    content = await reseal(
                        self.contents,
                        self.spool,
                        self.ring,
                        draft,
                        name,
                        record.mtime_ns,
                        self.media_type(name),
                    )
                except (FileError, RemoteError) as e:
                    log.warning("draft of %s waits: %s", draft.file.hex(), type(e).__name__)
                    continue
                fresh = self.state.file(draft.file)
                if (
                    fresh is None
                    or not fresh.live
                    or draft.file in self._open
                    or self._local.draft(draft.file) != draft
                ):
                    self._drop(content)
                    continue
                self.settle(fresh, content, fresh.mtime_ns)
            await self._reseal.wait()

    async def _watch_space(self) -> None:
        while True:
            try:
                space = await self.store.space()
            except RemoteError:
                space = None
            if space is not None:
                self._space = space
            await trio.sleep(60)

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
            uploading=progress.contents,
            unreadable=postings.count(UNREADABLE),
            behind=progress.behind,
            remote=self.store.where,
            remote_state=progress.failure or "ok",
            recogniser=self._recogniser.pack if self._recogniser else self._no_recogniser,
        )

    def report(self) -> Mapping[str, object]:
        """Return the status as .tagfs/status shows it."""
        return self.status().as_json()

    async def verify(
        self, sample: float | None, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> VerifyReport:
        """Check what is on the remote (pipeline/verifying.py)."""
        return await verify(self.state, self.vault, self.store, self._local, sample, progress)

    async def wait(self, target: str, timeout: float | None = None) -> bool:
        """Return True when everything is ``recognised`` or ``stored``, False on time-out."""
        with trio.move_on_after(float("inf") if timeout is None else timeout):
            while self._local.drafts() or any(f.dirty for f in self._open.values()):
                await trio.sleep(0.1)
            await self.looker.wait_idle()
            if target == "stored":
                await self.uploader.wait_idle()
            return True
        return False


def _set(file: FileId, field: Field, value: object) -> SetRegister:
    return SetRegister(Entity.FILE, file, field, value)
