"""What file managers leave in views, markers that keep indexers out, refused trash folders."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from tagfs.errors import FileError
from tagfs.views.desktop import is_junk, is_probed
from tagfs.views.junk import LARGEST, TOGETHER, Junk
from tagfs.views.nodes import Spot

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from colours import ByColour, picture
from gallery_kit import Folder, make, opened

LEFT_BEHIND = [
    ".DS_Store",
    "._IMG_0001.jpg",
    ".directory",
    ".directory.AbCdEf",
    "Thumbs.db",
    "desktop.ini",
    ".hidden",
    ".~lock.letter.odt#",
]


def run(tmp_path: Path, script: Callable[[Folder], Awaitable[None]]) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=ByColour()) as folder:
            await script(folder)

    trio.run(main)


def refused(number: int) -> pytest.RaisesExc[FileError]:
    return pytest.RaisesExc(FileError, check=lambda e: e.errno == number)


def absent(g: Folder, path: str) -> bool:
    with pytest.raises(FileError) as told:
        g.ino(path)
    return told.value.errno == errno.ENOENT


def held() -> Junk:
    return Junk(lambda: 1_000_000_000)


def test_junk_in_a_view_is_read_back_and_is_no_file_and_no_operation(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("tags/dog")
        before, where = g.gallery.state.state_hash(), g.gallery.ledger.journal.end
        for folder in ("all", "tags", "tags/dog", "trash"):
            for name in LEFT_BEHIND:
                await g.write(f"{folder}/{name}", folder.encode())
                assert await g.read(f"{folder}/{name}") == folder.encode()
            assert not set(LEFT_BEHIND) & set(g.names(folder))
        assert g.gallery.state.state_hash() == before
        assert g.gallery.ledger.journal.end == where
        for folder in (".tagfs", ".sh_thumbnails"):
            with refused(errno.EPERM):
                g.tree.create(*g.split(f"{folder}/.DS_Store"), 0o644)
        g.rm("tags/dog/.DS_Store")
        assert absent(g, "tags/dog/.DS_Store")
        assert await g.read("all/.DS_Store") == b"all"

    run(tmp_path, script)


def test_junk_is_gone_when_the_gallery_is_opened_again(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("all/.DS_Store", b"x")

    run(tmp_path, script)

    async def again() -> None:
        async with opened(tmp_path) as g:
            assert absent(g, "all/.DS_Store")

    trio.run(again)


def test_in_own_folders_the_same_names_are_ordinary_files(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        for name in LEFT_BEHIND:
            await g.write(f"2019/{name}", b"mine")
        assert g.names("2019") == sorted(LEFT_BEHIND)

    run(tmp_path, script)


def test_a_photo_of_such_a_name_is_found_before_junk(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("all/._red.png", b"junk")
        g.mkdir("2019")
        await g.write("2019/._red.png", picture(200))
        assert await g.read("all/._red.png") == picture(200)
        g.rm("all/._red.png")
        assert g.names("trash") == ["._red.png"]

    run(tmp_path, script)


def test_junk_is_renamed_within_views_only(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("tags/.directory", b"old")
        await g.write("tags/.directory.AbCdEf", b"new")
        g.mv("tags/.directory.AbCdEf", "tags/.directory")
        assert await g.read("tags/.directory") == b"new"
        assert absent(g, "tags/.directory.AbCdEf")
        g.mkdir("2019")
        await g.write("2019/red.png", picture(200))
        for old, new in (
            ("tags/.directory", "2019/.directory"),
            ("tags/.directory", "all/photo.jpg"),
            ("2019/red.png", "all/.hidden"),
            ("all/red.png", "all/._red.png"),
        ):
            with refused(errno.EPERM):
                g.mv(old, new)
        with refused(errno.EPERM):
            g.ln("2019/red.png", "all/._red.png")
        with refused(errno.EPERM):
            g.ln("tags/.directory", "2019/copy")

    run(tmp_path, script)


def test_junk_is_replaced_by_a_file_that_was_written_beside_it(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("tags/dog")
        before = g.gallery.state.state_hash()
        for text in (b"first", b"second", b""):
            await g.write("tags/dog/.goutputstream-AbCdEf", text)
            g.mv("tags/dog/.goutputstream-AbCdEf", "tags/dog/.hidden")
            assert await g.read("tags/dog/.hidden") == text
        assert g.names("all") == g.names("tags/dog") == g.names("trash") == []
        assert g.gallery.state.state_hash() == before
        # Of what is larger nothing is lost.
        await g.write("tags/dog/.goutputstream-AbCdEf", bytes(LARGEST + 1))
        with refused(errno.ENOSPC):
            g.mv("tags/dog/.goutputstream-AbCdEf", "tags/dog/.hidden")
        assert await g.read("tags/dog/.goutputstream-AbCdEf") == bytes(LARGEST + 1)
        assert await g.read("tags/dog/.hidden") == b""

    run(tmp_path, script)


def test_junk_goes_with_the_directory_that_it_was_left_in(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("tags/dog")
        await g.write("tags/dog/.DS_Store", b"x")
        g.rmdir("tags/dog")
        g.mkdir("tags/dog")
        assert absent(g, "tags/dog/.DS_Store")

    run(tmp_path, script)


def test_junk_has_times_and_a_mode_of_its_own(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("all/.DS_Store", b"x")
        ino = g.ino("all/.DS_Store")
        attr = g.tree.set_attr(ino, 0o600, 5)
        assert (attr.mode, attr.mtime_ns, attr.size, attr.nlink) == (0o600, 5, 1, 1)
        assert (await g.tree.truncate(ino, 3)).size == 3
        assert await g.read("all/.DS_Store") == b"x\0\0"

    run(tmp_path, script)


def test_one_piece_of_junk_has_a_mebibyte_and_all_have_sixteen() -> None:
    junk, all_ = held(), Spot("all")
    for n in range(16):
        scrap = junk.create(all_, b"._%d" % n, 0o644)
        junk.write(scrap, 0, bytes(LARGEST))
        with refused(errno.ENOSPC):
            junk.write(scrap, LARGEST, b"x")
        with refused(errno.ENOSPC):
            junk.truncate(scrap, LARGEST + 1)
        assert junk.attr(scrap).size == LARGEST
    with refused(errno.ENOSPC):
        junk.create(all_, b"._more", 0o644)
    junk.remove(all_, b"._3")
    junk.create(all_, b"._more", 0o644)


def test_empty_junk_takes_room_too() -> None:
    junk, made = held(), 0
    with refused(errno.ENOSPC):
        for made in range(TOGETHER):
            junk.create(Spot("all"), b"._%d" % made, 0o644)
    assert made == TOGETHER // 4096


def test_junk_that_is_removed_while_it_is_open_stays_until_it_is_closed() -> None:
    junk, all_ = held(), Spot("all")
    scrap = junk.create(all_, b".DS_Store", 0o644)
    handle = junk.open(scrap)
    handle.write(0, b"here")
    junk.remove(all_, b".DS_Store")
    assert handle.read_now(0, 10) == b"here"
    assert junk.attr(scrap).nlink == 0
    trio.run(handle.release)
    with refused(errno.ESTALE):
        junk.attr(scrap)


def test_markers_keep_indexers_out_of_root_and_views_and_are_not_listed(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("tags/dog")
        g.mkdir("2019")
        for name in (".nomedia", ".trackerignore"):
            for folder in ("", "all", "tags", "tags/dog", "trash"):
                path = f"{folder}/{name}"
                assert await g.read(path) == b""
                assert g.tree.attr(g.ino(path)).mode == 0o444
                assert name not in g.names(folder)
                with refused(errno.EPERM):
                    g.rm(path)
                with refused(errno.EACCES):
                    await g.tree.open(g.ino(path), os.O_WRONLY)
                with refused(errno.EEXIST):
                    g.tree.create(*g.split(path), 0o644)
            assert absent(g, f"2019/{name}")
            await g.write(f"2019/{name}", b"mine")
            with refused(errno.EPERM):
                g.mv(f"2019/{name}", f"all/{name}")
            # A marker of the user's own, as a phone's folder has it, stands in the root.
            g.mv(f"2019/{name}", name)
            assert await g.read(name) == b"mine"
            g.rm(name)
            assert await g.read(name) == b""

    run(tmp_path, script)


def test_trash_folders_are_refused_at_the_root_so_that_deleting_goes_by_the_table(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        for name in (".Trash", ".Trash-1000", ".Trashes"):
            assert absent(g, name)
            with refused(errno.EPERM):
                g.mkdir(name)
            with refused(errno.EPERM):
                g.mv("2019", name)
            g.mkdir(f"2019/{name}")

    run(tmp_path, script)


def test_names_that_desktops_look_for_everywhere_are_known() -> None:
    for name in (".hidden", ".Trash-1000", ".xdg-volume-info", "autorun.inf", "Thumbs.db", "BDMV"):
        assert is_probed(name.encode())
    assert not is_probed(b"IMG_0001.jpg")
    assert not any(is_junk(n) for n in (b"IMG.jpg", b".IMG.jpg", b".hidden_photo.jpg", b"hidden"))
