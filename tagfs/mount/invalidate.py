"""Telling the kernel what changed behind its back, from a thread of its own.

The kernel takes locks for this that requests in flight may hold until they are answered, so the
call may block, and nothing that answers requests may wait for it. When the queue is full the
rest is dropped: the kernel's time-outs (tagfs.mount.attributes) heal it.
"""

from __future__ import annotations

import errno
import threading

import pyfuse3

from tagfs.mount.log import note

LIMIT = 20_000
"""Notices that may wait, at most."""


class Invalidator:
    """A bounded queue of notices and the thread that delivers them."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._queue: dict[tuple[int, bytes | None], None] = {}  # in order, each once
        self._ready = threading.Condition()
        self._ended = False
        self._delivering = False
        self._thread = threading.Thread(target=self._deliver, name="invalidate", daemon=True)
        self.dropped = 0

    def start(self) -> None:
        """Begin to deliver; the mount must exist."""
        self._thread.start()

    def changed(self, ino: int, name: bytes | None) -> None:
        """Queue a notice: an entry of a directory, or (name None) the attributes of an inode."""
        with self._ready:
            if len(self._queue) >= self._limit:
                self.dropped += 1
                return
            self._queue[ino, name] = None
            self._ready.notify()

    @property
    def settled(self) -> bool:
        """Whether the kernel was told everything; not while it holds the thread."""
        with self._ready:
            return not (self._queue or self._delivering)

    def stop(self, seconds: float) -> bool:
        """Drop what waits and end the thread; False when the kernel holds it for longer."""
        with self._ready:
            self._ended = True
            self._queue.clear()
            self._ready.notify()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _deliver(self) -> None:
        while True:
            with self._ready:
                self._delivering = False
                while not self._queue and not self._ended:
                    self._ready.wait()
                if self._ended:
                    return
                ino, name = next(iter(self._queue))
                del self._queue[ino, name]
                self._delivering = True
            _tell_kernel(ino, name)


def _tell_kernel(ino: int, name: bytes | None) -> None:
    try:
        if name is not None:
            pyfuse3.invalidate_entry(ino, name)
    except OSError as error:
        _unless_unknown(error)
    try:
        # Of a directory too: an entry that the kernel did not know leaves its times stale.
        pyfuse3.invalidate_inode(ino, attr_only=True)
    except OSError as error:
        _unless_unknown(error)


def _unless_unknown(error: OSError) -> None:
    # ENOENT: the kernel holds no such entry. The others: the mount is going away.
    if error.errno not in (errno.ENOENT, errno.ENOTCONN, errno.ENODEV, errno.EBADF):
        note("The kernel refused a notice", error)
