"""Names with their sizes, the least recently used first. Not safe between threads by itself."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container

from tagfs.model import ObjectName


class Lru:
    """What is kept, in the order in which it may go."""

    def __init__(self) -> None:
        self._sizes: OrderedDict[ObjectName, int] = OrderedDict()
        self.bytes = 0
        """What all of them have together."""

    def add(self, name: ObjectName, size: int) -> None:
        """Add a name, or say its size anew, as the one that was used last."""
        self.remove(name)
        self._sizes[name] = size
        self.bytes += size

    def remove(self, name: ObjectName) -> int:
        """Forget a name; return its size, 0 when it was not there."""
        size = self._sizes.pop(name, 0)
        self.bytes -= size
        return size

    def used(self, name: ObjectName) -> None:
        """Let a name, if it is there, go last."""
        if name in self._sizes:
            self._sizes.move_to_end(name)

    def size(self, name: ObjectName) -> int:
        """Return the size of a name, 0 when it is not there."""
        return self._sizes.get(name, 0)

    def oldest(self, but: Container[ObjectName] = ()) -> ObjectName | None:
        """Return the name that may go first and is none of ``but``, None when there is none."""
        return next((name for name in self._sizes if name not in but), None)
