"""Bytes that were closed can be found: where they were written, in the trash, or after an undo."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import trio
from test_tree import picture, run

from tagfs.model import UnitId, random_id
from tagfs.pipeline import ledger as ledger_module
from tagfs.pipeline.undoing import Deed
from tagfs.vault.ops import MAX_OPS, MAX_UNIT, Field

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from gallery_kit import Folder, make, opened


async def by(g: Folder, who: int, path: str, data: bytes) -> None:
    """Write a file as a process of its own, and wait until it has its final form."""
    g.tree.acting(who)
    await g.write(path, data)
    await g.gallery.wait("recognised", 20)


async def everything(g: Folder, *folders: str) -> list[bytes]:
    """Return what all files of some folders and the trash hold."""
    found = [f"{folder}/{name}" for folder in (*folders, "trash") for name in g.names(folder)]
    return [await g.read(path) for path in found]


def acts(g: Folder, word: str) -> list[Deed]:
    """Return the acts that are described with a word, the newest first."""
    return [act for act in g.gallery.undoing.acts() if word in act.text]


def test_undoing_the_first_of_two_overwrites_keeps_what_it_replaced_in_the_trash(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        for who in (1, 2, 3):
            await by(g, who, "2019/x.png", picture(who))
        g.gallery.undoing.undo(acts(g, "changed")[1].id)
        assert await g.read("2019/x.png") == picture(3)
        assert sorted(await everything(g)) == sorted([picture(1), picture(2)])

    run(tmp_path, script)


def test_undoing_an_act_that_wrote_twice_keeps_what_was_written_between(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await by(g, 1, "2019/x.png", picture(1))
        await by(g, 2, "2019/x.png", picture(2))
        await by(g, 2, "2019/x.png", picture(3))
        g.gallery.undoing.undo()
        assert await g.read("2019/x.png") == picture(1)
        assert sorted(await everything(g)) == sorted([picture(2), picture(3)])

    run(tmp_path, script)


def test_undoing_an_overwrite_of_what_was_deleted_since_keeps_both(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await by(g, 1, "2019/x.png", picture(1))
        await by(g, 2, "2019/x.png", picture(2))
        g.tree.acting(3)
        g.rm("2019/x.png")
        g.gallery.undoing.undo(acts(g, "changed")[0].id)
        assert sorted(await everything(g)) == sorted([picture(1), picture(2)])

    run(tmp_path, script)


def test_undoing_an_overwrite_of_what_was_emptied_from_the_trash_keeps_the_older(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await by(g, 1, "2019/x.png", picture(1))
        await by(g, 2, "2019/x.png", picture(2))
        g.tree.acting(3)
        g.rm("2019/x.png")
        g.tree.acting(4)
        for name in g.names("trash"):
            if await g.read(f"trash/{name}") == picture(2):
                g.rm(f"trash/{name}")
        g.gallery.undoing.undo(acts(g, "changed")[0].id)
        assert await everything(g) == [picture(1)]

    run(tmp_path, script)


def test_what_is_still_being_copied_when_the_copying_is_undone_goes_to_the_trash(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        g.tree.acting(1)
        handle = await g.open("2019/x.png", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        data = picture(1)
        handle.write(0, data[:10])
        assert g.gallery.undoing.undo().text == "brought in x.png"
        handle.write(10, data[10:])
        await handle.flush()
        await handle.release()
        assert g.names("2019") == []
        assert await everything(g) == [data]
        g.gallery.undoing.undo(acts(g, "undid")[0].id)
        assert await g.read("2019/x.png") == data

    run(tmp_path, script)


def test_an_edit_that_is_not_sealed_yet_outlives_a_copy_of_the_old_bytes_over_its_name(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        await by(g, 1, "all/x.png", picture(1))
        g.tree.acting(2)
        handle = await g.open("all/x.png", os.O_RDWR)
        edited = picture(1) + b"edited"
        handle.write(len(picture(1)), b"edited")
        await handle.flush()  # one of two descriptors is closed: it is a draft now
        g.tree.acting(3)
        await g.write("all/x.png", picture(1))
        await handle.release()
        await g.gallery.wait("recognised", 20)
        assert edited in await everything(g, "all")
        assert picture(1) in await everything(g, "all")

    run(tmp_path, script)


def test_what_was_edited_and_deleted_at_once_leaves_both_contents_in_the_trash(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await by(g, 1, "2019/x.png", picture(1))
        g.tree.acting(2)
        handle = await g.open("2019/x.png", os.O_RDWR)
        handle.write(len(picture(1)), b"edited")
        await handle.flush()
        await handle.release()
        g.rm("2019/x.png")
        await g.gallery.wait("recognised", 20)
        assert sorted(await everything(g)) == sorted([picture(1), picture(1) + b"edited"])

    run(tmp_path, script)


@pytest.mark.parametrize("undone", [False, True])
def test_a_program_that_writes_again_keeps_what_others_wrote_between(
    tmp_path: Path, undone: bool
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await by(g, 1, "2019/x.png", picture(1))
        g.tree.acting(2)
        mine = await g.open("2019/x.png", os.O_WRONLY | os.O_TRUNC)
        mine.write(0, picture(2))
        await mine.flush()
        if undone:
            assert "changed" in g.gallery.undoing.undo().text
        else:
            g.tree.acting(3)
            await g.write("2019/x.png", picture(3))
        between = picture(1 if undone else 3)
        mine.truncate(0)
        mine.write(0, picture(4))
        await mine.flush()
        await mine.release()
        await g.gallery.wait("recognised", 20)
        assert await g.read("2019/x.png") == picture(4)
        assert between in await everything(g)

    run(tmp_path, script)


def test_a_former_version_that_was_brought_back_and_deleted_stays_its_days_in_the_trash(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        versions = g.gallery.files.versions
        g.mkdir("notes")
        await by(g, 1, "notes/a.txt", b"one")
        await by(g, 2, "notes/a.txt", b"two")
        assert await everything(g) == [b"one"]
        g.mv("trash/a.txt", "notes/old.txt")
        g.rm("notes/old.txt")
        later = iter(range(1, 100))
        versions._now_ms = lambda: g.gallery.ledger.now_ms() + next(later) * 10_000_000
        for who in range(3, 9):
            await by(g, who, "notes/a.txt", b"version %d" % who)
        assert b"one" in await everything(g)

    run(tmp_path, script)


def test_an_act_of_many_operations_is_several_units_and_one_undo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ledger_module.UNIT_OPS < MAX_OPS
    assert ledger_module.UNIT_BYTES < MAX_UNIT
    monkeypatch.setattr(ledger_module, "UNIT_OPS", 7)
    monkeypatch.setattr(ledger_module, "UNIT_BYTES", 700)
    hashes = []

    async def first() -> None:
        await make(tmp_path)
        async with opened(tmp_path, offline=True) as g:
            g.mkdir("2019")
            for i in range(20):
                await by(g, 1, f"2019/{i}.png", picture(i))
            before = g.gallery.state.state_hash()
            g.tree.acting(2)
            g.mv("2019", "trash/2019")
            assert len(g.names("trash")) == 20
            assert len(list(g.gallery.undoing.acts())) == len({a.id for a in acts(g, "")})
            g.gallery.undoing.undo()
            assert g.gallery.state.state_hash() == before
            hashes.append(before)

    async def second() -> None:
        async with opened(tmp_path, offline=True) as g:
            assert g.gallery.state.state_hash() == hashes[0]

    trio.run(first)
    trio.run(second)


def test_a_file_that_is_deleted_is_in_the_trash_before_it_leaves_its_folder(
    tmp_path: Path,
) -> None:
    """Operations may be several units, and a crash may come between any two."""

    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await by(g, 1, "2019/x.png", picture(1))
        file, folder = g.tree.at(b"2019/x.png"), g.tree._resolver.directory(g.ino("2019"))
        ops = g.tree._moves.take(file, folder, b"x.png")
        states = []
        for op in ops:
            g.gallery.ledger.commit([op], act=UnitId(random_id()))
            record = g.gallery.state.file(file.id)
            assert record is not None
            states.append(record.kept)
        assert states == [True, True]
        assert record.regs.get(Field.TRASHED) is not None

    run(tmp_path, script)
