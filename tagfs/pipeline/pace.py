"""How much of a content is asked of the remote at once, and whom bytes that came in give patience.

Somebody who waits for a read is answered within a deadline that moves while bytes are flowing.
A store tells only when all that was asked for is there, so no more is asked for at once than
comes in within moments, as far as the line of late allows to say.
"""

from __future__ import annotations

from collections.abc import Callable

from tagfs.model import CHUNK

MOMENT = 2.0
"""Seconds that one answer of the remote should take at most: well below any deadline."""


class Pace:
    """What the line to one remote gives, shared by all who read. Sizes in bytes of content."""

    def __init__(self, most: int) -> None:
        """Never ask for more than ``most`` at once."""
        self._most = most
        self._at_once = CHUNK
        self._listener: Callable[[], None] | None = None

    @property
    def at_once(self) -> int:
        """How much to ask for at once: whole chunks, at least one."""
        return self._at_once

    def on_arrival(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever bytes came in."""
        self._listener = listener

    def came(self, size: int, seconds: float) -> None:
        """Learn from an answer of ``size`` bytes, and tell who waits."""
        fits = self._most if seconds * self._most <= size * MOMENT else int(size * MOMENT / seconds)
        fits = max(CHUNK, fits - fits % CHUNK)
        # A quick answer to a small question says nothing against a larger one.
        if seconds > MOMENT or fits > self._at_once:
            self._at_once = min(fits, self._most)
        if self._listener is not None:
            self._listener()

    def failed(self) -> None:
        """Learn from a question that was not answered, or not in time: begin small again."""
        self._at_once = CHUNK
