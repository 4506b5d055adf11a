"""A remote that does by chance what remotes have been seen to do while something is wrong."""

from __future__ import annotations

import random
from pathlib import Path

from tagfs.errors import Full, Limited, NotFound, Refused, RemoteError, Revoked, Unreachable
from tagfs.remote.memory import MemoryStore
from tagfs.remote.store import Page, Space, Stat, Store


class Troubled(Store):
    """A store in memory that errs in one of ``often`` answers while it is bad.

    What is on it is never touched: each error is in an answer, or in a request that gets lost. It
    either denies objects or leaves them out of its lists: nobody could tell a remote that does
    both from one that never had them.
    """

    kind = "memory"

    def __init__(self, rng: random.Random) -> None:
        self.inner = MemoryStore()
        self.where = self.inner.where
        self.often = 4
        self._spared: frozenset[str] | None = None  # what does not go wrong; None: nothing does
        self.met: set[str] = set()
        """What went wrong so far."""
        self._rng = rng

    def begin(self) -> None:
        """Things go wrong from now on."""
        self._spared = self._rng.choice((frozenset({"denied"}), frozenset({"empty", "partial"})))

    def end(self) -> None:
        """Every answer is right from now on."""
        self._spared = None

    def _strikes(self, *harms: str) -> str:
        """Return what goes wrong this time; nothing, mostly."""
        if self._spared is None or self._rng.randrange(self.often):
            return ""
        harm = self._rng.choice([harm for harm in harms if harm not in self._spared])
        self.met.add(harm)
        return harm

    def _refuse(self, harm: str) -> None:
        errors: dict[str, RemoteError] = {
            "lost": Unreachable("The line is down."),
            "limited": Limited("Slow down.", self._rng.choice((None, 0.0, 0.01))),
            "denied": NotFound("There is nothing of that name."),
            "refused": Refused("Not this one."),
            "full": Full("There is no space."),
            "revoked": Revoked("Log in again."),
        }
        if harm in errors:
            raise errors[harm]

    async def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        harm = self._strikes("lost", "limited", "refused", "full", "revoked", "unanswered")
        self._refuse(harm)
        await self.inner.put(name, data)
        if harm:
            raise Unreachable("The line went down before the answer.")

    async def put_file(self, name: str, path: Path) -> None:
        await self.put(name, path.read_bytes())

    async def get(self, name: str, offset: int = 0, size: int | None = None) -> bytes:
        harm = self._strikes("lost", "limited", "denied", "revoked", "cut", "flipped", "another")
        self._refuse(harm)
        data = await self.inner.get(name, offset, size)
        if harm == "cut":
            return data[: self._rng.randrange(len(data) + 1)]
        if harm == "flipped" and data:
            at = self._rng.randrange(len(data))
            return data[:at] + bytes((data[at] ^ 1 << self._rng.randrange(8),)) + data[at + 1 :]
        if harm == "another":
            other = self._rng.choice(sorted(self.inner.objects))
            return (await self.inner.get(other, 0, None))[offset:][:size]
        return data

    async def stat(self, name: str) -> Stat:
        self._refuse(self._strikes("lost", "limited", "denied", "revoked"))
        return await self.inner.stat(name)

    async def list(self, prefix: str = "", cursor: str | None = None) -> Page:
        harm = self._strikes("lost", "limited", "revoked", "empty", "partial")
        self._refuse(harm)
        page = await self.inner.list(prefix, cursor)
        if harm == "empty":
            return Page((), None)
        if harm == "partial":
            return Page(tuple(e for e in page.entries if self._rng.random() < 0.5), page.cursor)
        return page

    async def delete(self, name: str) -> None:
        harm = self._strikes("lost", "limited", "refused", "unanswered")
        self._refuse(harm)
        await self.inner.delete(name)
        if harm:
            raise Unreachable("The line went down before the answer.")

    async def space(self) -> Space | None:
        self._refuse(self._strikes("lost", "limited"))
        return await self.inner.space()
