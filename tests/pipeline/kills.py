"""Kills a gallery at every step: what lies on both sides after each change, as a kill leaves it.

``Steps`` is a Disk and makes the store: after each change to the local disk and each answer of the
remote it copies state directory and remote. What a process has written is in the page cache, so a
copy is what the next process finds.
"""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from tagfs.pipeline.disk import Buffer, RealDisk
from tagfs.pipeline.state_dir import Settings, StateDir
from tagfs.remote.store import Bytes, Page, Stat, Store
from tagfs.remote.url import dir_url, open_store

HELD = ("journal", "spool", "scratch", "cache", "vault.json", "header", "device", "heads")
"""What is copied of a state directory. The catalog is not: it can be lost at any time."""


class Steps(RealDisk):
    """The real disk, with copies of ``tmp/state`` and ``tmp/remote`` below ``tmp/steps``."""

    def __init__(self, tmp: Path) -> None:
        self._tmp = tmp
        self._lock = threading.Lock()
        self.watching = False
        self.moments: list[tuple[str, Path]] = []
        """What had just been done, and the folder with ``state`` and ``remote`` after it."""

    def done(self, what: str) -> None:
        """Copy what is there after a step."""
        with self._lock:
            if self.watching:
                folder = self._tmp / "steps" / f"{len(self.moments):03}"
                for name in HELD:
                    old, new = self._tmp / "state" / name, folder / "state" / name
                    new.parent.mkdir(parents=True, exist_ok=True)
                    if old.is_dir():
                        shutil.copytree(old, new)
                    elif old.exists():
                        shutil.copy(old, new)
                shutil.copytree(self._tmp / "remote", folder / "remote")
                place = StateDir(folder / "state")
                place.write_settings(Settings(dir_url(folder / "remote"), place.settings().vault))
                self.moments.append((what, folder))

    def store(self, url: str, create: bool) -> Store:
        """Open a store whose answers are steps, too."""
        return _Answers(open_store(url, create=create), self)

    def pwrite(self, fd: int, data: Buffer, offset: int) -> int:
        with self._lock:
            size = super().pwrite(fd, data, offset)
        self.done("a write")
        return size

    def rename(self, old: Path, new: Path) -> None:
        with self._lock:
            super().rename(old, new)
        self.done(f"moving {old.name[:4]} to {new.parent.parent.name}")

    def unlink(self, path: Path) -> None:
        with self._lock:
            there = path.exists()
            super().unlink(path)
        if there:
            self.done(f"removing {path.name[:4]}")


class _Answers(Store):
    def __init__(self, inner: Store, steps: Steps) -> None:
        self._inner = inner
        self._steps = steps
        self.kind, self.where = inner.kind, inner.where

    async def put(self, name: str, data: Bytes) -> None:
        await self._inner.put(name, data)
        self._steps.done(f"putting {name[:6]}")

    async def put_file(self, name: str, path: Path) -> None:
        await self._inner.put_file(name, path)
        self._steps.done(f"putting {name[:6]}")

    async def get(self, name: str, offset: int = 0, size: int | None = None) -> bytes:
        return await self._inner.get(name, offset, size)

    async def stat(self, name: str) -> Stat:
        return await self._inner.stat(name)

    async def list(self, prefix: str = "", cursor: str | None = None) -> Page:
        return await self._inner.list(prefix, cursor)

    async def delete(self, name: str) -> None:
        await self._inner.delete(name)
        self._steps.done(f"deleting {name[:6]}")
