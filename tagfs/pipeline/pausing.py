"""Pauses that outlive a restart: what is paused rests while its file is there."""

from __future__ import annotations

from pathlib import Path

import trio

from tagfs.pipeline.state_dir import remove_file, write_file


class Pausable:
    """What the user can have rest. For trio's thread."""

    def __init__(self, flag: Path) -> None:
        """``flag`` is the file whose presence says, over restarts too, that it rests."""
        self._flag = flag
        self._awake = trio.Event()
        if not flag.exists():
            self._awake.set()

    @property
    def paused(self) -> bool:
        """Whether it rests until somebody says otherwise."""
        return not self._awake.is_set()

    async def pause(self) -> None:
        """Have it rest, also after a restart. What is under way is not broken off."""
        if not self.paused:
            self._awake = trio.Event()
        await trio.to_thread.run_sync(write_file, self._flag, b"")

    async def resume(self) -> None:
        """End what pause() began."""
        await trio.to_thread.run_sync(remove_file, self._flag)
        self._awake.set()

    async def until_awake(self) -> None:
        """Return when it does not rest."""
        while self.paused:
            await self._awake.wait()
