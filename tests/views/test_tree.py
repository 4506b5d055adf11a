"""What a user sees in the tree, and what changing it means: a real gallery without a mount."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from tagfs.errors import FileError
from tagfs.views.nodes import ROOT_INODE

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from colours import ByColour, picture
from gallery_kit import Folder, make, opened


def run(tmp_path: Path, script: Callable[[Folder], Awaitable[None]]) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=ByColour()) as folder:
            await script(folder)

    trio.run(main)


def refused(number: int) -> pytest.RaisesExc[FileError]:
    return pytest.RaisesExc(FileError, check=lambda e: e.errno == number)


VIEWS = b"all tags people places dates recent untagged favourites review search trash".split()


def test_a_file_is_read_back_and_stands_where_it_was_written(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        data = os.urandom(300_000)
        await g.write("2019/notes.bin", data)
        assert await g.read("2019/notes.bin") == data
        assert g.names("2019") == ["notes.bin"]
        assert [name for _, name, _ in g.tree.list(ROOT_INODE, 0)] == [b"2019", *VIEWS]

    run(tmp_path, script)


def test_photos_appear_under_the_tags_that_were_seen(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/red.png", picture(200))
        await g.write("2019/dark.png", picture(20))
        assert g.names("all") == ["dark.png", "red.png"]
        assert await g.gallery.wait("recognised", 20)
        assert g.names("tags/dog") == ["red.png"]
        assert g.names("tags/cat") == ["dark.png"]
        assert await g.read("tags/dog/red.png") == picture(200)
        assert g.ino("tags/dog/red.png") == g.ino("2019/red.png") == g.ino("all/red.png")

    run(tmp_path, script)


def test_removing_from_a_tag_untags_and_removing_from_all_deletes(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/red.png", picture(200))
        await g.gallery.wait("recognised", 20)
        g.rm("tags/dog/red.png")
        assert "dog" not in g.names("tags")
        g.rmdir("tags/dog")
        assert g.names("2019") == ["red.png"]
        g.rm("all/red.png")
        assert g.names("2019") == g.names("all") == []
        assert g.names("trash") == ["red.png"]
        g.mv("trash/red.png", "2019/red.png")
        assert g.names("2019") == ["red.png"]
        assert g.names("trash") == []
        assert "dog" not in g.names("tags")  # the user's no came back with it

    run(tmp_path, script)


def test_copying_into_a_tag_tags_and_the_name_resolves_there(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("tags/holiday")
        await g.write("tags/holiday/beach.png", picture(90))
        assert g.names("tags/holiday") == ["beach.png"]
        assert await g.read("tags/holiday/beach.png") == picture(90)
        await g.gallery.wait("recognised", 20)
        assert g.names("tags/holiday/cat") == ["beach.png"]
        assert g.names("all") == ["beach.png"]

    run(tmp_path, script)


def test_moving_between_kinds_adds_and_takes_nothing_away(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        g.mkdir("tags/best")
        await g.write("2019/red.png", picture(200))
        g.mv("2019/red.png", "tags/best/red.png")
        assert g.names("2019") == ["red.png"]
        assert g.names("tags/best") == ["red.png"]
        g.mkdir("picked")
        g.mv("tags/best/red.png", "picked/red.png")
        assert g.names("tags/best") == ["red.png"]
        assert g.names("picked") == ["red.png"]

    run(tmp_path, script)


def test_equal_bytes_are_one_photo_and_two_files(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        g.mkdir("b")
        await g.write("a/one.png", picture(200))
        await g.write("b/two.png", picture(200))
        assert len(g.names("all")) == 1
        assert g.ino("a/one.png") != g.ino("b/two.png")
        g.rm("a/one.png")
        assert await g.read("b/two.png") == picture(200)
        assert len(g.names("all")) == 1

    run(tmp_path, script)


def test_overwriting_keeps_the_old_photo_in_the_trash(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        await g.write("a/x.png", picture(200))
        await g.write("a/x.png", picture(20))
        assert await g.read("a/x.png") == picture(20)
        assert g.names("trash") == ["x.png"]
        assert await g.read("trash/x.png") == picture(200)

    run(tmp_path, script)


def test_own_folders_follow_posix(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        g.mkdir("a/b")
        with refused(errno.EEXIST):
            g.mkdir("a")
        with refused(errno.ENOTEMPTY):
            g.rmdir("a")
        with refused(errno.EINVAL):
            g.mv("a", "a/b/c")
        with refused(errno.ENOENT):
            g.rm("a/none")
        with refused(errno.EISDIR):
            g.rm("a/b")
        with refused(errno.ENOTDIR):
            await g.write("a/f", b"x")
            g.rmdir("a/f")
        await g.write("a/g", b"y")
        with refused(errno.EEXIST):
            g.mv("a/f", "a/g", no_replace=True)
        g.mv("a/f", "a/g")
        assert g.names("a") == ["b", "g"]
        assert await g.read("a/g") == b"x"
        g.ln("a/g", "a/b/h")
        g.rm("a/g")
        assert await g.read("a/b/h") == b"x"
        g.mv("a", "z")
        assert await g.read("z/b/h") == b"x"
        with refused(errno.ENAMETOOLONG):
            g.mkdir("z/" + "n" * 256)

    run(tmp_path, script)


@pytest.mark.parametrize("name", ["tags", "people", "search", "trash", ".Trash-1000"])
def test_view_names_are_reserved_at_the_root_only(tmp_path: Path, name: str) -> None:
    async def script(g: Folder) -> None:
        with pytest.RaisesExc(FileError, check=lambda e: e.errno in (errno.EPERM, errno.EEXIST)):
            g.mkdir(name)
        g.mkdir("sub")
        g.mkdir(f"sub/{name}")

    run(tmp_path, script)


def test_narrowings_are_found_and_not_listed(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("tags/a")
        g.mkdir("tags/b")
        await g.write("tags/a/x.png", picture(200))
        await g.gallery.wait("recognised", 20)
        assert g.names("tags/a/dog") == ["x.png"]
        assert g.names("tags/a/b") == []
        assert g.names("tags/a") == ["x.png"]
        with refused(errno.ENOENT):
            g.ino("tags/a/a")
        assert g.ino("tags/a/dog") != g.ino("tags/dog/a")

    run(tmp_path, script)


def test_renaming_a_tag_keeps_later_sightings_with_it_and_onto_another_merges(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/red.png", picture(200))
        await g.gallery.wait("recognised", 20)
        g.mv("tags/dog", "tags/Hund")
        await g.write("2019/red2.png", picture(201))
        await g.gallery.wait("recognised", 20)
        assert g.names("tags/Hund") == ["red.png", "red2.png"]
        g.mkdir("tags/pets")
        g.mv("tags/Hund", "tags/pets")
        assert g.names("tags/pets") == ["red.png", "red2.png"]
        assert "Hund" not in g.names("tags")

    run(tmp_path, script)


def test_odd_names_are_kept_byte_for_byte(tmp_path: Path) -> None:
    names = [b"\xff\xfe.png", "ä\u0308".encode(), b"a\nb", b"-rf", b" ", b"~", b"x~12345678.png"]

    async def script(g: Folder) -> None:
        for name in names:
            g.tree.create(ROOT_INODE, name, 0o644)
        listed = [n for _, n, _ in g.tree.list(ROOT_INODE, 0)]
        assert listed[: len(names)] == names
        for name in names:
            assert g.tree.look_up(ROOT_INODE, name).size == 0

    run(tmp_path, script)


def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    async def first(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/red.png", picture(200))
        await g.write("2019/big.bin", b"q" * 1_000_000)
        g.tree.set_attr(g.ino("2019/red.png"), 0o600, 1_234_567_890_000_000_000)
        await g.gallery.wait("stored", 30)

    async def second() -> None:
        async with opened(tmp_path) as g:
            assert g.names("2019") == ["big.bin", "red.png"]
            assert await g.read("2019/red.png") == picture(200)
            assert await g.read("2019/big.bin") == b"q" * 1_000_000
            attr = g.tree.attr(g.ino("2019/red.png"))
            assert (attr.mode, attr.mtime_ns) == (0o600, 1_234_567_890_000_000_000)
            assert g.names("tags/dog") == ["red.png"]

    run(tmp_path, first)
    trio.run(second)


def test_status_and_events_are_reachable_but_not_listed(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        assert ".tagfs" not in g.names()
        assert b"photos" in await g.read(".tagfs/status")
        assert b'"queue"' in await g.read(".tagfs/status.json")
        with refused(errno.EPERM):
            g.rm(".tagfs/status")

    run(tmp_path, script)


def test_a_bulk_that_deletes_cannot_empty_the_trash_as_well(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        await g.write("a/x.png", picture(200))
        g.rm("a/x.png")
        with refused(errno.EPERM):
            g.rm("trash/x.png")
        assert g.names("trash") == ["x.png"]
        assert b"refused" in await g.read(".tagfs/events")

    run(tmp_path, script)


def test_what_is_in_the_trash_cannot_be_written_to(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        await g.write("a/x.png", picture(200))
        g.rm("a/x.png")
        with refused(errno.EPERM):
            await g.write("trash/x.png", picture(20))
        assert await g.read("trash/x.png") == picture(200)

    run(tmp_path, script)
