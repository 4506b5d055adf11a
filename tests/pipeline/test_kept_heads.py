"""The heads of what is not on this machine are; they are sealed, bounded and never in the way."""

from __future__ import annotations

import errno
import io
import os
import random
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from far_store import Far
from gallery_kit import Folder, hurry, make, secret_of
from PIL import Image

from tagfs.crypto import chunked
from tagfs.errors import FileError
from tagfs.model import Content
from tagfs.pipeline import copies, small_cache
from tagfs.pipeline import heads as heads_module
from tagfs.pipeline.disk import REAL, Buffer, RealDisk
from tagfs.pipeline.heads import Heads
from tagfs.pipeline.opening import open_gallery
from tagfs.pipeline.small_cache import SmallCache
from tagfs.pipeline.spool import Spool
from tagfs.remote.url import dir_url, open_store
from tagfs.vault.keys import KeyRing
from tagfs.vault.objects import ContentWriter
from tagfs.vault.packs import MEDIA_TYPE as PACK

RING = KeyRing.create()
KEY = bytes(32)


def values(count: int, size: int = 5000) -> dict[bytes, bytes]:
    noise = random.Random(count)
    return {b"%d" % i: noise.randbytes(size) for i in range(count)}


# -- the cache -----------------------------------------------------------------------------------


def test_small_values_survive_a_restart(tmp_path: Path) -> None:
    cache = SmallCache(tmp_path / "c", KEY, 10**6)
    wanted = values(20) | {b"empty": b"", b"page": bytes(4096)}
    for key, value in wanted.items():
        cache.put(key, value)
    for found in (cache, SmallCache(tmp_path / "c", KEY, 10**6)):
        assert {key: found.get(key) for key in wanted} == wanted
        assert found.get(b"another") is None


def test_the_oldest_values_go_first_and_the_limit_holds(tmp_path: Path) -> None:
    limit = 1_000_000
    cache = SmallCache(tmp_path / "c", KEY, limit)
    wanted = values(300)
    for key, value in wanted.items():
        cache.put(key, value)
    here = [key in cache for key in wanted]
    assert here == sorted(here)  # absent ones, then those that are here
    assert 80 < sum(here) < 130
    assert cache.size <= limit
    assert sum(p.stat().st_size for p in (tmp_path / "c").iterdir()) == cache.size
    smaller = SmallCache(tmp_path / "c", KEY, limit // 2)
    assert smaller.size <= limit // 2
    assert smaller.get(list(wanted)[-1]) == wanted[list(wanted)[-1]]


@pytest.mark.parametrize("harm", ["cut", "flipped", "zeros", "emptied", "swapped"])
def test_what_a_crash_or_somebody_has_damaged_is_absent(tmp_path: Path, harm: str) -> None:
    wanted = values(10)
    for part in (0, 1):
        cache = SmallCache(tmp_path / "c", KEY, 10**7)
        for key, value in list(wanted.items())[part * 5 : part * 5 + 5]:
            cache.put(key, value)
    one, two = sorted((tmp_path / "c").iterdir())
    raw = one.read_bytes()
    cut = len(raw) * 2 // 3
    mutants = {
        "cut": raw[:cut],
        "flipped": raw[:cut] + bytes([raw[cut] ^ 1]) + raw[cut + 1 :],
        "zeros": raw[:cut] + bytes(len(raw) - cut),
        "emptied": b"",
        "swapped": two.read_bytes(),
    }
    one.write_bytes(mutants[harm])
    again = SmallCache(tmp_path / "c", KEY, 10**7)
    found = {key: again.get(key) for key in wanted}
    assert {k: v for k, v in found.items() if v is not None}.items() <= wanted.items()
    assert sum(v is None for v in found.values()) in range(1, 6)
    for key, value in wanted.items():
        again.put(key, value)
    assert {key: again.get(key) for key in wanted} == wanted


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    cache = SmallCache(tmp_path / "c", KEY, 10**6)
    cache.put(b"key", b"value")
    assert SmallCache(tmp_path / "c", bytes(31) + b"\1", 10**6).get(b"key") is None


class Failing(RealDisk):
    """Writes half of what is asked for, then says that the disk is full."""

    failing = False

    def pwrite(self, fd: int, data: Buffer, offset: int) -> int:
        if self.failing:
            super().pwrite(fd, memoryview(data)[: len(data) // 2], offset)
            raise OSError(errno.ENOSPC, "full")
        return super().pwrite(fd, data, offset)


def test_a_full_disk_keeps_nothing_new_and_spoils_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed: set[tuple[bytes, bytes]] = set()

    def seen(key: bytes, nonce: bytes) -> None:
        assert (key, nonce) not in sealed, "a key and nonce were used twice"
        sealed.add((key, nonce))

    monkeypatch.setattr(chunked, "observe", seen)
    disk = Failing()
    wanted = values(9)
    for _ in range(3):
        cache = SmallCache(tmp_path / "c", KEY, 10**6, disk=disk)
        for number, (key, value) in enumerate(wanted.items()):
            disk.failing = number % 3 == 1
            cache.put(key, value)
        disk.failing = False
    assert {key: cache.get(key) for key in wanted if cache.get(key)}.keys() >= {b"0", b"8"}
    assert all(cache.get(key) in (None, value) for key, value in wanted.items())
    assert len(sealed) > 6


# -- what leaves the spool -------------------------------------------------------------------------


def sealed(spool: Spool, data: bytes, media_type: str) -> Content:
    writer = ContentWriter(RING, spool.open_part, spool.close_part)
    writer.append(data)
    content = writer.finish(b"", 0, media_type)
    for part in content.parts:
        spool.settle(part.name)
    return content


def test_the_head_stays_when_the_copy_goes(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", RING)
    heads = Heads.beside(spool, tmp_path / "heads", RING, REAL)
    noise = random.Random(5)
    big = noise.randbytes(40_000_000)
    contents = {
        "big": sealed(spool, big, "video/mp4"),
        "small": sealed(spool, big[:1000], "image/jpeg"),
        "text": sealed(spool, big[7:300_000], "text/plain"),
    }
    spool.do_later(spool.take_later())
    assert heads.get(contents["big"].id) is None  # as long as the copy is here
    spool.shrink(0)
    assert all(spool.open_local(p.name) is None for c in contents.values() for p in c.parts)
    assert heads.get(contents["big"].id) == big[: 64 * 1024]
    assert heads.get(contents["small"].id) == big[:1000]
    assert heads.get(contents["text"].id) == big[7 : 7 + 16 * 1024]


def test_packs_of_thumbnails_stay_longest_within_their_own_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "spool", RING)
    heads = Heads.beside(spool, tmp_path / "heads", RING, REAL)
    packs = [sealed(spool, os.urandom(3000), PACK) for _ in range(4)]
    photo = sealed(spool, os.urandom(3000), "image/png")
    spool.do_later(spool.take_later())
    spool.shrink(0)
    assert spool.open_local(photo.parts[0].name) is None
    for pack in packs:
        spool.close(spool.open_local(pack.parts[0].name) or -1)
        assert heads.get(pack.id) is None
    monkeypatch.setattr(copies, "SMALL", 2 * packs[0].parts[0].stored)
    spool.shrink(0)
    assert [spool.open_local(p.parts[0].name) is not None for p in packs] == [False] * 2 + [
        True
    ] * 2


def test_a_copy_that_does_not_verify_leaves_no_head(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", RING)
    heads = Heads.beside(spool, tmp_path / "heads", RING, REAL)
    content = sealed(spool, os.urandom(3000), "image/png")
    path = spool.path(content.parts[0].name)
    raw = bytearray(path.read_bytes())
    raw[100] ^= 1
    path.write_bytes(raw)
    spool.do_later(spool.take_later())
    spool.shrink(0)
    assert spool.open_local(content.parts[0].name) is None
    assert heads.get(content.id) is None


# -- a gallery whose remote is gone ---------------------------------------------------------------


@asynccontextmanager
async def far(tmp: Path) -> AsyncIterator[tuple[Folder, Far]]:
    store = Far(open_store(dir_url(tmp / "remote"), create=False))
    async with open_gallery(
        tmp / "state", secret_of(tmp / "state"), open_remote=lambda url, create: store
    ) as gallery:
        hurry(gallery)
        yield Folder(gallery), store


def photo() -> bytes:
    image = Image.frombytes("RGB", (500, 500), random.Random(4).randbytes(500 * 500 * 3))
    exif = Image.Exif()
    exif[0x0110] = "ACME 1"
    exif.get_ifd(0x8769)[0x9286] = "said " * 4000
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif, quality=90)
    return out.getvalue()


async def look(g: Folder, path: str, data: bytes) -> None:
    """Read a photo's head as a program would; nothing may have to be waited for."""
    handle = await g.tree.open(g.ino(path), os.O_RDONLY)
    for size in (16, 4096, 16384, 20480):
        assert handle.read_now(0, size) == data[:size]
    assert handle.read_now(4096, 8192) == data[4096:12288]
    await handle.release()


@pytest.mark.parametrize("by", ["the cache was too small", "it was read once from the remote"])
def test_heads_are_read_without_a_request_and_the_rest_asks_for_it(tmp_path: Path, by: str) -> None:
    data = photo()

    async def script() -> None:
        await make(tmp_path)
        async with far(tmp_path) as (g, store):
            await g.write("IMG.jpg", data)
            assert await g.gallery.wait("stored", 60)
            await g.gallery.sync()
            if by == "the cache was too small":
                g.gallery.spool.shrink(0)
        if by == "it was read once from the remote":
            shutil.rmtree(tmp_path / "state" / "cache")
            async with far(tmp_path) as (g, store):
                assert await g.read("IMG.jpg") == data
                assert store.gets > 0
        async with far(tmp_path) as (g, store):
            store.gone = True
            await look(g, "IMG.jpg", data)
            assert store.gets == 0
            handle = await g.tree.open(g.ino("IMG.jpg"), os.O_RDONLY)
            assert handle.read_now(0, len(data)) is None
            with pytest.raises(FileError) as caught:
                await handle.read(0, len(data))
            assert caught.value.errno == errno.ENETUNREACH
            assert store.gets > 0
            await handle.release()
        async with far(tmp_path) as (g, store):  # the one before is not asked again at once
            assert await g.read("IMG.jpg") == data

    trio.run(script)


def test_an_edit_of_an_absent_photo_is_read_over_its_head(tmp_path: Path) -> None:
    """The head is that of a content: another content in the same file has its own."""
    data = photo()

    async def script() -> None:
        await make(tmp_path)
        async with far(tmp_path) as (g, store):
            await g.write("IMG.jpg", data)
            assert await g.gallery.wait("stored", 60)
            await g.gallery.sync()
            g.gallery.spool.shrink(0)
            handle = await g.tree.open(g.ino("IMG.jpg"), os.O_RDWR)
            handle.write(100, b"edited")
            await handle.flush()
            await handle.release()
            assert (await g.read("IMG.jpg"))[:200] == data[:100] + b"edited" + data[106:200]
            assert await g.gallery.wait("stored", 60)
            await g.gallery.sync()
            g.gallery.spool.shrink(0)
            store.gone = True
            await look(g, "IMG.jpg", data[:100] + b"edited" + data[106:])

    trio.run(script)


def test_the_limits_are_what_the_documents_say() -> None:
    assert heads_module.LIMIT == copies.SMALL == 512 * 1024**2
    assert small_cache.MAX_VALUE >= 64 * 1024
