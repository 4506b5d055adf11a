"""Absent bytes of one content: fetched as they are asked for, and ahead of who reads on and on.

Several requests of one reader may wait at a time, since the kernel reads ahead of programs. What is
on its way already is waited for and not asked for again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from tagfs.errors import FileError, Integrity
from tagfs.model import CHUNK, PART, Content
from tagfs.vault.objects import PartReader

if TYPE_CHECKING:
    from tagfs.pipeline.contents import Contents

FIRST = 1024 * 1024
"""Bytes that are fetched at once when a content begins to be read in order."""
MOST = 4 * FIRST
"""Bytes that are fetched at once in the long run; from then on so much is fetched ahead, too."""

Spawn = Callable[..., None]
"""Starts an async function in the background: a nursery's start_soon."""


@dataclass(eq=False, slots=True)
class _Window:
    """Whole chunks of one part that are on their way, or came and were not looked at yet."""

    start: int
    stop: int
    view: memoryview | None = None
    done: trio.Event = field(default_factory=trio.Event)


class Absent:
    """The windows of one reader. Keeps one of up to 4 MiB that was fetched ahead."""

    def __init__(
        self,
        contents: Contents,
        content: Content,
        size: int,
        damaged: Callable[[Integrity], FileError],
    ) -> None:
        """For the first ``size`` bytes of ``content``."""
        self._contents = contents
        self._content = content
        self._size = size
        self._damaged = damaged
        self._ahead = FIRST
        self._windows: list[_Window] = []

    async def window(self, at: int, end: int, in_order: bool) -> tuple[int, memoryview]:
        """Return where a window begins that has the byte ``at``, and its bytes.

        ``in_order``: the reader goes on where it was. Raises FileError(ENETUNREACH or EIO).
        """
        if not in_order:
            self._ahead = FIRST
        while (window := self._covering(at)) is not None:
            await window.done.wait()
            if window.view is not None:
                break  # else it failed for who asked for it first
        else:
            window = self._new(at, end, in_order)
            await self._fetch(window)
        assert window.view is not None
        if window in self._windows:
            self._windows.remove(window)
        if in_order:
            self._go_on(window.stop)
        return window.start, window.view

    def forget(self) -> None:
        """Let go of what was fetched ahead."""
        self._windows.clear()

    def _covering(self, at: int) -> _Window | None:
        return next((w for w in self._windows if w.start <= at < w.stop), None)

    def _new(self, at: int, end: int, in_order: bool) -> _Window:
        """Decide how much is fetched from the chunk of ``at`` on."""
        index, inside = divmod(at, PART)
        begin = inside - inside % CHUNK
        wanted = -(-(end - index * PART) // CHUNK) * CHUNK
        if in_order:
            wanted = max(begin + self._ahead, wanted)
            self._ahead = min(2 * self._ahead, MOST)
        upto = min(
            wanted,
            begin + self._contents.pace.at_once,
            self._content.parts[index].size,
            self._size - index * PART,
        )
        window = _Window(index * PART + begin, index * PART + upto)
        self._windows.append(window)
        return window

    def _go_on(self, at: int) -> None:
        """Fetch what comes next while the reader looks at what it has."""
        spawn = self._contents.spawn
        if spawn is None or at >= self._size or self._ahead < MOST:
            return
        if self._covering(at) is not None:
            return
        self._windows = [w for w in self._windows if w.view is None]  # nobody came for the others
        if not self._contents.spool.is_here(self._content.parts[at // PART].name):
            spawn(self._fetch_quietly, self._new(at, at + 1, True))

    async def _fetch_quietly(self, window: _Window) -> None:
        try:
            await self._fetch(window)
        except FileError:
            pass  # who comes there asks again, and is told

    async def _fetch(self, window: _Window) -> None:
        try:
            window.view = await self._opened(window.start, window.stop)
        finally:
            window.done.set()
            if window.view is None and window in self._windows:
                self._windows.remove(window)

    async def _opened(self, start: int, stop: int) -> memoryview:
        index, begin = divmod(start, PART)
        part = self._content.parts[index]
        try:
            reader = PartReader(self._contents.ring, part, index)
            offset, length, first = reader.span(begin, stop - start)
            stored = await self._contents.get(part, offset, length)
            view = memoryview(bytearray(stop - start))
            reader.open_into(stored, first, begin, view)
        except Integrity as e:
            raise self._damaged(e) from None
        return view
