"""A store in memory that fails on demand: the verified fake of every test above this storey.

It passes the same conformance suite as the real stores. `inject` makes single calls fail the way
providers do; `objects` is there to be tampered with.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import trio

from tagfs.errors import Exists, Full, NotFound, Refused, RemoteError, Unreachable
from tagfs.remote.store import (
    MAX_OBJECT,
    PAGE,
    Bytes,
    Entry,
    Page,
    Space,
    Stat,
    Store,
    check_name,
    check_prefix,
    check_range,
    check_size,
    too_long,
)


class Verb(enum.Enum):
    """The calls that a fault can be injected into."""

    PUT = "put"
    GET = "get"
    STAT = "stat"
    LIST = "list"
    DELETE = "delete"


class Harm(enum.Enum):
    """What an injected fault does to the call that it meets."""

    BEFORE = "raises, and nothing was done"
    AFTER = "raises, though it was done"
    CUT = "a get returns only the first ``amount`` bytes"
    FLIP = "a get returns byte number ``amount`` (from the start of the answer) inverted"
    SLOW = "answers ``amount`` seconds later"
    HANG = "never answers"


def _unreachable() -> RemoteError:
    return Unreachable("The memory store was told to be offline.")


@dataclass(frozen=True, slots=True)
class Fault:
    """One injected fault: the next ``times`` calls of ``verb`` on names with ``prefix``."""

    verb: Verb
    harm: Harm
    prefix: str = ""
    times: int = 1
    amount: float = 0
    error: Callable[[], RemoteError] = _unreachable


class MemoryStore(Store):
    """Objects in a dictionary.

    ``capacity`` is in bytes, None for no limit. ``stale`` > 0 makes listings forget: the last
    ``stale`` puts are not named yet and the last ``stale`` deletes are named still.
    """

    kind = "memory"

    def __init__(self, name: str = "", capacity: int | None = None, stale: int = 0) -> None:
        self.where = f"memory://{name}"
        self.objects: dict[str, bytes] = {}
        self.calls: list[tuple[Verb, str]] = []
        """Every call that arrived, so that a test can count round trips."""
        self.offline = False
        self.stale = stale
        self._capacity = capacity
        self._faults: list[Fault] = []
        self._put: deque[str] = deque(maxlen=64)
        self._deleted: deque[tuple[str, int]] = deque(maxlen=64)

    def inject(self, *faults: Fault) -> None:
        """Let the given faults happen, each to the next calls that fit it, earliest first."""
        self._faults.extend(faults)

    def pending_faults(self) -> tuple[Fault, ...]:
        """Return the faults that no call has met yet."""
        return tuple(self._faults)

    async def put(self, name: str, data: Bytes) -> None:
        check_name(name)
        check_size(name, memoryview(data).nbytes)
        fault = await self._arrive(Verb.PUT, name)
        if name in self.objects:
            raise Exists(f"Object {name} exists already in {self.where}.")
        if any(self._clashes(name, other) for other in self.objects):
            raise Refused(f"Object {name} cannot be both an object and a folder.")
        if self._capacity is not None and self._used() + memoryview(data).nbytes > self._capacity:
            raise Full(f"{self.where} has no space left for object {name}.")
        self.objects[name] = bytes(data)
        self._put.append(name)
        self._leave(fault)

    async def get(self, name: str, offset: int = 0, size: int | None = None) -> bytes:
        check_name(name)
        check_range(offset, size)
        fault = await self._arrive(Verb.GET, name)
        data = self._find(name)
        end = len(data) if size is None else min(len(data), offset + size)
        if end - offset > MAX_OBJECT:
            raise too_long(name, len(data))
        answer = data[offset:end]
        if fault is not None and fault.harm is Harm.CUT:
            answer = answer[: int(fault.amount)]
        elif fault is not None and fault.harm is Harm.FLIP and answer:
            at = int(fault.amount) % len(answer)
            answer = answer[:at] + bytes([answer[at] ^ 0xFF]) + answer[at + 1 :]
        self._leave(fault)
        return answer

    async def stat(self, name: str) -> Stat:
        check_name(name)
        fault = await self._arrive(Verb.STAT, name)
        answer = Stat(len(self._find(name)))
        self._leave(fault)
        return answer

    async def list(self, prefix: str = "", cursor: str | None = None) -> Page:
        check_prefix(prefix)
        fault = await self._arrive(Verb.LIST, prefix)
        sizes = {name: len(data) for name, data in self.objects.items()}
        if self.stale:
            for name in tuple(self._put)[-self.stale :]:
                sizes.pop(name, None)
            sizes.update(tuple(self._deleted)[-self.stale :])
        after = cursor or ""
        names = sorted(n for n in sizes if n.startswith(prefix) and n > after)
        entries = tuple(Entry(name, sizes[name]) for name in names[:PAGE])
        self._leave(fault)
        return Page(entries, names[PAGE - 1] if len(names) > PAGE else None)

    async def delete(self, name: str) -> None:
        check_name(name)
        fault = await self._arrive(Verb.DELETE, name)
        data = self.objects.pop(name, None)
        if data is not None:
            self._deleted.append((name, len(data)))
        self._leave(fault)

    async def space(self) -> Space | None:
        await trio.lowlevel.checkpoint()
        if self._capacity is None:
            return None
        return Space(self._capacity, max(0, self._capacity - self._used()))

    def _used(self) -> int:
        return sum(map(len, self.objects.values()))

    @staticmethod
    def _clashes(name: str, other: str) -> bool:
        return other.startswith(name + "/") or name.startswith(other + "/")

    def _find(self, name: str) -> bytes:
        try:
            return self.objects[name]
        except KeyError:
            raise NotFound(f"There is no object {name} in {self.where}.") from None

    async def _arrive(self, verb: Verb, name: str) -> Fault | None:
        """Take note of a call, and carry out the fault that meets it as far as it comes before."""
        await trio.lowlevel.checkpoint()
        self.calls.append((verb, name))
        if self.offline:
            raise _unreachable()
        fault = self._take(verb, name)
        if fault is None:
            return None
        if fault.harm is Harm.BEFORE:
            raise fault.error()
        if fault.harm is Harm.HANG:
            await trio.sleep_forever()
        if fault.harm is Harm.SLOW:
            await trio.sleep(fault.amount)
        return fault

    def _leave(self, fault: Fault | None) -> None:
        if fault is not None and fault.harm is Harm.AFTER:
            raise fault.error()

    def _take(self, verb: Verb, name: str) -> Fault | None:
        for at, fault in enumerate(self._faults):
            if fault.verb is verb and name.startswith(fault.prefix):
                if fault.times > 1:
                    self._faults[at] = replace(fault, times=fault.times - 1)
                else:
                    del self._faults[at]
                return fault
        return None
