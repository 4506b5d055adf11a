"""Acts: what one process does with gaps under two seconds is one, and is undone as one."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from tagfs.errors import not_permitted
from tagfs.model import ACT_GAP, UnitId, random_id

SMALL = 100
"""Photos up to which a gallery may be emptied through views at once."""
SHARE = 4
"""One act may remove one of so many photos of a larger one through views."""
KEPT = 256
"""Processes that are remembered."""


@dataclass(slots=True)
class _Act:
    last: float
    photos: int  # listed when it began
    id: UnitId = field(default_factory=lambda: UnitId(random_id()))
    through_views: int = 0
    trashed: bool = False
    told: bool = False


class Bulks:
    """The acts that are going on, by process; holds back deletions that nobody can mean.

    ``rm -rf ~/Gallery/*`` and ``rsync --delete`` onto the root end with FileError(EPERM): what an
    act trashed it cannot take out of the trash, and through views it ends at a quarter of the
    gallery.
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
        self._acts: OrderedDict[int, _Act] = OrderedDict()

    def act(self, pid: int) -> UnitId:
        """Return the id of what a process is doing; pid 0 is nobody, whose calls stand alone."""
        return self._act(pid).id if pid else UnitId(random_id())

    def removing(self, pid: int, view: str | None) -> None:
        """Take note of a removal from a view (None: an own folder), or refuse it."""
        act = self._act(pid)
        if view == "trash":
            if act.trashed:
                self._refuse(act, "Emptying the trash right after deleting was refused.")
            return
        act.trashed = True
        if view is None:
            return
        act.through_views += 1
        if act.photos > SMALL and act.through_views * SHARE > act.photos:
            self._refuse(act, "A deletion that reached a quarter of the gallery was stopped.")

    def took_back(self, pid: int) -> None:
        """A removal from a view was only the beginning of writing something else there."""
        act = self._act(pid)
        act.through_views = max(0, act.through_views - 1)

    def _act(self, pid: int) -> _Act:
        now = self._monotonic()
        act = self._acts.get(pid)
        if act is None or now - act.last >= ACT_GAP:
            act = self._acts[pid] = _Act(now, self._photos())
        act.last = now
        self._acts.move_to_end(pid)
        if len(self._acts) > KEPT:
            self._acts.popitem(last=False)
        return act

    def _refuse(self, act: _Act, what: str) -> None:
        if not act.told:
            act.told = True
            self._tell(what + " Wait a few seconds and say it again if it was meant.")
        raise not_permitted(what)
