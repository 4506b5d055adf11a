"""Saving: writing over names in views and in own folders, edits, and what goes along with them."""

from __future__ import annotations

import errno
import io
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from PIL import Image

from tagfs.catalog.shelves import WRITTEN_OVER
from tagfs.errors import FileError
from tagfs.model import UNFILED

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from colours import ByColour, photo, picture
from gallery_kit import Folder, make, opened


def run(tmp_path: Path, *scripts: Callable[[Folder], Awaitable[None]]) -> None:
    """Run each script on the same gallery, closed and opened in between."""

    async def main() -> None:
        await make(tmp_path)
        for script in scripts:
            async with opened(tmp_path, recogniser=ByColour()) as folder:
                await script(folder)

    trio.run(main)


def others(g: Folder, path: str, name: str) -> list[str]:
    """Return what is listed there beside a name."""
    names = g.names(path)
    names.remove(name)
    return names


async def save(g: Folder, path: str, data: bytes, temporary: str) -> None:
    """Save as editors and rsync do: a new file, renamed over the old one."""
    above = path.rpartition("/")[0]
    await g.write(f"{above}/{temporary}", data)
    g.mv(f"{above}/{temporary}", path)


# -- by truncation, in views ------------------------------------------------------------------


def test_a_copy_onto_a_photos_name_in_a_view_leaves_both(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.png", picture(200))
        before = g.ino("2019/x.png")
        await g.write("all/x.png", picture(20))
        assert await g.read("all/x.png") == picture(20)
        assert await g.read("2019/x.png") == picture(200)
        assert g.ino("2019/x.png") == before != g.ino("all/x.png")
        (older,) = others(g, "all", "x.png")
        assert older.startswith("x~")
        assert older.endswith(".png")
        assert await g.read(f"all/{older}") == picture(200)
        assert g.names("trash") == []

    async def again(g: Folder) -> None:
        assert await g.read("all/x.png") == picture(20)
        assert len(g.names("all")) == 2

    run(tmp_path, script, again)


def test_the_photo_stays_readable_as_it_is_while_its_name_is_written_over(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.png", picture(200))
        ino = g.ino("2019/x.png")
        reader = await g.tree.open(ino, os.O_RDONLY)
        writer = await g.open("all/x.png", os.O_WRONLY | os.O_TRUNC)
        assert writer.ino != ino
        writer.write(0, b"half of a ")
        assert bytes(reader.read_now(0, 10_000) or b"") == picture(200)
        assert g.tree.attr(ino).size == len(picture(200))
        assert g.tree.attr(writer.ino).size == 10
        await reader.release()
        await writer.flush()
        await writer.release()
        assert await g.read("2019/x.png") == picture(200)

    run(tmp_path, script)


def test_emptying_a_name_in_a_view_and_writing_nothing_changes_nothing(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.png", picture(200))
        before = g.gallery.state.state_hash()
        await g.write("all/x.png", b"")
        assert g.tree.attr(g.ino("all/x.png")).size == 0  # to a program that goes on there
        assert g.names("all") == ["x.png"]
        assert g.gallery.state.state_hash() == before
        assert await g.read("2019/x.png") == picture(200)

    async def again(g: Folder) -> None:
        assert await g.read("all/x.png") == picture(200)

    run(tmp_path, script, again)


def test_what_is_appended_after_emptying_a_name_in_a_view_is_a_new_file(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.png", picture(200))
        await g.write("all/x.png", b"")
        handle = await g.open("all/x.png", os.O_WRONLY | os.O_APPEND)
        handle.write(0, picture(20))
        await handle.flush()
        await handle.release()
        assert await g.read("all/x.png") == picture(20)
        assert await g.read("2019/x.png") == picture(200)

    run(tmp_path, script)


def test_a_new_file_over_a_name_is_journalled_with_its_bytes_or_not_at_all(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("all/x.png", picture(200))
        handle = await g.open("all/x.png", os.O_WRONLY | os.O_TRUNC)
        before = g.gallery.state.state_hash()
        handle.write(0, picture(20))
        g.tree.set_attr(handle.ino, 0o600, 5)
        assert g.gallery.state.state_hash() == before  # what a crash would leave
        await handle.flush()
        assert g.tree.attr(handle.ino).mode == 0o600
        assert len(g.names("all")) == 2
        await handle.release()

    run(tmp_path, script)


def test_a_copy_into_a_tag_onto_a_name_gets_the_tag_and_the_name(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("tags/holiday")
        await g.write("tags/holiday/x.png", picture(200))
        await g.gallery.wait("recognised", 20)
        await g.write("tags/holiday/x.png", picture(20))
        assert await g.read("tags/holiday/x.png") == picture(20)
        assert len(g.names("tags/holiday")) == 2
        await g.gallery.wait("recognised", 20)
        assert await g.read("tags/holiday/x.png") == picture(20)
        assert await g.read("tags/dog/x.png") == picture(200)  # as it was written there

    run(tmp_path, script)


@pytest.mark.parametrize("place", ["all", "tags/card"])
def test_two_memory_cards_with_the_same_names_are_all_there(tmp_path: Path, place: str) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("tags/card")
        for i in range(20):
            await g.write(f"{place}/IMG_{i:04}.png", picture(i))
        for i in range(20):
            await g.write(f"{place}/IMG_{i:04}.png", picture(100 + i))
        assert len(g.names(place)) == 40
        for i in range(20):
            assert await g.read(f"{place}/IMG_{i:04}.png") == picture(100 + i)
        contents = {await g.read(f"{place}/{name}") for name in g.names(place)}
        assert contents == {picture(i + j) for i in range(20) for j in (0, 100)}

    run(tmp_path, script)


def test_copying_the_same_bytes_again_makes_no_more_files(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/own.png", picture(20))
        for _ in range(3):
            await g.write("all/x.png", picture(200))
            await g.write("all/own.png", picture(20))
        names = g.names("all")
        assert len(names) == 3  # every file that is in no folder is listed, a twin too
        assert {"own.png", "x.png"} < set(names)
        g.rm("all/x.png")
        assert g.names("trash") == ["x.png"]

    run(tmp_path, script)


def test_a_known_photo_copied_onto_another_name_reads_back_there(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("all/a.png", picture(200))
        await g.write("all/b.png", picture(20))
        await g.gallery.wait("recognised", 20)
        await g.write("all/b.png", picture(200))
        assert await g.read("all/a.png") == await g.read("all/b.png") == picture(200)
        (pushed,) = set(g.names("all")) - {"a.png", "b.png"}
        assert await g.read(f"all/{pushed}") == picture(20)

    run(tmp_path, script)


def test_a_note_in_all_is_overwritten_and_kept_in_the_trash(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("all/note.txt", b"one")
        await g.write("all/note.txt", b"two")
        assert g.names("all") == ["note.txt"]
        assert await g.read("all/note.txt") == b"two"
        assert await g.read("trash/note.txt") == b"one"
        await save(g, "all/note.txt", b"three", "sedAbCdEf")
        assert g.names("all") == ["note.txt"]
        assert await g.read("all/note.txt") == b"three"

    run(tmp_path, script)


def test_truncating_a_photo_by_its_name_in_a_view_leaves_it_as_it_is(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.png", picture(200))
        with pytest.RaisesExc(FileError, check=lambda e: e.errno == errno.ESTALE):
            await g.tree.truncate(g.ino("all/x.png"), 0)
        assert (await g.tree.truncate(g.ino("all/x.png"), 0)).size == 0
        assert await g.read("2019/x.png") == picture(200)

    run(tmp_path, script)


def test_an_own_folder_that_was_reached_without_asking_is_truncated(tmp_path: Path) -> None:
    """The kernel remembers names of own folders: the last it asked for may be a view's."""

    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.png", picture(200))
        ino = g.ino("all/x.png")
        with pytest.RaisesExc(FileError, check=lambda e: e.errno == errno.ESTALE):
            await g.tree.open(ino, os.O_WRONLY | os.O_TRUNC)
        assert g.ino("2019/x.png") == ino  # it asks again, for the name that it has
        handle = await g.tree.open(ino, os.O_WRONLY | os.O_TRUNC)
        handle.write(0, picture(20))
        await handle.flush()
        await handle.release()
        assert await g.read("2019/x.png") == picture(20)
        assert g.names("all") == ["x.png"]

    run(tmp_path, script)


def test_removing_what_is_being_written_over_a_name_removes_that(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.png", picture(200))
        handle = await g.open("all/x.png", os.O_WRONLY | os.O_TRUNC)
        handle.write(0, b"half")
        g.rm("all/x.png")
        await handle.flush()
        await handle.release()
        assert await g.read("2019/x.png") == picture(200)
        assert len(g.names("all")) == 1

    run(tmp_path, script)


# -- by renaming ------------------------------------------------------------------------------


@pytest.mark.parametrize("temporary", [".x.png.AbC123", "x.png_exiftool_tmp", "new.png"])
def test_a_new_file_renamed_over_a_photo_in_a_view_leaves_both(
    tmp_path: Path, temporary: str
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.png", picture(200))
        await g.gallery.wait("recognised", 20)
        await save(g, "all/x.png", picture(20), temporary)
        assert await g.read("all/x.png") == picture(20)
        assert await g.read("2019/x.png") == picture(200)
        assert len(g.names("all")) == 2
        await g.gallery.wait("recognised", 20)
        assert await g.read("all/x.png") == picture(20)
        assert len(g.names("all")) == 2

    run(tmp_path, script)


def test_a_known_photo_renamed_over_another_in_a_view_only_gains(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        for tag in ("one", "two"):
            g.mkdir(f"tags/{tag}")
        await g.write("tags/one/a.png", picture(200))
        await g.write("tags/two/b.png", picture(20))
        await g.gallery.wait("recognised", 20)
        g.tree.acting(77)
        g.mv("tags/one/a.png", "tags/two/b.png")
        assert g.names("tags/two") == ["a.png", "b.png"]
        assert await g.read("tags/two/b.png") == picture(20)
        g.mv("all/a.png", "all/b.png")
        assert g.names("all") == ["a.png", "b.png"]
        g.mkdir("2019")
        await g.write("2019/c.png", picture(90))
        g.mv("2019/c.png", "tags/two/b.png")
        assert g.names("tags/two") == ["a.png", "b.png", "c.png"]
        assert await g.read("all/b.png") == picture(20)
        assert g.names("2019") == ["c.png"]

    run(tmp_path, script)


def test_a_photo_that_is_known_keeps_its_name_when_a_copy_of_it_arrives(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("all/a.png", picture(200))
        await g.gallery.wait("recognised", 20)
        g.mkdir("tags/best")
        await save(g, "tags/best/z.png", picture(200), ".z.png.AbC123")
        assert g.names("tags/best") == ["a.png"]
        assert await g.read("tags/best/z.png") == picture(200)

    run(tmp_path, script)


# -- edits ------------------------------------------------------------------------------------


async def edit(g: Folder, path: str, data: bytes, at: int = 0) -> None:
    """Open for writing without truncation and write."""
    handle = await g.open(path, os.O_RDWR)
    handle.write(at, data)
    await handle.flush()
    await handle.release()


def test_an_edit_through_a_tag_shows_the_new_bytes_at_once_whatever_twins_keep(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        g.mkdir("b")
        await g.write("a/x.png", picture(200))
        await g.write("b/x.png", picture(200))
        await g.gallery.wait("recognised", 20)
        await edit(g, "tags/dog/x.png", b"more", len(picture(200)))
        assert await g.read("tags/dog/x.png") == picture(200) + b"more"
        await g.gallery.wait("recognised", 20)
        assert await g.read("tags/dog/x.png") == picture(200) + b"more"
        assert await g.read("all/x.png") == picture(200) + b"more"
        assert await g.read("a/x.png") == picture(200) + b"more"
        assert await g.read("b/x.png") == picture(200)
        assert len(g.names("tags/dog")) == 2

    run(tmp_path, script)


def test_an_edited_photo_is_found_where_it_was_opened_before_it_is_looked_at(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        await g.write("a/x.png", picture(200))
        await g.gallery.wait("recognised", 20)
        g.mv("all/x.png", "all/sunset.png")
        g.tree.set_attr(g.ino("tags/dog/sunset.png"), 0o600, 7)
        await edit(g, "tags/dog/sunset.png", b"more", len(picture(200)))
        assert await g.read("tags/dog/sunset.png") == picture(200) + b"more"
        await g.gallery.wait("recognised", 20)
        assert g.names("all") == g.names("tags/dog") == ["sunset.png"]
        assert g.names("a") == g.names("trash") == ["x.png"]
        assert g.tree.attr(g.ino("a/x.png")).mode == 0o600
        await edit(g, "tags/dog/sunset.png", b"most", len(picture(200)))
        g.rm("tags/dog/sunset.png")
        with pytest.RaisesExc(FileError, check=lambda e: e.errno == errno.ENOENT):
            g.ino("tags/dog/sunset.png")
        await g.gallery.wait("recognised", 20)
        assert g.names("tags/dog") == []

    run(tmp_path, script)


def test_an_edit_takes_tags_along_and_an_overwrite_waits_to_be_compared(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("tags/best")
        g.mkdir("a")
        await g.write("a/x.png", picture(200))
        await g.write("a/y.png", picture(90))
        for name in ("x.png", "y.png"):
            g.ln(f"a/{name}", f"tags/best/{name}")
        await edit(g, "a/x.png", b"more", len(picture(200)))
        await g.write("a/y.png", picture(91))
        await g.gallery.wait("recognised", 20)
        assert await g.read("tags/best/x.png") == picture(200) + b"more"

    run(tmp_path, script)


# -- was it an edit? --------------------------------------------------------------------------


def shot(seed: int, quality: int = 90) -> bytes:
    """Return a photo as a camera takes it; with another quality it is an edit of it."""
    image = Image.open(io.BytesIO(photo(seed, 200)))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


async def said(g: Folder, path: str, tag: str) -> None:
    """Say that a photo has a tag, and that it is a favourite."""
    if tag not in g.names("tags"):
        g.mkdir(f"tags/{tag}")
    g.ln(path, f"tags/{tag}/{path.rpartition('/')[2]}")


def waiting(g: Folder) -> int:
    return g.gallery.state.shelves.count(WRITTEN_OVER)


@pytest.mark.parametrize("way", ["truncation", "rename"])
def test_an_edit_that_was_written_over_a_name_takes_the_older_ones_places_and_words(
    tmp_path: Path, way: str
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.jpg", shot(1))
        await said(g, "2019/x.jpg", "best")
        await g.gallery.wait("recognised", 20)
        if way == "rename":
            await save(g, "all/x.jpg", shot(1, 60), "x.jpg_exiftool_tmp")
        else:
            await g.write("all/x.jpg", shot(1, 60))
        assert len(g.names("all")) == 2
        await g.gallery.wait("recognised", 20)
        assert g.names("all") == g.names("2019") == g.names("tags/best") == ["x.jpg"]
        for path in ("all/x.jpg", "2019/x.jpg", "tags/best/x.jpg"):
            assert await g.read(path) == shot(1, 60)
        assert g.names("trash") == ["x.jpg"]
        assert await g.read("trash/x.jpg") == shot(1)
        assert waiting(g) == 0
        assert g.gallery.state.folders.is_empty(UNFILED)

    async def undone(g: Folder) -> None:
        g.gallery.undoing.undo()
        assert await g.read("2019/x.jpg") == shot(1)
        assert await g.read("all/x.jpg") == shot(1, 60)
        await g.gallery.wait("recognised", 20)
        assert await g.read("2019/x.jpg") == shot(1)

    run(tmp_path, script, undone)


def test_another_picture_under_the_same_name_takes_nothing(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.jpg", shot(1))
        await said(g, "2019/x.jpg", "best")
        await g.gallery.wait("recognised", 20)
        await g.write("all/x.jpg", shot(2))
        await g.gallery.wait("recognised", 20)
        assert waiting(g) == 0
        assert len(g.names("all")) == 2
        assert await g.read("all/x.jpg") == shot(2)
        assert await g.read("2019/x.jpg") == shot(1)
        (best,) = g.names("tags/best")
        assert await g.read(f"tags/best/{best}") == shot(1)
        assert g.names("trash") == []

    run(tmp_path, script)


@pytest.mark.parametrize("way", ["truncation", "rename", "unlink"])
@pytest.mark.parametrize("same", [True, False])
def test_in_a_folder_words_go_along_when_it_is_the_same_picture(
    tmp_path: Path, way: str, same: bool
) -> None:
    new = shot(1, 60) if same else shot(2)

    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.jpg", shot(1))
        await said(g, "2019/x.jpg", "best")
        await g.gallery.wait("recognised", 20)
        g.mv("all/x.jpg", "all/sunset.jpg")
        if way == "truncation":
            await g.write("2019/x.jpg", new)
        elif way == "rename":
            await save(g, "2019/x.jpg", new, "x.jpg_exiftool_tmp")
        else:
            g.rm("2019/x.jpg")
            await g.write("2019/x.jpg", new)
        assert await g.read("2019/x.jpg") == new
        assert g.names("tags/best") == []
        await g.gallery.wait("recognised", 20)
        assert waiting(g) == 0
        assert g.names("all") == (["sunset.jpg"] if same else ["x.jpg"])
        assert g.names("tags/best") == (["sunset.jpg"] if same else [])
        assert await g.read("2019/x.jpg") == new
        assert g.names("trash") == ["x.jpg"]

    run(tmp_path, script)


@pytest.mark.parametrize("place", ["2019", "all", "tags/best"])
def test_an_original_that_was_renamed_away_stays_and_the_words_are_on_both(
    tmp_path: Path, place: str
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.jpg", shot(1))
        await said(g, "2019/x.jpg", "best")
        await g.gallery.wait("recognised", 20)
        g.tree.acting(77)
        await g.write(f"{place}/x.jpg_exiftool_tmp", shot(1, 60))
        g.mv(f"{place}/x.jpg", f"{place}/x.jpg_original")
        g.mv(f"{place}/x.jpg_exiftool_tmp", f"{place}/x.jpg")
        await g.gallery.wait("recognised", 20)
        assert waiting(g) == 0
        assert await g.read(f"{place}/x.jpg") == shot(1, 60)
        assert await g.read(f"{place}/x.jpg_original") == shot(1)
        assert await g.read("all/x.jpg") == await g.read("tags/best/x.jpg") == shot(1, 60)
        assert len(g.names("tags/best")) == 2
        assert g.names("trash") == []

    run(tmp_path, script)


def test_an_edit_of_an_edit_before_either_was_looked_at_is_one_photo(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        g.mkdir("2020")
        await g.write("2019/x.jpg", shot(1))
        await g.write("2020/y.jpg", shot(2))
        await said(g, "2020/y.jpg", "best")
        await g.gallery.wait("recognised", 20)
        for quality in (80, 70, 60):
            await g.write("all/x.jpg", shot(1, quality))
            await g.write("2020/y.jpg", shot(2, quality))
        await g.gallery.wait("recognised", 20)
        assert g.names("all") == ["x.jpg", "y.jpg"]
        assert await g.read("2019/x.jpg") == shot(1, 60)
        assert g.names("tags/best") == ["y.jpg"]
        assert waiting(g) == 0

    run(tmp_path, script)


def test_what_was_not_compared_before_the_end_is_compared_after_the_start(tmp_path: Path) -> None:
    async def first(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.jpg", shot(1))
        await g.gallery.wait("recognised", 20)
        await g.write("all/x.jpg", shot(1, 60))
        assert waiting(g) == 1

    async def second(g: Folder) -> None:
        await g.gallery.wait("recognised", 20)
        assert waiting(g) == 0
        assert await g.read("2019/x.jpg") == shot(1, 60)

    run(tmp_path, first, second)


def test_a_twin_keeps_the_older_content_when_an_edit_is_written_over_its_name(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        for folder in ("a", "b"):
            g.mkdir(folder)
            await g.write(f"{folder}/x.jpg", shot(1))
        await g.gallery.wait("recognised", 20)
        await g.write("all/x.jpg", shot(1, 60))
        await g.gallery.wait("recognised", 20)
        assert await g.read("a/x.jpg") == await g.read("all/x.jpg") == shot(1, 60)
        assert await g.read("b/x.jpg") == shot(1)

    run(tmp_path, script)


def test_a_text_that_is_saved_keeps_its_tags(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("notes")
        await g.write("notes/a.txt", b"one")
        g.tree.marks.set_xattr(g.ino("notes/a.txt"), b"user.xdg.tags", b"todo")
        assert g.names("tags/todo") == ["a.txt"]
        await save(g, "notes/a.txt", b"two", "sedAbCdEf")
        await g.gallery.wait("recognised", 20)
        assert await g.read("tags/todo/a.txt") == b"two"

    run(tmp_path, script)


def test_words_on_an_empty_file_go_to_what_is_saved_over_it(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("notes")
        for name, data in ("a.txt", b"two"), ("x.png", picture(7)):
            await g.write(f"notes/{name}", b"")
            g.tree.marks.set_xattr(g.ino(f"notes/{name}"), b"user.xdg.tags", b"todo")
            g.tree.marks.set_xattr(g.ino(f"notes/{name}"), b"user.baloo.rating", b"8")
            await save(g, f"notes/{name}", data, "sedAbCdEf")
            assert name in g.names("tags/todo")
            assert g.tree.marks.xattr(g.ino(f"notes/{name}"), b"user.baloo.rating") == b"8"

    run(tmp_path, script)


def test_a_text_that_is_saved_again_at_once_keeps_what_was_said_of_it(tmp_path: Path) -> None:
    """In one breath: nothing is compared in between."""

    async def script(g: Folder) -> None:
        g.mkdir("notes")
        await g.write("notes/a.txt", b"one")
        g.tree.marks.set_xattr(g.ino("notes/a.txt"), b"user.xdg.tags", b"todo")
        for i in range(3):
            await g.write("notes/b.txt", b"%d" % i)
            g.mv("notes/b.txt", "notes/a.txt")
            assert g.names("tags/todo") == ["a.txt"]
            g.tree.marks.set_xattr(g.ino("notes/a.txt"), b"user.xdg.tags", b"todo,%d" % i)
        assert g.names("tags/2") == ["a.txt"]

    run(tmp_path, script)


WAYS = pytest.mark.parametrize("way", ["rename", "truncation"])


async def write_over(g: Folder, path: str, data: bytes, way: str) -> None:
    if way == "rename":
        await save(g, path, data, "x.jpg_exiftool_tmp")
    else:
        await g.write(path, data)


@WAYS
def test_a_photo_that_nobody_has_looked_at_keeps_its_words_when_it_is_edited(
    tmp_path: Path, way: str
) -> None:
    """What was taken away is looked at, too: else nobody could tell that it was an edit."""

    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.jpg", shot(1))
        await g.write("2019/y.png", picture(5))
        for name in "x.jpg", "y.png":
            g.tree.marks.set_xattr(g.ino(f"2019/{name}"), b"user.xdg.tags", b"todo")
        await write_over(g, "2019/x.jpg", shot(1, 60), way)
        await write_over(g, "2019/y.png", picture(200), way)  # another one
        await g.gallery.wait("recognised", 20)
        assert g.names("tags/todo") == ["x.jpg"]
        assert await g.read("tags/todo/x.jpg") == shot(1, 60)

    run(tmp_path, script)


@WAYS
def test_words_on_an_edit_that_is_edited_again_before_it_is_looked_at_are_kept(
    tmp_path: Path, way: str
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.jpg", shot(1))
        g.tree.marks.set_xattr(g.ino("2019/x.jpg"), b"user.xdg.tags", b"first")
        await g.gallery.wait("recognised", 20)
        await write_over(g, "2019/x.jpg", shot(1, 80), way)
        g.tree.marks.set_xattr(g.ino("2019/x.jpg"), b"user.xdg.tags", b"first,todo")
        await write_over(g, "2019/x.jpg", shot(1, 60), way)
        await g.gallery.wait("recognised", 20)
        assert g.names("tags/todo") == g.names("tags/first") == ["x.jpg"]

    run(tmp_path, script)


# -- former contents of what is no photo ------------------------------------------------------


@pytest.mark.parametrize("way", ["truncation", "rename"])
def test_of_a_text_the_last_three_former_contents_are_kept_at_most_one_an_hour(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour = 3_600_000_000_000
    later = 0

    async def write(g: Folder, data: bytes) -> None:
        if way == "rename":
            await save(g, "notes/a.txt", data, "sedAbCdEf")
        else:
            await g.write("notes/a.txt", data)

    async def kept(g: Folder) -> list[bytes]:
        return sorted([await g.read(f"trash/{name}") for name in g.names("trash")])

    async def first(g: Folder) -> None:
        g.mkdir("notes")
        await g.write("notes/a.txt", b"0")
        await write(g, b"1")
        await write(g, b"2")
        assert await kept(g) == [b"0"]

    async def second(g: Folder) -> None:
        nonlocal later
        await write(g, b"3")  # the hour is not over because tagfs was ended
        assert await kept(g) == [b"0"]
        now = g.gallery.ledger.now_ns
        g.gallery.ledger.now_ns = lambda: now() + later  # type: ignore[method-assign]
        for number in range(4, 8):
            later += hour + 1
            await write(g, b"%d" % number)
        assert await kept(g) == [b"4", b"5", b"6"]
        assert await g.read("notes/a.txt") == b"7"

    run(tmp_path, first, second)


def test_two_that_write_over_one_name_at_once_are_both_there(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.png", picture(200))
        g.tree.acting(7)
        one = await g.open("all/x.png", os.O_WRONLY | os.O_TRUNC)
        one.write(0, picture(20))
        g.tree.acting(8)
        two = await g.open("all/x.png", os.O_WRONLY | os.O_TRUNC)
        two.write(0, picture(21))
        for handle in (two, one):
            await handle.flush()
            await handle.release()
        assert await g.read("all/x.png") == picture(20)
        found = {await g.read(f"all/{name}") for name in g.names("all")}
        assert found == {picture(n) for n in (20, 21, 200)}

    run(tmp_path, script)


# -- more places and accidents


@pytest.mark.parametrize("place", ["favourites", "dates/2019/05/07"])
def test_writing_over_a_name_means_what_the_place_means(tmp_path: Path, place: str) -> None:
    async def script(g: Folder) -> None:
        await g.write("all/old.png", picture(200))
        if place == "favourites":
            g.ln("all/old.png", "favourites/old.png")
        else:
            await g.write("all/dated.jpg", photo(1, 200, "2019:05:07 10:00:00"))
            await g.gallery.wait("recognised", 20)
            g.mv("all/old.png", f"{place}/old.png")
        assert await g.read(f"{place}/old.png") == picture(200)
        await g.write(f"{place}/old.png", picture(20))
        await g.gallery.wait("recognised", 20)
        assert await g.read(f"{place}/old.png") == picture(20)
        found = [await g.read(f"{place}/{name}") for name in g.names(place)]
        assert {picture(20), picture(200)} <= set(found)

    run(tmp_path, script)


def test_where_nothing_can_be_written_a_name_is_not_written_over(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.png", picture(200))
        await g.gallery.wait("recognised", 20)
        with pytest.RaisesExc(FileError, check=lambda e: e.errno == errno.EPERM):
            await g.write("recent/x.png", picture(20))
        assert await g.read("recent/x.png") == await g.read("2019/x.png") == picture(200)
        await edit(g, "recent/x.png", b"more", len(picture(200)))
        assert await g.read("2019/x.png") == picture(200) + b"more"

    run(tmp_path, script)


def test_what_is_written_out_of_order_over_a_name_is_compared_too(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.jpg", shot(1))
        await g.gallery.wait("recognised", 20)
        handle = await g.open("all/x.jpg", os.O_WRONLY | os.O_TRUNC)
        data = shot(1, 60)
        handle.write(1000, data[1000:])
        handle.write(0, data[:1000])
        await handle.fsync()
        assert await g.read("all/x.jpg") == data
        assert await g.read("2019/x.jpg") == shot(1)
        await handle.flush()
        await handle.release()
        await g.gallery.wait("recognised", 20)
        assert await g.read("all/x.jpg") == await g.read("2019/x.jpg") == data
        assert g.names("all") == ["x.jpg"]

    run(tmp_path, script)


def test_undo_takes_back_what_was_written_over_a_name(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        g.mkdir("tags/best")
        await g.write("2019/x.png", picture(200))
        g.ln("2019/x.png", "tags/best/x.png")
        await g.gallery.wait("recognised", 20)
        before = (g.names("all"), g.names("tags/best"), g.names("2019"))
        g.tree.acting(9)
        await g.write("tags/best/x.png", picture(20))
        g.gallery.undoing.undo()
        assert (g.names("all"), g.names("tags/best"), g.names("2019")) == before
        assert await g.read("tags/best/x.png") == picture(200)
        assert await g.read("trash/x.png") == picture(20)

    run(tmp_path, script)


def test_a_crash_between_an_edit_and_its_mark_does_it_no_second_time(tmp_path: Path) -> None:
    async def first(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.jpg", shot(1))
        await said(g, "2019/x.jpg", "best")
        await g.gallery.wait("recognised", 20)

        def crash(*_: object) -> None:
            raise FileError(errno.ENOSPC)

        g.gallery.edits._close = crash  # type: ignore[method-assign]
        await g.write("all/x.jpg", shot(1, 60))
        while await g.read("2019/x.jpg") == shot(1):
            await trio.sleep(0.1)
        assert waiting(g) == 1

    async def second(g: Folder) -> None:
        await g.gallery.wait("recognised", 20)
        assert waiting(g) == 0
        assert await g.read("2019/x.jpg") == shot(1, 60)
        assert g.names("all") == g.names("tags/best") == g.names("trash") == ["x.jpg"]

    run(tmp_path, first, second)


def test_an_edit_of_bytes_that_cannot_be_had_fails_when_it_is_opened(tmp_path: Path) -> None:
    async def first(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.jpg", shot(1))
        await g.gallery.wait("stored", 30)

    async def second() -> None:
        async with opened(tmp_path, recogniser=ByColour()) as g:
            with pytest.raises(FileError):
                await g.open("all/x.jpg", os.O_RDWR)
            await g.write("all/x.jpg", shot(2))  # which needs none of the old bytes
            assert await g.read("all/x.jpg") == shot(2)

    run(tmp_path, first)
    for folder in ("cache", "spool"):
        for kept in (tmp_path / "state" / folder).rglob("*"):
            if kept.is_file():
                kept.unlink()
    shutil.move(tmp_path / "remote" / "o", tmp_path / "away")
    trio.run(second)


@pytest.mark.parametrize("place", ["all", "tags/best"])
def test_a_program_that_copies_its_temporary_file_and_removes_it_keeps_what_it_saved(
    tmp_path: Path, place: str
) -> None:
    """As ``exiftool -overwrite_original_in_place`` does."""

    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.jpg", shot(1))
        await said(g, "2019/x.jpg", "best")
        await g.gallery.wait("recognised", 20)
        data = shot(1, 60)
        await g.write(f"{place}/x.jpg_exiftool_tmp", data)
        handle = await g.open(f"{place}/x.jpg", os.O_RDWR)
        handle.write(0, data)
        handle.truncate(len(data))
        await handle.flush()
        await handle.release()
        g.rm(f"{place}/x.jpg_exiftool_tmp")
        await g.gallery.wait("recognised", 20)
        assert g.names("2019") == g.names("all") == g.names("tags/best") == ["x.jpg"]
        assert await g.read("2019/x.jpg") == data

    run(tmp_path, script)


def test_a_document_keeps_its_tags_however_it_is_written_over(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("notes")
        await g.write("notes/a.txt", b"one")
        g.tree.marks.set_xattr(g.ino("notes/a.txt"), b"user.xdg.tags", b"todo")
        g.tree.marks.set_xattr(g.ino("notes/a.txt"), b"user.baloo.rating", b"8")
        await g.write("notes/a.txt", b"two")
        assert g.names("tags/todo") == ["a.txt"]
        await g.write("notes/a.txt", b"")
        await g.write("notes/a.txt", b"three")
        assert g.names("tags/todo") == ["a.txt"]
        assert await g.read("tags/todo/a.txt") == b"three"
        assert g.tree.marks.xattr(g.ino("notes/a.txt"), b"user.baloo.rating") == b"8"

    run(tmp_path, script)


@pytest.mark.parametrize("looked_at", [True, False])
def test_a_program_that_keeps_a_backup_finds_the_name_free(tmp_path: Path, looked_at: bool) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/x.jpg", shot(1))
        if looked_at:
            await g.gallery.wait("recognised", 20)
        g.tree.acting(9)
        g.mv("all/x.jpg", "all/x.jpg~")
        assert "x.jpg" not in g.names("all")
        await g.write("all/x.jpg", shot(1, 60))
        await g.gallery.wait("recognised", 20)
        assert await g.read("all/x.jpg") == shot(1, 60)
        assert await g.read("all/x.jpg~") == await g.read("2019/x.jpg") == shot(1)

    run(tmp_path, script)


def test_a_program_that_saves_many_photos_is_not_taken_for_one_that_deletes_them(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        for i in range(120):
            await g.write(f"all/{i}.png", picture(i))
        g.tree.acting(9)
        for i in range(60):
            await g.write(f"all/{i}.png_exiftool_tmp", picture(i, 9))
            await edit(g, f"all/{i}.png", picture(i, 9))
            g.rm(f"all/{i}.png_exiftool_tmp")
        for i in range(60, 120):  # as cp -a
            g.rm(f"all/{i}.png")
            await g.write(f"all/{i}.png", picture(i, 9))
        assert len(g.names("all")) == 180

    run(tmp_path, script)
