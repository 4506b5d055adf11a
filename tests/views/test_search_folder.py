"""``search/``: any query is a folder; kept ones are listed, and nothing in them changes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from view_kit import MAY, Folder, photo, refused, run

from tagfs.views import searching
from tagfs.views.search import Found, find


async def three(g: Folder) -> None:
    """Write two dogs and a cat."""
    g.mkdir("a")
    await g.write("a/dog1.jpg", photo(1, date=MAY))
    await g.write("a/dog2.jpg", photo(2))
    await g.write("a/cat.jpg", photo(3, red=20))
    assert await g.gallery.wait("recognised", 20)


def test_a_query_is_a_folder_of_what_it_finds(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await three(g)
        assert g.names("search") == []
        assert g.names("search/dog") == ["dog1.jpg", "dog2.jpg"]
        assert g.names("search/dog -date:2019") == ["dog2.jpg"]
        assert g.names("search/cat or date:2019-05") == ["cat.jpg", "dog1.jpg"]
        assert g.ino("search/dog/dog1.jpg") == g.ino("a/dog1.jpg")
        assert await g.read("search/cat/cat.jpg") == photo(3, red=20)
        with refused(errno.ENOENT):
            g.ino("search/dog/cat.jpg")
        with refused(errno.ENOENT):
            g.ino("search/dog/cat")
        assert g.ino("search/dog") == g.ino("search/dog") != g.ino("search/cat")

    run(tmp_path, script)


def test_what_a_query_finds_follows_every_change(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await three(g)
        assert g.names("search/dog") == ["dog1.jpg", "dog2.jpg"]
        g.rm("tags/dog/dog1.jpg")
        assert g.names("search/dog") == ["dog2.jpg"]
        g.mv("a/cat.jpg", "tags/dog/cat.jpg")
        assert g.names("search/dog") == ["cat.jpg", "dog2.jpg"]
        g.rm("all/dog2.jpg")
        assert g.names("search/dog") == ["cat.jpg"]

    run(tmp_path, script)


def test_a_query_that_cannot_be_read_is_einval_and_the_events_show_the_place(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        with refused(errno.EINVAL):
            g.ino("search/dog (cat")
        with refused(errno.EINVAL):
            g.ino("search/dog (cat")
        told = (await g.read(".tagfs/events")).decode()
        assert "dog (cat\n" in told
        assert "      ^" in told
        assert told.count("bracket is not closed") == 1
        with refused(errno.EINVAL):
            g.ino("search/" + os.fsdecode(b"caf\xe9"))
        with refused(errno.EINVAL):
            g.mkdir("search/dog (cat")

    run(tmp_path, script)


def test_an_unknown_word_is_an_empty_folder_and_a_hint(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await three(g)
        assert g.names("search/unicorn") == []
        assert g.names("search/dog unicorn") == []
        assert b'No tag is called "unicorn".' in await g.read(".tagfs/events")

    run(tmp_path, script)


@pytest.mark.parametrize("name", [".hidden", ".Trash-1000", "desktop.ini", "Thumbs.db"])
def test_what_programs_look_for_everywhere_is_no_query(tmp_path: Path, name: str) -> None:
    async def script(g: Folder) -> None:
        with refused(errno.ENOENT):
            g.ino(f"search/{name}")
        with refused(errno.EPERM):
            g.mkdir(f"search/{name}")

    run(tmp_path, script)


def test_mkdir_keeps_a_query_rmdir_forgets_it_and_renaming_makes_another(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await three(g)
        g.mkdir("search/dog -cat")
        with refused(errno.EEXIST):
            g.mkdir("search/dog -cat")
        assert g.names("search") == ["dog -cat"]
        g.mv("search/dog -cat", "search/cat")
        assert g.names("search") == ["cat"]
        g.mv("search/cat", "search/dog/cat")  # what mv makes of a folder that is there
        assert g.names("search") == ["dog"]
        with refused(errno.EINVAL):
            g.mv("search/dog", "search/dog or")
        with refused(errno.EPERM):
            g.mkdir("search/dog/deeper")
        g.rmdir("search/dog")
        assert g.names("search") == []
        with refused(errno.ENOENT):
            g.rmdir("search/dog")
        assert g.names("search/dog") == ["dog1.jpg", "dog2.jpg"]

    run(tmp_path, script)


def test_nothing_is_removed_from_a_search(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await three(g)
        with refused(errno.EPERM):
            g.rm("search/dog/dog1.jpg")
        with refused(errno.EPERM):
            g.mv("search/dog/dog1.jpg", "search/cat/dog1.jpg")
        assert g.names("search/dog") == ["dog1.jpg", "dog2.jpg"]
        assert g.names("trash") == []

    run(tmp_path, script)


def test_moving_out_of_a_search_adds_and_takes_nothing_away(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await three(g)
        g.mkdir("b")
        g.mv("search/dog/dog1.jpg", "b/dog1.jpg")
        g.mv("search/dog/dog1.jpg", "favourites/dog1.jpg")
        assert g.names("b") == g.names("favourites") == ["dog1.jpg"]
        assert g.names("search/dog") == ["dog1.jpg", "dog2.jpg"]
        g.mv("search/dog/dog1.jpg", "trash/dog1.jpg")
        assert g.names("search/dog") == ["dog2.jpg"]

    run(tmp_path, script)


def test_a_query_is_evaluated_once_for_a_listing_and_all_that_is_looked_up_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def counting(state: object, text: str) -> Found:
        asked.append(text)
        return find(state, text)  # type: ignore[arg-type]

    async def script(g: Folder) -> None:
        await three(g)
        monkeypatch.setattr(searching, "find", counting)
        for name in g.names("search/dog"):
            g.ino(f"search/dog/{name}")
        assert asked == ["dog"]

    run(tmp_path, script)
