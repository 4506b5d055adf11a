"""What goes to the remote first, how much at once, and that a rest or a failure loses nothing."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from desk import RING
from gallery_kit import SECRET, Folder, hurry, make, opened, secret_of

from tagfs.catalog.schema import Table
from tagfs.errors import Refused
from tagfs.model import Content, ContentId
from tagfs.pipeline import uploading
from tagfs.pipeline.local import LocalContents
from tagfs.pipeline.opening import join, open_gallery
from tagfs.pipeline.spool import Spool
from tagfs.remote.store import Store
from tagfs.remote.url import dir_url, open_store
from tagfs.vault.objects import ContentWriter, object_path
from tagfs.vault.packs import MEDIA_TYPE as PACK


class Rows(dict[tuple[Table, bytes], bytes]):
    """A catalog's rows in memory."""

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        self[table, key] = value

    def get(self, table: Table, key: bytes) -> bytes | None:  # type: ignore[override]
        return super().get((table, key))

    def delete(self, table: Table, key: bytes) -> None:
        self.pop((table, key), None)


class Queued:
    """A queue over a real spool; contents are called by numbers, the oldest 0."""

    def __init__(self, root: Path) -> None:
        self.spool = Spool(root / "spool", RING)
        self.rows = Rows()
        self.known: dict[ContentId, Content] = {}
        self.numbers: dict[ContentId, int] = {}
        self.local = self.again()

    def again(self) -> LocalContents:
        return LocalContents(self.rows, self.spool)

    def add(self, media_type: str = "image/jpeg") -> Content:
        writer = ContentWriter(RING, self.spool.open_part, self.spool.close_part)
        writer.append(len(self.known).to_bytes(4, "big") * 100)
        content = writer.finish(b"", 0, media_type)
        self.numbers[content.id] = len(self.known)
        self.known[content.id] = content
        self.local.recorded(content)
        return content

    def order(self, local: LocalContents | None = None) -> list[int]:
        return [self.numbers[content.id] for content in (local or self.local).queue()]


def test_packs_go_first_then_the_newest_and_the_oldest_photo_in_turn(tmp_path: Path) -> None:
    queued = Queued(tmp_path)
    for kind in ("image/jpeg", PACK, "image/png", "video/mp4", PACK, "image/jpeg", "text/plain"):
        queued.add(kind)
    assert queued.order() == [1, 4, 6, 0, 5, 2, 3]
    assert queued.order(queued.again()) == queued.order()


def test_what_arrives_meanwhile_takes_its_place_and_nothing_is_left_out(tmp_path: Path) -> None:
    rng = random.Random(7)
    queued = Queued(tmp_path)
    waiting: dict[int, Content] = {}
    for _ in range(400):
        if rng.random() < 0.55 or not waiting:
            content = queued.add()
            waiting[queued.numbers[content.id]] = content
        else:
            going = next(iter(queued.local.queue()))
            queued.local.uploaded(going)
            del waiting[queued.numbers[going.id]]
        order = queued.order()
        assert sorted(order) == sorted(waiting)
        assert order[:1] == sorted(waiting)[-1:]
        assert order[1:2] == sorted(waiting)[:-1][:1]
        stored = sum(part.stored for c in waiting.values() for part in c.parts)
        assert queued.local.waiting_bytes() == stored
        assert queued.local.waiting() == len(waiting)


class Watched(Store):
    """Passes everything on; sees how many objects are under way, and may refuse some."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.kind, self.where = inner.kind, inner.where
        self.began: list[str] = []
        self.segments = 0
        self.refused: set[str] = set()
        self.together = 0
        """So many objects are waited for before any of them goes on."""
        self._met = trio.Event()

    async def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        self.segments += name.startswith("j/")
        await self._inner.put(name, data)

    async def put_file(self, name: str, path: Path) -> None:
        self.began.append(name)
        if len(self.began) >= self.together:
            self._met.set()
        await self._met.wait()
        if name in self.refused:
            raise Refused("The remote does not want this one.")
        await self._inner.put_file(name, path)

    async def get(self, name, offset=0, size=None):
        return await self._inner.get(name, offset, size)

    async def stat(self, name):
        return await self._inner.stat(name)

    async def list(self, prefix="", cursor=None):
        return await self._inner.list(prefix, cursor)

    async def delete(self, name):
        await self._inner.delete(name)


@asynccontextmanager
async def watched(tmp: Path) -> AsyncIterator[tuple[Folder, Watched]]:
    stores: list[Watched] = []

    def remote(url: str, create: bool) -> Store:
        stores.append(Watched(open_store(url, create=create)))
        return stores[-1]

    async with open_gallery(tmp / "state", secret_of(tmp / "state"), open_remote=remote) as gallery:
        hurry(gallery)
        yield Folder(gallery), stores[0]


def test_several_objects_are_under_way_at_once(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        async with watched(tmp_path) as (g, store):
            await g.gallery.uploader.line.pause()
            for number in range(8):
                await g.write(f"{number}.bin", b"%d" % number)
            store.together = 8  # one after the other would wait for ever
            await g.gallery.uploader.line.resume()
            assert await g.gallery.wait("stored", 60)
            assert len(store.began) == len(set(store.began)) == 8

    trio.run(script)


def test_a_large_file_waits_for_no_company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploading, "PAUSE", 3600.0)
    monkeypatch.setattr(uploading, "PLENTY", 100_000)

    async def script() -> None:
        await make(tmp_path)
        async with watched(tmp_path) as (g, _):
            assert await g.gallery.wait("stored", 60)
            await g.write("large.bin", bytes(100_000))
            assert await g.gallery.wait("stored", 60)
            await g.write("small.bin", b"small")
            assert not await g.gallery.wait("stored", 1.0)

    trio.run(script)


def test_one_object_that_is_refused_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "RETRY", 0.05)

    async def script() -> None:
        await make(tmp_path)
        async with watched(tmp_path) as (g, store):
            await g.gallery.uploader.line.pause()
            for number in range(5):
                await g.write(f"{number}.bin", b"%d" % number)
            store.refused = {_object_of(g, "0.bin")}
            await g.gallery.uploader.line.resume()
            # The failure is told when what began beside it has ended, a moment after it is stored.
            with trio.fail_after(60):
                while (status := g.gallery.status()).upload.contents > 1 or (
                    "does not want" not in status.remote_state
                ):
                    await trio.sleep(0.01)
            assert not await g.gallery.wait("stored", 0.2)  # it is the oldest: all wait for it
            store.refused.clear()
            assert await g.gallery.wait("stored", 60)
            assert g.gallery.status().remote_state == "ok"
        await _everything_is_there(tmp_path, 5)

    trio.run(script)


def test_what_is_uploaded_is_published_before_all_is_uploaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "TOGETHER", 2)
    monkeypatch.setattr(uploading, "PUBLISH_EVERY", 0.0)

    async def script() -> None:
        await make(tmp_path)
        async with watched(tmp_path) as (g, store):
            await g.gallery.uploader.line.pause()
            for number in range(12):
                await g.write(f"{number}.bin", b"%d" % number)
            await g.gallery.uploader.line.resume()
            assert await g.gallery.wait("stored", 60)
            assert store.segments > 1
        await _everything_is_there(tmp_path, 12)

    trio.run(script)


def test_nothing_is_sent_while_uploading_rests_and_all_of_it_after(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        async with watched(tmp_path) as (g, store):
            await g.gallery.uploader.line.pause()
            for number in range(3):
                await g.write(f"{number}.bin", b"%d" % number)
            assert not await g.gallery.wait("stored", 1.5)
            upload = g.gallery.status().as_json()["upload"]
            assert isinstance(upload, dict)
            assert upload["paused"]
            assert upload["seconds"] is None
            assert g.gallery.unsent() == {"contents": 3, "bytes": upload["bytes"], "stored": False}
            assert (store.began, store.segments) == ([], 0)
        async with watched(tmp_path) as (g, store):  # a restart ends no rest
            assert not await g.gallery.wait("stored", 1.5)
            assert (store.began, store.segments) == ([], 0)
            await g.gallery.uploader.line.resume()
            assert await g.gallery.wait("stored", 60)
            assert g.gallery.unsent() == {"contents": 0, "bytes": 0, "stored": True}
        await _everything_is_there(tmp_path, 3)

    trio.run(script)


def _object_of(g: Folder, path: str) -> str:
    """Return the remote's name of a small file's only object."""
    content = g.tree.at(path.encode()).content
    assert content is not None
    photo = g.gallery.state.photos.get(content[0])
    assert photo is not None
    assert photo.content is not None
    return object_path(photo.content.parts[0].name)


async def _everything_is_there(tmp_path: Path, number: int) -> None:
    """Another device reads every file from the remote alone."""
    await join(tmp_path / "other", dir_url(tmp_path / "remote"), SECRET)
    async with opened(tmp_path, "other") as g:
        for name in range(number):
            assert await g.read(f"{name}.bin") == b"%d" % name
