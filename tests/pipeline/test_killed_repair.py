"""A kill while a vault is repaired: nothing is lost, and the next run brings back the rest."""

from __future__ import annotations

import shutil
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import trio
from colours import ByColour, photo
from every_call import EveryCall, Moment
from gallery_kit import Folder, make, opened, secret_of

from tagfs.pipeline import looking, uploading
from tagfs.pipeline.from_objects import recover_from_objects
from tagfs.pipeline.opening import join
from tagfs.pipeline.putting_back import put_back
from tagfs.remote.dir import DirStore
from tagfs.remote.url import dir_url

FILES = {
    "dog.jpg": photo(1),
    "cat.jpg": photo(2, red=10),
    "letter.txt": b"Dear all,",
    "long.bin": bytes(range(250)) * 1200,
}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish and look at photos without waiting for more."""
    monkeypatch.setattr(uploading, "PAUSE", 0.0)
    monkeypatch.setattr(looking, "SETTLE", 0.01)


async def filled(tmp: Path) -> None:
    await make(tmp)
    async with opened(tmp, recogniser=ByColour()) as g:
        for name, data in FILES.items():
            await g.write(name, data)
            assert await g.gallery.wait("stored", 60)
    shutil.copytree(tmp / "remote", tmp / "copy")


def lose(remote: Path, *kinds: str) -> None:
    for path in (p for kind in kinds for p in (remote / kind).rglob("*") if p.is_file()):
        path.unlink()


def objects(remote: Path) -> dict[str, bytes]:
    """Return what lies on a remote, but for what is on its way in."""
    found = (p for p in remote.rglob("*") if p.is_file())
    paths = ((str(p.relative_to(remote)), p) for p in found)
    return {name: path.read_bytes() for name, path in paths if not name.startswith(".")}


def test_killed_at_any_step_of_repair_nothing_is_torn_and_the_next_run_brings_the_rest(
    tmp_path: Path,
) -> None:
    calls = EveryCall(tmp_path, "state", "remote")
    missing: list[int] = []

    async def repair(g: Folder) -> int:
        report = await put_back(g.gallery, DirStore(tmp_path / "copy", create=False))
        assert report.failed == []
        return report.put + report.segments

    async def run() -> None:
        await filled(tmp_path)
        lose(tmp_path / "remote", "o", "j")
        shutil.rmtree(tmp_path / "state" / "cache")
        shutil.copytree(tmp_path / "state" / "catalog", tmp_path / "catalog")
        async with opened(tmp_path) as g:
            await g.gallery.rollback.looked.wait()
            await g.gallery.sync()
            with calls.watching():
                assert await repair(g) > 5

    async def start_again(moment: Moment) -> None:
        whole = objects(tmp_path / "copy")
        left = objects(tmp_path / "remote")
        assert left.items() <= whole.items()
        # As it was: repairing changes nothing in it.
        shutil.copytree(tmp_path / "catalog", tmp_path / "state" / "catalog")
        missing.append(len(whole) - len(left))
        async with opened(tmp_path) as g:
            assert await repair(g) == missing[-1]
            assert objects(tmp_path / "remote") == whole
            assert not (await g.gallery.verify(1.0)).problems
            for name, data in FILES.items():
                assert await g.read(name) == data

    trio.run(run)
    calls.each(lambda moment: trio.run(start_again, moment))
    assert missing == sorted(missing, reverse=True)
    assert missing[-1] == 0
    assert len(calls.moments) > 20


def test_killed_at_any_step_of_repair_from_objects_the_next_run_brings_every_file_once(
    tmp_path: Path,
) -> None:
    calls = EveryCall(tmp_path, "state", "remote")
    sealed: dict[str, bytes] = {}
    came: list[int] = []

    async def run() -> None:
        await filled(tmp_path)
        lose(tmp_path / "remote", "j")
        secret = secret_of(tmp_path / "state")
        shutil.rmtree(tmp_path / "state")
        await join(tmp_path / "state", dir_url(tmp_path / "remote"), secret)
        async with salvaged(tmp_path) as g:
            await g.gallery.sync()
        shutil.copytree(tmp_path / "state" / "catalog", tmp_path / "catalog")
        sealed.update(objects(tmp_path / "remote"))
        async with salvaged(tmp_path) as g:
            await g.gallery.sync()
            with calls.watching():
                report = await recover_from_objects(g.gallery)
            assert (report.files, report.failed, report.published) == (len(FILES), [], True)

    async def start_again(moment: Moment) -> None:
        there = objects(tmp_path / "remote")
        assert sealed.items() <= there.items()
        if moment.number % 2:  # else it is lost, and built from both journals
            shutil.copytree(tmp_path / "catalog", tmp_path / "state" / "catalog")
        async with salvaged(tmp_path) as g:
            report = await recover_from_objects(g.gallery)
            assert (report.failed, report.published) == ([], True)
            came.append(report.files)
            (folder,) = {name for name in g.names() if name.startswith("Recovered-")}
            assert g.names(folder) == sorted(FILES)
            for name, data in FILES.items():
                assert await g.read(f"{folder}/{name}") == data
            assert await g.gallery.wait("stored", 60)
            assert not (await g.gallery.verify(1.0)).problems
            before = g.gallery.state.state_hash()
        await join(tmp_path / "third", dir_url(tmp_path / "remote"), secret_of(tmp_path / "state"))
        async with opened(tmp_path, "third") as g:
            assert g.gallery.state.state_hash() == before
            for name, data in FILES.items():
                assert await g.read(f"{folder}/{name}") == data
        shutil.rmtree(tmp_path / "third")

    trio.run(run)
    calls.each(lambda moment: trio.run(start_again, moment))
    assert came == sorted(came, reverse=True)
    assert (came[0], came[-1]) == (len(FILES), 0)
    assert len(calls.moments) > 20


def salvaged(tmp: Path) -> AbstractAsyncContextManager[Folder]:
    return opened(tmp, recogniser=ByColour(), salvage=True)
