"""The tree: every path of the mount as a node, every act of the user as operations."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

from tagfs.catalog.photos import ALL
from tagfs.catalog.records import FileRecord
from tagfs.errors import FileError, not_permitted
from tagfs.model import UNFILED, FileId, FolderId, UnitId, random_id
from tagfs.pipeline.gallery import Gallery
from tagfs.pipeline.open_file import FileHandle
from tagfs.pipeline.whereabouts import fact
from tagfs.vault.ops import AddEntry, Field, Op
from tagfs.views import acts
from tagfs.views.attributes import Attributes
from tagfs.views.bulks import Bulks
from tagfs.views.desktop import is_junk
from tagfs.views.inodes import Inodes
from tagfs.views.inside import Inside
from tagfs.views.junk import Junk, OpenedScrap
from tagfs.views.leaving import Leaving, check_no_junk
from tagfs.views.marks import Marks
from tagfs.views.modes import Modes
from tagfs.views.moves import Moves
from tagfs.views.news import News
from tagfs.views.nodes import (
    Attr,
    FileNode,
    OwnFolder,
    Scrap,
    Spot,
    Text,
    Thumbnail,
    View,
    check_name,
)
from tagfs.views.opened import Opened
from tagfs.views.overwriting import Overwriting
from tagfs.views.pending import Pendings
from tagfs.views.readers import Readers
from tagfs.views.refusals import Refusals
from tagfs.views.resolver import Resolver
from tagfs.views.root import views_of
from tagfs.views.shared_thumbnails import SharedThumbnails
from tagfs.views.traces import Door, Traces

Ops = list[Op]


class Tree:
    """Inodes, names and what changing them means. Only what is async waits; all raise FileError."""

    def __init__(self, gallery: Gallery, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._gallery = gallery
        self._ledger = gallery.ledger
        self._files = gallery.files
        self._state = gallery.state
        views = views_of(gallery, monotonic)
        self._thumbnails = SharedThumbnails(
            lambda where: self._resolver.listed(where),
            lambda where, name: self._resolver.under(where, name),
            gallery.thumbnails,
            self._files.size_and_times,
        )
        self._inside = Inside(gallery.report, self._ledger.events)
        self._views: dict[str, View] = {v.name: v for v in [*views, self._inside, self._thumbnails]}
        self._traces = Traces(monotonic)
        self._readers = Readers(self._ledger.event)
        overwriting = Overwriting(
            self._state,
            self._ledger.now_ms,
            self._files.keeps,
            self._files.is_unsealed,
            self._files.is_rewritten,
            self._traces,
            self._files.versions,
        )
        self._pendings = Pendings(self._ledger, self._files, self._views, overwriting, self._traces)
        self._junk = Junk(self._ledger.now_ns)
        self._inodes = Inodes(
            self._state,
            self._files.size_and_times,
            self._inside.text,
            self._ledger.now_ns,
            self._pendings.record,
            self._junk,
        )
        record, now_ms = self._inodes.record, self._ledger.now_ms
        self._leaving = Leaving(self._junk, self._files, record, now_ms)
        self._modes = Modes(self._files, self._pendings, self._junk, self._inodes)
        shown = [v.name for v in views]
        self._resolver = Resolver(
            self._state, self._inodes, self._views, shown, self._pendings, self._junk
        )
        free, keeps = self._resolver.free, self._files.keeps
        self._moves = Moves(self._ledger, self._views, free, keeps, overwriting, self._traces)
        postings = self._state.photos.postings
        self._bulks = Bulks(lambda: postings.count(ALL), self._ledger.event, monotonic)
        attributes = Attributes(
            self._state, self._ledger.tag_named, self._inodes.record, partial(fact, gallery)
        )
        self.marks = Marks(attributes, self._inodes, self._land, self._commit, self._traces)
        self.refused = Refusals(self._ledger.event, self._ledger.events).refused
        self._news = News(self._state, self._inodes, self._views.values())
        self._ledger.on_changes(self._news.changed)

    def acting(self, pid: int) -> None:
        """Whose calls follow, until another process is named; 0 is nobody in particular."""
        self._traces.caller = pid

    # -- looking ---------------------------------------------------------------------------

    def attr(self, ino: int) -> Attr:
        """Return what ``stat`` shows of an inode."""
        return self._inodes.attr(self._inodes.node(ino))

    def look_up(self, parent: int, name: bytes) -> Attr:
        """Resolve one name in a directory; ENOENT when nothing stands there."""
        where = self._resolver.directory(parent)
        node = self._resolver.child(where, name)
        if isinstance(node, FileNode):
            node = FileNode(self._pendings.looked_up(Door(node.file, where, name)))
        attr = self._inodes.attr(node, volatile=isinstance(where, Spot))
        on_demand = isinstance(node, Spot) and not self._views[node.view].is_listed(node)
        return replace(attr, on_demand=True) if on_demand else attr

    def at(self, path: bytes) -> FileRecord:
        """Return the file at a path from the root; EISDIR for a directory, ENOENT for nothing."""
        node = self._resolver.follow(filter(None, path.split(b"/")))
        if not isinstance(node, FileNode):
            raise FileError(errno.EISDIR)
        return self._inodes.record(node.file)

    def parent(self, ino: int) -> int:
        """Return the inode of the directory above a directory."""
        return self._resolver.parent(ino)

    def list(self, ino: int, start: int) -> Iterator[tuple[int, bytes, Attr]]:
        """Yield (cookie, name, attributes) after cookie ``start``, without ``.`` and ``..``."""
        return self._resolver.list(ino, start)

    def read_link(self, ino: int) -> bytes:
        """Return where a symlink points."""
        target = self._resolver.file(ino).target
        if target is None:
            raise FileError(errno.EINVAL)
        return target

    def statfs(self) -> tuple[int, int, int]:
        """Return (total bytes, free bytes, files) without asking the remote."""
        return self._gallery.space()

    # -- making and removing ----------------------------------------------------------------

    def create(self, parent: int, name: bytes, mode: int) -> Attr:
        """Make an empty file."""
        where = self._resolver.directory(parent)
        self._resolver.free(where, name)
        if isinstance(where, Spot) and is_junk(name):
            return self._inodes.attr(self._junk.create(where, name, mode))
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
        instead = self._moves.created(file, where, name)
        if instead and isinstance(where, Spot):
            self._bulks.took_back(self._traces.caller)
        self._commit([*instead, *ops])
        return self._inodes.attr(FileNode(file), volatile=isinstance(where, Spot))

    def symlink(self, parent: int, name: bytes, target: bytes) -> Attr:
        """Make a symbolic link in an own folder."""
        where = self._resolver.directory(parent)
        self._resolver.free(where, name)
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
        where = self._resolver.directory(parent)
        if isinstance(where, Spot):
            check_name(name)
            self._commit(self._views[where.view].make_dir(where.path, name))
            return self._inodes.attr(self._resolver.child(where, name))
        self._resolver.free(where, name)
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
        file = self._land(self._resolver.file(ino))
        where = self._resolver.directory(parent)
        self._resolver.free(where, name)
        check_no_junk(where, name)
        if isinstance(where, Spot) and where.view == "trash":
            raise not_permitted("Move files into trash/ to delete them.")
        self._commit(acts.restore(file) + self._moves.bring(file, where, name))
        return self._inodes.attr(FileNode(file.id), volatile=isinstance(where, Spot))

    def unlink(self, parent: int, name: bytes) -> None:
        """Remove a file from a place; what that means is the place's business."""
        where = self._resolver.directory(parent)
        if isinstance(where, Spot) and isinstance(self._resolver.maybe(where, name), Scrap):
            self._junk.remove(where, name)
            return
        file = self._land(self._resolver.entry(where, name))
        ops = self._moves.take(file, where, name)  # what a view refuses is no removal
        self._bulks.removing(self._traces.caller, self._moves.counted(file, where, name))
        self._moves.removing(file, where, name, ops)
        self._commit(ops)
        self._pendings.left(where, name)

    def rmdir(self, parent: int, name: bytes) -> None:
        """Remove an empty folder, or what it stands for in a view."""
        where = self._resolver.directory(parent)
        if isinstance(where, Spot):
            gone = self._resolver.maybe(where, name)
            self._commit(self._views[where.view].remove_dir(where.path, name))
            if isinstance(gone, Spot):
                self._junk.clear(gone)
            return
        node = self._resolver.child(where, name)
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
        source, target = self._resolver.directory(parent), self._resolver.directory(new_parent)
        node = self._resolver.child(source, name)
        check_name(new_name)
        there = self._resolver.maybe(target, new_name)
        if there is not None and no_replace:
            raise FileError(errno.EEXIST)
        left = self._leaving.rename(node, source, name, target, new_name)
        if left is not None:
            self._commit(left)
            return
        if isinstance(node, FileNode):
            file = self._land(self._inodes.record(node.file))
            if isinstance(there, FileNode):
                self._land(self._inodes.record(there.file))
            self._commit(self._moves.move_file(file, source, name, target, new_name, there))
            self._moves.moved(file.id, source, name, target)
            self._pendings.left(source, name)
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
        self._commit(self._modes.set(node, mode, mtime_ns))
        return self._inodes.attr(node)

    # -- bytes -----------------------------------------------------------------------------

    async def open(self, ino: int, flags: int) -> Opened | OpenedScrap:
        """Open a file. An edit of bytes that are not on this machine fetches them first."""
        node = self._inodes.node(ino)
        writing = flags & os.O_ACCMODE != os.O_RDONLY
        if isinstance(node, Text):
            if writing:
                raise FileError(errno.EACCES)
            return Opened.of_text(ino, self._inside.text(node))
        if isinstance(node, Scrap):
            if writing and flags & os.O_TRUNC:
                self._junk.truncate(node, 0)
            return self._junk.open(node)
        if isinstance(node, Thumbnail):
            return await self._thumbnails.open(node, self._inodes.record(node.file), writing)
        if not isinstance(node, FileNode):
            raise FileError(errno.EISDIR)
        record = self._inodes.record(node.file)
        emptying = writing and bool(flags & os.O_TRUNC)
        fetching = partial(self._readers.fetching, self._traces.caller, record.id)
        handle = await self._open(record, writing, emptying)
        return Opened(ino, handle, b"", self._pendings.opened(record.id), fetching)

    async def truncate(self, ino: int, size: int) -> Attr:
        """Cut or extend a file that the caller has not opened."""
        node = self._inodes.node(ino)
        if isinstance(node, Scrap):
            self._junk.truncate(node, size)
            return self._inodes.attr(node)
        record = self._resolver.file(ino)
        handle = await self._open(record, True, size == 0)
        try:
            handle.truncate(size)
            await handle.flush()
        finally:
            await handle.release()
        return self._inodes.attr(FileNode(record.id))

    async def _open(self, record: FileRecord, writing: bool, emptying: bool) -> FileHandle:
        seen_as = None
        if writing:
            seen_as = self._pendings.opening(record, emptying)
        return await self._files.open_file(record, writing, emptying, self._act(), seen_as)

    # -- the kernel's memory -----------------------------------------------------------------

    def on_change(self, listener: Callable[[int, bytes | None], None]) -> None:
        """Call ``listener(directory, name)`` for entries, ``listener(inode, None)`` for
        attributes that the kernel should ask for again."""
        self._news.on_change(listener)

    def on_arrival(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever bytes came in from the remote."""
        self._gallery.contents.pace.on_arrival(listener)

    def forget(self, ino: int) -> None:
        """The kernel holds no reference to this inode any more."""
        self._inodes.forget(ino)

    # -- meaning ---------------------------------------------------------------------------

    def _commit(self, ops: Iterable[Op]) -> None:
        """Journal and apply a user's act; the kernel knows its own entries' fate already."""
        ops = tuple(ops)
        if ops:
            self._ledger.commit(ops, by_user=True, act=self._act())

    def _land(self, file: FileRecord) -> FileRecord:
        """Journal a file that was only going to be one, so that an act can bear on it."""
        ops = self._pendings.landing(file.id)
        if not ops:
            return file
        self._commit(ops)
        self._pendings.landed(file.id)
        return self._inodes.record(file.id)

    def _act(self) -> UnitId:
        """Return the id of what the caller is doing."""
        return self._bulks.act(self._traces.caller)
