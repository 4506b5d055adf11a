"""Mounts a gallery for the model in a process of its own (``begin``).

Says ``ready``. Lines on its socket, each answered by one:
``recognise``; ``settle``, which returns when what was written has its final form; ``sleep S``;
``hash``; ``now``. Photos are looked at when ``recognise`` says so, and only then.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import trio
from eyes import ByByte, FewWords
from trio.testing import MockClock

from tagfs.model import Analysis
from tagfs.mount import mountpoint
from tagfs.mount.options import parse
from tagfs.mount.session import serve
from tagfs.pipeline import looking
from tagfs.pipeline.gallery import Gallery
from tagfs.pipeline.opening import open_gallery
from tagfs.remote.dir import DirStore
from tagfs.vault.slots import Words
from tagfs.views.tree import Tree


class WhenTold(ByByte):
    """Looks at nothing before it is told to."""

    def __init__(self) -> None:
        self.told = trio.Event()

    async def recognise(
        self, read: Callable[[int, int], Awaitable[Any]], size: int, media_type: str
    ) -> Analysis:
        await self.told.wait()
        return await super().recognise(read, size, media_type)


class Served:
    """One mount, and what the test asks of it."""

    def __init__(self, line: socket.socket, clock: MockClock, passed: float, back: float) -> None:
        self.line = trio.socket.from_stdlib_socket(line)
        self.clock = clock
        self.passed = passed
        self.back = back
        self.eyes = WhenTold()

    def now_ns(self) -> int:
        return time.time_ns() + int((self.passed - self.back) * 1e9)

    def monotonic(self) -> float:
        return time.monotonic() + self.passed

    async def obey(self, gallery: Gallery, line: str) -> object:
        word, *rest = line.split()
        if word == "recognise":
            self.eyes.told.set()
            done = await gallery.wait("recognised", 30)
            self.eyes.told = trio.Event()
            return done
        if word == "settle":
            while gallery.status().sealed > gallery.looker.waiting:
                await trio.sleep(0.002)
        if word == "hash":
            return gallery.state.state_hash().hex()
        if word == "sleep":
            seconds = float(rest[0])
            if seconds > 0:
                self.clock.jump(seconds)
                self.passed += seconds
            else:
                self.back -= seconds
        return "done"

    async def listen(self, gallery: Gallery) -> None:
        rest = b""
        while data := await self.line.recv(4096):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                answer = json.dumps(await self.obey(gallery, line.decode()))
                await self.line.send(answer.encode() + b"\n")

    async def ready_after(self, mounted: trio.Event) -> None:
        await mounted.wait()
        await self.line.send(b"ready\n")

    async def run(self, path: str, folder: Path, words: str) -> None:
        # Before it opens: what was written just before a kill comes in while it does.
        looking.SETTLE = looking.BATCH_WAIT = 0.0
        options = parse("")
        where = mountpoint.canonical(path)
        mountpoint.prepare(where, options)
        async with (
            open_gallery(
                folder / "state",
                Words(words),
                recogniser=self.eyes,
                words=FewWords(),
                open_remote=lambda url, new: DirStore(folder / "remote", create=new),
                now_ns=self.now_ns,
                jobs=64,  # whatever is there is being looked at when it goes
            ) as gallery,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self.listen, gallery)
            tree = Tree(gallery, self.monotonic)
            mounted = trio.Event()
            nursery.start_soon(self.ready_after, mounted)
            await serve(tree, gallery.sync, where, options, mounted.set)
            nursery.cancel_scope.cancel()


def begin(
    line: socket.socket, path: str, folder: Path, words: str, passed: float, back: float
) -> None:
    """Mount until SIGTERM. ``passed``: seconds that the clocks are ahead; ``back``: by which the
    wall clock was set back."""
    clock = MockClock(rate=1.0)
    trio.run(Served(line, clock, passed, back).run, path, folder, words, clock=clock)
