"""Whatever the user did can be taken back, as a whole, and nothing is destroyed by it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from test_tree import ByColour, picture, run

from tagfs.errors import TagfsError

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from gallery_kit import Folder, make, opened


def state_hash(g: Folder) -> bytes:
    return g.gallery.state.state_hash()


def undo(g: Folder) -> str:
    return g.gallery.undoing.undo().text


async def filled(g: Folder) -> None:
    """Three dogs, one of them marked and dated, a twin and a cat in two folders, looked at."""
    g.mkdir("2019")
    g.mkdir("2020")
    for i in range(3):
        await g.write(f"2019/dog{i}.png", picture(200 + i))
    await g.write("2020/cat.png", picture(20))
    await g.write("2020/twin.png", picture(200))
    await g.gallery.wait("recognised", 20)
    g.mv("2019/dog2.png", "dates/1999/dog2.png")
    g.mv("2019/dog2.png", "favourites/dog2.png")
    g.mkdir("search/dog")


ACTS: dict[str, Callable[[Folder], object]] = {
    "rm in a folder": lambda g: g.rm("2019/dog0.png"),
    "rm in all, which trashes twins, too": lambda g: g.rm("all/dog0.png"),
    "untagging": lambda g: g.rm("tags/dog/dog1.png"),
    "tagging by a move": lambda g: (g.mkdir("tags/best"), g.mv("2019/dog0.png", "tags/best/d.png")),
    "a rename": lambda g: g.mv("2019/dog0.png", "2020/other.png"),
    "a rename over another": lambda g: g.mv("2019/dog0.png", "2020/cat.png"),
    "a rename in a view": lambda g: g.mv("all/dog0.png", "all/rex.png"),
    "a folder's rename": lambda g: g.mv("2019", "2020/inside"),
    "a folder moved to the trash": lambda g: g.mv("2019", "trash/2019"),
    "a new folder": lambda g: g.mkdir("2021"),
    "a hard link": lambda g: g.ln("2019/dog0.png", "2020/linked.png"),
    "a tag's new name": lambda g: g.mv("tags/dog", "tags/Hund"),
    "a merge of tags": lambda g: g.mv("tags/dog", "tags/cat"),
    "tags written as an attribute": lambda g: g.tree.marks.set_xattr(
        g.ino("2019/dog0.png"), b"user.xdg.tags", b"holiday,sun"
    ),
    "a rating": lambda g: g.tree.marks.set_xattr(
        g.ino("2019/dog0.png"), b"user.baloo.rating", b"8"
    ),
    "another attribute": lambda g: g.tree.marks.set_xattr(
        g.ino("2019/dog0.png"), b"user.note", b"mine"
    ),
    "a folder's attribute": lambda g: g.tree.marks.set_xattr(g.ino("2019"), b"user.note", b"x"),
    "a date": lambda g: g.mv("2019/dog0.png", "dates/1987/d.png"),
    "another date": lambda g: g.mv("dates/1999/dog2.png", "dates/1987/dog2.png"),
    "a mark": lambda g: g.mv("2019/dog0.png", "favourites/d.png"),
    "a mark taken back": lambda g: g.rm("favourites/dog2.png"),
    "rm of a day": lambda g: g.rm("dates/1999/dog2.png"),
    "a query that is kept": lambda g: g.mkdir("search/dog -cat"),
    "a query that is forgotten": lambda g: g.rmdir("search/dog"),
    "another query": lambda g: g.mv("search/dog", "search/cat"),
    "a narrowing that is kept": lambda g: g.mkdir("tags/dog/cat"),
    "a mode": lambda g: g.tree.set_attr(g.ino("2019/dog0.png"), 0o600),
}


def test_every_act_and_its_undo_leave_the_state_as_it_was_and_so_does_undoing_that(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        await filled(g)
        before = state_hash(g)
        for number, (what, act) in enumerate(ACTS.items()):
            g.tree.acting(77 + number)
            act(g)
            after = state_hash(g)
            assert after != before, what
            undo(g)
            assert state_hash(g) == before, what
            again = next(g.gallery.undoing.acts())
            assert again.is_undo
            g.gallery.undoing.undo(again.id)
            assert state_hash(g) == after, what
            undo(g)
            assert state_hash(g) == before, what
            assert await g.read("2019/dog0.png") == picture(200)

    run(tmp_path, script)


def test_a_recursive_removal_by_one_process_is_one_act(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await filled(g)
        before = state_hash(g)
        g.tree.acting(77)
        for name in g.names("tags/dog"):
            g.rm(f"tags/dog/{name}")
        g.rmdir("tags/dog")
        assert "dog" not in g.names("tags")
        assert undo(g) == "untagged 3 photos: dog, made or dropped a tag"
        assert state_hash(g) == before

    run(tmp_path, script)


def test_acts_of_two_processes_are_undone_one_by_one_the_newest_first(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await filled(g)
        g.tree.acting(77)
        g.rm("2019/dog0.png")
        g.tree.acting(78)
        g.rm("2019/dog1.png")
        assert undo(g) == "deleted dog1.png"
        assert g.names("2019") == ["dog1.png", "dog2.png"]
        assert undo(g) == "deleted dog0.png"
        assert g.names("2019") == ["dog0.png", "dog1.png", "dog2.png"]

    run(tmp_path, script)


def test_what_was_changed_again_since_stays(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await filled(g)
        g.tree.acting(77)
        g.rm("tags/dog/dog0.png")
        act = next(g.gallery.undoing.acts())
        g.tree.acting(78)
        g.mv("2019/dog0.png", "tags/dog/dog0.png")
        g.tree.acting(79)
        g.rm("tags/dog/dog0.png")
        g.gallery.undoing.undo(act.id)
        assert "dog0.png" not in g.names("tags/dog")  # the later no still stands

    run(tmp_path, script)


def test_what_came_in_goes_to_the_trash_and_comes_back(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        g.tree.acting(77)
        await g.write("2019/new.png", picture(99))
        assert undo(g) == "brought in new.png"
        assert g.names("2019") == []
        assert await g.read("trash/new.png") == picture(99)
        g.gallery.undoing.undo(next(g.gallery.undoing.acts()).id)
        assert await g.read("2019/new.png") == picture(99)
        assert g.names("trash") == []

    run(tmp_path, script)


def test_an_overwrite_is_undone_and_the_new_bytes_are_in_the_trash(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await filled(g)
        g.tree.acting(77)
        await g.write("2019/dog0.png", picture(150))
        assert undo(g) == "changed dog0.png"
        assert await g.read("2019/dog0.png") == picture(200)
        assert await g.read("trash/dog0.png") == picture(150)

    run(tmp_path, script)


def test_a_copy_that_was_restored_from_the_trash_keeps_its_bytes(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await filled(g)
        g.tree.acting(77)
        await g.write("2019/dog0.png", picture(150))
        act = next(g.gallery.undoing.acts())
        g.tree.acting(78)
        g.mv("trash/dog0.png", "2020/rescued.png")
        g.gallery.undoing.undo(act.id)
        assert await g.read("2019/dog0.png") == picture(200)
        assert await g.read("2020/rescued.png") == picture(200)

    run(tmp_path, script)


def test_what_a_recogniser_saw_is_no_act(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.tree.acting(77)
        await g.write("all/dog.png", picture(200))
        count = len(list(g.gallery.undoing.acts()))
        await g.gallery.wait("recognised", 20)
        assert len(list(g.gallery.undoing.acts())) == count == 1

    run(tmp_path, script)


def test_with_nothing_left_to_undo_it_says_so(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        undo(g)
        with pytest.raises(TagfsError, match="nothing to undo"):
            undo(g)
        with pytest.raises(TagfsError, match="undone already"):
            g.gallery.undoing.undo(next(d for d in g.gallery.undoing.acts() if d.undone).id)

    run(tmp_path, script)


@pytest.mark.parametrize("rebuilt", [False, True])
def test_undo_works_after_reopening_also_with_a_rebuilt_catalog(
    tmp_path: Path, rebuilt: bool
) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=ByColour()) as g:
            await filled(g)
            before = state_hash(g)
            g.tree.acting(77)
            for name in g.names("all"):
                g.rm(f"all/{name}")
            g.tree.acting(78)
            g.mkdir("later")
            undo(g)
        if rebuilt:
            shutil.rmtree(tmp_path / "state/catalog")
        async with opened(tmp_path, recogniser=ByColour()) as g:
            assert undo(g) == "deleted 5 files"
            assert state_hash(g) == before

    trio.run(main)
