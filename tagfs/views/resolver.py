"""Names to nodes: what stands under a name in a directory, and what may be made there."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tagfs.catalog.folders import FOLDER
from tagfs.catalog.records import FileRecord
from tagfs.catalog.state import State
from tagfs.errors import FileError, no_entry, not_permitted
from tagfs.model import MAX_NAME, ROOT, FileId, FolderId
from tagfs.pipeline.names import RESERVED
from tagfs.views.desktop import MARKERS
from tagfs.views.inodes import Inodes
from tagfs.views.junk import Junk
from tagfs.views.nodes import (
    ROOT_INODE,
    Attr,
    Directory,
    FileNode,
    Node,
    OwnFolder,
    Scrap,
    Spot,
    Text,
    Thumbnail,
    View,
    check_name,
)
from tagfs.views.pending import Pendings
from tagfs.views.shared_thumbnails import NAME as THUMBNAILS
from tagfs.views.shared_thumbnails import directory_of, thumbnails_in

HIDDEN = b".tagfs"
"""Reachable, not listed."""
VIEW_COOKIES = 1 << 41
"""Cookies of the views follow those of the own folders at the root."""


class Resolver:
    """Looks names up and lists directories; changes nothing. ``views`` by name, those in
    ``shown`` are listed at the root."""

    def __init__(
        self,
        state: State,
        inodes: Inodes,
        views: Mapping[str, View],
        shown: Sequence[str],
        pendings: Pendings,
        junk: Junk,
    ) -> None:
        self._pendings = pendings
        self._state = state
        self._inodes = inodes
        self._views = views
        self._shown = [name.encode() for name in shown]
        self._junk = junk

    def directory(self, ino: int) -> Directory:
        """Return the directory of an inode; ENOTDIR for anything else."""
        node = self._inodes.node(ino)
        if isinstance(node, OwnFolder | Spot):
            return node
        raise FileError(errno.ENOTDIR)

    def maybe(self, where: Directory, name: bytes) -> Node | None:
        """Return what stands under a name, None for nothing."""
        if isinstance(where, Spot):
            pending = self._pendings.at(where, name)
            if pending is not None:
                return pending
            found = self._views[where.view].look_up(where.path, name)
            found = found or self._pendings.edited_at(where, name)
            found = found or self._junk.find(where, name) or self._marker(name)
            return found or thumbnails_in(where, name)
        if where.folder == ROOT:
            if name in self._shown:
                return Spot(name.decode())
            if name == HIDDEN:
                return Spot(HIDDEN.decode())
        entry = self._state.folders.look_up(where.folder, name)
        if entry is None:
            marker = self._marker(name) if where.folder == ROOT else None
            return marker or thumbnails_in(where, name)
        kind, ident = entry
        return OwnFolder(FolderId(ident)) if kind == FOLDER else FileNode(FileId(ident))

    def child(self, where: Directory, name: bytes) -> Node:
        """Return what stands under a name; ENOENT for nothing."""
        if len(name) > MAX_NAME:
            raise FileError(errno.ENAMETOOLONG)
        node = self.maybe(where, name)
        if node is None:
            raise no_entry()
        return node

    def follow(self, way: Iterable[bytes]) -> Node:
        """Return what stands at the end of a way from the root; ENOENT for nothing."""
        node: Node = OwnFolder(ROOT)
        for name in way:
            if not isinstance(node, OwnFolder | Spot):
                raise FileError(errno.ENOTDIR)
            node = self.child(node, name)
        return node

    def entry(self, where: Directory, name: bytes) -> FileRecord:
        """Return the file under a name; EISDIR for a directory."""
        return self._record(self.child(where, name))

    def file(self, ino: int) -> FileRecord:
        """Return the file of an inode; EISDIR for a directory."""
        return self._record(self._inodes.node(ino))

    def parent(self, ino: int) -> int:
        """Return the inode of the directory above a directory."""
        node = self._inodes.node(ino)
        if isinstance(node, Spot):
            if node.view == THUMBNAILS and len(node.path) == 1:
                return self._inodes.number(directory_of(node))
            above = Spot(node.view, node.path[:-1]) if node.path else OwnFolder(ROOT)
            return self._inodes.number(above)
        if isinstance(node, OwnFolder) and node.folder != ROOT:
            shown = self._state.folders.ensure(node.folder).shown
            return self._inodes.number(OwnFolder(shown[0] if shown else ROOT))
        return ROOT_INODE

    def list(self, ino: int, start: int) -> Iterator[tuple[int, bytes, Attr]]:
        """Yield (cookie, name, attributes) after cookie ``start``, without ``.`` and ``..``."""
        node = self.directory(ino)
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

    def listed(self, where: Directory) -> Iterator[bytes]:
        """Yield the names of the files that are listed in a directory."""
        if isinstance(where, Spot):
            for line in self._views[where.view].lines(where.path, 0):
                if isinstance(line.node, FileNode):
                    yield line.name
        else:
            for item in self._state.folders.listing(where.folder, 0):
                if item.kind != FOLDER:
                    yield item.name

    def under(self, where: Directory, name: bytes) -> FileRecord | None:
        """Return the file under a name, None for nothing and for anything else."""
        node = self.maybe(where, name)
        return self._inodes.record(node.file) if isinstance(node, FileNode) else None

    def free(self, where: Directory, name: bytes) -> None:
        """Raise unless a new entry of this name may be made here."""
        check_name(name)
        if self.maybe(where, name) is not None:
            raise FileError(errno.EEXIST)
        if isinstance(where, OwnFolder) and where.folder == ROOT:
            if name in RESERVED or name == HIDDEN:
                raise not_permitted(f"The name {os.fsdecode(name)} is a view's.")
            if name.startswith(b".Trash"):  # file managers try it at each deletion
                raise FileError(errno.EPERM)
        if (
            isinstance(where, OwnFolder)
            and where.folder != ROOT
            and self._state.folders.ensure(where.folder).shown is None
        ):
            raise no_entry()

    @staticmethod
    def _marker(name: bytes) -> Text | None:
        """Return one of the empty files that keep indexers out, which are never listed."""
        return Text(name.decode()) if name in MARKERS else None

    def _record(self, node: Node) -> FileRecord:
        if isinstance(node, FileNode):
            return self._inodes.record(node.file)
        if isinstance(node, Text | Thumbnail):
            raise not_permitted("This is made by tagfs.")
        if isinstance(node, Scrap):
            raise not_permitted("What file managers leave in a view is kept in memory only.")
        raise FileError(errno.EISDIR)
