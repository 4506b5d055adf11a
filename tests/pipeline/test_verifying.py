"""``tagfs verify`` names all that is wrong, and not only what it meets first."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import trio
from gallery_kit import QUICK, SECRET, Folder, make, opened

sys.path.insert(0, str(Path(__file__).parent.parent / "remote"))
import dropbox_server

from tagfs.pipeline import uploading
from tagfs.pipeline.gallery import Gallery
from tagfs.pipeline.opening import create, open_gallery
from tagfs.pipeline.verifying import VerifyReport
from tagfs.vault.layout import segment_path
from tagfs.vault.segments import segment_name


def segment(tmp_path: Path, number: int) -> Path:
    """Return where a segment of the only device lies."""

    async def script() -> Path:
        async with opened(tmp_path) as g:
            vault = g.gallery.vault
            return (
                tmp_path
                / "remote"
                / segment_path(segment_name(vault.ring, vault.device.id, number))
            )

    return trio.run(script)


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vault with a segment and more for each of five files."""
    monkeypatch.setattr(uploading, "PAUSE", 0.0)

    async def script() -> None:
        await make(tmp_path)
        async with opened(tmp_path) as g:
            for name in "abcde":
                await g.write(name, name.encode() * 1000)
                assert await g.gallery.wait("stored", 60)
            assert not (await g.gallery.verify(1.0)).problems

    trio.run(script)


def verified(tmp_path: Path) -> VerifyReport:
    async def script() -> VerifyReport:
        async with opened(tmp_path) as g:
            return await g.gallery.verify(1.0)

    return trio.run(script)


@pytest.mark.usefixtures("filled")
def test_every_damaged_segment_is_named_and_those_behind_them_are_read(tmp_path: Path) -> None:
    whole = verified(tmp_path).segments
    damage(segment(tmp_path, 1))
    damage(segment(tmp_path, 3))
    report = verified(tmp_path)
    assert len(report.problems) == 2
    for number, problem in zip((1, 3), report.problems, strict=True):
        assert f"Journal segment {number} of device" in problem
    assert report.segments == whole - 2
    assert report.opened == report.objects == 5


@pytest.mark.usefixtures("filled")
def test_a_segment_that_is_missing_before_others_is_named(tmp_path: Path) -> None:
    segment(tmp_path, 2).unlink()
    (problem,) = verified(tmp_path).problems
    assert "Segment 2 of device" in problem
    assert "missing" in problem


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize("left", [None, b"", b"no header"])
def test_without_a_header_journals_and_objects_are_looked_at_all_the_same(
    tmp_path: Path, left: bytes | None
) -> None:
    whole = verified(tmp_path)
    header = tmp_path / "remote" / "h" / "00000001"
    if left is None:
        header.unlink()
    else:
        header.with_name("00000002").write_bytes(left)  # somebody who wants to be the newest
    report = verified(tmp_path)
    (problem,) = report.problems
    assert "h/0000000" in problem
    assert (report.opened, report.segments) == (whole.opened, whole.segments)


Open = Callable[[], AbstractAsyncContextManager[Gallery]]


async def in_dropbox(state: Path, account: dropbox_server.Account) -> Open:
    """Make a gallery in a Dropbox; return what opens it."""

    def remote(url: str, new: bool) -> dropbox_server.DropboxStore:
        return dropbox_server.opened(account)

    await create(state, "dropbox:///gallery", SECRET, QUICK, open_remote=remote)
    return lambda: open_gallery(state, SECRET, open_remote=remote)


def other_byte(data: bytes) -> bytes:
    return data[:100] + bytes([data[100] ^ 1]) + data[101:]


async def settled(cache: Path, path: str) -> Path:
    """Return this machine's copy of an object, once it lies where it stays."""
    with trio.fail_after(60):
        while not (found := [p for p in cache.rglob("*") if p.is_file() and p.name in path]):
            await trio.sleep(0.05)
    return found[0]


def test_the_providers_hashes_are_held_against_the_copies_here_and_nothing_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "PAUSE", 0.0)
    account = dropbox_server.loopback().account()

    def objects() -> list[str]:
        return sorted(path for path in account.nodes if "/o/" in path and account.nodes[path].data)

    async def script() -> None:
        gallery_opened = await in_dropbox(tmp_path / "state", account)
        async with gallery_opened() as gallery:
            for name in "abc":
                await Folder(gallery).write(name, os.urandom(200_000))
            assert await gallery.wait("stored", 60)
            report = await gallery.verify(None)
            assert (report.problems, report.compared, report.objects) == ([], 3, 3)
            damaged, here = objects()[:2]
            data = account.nodes.pop(damaged).data
            assert data is not None
            account.write(damaged, other_byte(data), strict=True)
            copy = await settled(tmp_path / "state" / "cache", here)
            copy.chmod(0o600)
            copy.write_bytes(other_byte(copy.read_bytes()))
            report = await gallery.verify(None)
            on_the_remote, on_this_machine = sorted(report.problems)
            assert "has other bytes on the remote than on this machine" in on_the_remote
            assert damaged.rpartition("/o/")[2] in on_the_remote
            assert "on this machine is damaged" in on_this_machine
            assert here.rpartition("/o/")[2] in on_this_machine
            assert report.opened == 0

    trio.run(script)


def test_where_the_provider_tells_no_hash_nothing_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "PAUSE", 0.0)
    account = dropbox_server.loopback().account()

    async def script() -> None:
        gallery_opened = await in_dropbox(tmp_path / "state", account)
        async with gallery_opened() as gallery:
            await Folder(gallery).write("a", os.urandom(200_000))
            assert await gallery.wait("stored", 60)
            for node in account.nodes.values():
                node.hash = ""
            report = await gallery.verify(None)
            assert (report.problems, report.compared, report.objects) == ([], 0, 1)

    trio.run(script)
