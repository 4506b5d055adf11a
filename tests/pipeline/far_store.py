"""A folder that behaves like a remote far away: no files of this machine, and it may be gone."""

from __future__ import annotations

from pathlib import Path

import trio

from tagfs.errors import Unreachable
from tagfs.remote.store import Page, Stat, Store


class Far(Store):
    """Passes everything on until it is ``gone``, or ``hangs`` and answers nothing any more.

    ``gets`` counts how often bytes of photos are asked for (headers and journals are not counted),
    ``calls`` all that it is asked.
    """

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.kind = inner.kind
        self.where = inner.where
        self.gone = False
        self.hangs = False
        self.gets = 0
        self.calls = 0

    async def _reach(self) -> Store:
        self.calls += 1
        if self.hangs:
            await trio.sleep_forever()
        if self.gone:
            raise Unreachable("The remote is gone.")
        return self._inner

    async def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        await (await self._reach()).put(name, data)

    async def put_file(self, name: str, path: Path) -> None:
        await (await self._reach()).put_file(name, path)

    async def get(self, name: str, offset: int = 0, size: int | None = None) -> bytes:
        self.gets += name.startswith("o/")
        return await (await self._reach()).get(name, offset, size)

    async def stat(self, name: str) -> Stat:
        return await (await self._reach()).stat(name)

    async def list(self, prefix: str = "", cursor: str | None = None) -> Page:
        return await (await self._reach()).list(prefix, cursor)

    async def delete(self, name: str) -> None:
        await (await self._reach()).delete(name)
