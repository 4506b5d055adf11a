"""New files under names that photos have in views, before anything was written to them.

FUSE tells which inode a program opens, not by which name, and the kernel remembers names for a
while. So whoever opens a photo to empty it (``cp``, ``>``) is told that the name is stale. The
kernel then looks it up once more. In an own folder that finds the photo, which is overwritten. In
a view it finds a new file, and the photo keeps its inode, its bytes and its pages. The new file is
journalled together with the first bytes that are flushed: a crash before leaves all as it was.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tagfs.catalog.folders import FILE
from tagfs.catalog.records import FileRecord
from tagfs.errors import FileError, not_permitted
from tagfs.model import UNFILED, Clock, Content, DeviceId, FileId, Stamp, random_id
from tagfs.pipeline.files import Files
from tagfs.pipeline.ledger import Ledger
from tagfs.vault.ops import AddEntry, Field, Op
from tagfs.views import acts
from tagfs.views.nodes import Directory, FileNode, Node, OwnFolder, Spot, View
from tagfs.views.overwriting import Overwriting
from tagfs.views.traces import Door, Latest, Traces

LOOK_AGAIN = 10.0
"""Seconds in which the kernel has looked a stale name up once more."""
EMPTY = 60.0
"""Seconds that a name goes on showing an empty file when nothing was written to it."""
EDITED = 600.0
"""Seconds that an edited photo is still found where it was opened while it was not looked at."""
MOST = 256
"""New files that nobody has open and that are remembered all the same, at most."""


@dataclass(slots=True)
class Pending:
    """One new file (``pipeline.files.Arrival``)."""

    record: FileRecord
    where: Spot
    name: bytes
    until: float  # when it is forgotten, unless somebody has it open
    coming: Callable[[Pending, Content | None], list[Op]]
    handles: int = 0

    def operations(self, content: Content | None) -> list[Op]:
        """Return what its coming means."""
        return self.coming(self, content)


@dataclass(slots=True)
class _Asked:
    """A file whose name a process is looking up again, and what it finds there in a view."""

    file: FileId
    until: float
    door: Door | None  # the name, as far as the kernel asked for it
    pending: Pending | None = None
    refused: FileError | None = None  # why no file can be made here

    def again(self, door: Door) -> bool:
        """Whether this is the name that is being looked up again.

        It may be another file's by now. Of an own folder the kernel may not have asked before.
        """
        if self.pending is not None or self.file == door.file:
            return self.file == door.file
        if isinstance(door.where, OwnFolder):
            return True
        old = self.door
        return old is not None and (old.where, old.name) == (door.where, door.name)


class Pendings:
    """Which files are pending, for whom a name means one, and which edits were made where."""

    def __init__(
        self,
        ledger: Ledger,
        files: Files,
        views: Mapping[str, View],
        overwriting: Overwriting,
        traces: Traces,
    ) -> None:
        self._state = ledger.state
        self._now_ns = ledger.now_ns
        self._files = files
        self._views = views
        self._overwriting = overwriting
        self._traces = traces
        self._monotonic = traces.monotonic
        self._clock = Clock(ledger.now_ms)
        self._asked: Latest[int, _Asked] = Latest(MOST)  # by process
        self._found: dict[tuple[Spot, bytes], Pending] = {}  # opened: everybody finds it
        self._by_file: dict[FileId, Pending] = {}
        self._edited: Latest[tuple[Spot, bytes], tuple[FileId, float]] = Latest()

    # -- names -------------------------------------------------------------------------------

    def at(self, where: Spot, name: bytes) -> Node | None:
        """Return the pending file that a name means to the caller."""
        asked = self._asked.get(self._traces.caller)
        pending = None if asked is None else asked.pending
        if pending and (pending.where, pending.name) == (where, name) and self._lasts(pending):
            return FileNode(pending.record.id)
        found = self._found.get((where, name)) if self._found else None
        if found is None or not self._lasts(found):
            return None
        return FileNode(found.record.id)

    def edited_at(self, where: Spot, name: bytes) -> Node | None:
        """Return the file that was opened for an edit by a name that nothing has any more."""
        file, until = self._edited.get((where, name)) or (None, 0.0)
        record = None if file is None else self._state.file(file)
        if record is None or not record.live or self._is_over(record, until):
            return None
        return FileNode(record.id)

    def _is_over(self, file: FileRecord, until: float) -> bool:
        """Whether an edit is over: its photo was looked at, or nobody came to look."""
        if self._files.is_open(file.id) or self._files.is_unsealed(file.id):
            return False
        photo = self._state.photos.get(file.content[0]) if file.content else None
        return until < self._monotonic() or (photo is not None and photo.sight is not None)

    def _forget_edits(self, file: FileRecord) -> None:
        """Forget the edits of a file that are over, before another begins with other bytes."""
        for key, (edited, until) in self._edited.items():
            if edited == file.id and self._is_over(file, until):
                self._edited.pop(key)

    def left(self, where: Directory, name: bytes) -> None:
        """The user took a name from a file: it is not found there any more."""
        if isinstance(where, Spot):
            self._edited.pop((where, name))

    def record(self, file: FileId) -> FileRecord | None:
        """Return what a pending file is going to be."""
        found = self._by_file.get(file)
        return None if found is None else found.record

    def set(self, file: FileId, field: Field, value: object) -> bool:
        """Note a register of a pending file for the journal; False for any other file."""
        found = self._by_file.get(file)
        if found is None or not self._lasts(found):
            return False
        stamp = self._stamp()
        found.record.regs.write(field, value, stamp)
        found.record.changed = stamp.hlc
        return True

    def looked_up(self, door: Door) -> FileId:
        """The caller resolved a name to a file. Returns which file it is given for it."""
        file = self._state.file(door.file)
        if file is not None and file.target is not None:
            return door.file  # a symlink is on the way to what is opened
        asked = self._asked.get(self._traces.caller)
        if asked is not None and asked.until < self._monotonic():
            self._asked.pop(self._traces.caller)
            asked = None
        if asked is not None and asked.again(door):
            asked.file = door.file
        if asked is not None and asked.file == door.file and self._makes_way(door):
            try:
                asked.pending = self._begin(door)
            except FileError as error:  # of opening, not of looking: the kernel would look again
                asked.refused = error
            else:
                door = Door(asked.pending.record.id, door.where, door.name)
        elif asked is not None and asked.file != door.file and asked.pending is None:
            self._asked.pop(self._traces.caller)
        self._traces.looked_up(door)
        return door.file

    def _makes_way(self, door: Door) -> bool:
        """Whether emptying a file by this name leaves it as it is and makes another."""
        file = self._state.file(door.file) or self.record(door.file)
        return isinstance(door.where, Spot) and (
            file is None or door.file in self._by_file or self._overwriting.gives_way(file)
        )

    # -- opening -----------------------------------------------------------------------------

    def opening(self, file: FileRecord, emptied: bool) -> bytes | None:
        """Prepare for the caller's writing to a file that it is about to open, or to truncate.

        Returns the name in a view by which it is edited. Raises FileError(ESTALE) when the name
        is to be looked up again, and what the view says to a new file.
        """
        asked = self._asked.pop(self._traces.caller)
        self._forget_edits(file)
        if file.trashed is not None and not file.live:
            self._opening_deleted(file.id, asked)
            return None
        pending = self._by_file.get(file.id)
        if pending is not None and self._lasts(pending):
            self._found[pending.where, pending.name] = pending
            pending.until = self._monotonic() + EMPTY
            self._files.expect(pending)
            kept = self._files.size_and_times(file)[0] > 0
        else:
            kept = self._overwriting.gives_way(file)
        if emptied:
            if kept and asked is not None and asked.file == file.id and asked.refused:
                raise asked.refused
            if not kept or (asked is not None and asked.file == file.id):
                return None  # nothing to be kept, or looked up in an own folder, or by no name
            self._ask(file.id)
            raise FileError(errno.ESTALE)
        door = self._traces.door(file.id)
        if door is None or isinstance(door.where, OwnFolder):
            return None
        self._edited.set((door.where, door.name), (file.id, self._monotonic() + EDITED))
        return door.name

    def _opening_deleted(self, file: FileId, asked: _Asked | None) -> None:
        """Refuse to write to what is in the trash: nobody would see the bytes there again.

        When it had another name as it was looked up, the name is to be looked up again. If it is
        deleted once more in between, what is written is nobody's, as on any file system.
        """
        door = self._traces.door(file)
        if door is not None and door.where == Spot("trash"):
            raise not_permitted("What is in the trash cannot be written to; move it out first.")
        if asked is None:
            self._ask(file)
            raise FileError(errno.ESTALE)

    def _ask(self, file: FileId) -> None:
        """Have the caller look the name of a file up again."""
        until, door = self._monotonic() + LOOK_AGAIN, self._traces.door(file)
        self._asked.set(self._traces.caller, _Asked(file, until, door))

    def opened(self, file: FileId) -> Callable[[], None] | None:
        """Somebody has a file open now. Returns what is to be called when it is let go."""
        pending = self._by_file.get(file)
        if pending is None:
            return None
        pending.handles += 1

        def released() -> None:
            pending.handles -= 1
            pending.until = self._monotonic() + EMPTY
            self._lasts(pending)

        return released

    # -- becoming a file ---------------------------------------------------------------------

    def landing(self, file: FileId) -> list[Op]:
        """Return what journals a pending file at once, because something else happens to it."""
        pending = self._by_file.get(file)
        if pending is None or not self._lasts(pending):
            return []
        self._files.expect(pending)
        mtime = acts.set_file(file, Field.MTIME, pending.record.mtime_ns)
        return [*pending.operations(None), mtime]

    def landed(self, file: FileId) -> None:
        """It was journalled."""
        self._files.forget_arrival(file)

    def _begin(self, door: Door) -> Pending:
        assert isinstance(door.where, Spot)
        over = self._state.file(door.file) or self.record(door.file)
        mode = 0o644 if over is None else over.mode
        file = FileId(random_id())
        self._views[door.where.view].create(door.where.path, file)  # may it be here at all?
        ino = self._state.tables.claim_inode(FILE, file)
        record = FileRecord(file, ino, self._stamp().hlc)
        record.entries[UNFILED, door.name] = []
        record.regs.write(Field.MODE, mode, self._stamp())
        record.regs.write(Field.MTIME, self._now_ns(), self._stamp())
        until = self._monotonic() + LOOK_AGAIN
        pending = Pending(record, door.where, door.name, until, self._coming)
        self._by_file[file] = pending
        if len(self._by_file) > MOST:
            for other in list(self._by_file.values()):
                self._lasts(other)
        return pending

    def _coming(self, pending: Pending, content: Content | None) -> list[Op]:
        file, view = pending.record, self._views[pending.where.view]
        there = view.look_up(pending.where.path, pending.name)
        old = self._state.file(there.file) if isinstance(there, FileNode) else None
        ops: list[Op] = []
        if old is not None:
            ident = None if content is None else content.id
            ops += self._overwriting.over(old, file.id, ident, pending.name)
        if content is None:
            ops += view.create(pending.where.path, file.id)
        else:
            filled = FileRecord(file.id, file.ino, file.born)
            filled.regs.write(Field.CONTENT, (content.id, content.size), self._stamp())
            ops += view.add(pending.where.path, filled)
        if old is not None and content is not None and (old.content or (b"",))[0] != content.id:
            ops += self._overwriting.take_name(old, content, pending.name)
        ops.append(acts.set_file(file.id, Field.MODE, file.mode))
        ops.append(AddEntry(UNFILED, pending.name, file.id))
        return ops

    def _lasts(self, pending: Pending) -> bool:
        """Whether a pending file is still one; forgets it when it is not."""
        if self._state.file(pending.record.id) is not None:
            self._forget(pending)  # journalled: a file as any other
            return False
        if pending.handles or self._monotonic() < pending.until:
            return True
        self._files.forget_arrival(pending.record.id)
        self._forget(pending)
        return False

    def _forget(self, pending: Pending) -> None:
        self._by_file.pop(pending.record.id, None)
        if self._found.get((pending.where, pending.name)) is pending:
            del self._found[pending.where, pending.name]

    def _stamp(self) -> Stamp:
        return Stamp(self._clock.tick(), DeviceId(bytes(16)))
