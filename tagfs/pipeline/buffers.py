"""Buffers for bytes that are read, so that the hot path makes none anew."""

from __future__ import annotations


class BufferPool:
    """Buffers of one size that are used again as soon as nobody looks at them."""

    def __init__(self, size: int, keep: int) -> None:
        """Keep at most ``keep`` buffers of ``size`` bytes; more are made and left to die."""
        self._size = size
        self._keep = keep
        self._buffers: list[bytearray] = []

    def take(self) -> memoryview:
        """Return a buffer of unknown content; it is in use as long as any view of it lives."""
        for buffer in self._buffers:
            try:
                # A bytearray refuses to change its size while there is a view of it.
                buffer.append(0)
            except BufferError:
                continue
            buffer.pop()
            return memoryview(buffer)
        buffer = bytearray(self._size + 1)
        buffer.pop()
        if len(self._buffers) < self._keep:
            self._buffers.append(buffer)
        return memoryview(buffer)
