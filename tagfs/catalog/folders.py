"""Own folders: what each lists under which name, built from places and entries in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cbor2

from tagfs.catalog.pages import Pages
from tagfs.catalog.records import Dot, FileRecord, FolderRecord
from tagfs.catalog.schema import Table
from tagfs.catalog.tables import Tables
from tagfs.model import ROOT, UNFILED, FileId, FolderId, Stamp
from tagfs.vault.ops import AddEntry, Field, RemoveEntry, SetRegister

FOLDER = 0
FILE = 1


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a folder's listing."""

    slot: int
    name: bytes  # as shown: with a suffix when another entry has the plain name
    kind: int  # FOLDER or FILE
    id: bytes
    recorded: bytes  # its name as it was written


def suffixed(name: bytes, ident: bytes) -> bytes:
    """Return ``name~id.ext``: the name under which a twin of a taken name is listed."""
    stem, dot, extension = name.rpartition(b".")
    tail = b"~" + ident[:4].hex().encode()
    if not dot or not stem or len(extension) > 16:
        return name[: 255 - len(tail)] + tail
    return stem[: 255 - len(tail) - 1 - len(extension)] + tail + b"." + extension


class Folders:
    """The tree of own folders. Told of every operation on files' entries and folders' places."""

    def __init__(self, tables: Tables, on_entry: Callable[[FolderId, bytes], None]) -> None:
        self._tables = tables
        self._pages = Pages(tables.store, Table.FOLDER_PAGE)
        self._on_entry = on_entry
        self.now = 0  # clock of the unit that is being applied

    # -- reading ---------------------------------------------------------------------------

    def listing(self, folder: FolderId, start: int = 0) -> Iterator[Listed]:
        """Yield what the folder lists, from slot ``start`` on, in the order it was added."""
        for slot, item in self._pages.scan(folder, start):
            kind, ident, name, shown = cbor2.loads(item)
            yield Listed(slot, shown or name, kind, ident, name)

    def look_up(self, folder: FolderId, name: bytes) -> tuple[int, bytes] | None:
        """Return (kind, id) of what stands under ``name``, plain or with its suffix."""
        holders = self._holders(folder, name)
        if holders:
            return holders[0][0], holders[0][1]
        plain = without_suffix(name)
        if plain is not None:
            for kind, ident, _slot in self._holders(folder, plain)[1:]:
                if suffixed(plain, ident) == name:
                    return kind, ident
        if len(name) > 240:  # the suffix may have cut the plain name, which cannot be undone
            for listed in self.listing(folder):
                if listed.name == name:
                    return listed.kind, listed.id
        return None

    def candidates(self, folder: FolderId, name: bytes) -> list[FileId]:
        """Return every file whose recorded name in the folder is this one."""
        return [FileId(h[1]) for h in self._holders(folder, name) if h[0] == FILE]

    def entry_name(self, folder: FolderId, name: bytes, ident: bytes) -> bytes:
        """Return the recorded name of what is shown as ``name``."""
        if any(h[1] == ident for h in self._holders(folder, name)):
            return name
        plain = without_suffix(name)
        return name if plain is None else plain

    def is_empty(self, folder: FolderId) -> bool:
        """Whether the folder lists nothing."""
        return next(self._pages.scan(folder, 0), None) is None

    # -- applying --------------------------------------------------------------------------

    def ensure(self, ident: FolderId) -> FolderRecord:
        """Return the folder's record, made when this is the first that was heard of it."""
        record = self._tables.folders.get(ident)
        if record is None:
            record = FolderRecord(ident, self._tables.claim_inode(FOLDER, ident))
            self._tables.folders.put(ident, record)
        return record

    def set_register(self, op: SetRegister, stamp: Stamp) -> bool:
        """Write a register of a folder; say whether it changed anything."""
        record = self.ensure(FolderId(op.id))
        above = self._chain(record)
        if not record.regs.write(op.field, op.value, stamp):
            return False
        self._tables.folders.put(record.id, record)
        if op.field is Field.PLACE:
            # A cycle that ends or begins here decides for its other members too.
            for ident in dict.fromkeys([record.id, *above, *self._chain(record)]):
                self._show(ident)
        return True

    def add(self, record: FileRecord, op: AddEntry, dot: Dot) -> bool:
        """Add an entry to a file; say whether a folder lists it newly."""
        if dot in record.gone:
            return False
        dots = record.entries.setdefault((op.folder, op.name), [])
        if dot in dots:
            return False
        dots.append(dot)
        if len(dots) > 1:
            return False
        self._list(op.folder, op.name, FILE, op.file)
        self._count(op.folder, files=1)
        return True

    def remove(self, record: FileRecord, op: RemoveEntry) -> bool:
        """Take dots of an entry back; say whether a folder no longer lists it."""
        dots = record.entries.get((op.folder, op.name), [])
        for dot in op.dots:
            if dot in dots:
                dots.remove(dot)
            if dot not in record.gone:
                record.gone.append(dot)
        if dots or (op.folder, op.name) not in record.entries:
            return False
        del record.entries[op.folder, op.name]
        self._unlist(op.folder, op.name, FILE, op.file)
        self._count(op.folder, files=-1)
        return True

    def loops(self, folder: FolderId, parent: FolderId) -> bool:
        """Whether placing ``folder`` under ``parent`` would put it below itself."""
        record = self._tables.folders.get(parent)
        return parent == folder or (record is not None and folder in self._chain(record))

    def _chain(self, record: FolderRecord) -> list[FolderId]:
        """Return the folders above one as their places say, itself too when it is in a cycle."""
        chain: list[FolderId] = []
        at: FolderRecord | None = record
        while at is not None and at.place is not None:
            parent = at.place[0]
            if parent in (ROOT, UNFILED) or parent in chain:
                break
            chain.append(parent)
            if parent == record.id:
                break
            at = self._tables.folders.get(parent)
        return chain

    def _breaks_cycle(self, record: FolderRecord) -> bool:
        """Whether this folder is in a cycle and its move was the last one: the later move loses."""
        chain = self._chain(record)
        if record.id not in chain:
            return False
        moves = [(self.ensure(f).regs.stamp(Field.PLACE), f) for f in chain]
        return max(moves)[1] == record.id

    # -- what is shown ---------------------------------------------------------------------

    def _count(self, folder: FolderId, files: int) -> None:
        self._tally(folder, files=files)
        self._show(folder)

    def _tally(self, folder: FolderId, files: int = 0, folders: int = 0) -> None:
        record = self.ensure(folder)
        record.files += files
        record.folders += folders
        record.changed = max(record.changed, self.now)
        self._tables.folders.put(folder, record)

    def _show(self, first: FolderId) -> None:
        """List a folder where its place says, or nowhere when it is deleted and empty.

        What becomes of its parent follows: one that was deleted stands while it lists something.
        """
        waiting = [first]
        while waiting:
            record = self.ensure(waiting.pop())
            want, have = self._wanted(record), record.shown
            if (have and have[:2]) == want:
                continue
            if have is not None:
                record.shown = None
                self._tables.folders.put(record.id, record)
                self._unlist(have[0], have[1], FOLDER, record.id)
                self._tally(have[0], folders=-1)
                waiting.append(have[0])
            if want is not None:
                slot = self._list(want[0], want[1], FOLDER, record.id)
                record.shown = (want[0], want[1], slot)
                self._tables.folders.put(record.id, record)
                self._tally(want[0], folders=1)
                waiting.append(want[0])

    def _wanted(self, record: FolderRecord) -> tuple[FolderId, bytes] | None:
        """Return where a folder is to be listed."""
        place = record.place
        if place is None or record.id in (ROOT, UNFILED):
            return None
        if not (place[2] or record.files or record.folders):
            return None
        return (ROOT if self._breaks_cycle(record) else place[0]), place[1]

    def _holders(self, folder: FolderId, name: bytes) -> list[tuple[int, bytes, int]]:
        raw = self._tables.store.get(Table.NAME, folder + name)
        return [] if raw is None else [(h[0], h[1], h[2]) for h in cbor2.loads(raw)]

    def _list(self, folder: FolderId, name: bytes, kind: int, ident: bytes) -> int:
        slot = self._pages.append(folder, cbor2.dumps([kind, ident, name, None]))
        holders = sorted([*self._holders(folder, name), (kind, ident, slot)])
        self._write_holders(folder, name, holders)
        return slot

    def _unlist(self, folder: FolderId, name: bytes, kind: int, ident: bytes) -> None:
        holders = self._holders(folder, name)
        for holder in [h for h in holders if h[:2] == (kind, ident)]:
            holders.remove(holder)
            self._pages.clear(folder, holder[2])
            self._on_entry(folder, suffixed(name, ident))
        self._write_holders(folder, name, holders)

    def _write_holders(
        self, folder: FolderId, name: bytes, holders: list[tuple[int, bytes, int]]
    ) -> None:
        key = folder + name
        if not holders:
            self._tables.store.delete(Table.NAME, key)
        else:
            self._tables.store.put(Table.NAME, key, cbor2.dumps(holders))
        for i, (kind, ident, slot) in enumerate(holders):
            shown = None if i == 0 else suffixed(name, ident)
            item = cbor2.dumps([kind, ident, name, shown])
            if self._pages.get(folder, slot) != item:
                self._pages.set(folder, slot, item)
                if shown is not None:
                    self._on_entry(folder, shown)
        self._on_entry(folder, name)


def without_suffix(name: bytes) -> bytes | None:
    """Return the plain name when ``name`` has the form ``name~xxxxxxxx.ext``."""
    stem, dot, extension = name.rpartition(b".")
    if not dot or b"~" not in stem or len(extension) > 16:
        stem, dot, extension = name, b"", b""
    base, tilde, tail = stem.rpartition(b"~")
    if not tilde or not base or len(tail) != 8:
        return None
    return base + dot + extension


def file_of(tables: Tables, ident: bytes) -> FileRecord:
    """Return the record of a file that a listing named; the two are written together."""
    record = tables.files.get(FileId(ident))
    if record is None:
        raise KeyError(ident.hex())
    return record
