"""A catalog built from the journals of several devices is as if it had always been there."""

from __future__ import annotations

import shutil
from pathlib import Path

import trio
from gallery_kit import SECRET, Folder, make, opened

from tagfs.pipeline.opening import join
from tagfs.remote.url import dir_url

RATING = b"user.baloo.rating"


def rate(g: Folder, stars: bytes) -> None:
    g.tree.marks.set_xattr(g.ino("all/x.jpg"), RATING, stars)


async def rated_by_two(tmp_path: Path) -> None:
    """One device brings a photo in, another rates it, then the first does."""
    await make(tmp_path)
    async with opened(tmp_path) as g:
        await g.write("all/x.jpg", b"\xff\xd8\xff a photo")
        assert await g.gallery.wait("stored", 60)
    await join(tmp_path / "other", dir_url(tmp_path / "remote"), SECRET)
    async with opened(tmp_path, "other") as g:
        rate(g, b"4")
        assert await g.gallery.wait("stored", 60)
    shutil.rmtree(tmp_path / "state" / "catalog")
    async with opened(tmp_path) as g:
        rate(g, b"8")
        assert await g.gallery.wait("stored", 60)


def test_after_rebuilding_undo_sets_back_what_another_device_had_said(tmp_path: Path) -> None:
    async def main() -> None:
        await rated_by_two(tmp_path)
        shutil.rmtree(tmp_path / "state" / "catalog")
        async with opened(tmp_path) as g:
            assert g.tree.marks.xattr(g.ino("all/x.jpg"), RATING) == b"8"
            g.gallery.undoing.undo()
            assert g.tree.marks.xattr(g.ino("all/x.jpg"), RATING) == b"4"

    trio.run(main)


def test_a_unit_with_a_clock_at_the_end_of_time_locks_nobody_out(tmp_path: Path) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path) as g:
            g.mkdir("before")
            assert await g.gallery.wait("stored", 60)
        await join(tmp_path / "other", dir_url(tmp_path / "remote"), SECRET)
        async with opened(tmp_path, "other") as g:
            g.gallery.ledger._clock.witness(2**64 - 3)
            g.mkdir("last")
            assert await g.gallery.wait("stored", 60)
        shutil.rmtree(tmp_path / "state" / "catalog")
        for time in range(2):
            async with opened(tmp_path) as g:
                for number in range(4):
                    g.mkdir(f"after{time}{number}")
                assert "before" in g.names()
                assert "last" not in g.names()
                if not time:
                    assert any("left out" in str(e["text"]) for e in g.gallery.ledger.events())

    trio.run(main)
