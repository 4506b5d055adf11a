"""Local copies: a cap that holds, pins that stay, and never a byte let go that is only here."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from far_store import Far
from gallery_kit import Folder, hurry, make, secret_of

from tagfs.errors import Usage
from tagfs.model import ObjectName
from tagfs.pipeline import copies as copies_module
from tagfs.pipeline.opening import open_gallery
from tagfs.pipeline.spool import Spool
from tagfs.pipeline.state_dir import StateDir
from tagfs.pipeline.whereabouts import fact, offload
from tagfs.remote.store import Store
from tagfs.remote.url import open_store
from tagfs.vault.keys import KeyRing

RING = KeyRing.create()


def name(number: int) -> ObjectName:
    return ObjectName(number.to_bytes(16, "big"))


def put(spool: Spool, number: int, size: int) -> None:
    """Let an object be written that no remote has yet."""
    fd = spool.open_part(name(number))
    spool.disk.pwrite(fd, bytes(size), 0)
    spool.close_part(name(number), fd)


def settle(spool: Spool, *numbers: int) -> None:
    for number in numbers:
        spool.settle(name(number))
    spool.do_later(spool.take_later())


def here(spool: Spool, numbers: range) -> list[int]:
    return [number for number in numbers if spool.is_here(name(number))]


def test_pinned_copies_and_open_ones_stay_and_count(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", RING, cache_bytes=4000)
    for number in range(6):
        put(spool, number, 1000)
    spool.copies.pin([name(0)])
    settle(spool, 0, 1)
    fd = spool.open_local(name(1))
    assert fd is not None
    settle(spool, 2, 3, 4)
    assert here(spool, range(5)) == [0, 1, 3, 4]
    assert (spool.copies.bytes, spool.copies.pinned_bytes) == (4000, 1000)
    spool.close(fd)
    settle(spool, 5)
    assert here(spool, range(6)) == [0, 1, 4, 5] or here(spool, range(6)) == [0, 3, 4, 5]
    spool.copies.unpin([name(0)])
    spool.copies.limit = 1000
    spool.shrink()
    assert len(here(spool, range(6))) == 1


def test_the_cap_holds_for_small_copies_too_which_go_last(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", RING, cache_bytes=3000)
    spool.copies.parting = lambda ident, fd: ident in (name(0), name(1))
    for number in range(6):
        put(spool, number, 1000)
        settle(spool, number)
    assert here(spool, range(6)) == [0, 1, 5]
    spool.copies.limit = 1000
    spool.shrink()
    assert here(spool, range(6)) == [1]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_the_cap_holds_and_what_is_only_here_stays(
    tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    limit = 8000
    spool = Spool(tmp_path / "spool", RING, cache_bytes=limit)
    only_here: set[int] = set()
    pinned: set[int] = set()
    opened: dict[int, int] = {}  # descriptor: number
    made = 0
    for _ in range(300):
        match rng.choice(["write", "settle", "pin", "unpin", "open", "close", "keep", "offload"]):
            case "write":
                put(spool, made, 1000)
                only_here.add(made)
                made += 1
            case "settle" if only_here:
                settled = rng.choice(sorted(only_here))
                settle(spool, settled)
                only_here.discard(settled)
            case "pin" if made and len(pinned) < 3:
                pinned.add(rng.randrange(made))
                spool.copies.pin(map(name, pinned))
            case "unpin" if pinned:
                spool.copies.unpin([name(pinned.pop())])
            case "open" if made and len(opened) < 3:
                number = rng.randrange(made)
                fd = spool.open_local(name(number))
                if fd is not None:
                    opened[fd] = number
            case "close" if opened:
                fd, _ = opened.popitem()
                spool.close(fd)
            case "keep" if made:
                number = rng.randrange(made)
                if number not in only_here:
                    spool.keep(name(number), bytes(1000))
            case "offload" if made:
                spool.copies.let_go(name(rng.randrange(made)))
        for number in only_here:
            assert spool.has(name(number))
        files = [f for f in (tmp_path / "cache").rglob("*") if f.is_file()]
        assert sum(f.stat().st_size for f in files) == spool.copies.bytes <= limit
        for number in opened.values():
            assert spool.is_here(name(number))
    spool.copies.limit = 0
    for fd in opened:
        spool.close(fd)
    spool.copies.unpin(map(name, pinned))
    spool.shrink()
    assert here(spool, range(made)) == sorted(only_here)


# -- a gallery -----------------------------------------------------------------------------------


@asynccontextmanager
async def far(tmp: Path) -> AsyncIterator[tuple[Folder, Far]]:
    """Open the gallery over a remote that has no files of this machine."""
    stores: list[Far] = []

    def remote(url: str, create: bool) -> Store:
        stores.append(Far(open_store(url, create=create)))
        return stores[-1]

    async with open_gallery(tmp / "state", secret_of(tmp / "state"), open_remote=remote) as gallery:
        hurry(gallery)
        yield Folder(gallery), stores[0]


def local(g: Folder, path: str) -> str | None:
    return fact(g.gallery, g.tree.at(path.encode()), b"local")


async def stored(g: Folder) -> None:
    assert await g.gallery.wait("stored", 60)
    await g.gallery.sync()


async def fetched(g: Folder, path: str) -> None:
    with trio.fail_after(60):
        while local(g, path) != "yes":
            await trio.sleep(0.01)


DATA = {path: random.Random(path).randbytes(300_000) for path in ("a.bin", "b.bin", "c.bin")}


def test_only_what_is_stored_is_let_go_and_it_comes_back_when_it_is_read(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        async with far(tmp_path) as (g, store):
            for path in ("a.bin", "b.bin"):
                await g.write(path, DATA[path])
            await stored(g)
            await g.gallery.uploader.line.pause()
            await g.write("c.bin", DATA["c.bin"])
            await g.gallery.pins.pin([g.tree.at(b"b.bin").id])
            files = [g.tree.at(path.encode()) for path in DATA]
            done = await offload(g.gallery, files)
            assert done.bytes >= 300_000
            assert sorted(done.left) == [
                ("b.bin", "it is pinned"),
                ("c.bin", "it is not stored yet"),
            ]
            assert [local(g, path) for path in DATA] == ["no", "yes", "yes"]
            asked = store.gets
            assert await g.read("b.bin") == DATA["b.bin"]
            assert await g.read("c.bin") == DATA["c.bin"]
            assert store.gets == asked
            assert await g.read("a.bin") == DATA["a.bin"]
            assert store.gets > asked
            assert [fact(g.gallery, f, b"pinned") for f in files] == [None, "yes", None]

    trio.run(script)


def test_what_somebody_has_open_is_let_go_no_sooner(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        async with far(tmp_path) as (g, _):
            await g.write("a.bin", DATA["a.bin"])
            await stored(g)
            handle = await g.tree.open(g.ino("a.bin"), os.O_RDONLY)
            assert handle.read_now(0, 100) == DATA["a.bin"][:100]
            file = g.tree.at(b"a.bin")
            assert (await offload(g.gallery, [file])).left == [("a.bin", "a program has it open")]
            await handle.release()
            assert (await offload(g.gallery, [file])).left == []
            assert local(g, "a.bin") == "no"

    trio.run(script)


def test_a_pinned_file_is_fetched_stays_over_restarts_and_stays_pinned_when_edited(
    tmp_path: Path,
) -> None:
    async def script() -> None:
        await make(tmp_path)
        place = StateDir(tmp_path / "state")
        async with far(tmp_path) as (g, _):
            for path, data in DATA.items():
                await g.write(path, data)
            await stored(g)
            await offload(g.gallery, [g.tree.at(b"a.bin")])
            assert await g.gallery.pins.pin([g.tree.at(b"a.bin").id]) == 1
            assert await g.gallery.pins.pin([g.tree.at(b"a.bin").id]) == 0
            await fetched(g, "a.bin")
        place.remember_cache_limit(400_000)
        async with far(tmp_path) as (g, store):
            assert [local(g, path) for path in DATA] == ["yes", "no", "no"]
            store.gone = True
            assert await g.read("a.bin") == DATA["a.bin"]
            store.gone = False
            await g.write("a.bin", DATA["b.bin"][::-1])
            await g.write("other.bin", DATA["c.bin"][::-1])
            await stored(g)
            assert (local(g, "a.bin"), local(g, "other.bin")) == ("yes", "no")
            cache = g.gallery.status().as_json()["cache"]
            assert isinstance(cache, dict)
            assert (cache["limit"], cache["pinned"]) == (400_000, 1)
            assert 300_000 <= cache["pinned_bytes"] == cache["bytes"] <= 400_000
            assert await g.gallery.pins.unpin([g.tree.at(b"a.bin").id]) == 1
        place.remember_cache_limit(1)
        async with far(tmp_path) as (g, _):
            assert local(g, "a.bin") == "no"
            assert await g.read("a.bin") == DATA["b.bin"][::-1]

    trio.run(script)


def test_what_is_pinned_without_the_remote_is_fetched_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagfs.pipeline.pins.RETRY", 0.05)

    async def script() -> None:
        await make(tmp_path)
        async with far(tmp_path) as (g, store):
            await g.write("a.bin", DATA["a.bin"])
            await stored(g)
            await offload(g.gallery, [g.tree.at(b"a.bin")])
            store.gone = True
            await g.gallery.pins.pin([g.tree.at(b"a.bin").id])
            with trio.fail_after(60):
                while g.gallery.pins.failure is None:
                    await trio.sleep(0.01)
            assert "gone" in g.gallery.pins.failure
            store.gone = False
            await fetched(g, "a.bin")

    trio.run(script)


def test_more_than_the_cache_holds_is_not_pinned(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        StateDir(tmp_path / "state").remember_cache_limit(400_000)
        async with far(tmp_path) as (g, _):
            for path, data in DATA.items():
                await g.write(path, data)
            ids = [g.tree.at(path.encode()).id for path in DATA]
            with pytest.raises(Usage, match="cache_size"):
                await g.gallery.pins.pin(ids)
            assert len(g.gallery.pins) == 0
            assert await g.gallery.pins.pin(ids[:1]) == 1

    trio.run(script)


def test_pins_that_cannot_be_read_are_none_and_nothing_else_is_lost(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        async with far(tmp_path) as (g, _):
            await g.write("a.bin", DATA["a.bin"])
            await g.gallery.pins.pin([g.tree.at(b"a.bin").id])
        (file,) = (tmp_path / "state" / "pins").iterdir()
        assert g.tree.at(b"a.bin").id not in file.read_bytes()
        raw = bytearray(file.read_bytes())
        raw[-1] ^= 1
        file.write_bytes(raw)
        async with far(tmp_path) as (g, _):
            assert len(g.gallery.pins) == 0
            assert await g.read("a.bin") == DATA["a.bin"]

    trio.run(script)


def test_the_cap_at_first_is_what_the_documents_say(tmp_path: Path) -> None:
    assert copies_module.CACHE == 10 * 1024**3
    assert StateDir(tmp_path).cache_limit(copies_module.CACHE) == copies_module.CACHE
