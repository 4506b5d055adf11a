"""``tagfs gc``: what nothing needs any more leaves the vault, in two phases and only by proof.

A content is *condemned* when neither the journals in the vault, read anew, nor the catalog know a
file that is listed, in the trash, a draft or open and has it, or an act that can be taken back and
would bring it back. That is an operation as any other. Its objects are *deleted* when the vault
has had the condemnation, this machine has known of it for GRACE_DAYS by its own clock, and all of
that still holds. A note on stable storage goes before the first deletion: from there on nothing
brings these objects back, and a run that was killed is gone on with. What is written again
meanwhile is recorded and uploaded anew, because a condemned record does not count.

Nothing here asks for a listing. Packs stay, whatever is in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

import trio

from tagfs.catalog import undo
from tagfs.catalog.records import PhotoRecord
from tagfs.errors import NotFound, TagfsError
from tagfs.model import Content, ContentId, FileId, ObjectName, Part
from tagfs.pipeline.census import Census, take_census
from tagfs.pipeline.condemned import Passing, Phase, counting_again
from tagfs.pipeline.gallery import Gallery
from tagfs.pipeline.notes import OnTheirWay
from tagfs.pipeline.retention import DAY_MS, GRACE_DAYS, expire, undoable_since
from tagfs.vault.layout import object_path
from tagfs.vault.ops import Entity, Field, SetRegister
from tagfs.vault.packs import MEDIA_TYPE
from tagfs.vault.registers import MAX_CONDEMNED

PUBLISHED_IN = 60.0
"""Seconds that what was done here gets to reach the vault before a run gives up."""
BATCH = 500
"""Contents that are condemned in one unit, or deleted after one sync."""

T = TypeVar("T")
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class GcReport:
    """What a run did, or would do."""

    dry_run: bool
    shared: bool = False
    condemned: int = 0  # contents
    condemned_bytes: int = 0
    revived: int = 0
    deleted: int = 0  # objects
    freed: int = 0  # bytes
    waiting: Counter[int] = field(default_factory=Counter)  # contents, by when (ms) they may go
    waiting_bytes: int = 0
    failed: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """Return the form of ``tagfs gc --json``."""
        waiting = [{"until": at // 1000, "contents": n} for at, n in sorted(self.waiting.items())]
        return {
            "dry_run": self.dry_run,
            "shared": self.shared,
            "condemned": {"contents": self.condemned, "bytes": self.condemned_bytes},
            "revived": self.revived,
            "waiting": {"bytes": self.waiting_bytes, "until": waiting},
            "deleted": {"objects": self.deleted, "bytes": self.freed},
            "failed": list(self.failed),
        }


async def collect(
    gallery: Gallery, dry_run: bool, progress: Progress = lambda done, total: None
) -> GcReport:
    """Condemn what nothing needs, delete what was condemned long enough ago.

    ``dry_run``: say what would be done, and do nothing. Raises TagfsError where the vault has had
    a second device or does not have all that was done here, Integrity where its journals cannot be
    read or understood, RemoteError.
    """
    report = GcReport(dry_run)
    if not dry_run:
        expire(gallery.ledger)
    await _all_published(gallery)
    await gallery.sync()  # what is settled leaves the spool
    census = await take_census(gallery.vault)
    await _all_published(gallery)  # a mount may have gone on meanwhile
    own = gallery.ledger.device
    read, written = census.heads.get(own), gallery.vault.memory.heads.get(own)
    if read is not None and (written is None or read.seq > written.seq):
        raise TagfsError(
            "This state directory is older than what it has written to the vault, as one that was "
            "restored from a copy is; join the vault again into another directory."
        )
    report.shared = census.devices != {own}
    if report.shared and not dry_run:
        raise TagfsError(
            "This vault has had a second device (or was joined again from this machine), and "
            "tagfs deletes nothing in such a vault yet; all objects stay. "
            "`tagfs gc --dry-run` says how much nothing needs."
        )
    await _Run(gallery, census, report, progress).run()
    if report.condemned and not dry_run:
        with trio.move_on_after(PUBLISHED_IN):  # what is not goes with the next upload
            await gallery.uploader.wait_idle()
    return report


async def _all_published(gallery: Gallery) -> None:
    with trio.move_on_after(PUBLISHED_IN):
        await gallery.uploader.wait_idle()
        return
    raise TagfsError(
        "Not everything that was done here is in the vault yet, so nothing can be proved; run "
        "`tagfs wait`, then this again."
    )


class _Run:
    """One run over one census."""

    def __init__(
        self, gallery: Gallery, census: Census, report: GcReport, progress: Progress
    ) -> None:
        self._gallery = gallery
        self._state = gallery.state
        self._local = gallery.ledger.local
        self._census = census
        self._report = report
        self._progress = progress
        now = gallery.ledger.now_ms()
        self._now = now
        self._proved_held = census.held(undoable_since(now))
        self._held_before = self._held()
        self._trashed = {
            file.content[0] for _, file in self._state.trash() if file.content is not None
        }
        self._used: set[ObjectName] = set()  # of what may go, objects that something else has, too

    async def run(self) -> None:
        """Go through all contents once, then do what that has shown."""
        contents = list(self._state.photos.contents())
        condemnable: list[ContentId] = []
        for done, ident in enumerate(contents):
            photo = self._state.photos.get(ident)
            if photo is not None:
                await self._look(photo, condemnable)
            if done % 64 == 0:
                self._progress(done, len(contents))
                await trio.lowlevel.checkpoint()
        self._progress(len(contents), len(contents))
        await self._guard(contents)
        for batch in _batches(condemnable):
            self._condemn(batch)
            await trio.lowlevel.checkpoint()  # each batch is proved anew
        for records in _batches(list(self._local.condemned.under_way())):
            await self._delete(records)

    async def _look(self, photo: PhotoRecord, condemnable: list[ContentId]) -> None:
        """See what there is to do about a content; bring back what is needed after all."""
        gone = photo.condemned
        held = photo.id in self._held_before
        if gone and photo.content is None and (photo.files or held):
            await self._revive(photo)
            return
        if self._may_be_condemned(photo) and not held:
            condemnable.append(photo.id)
        unseen = [
            Passing(photo.id, c.record, Phase.SEEN, self._now)
            for _, c in photo.records
            if c.record in gone and self._is_unseen(c)
        ]
        if unseen and not self._report.dry_run:  # the notes about them were lost: from now on
            self._gallery.ledger.note(OnTheirWay(tuple(unseen)))

    # -- what is held --------------------------------------------------------------------------

    def _held(self) -> set[ContentId]:
        """Return what is held: by the census, and by what this machine knows at this moment."""
        held = set(self._proved_held)
        state = self._state
        files = [state.file(file) for file in self._gallery.files.open_files()]
        files += [file for _, file in state.trash()]
        for act in state.undo.acts():
            for deed in state.undo.deeds(act):
                match deed:
                    case undo.Wrote(Entity.FILE, ident, name, before):
                        files.append(state.file(FileId(ident)))
                        if name is Field.CONTENT and before is not None:
                            held.add(before[0])
                    case undo.Listed(file=ident):
                        files.append(state.file(ident))
        held |= {f.content[0] for f in files if f is not None and f.content is not None}
        drafts = self._local.drafts()
        return held | {d.base.content.id for d in drafts if d.base is not None}

    def _may_be_condemned(self, photo: PhotoRecord) -> bool:
        """Whether all its records are known to the vault, none is on its way there, and no listed
        file has it. Some of them may be condemned already, not all."""
        records = [content for _, content in photo.records]
        names = {content.record for content in records}
        return (
            not photo.files
            and photo.content is not None
            and len(names) <= MAX_CONDEMNED
            and all(names)
            and names == self._census.records.get(photo.id)
            and not any(content.media_type == MEDIA_TYPE for content in records)
            and not any(self._is_only_here(content) for content in records)
        )

    def _is_unseen(self, content: Content) -> bool:
        """Whether no time is counted of a record yet; one that was revived begins anew."""
        passing = self._local.condemned.get(content.record)
        return passing is None or passing.phase is Phase.REVIVED

    def _is_only_here(self, content: Content) -> bool:
        spool = self._gallery.spool
        return self._local.is_waiting(content) or any(spool.has(p.name) for p in content.parts)

    async def _guard(self, contents: Iterable[ContentId]) -> None:
        """Find objects of condemned records that another record names: no writer does that."""
        doomed: dict[ObjectName, ObjectName] = {}
        for passing in self._local.condemned.under_way():
            for part in self._parts(passing):
                doomed[part.name] = passing.record
        for done, ident in enumerate(contents if doomed else ()):
            photo = self._state.photos.get(ident)
            for _, content in photo.records if photo is not None else ():
                for part in content.parts:
                    if doomed.get(part.name, content.record) != content.record:
                        self._used.add(part.name)
            if done % 64 == 0:
                await trio.lowlevel.checkpoint()

    # -- condemning ----------------------------------------------------------------------------

    def _condemn(self, idents: list[ContentId]) -> None:
        """Condemn contents, unless something has begun to hold them."""
        held = self._held()
        ops, seen = [], []
        for ident in idents:
            photo = self._state.photos.get(ident)
            if photo is None or ident in held or not self._may_be_condemned(photo):
                continue
            names = tuple(sorted(content.record for _, content in photo.records))
            ops.append(SetRegister(Entity.PHOTO, ident, Field.CONDEMNED, names))
            for _, content in photo.records:
                if content.record not in photo.condemned:
                    seen.append(Passing(ident, content.record, Phase.SEEN, self._now))
                    self._report.condemned_bytes += _stored(content)
            self._report.condemned += 1
        if ops and not self._report.dry_run:
            self._gallery.ledger.commit(ops)
            self._gallery.ledger.note(OnTheirWay(tuple(seen)))

    async def _revive(self, photo: PhotoRecord) -> None:
        """Let a record count again of a content that a file has and no record stands for."""
        for _, content in photo.records:
            passing = self._local.condemned.get(content.record)
            begun = passing is not None and passing.phase is not Phase.SEEN
            if begun or not await self._is_there(content):
                continue
            now = self._state.photos.get(photo.id)
            if now is None or now.condemned != photo.condemned or now.content is not None:
                return  # something else was done about it meanwhile
            self._report.revived += 1
            if not self._report.dry_run:
                self._gallery.ledger.commit([counting_again(photo, content.record)])
                back = Passing(photo.id, content.record, Phase.REVIVED, self._now)
                self._gallery.ledger.note(OnTheirWay((back,)))
            return
        if not photo.files and photo.id not in self._trashed:
            return  # an act would bring it back that the catalog, made anew, had forgotten before
        self._report.failed.append(
            f"Content {photo.id.hex()[:16]} is needed, and no record of it is in the vault."
        )

    async def _is_there(self, content: Content) -> bool:
        """Whether the vault has every object of a record, asked for by name."""
        for part in content.parts:
            try:
                stat = await self._gallery.store.stat(object_path(part.name))
            except NotFound:
                return False
            if stat.size != part.stored:
                return False
        return True

    # -- deleting ------------------------------------------------------------------------------

    async def _delete(self, records: list[Passing]) -> None:
        """Delete what may go of these, and count what has to wait."""
        replaced = {p for p in records if await self._is_replaced(p)}
        held = self._held()  # nothing else gets its turn from here to the note
        going = [p for p in records if self._may_go(p, p in replaced, held)]
        for passing in records:
            if passing not in going:
                self._report.waiting[passing.at_ms + GRACE_DAYS * DAY_MS] += 1
                self._report.waiting_bytes += sum(p.stored for p in self._parts(passing))
        if self._report.dry_run:
            for passing in going:
                self._report.deleted += len(self._parts(passing))
                self._report.freed += sum(part.stored for part in self._parts(passing))
            return
        if going:
            self._note(going, Phase.DELETING)
            await self._gallery.sync()
        for passing in going:
            await self._remove(passing)

    async def _is_replaced(self, passing: Passing) -> bool:
        """Whether another record of the content counts and the vault has it and its objects."""
        photo = self._state.photos.get(passing.content)
        if photo is None or photo.content is None:
            return False
        published = photo.content.record in self._census.records[passing.content]
        return published and await self._is_there(photo.content)

    def _may_go(self, passing: Passing, replaced: bool, held: set[ContentId]) -> bool:
        photo = self._state.photos.get(passing.content)
        if (
            photo is None
            or passing.record not in photo.condemned
            or passing.record not in self._census.condemned(passing.content)
            or not self._used.isdisjoint(part.name for part in self._parts(passing))
        ):
            return False
        if passing.phase is Phase.DELETING:
            return True  # some of its objects may be gone
        needed = passing.content in held or bool(photo.files)
        return (
            0 <= passing.at_ms <= self._now - GRACE_DAYS * DAY_MS
            and (replaced or not needed)
            and not any(self._is_only_here(content) for _, content in photo.records)
        )

    async def _remove(self, passing: Passing) -> None:
        """Delete the objects of a record, then what is left of them here; may be done again."""
        for part in self._parts(passing):
            await self._gallery.store.delete(object_path(part.name))
            self._report.deleted += 1
            self._report.freed += part.stored
        for part in self._parts(passing):
            self._gallery.spool.remove_cached(part.name)
        self._note([passing], Phase.DELETED)

    def _parts(self, passing: Passing) -> tuple[Part, ...]:
        photo = self._state.photos.get(passing.content)
        records = [content for _, content in photo.records] if photo is not None else []
        return next((c.parts for c in records if c.record == passing.record), ())

    def _note(self, records: Iterable[Passing], phase: Phase) -> None:
        passing = tuple(Passing(p.content, p.record, phase, self._now) for p in records)
        self._gallery.ledger.note(OnTheirWay(passing))


def _batches(items: list[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _stored(content: Content) -> int:
    return sum(part.stored for part in content.parts)
