"""An ordinary file system in memory behind the tree's API: what mount-edge tests are run over.

Hooks let a test play the things that only go wrong elsewhere: ``absent`` inodes whose bytes
never arrive, names that raise, changes that the kernel does not know of.
"""

from __future__ import annotations

import errno
import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import trio

from tagfs.errors import FileError
from tagfs.views.nodes import Attr, Kind

ROOT = 1


@dataclass
class Node:
    ino: int
    kind: Kind
    mode: int
    parent: int = ROOT
    data: bytearray = field(default_factory=bytearray)
    target: bytes = b""
    entries: dict[bytes, tuple[int, int]] = field(default_factory=dict)  # name -> (slot, inode)
    next_slot: int = 1
    links: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    xattrs: dict[bytes, bytes] = field(default_factory=dict)


class PlainTree:
    """See tagfs.mount.seam.Tree for the methods."""

    def __init__(self) -> None:
        self._numbers = itertools.count(2)
        self.nodes = {ROOT: Node(ROOT, Kind.DIR, 0o755, links=1)}
        self.marks = self  # its own extended attributes
        self.listeners = []
        self.absent: set[int] = set()
        self.trickling: set[int] = set()
        self.arrived = lambda: None
        self.opened: dict[int, int] = {}
        self.forgotten: list[int] = []
        self.synced = 0
        self.reader_waits = trio.Event()

    def acting(self, pid: int) -> None:
        self.caller = pid

    def refused(self, error: FileError) -> None:
        self.refusals = [*getattr(self, "refusals", []), str(error)]

    # -- looking -----------------------------------------------------------------------------

    def attr(self, ino: int) -> Attr:
        node = self._node(ino)
        links = 1 if node.kind is Kind.DIR else node.links
        size = len(node.target) if node.kind is Kind.SYMLINK else len(node.data)
        return Attr(ino, node.kind, size, node.mode, node.mtime_ns, node.ctime_ns, links)

    def look_up(self, parent: int, name: bytes) -> Attr:
        if name.startswith(b"raise-"):
            raise RuntimeError("a fault of the tree's")
        if name == b"never-answered":
            self._tell(parent, b"another")
            time.sleep(1000)
        if len(name) > 255:
            raise FileError(errno.ENAMETOOLONG)
        return self.attr(self._child(parent, name).ino)

    def parent(self, ino: int) -> int:
        return self._node(ino).parent

    def list(self, ino: int, start: int) -> Iterator[tuple[int, bytes, Attr]]:
        for name, (slot, child) in list(self._directory(ino).entries.items()):
            if slot > start:
                yield slot, name, self.attr(child)

    def read_link(self, ino: int) -> bytes:
        return self._node(ino).target

    def statfs(self) -> tuple[int, int, int]:
        return 1 << 40, 1 << 39, len(self.nodes)

    # -- changing ----------------------------------------------------------------------------

    def create(self, parent: int, name: bytes, mode: int) -> Attr:
        return self._make(parent, name, Kind.FILE, mode)

    def mkdir(self, parent: int, name: bytes, mode: int) -> Attr:
        return self._make(parent, name, Kind.DIR, mode)

    def symlink(self, parent: int, name: bytes, target: bytes) -> Attr:
        made = self._make(parent, name, Kind.SYMLINK, 0o777)
        self.nodes[made.ino].target = target
        return self.attr(made.ino)

    def link(self, ino: int, parent: int, name: bytes) -> Attr:
        self._enter(parent, name, self._node(ino))
        return self.attr(ino)

    def unlink(self, parent: int, name: bytes) -> None:
        node = self._child(parent, name)
        if node.kind is Kind.DIR:
            raise FileError(errno.EISDIR)
        del self._directory(parent).entries[name]
        node.links -= 1

    def rmdir(self, parent: int, name: bytes) -> None:
        node = self._child(parent, name)
        if node.kind is not Kind.DIR:
            raise FileError(errno.ENOTDIR)
        if node.entries:
            raise FileError(errno.ENOTEMPTY)
        del self._directory(parent).entries[name]
        node.links -= 1

    def rename(
        self, parent: int, name: bytes, new_parent: int, new_name: bytes, no_replace: bool
    ) -> None:
        node = self._child(parent, name)
        there = self._directory(new_parent).entries.get(new_name)
        if there is not None:
            if no_replace:
                raise FileError(errno.EEXIST)
            if there[1] == node.ino:
                return
            (self.rmdir if node.kind is Kind.DIR else self.unlink)(new_parent, new_name)
        del self._directory(parent).entries[name]
        node.links -= 1
        self._enter(new_parent, new_name, node)

    def set_attr(self, ino: int, mode: int | None = None, mtime_ns: int | None = None) -> Attr:
        node = self._node(ino)
        node.mode = node.mode if mode is None else mode
        node.mtime_ns = node.mtime_ns if mtime_ns is None else mtime_ns
        node.ctime_ns = time.time_ns()
        return self.attr(ino)

    async def open(self, ino: int, flags: int) -> Opened:
        node = self._node(ino)
        if flags & os.O_TRUNC:
            self._set_size(node, 0)
        self.opened[ino] = self.opened.get(ino, 0) + 1
        return Opened(self, node)

    async def truncate(self, ino: int, size: int) -> Attr:
        self._set_size(self._node(ino), size)
        return self.attr(ino)

    def on_change(self, listener) -> None:
        self.listeners.append(listener)

    def on_arrival(self, listener) -> None:
        self.arrived = listener

    def forget(self, ino: int) -> None:
        self.forgotten.append(ino)
        node = self.nodes.get(ino)
        if node is not None and node.links == 0:
            del self.nodes[ino]

    async def sync(self) -> None:
        self.synced += 1

    # -- extended attributes -----------------------------------------------------------------

    def xattr(self, ino: int, name: bytes) -> bytes | None:
        return self._node(ino).xattrs.get(name)

    def xattrs(self, ino: int) -> list[bytes]:
        return list(self._node(ino).xattrs)

    def set_xattr(self, ino: int, name: bytes, value: bytes) -> None:
        self._node(ino).xattrs[name] = value

    def remove_xattr(self, ino: int, name: bytes) -> None:
        if self._node(ino).xattrs.pop(name, None) is None:
            raise FileError(errno.ENODATA)

    # -- what tests do behind the kernel's back --------------------------------------------------

    def appear(self, name: bytes, data: bytes) -> None:
        ino = self.create(ROOT, name, 0o644).ino
        self.nodes[ino].data[:] = data
        self._tell(ROOT, name)

    def vanish(self, name: bytes) -> None:
        self.unlink(ROOT, name)
        self._tell(ROOT, name)

    def recall_mode(self, name: bytes, mode: int) -> None:
        node = self._child(ROOT, name)
        node.mode = mode
        self._tell(node.ino, None)

    def take_away(self, name: bytes) -> None:
        self.absent.add(self._child(ROOT, name).ino)

    def let_trickle(self, name: bytes) -> None:
        self.trickling.add(self._child(ROOT, name).ino)

    def _tell(self, ino: int, name: bytes | None) -> None:
        for listener in self.listeners:
            listener(ino, name)

    # -- inside ------------------------------------------------------------------------------

    def _node(self, ino: int) -> Node:
        try:
            return self.nodes[ino]
        except KeyError:
            raise FileError(errno.ESTALE) from None

    def _directory(self, ino: int) -> Node:
        node = self._node(ino)
        if node.kind is not Kind.DIR:
            raise FileError(errno.ENOTDIR)
        return node

    def _child(self, parent: int, name: bytes) -> Node:
        try:
            return self.nodes[self._directory(parent).entries[name][1]]
        except KeyError:
            raise FileError(errno.ENOENT) from None

    def _make(self, parent: int, name: bytes, kind: Kind, mode: int) -> Attr:
        node = Node(next(self._numbers), kind, mode)
        node.mtime_ns = node.ctime_ns = time.time_ns()
        self._enter(parent, name, node)
        self.nodes[node.ino] = node
        return self.attr(node.ino)

    def _enter(self, parent: int, name: bytes, node: Node) -> None:
        directory = self._directory(parent)
        if directory.links == 0:
            raise FileError(errno.ENOENT)
        if name in directory.entries:
            raise FileError(errno.EEXIST)
        if len(name) > 255:
            raise FileError(errno.ENAMETOOLONG)
        directory.entries[name] = (directory.next_slot, node.ino)
        directory.next_slot += 1
        node.parent = parent
        node.links += 1

    def _set_size(self, node: Node, size: int) -> None:
        del node.data[size:]
        node.data.extend(bytes(size - len(node.data)))
        node.mtime_ns = node.ctime_ns = time.time_ns()


class Opened:
    """See tagfs.mount.seam.Opened for the methods."""

    keep_cache = True

    def __init__(self, tree: PlainTree, node: Node) -> None:
        self._tree = tree
        self._node = node
        self.ino = node.ino

    def read_now(self, offset: int, size: int) -> bytes | None:
        if self.ino in self._tree.absent | self._tree.trickling:
            return None
        return bytes(self._node.data[offset : offset + size])

    async def read(self, offset: int, size: int) -> bytes:
        self._tree.reader_waits.set()
        if self.ino in self._tree.absent:
            await trio.sleep_forever()
        for _ in range(12):
            await trio.sleep(0.2)
            self._tree.arrived()
        return bytes(self._node.data[offset : offset + size])

    def write(self, offset: int, data: bytes) -> int:
        node = self._node
        if len(node.data) < offset:
            node.data.extend(bytes(offset - len(node.data)))
        node.data[offset : offset + len(data)] = data
        node.mtime_ns = node.ctime_ns = time.time_ns()
        return len(data)

    def truncate(self, size: int) -> None:
        self._tree._set_size(self._node, size)

    async def flush(self) -> None:
        if self._node.xattrs.get(b"user.test.full"):
            raise FileError(errno.ENOSPC)

    async def fsync(self) -> None:
        await self._tree.sync()

    async def release(self) -> None:
        self._tree.opened[self.ino] -= 1
