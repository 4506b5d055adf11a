"""Holding back recursive deletions that nobody can mean: ``rm -rf ~/Gallery/*``."""

from __future__ import annotations

import time
from collections.abc import Callable

from tagfs.errors import not_permitted

GAP = 2.0
"""Seconds without a removal after which the next one begins a new bulk."""
SMALL = 100
"""Photos up to which a gallery may be emptied through views at once."""
SHARE = 4
"""A bulk may touch one of so many photos of a larger one."""


class BulkGuard:
    """Counts removals that follow each other; raises FileError(EPERM) for one too many.

    What was trashed by a bulk cannot be taken out of the trash by the same bulk, and a bulk
    through views ends at a quarter of the gallery.
    """

    def __init__(
        self,
        photos: Callable[[], int],
        tell: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._photos = photos
        self._tell = tell
        self._monotonic = monotonic
        self._last = -GAP
        self._through_views = 0
        self._at_first = 0
        self._trashed = False
        self._told = False

    def removing(self, view: str | None) -> None:
        """Take note of a removal from a view (None: an own folder), or refuse it."""
        now = self._monotonic()
        if now - self._last >= GAP:
            self._through_views = 0
            self._at_first = self._photos()
            self._trashed = self._told = False
        self._last = now
        if view == "trash":
            if self._trashed:
                self._refuse("Emptying the trash right after deleting was refused.")
            return
        self._trashed = True
        if view is None:
            return
        self._through_views += 1
        if self._at_first > SMALL and self._through_views * SHARE > self._at_first:
            self._refuse("A deletion that reached a quarter of the gallery was stopped.")

    def _refuse(self, what: str) -> None:
        if not self._told:
            self._told = True
            self._tell(what + " Wait a few seconds and say it again if it was meant.")
        raise not_permitted(what)
