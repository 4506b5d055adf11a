"""The only copy of an object never lies where it may be evicted, whatever else has its bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from colours import ByColour, picture
from gallery_kit import Folder, hurry, make, opened, secret_of
from kills import Steps

from tagfs.model import Content, ObjectName
from tagfs.pipeline import uploading
from tagfs.pipeline.copies import folders, name_of
from tagfs.pipeline.opening import open_gallery
from tagfs.pipeline.state_dir import StateDir
from tagfs.remote.store import Bytes, Store
from tagfs.remote.url import open_store
from tagfs.vault.layout import object_path
from tagfs.vault.ops import RecordContent

DATA = b"the only photo" * 500


def copies(state: Path) -> set[ObjectName]:
    """Return what may be evicted from a state directory."""
    cache = StateDir(state).spool.with_name("cache")
    if not cache.exists():
        return set()
    found = (name_of(f.name, entry.name) for f in folders(cache) for entry in f.iterdir())
    return {name for name in found if name is not None}


def only_here(tmp: Path) -> set[str]:
    """Return the evictable copies of objects that the remote does not have."""
    paths = map(object_path, copies(tmp / "state"))
    return {path for path in paths if not (tmp / "remote" / path).exists()}


def record_again(g: Folder, data: bytes) -> Content:
    """Seal and record bytes that are recorded already, as another program's race would."""
    content = g.gallery.contents.seal(data, b"again", 1, "application/octet-stream")
    known = g.gallery.state.photos.content(content.id)
    assert known is not None
    assert known.parts != content.parts
    g.gallery.ledger.commit([RecordContent(content)])
    return content


class Held(Store):
    """Waits before the answer to the first object that it takes."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.kind, self.where = inner.kind, inner.where
        self.reached, self.go = trio.Event(), trio.Event()

    async def put(self, name: str, data: Bytes) -> None:
        await self._inner.put(name, data)

    async def put_file(self, name, path):
        await self._inner.put_file(name, path)
        self.reached.set()
        await self.go.wait()

    async def get(self, name, offset=0, size=None):
        return await self._inner.get(name, offset, size)

    async def stat(self, name):
        return await self._inner.stat(name)

    async def list(self, prefix="", cursor=None):
        return await self._inner.list(prefix, cursor)

    async def delete(self, name):
        await self._inner.delete(name)


async def everything_is_stored(tmp: Path, g: Folder, *records: Content) -> None:
    """All is uploaded under its own names, and what went to the cache is on the remote."""
    assert await g.gallery.wait("stored", 60)
    await g.gallery.sync()
    for content in records:
        for part in content.parts:
            assert (tmp / "remote" / object_path(part.name)).exists()
            assert not g.gallery.spool.has(part.name)
    assert only_here(tmp) == set()


@pytest.mark.parametrize("when", ["before", "under way", "stored"])
def test_bytes_recorded_a_second_time_are_uploaded_before_their_copy_may_go(
    tmp_path: Path, when: str
) -> None:
    async def script() -> None:
        await make(tmp_path)
        stores: list[Held] = []

        def remote(url: str, create: bool) -> Store:
            stores.append(Held(open_store(url, create=create)))
            return stores[-1]

        state = tmp_path / "state"
        async with open_gallery(state, secret_of(state), open_remote=remote) as gallery:
            hurry(gallery)
            g = Folder(gallery)
            if when == "before":
                await gallery.uploader.line.pause()
            if when == "stored":
                stores[0].go.set()
            await g.write("a.bin", DATA)
            if when == "under way":
                await stores[0].reached.wait()
            if when == "stored":
                assert await gallery.wait("stored", 60)
            again = record_again(g, DATA)
            stores[0].go.set()
            await gallery.uploader.line.resume()
            await everything_is_stored(tmp_path, g, again)
        async with opened(tmp_path) as g:
            await everything_is_stored(tmp_path, g, again)
            assert not (await g.gallery.verify(1.0)).problems

    trio.run(script)


def test_killed_at_any_step_between_sealed_and_settled_it_keeps_the_only_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "PAUSE", 0.0)

    async def run(steps: Steps) -> None:
        state = tmp_path / "state"
        async with open_gallery(
            state, secret_of(state), disk=steps, open_remote=steps.store
        ) as gallery:
            hurry(gallery)
            g = Folder(gallery)
            await g.write("first.bin", b"first")
            assert await gallery.wait("stored", 60)
            steps.watching = True
            await g.write("a.bin", DATA)
            record_again(g, DATA)
            assert await gallery.wait("stored", 60)
            record_again(g, DATA)
            assert await gallery.wait("stored", 60)
            await gallery.sync()
            steps.watching = False

    async def start_again(moment: Path) -> None:
        assert only_here(moment) == set()
        async with opened(moment) as g:
            await g.gallery.sync()
            assert only_here(moment) == set()
            await everything_is_stored(moment, g)
            assert not (await g.gallery.verify(1.0)).problems  # no copy from here is asked
            assert await g.read("first.bin") == b"first"
            if "a.bin" in g.names() and g.tree.at(b"a.bin").content is not None:
                assert await g.read("a.bin") == DATA

    trio.run(make, tmp_path)
    steps = Steps(tmp_path)
    trio.run(run, steps)
    assert len({what for what, _ in steps.moments}) > 4
    for number, (what, moment) in enumerate(steps.moments):
        try:
            trio.run(start_again, moment)
        except BaseException as e:
            e.add_note(f"killed at step {number}, after {what}")
            raise


def test_packs_that_a_second_look_makes_the_same_are_not_recorded_again(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=ByColour()) as g:
            await g.write("dog.png", picture(200))
            assert await g.gallery.wait("stored", 60)
            objects = {p for p in (tmp_path / "remote" / "o").rglob("*") if p.is_file()}
            photo = g.tree.at(b"dog.png").content
            assert photo is not None
            await g.gallery.looker.look_again([photo[0]])
            await everything_is_stored(tmp_path, g)
            assert {p for p in (tmp_path / "remote" / "o").rglob("*") if p.is_file()} == objects
            assert g.gallery.spool.sizes() == {}

    trio.run(script)
