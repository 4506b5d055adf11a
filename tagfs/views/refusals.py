"""Why an act was refused, told once in ``.tagfs/events``: a program says no more than EPERM."""

from __future__ import annotations

import errno
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from tagfs.errors import FileError

AGAIN = 60.0
"""Seconds after which the same reason is told once more."""
KEPT = 64
"""Reasons that are remembered."""


class Refusals:
    """Tells the user the reasons that refusals carry, each at most once in a while."""

    def __init__(
        self,
        tell: Callable[[str], None],
        events: Callable[[], Sequence[Mapping[str, object]]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``events``: what was told already, oldest first."""
        self._tell = tell
        self._events = events
        self._monotonic = monotonic
        self._told: OrderedDict[str, float] = OrderedDict()

    def refused(self, error: FileError) -> None:
        """Take note of an error that a program of the user's was answered with.

        Most carry no reason beyond their number; a name that is not there needs none.
        """
        if error.errno == errno.ENOENT:
            return
        reason = str(error)
        if reason == os.strerror(error.errno):
            return
        now = self._monotonic()
        if now - self._told.get(reason, -AGAIN) < AGAIN:
            return
        self._told[reason] = now
        self._told.move_to_end(reason)
        if len(self._told) > KEPT:
            self._told.popitem(last=False)
        last = self._events()[-1:]
        if not (last and str(last[0]["text"]).startswith(reason)):  # who refused told more
            self._tell(reason)
