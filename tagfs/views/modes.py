"""Modes and modification times: setting them changes the record of a file, not its content."""

from __future__ import annotations

from tagfs.errors import not_permitted
from tagfs.pipeline.files import Files
from tagfs.vault.ops import Field, Op
from tagfs.views import acts
from tagfs.views.inodes import Inodes
from tagfs.views.junk import Junk
from tagfs.views.nodes import FileNode, Node, OwnFolder, Scrap, Spot
from tagfs.views.pending import Pendings


class Modes:
    """Says what ``chmod`` and ``utimens`` mean for each node."""

    def __init__(self, files: Files, pendings: Pendings, junk: Junk, inodes: Inodes) -> None:
        self._files = files
        self._pendings = pendings
        self._junk = junk
        self._inodes = inodes

    def set(self, node: Node, mode: int | None, mtime_ns: int | None) -> list[Op]:
        """Return what is to be journalled; what lives in memory only is set at once."""
        mode = None if mode is None else mode & 0o7777
        if isinstance(node, FileNode):
            return self._set_file(node, mode, mtime_ns)
        ops: list[Op] = []
        if isinstance(node, OwnFolder):
            if mode is not None:
                ops.append(acts.set_folder(node.folder, Field.MODE, mode))
            if mtime_ns is not None:
                ops.append(acts.set_folder(node.folder, Field.MTIME, mtime_ns))
        elif isinstance(node, Scrap):
            self._junk.set_attr(node, mode, mtime_ns)
        elif not isinstance(node, Spot):
            raise not_permitted("The views' own attributes cannot be changed.")
        elif mtime_ns is not None:
            self._inodes.set_time(node, mtime_ns)  # so that a second rsync has nothing to do
        # A mode is passed over: rsync -a and cp -a would end with an error for a folder of another.
        return ops

    def _set_file(self, node: FileNode, mode: int | None, mtime_ns: int | None) -> list[Op]:
        ops: list[Op] = []
        file = node.file
        if mode is not None and not self._pendings.set(file, Field.MODE, mode):
            ops.append(acts.set_file(file, Field.MODE, mode))
        if (
            mtime_ns is not None
            and not self._files.set_open_mtime(file, mtime_ns)
            and not self._pendings.set(file, Field.MTIME, mtime_ns)
        ):
            ops.append(acts.set_file(file, Field.MTIME, mtime_ns))
        return ops
