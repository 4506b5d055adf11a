"""``tagfs repair --from-objects``: contents that no journal names come back by their trailers.

So do those whose names stood in a segment that is lost, while another one records their content.

Nothing is ever deleted or forgotten here: what a listing does not name may exist all the same, and
what it names may be gone. Only contents of which every byte verifies are recorded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import trio

from tagfs.catalog.folders import FOLDER, suffixed
from tagfs.crypto.contentid import ContentHasher
from tagfs.errors import Integrity, NotFound
from tagfs.model import CHUNK, ROOT, Content, ContentId, FileId, FolderId, Part, UnitId, random_id
from tagfs.pipeline.condemned import Passing, Phase, counting_again
from tagfs.pipeline.gallery import Gallery
from tagfs.pipeline.notes import OnTheirWay, Uploaded
from tagfs.pipeline.rebuilding import lost, remains
from tagfs.remote.store import Entry
from tagfs.vault.objects import (
    HEAD,
    SEALED_TRAILER,
    Trailer,
    object_name,
    object_path,
    read_trailer,
    verify_part,
)
from tagfs.vault.ops import (
    AddEntry,
    Entity,
    Field,
    Op,
    RecordContent,
    RemoveEntry,
    SetRegister,
    decode_unit,
)
from tagfs.vault.packs import MEDIA_TYPE

TOGETHER = 8
"""Trailers that are fetched at a time."""
PUBLISHED_IN = 60.0
"""Seconds that the journal gets to reach the remote before the command ends."""
MODE = 0o644
"""Permission bits of a file that comes back: no trailer has them."""

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class ObjectsReport:
    """What came back. ``failed`` has (name of the file or object, reason)."""

    objects: int = 0  # that the remote names
    known: int = 0  # of them, those that a journal names
    packs: int = 0  # contents of tagfs's own, which are made anew
    files: int = 0
    bytes: int = 0
    folder: str | None = None
    published: bool = True
    failed: list[tuple[str, str]] = field(default_factory=list)
    journals: list[str] = field(default_factory=list)  # what is missing of them

    def as_json(self) -> dict[str, object]:
        """Return the form of ``tagfs repair --from-objects --json``."""
        return {
            "objects": self.objects,
            "known": self.known,
            "packs": self.packs,
            "files": self.files,
            "bytes": self.bytes,
            "folder": self.folder,
            "published": self.published,
            "failed": [{"path": p, "reason": r} for p, r in self.failed],
            "journals": list(self.journals),
        }


@dataclass(slots=True)
class _Found:
    """The parts of one content that were found, by number; several copies of one may exist."""

    trailer: Trailer  # of the part with the smallest number
    parts: dict[int, list[Part]] = field(default_factory=lambda: defaultdict(list))

    @property
    def label(self) -> str:
        return (self.trailer.name or self.trailer.content[:8].hex().encode()).decode(
            errors="surrogateescape"
        )

    def add(self, trailer: Trailer, part: Part) -> None:
        if trailer.number < self.trailer.number:
            self.trailer = trailer
        self.parts[trailer.number].append(part)


_Key = tuple[ContentId, int, int]


async def recover_from_objects(
    gallery: Gallery, progress: Progress = lambda done, total: None
) -> ObjectsReport:
    """Record and list every whole content on the remote that no journal names.

    The files stand in an own folder ``Recovered-`` and the date, under the names that they were
    sealed with. What was recorded stays when this is stopped; running it again goes on. Raises
    RemoteError when the remote does not answer.
    """
    report = ObjectsReport()
    run = _Run(gallery, report, progress)
    await run.list_objects()
    await run.read_journals()  # later, so that what was just published is in both
    await run.read_trailers()
    for found in run.contents():
        await run.bring_back(found)
    await gallery.sync()
    if report.files:
        with trio.move_on_after(PUBLISHED_IN):
            await gallery.uploader.wait_idle()
        report.published = not gallery.uploader.progress().behind
    return report


class _Run:
    """One recovery while it goes on."""

    def __init__(self, gallery: Gallery, report: ObjectsReport, progress: Progress) -> None:
        self._gallery = gallery
        self._report = report
        self._progress = progress
        self._done = 0
        self._named: set[bytes] = set()  # contents and objects that a journal names
        self._holders: defaultdict[ContentId, set[bytes]] = defaultdict(set)  # ids of files
        self._placed: set[bytes] = set()  # files of which a journal tells where they are or were
        self._unlisted: set[ContentId] = set()  # recorded, and nowhere to be seen
        self._entries: list[Entry] = []
        self._found: dict[_Key, _Found] = {}
        self._folder: FolderId | None = None
        self._act = UnitId(random_id())

    async def list_objects(self) -> None:
        """Ask for the names of all objects; those of others' files are none."""
        cursor = None
        while True:
            page = await self._gallery.store.list("o/", cursor)
            for entry in page.entries:
                if object_name(entry.name) is not None:
                    self._entries.append(entry)
            cursor = page.cursor
            if cursor is None:
                return

    async def read_journals(self) -> None:
        """Learn what is named here, and what other devices have published since."""
        state, vault = self._gallery.state, self._gallery.vault
        for ident in state.photos.contents():
            photo = state.photos.get(ident)
            for _, content in photo.records if photo is not None else ():
                self._named.update(part.name for part in content.parts)
            if photo is not None and photo.content is not None:  # else all are condemned
                self._name(photo.content)
        for slot in vault.info.devices:
            losses: list[str] = []
            seen = vault.memory.heads.get(slot.device)
            async for segment in remains(vault, slot.device, 0, losses):
                is_new = seen is None or segment.seq > seen.seq
                for payload in segment.units:
                    try:
                        unit = decode_unit(payload, segment.device)
                    except Integrity:
                        continue  # whoever reads that journal says so
                    for op in unit.ops:
                        if is_new and isinstance(op, RecordContent):
                            self._name(op.content)
                        self._hear(op)
            if losses:
                self._report.journals.append(lost(slot.device, losses))
        self._unname()

    def _hear(self, op: Op) -> None:
        """Take from a journal which files hold what, and of which of them it tells a place."""
        match op:
            case SetRegister(entity=Entity.FILE, field=Field.CONTENT) if op.value is not None:
                self._holders[ContentId(op.value[0])].add(op.id)
            case SetRegister(entity=Entity.FILE, field=Field.TRASHED | Field.PURGED):
                self._placed.add(op.id)
            case AddEntry() | RemoveEntry():
                self._placed.add(op.file)
            case _:
                pass

    def _unname(self) -> None:
        """Look also for what files hold whose places, those they once had too, are all lost."""
        for ident, files in self._holders.items():
            photo = self._gallery.state.photos.get(ident)
            if photo is None or photo.files or not files.isdisjoint(self._placed):
                continue
            self._unlisted.add(ident)
            self._named.discard(ident)
            for _, content in photo.records:
                self._named.difference_update(part.name for part in content.parts)

    def _name(self, content: Content) -> None:
        self._named.add(content.id)
        self._named.update(part.name for part in content.parts)

    async def read_trailers(self) -> None:
        """Fetch and open the trailer of every object that no record names."""
        self._report.objects = len(self._entries)
        self._entries = [e for e in self._entries if object_name(e.name) not in self._named]
        self._report.known = self._report.objects - len(self._entries)
        entries = iter(self._entries)

        async def work() -> None:
            for entry in entries:
                await self._read_trailer(entry)
                self._step()

        async with trio.open_nursery() as nursery:
            for _ in range(TOGETHER):
                nursery.start_soon(work)

    async def _read_trailer(self, entry: Entry) -> None:
        name = object_name(entry.name)
        assert name is not None
        store = self._gallery.store
        try:
            head = await store.get(entry.name, 0, HEAD)
            at = max(0, entry.size - SEALED_TRAILER)
            tail = await store.get(entry.name, at, SEALED_TRAILER + 1)
            trailer, part = read_trailer(self._gallery.ledger.ring, name, tail, head, entry.size)
        except NotFound:
            return  # the listing was stale
        except Integrity as e:
            self._report.failed.append((entry.name, str(e)))
            return
        key = (trailer.content, trailer.count, trailer.content_size)
        self._found.setdefault(key, _Found(trailer)).add(trailer, part)

    def _step(self) -> None:
        self._done += 1
        # Each object is looked at twice: its trailer, then its bytes.
        self._progress(self._done, 2 * len(self._entries))

    def contents(self) -> list[_Found]:
        """Return the contents to bring back, in the order of their names."""
        found = [f for f in self._found.values() if f.trailer.content not in self._named]
        packs = [f for f in found if f.trailer.media_type == MEDIA_TYPE]
        self._report.packs = len(packs)
        return sorted(
            (f for f in found if f.trailer.media_type != MEDIA_TYPE),
            key=lambda f: (f.trailer.name, f.trailer.content),
        )

    async def bring_back(self, found: _Found) -> None:
        """Verify one content; record and list it when it is whole."""
        known = self._gallery.state.photos.content(found.trailer.content)
        if known is not None and known.id not in self._unlisted:
            return  # it was recorded meanwhile, or another set of the same content was whole
        missing = found.trailer.count - len(found.parts)
        if missing:
            self._fail(found, f"{missing} of its {found.trailer.count} parts are not there.")
            return
        hasher = ContentHasher(self._gallery.ledger.ring.content_key)
        parts: list[Part] = []
        try:
            for number in range(found.trailer.count):
                parts.append(await self._verified(found, number, hasher))
                self._step()
        except (Integrity, NotFound) as e:
            self._fail(found, str(e))
            return
        if hasher.digest() != found.trailer.content:
            self._fail(found, "Its bytes are not those that its trailers say.")
            return
        trailer = found.trailer
        self._list(
            found,
            Content(trailer.content, trailer.content_size, trailer.media_type, tuple(parts)),
        )

    async def _verified(self, found: _Found, number: int, hasher: ContentHasher) -> Part:
        """Return a copy of a part that verifies, after hashing its content."""
        failure: Integrity | NotFound | None = None
        for part in found.parts[number]:
            try:
                await self._verify(part, number, hasher)
            except (Integrity, NotFound) as e:
                failure = e
                continue
            return part
        assert failure is not None
        raise failure

    async def _verify(self, part: Part, number: int, hasher: ContentHasher) -> None:
        data = memoryview(await self._gallery.store.get(object_path(part.name)))

        def work() -> None:
            plain = bytearray()
            verify_part(
                self._gallery.ledger.ring,
                part,
                number,
                lambda at, n: data[at : at + n],
                plain.extend,
            )
            for at in range(0, len(plain), CHUNK):
                hasher.chunk(memoryview(plain)[at : at + CHUNK])

        await trio.to_thread.run_sync(work)

    def _list(self, found: _Found, content: Content) -> None:
        """Record a content that is on the remote, and list it in the folder."""
        trailer, ledger = found.trailer, self._gallery.ledger
        folder = self._ensure_folder()
        # Of two devices that recover at the same time both make the same file.
        file = FileId(content.id[:16])
        name = trailer.name or content.id[:8].hex().encode()
        if self._gallery.state.folders.look_up(folder, name) is not None:
            name = suffixed(name, file)
        ops = self._let_count(content)
        # The note comes first: a start after a crash does not look here for what is only there.
        ledger.note(Uploaded(tuple(part.name for part in content.parts)))
        ledger.commit(
            [
                RecordContent(content),
                SetRegister(Entity.FILE, file, Field.CONTENT, (content.id, content.size)),
                SetRegister(Entity.FILE, file, Field.MODE, MODE),
                SetRegister(Entity.FILE, file, Field.MTIME, trailer.mtime_ns),
                AddEntry(folder, name, file),
                *ops,
            ],
            act=self._act,
        )
        self._unlisted.discard(content.id)
        self._report.files += 1
        self._report.bytes += content.size

    def _let_count(self, content: Content) -> list[Op]:
        """Let a record count though it was condemned by somebody who had all journals."""
        photo, ledger = self._gallery.state.photos.get(content.id), self._gallery.ledger
        if photo is None or content.record not in photo.condemned:
            return []
        back = Passing(content.id, content.record, Phase.REVIVED, ledger.now_ms())
        ledger.note(OnTheirWay((back,)))
        return [counting_again(photo, content.record)]

    def _ensure_folder(self) -> FolderId:
        if self._folder is not None:
            return self._folder
        ledger, folders = self._gallery.ledger, self._gallery.state.folders
        today = datetime.fromtimestamp(ledger.now_ns() / 1e9).date()
        name = f"Recovered-{today.isoformat()}".encode()
        there = folders.look_up(ROOT, name)
        if there is not None and there[0] == FOLDER:
            self._folder = FolderId(there[1])
        else:
            self._folder = FolderId(random_id())
            if there is not None:
                name = suffixed(name, self._folder)
            ledger.commit(
                [
                    SetRegister(Entity.FOLDER, self._folder, Field.MODE, 0o755),
                    SetRegister(Entity.FOLDER, self._folder, Field.PLACE, (ROOT, name, True)),
                ],
                act=self._act,
            )
        self._report.folder = name.decode()
        return self._folder

    def _fail(self, found: _Found, reason: str) -> None:
        self._report.failed.append((found.label, reason))
