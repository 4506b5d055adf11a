"""Deadlines: a program whose request was taken cannot be killed until it is answered."""

from __future__ import annotations

import errno
from collections.abc import Awaitable
from typing import TypeVar

import trio

from tagfs.errors import FileError

T = TypeVar("T")

OFFLINE = 10.0
"""Seconds that a request waits when nothing arrives."""
FLOWING = 60.0
"""Seconds that a request waits at most, whatever arrives."""


class Patience:
    """Cuts every wait off: after ``offline`` s of silence, after ``flowing`` s in any case."""

    def __init__(self, offline: float = OFFLINE, flowing: float = FLOWING) -> None:
        self._offline = offline
        self._flowing = flowing
        self._waiting: dict[trio.CancelScope, float] = {}

    async def wait_for_bytes(self, call: Awaitable[T]) -> T:
        """Await what may need the network; ENETUNREACH when it takes too long."""
        now = trio.current_time()
        with trio.CancelScope(deadline=now + self._offline) as scope:
            self._waiting[scope] = now + self._flowing
            try:
                return await call
            finally:
                del self._waiting[scope]
        raise FileError(errno.ENETUNREACH)

    async def wait_for_file(self, call: Awaitable[T]) -> T:
        """Await a whole file, which is many requests to the network that each notice by
        themselves when it is silent; ENETUNREACH when it takes too long."""
        with trio.move_on_after(self._flowing):
            return await call
        raise FileError(errno.ENETUNREACH)

    async def wait_for_disk(self, call: Awaitable[T]) -> T:
        """Await what needs this machine only; EIO when it takes too long."""
        with trio.move_on_after(self._flowing):
            return await call
        raise FileError(errno.EIO)

    def bytes_arrived(self) -> None:
        """Give those who wait for the network more time, because it works."""
        later = trio.current_time() + self._offline
        for scope, last in self._waiting.items():
            scope.deadline = min(later, last)
