"""Was it an edit? What was written over another's name is compared with it once both were seen.

The register WRITTEN_OVER of a file names what had its name. It stays until the two were compared,
so that a crash at any moment leaves the question open. When they show the same picture, the new
content takes over places and words, and the older one goes to the trash, as an act of its own that
can be undone. Otherwise both stay as they are.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

import trio

from tagfs.catalog.folders import suffixed
from tagfs.catalog.records import FileRecord, PhotoRecord
from tagfs.catalog.shelves import WRITTEN_OVER
from tagfs.catalog.state import Change, FileChanged, PhotoChanged, State
from tagfs.errors import FileError
from tagfs.model import UNFILED, ContentId, Facts, FileId, UnitId, random_id
from tagfs.pipeline import inheriting
from tagfs.pipeline.ledger import Ledger
from tagfs.recognise.likeness import same_picture
from tagfs.vault.ops import AddEntry, Entity, Field, Op, RemoveEntry, SetRegister

log = logging.getLogger(__name__)

RETRY = 2.0
"""Seconds after which what the local disk refused is tried again."""


class Edits:
    """The comparisons that are due, and the task that makes them.

    ``is_unsaved``: whether a file is being written; ``look``: returns when a photo that nothing
    lists any more was looked at, or cannot be; ``said``: what a photo's facts say in the user's
    words that others did not.
    """

    def __init__(
        self,
        ledger: Ledger,
        is_unsaved: Callable[[FileId], bool],
        look: Callable[[ContentId], Awaitable[None]],
        said: Callable[[ContentId, Facts, Facts], list[Op]],
    ) -> None:
        self._ledger = ledger
        self._state: State = ledger.state
        self._is_unsaved = is_unsaved
        self._look = look
        self._said = said
        self._unseen: set[ContentId] = set()  # older contents that have to be looked at first
        self._looking: set[ContentId] = set()  # those of them that are
        self._unreadable: set[ContentId] = set()  # those that could not be
        self._due: set[FileId] = set()
        self._waiting: defaultdict[ContentId, set[FileId]] = defaultdict(set)  # for its sight
        self._wake = trio.Event()
        self._idle = trio.Event()
        self._idle.set()

    def changed(self, changes: Sequence[Change]) -> None:
        """Note what can be compared after a unit."""
        if not self._state.shelves.count(WRITTEN_OVER):
            return
        for change in changes:
            if isinstance(change, FileChanged):
                file = self._state.file(change.file)
                if file is not None and WRITTEN_OVER in file.slots:
                    self._add({file.id})
                if file is not None and file.content is not None:
                    self._add(self._waiting.pop(file.content[0], set()))
            elif isinstance(change, PhotoChanged):
                self._add(self._waiting.pop(change.photo, set()))

    def _add(self, files: set[FileId]) -> None:
        if files:
            self._due |= files
            self._idle = trio.Event() if self._idle.is_set() else self._idle
            self._wake.set()

    async def wait_idle(self) -> None:
        """Return when nothing more can be compared now."""
        await self._idle.wait()

    async def run(self) -> None:
        """Compare what is due until cancelled."""
        self._add({file.id for _, file in self._state.shelves.files(WRITTEN_OVER)})
        async with trio.open_nursery() as nursery:
            while True:
                self._wake = trio.Event()
                try:
                    await self._compare_all()
                except FileError as e:
                    log.warning("what was written over a name is compared later: %s", e)
                    await trio.sleep(RETRY)
                    continue
                self._looking |= self._unseen
                while self._unseen:
                    nursery.start_soon(self._see, self._unseen.pop())
                if not self._looking:
                    self._idle.set()
                await self._wake.wait()

    async def _see(self, ident: ContentId) -> None:
        """Have an older content looked at that was taken away before anybody did."""
        await self._look(ident)
        self._looking.discard(ident)
        photo = self._state.photos.get(ident)
        if photo is not None and photo.sight is None:
            self._unreadable.add(ident)
        self._add(self._waiting.pop(ident, set()))
        self._wake.set()

    async def _compare_all(self) -> None:
        """Compare what is due, the oldest first: an edit may have been edited again."""
        while self._due:
            files = [f for f in map(self._state.file, self._due) if f is not None]
            self._due.intersection_update(f.id for f in files)
            for ident in [f.id for f in sorted(files, key=lambda f: (f.born, f.id))]:
                file = self._state.file(ident)
                if file is not None:
                    self._compare(file)
                self._due.discard(ident)
                await trio.lowlevel.checkpoint()

    def _compare(self, file: FileRecord) -> None:
        over: ContentId | None = file.regs.get(Field.WRITTEN_OVER)
        if over is None or not file.live or file.content is None:
            return
        if self._is_open(file.id):
            return  # comes again with its final content
        new, old = self._state.photos.get(file.content[0]), self._state.photos.get(over)
        if new is None or old is None:
            self._close(file)
        elif new.id == old.id:
            self._close(file, self._same_bytes(file, new))
        else:
            missing = self._missing(file, new, old)
            if missing is not None:
                self._waiting[missing].add(file.id)
                return
            edited = _is_edit(new, old)
            if edited and (ops := self._take_over(file, new, old)):
                self._ledger.commit(ops, act=UnitId(random_id()))
            before = old.sight.facts if edited and old.sight is not None else Facts()
            self._close(file, self._said_in(new.id, before))

    def _missing(self, file: FileRecord, new: PhotoRecord, old: PhotoRecord) -> ContentId | None:
        """Return what has to be settled before two photos can be compared."""
        if not (new.media and old.media):
            return None
        if new.sight is None:
            return new.id
        if not old.listed:
            if old.sight is not None or old.id in self._unreadable:
                return None
            if old.id not in self._looking:
                self._unseen.add(old.id)
            return old.id
        files = [f for f in map(self._state.file, old.files) if f is not None]
        compared_first = any(WRITTEN_OVER in f.slots and f.born < file.born for f in files)
        if old.sight is None or compared_first or any(self._is_open(f.id) for f in files):
            return old.id
        return None

    def _said_in(self, photo: ContentId, before: Facts) -> list[Op]:
        """Return what a compared photo's file says that the older one did not."""
        new = self._state.photos.get(photo)
        sight = None if new is None else new.sight
        return [] if sight is None else self._said(photo, sight.facts, before)

    def _is_open(self, file: FileId) -> bool:
        """Whether a file is going to have another content than it has."""
        return self._is_unsaved(file) or self._ledger.local.draft(file) is not None

    def _close(self, file: FileRecord, ops: Sequence[Op] = ()) -> None:
        """Note that a file was compared. Not part of an act: undoing that asks nothing again."""
        self._ledger.commit([*ops, _set(file.id, Field.WRITTEN_OVER, None)])

    def _same_bytes(self, file: FileRecord, photo: PhotoRecord) -> list[Op]:
        """Give a photo its name back that made way for a copy of itself."""
        for _, name in file.entries:
            if photo.name == suffixed(name, photo.id) and self._is_free(name, file, photo):
                return [SetRegister(Entity.PHOTO, photo.id, Field.VIEW_NAME, name)]
        return []

    def _is_free(self, name: bytes, file: FileRecord, photo: PhotoRecord) -> bool:
        """Whether views have a name for nothing but a photo and its copy."""
        written = set(self._state.folders.candidates(UNFILED, name)) - {file.id, *photo.files}
        return self._state.photos.names.named(name) is None and not written

    def _take_over(self, file: FileRecord, new: PhotoRecord, old: PhotoRecord) -> list[Op]:
        """Let an edit have what the older photo had."""
        ops = inheriting.words(self._state, old, new.id)
        names = {name for _, name in file.entries}
        files = [self._state.file(f) for f in old.files if f != file.id]
        older = min((f for f in files if f is not None), key=lambda f: (f.born, f.id), default=None)
        aside = any(old.name == suffixed(name, old.id) for name in names)
        if older is None:
            had = old.regs.get(Field.VIEW_NAME)
            if had not in (None, new.name, *(suffixed(name, old.id) for name in names)):
                ops += _names(old, new, had)
        elif aside:
            ops += self._take_places(file, older)
        elif old.name in names and not any(name in names for _, name in older.entries):
            # It was renamed away on purpose (x.jpg_original), in a folder: the name is the edit's.
            assert old.name is not None
            ops += _names(old, new, old.name)
        return ops

    def _take_places(self, file: FileRecord, older: FileRecord) -> list[Op]:
        """List the new file where the older one is, which goes to the trash."""
        ops: list[Op] = []
        filed = False
        for (folder, name), dots in older.entries.items():
            ops.append(RemoveEntry(folder, name, older.id, tuple(dots)))
            if folder != UNFILED:
                filed = True
                ops.append(AddEntry(folder, name, file.id))
        ops.append(_set(older.id, Field.TRASHED, (self._ledger.now_ms(), tuple(older.entries))))
        if filed:
            photo = None if file.content is None else self._state.photos.get(file.content[0])
            for (folder, name), dots in file.entries.items():
                if folder == UNFILED and photo is not None and photo.name == name:
                    ops.append(RemoveEntry(folder, name, file.id, tuple(dots)))
        return ops


def _is_edit(new: PhotoRecord, old: PhotoRecord) -> bool:
    """Whether two contents are one thing before and after: the same picture, or both a text."""
    if not (new.media or old.media):
        return new.content is not None and old.content is not None
    if new.sight is None or old.sight is None or new.sight.unreadable or old.sight.unreadable:
        return False
    return same_picture(new.sight.facts, old.sight.facts)


def _names(old: PhotoRecord, new: PhotoRecord, name: bytes) -> list[Op]:
    """Give the view name of one photo to another."""
    return [
        inheriting.aside(old, name),
        SetRegister(Entity.PHOTO, new.id, Field.VIEW_NAME, name),
    ]


def _set(file: FileId, field: Field, value: object) -> SetRegister:
    return SetRegister(Entity.FILE, file, field, value)
