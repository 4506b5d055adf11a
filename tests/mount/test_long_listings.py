"""Long listings that change while they are read: nothing twice, nothing missing that stayed."""

from __future__ import annotations

import ctypes
import os
import random
import struct
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import trio
from mounted import HERE, Server

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from gallery_kit import Folder, make, opened
from many import Many, names

CHANGED = 1000
"""Photos that are added, and as many removed, while a listing is read."""
FOLDERS = ("many", "all", "tags/many")
SMALL = 1024
"""Bytes of the buffer that a reader offers: room for some 25 names."""
libc = ctypes.CDLL(None, use_errno=True)


class Changes:
    """What is removed and added in the course of a listing, and what must be seen regardless."""

    def __init__(self, count: int, seed: int = 1) -> None:
        rng = random.Random(seed)
        # Removed from everywhere: what was listed already, what is next, what comes last.
        starts = rng.sample(range(0, count - 20, 20), CHANGED // 20)
        self.removed = [(start, start + 20) for start in starts]
        self.added = [(count + at, count + at + 20) for at in range(0, CHANGED, 20)]
        gone = {name for begin, end in self.removed for name in names(begin, end)}
        self.stays = set(names(0, count)) - gone
        self.may = self.stays | gone | set(names(count, count + CHANGED))

    def check(self, seen: list[bytes], where: str) -> None:
        twice = [name for name, times in Counter(seen).items() if times > 1]
        assert not twice, f"{where}: listed twice: {twice[:5]}"
        missing = self.stays - set(seen)
        assert not missing, f"{where}: {len(missing)} missing, such as {sorted(missing)[:5]}"
        assert set(seen) <= self.may, f"{where}: names that never were"


def in_batches(g: Folder, path: str, batch: int) -> Iterator[list[bytes]]:
    """List a folder as the mount does: a few at a time, each time from the last cookie on."""
    ino, after = g.ino(path), 0
    while lines := list(islice(g.tree.list(ino, after), batch)):
        after = lines[-1][0]
        yield [name for _, name, _ in lines]


async def change_in_process(folder: Path, count: int) -> None:
    changes = Changes(count)
    async with opened(folder, offline=True) as g:
        many = Many(g.gallery, b"many", "many")
        many.add(names(0, count))
        batch = count // (len(changes.removed) + 5)
        listings = {path: in_batches(g, path, batch) for path in FOLDERS}
        seen: dict[str, list[bytes]] = {path: [] for path in FOLDERS}
        todo = list(zip(changes.removed, changes.added, strict=True))
        while listings:
            for path, listing in list(listings.items()):
                found = next(listing, None)
                if found is None:
                    del listings[path]
                else:
                    seen[path] += found
            if todo:
                removed, added = todo.pop()
                many.remove(names(*removed))
                many.add(names(*added))
        assert not todo, "the listings ended before everything had changed"
        for path in FOLDERS:
            changes.check(seen[path], path)
            assert len(g.names(path)) == count
        assert len(list(g.gallery.state.trash())) == 0


def getdents(fd: int, size: int) -> list[bytes]:
    """One getdents64(2) with a buffer of ``size`` bytes."""
    buffer = ctypes.create_string_buffer(size)
    got = libc.getdents64(fd, buffer, size)
    if got < 0:
        raise OSError(ctypes.get_errno(), "getdents64")
    found, at = [], 0
    while at < got:
        _, _, length, _ = struct.unpack_from("<QqHB", buffer, at)
        found.append(buffer.raw[at + 19 : at + length].split(b"\0", 1)[0])
        at += length
    return found


def change_on_a_mount(server: Server, count: int) -> None:
    changes = Changes(count)
    server.say(f"many add 0 {count}")
    fds = {path: os.open(server.path / path, os.O_RDONLY | os.O_DIRECTORY) for path in FOLDERS}
    seen: dict[str, list[bytes]] = {path: [] for path in FOLDERS}
    todo = list(zip(changes.removed, changes.added, strict=True))
    every = count // 30 // (len(todo) + 5)
    reads = 0
    left = dict(fds)
    while left:
        for path, fd in list(left.items()):
            found = getdents(fd, SMALL)
            if not found:
                del left[path]
            seen[path] += [name for name in found if name not in (b".", b"..")]
        reads += 1
        if todo and reads % every == 0:
            removed, added = todo.pop()
            server.say(f"many remove {removed[0]} {removed[1]}")
            server.say(f"many add {added[0]} {added[1]}")
    for fd in fds.values():
        os.close(fd)
    assert not todo, "the listings ended before everything had changed"
    for path in FOLDERS:
        changes.check(seen[path], path)


def test_a_listing_that_changes_while_it_is_read_is_whole(tmp_path: Path) -> None:
    trio.run(make, tmp_path)
    trio.run(change_in_process, tmp_path, 6_000)


@pytest.mark.long
def test_a_listing_of_a_hundred_thousand_that_changes_is_whole(tmp_path: Path) -> None:
    trio.run(make, tmp_path)
    trio.run(change_in_process, tmp_path, 100_000)


@pytest.fixture
def server(mountpoint: Path, tmp_path: Path) -> Iterator[Server]:
    command = [sys.executable, str(HERE / "vault_server.py"), str(mountpoint), str(tmp_path / "v")]
    server = Server(mountpoint, command)
    try:
        assert server.hear() == "ready"
        yield server
    finally:
        server.close()


@pytest.mark.mount
def test_a_mounted_folder_that_changes_is_listed_whole_in_small_portions(server: Server) -> None:
    change_on_a_mount(server, 6_000)


@pytest.mark.mount
@pytest.mark.long
def test_a_mounted_folder_of_a_hundred_thousand_is_listed_whole(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mounted.PATIENCE", 300.0)
    change_on_a_mount(server, 100_000)
