"""Inode numbers and what ``stat`` shows of each."""

from __future__ import annotations

import errno
from collections.abc import Callable

from tagfs.catalog.folders import FOLDER
from tagfs.catalog.records import FileRecord
from tagfs.catalog.state import State
from tagfs.errors import FileError
from tagfs.model import ROOT, FileId, FolderId
from tagfs.vault.ops import Field
from tagfs.views.junk import Junk
from tagfs.views.nodes import (
    ROOT_INODE,
    Attr,
    FileNode,
    Kind,
    Node,
    OwnFolder,
    Scrap,
    Spot,
    Text,
    Thumbnail,
)

GENERATED_MODE = 0o444


class Inodes:
    """Numbers of files and folders are in the catalog; those of view directories are hashes,
    known here while the kernel refers to them."""

    def __init__(
        self,
        state: State,
        size_and_times: Callable[[FileRecord], tuple[int, int, int]],
        text: Callable[[Text], bytes],
        now_ns: Callable[[], int],
        pending: Callable[[FileId], FileRecord | None],
        junk: Junk,
    ) -> None:
        """``pending`` tells of files that are not journalled yet."""
        self._state = state
        self._pending = pending
        self._size_and_times = size_and_times
        self._text = text
        self._now_ns = now_ns
        self._junk = junk
        self._since = now_ns()
        self._known: dict[int, Spot | Text | Scrap | Thumbnail] = {}
        self._times: dict[Spot, int] = {}

    def forget(self, ino: int) -> None:
        """The kernel refers to this inode no longer."""
        self._known.pop(ino, None)

    def touch(self, spot: Spot) -> bool:
        """Note that a view directory lists something else now; say whether the kernel knows it."""
        self._times[spot] = self._now_ns()
        return spot.ino in self._known

    def is_known(self, spot: Spot) -> bool:
        """Whether the kernel may refer to a view directory."""
        return spot.ino in self._known

    def set_time(self, spot: Spot, mtime_ns: int) -> None:
        """Show this time for a view directory until it lists something else, or is unmounted."""
        self._times[spot] = mtime_ns

    def record(self, file: FileId) -> FileRecord:
        """Return a file's record; raises FileError(ESTALE) for one that is gone."""
        record = self._state.file(file) or self._pending(file)
        if record is None:
            raise FileError(errno.ESTALE)
        return record

    def node(self, ino: int) -> Node:
        if ino == ROOT_INODE:
            return OwnFolder(ROOT)
        known = self._known.get(ino)
        if known is not None:
            return known
        owner = self._state.tables.inode_owner(ino)
        if owner is None:
            raise FileError(errno.ESTALE)
        kind, ident = owner
        return OwnFolder(FolderId(ident)) if kind == FOLDER else FileNode(FileId(ident))

    def number(self, node: Node) -> int:
        if isinstance(node, FileNode):
            return self.record(node.file).ino
        if isinstance(node, OwnFolder):
            if node.folder == ROOT:
                return ROOT_INODE
            return self._state.folders.ensure(node.folder).ino
        self._known[node.ino] = node
        return node.ino

    def attr(self, node: Node, volatile: bool = False) -> Attr:
        if isinstance(node, FileNode):
            return self._file_attr(self.record(node.file), volatile)
        if isinstance(node, OwnFolder):
            record = self._state.folders.ensure(node.folder)
            mode = int(record.regs.get(Field.MODE, 0o700)) if node.folder == ROOT else record.mode
            return Attr(self.number(node), Kind.DIR, 0, mode, record.mtime_ns, record.ctime_ns, 1)
        ino = self.number(node)
        if isinstance(node, Spot):
            when = self._times.get(node, self._since)
            return Attr(ino, Kind.DIR, 0, 0o755, when, when, 1)
        if isinstance(node, Scrap):
            return self._junk.attr(node)
        if isinstance(node, Thumbnail):
            when = self._size_and_times(self.record(node.file))[1]
            return Attr(ino, Kind.FILE, node.size, GENERATED_MODE, when, when, 1, volatile=True)
        size = len(self._text(node))
        now = self._now_ns() if size else self._since
        return Attr(ino, Kind.FILE, size, GENERATED_MODE, now, now, 1, volatile=True)

    def _file_attr(self, file: FileRecord, volatile: bool) -> Attr:
        target = file.target
        size, mtime, changed = self._size_and_times(file)
        links = file.links
        if target is not None:
            return Attr(file.ino, Kind.SYMLINK, len(target), 0o777, mtime, changed, links)
        return Attr(file.ino, Kind.FILE, size, file.mode, mtime, changed, links, volatile)
