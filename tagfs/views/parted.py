"""What ``dates/`` and ``places/`` share: photos stand in parts of parts, listed while not empty."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Callable

from tagfs.catalog.records import FileRecord
from tagfs.catalog.state import State
from tagfs.errors import FileError, no_entry
from tagfs.vault.ops import Op
from tagfs.views import acts
from tagfs.views.fixed import Fixed
from tagfs.views.gathering import Gathering
from tagfs.views.nodes import FileNode, Node, Spot

PART_COOKIES = 1 << 41
"""Cookies of the parts within a part follow those of its photos."""


class Parted(Fixed, ABC):
    """Views inherit from this that removing a file deletes it, and that parts cannot be removed."""

    def __init__(self, state: State, now_ms: Callable[[], int], keeps: acts.Keeps) -> None:
        self._state = state
        self._now_ms = now_ms
        self._keeps = keeps

    @abstractmethod
    def look_up(self, path: tuple[str, ...], name: bytes) -> Node | None:
        """Resolve a name in a part."""

    def remove(self, path: tuple[str, ...], file: FileRecord) -> list[Op]:
        """Delete the photo."""
        return acts.delete_everywhere(self._state, file, self._now_ms(), self._keeps)

    def remove_dir(self, path: tuple[str, ...], name: bytes) -> list[Op]:
        """Let a recursive deletion finish: what has no photos is not listed anyway."""
        node = self.look_up(path, name)
        if isinstance(node, FileNode):
            raise FileError(errno.ENOTDIR)
        if not isinstance(node, Spot):
            raise no_entry()
        if self.is_listed(node) or not self._photos(node.path).is_empty():
            raise FileError(errno.ENOTEMPTY)
        return []

    @abstractmethod
    def _photos(self, path: tuple[str, ...]) -> Gathering:
        """Return the photos that stand in a part itself."""
