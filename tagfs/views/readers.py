"""Processes that have one absent file after another fetched: named once in ``.tagfs/events``.

An indexer or a backup program that reads everything brings a whole gallery back to this machine,
and nobody sees why the network is busy.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from tagfs.model import FileId
from tagfs.views.callers import process

MANY = 200
"""Files that one process has had fetched when it is named."""
GAP = 60.0
"""Seconds without a fetch after which a process begins anew."""
KEPT = 256
"""Processes that are remembered."""


@dataclass(slots=True)
class _Run:
    last: float
    files: set[FileId] = field(default_factory=set)
    told: bool = False


class Readers:
    """Counts for each process the files that had to be fetched for it in a row."""

    def __init__(
        self,
        tell: Callable[[str], None],
        process: Callable[[int], tuple[int, str]] = process,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell = tell
        self._process = process
        self._monotonic = monotonic
        self._runs: OrderedDict[int, _Run] = OrderedDict()

    def fetching(self, pid: int, file: FileId) -> None:
        """Bytes of a file are fetched for a process, or one of its threads; 0 is nobody."""
        if not pid:
            return
        number, name = self._process(pid)
        now = self._monotonic()
        run = self._runs.setdefault(number, _Run(now))
        if now - run.last >= GAP:
            run.files.clear()
        run.last = now
        self._runs.move_to_end(number)
        if len(self._runs) > KEPT:
            self._runs.popitem(last=False)
        if run.told:
            return
        run.files.add(file)
        if len(run.files) >= MANY:
            run.told = True
            run.files.clear()
            self._tell(
                f"{name} (process {number}) has read {MANY} files in a row that are not on this "
                "machine; each is fetched for it. If it only indexes or previews them, keep it out "
                "of this folder."
            )
