"""Files and their bytes: opening, what a close makes final, drafts, versions that are replaced."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from tagfs.catalog.records import FileRecord
from tagfs.errors import FileError
from tagfs.model import CHUNK, Content, FileId, UnitId, random_id
from tagfs.pipeline import inheriting
from tagfs.pipeline.contents import Contents
from tagfs.pipeline.drafts import OpenContent
from tagfs.pipeline.ledger import Ledger
from tagfs.pipeline.local import LocalContents
from tagfs.pipeline.names import looks_temporary
from tagfs.pipeline.notes import DraftDropped, DraftSaved, Dropped
from tagfs.pipeline.open_file import FileHandle, OpenFile, Writing
from tagfs.pipeline.spool import Spool
from tagfs.pipeline.versions import Versions
from tagfs.recognise.sniff import sniff
from tagfs.vault.ops import Entity, Field, Op, RecordContent, SetRegister
from tagfs.vault.writing import ContentWriter

log = logging.getLogger(__name__)


class Arrival(Protocol):
    """A file that is being written and that nothing is journalled of before its first flush."""

    @property
    def record(self) -> FileRecord:
        """Return what it is going to be."""

    def operations(self, content: Content | None) -> list[Op]:
        """Return what its coming means; None: what it holds is not final yet."""


class Files:
    """What is open, and how bytes become contents of files. Calls ``changed`` for new drafts."""

    def __init__(
        self,
        ledger: Ledger,
        local: LocalContents,
        contents: Contents,
        spool: Spool,
        sync: Callable[[], Awaitable[None]],
        changed: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._state = ledger.state
        self._ring = ledger.ring
        self._local = local
        self._contents = contents
        self._spool = spool
        self._sync = sync
        self._changed = changed
        self._open: dict[FileId, OpenFile] = {}
        self.versions = Versions(ledger.state, ledger.now_ms)
        self._arrivals: dict[FileId, Arrival] = {}
        self._seen_as: dict[FileId, bytes] = {}  # view names through which edits came

    def now_ns(self) -> int:
        """Return nanoseconds since 1970."""
        return self._ledger.now_ns()

    async def sync(self) -> None:
        """Return when everything journalled so far survives a power cut."""
        await self._sync()

    def is_open(self, file: FileId) -> bool:
        """Whether somebody has a file open."""
        return file in self._open

    def open_files(self) -> list[FileId]:
        """Return the files that somebody has open."""
        return list(self._open)

    def is_unsaved(self, file: FileId) -> bool:
        """Whether an open file has bytes that no journal line names."""
        found = self._open.get(file)
        return found is not None and found.dirty

    def is_rewritten(self, file: FileId) -> bool:
        """Whether a file has bytes that are not in the content that is recorded for it."""
        return self.is_unsaved(file) or self._local.draft(file) is not None

    def is_unsealed(self, file: FileId) -> bool:
        """Whether a file has bytes that are no content yet."""
        found = self._open.get(file)
        return (found is not None and found.bytes.size > 0) or self._local.draft(file) is not None

    @property
    def unsaved(self) -> bool:
        """Whether an open file has bytes that no journal line names."""
        return any(file.dirty for file in self._open.values())

    def expect(self, arrival: Arrival) -> None:
        """Journal a new file together with the first bytes of it that are flushed."""
        self._arrivals[arrival.record.id] = arrival

    def forget_arrival(self, file: FileId) -> None:
        """Nothing was written to a file that was expected."""
        self._arrivals.pop(file, None)

    async def open_file(
        self,
        record: FileRecord,
        writing: bool,
        truncate: bool,
        act: UnitId,
        seen_as: bytes | None = None,
    ) -> FileHandle:
        """Open a file's bytes. Absent bytes that are to be edited are fetched first.

        What is written through the handle belongs to ``act``; ``seen_as`` is the name in a view
        by which it was opened.
        """
        file = self._open.get(record.id)
        if file is None:
            file = self._open[record.id] = OpenFile(self, record.id, self._bytes(record))
        handle = FileHandle(file, Writing(act, emptied=truncate) if writing else None, act)
        if writing and not truncate:
            try:
                await file.bytes.fetch()
            except BaseException:
                handle.let_go()
                raise
        if writing and seen_as is not None:
            self._seen_as[record.id] = seen_as
        if truncate:
            handle.truncate(0)
        return handle

    def _bytes(self, record: FileRecord) -> OpenContent:
        draft = self._local.draft(record.id)
        if draft is not None:
            return OpenContent.from_draft(self._contents, self._spool, self._ring, draft)
        content = None
        if record.content is not None:
            photo = self._state.photos.get(record.content[0])
            content = photo.content if photo else None
            if content is None:
                raise FileError(5, "The record of this file's content is missing.")
        return OpenContent(self._contents, self._spool, self._ring, record.id, content)

    def whole(self, record: FileRecord, most: int) -> bytes | None:
        """Return all bytes of a file, as they are written now.

        None when there are more than ``most``, or when some are not on this machine.
        """
        size = self.size_and_times(record)[0]
        if size > most:
            return None
        opened, whole = self._open.get(record.id), bytearray()
        content = self._bytes(record) if opened is None else opened.bytes
        try:
            while len(whole) < size:
                piece = content.read_now(len(whole), CHUNK)
                if not piece:
                    return None
                whole += piece
        finally:
            if opened is None:
                content.close()
        return bytes(whole)

    def size_and_times(self, record: FileRecord) -> tuple[int, int, int]:
        """Return a file's size, modification and change time, as far as they are written now."""
        mtime, ctime = record.mtime_ns, record.ctime_ns
        file = self._open.get(record.id)
        if file is not None:
            if file.mtime_ns is not None:
                mtime, ctime = file.mtime_ns, max(ctime, file.ctime_ns)
            return file.bytes.size, mtime, ctime
        draft = self._local.draft(record.id)
        if draft is not None:
            return draft.size, mtime, ctime
        content = record.content
        return (0 if content is None else content[1]), mtime, ctime

    def set_open_mtime(self, file: FileId, mtime_ns: int) -> bool:
        """Give what is being written this time; False when the file has nothing pending."""
        found = self._open.get(file)
        return found is not None and found.set_mtime(mtime_ns)

    def file_record(self, file: FileId) -> FileRecord | None:
        """Return the record of a file, also of one that is expected."""
        arrival = self._arrivals.get(file)
        return self._state.file(file) if arrival is None else arrival.record

    def media_type(self, name: bytes) -> Callable[[bytes], str]:
        """Return the function that tells a content's media type from its first bytes."""
        return lambda head: sniff(head, name)

    def settle(
        self, file: FileRecord, content: Content, mtime_ns: int | None, why: Writing
    ) -> None:
        """A file holds a sealed content from now on. ``mtime_ns`` None: it was written before."""
        ops: list[Op] = []
        known = self._state.photos.content(content.id)
        if known is None:
            ops.append(RecordContent(content))
        arrival = self._arrivals.get(file.id)
        if arrival is not None:
            ops += arrival.operations(content)
        old = file.content
        value: tuple[object, ...] = (content.id, content.size)
        if old is None:
            ops += inheriting.words_of_file(self._state, file, content.id)
        elif old[0] != content.id:
            value = (*value, old[0])
            ops += self._replace(file, content, why)
        ops.append(_set(file.id, Field.CONTENT, value))
        if mtime_ns is not None:
            ops.append(_set(file.id, Field.MTIME, mtime_ns))
        self._commit_final(file.id, ops, why.act)
        self._seen_as.pop(file.id, None)
        if known is not None and known.parts != content.parts:
            self._open_on(file.id, known)
            self.drop(content)

    def _open_on(self, file: FileId, known: Content) -> None:
        """Let who has a file open read objects that stay, before its own sealing of them goes."""
        found = self._open.get(file)
        if found is not None and not found.dirty:
            found.bytes.become(known)

    def _replace(self, file: FileRecord, content: Content, why: Writing) -> list[Op]:
        """Say what becomes of the content that a file has held and of what was said about it."""
        assert file.content is not None
        ops = [] if why.again else self._keep_old(file)
        old = file.content[0]
        if file.regs.get(Field.WRITTEN_OVER) == old:
            return ops  # as was said when the draft of it was saved
        photo = self._state.photos.get(old)
        if why.emptied and not why.again and self._state.photos.is_media(file):
            origin = inheriting.origin(self._state, file)
            if photo is not None and origin != old:  # nobody will compare this one
                ops += inheriting.words(self._state, photo, content.id)
            return [*ops, _set(file.id, Field.WRITTEN_OVER, origin)]
        if photo is not None:
            seen_as = self._seen_as.get(file.id)
            ops += inheriting.words(self._state, photo, content.id)
            ops += inheriting.view_name(self._state, file, photo, content.id, seen_as)
        return ops

    def settle_empty(self, file: FileRecord, mtime_ns: int, why: Writing) -> None:
        """A file is empty from now on."""
        if file.id in self._arrivals:
            return  # still nothing
        ops: list[Op] = [_set(file.id, Field.MTIME, mtime_ns)]
        if file.content is not None:
            ops = [_set(file.id, Field.CONTENT, None), *ops]
            origin = inheriting.origin(self._state, file)
            if self._state.photos.is_media(file):
                ops.append(_set(file.id, Field.WRITTEN_OVER, origin))
            if not self._state.photos.is_media(file) or origin != file.content[0]:
                ops += inheriting.words_back(self._state, file)
            if not why.again:
                ops += self._keep_old(file)
        self._commit_final(file.id, ops, why.act)

    def _commit_final(self, file: FileId, ops: list[Op], act: UnitId) -> None:
        """Journal what a file holds now, which ends its draft."""
        draft = self._local.draft(file)
        self._ledger.commit(ops, by_user=True, act=act)
        self._arrivals.pop(file, None)
        if draft is not None:
            self._contents.drop_draft(draft)

    def adopt(self, file: FileId, content: Content | None, ops: list[Op], act: UnitId) -> None:
        """Journal a new file that holds a sealed content (None: empty), with what ``ops`` say."""
        before: list[Op] = []
        known = None
        if content is not None:
            known = self._state.photos.content(content.id)
            if known is None:
                before.append(RecordContent(content))
            before.append(_set(file, Field.CONTENT, (content.id, content.size)))
        self._ledger.commit([*before, *ops], act=act)
        if content is not None and known is not None and known.parts != content.parts:
            self.drop(content)

    def writer(self) -> ContentWriter:
        """Return a writer that seals a new content into the spool."""
        return ContentWriter(self._ring, self._spool.open_part, self._spool.close_part)

    def discard(self, writer: ContentWriter) -> None:
        """Remove what a writer has written."""
        self._contents.discard(writer)

    def save_draft(self, file: FileRecord, draft: DraftSaved, mtime_ns: int, why: Writing) -> None:
        """A file's bytes are in a scratch log until they are re-sealed."""
        older = self._local.draft(file.id)
        self._ledger.note(draft)
        if older is not None and older.scratch != draft.scratch:
            self._contents.drop_draft(older)
        arrival = self._arrivals.get(file.id)
        ops = [] if arrival is None else arrival.operations(None)
        if why.emptied and not why.again and self._state.photos.is_media(file):
            ops.append(_set(file.id, Field.WRITTEN_OVER, inheriting.origin(self._state, file)))
        ops.append(_set(file.id, Field.MTIME, mtime_ns))
        self._ledger.commit(ops, by_user=True, act=why.act)
        self._arrivals.pop(file.id, None)
        self._changed()

    def closed(self, file: OpenFile) -> None:
        """The last handle of a file is gone."""
        self._open.pop(file.file, None)
        if self._local.draft(file.file) is None:
            self._seen_as.pop(file.file, None)
        record = self._state.file(file.file)
        if record is not None and record.kept:
            file.bytes.close()
        else:
            file.bytes.abandon()
        self._changed()  # a draft is re-sealed now, or forgotten with its file

    def keeps(self, file: FileRecord, name: bytes) -> bool:
        """Whether deleting a file by this name must leave it in the trash.

        An empty file loses nothing, and what a program left half-written under a temporary name
        was never published.
        """
        if file.content is None:
            return self._local.draft(file.id) is not None and not looks_temporary(name)
        content = self._state.photos.content(file.content[0])
        waits = content is not None and self._local.is_waiting(content)
        return not (looks_temporary(name) and waits)

    def forget_draft(self, file: FileId) -> None:
        """A file's draft is not needed any more."""
        draft = self._local.draft(file)
        if draft is not None:
            self._ledger.note(DraftDropped(file))
            self._contents.drop_draft(draft)

    def drop(self, content: Content) -> None:
        """Remove a sealed content that no record names, once the journal says so durably."""
        names = tuple(part.name for part in content.parts)
        try:
            self._ledger.note(Dropped(names))
        except FileError as e:
            # Nothing names these objects; the next start removes them.
            log.warning("objects stay until the next start: %s", e)
            return
        for name in names:
            self._spool.remove_later(name)

    def _keep_old(self, file: FileRecord) -> list[Op]:
        """Keep the content that is being overwritten in the trash, as a file of its own."""
        assert file.content is not None
        trashed = None if file.live else file.trashed
        places = tuple(file.entries) if trashed is None else trashed[1]
        if not places or not self.keeps(file, places[0][1]):
            return []
        counted = self.versions.counted(file)
        if counted and not self.versions.is_due(file.id):
            return []
        ghost = FileId(random_id())
        return [
            _set(ghost, Field.MODE, file.mode),
            _set(ghost, Field.MTIME, file.mtime_ns),
            _set(ghost, Field.CONTENT, file.content),
            _set(ghost, Field.TRASHED, (self._ledger.now_ms(), places)),
            *(self.versions.keep(file.id, ghost) if counted else ()),
        ]


def _set(file: FileId, field: Field, value: object) -> SetRegister:
    return SetRegister(Entity.FILE, file, field, value)
