"""Telling the kernel what it cannot know: which entries and attributes are different now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tagfs.catalog.state import Change, EntryChanged, FileChanged, PhotoChanged, State
from tagfs.model import UNFILED, ContentId
from tagfs.views.inodes import Inodes
from tagfs.views.nodes import OwnFolder, Spot, View

Listener = Callable[[int, bytes | None], None]
"""``(directory, name)`` for an entry, ``(inode, None)`` for attributes."""


class News:
    """Turns changes of the state into inodes and names, as the views see them."""

    def __init__(self, state: State, inodes: Inodes, views: Iterable[View]) -> None:
        self._state = state
        self._inodes = inodes
        self._views = tuple(views)
        self._listeners: list[Listener] = []

    def on_change(self, listener: Listener) -> None:
        """Call ``listener`` for whatever the kernel should ask for again."""
        self._listeners.append(listener)

    def changed(self, changes: Sequence[Change], by_user: bool) -> None:
        """Tell of a unit; the kernel knows what its own calls did to own folders."""
        for change in changes:
            for view in self._views:
                for spot, name in view.touched(change):
                    if self._inodes.touch(spot):
                        self.tell(spot.ino, None if self._stands(view, spot, name) else name)
            if isinstance(change, PhotoChanged):
                self._count_anew(change.photo)
            if by_user:
                continue
            if isinstance(change, EntryChanged) and change.folder != UNFILED:
                self.tell(self._inodes.number(OwnFolder(change.folder)), change.name)
            elif isinstance(change, FileChanged):
                file = self._state.file(change.file)
                if file is not None:
                    self.tell(file.ino, None)

    def _count_anew(self, photo: ContentId) -> None:
        """Tell of the link counts of a photo's files: other entries list it now."""
        record = self._state.photos.get(photo)
        for ident in record.files if record is not None else ():
            file = self._state.file(ident)
            if file is not None:
                self.tell(file.ino, None)

    def _stands(self, view: View, spot: Spot, name: bytes | None) -> bool:
        """Whether a name is a directory's that the kernel has right.

        It must not be told to forget that one: whoever works in it would find that the current
        directory is gone. That a name is absent is not remembered in views.
        """
        node = None if name is None else view.look_up(spot.path, name)
        return isinstance(node, Spot) and self._inodes.is_known(node)

    def tell(self, ino: int, name: bytes | None) -> None:
        """Tell of one entry, or of the attributes of one inode."""
        for listener in self._listeners:
            listener(ino, name)
