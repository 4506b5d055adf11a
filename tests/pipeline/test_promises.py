"""What a gallery promises beyond crashes: true waits, full disks, clocks set back, the trash."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest
import trio
from colours import ByColour, picture
from gallery_kit import Folder, make, opened, secret_of

from tagfs.errors import FileError
from tagfs.pipeline.notes import Kind
from tagfs.pipeline.opening import open_gallery
from tagfs.remote.store import Bytes, Store
from tagfs.remote.url import open_store
from tagfs.vault.objects import ContentWriter
from tagfs.views.nodes import ROOT_INODE


class SlowSegments(Store):
    """A store that keeps whoever publishes a segment waiting until it is let go."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.kind, self.where = inner.kind, inner.where
        self.reached = trio.Event()
        self.go = trio.Event()

    async def put(self, name: str, data: Bytes) -> None:
        if name.startswith("j/"):
            self.reached.set()
            await self.go.wait()
        await self._inner.put(name, data)

    async def put_file(self, name, path):
        await self._inner.put_file(name, path)

    async def get(self, name, offset=0, size=None):
        return await self._inner.get(name, offset, size)

    async def stat(self, name):
        return await self._inner.stat(name)

    async def list(self, prefix="", cursor=None):
        return await self._inner.list(prefix, cursor)

    async def delete(self, name):
        await self._inner.delete(name)


def test_what_is_done_while_a_segment_is_on_its_way_is_not_called_stored(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        stores: list[SlowSegments] = []

        def remote(url: str, create: bool) -> Store:
            stores.append(SlowSegments(open_store(url, create=create)))
            return stores[-1]

        async with open_gallery(
            tmp_path / "state", secret_of(tmp_path / "state"), open_remote=remote
        ) as gallery:
            g = Folder(gallery)
            g.mkdir("first")
            await stores[0].reached.wait()
            g.mkdir("second")
            stores[0].go.set()
            with trio.fail_after(20):
                while (
                    gallery.status().upload.behind
                ):  # what `wait` and `status` go by, at every moment
                    await trio.sleep(0)
            lines = gallery.ledger.journal.replay(gallery.uploader.published)
            assert [kind for _, kind, _ in lines if kind == Kind.UNIT] == []

    trio.run(script)


def test_a_wait_ends_although_more_was_done_meanwhile(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        async with opened(tmp_path) as g, trio.open_nursery() as nursery:
            g.mkdir("first")

            async def busy() -> None:
                await trio.sleep(0.2)
                g.mkdir("second")

            nursery.start_soon(busy)
            assert await g.gallery.wait("stored", 20)

    trio.run(script)


def test_a_clock_that_was_set_back_loses_nothing_that_is_written_after(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        async with opened(tmp_path) as g:
            await g.write("x.bin", b"before")
            g.tree.set_attr(g.ino("x.bin"), 0o600)
        long_ago = time.time_ns() - 10 * 365 * 86400 * 10**9
        async with open_gallery(
            tmp_path / "state", secret_of(tmp_path / "state"), now_ns=lambda: long_ago
        ) as gallery:
            g = Folder(gallery)
            await g.write("x.bin", b"after, with a dead battery")
            g.tree.set_attr(g.ino("x.bin"), 0o640)
            assert await g.read("x.bin") == b"after, with a dead battery"
            assert g.tree.attr(g.ino("x.bin")).mode == 0o640
        async with opened(tmp_path) as g:
            assert await g.read("x.bin") == b"after, with a dead battery"

    trio.run(script)


def test_a_full_disk_stops_no_task_and_all_goes_on_when_there_is_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=ByColour()) as g:
            await g.write("red.png", picture(200))
            await g.write("doc.bin", os.urandom(3000))
            handle = await g.tree.open(g.ino("doc.bin"), os.O_RDWR)
            handle.write(10, b"patched")
            await handle.flush()

            def full(self: object, *arguments: object) -> object:
                raise FileError(errno.ENOSPC)

            with monkeypatch.context() as patch:
                patch.setattr(ContentWriter, "finish", full)
                patch.setattr("tagfs.pipeline.contents.Contents.seal", full)
                patch.setattr("tagfs.pipeline.gallery.make_durable", full)
                patch.setattr(g.gallery.ledger.journal, "append", full)
                await handle.release()
                await trio.sleep(4)
                with pytest.raises(FileError) as caught:
                    g.mkdir("no room")
                assert caught.value.errno == errno.ENOSPC
                assert await g.read("red.png") == picture(200)
            assert await g.gallery.wait("stored", 30)
            assert g.names("tags/dog") == ["red.png"]
            assert (await g.read("doc.bin"))[10:17] == b"patched"

    trio.run(script)


@pytest.mark.parametrize("name", ["holiday.tmp", "letter~", "sedgefly9"])
def test_a_published_file_goes_to_the_trash_whatever_its_name_looks_like(
    tmp_path: Path, name: str
) -> None:
    async def script() -> None:
        await make(tmp_path)
        async with opened(tmp_path) as g:
            await g.write(name, b"the only copy")
            assert await g.gallery.wait("stored", 30)
            g.rm(name)
            assert g.names("trash") == [name]
            assert await g.read(f"trash/{name}") == b"the only copy"

    trio.run(script)


def test_a_file_that_was_never_published_under_a_temporary_name_is_gone_at_once(
    tmp_path: Path,
) -> None:
    async def script() -> None:
        await make(tmp_path)
        async with opened(tmp_path, offline=True) as g:
            await g.write("download.part", b"half of it")
            g.rm("download.part")
            assert g.names("trash") == []

    trio.run(script)


def test_a_file_that_is_not_sealed_yet_goes_to_the_trash_with_its_bytes(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        async with opened(tmp_path) as g:
            ino = g.tree.create(ROOT_INODE, b"odd.bin", 0o644).ino
            handle = await g.tree.open(ino, os.O_RDWR)
            handle.write(5, b"written from the middle")
            handle.write(0, b"start")
            await handle.flush()
            await handle.release()
            g.rm("odd.bin")  # before anything could re-seal it
            assert g.names("trash") == ["odd.bin"]
            with trio.fail_after(20):
                await g.gallery.wait("stored")
            assert await g.read("trash/odd.bin") == b"startwritten from the middle"

    trio.run(script)


def test_truncation_does_not_reach_into_the_trash(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        async with opened(tmp_path) as g:
            await g.write("x.bin", b"0123456789")
            g.rm("x.bin")
            with pytest.raises(FileError) as caught:
                await g.tree.truncate(g.ino("trash/x.bin"), 3)
            assert caught.value.errno == errno.EPERM
            assert await g.read("trash/x.bin") == b"0123456789"

    trio.run(script)
