"""A folder that behaves like a remote far away: no files of this machine, and it may be gone."""

from __future__ import annotations

from pathlib import Path

from tagfs.errors import Unreachable
from tagfs.remote.store import Page, Stat, Store


class Far(Store):
    """Passes everything on until it is ``gone``; counts what it is asked for."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.kind = inner.kind
        self.where = inner.where
        self.gone = False
        self.gets = 0

    def _reach(self) -> Store:
        if self.gone:
            raise Unreachable("The remote is gone.")
        return self._inner

    async def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        await self._reach().put(name, data)

    async def put_file(self, name: str, path: Path) -> None:
        await self._reach().put_file(name, path)

    async def get(self, name: str, offset: int = 0, size: int | None = None) -> bytes:
        self.gets += 1
        return await self._reach().get(name, offset, size)

    async def stat(self, name: str) -> Stat:
        return await self._reach().stat(name)

    async def list(self, prefix: str = "", cursor: str | None = None) -> Page:
        return await self._reach().list(prefix, cursor)

    async def delete(self, name: str) -> None:
        await self._reach().delete(name)
