"""Narrowings that were kept with ``mkdir``: listed where they were made, until ``rmdir``."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from view_kit import Folder, photo, refused, removed, run


async def tagged(g: Folder) -> None:
    """Write a photo with the tags a and b, and one with a alone."""
    for tag in ("a", "b", "c"):
        g.mkdir(f"tags/{tag}")
    await g.write("tags/a/b/both.jpg", photo(1))
    await g.write("tags/a/one.jpg", photo(2))
    assert await g.gallery.wait("recognised", 20)


def test_a_kept_narrowing_is_listed_until_it_is_removed(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await tagged(g)
        assert g.names("tags/a") == ["both.jpg", "one.jpg"]
        g.mkdir("tags/a/b")
        assert g.names("tags/a") == ["b", "both.jpg", "one.jpg"]
        assert g.names("tags/a/b") == ["both.jpg"]
        assert g.names("tags/b") == ["both.jpg"]
        with refused(errno.EEXIST):
            g.mkdir("tags/a/b")
        g.rmdir("tags/a/b")
        assert g.names("tags/a") == ["both.jpg", "one.jpg"]
        assert g.names("tags/a/b") == ["both.jpg"]

    run(tmp_path, script)


def test_keeping_a_narrowing_by_a_new_tag_makes_the_tag(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await tagged(g)
        g.mkdir("tags/a/new")
        assert "new" in g.names("tags")
        await g.write("tags/a/new/x.jpg", photo(3))
        assert g.names("tags/new") == ["x.jpg"]

    run(tmp_path, script)


@pytest.mark.parametrize("path", ["tags/a/a", "tags/a/b/a", "tags/a/.x"])
def test_a_path_has_each_tag_once(tmp_path: Path, path: str) -> None:
    async def script(g: Folder) -> None:
        await tagged(g)
        with refused(errno.EPERM):
            g.mkdir(path)

    run(tmp_path, script)


def test_a_path_has_at_most_eight_tags(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        for i in range(9):
            g.mkdir(f"tags/t{i}")
        deep = "tags/" + "/".join(f"t{i}" for i in range(8))
        assert g.names(deep) == []
        with refused(errno.ENOENT):
            g.ino(f"{deep}/t8")
        with refused(errno.EPERM):
            g.mkdir(f"{deep}/t8")

    run(tmp_path, script)


def test_a_photos_name_wins_over_a_narrowing(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await tagged(g)
        g.mkdir("tags/a/c")
        g.mv("tags/a/one.jpg", "tags/a/x")
        g.mv("tags/a/x", "tags/b/c-photo")
        await g.write("all/c", photo(4))
        await g.gallery.wait("recognised", 20)
        g.mv("all/c", "tags/a/c-again")
        assert g.ino("tags/a/c") == g.ino("all/c")
        assert g.names("tags/a").count("c") == 1
        with refused(errno.EEXIST):
            g.mkdir("tags/a/c")

    run(tmp_path, script)


def test_a_kept_narrowing_can_become_another(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await tagged(g)
        g.mkdir("tags/a/b")
        g.mv("tags/a/b", "tags/a/c")
        assert g.names("tags/a") == ["both.jpg", "c", "one.jpg"]
        with refused(errno.EPERM):
            g.mv("tags/a/c", "tags/a/unknown")
        with refused(errno.EPERM):
            g.mv("tags/a/c", "tags/c2")
        with refused(errno.EPERM):
            g.mv("tags/a/b", "tags/a/c2")  # was not kept

    run(tmp_path, script)


def test_removing_a_tag_recursively_says_nothing_about_narrowings_kept_in_it(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        await tagged(g)
        g.mkdir("tags/a/b")
        removed(g, "tags/a")
        assert "a" not in g.names("tags")
        assert g.names("tags/b") == ["both.jpg"]
        assert g.names("trash") == []

    run(tmp_path, script)


def test_removing_a_narrowing_recursively_untags_by_its_last_tag(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await tagged(g)
        with refused(errno.ENOTEMPTY):
            g.rmdir("tags/a/b")
        removed(g, "tags/a/b")
        assert g.names("tags/b") == []
        assert g.names("tags/a") == ["both.jpg", "one.jpg"]

    run(tmp_path, script)
