"""The line to the remote as uploads use it: how many at once, how fast, how long still, and rests.

An object is let through when it fits beside those that are under way, when the limit allows it,
and when uploading does not rest. What is under way is never broken off. While somebody changes
files, objects go one by one: what an object costs this machine is less than what a user waits for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from tagfs.pipeline.pausing import Pausable
from tagfs.vault.layout import MAX_STORED

OBJECTS = 128
"""Objects under way at once; a remote that commits in batches gathers these."""
BYTES = 4 * MAX_STORED + 8 * 1024 * 1024
"""Bytes of the objects under way at once: four parts of a large file, and small ones beside."""
GENTLE = 1 / 20
"""Seconds between two objects while somebody changes files."""
QUIET = 0.5
"""Seconds without a change after which nobody does any more."""
MINUTE = 60.0
"""Seconds over which the rate is taken."""
IDLE = 2.0
"""Seconds without anything under way after which it is taken anew."""


class Line(Pausable):
    """What all uploads of one gallery share. For trio's thread. Times are trio's, in seconds."""

    def __init__(self, flag: Path, objects: int = OBJECTS, most: int = BYTES) -> None:
        """``flag`` is the file whose presence says, over restarts too, that uploading rests."""
        super().__init__(flag)
        self._objects = objects
        self._most = most
        self._turn = trio.Lock()  # first come, first served: small objects do not overtake for ever
        self._left = trio.Event()
        self._under_way: list[int] = []
        self._free_at = 0.0  # when what was let through fits into the limit
        self._changed = -QUIET  # when somebody last changed a file
        self._last = 0.0  # when an object was last let through
        self._busy_since = 0.0
        self._came: deque[tuple[float, int]] = deque()
        self.limit = 0
        """Bytes in a second that uploads may take on average; 0 for as many as there are."""

    # -- giving way ----------------------------------------------------------------------------

    def give_way(self) -> None:
        """Somebody changes files: let objects through slowly until that is over."""
        self._changed = trio.current_time()

    async def _gently(self) -> None:
        while (now := trio.current_time()) < min(self._changed + QUIET, self._last + GENTLE):
            await trio.sleep_until(min(self._changed + QUIET, self._last + GENTLE))
        self._last = now

    # -- going through -------------------------------------------------------------------------

    @asynccontextmanager
    async def carrying(self, size: int) -> AsyncIterator[None]:
        """Wait until an object of ``size`` bytes may go; it is under way within the context.

        With a limit, each object goes when the time that those before it may take is over.
        """
        async with self._turn:
            await self.until_awake()
            await self._room(size)
            await self._within_limit(size)
            await self._gently()
            await self.until_awake()
            self._begin()
            self._under_way.append(size)
        arrived = False
        try:
            yield
            arrived = True
        finally:
            self._under_way.remove(size)
            self._left.set()
            if arrived:
                self._came.append((trio.current_time(), size))

    def _begin(self) -> None:
        """After idling, what came before says nothing about the rate."""
        now = trio.current_time()
        if not self._under_way and (not self._came or self._came[-1][0] < now - IDLE):
            self._came.clear()
            self._busy_since = now

    async def _room(self, size: int) -> None:
        while self._under_way and (
            len(self._under_way) >= self._objects or sum(self._under_way) + size > self._most
        ):
            self._left = trio.Event()
            await self._left.wait()

    async def _within_limit(self, size: int) -> None:
        if self.limit:
            await trio.sleep_until(self._free_at)
            self._free_at = max(self._free_at, trio.current_time()) + size / self.limit

    # -- how it goes ---------------------------------------------------------------------------

    @property
    def rate(self) -> float:
        """Bytes in a second that arrived of late; 0 when none did within a minute."""
        now = trio.current_time()
        while self._came and self._came[0][0] < now - MINUTE:
            self._came.popleft()
        if not self._came:
            return 0.0
        since = max(now - MINUTE, self._busy_since)
        return sum(size for _, size in self._came) / max(1.0, now - since)

    def seconds_for(self, size: int) -> float | None:
        """Return in how many seconds ``size`` bytes are through; None where nobody can say."""
        rate = self.rate
        return None if self.paused or not rate else size / rate
