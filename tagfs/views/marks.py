"""Extended attributes by inode: what the mount asks of the tree (mount/seam.py: Attributed)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tagfs.catalog.records import FileRecord
from tagfs.vault.ops import Op
from tagfs.views.attributes import Attributes
from tagfs.views.callers import mirrors
from tagfs.views.inodes import Inodes
from tagfs.views.nodes import FileNode, Node
from tagfs.views.traces import Traces


class Marks:
    """Reads attributes, and commits what writing them means. All raise FileError."""

    def __init__(
        self,
        attributes: Attributes,
        inodes: Inodes,
        land: Callable[[FileRecord], FileRecord],
        commit: Callable[[Iterable[Op]], None],
        traces: Traces,
    ) -> None:
        """``land`` journals a file that was only going to be one; ``commit`` journals an act."""
        self._attributes = attributes
        self._inodes = inodes
        self._land = land
        self._commit = commit
        self._traces = traces

    def xattr(self, ino: int, name: bytes) -> bytes | None:
        """Return an extended attribute, None for one that is not there."""
        return self._attributes.get(self._inodes.node(ino), name)

    def xattrs(self, ino: int) -> Sequence[bytes]:
        """Return the names of the extended attributes that are listed."""
        return self._attributes.names(self._inodes.node(ino))

    def set_xattr(self, ino: int, name: bytes, value: bytes) -> None:
        """Write an extended attribute, which may be the user's word on tags."""
        node, copied = self._landed(ino), mirrors(self._traces.caller)
        self._commit(self._attributes.set(node, name, value, copied))

    def remove_xattr(self, ino: int, name: bytes) -> None:
        """Remove an extended attribute."""
        self._commit(self._attributes.remove(self._landed(ino), name))

    def _landed(self, ino: int) -> Node:
        node = self._inodes.node(ino)
        if isinstance(node, FileNode):
            self._land(self._inodes.record(node.file))
        return node
