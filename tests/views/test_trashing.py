"""Bringing back from the trash: to every place, with everything that was said of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from test_tree import run

from tagfs.errors import Usage
from tagfs.views import trashing

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from colours import picture
from gallery_kit import Folder

from tagfs.views.wording import Said, say


async def restore(g: Folder, names: Sequence[str]) -> None:
    await trashing.restore(g.gallery.ledger, trashing.named(g.tree, names))


def test_a_file_comes_back_to_every_place_with_tags_date_and_mark(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        g.mkdir("2019/deep")
        await g.write("2019/deep/dog.png", picture(200))
        g.ln("2019/deep/dog.png", "link.png")
        await g.gallery.wait("recognised", 20)
        said = Said(add=["holiday"], favourite=True, date="2019-05")
        await say(g.gallery.ledger, [g.tree.at(b"link.png")], said)
        g.mv("all/dog.png", "all/rex.png")
        before = g.gallery.state.state_hash()
        g.rm("all/rex.png")
        g.rmdir("2019/deep")
        g.rmdir("2019")
        (lost,) = trashing.lying(g.gallery.state, g.tree)
        assert lost.places == ("2019/deep/dog.png", "link.png")
        assert lost.as_json()["leaves"] == lost.deleted // 1000 + 30 * 86400
        await restore(g, [lost.name])
        assert await g.read("2019/deep/dog.png") == picture(200)
        assert g.names("tags/holiday") == g.names("all") == ["rex.png"]
        assert g.gallery.state.state_hash() == before
        assert g.names("trash") == []

    run(tmp_path, script)


def test_where_the_name_is_taken_by_now_both_are_there(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("a.txt", b"old")
        await g.gallery.wait("stored", 20)
        g.rm("a.txt")
        await g.write("a.txt", b"new")
        await restore(g, ["trash/a.txt"])
        names = [name for name in g.names() if name.startswith("a")]
        assert len(names) == 3  # with all/
        assert {await g.read(n) for n in names if n != "all"} == {b"old", b"new"}

    run(tmp_path, script)


def test_an_emptied_trash_comes_back_by_undo(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        for name in ("a.png", "b.png"):
            await g.write(name, picture(ord(name[0])))
            g.rm(name)
        lost = [file for _, file in g.gallery.state.trash()]
        act = await trashing.empty(g.gallery.ledger, lost)
        assert g.names("trash") == []
        assert g.gallery.undoing.undo().id == act
        assert g.names("trash") == ["a.png", "b.png"]
        assert await trashing.empty(g.gallery.ledger, []) is None

    run(tmp_path, script)


def test_what_is_not_in_the_trash_is_refused_and_nothing_comes_back(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("a.png", picture(1))
        g.rm("a.png")
        with pytest.raises(Usage):
            await restore(g, ["a.png", "absent.png"])
        assert g.names("trash") == ["a.png"]

    run(tmp_path, script)
