"""Names of junk in views: who may take one, and programs that write beside it and rename."""

from __future__ import annotations

import errno
from collections.abc import Callable

from tagfs.catalog.records import FileRecord
from tagfs.errors import FileError, not_permitted
from tagfs.model import UNFILED, FileId
from tagfs.pipeline.files import Files
from tagfs.vault.ops import Op
from tagfs.views import acts
from tagfs.views.desktop import MARKERS, is_junk
from tagfs.views.junk import LARGEST, Junk
from tagfs.views.nodes import Directory, FileNode, Node, Scrap, Spot


def check_no_junk(where: Directory, name: bytes) -> None:
    """Refuse to give a photo in a view a name that stands for what file managers leave behind."""
    if isinstance(where, Spot) and (is_junk(name) or name in MARKERS):
        raise not_permitted("File managers use this name for what they leave behind.")


class Leaving:
    """Renames that make junk of something, or of junk something."""

    def __init__(
        self,
        junk: Junk,
        files: Files,
        record: Callable[[FileId], FileRecord],
        now_ms: Callable[[], int],
    ) -> None:
        self._junk = junk
        self._files = files
        self._record = record
        self._now_ms = now_ms

    def rename(
        self, node: Node, source: Directory, name: bytes, target: Directory, new_name: bytes
    ) -> list[Op] | None:
        """Rename junk, or a file over it; None where neither has to do with it.

        Raises FileError(EPERM) for what is junk on one side only.
        """
        if isinstance(node, Scrap) and isinstance(source, Spot):
            self._junk.move(source, name, target, new_name)
            return []
        if isinstance(node, FileNode) and isinstance(target, Spot) and is_junk(new_name):
            return self._absorb(self._record(node.file), target, new_name)
        check_no_junk(target, new_name)
        return None

    def _absorb(self, file: FileRecord, where: Spot, name: bytes) -> list[Op]:
        """Make junk of a file that a program, as GLib does, wrote beside to replace junk.

        Returns what removes the file, of which nothing is kept.
        """
        keeps = self._files.keeps
        if any(folder != UNFILED or keeps(file, n) for folder, n in file.entries):
            check_no_junk(where, name)  # somebody could miss it
        data = self._files.whole(file, LARGEST)
        if data is None:
            raise FileError(errno.ENOSPC)
        ops = acts.delete_file(file, self._now_ms(), keeps)
        if self._junk.find(where, name) is not None:
            self._junk.remove(where, name)
        self._junk.write(self._junk.create(where, name, file.mode), 0, data)
        return ops
