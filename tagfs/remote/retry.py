"""The one retry layer: wraps any store, repeats what may succeed later, and tells why it waits.

`Unreachable` and `Limited` are repeated, with exponential pauses and full jitter (Brooker,
"Exponential Backoff and Jitter", 2015) or after the time that the provider names, and from the
third failure on at most once a second for each caller; every other error is an answer. Each try
has a time limit. Every wait is cancellable.

A `put` whose first try went unanswered may have been carried out. When its repetition raises
`Exists`, what is there is compared with what was to be written, so that the caller sees `Exists`
only where somebody else's bytes stand.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import trio

from tagfs.errors import (
    Exists,
    Full,
    Limited,
    NotFound,
    Refused,
    RemoteError,
    Revoked,
    Unreachable,
)
from tagfs.remote.store import Bytes, Page, Space, Stat, Store

_T = TypeVar("_T")
_STEP = 4 * 1024 * 1024
_GIVEN_UP = 2.0
"""Seconds in which somebody in a hurry is told what the last one in a hurry has waited for."""
_CALM_AFTER, _CALM = 3, 1.0  # failures in a row, and seconds between two tries from then on
_LONGEST_PAUSE_ASKED = 3600.0  # seconds; a provider that asks for more is asked again sooner


class Condition(enum.Enum):
    """How the last call to a store went."""

    OK = "ok"
    OFFLINE = "offline"
    LIMITED = "limited"
    REFUSED = "refused"
    FULL = "full"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Health:
    """The condition of a store, and since when: what `tagfs status` shows."""

    condition: Condition
    why: str  # message of the error for a terminal, empty when OK
    since: float  # trio's clock, seconds
    failures: int  # tries that failed in a row, over all callers


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a caller waits for an answer. All times in seconds."""

    total: float | None
    """No try begins later than this after the first; None for no end."""
    answer: float = 60.0
    """Time limit of one try, without the bytes that it moves."""
    slowest: float = 16 * 1024
    """Bytes in a second, at least, that a try is given time for."""
    first_pause: float = 0.5
    longest_pause: float = 60.0


PATIENT = Patience(total=None)
"""For work in the background, which waits until the remote is there again."""
HURRIED = Patience(total=4.0, answer=5.0, slowest=256 * 1024)
"""For somebody who waits on a read: an answer or an error well within 10 s for 128 KiB."""


class _Shared:
    """What all callers of one store learn from each other."""

    def __init__(self) -> None:
        self.health = Health(Condition.OK, "", 0.0, 0)
        self.not_before = 0.0  # trio's clock; the provider asked for silence until then
        self.given_up: tuple[float, Unreachable] | None = None
        """When, trio's clock, and why somebody in a hurry gave up; None once anything went."""


class RetryStore(Store):
    """A store that tries again, as long as ``patience`` says.

    ``jitter`` returns numbers in [0, 1).
    """

    def __init__(
        self,
        inner: Store,
        patience: Patience = PATIENT,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.kind = inner.kind
        self.where = inner.where
        self._inner = inner
        self._patience = patience
        self._jitter = jitter
        self._shared = _Shared()

    def with_patience(self, patience: Patience) -> RetryStore:
        """Return the same store for a caller who waits longer or shorter; health is shared."""
        other = RetryStore(self._inner, patience, self._jitter)
        other._shared = self._shared
        return other

    @property
    def health(self) -> Health:
        """How the store has been of late."""
        return self._shared.health

    async def put(self, name: str, data: Bytes) -> None:
        size = memoryview(data).nbytes

        async def same() -> bool:
            return await self.get(name) == data

        await self._put(lambda: self._inner.put(name, data), name, size, same)

    async def put_file(self, name: str, path: Path) -> None:
        size = (await trio.Path(path).stat()).st_size

        async def same() -> bool:
            if (await self.stat(name)).size != size:
                return False
            async with await trio.open_file(path, "rb") as file:
                for offset in range(0, size, _STEP):
                    mine = await file.read(_STEP)
                    if await self.get(name, offset, len(mine)) != mine:
                        return False
            return True

        await self._put(lambda: self._inner.put_file(name, path), name, size, same)

    async def get(self, name: str, offset: int = 0, size: int | None = None) -> bytes:
        if size is not None:
            return await self._again(lambda: self._inner.get(name, offset, size), size)
        length = (await self.stat(name)).size  # the time limit depends on it
        return await self._again(lambda: self._inner.get(name, offset), max(0, length - offset))

    async def stat(self, name: str) -> Stat:
        return await self._again(lambda: self._inner.stat(name))

    async def list(self, prefix: str = "", cursor: str | None = None) -> Page:
        return await self._again(lambda: self._inner.list(prefix, cursor))

    async def delete(self, name: str) -> None:
        await self._again(lambda: self._inner.delete(name))

    async def space(self) -> Space | None:
        return await self._again(self._inner.space)

    async def hash_of(self, data: Bytes) -> str | None:
        return await self._inner.hash_of(data)

    def local_path(self, name: str) -> Path | None:
        return self._inner.local_path(name)

    async def close(self) -> None:
        await self._inner.close()

    async def _put(
        self,
        call: Callable[[], Awaitable[None]],
        name: str,
        size: int,
        same: Callable[[], Awaitable[bool]],
    ) -> None:
        tries = 0

        async def counted() -> None:
            nonlocal tries
            tries += 1
            await call()

        try:
            await self._again(counted, size)
        except Exists:
            # Deleted between the two looks counts as somebody else's: the caller decides.
            try:
                ours = tries > 1 and await same()
            except NotFound:
                ours = False
            if not ours:
                raise

    async def _again(self, call: Callable[[], Awaitable[_T]], size: int = 0) -> _T:
        """Return what ``call`` returns once it does; ``size`` bytes are moved by it."""
        began = trio.current_time()
        limit = self._patience.answer + size / self._patience.slowest
        pause = self._patience.first_pause
        failures = 0
        self._hurry(began)
        while True:
            await self._silence(began)
            try:
                answer = await _within(limit, call, self.where)
            except RemoteError as error:
                wait = self._note(error, pause)
                if wait is None:
                    raise
                failures += 1
                if failures >= _CALM_AFTER:
                    wait = max(wait, min(_CALM, self._patience.longest_pause))
                last = began + self._patience.total if self._patience.total is not None else None
                if last is not None and trio.current_time() + wait > last:
                    if isinstance(error, Unreachable):
                        self._shared.given_up = trio.current_time(), error
                    raise
                await trio.sleep(wait)
                pause = min(pause * 2, self._patience.longest_pause)
            else:
                self._set(Condition.OK)
                return answer

    def _hurry(self, now: float) -> None:
        """Raise `Unreachable` at once where somebody in a hurry has just waited in vain.

        Otherwise a program that goes through a folder waits for every file anew.
        """
        if self._patience.total is None or self._shared.given_up is None:
            return
        when, error = self._shared.given_up
        if now - when < _GIVEN_UP:
            raise Unreachable(str(error))

    async def _silence(self, began: float) -> None:
        """Wait until the provider may be asked again; `Limited` where that is too long."""
        until = self._shared.not_before
        wait = until - trio.current_time()
        if wait <= 0:
            return
        if self._patience.total is not None and until > began + self._patience.total:
            raise Limited(f"{self.where} asks to wait for {wait:.0f} s more.", wait)
        await trio.sleep_until(until)

    def _note(self, error: RemoteError, pause: float) -> float | None:
        """Learn from an error; return the seconds to wait before the next try, None for none."""
        match error:
            case NotFound() | Exists():
                self._set(Condition.OK)
            case Unreachable():
                self._set(Condition.OFFLINE, error)
                return pause * self._jitter()
            case Limited():
                self._set(Condition.LIMITED, error)
                if error.retry_after is None:
                    return pause * self._jitter()
                asked = min(max(error.retry_after, 0.0), _LONGEST_PAUSE_ASKED)
                until = trio.current_time() + asked
                self._shared.not_before = max(self._shared.not_before, until)
                # Everybody who was turned away comes back after it, but not all at once.
                return asked + self._patience.first_pause * self._jitter()
            case Revoked():
                self._set(Condition.REVOKED, error)
            case Full():
                self._set(Condition.FULL, error)
            case Refused():
                self._set(Condition.REFUSED, error)
        return None

    def _set(self, condition: Condition, error: RemoteError | None = None) -> None:
        was = self._shared.health
        if condition is Condition.OK:
            self._shared.given_up = None
        if condition is Condition.OK and was.condition is Condition.OK:
            return
        self._shared.health = Health(
            condition,
            str(error) if error is not None else "",
            was.since if was.condition is condition else trio.current_time(),
            was.failures + 1 if condition is not Condition.OK else 0,
        )


async def _within(seconds: float, call: Callable[[], Awaitable[_T]], where: str) -> _T:
    with trio.move_on_after(seconds):
        return await call()
    raise Unreachable(f"{where} gave no answer within {seconds:.0f} s.")
