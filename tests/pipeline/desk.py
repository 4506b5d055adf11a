"""The smallest gallery: some files over a real journal, spool and scratch logs, for tests."""

from __future__ import annotations

from pathlib import Path

import trio

from tagfs.errors import FileError
from tagfs.model import Content, DeviceId, FileId, ObjectName, UnitId
from tagfs.pipeline.contents import Contents
from tagfs.pipeline.disk import REAL, Disk
from tagfs.pipeline.drafts import OpenContent
from tagfs.pipeline.journal import LocalJournal
from tagfs.pipeline.notes import (
    DraftDropped,
    DraftSaved,
    Dropped,
    Kind,
    Note,
    Published,
    Uploaded,
    decode_note,
    encode_note,
)
from tagfs.pipeline.recovery import make_durable, recover, remove_orphans
from tagfs.pipeline.resealing import reseal
from tagfs.pipeline.scratch import Scratches
from tagfs.pipeline.spool import Spool
from tagfs.remote.memory import MemoryStore
from tagfs.vault.keys import KeyRing
from tagfs.vault.objects import object_path
from tagfs.vault.ops import (
    Entity,
    Field,
    RecordContent,
    SetRegister,
    Unit,
    decode_unit,
    encode_unit,
)

DEVICE = DeviceId(b"d" * 16)
RING = KeyRing.create()


def file_id(n: int) -> FileId:
    """Return the id of file number ``n``."""
    return FileId(bytes([n]) * 16)


def octets(head: bytes) -> str:
    """Tell every content's type."""
    return "application/octet-stream"


class Desk:
    """Opens a state directory, recovers, and does with files what the gallery does."""

    def __init__(
        self, root: Path, disk: Disk = REAL, ring: KeyRing = RING, store: MemoryStore | None = None
    ) -> None:
        root.mkdir(exist_ok=True)
        key = ring.local_key()
        self.ring = ring
        self.store = store or MemoryStore("desk")
        self.journal = LocalJournal.open(root / "journal", key, disk, limit=20_000)
        self.spool = Spool(root / "spool", ring, disk=disk)
        self.scratches = Scratches(root / "scratch", key, disk)
        self.contents = Contents(self.spool, self.scratches, self.store, ring)
        self.recovery = recover(self.journal, self.spool, self.scratches, ring)
        remove_orphans(self.recovery, self.spool, self.scratches)
        self.known: dict[bytes, Content] = {}
        self.recorded: dict[FileId, Content | None] = {}
        self.drafts: dict[FileId, DraftSaved] = {}
        self.opened: dict[FileId, OpenContent] = {}
        for _, kind, payload in self.journal.replay():
            self._apply(kind, payload)
        assert self.drafts == self.recovery.drafts

    def _apply(self, kind: int, payload: bytes) -> None:
        if kind == Kind.UNIT:
            for op in decode_unit(payload, DEVICE).ops:
                if isinstance(op, RecordContent):
                    self.known[op.content.id] = op.content
                elif isinstance(op, SetRegister):
                    content = self.known[op.value[0]] if op.value else None
                    self.recorded[FileId(op.id)] = content
                    self.drafts.pop(FileId(op.id), None)
        match decode_note(kind, payload):
            case DraftSaved() as draft:
                self.drafts[draft.file] = draft
            case DraftDropped(file):
                self.drafts.pop(file, None)

    def note(self, note: Note) -> None:
        """Journal a note."""
        kind, payload = encode_note(note)
        self.journal.append(kind, payload)
        self._apply(kind, payload)

    def bytes_of(self, file: FileId) -> OpenContent:
        """Return the open bytes of a file, opened when they are not."""
        if file not in self.opened:
            draft = self.drafts.get(file)
            if draft is not None:
                found = OpenContent.from_draft(self.contents, self.spool, self.ring, draft)
            else:
                base = self.recorded.get(file)
                found = OpenContent(self.contents, self.spool, self.ring, file, base)
            self.opened[file] = found
        return self.opened[file]

    def flush(self, file: FileId) -> None:
        """Do what a close() does."""
        found = self.bytes_of(file)
        if not found.dirty:
            return
        if found.size == 0:
            found.forget()
            self._record(file, None)
            return
        result = found.finish(b"name.bin", 1, octets)
        assert result is not None
        try:
            if isinstance(result, Content):
                self._record(file, result)
            else:
                self._save(result)
        except FileError:
            found.not_recorded(result)
            raise

    def fsync(self, file: FileId) -> None:
        """Do what an fsync() does."""
        found = self.bytes_of(file)
        if found.dirty and found.size:
            self._save(found.checkpoint())
        self.sync()

    def sync(self) -> None:
        """Make everything journalled survive a power cut."""
        make_durable(self.journal, self.spool, self.scratches)

    def release(self, file: FileId) -> None:
        """Do what the last close does, and re-seal."""
        self.flush(file)
        self.opened.pop(file).close()
        draft = self.drafts.get(file)
        if draft is not None:

            async def again() -> Content:
                return await reseal(
                    self.contents, self.spool, self.ring, draft, b"name.bin", 2, octets
                )

            self._record(file, trio.run(again))

    def kill(self) -> None:
        """Close every descriptor as the end of a process does, and nothing else."""
        for found in self.opened.values():
            if found._pass is not None:
                found._pass.leave_all()
            if found._scratch is not None:
                found._scratch.close()
            if found._reader is not None:
                found._reader.close()
        self.opened.clear()
        self.journal.close()

    def settle(self) -> None:
        """Do what uploader and publisher do with everything that is in the spool."""
        for content in self.known.values():
            names = [p.name for p in content.parts if self.spool.has(p.name)]
            for name in names:
                path = object_path(name)
                self.store.objects.setdefault(path, self.spool.path(name).read_bytes())
            if names:
                self.note(Uploaded(tuple(names)))
                for name in names:
                    self.spool.settle(name)
        self.note(Published(DEVICE, 1, b"h" * 32, self.journal.end))

    def read(self, file: FileId) -> bytes:
        """Return all bytes of a file."""
        found = self.bytes_of(file)

        async def whole() -> bytes:
            return bytes(await found.read(0, found.size))

        return trio.run(whole)

    def spooled(self) -> set[ObjectName]:
        """Return what is in the spool."""
        return set(self.spool.sizes())

    def _save(self, draft: DraftSaved) -> None:
        old = self.drafts.get(draft.file)
        self.note(draft)
        if old is not None and old.scratch != draft.scratch:
            self.contents.drop_draft(old)

    def _record(self, file: FileId, content: Content | None) -> None:
        ops: list[RecordContent | SetRegister] = []
        draft = self.drafts.get(file)
        duplicate = content is not None and content.id in self.known
        if content is not None and not duplicate:
            ops.append(RecordContent(content))
        value = None if content is None else (content.id, content.size)
        ops.append(SetRegister(Entity.FILE, file, Field.CONTENT, value))
        payload = encode_unit(Unit(UnitId(b"u" * 16), 1, DEVICE, tuple(ops)))
        self.journal.append(Kind.UNIT, payload)
        self._apply(Kind.UNIT, payload)
        try:
            if duplicate:
                assert content is not None
                names = tuple(part.name for part in content.parts)
                self.note(Dropped(names))
                for name in names:
                    self.spool.remove_later(name)
        except FileError:
            pass  # the line that counts is written; the objects go at the next start
        if draft is not None:
            self.contents.drop_draft(draft)
