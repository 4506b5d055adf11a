"""The tree: every path of the mount as a node, every act of the user as operations."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

from tagfs.catalog.folders import FOLDER
from tagfs.catalog.photos import ALL
from tagfs.catalog.records import FileRecord
from tagfs.catalog.state import Change, EntryChanged, FileChanged
from tagfs.errors import FileError, no_entry, not_permitted
from tagfs.model import MAX_NAME, ROOT, UNFILED, FileId, FolderId, random_id
from tagfs.pipeline.gallery import Gallery
from tagfs.pipeline.names import RESERVED
from tagfs.vault.ops import AddEntry, Field, Op
from tagfs.views import acts
from tagfs.views.everything import Everything
from tagfs.views.guard import BulkGuard
from tagfs.views.inodes import Inodes
from tagfs.views.inside import Inside
from tagfs.views.moves import Moves
from tagfs.views.nodes import (
    ROOT_INODE,
    Attr,
    Directory,
    FileNode,
    Node,
    OwnFolder,
    Spot,
    Text,
    View,
    check_name,
)
from tagfs.views.opened import Opened
from tagfs.views.tags import Tags
from tagfs.views.trash import Trash

Ops = list[Op]
HIDDEN = b".tagfs"
"""Reachable, not listed."""
VIEW_COOKIES = 1 << 41
"""Cookies of the views follow those of the own folders at the root."""


class Tree:
    """Inodes, names and what changing them means. Only what is async waits; all raise FileError."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._ledger = gallery.ledger
        self._files = gallery.files
        self._state = gallery.state
        views: Sequence[View] = [
            Everything(self._state, self._ledger.now_ms, self._files.keeps),
            Tags(self._state, self._ledger.name_tag),
            Trash(self._state, self._ledger.now_ms, self._files.keeps),
        ]
        self._inside = Inside(gallery.report, self._ledger.events)
        self._views: dict[str, View] = {v.name: v for v in [*views, self._inside]}
        self._shown = [v.name.encode() for v in views]
        self._door: tuple[FileId, bool] | None = None  # last file looked up, whether in a view
        self._listeners: deque[Callable[[int, bytes | None], None]] = deque()
        self._moves = Moves(self._ledger, self._views, self._free, self._files.keeps)
        self._guard = BulkGuard(lambda: self._state.photos.postings.count(ALL), self._ledger.event)
        self._inodes = Inodes(
            self._state, self._files.size_and_mtime, self._inside.text, self._ledger.now_ns
        )
        self._ledger.on_changes(self._changed)

    # -- looking ---------------------------------------------------------------------------

    def attr(self, ino: int) -> Attr:
        """Return what ``stat`` shows of an inode."""
        return self._inodes.attr(self._inodes.node(ino))

    def look_up(self, parent: int, name: bytes) -> Attr:
        """Resolve one name in a directory; ENOENT when nothing stands there."""
        where = self._directory(parent)
        node = self._child(where, name)
        attr = self._inodes.attr(node, volatile=isinstance(where, Spot))
        if isinstance(node, FileNode):
            self._door = (node.file, isinstance(where, Spot))
        return attr

    def parent(self, ino: int) -> int:
        """Return the inode of the directory above a directory."""
        node = self._inodes.node(ino)
        if isinstance(node, Spot):
            above = Spot(node.view, node.path[:-1]) if node.path else OwnFolder(ROOT)
            return self._inodes.number(above)
        if isinstance(node, OwnFolder) and node.folder != ROOT:
            shown = self._state.folders.ensure(node.folder).shown
            return self._inodes.number(OwnFolder(shown[0] if shown else ROOT))
        return ROOT_INODE

    def list(self, ino: int, start: int) -> Iterator[tuple[int, bytes, Attr]]:
        """Yield (cookie, name, attributes) after cookie ``start``, without ``.`` and ``..``."""
        node = self._directory(ino)
        if isinstance(node, Spot):
            for line in self._views[node.view].lines(node.path, start):
                yield line.cookie, line.name, self._inodes.attr(line.node, volatile=True)
            return
        if start < VIEW_COOKIES:
            for item in self._state.folders.listing(node.folder, start):
                child: Node = (
                    OwnFolder(FolderId(item.id))
                    if item.kind == FOLDER
                    else FileNode(FileId(item.id))
                )
                yield item.slot + 1, item.name, self._inodes.attr(child)
        if node.folder == ROOT:
            for i, name in enumerate(self._shown):
                if VIEW_COOKIES + i >= start:
                    yield VIEW_COOKIES + i + 1, name, self._inodes.attr(Spot(name.decode()))

    def read_link(self, ino: int) -> bytes:
        """Return where a symlink points."""
        target = self._file(ino).target
        if target is None:
            raise FileError(errno.EINVAL)
        return target

    def statfs(self) -> tuple[int, int, int]:
        """Return (total bytes, free bytes, files) without asking the remote."""
        return self._gallery.space()

    # -- making and removing ----------------------------------------------------------------

    def create(self, parent: int, name: bytes, mode: int) -> Attr:
        """Make an empty file."""
        where = self._directory(parent)
        self._free(where, name)
        file = FileId(random_id())
        ops: Ops = [
            acts.set_file(file, Field.MODE, mode & 0o7777),
            acts.set_file(file, Field.MTIME, self._ledger.now_ns()),
        ]
        if isinstance(where, OwnFolder):
            ops.append(AddEntry(where.folder, name, file))
        else:
            ops += self._views[where.view].create(where.path, file)
            ops.append(AddEntry(UNFILED, name, file))
        self._commit(ops)
        return self._inodes.attr(FileNode(file))

    def symlink(self, parent: int, name: bytes, target: bytes) -> Attr:
        """Make a symbolic link in an own folder."""
        where = self._directory(parent)
        self._free(where, name)
        if not isinstance(where, OwnFolder):
            raise not_permitted("Symbolic links belong into your own folders.")
        if not 0 < len(target) < 4096:
            raise FileError(errno.ENAMETOOLONG)
        file = FileId(random_id())
        self._commit(
            [
                acts.set_file(file, Field.MODE, 0o777),
                acts.set_file(file, Field.MTIME, self._ledger.now_ns()),
                acts.set_file(file, Field.TARGET, target),
                AddEntry(where.folder, name, file),
            ]
        )
        return self._inodes.attr(FileNode(file))

    def mkdir(self, parent: int, name: bytes, mode: int) -> Attr:
        """Make a folder, or what a folder stands for in a view."""
        where = self._directory(parent)
        if isinstance(where, Spot):
            check_name(name)
            self._commit(self._views[where.view].make_dir(where.path, name))
            return self._inodes.attr(self._child(where, name))
        self._free(where, name)
        folder = FolderId(random_id())
        self._commit(
            [
                acts.set_folder(folder, Field.MODE, mode & 0o7777),
                acts.set_folder(folder, Field.MTIME, self._ledger.now_ns()),
                acts.set_folder(folder, Field.PLACE, (where.folder, name, True)),
            ]
        )
        return self._inodes.attr(OwnFolder(folder))

    def link(self, ino: int, parent: int, name: bytes) -> Attr:
        """List a file in one more place."""
        file = self._file(ino)
        where = self._directory(parent)
        self._free(where, name)
        if isinstance(where, Spot) and where.view == "trash":
            raise not_permitted("Move files into trash/ to delete them.")
        self._commit(acts.restore(file) + self._moves.bring(file, where, name))
        return self._inodes.attr(FileNode(file.id))

    def unlink(self, parent: int, name: bytes) -> None:
        """Remove a file from a place; what that means is the place's business."""
        where = self._directory(parent)
        file = self._entry(where, name)
        self._guard.removing(where.view if isinstance(where, Spot) else None)
        self._commit(self._moves.take(file, where, name))

    def rmdir(self, parent: int, name: bytes) -> None:
        """Remove an empty folder, or what it stands for in a view."""
        where = self._directory(parent)
        if isinstance(where, Spot):
            self._commit(self._views[where.view].remove_dir(where.path, name))
            return
        node = self._child(where, name)
        if isinstance(node, Spot):
            raise not_permitted("The views cannot be removed.")
        if not isinstance(node, OwnFolder):
            raise FileError(errno.ENOTDIR)
        if not self._state.folders.is_empty(node.folder):
            raise FileError(errno.ENOTEMPTY)
        self._commit(self._moves.drop(node.folder))

    def rename(
        self, parent: int, name: bytes, new_parent: int, new_name: bytes, no_replace: bool
    ) -> None:
        """Move a file or folder: between places of one kind it moves, between kinds it adds."""
        source, target = self._directory(parent), self._directory(new_parent)
        node = self._child(source, name)
        check_name(new_name)
        there = self._maybe(target, new_name)
        if there is not None and no_replace:
            raise FileError(errno.EEXIST)
        if isinstance(node, FileNode):
            file = self._inodes.record(node.file)
            self._commit(self._moves.move_file(file, source, name, target, new_name, there))
        elif isinstance(node, OwnFolder):
            self._commit(self._moves.move_folder(node.folder, source, target, new_name, there))
        elif (
            isinstance(node, Spot)
            and isinstance(source, Spot)
            and isinstance(target, Spot)
            and source.view == target.view
        ):
            view = self._views[source.view]
            self._commit(view.rename_dir(source.path, name, target.path, new_name))
        else:
            raise not_permitted("A folder cannot be moved between views.")

    def set_attr(self, ino: int, mode: int | None = None, mtime_ns: int | None = None) -> Attr:
        """Change mode or modification time: the record, not the content."""
        node = self._inodes.node(ino)
        ops: Ops = []
        if isinstance(node, FileNode):
            if mode is not None:
                ops.append(acts.set_file(node.file, Field.MODE, mode & 0o7777))
            if mtime_ns is not None and not self._files.set_open_mtime(node.file, mtime_ns):
                ops.append(acts.set_file(node.file, Field.MTIME, mtime_ns))
        elif isinstance(node, OwnFolder) and node.folder != ROOT:
            if mode is not None:
                ops.append(acts.set_folder(node.folder, Field.MODE, mode & 0o7777))
            if mtime_ns is not None:
                ops.append(acts.set_folder(node.folder, Field.MTIME, mtime_ns))
        elif isinstance(node, Text) or (isinstance(node, Spot) and mode is not None):
            raise not_permitted("The views' own attributes cannot be changed.")
        if ops:
            self._commit(ops)
        return self._inodes.attr(node)

    # -- bytes -----------------------------------------------------------------------------

    async def open(self, ino: int, flags: int) -> Opened:
        """Open a file. An edit of bytes that are not on this machine fetches them first."""
        node = self._inodes.node(ino)
        writing = flags & os.O_ACCMODE != os.O_RDONLY
        if isinstance(node, Text):
            if writing:
                raise FileError(errno.EACCES)
            return Opened.of_text(ino, self._inside.text(node))
        if not isinstance(node, FileNode):
            raise FileError(errno.EISDIR)
        record = self._inodes.record(node.file)
        emptying = writing and bool(flags & os.O_TRUNC)
        if writing:
            self._moves.check_writing(record, emptying, self._door == (record.id, True))
        handle = await self._files.open_file(record, writing, emptying)
        return Opened(ino, handle)

    async def truncate(self, ino: int, size: int) -> Attr:
        """Cut or extend a file that the caller has not opened."""
        record = self._file(ino)
        self._moves.check_writing(record, size == 0, self._door == (record.id, True))
        handle = await self._files.open_file(record, True, size == 0)
        try:
            handle.truncate(size)
            await handle.flush()
        finally:
            await handle.release()
        return self._inodes.attr(FileNode(record.id))

    # -- the kernel's memory -----------------------------------------------------------------

    def on_change(self, listener: Callable[[int, bytes | None], None]) -> None:
        """Call ``listener(directory, name)`` for entries, ``listener(inode, None)`` for
        attributes that the kernel should ask for again."""
        self._listeners.append(listener)

    def forget(self, ino: int) -> None:
        """The kernel holds no reference to this inode any more."""
        self._inodes.forget(ino)

    # -- resolving -------------------------------------------------------------------------

    def _directory(self, ino: int) -> Directory:
        node = self._inodes.node(ino)
        if isinstance(node, OwnFolder | Spot):
            return node
        raise FileError(errno.ENOTDIR)

    def _maybe(self, where: Directory, name: bytes) -> Node | None:
        if isinstance(where, Spot):
            return self._views[where.view].look_up(where.path, name)
        if where.folder == ROOT:
            if name in self._shown:
                return Spot(name.decode())
            if name == HIDDEN:
                return Spot(self._inside.name)
        found = self._state.folders.look_up(where.folder, name)
        if found is None:
            return None
        kind, ident = found
        return OwnFolder(FolderId(ident)) if kind == FOLDER else FileNode(FileId(ident))

    def _child(self, where: Directory, name: bytes) -> Node:
        if len(name) > MAX_NAME:
            raise FileError(errno.ENAMETOOLONG)
        node = self._maybe(where, name)
        if node is None:
            raise no_entry()
        return node

    def _file(self, ino: int) -> FileRecord:
        node = self._inodes.node(ino)
        if isinstance(node, FileNode):
            return self._inodes.record(node.file)
        if isinstance(node, Text):
            raise not_permitted("This text is made by tagfs.")
        raise FileError(errno.EISDIR)

    def _entry(self, where: Directory, name: bytes) -> FileRecord:
        node = self._child(where, name)
        if isinstance(node, FileNode):
            return self._inodes.record(node.file)
        if isinstance(node, Text):
            raise not_permitted("This text is made by tagfs.")
        raise FileError(errno.EISDIR)

    def _free(self, where: Directory, name: bytes) -> None:
        """Raise unless a new entry of this name may be made here."""
        check_name(name)
        if isinstance(where, OwnFolder) and where.folder == ROOT:
            if name in RESERVED or name == HIDDEN:
                raise not_permitted(f"The name {os.fsdecode(name)} is a view's.")
            if name.startswith(b".Trash"):
                raise not_permitted("Deleted files go to trash/ by themselves.")
        if self._maybe(where, name) is not None:
            raise FileError(errno.EEXIST)
        if (
            isinstance(where, OwnFolder)
            and where.folder != ROOT
            and self._state.folders.ensure(where.folder).shown is None
        ):
            raise no_entry()

    # -- meaning ---------------------------------------------------------------------------

    # -- attributes and changes ---------------------------------------------------------------

    def _commit(self, ops: Iterable[Op]) -> None:
        """Journal and apply a user's act; the kernel knows its own entries' fate already."""
        ops = tuple(ops)
        if ops:
            self._ledger.commit(ops, by_user=True)

    def _changed(self, changes: Sequence[Change], by_user: bool) -> None:
        for change in changes:
            for view in self._views.values():
                for spot, name in view.touched(change):
                    if self._inodes.touch(spot):
                        self._tell(spot.ino, name)
            if by_user:
                continue
            if isinstance(change, EntryChanged) and change.folder != UNFILED:
                self._tell(self._inodes.number(OwnFolder(change.folder)), change.name)
            elif isinstance(change, FileChanged):
                file = self._state.file(change.file)
                if file is not None:
                    self._tell(file.ino, None)

    def _tell(self, ino: int, name: bytes | None) -> None:
        for listener in self._listeners:
            listener(ino, name)
