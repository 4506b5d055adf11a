"""What random acts against the model (tests/model) found wrong once, each by itself."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from tagfs.errors import FileError

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from colours import ByColour, picture
from gallery_kit import Folder, make, opened


def run(tmp_path: Path, script: Callable[[Folder], Awaitable[None]]) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=ByColour()) as folder:
            await script(folder)

    trio.run(main)


async def append(g: Folder, path: str, data: bytes) -> None:
    handle = await g.open(path, os.O_WRONLY)
    handle.write(g.tree.attr(g.ino(path)).size, data)
    await handle.flush()
    await handle.release()
    await g.gallery.wait("recognised", 30)


def refused(number: int) -> pytest.RaisesExc[FileError]:
    return pytest.RaisesExc(FileError, check=lambda e: e.errno == number)


def test_what_is_restored_over_a_name_takes_the_place_of_the_file_that_had_it(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        await g.write("a/x.png", picture(200))
        g.rm("a/x.png")
        await g.write("a/x.png", picture(20))
        g.mv("trash/x.png", "a/x.png")
        assert g.names("a") == ["x.png"]
        assert await g.read("a/x.png") == picture(200)
        assert await g.read("trash/x.png") == picture(20)

    run(tmp_path, script)


def test_what_is_restored_to_a_name_that_a_view_has_for_another_photo_is_not_lost(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        await g.write("all/x.png", picture(200))
        g.rm("all/x.png")
        await g.write("all/y.png", picture(20))
        g.mv("trash/x.png", "all/y.png")
        assert g.names("trash") == []
        contents = [await g.read("all/" + name) for name in g.names("all")]
        assert sorted(contents) == sorted([picture(200), picture(20)])

    run(tmp_path, script)


def test_nothing_is_restored_under_a_name_that_is_a_views(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("x.png", picture(200))
        g.rm("x.png")
        with refused(errno.EPERM):
            g.mv("trash/x.png", "videos")
        assert g.names("trash") == ["x.png"]

    run(tmp_path, script)


def test_symbolic_links_stay_in_own_folders(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("tags/best")
        g.tree.symlink(*g.split("x"), b"target")
        for place in ("all/x", "tags/best/x"):
            with refused(errno.EPERM):
                g.mv("x", place)
            with refused(errno.EPERM):
                g.ln("x", place)
        assert g.names("all") == []

    run(tmp_path, script)


def test_tags_change_places_and_the_name_that_one_was_renamed_from_is_free(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("red.png", picture(200))
        await g.write("dark.png", picture(20))
        await g.gallery.wait("recognised", 30)
        for old, new in (("dog", "t"), ("cat", "dog"), ("t", "cat")):
            g.mv("tags/" + old, "tags/" + new)
        assert g.names("tags/cat") == ["red.png"]
        assert g.names("tags/dog") == ["dark.png"]
        g.mkdir("tags/best")
        await g.write("tags/best/x.png", picture(30))
        g.mv("tags/best", "tags/good")
        g.mkdir("tags/best")
        assert g.names("tags/best") == []
        assert g.names("tags/good") == ["x.png"]

    run(tmp_path, script)


def test_a_tag_that_gets_the_name_of_a_kind_of_thing_is_listed_with_what_is_seen_later(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("tags/best")
        g.mv("tags/best", "tags/dog")
        assert g.names("tags") == ["dog"]
        await g.write("red.png", picture(200))
        await g.gallery.wait("recognised", 30)
        assert g.names("tags/dog") == ["red.png"]
        assert g.names("tags").count("dog") == 1

    run(tmp_path, script)


def test_a_name_that_two_photos_had_in_all_stays_with_the_first_when_they_are_recognised(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        contents = [picture(red) for red in range(20, 28)]
        for number, data in enumerate(contents):
            g.mkdir(str(number))
            await g.write(f"{number}/x.png", data)
            assert await g.read("all/x.png") == contents[0]
        before = g.names("all")
        assert await g.gallery.wait("recognised", 30)
        assert g.names("all") == before
        assert await g.read("all/x.png") == contents[0]

    run(tmp_path, script)


def test_a_tag_with_an_empty_file_is_not_empty_and_the_file_follows_when_it_is_merged(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("tags/a")
        g.mkdir("tags/b")
        await g.write("tags/a/x", b"")
        with refused(errno.ENOTEMPTY):
            g.rmdir("tags/a")
        g.mv("tags/a", "tags/b")
        assert g.names("tags/b") == ["x"]
        assert g.ino("tags/b/x") == g.ino("all/x")
        await g.write("all/x", b"now it has bytes")
        assert g.names("tags/b") == ["x"]

    run(tmp_path, script)


def test_an_edit_revives_no_tag_that_was_denied_with_what_is_above_it(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("tags/dog")
        await g.write("tags/dog/x", b"words about a dog")
        g.rm("tags/animal/x")
        assert g.names("tags/dog") == []
        await append(g, "all/x", b", or a cat")
        assert g.names("tags/dog") == []
        assert "animal" not in g.names("tags")

    run(tmp_path, script)


def test_a_folder_in_the_trash_takes_a_file_along_that_it_lists_twice(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        g.mkdir("a/b")
        await g.write("a/x", b"linked")
        g.ln("a/x", "a/b/y")
        await g.write("a/z", b"also linked outside")
        g.ln("a/z", "z")
        before = g.gallery.state.state_hash()
        g.tree.acting(7)
        g.mv("a", "trash/a")
        assert g.names("trash") == ["x"]
        assert await g.read("trash/x") == b"linked"
        assert await g.read("z") == b"also linked outside"
        g.gallery.undoing.undo()
        assert g.gallery.state.state_hash() == before

    run(tmp_path, script)


def test_a_folder_in_the_trash_takes_along_all_that_it_lists_below(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        g.mkdir("a/b")
        await g.write("a/x", b"the only copy")
        g.ln("a/x", "a/y")
        g.ln("a/x", "a/b/z")
        g.mv("a", "trash/a")
        assert "a" not in g.names()
        assert len(g.names("trash")) == 1
        assert await g.read("trash/" + g.names("trash")[0]) == b"the only copy"

    run(tmp_path, script)


def test_what_is_written_over_a_name_in_a_view_has_it_though_a_folder_uses_it_too(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        await g.write("a/x.png", picture(200))
        await g.gallery.wait("recognised", 30)
        await g.write("x.png", picture(201))
        await g.write("all/x.png", picture(20))
        assert await g.read("all/x.png") == picture(20)
        await g.gallery.wait("recognised", 30)
        assert await g.read("all/x.png") == picture(20)
        assert len(g.names("all")) == 3

    run(tmp_path, script)


def test_a_copy_that_all_lists_beside_the_photo_can_be_renamed_tagged_and_written_over(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        g.mkdir("tags/best")
        await g.write("a/x.png", picture(200))
        await g.write("tags/best/x.png", picture(200))  # where nothing has the name
        await g.gallery.wait("recognised", 30)
        (copy,) = [name for name in g.names("all") if "~" in name]
        g.mv("all/" + copy, "tags/dog/" + copy)
        assert g.names("all") == sorted(["x.png", copy])
        await g.write("all/" + copy, b"a note")
        assert await g.read("all/" + copy) == b"a note"
        assert len(g.names("all")) == 3
        (copy,) = set(g.names("all")) - {"x.png", copy}
        g.mv("all/" + copy, "all/y.png")
        assert await g.read("all/y.png") == picture(200)
        assert g.ino("all/y.png") != g.ino("a/x.png")

    run(tmp_path, script)


def test_a_tag_that_was_merged_away_still_stands_above_what_is_below_it(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("tags/mine")
        g.mkdir("tags/dog")
        g.mkdir("tags/animal")
        g.mv("tags/animal", "tags/mine")
        await g.write("tags/dog/x", b"about a dog")
        assert g.names("tags/mine") == ["x"]
        g.rm("tags/mine/x")
        assert g.names("tags/dog") == []

    run(tmp_path, script)


def test_a_photo_gets_the_name_it_is_given_in_a_tag_where_no_other_has_it(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        photos = [picture(red) for red in (200, 20, 21, 22, 23, 24)]
        for number, data in enumerate(photos):
            await g.write(f"{number}.png", data)
        await g.gallery.wait("recognised", 30)
        for number in range(1, len(photos)):
            g.mv(f"tags/cat/{number}.png", "tags/cat/0.png")  # the dog of this name is elsewhere
            assert await g.read("tags/cat/0.png") == photos[number]
            g.mv("tags/cat/0.png", f"tags/cat/{number}.png")
        assert len(g.names("all")) == len(photos)

    run(tmp_path, script)


def test_what_is_given_by_a_move_counts_when_both_tags_are_merged(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        for tag in ("a", "b"):
            g.mkdir("tags/" + tag)
        for old, new in (("a", "b"), ("b", "a")):
            await g.write(f"tags/{old}/{old}.png", picture(20 if old == "a" else 200))
            g.mv(f"tags/{old}/{old}.png", f"tags/{new}/{old}.png")
        g.mv("tags/a", "tags/b")
        assert g.names("tags/b") == ["a.png", "b.png"]

    run(tmp_path, script)


def test_link_counts_are_right_after_the_content_that_a_file_had_comes_back(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        await g.write("a/x.png", picture(200))
        await g.write("a/x.png", picture(20))
        await g.write("a/y.png", picture(200))
        count = g.tree.attr(g.ino("a/x.png")).nlink
        places = ("a", "all", "untagged")
        assert count == sum(g.ino("a/x.png") == g.ino(f"{p}/x.png") for p in places) == 3

    run(tmp_path, script)


def test_a_tagged_text_of_a_folder_that_is_moved_to_all_is_there(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("tags/best")
        await g.write("notes.txt", b"a text")
        await g.write("tags/best/other.txt", b"another text")
        g.mv("notes.txt", "tags/best/other.txt")  # a known file only gains the tag
        g.mv("tags/best/notes.txt", "all/notes.txt")
        assert await g.read("all/notes.txt") == b"a text"

    run(tmp_path, script)


def test_a_merge_lists_what_was_denied_under_another_name_as_a_rebuilt_catalog_does(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        await g.write("dog.png", picture(200))
        await g.gallery.wait("recognised", 30)
        g.mkdir("tags/animal")
        g.ln("dog.png", "tags/animal/dog.png")
        g.rm("tags/animal/dog.png")
        assert "dog" not in g.names("tags")
        g.mkdir("tags/best")
        g.mkdir("tags/dog")
        g.mv("tags/dog", "tags/best")  # what is best is no kind of animal
        assert g.names("tags/best") == ["dog.png"]
        assert g.names("untagged") == []

    run(tmp_path, script)


def test_the_tag_list_names_neither_what_a_merged_tag_implies_nor_what_was_outweighed(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        def tags(path: str) -> bytes | None:
            return g.tree.marks.xattr(g.ino(path), b"user.xdg.tags")

        for tag in ("best", "animal", "cat", "tabby"):
            g.mkdir("tags/" + tag)
        await g.write("dog.png", picture(200))
        await g.gallery.wait("recognised", 30)
        g.mv("tags/animal", "tags/best")  # what is best is above dogs and cats from now on
        g.ln("dog.png", "tags/best/dog.png")
        assert tags("dog.png") == b"best,dog"
        g.ln("dog.png", "tags/cat/dog.png")
        g.rm("tags/best/dog.png")
        assert tags("dog.png") is None
        g.ln("dog.png", "tags/tabby/dog.png")
        assert "dog.png" in g.names("tags/cat")
        assert tags("dog.png") == b"tabby cat"  # its name; "tabby" is another word for it
        g.tree.marks.set_xattr(g.ino("dog.png"), b"user.xdg.tags", b"tabby cat,cat")
        assert tags("dog.png") == b"cat,tabby cat"  # said anew, as what is below implies it only

    run(tmp_path, script)


def test_the_trash_lists_all_of_several_files_whose_names_differ_by_a_suffix_only(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        for number in range(2):
            await g.write("x.txt", b"text %d" % number)
            g.rm("x.txt")
        (label,) = [name for name in g.names("trash") if "~" in name]
        g.mv("trash/" + label, "x.txt")
        await g.write(label, b"called like it")
        g.rm(label)
        g.rm("x.txt")
        found = [await g.read("trash/" + name) for name in g.names("trash")]
        assert sorted(found) == [b"called like it", b"text 0", b"text 1"]

    run(tmp_path, script)


def test_a_clock_that_was_set_back_keeps_one_more_version_of_a_text_and_not_all_of_them(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        now = g.gallery.ledger.now_ns
        for number in range(6):
            if number == 2:  # an hour before what was kept last
                g.gallery.ledger.now_ns = lambda: now() - 7_200_000_000_000  # type: ignore[method-assign]
            await g.write("x.txt", b"%d" % number)
        found = [await g.read("trash/" + name) for name in g.names("trash")]
        assert sorted(found) == [b"0", b"1"]

    run(tmp_path, script)


@pytest.mark.parametrize("seen", [False, True])
def test_a_photo_that_is_called_like_another_with_its_suffix_is_listed_beside_it(
    tmp_path: Path, seen: bool
) -> None:
    async def script(g: Folder) -> None:
        contents = [picture(200), picture(20)]
        for number, data in enumerate(contents):
            g.mkdir(str(number))
            await g.write(f"{number}/x.png", data)
        if seen:
            await g.gallery.wait("recognised", 30)
        (label,) = [name for name in g.names("all") if "~" in name]
        before = g.names("all")
        await g.write(label, picture(30))
        found = [await g.read("all/" + name) for name in g.names("all")]
        assert sorted(found) == sorted([*contents, picture(30)])
        assert len(set(g.names("all"))) == 3
        g.rm(label)
        assert g.names("all") == before

    run(tmp_path, script)


def test_a_photo_that_is_written_again_keeps_the_name_though_another_is_called_so(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        await g.write("all/b.png", picture(200))
        await g.write("b.png", picture(20))
        await g.write("a.png", picture(200))
        await g.write("all/b.png", picture(200))
        assert await g.read("all/b.png") == picture(200)
        await g.gallery.wait("recognised", 30)
        assert await g.read("all/b.png") == picture(200)

    run(tmp_path, script)


def test_a_photo_gets_its_name_back_from_a_copy_of_it_that_came_in_two_pieces(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        data = picture(200)
        await g.write("all/b.png", data)
        await g.gallery.wait("recognised", 30)
        photo = g.ino("all/b.png")
        handle = await g.open("all/b.png", os.O_WRONLY | os.O_TRUNC)
        handle.write(0, data[:4])
        await handle.flush()
        assert g.ino("all/b.png") != photo
        handle.write(4, data[4:])
        await handle.flush()
        await handle.release()
        await g.gallery.wait("recognised", 30)
        assert g.ino("all/b.png") == photo

    run(tmp_path, script)


def test_a_photo_gets_no_name_back_that_something_else_was_written_under_meanwhile(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        data = picture(200)
        await g.write("all/b.png", data)
        await g.gallery.wait("recognised", 30)
        g.gallery.looker.settle = 2.0  # nobody can look at half of it
        handle = await g.open("all/b.png", os.O_WRONLY | os.O_TRUNC)
        handle.write(0, data[:50])
        await handle.flush()
        await g.write("all/b.png", b"a note")
        handle.write(50, data[50:])
        await handle.flush()
        await handle.release()
        await g.gallery.wait("recognised", 30)
        assert await g.read("all/b.png") == b"a note"

    run(tmp_path, script)


def test_a_tag_of_an_empty_file_that_a_folder_lists_can_be_removed_and_comes_with_its_bytes(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("tags/best")
        await g.write("x.txt", b"")
        g.tree.marks.set_xattr(g.ino("x.txt"), b"user.xdg.tags", b"best")
        assert g.names("tags/best") == []
        g.rmdir("tags/best")
        assert g.names("tags") == []
        await g.write("x.txt", b"now it has bytes")
        assert g.names("tags/best") == ["x.txt"]

    run(tmp_path, script)


def test_an_edit_of_one_of_two_photos_that_chose_one_name_keeps_its_suffix(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("all/b.png", picture(200))
        await g.gallery.wait("recognised", 30)
        g.rm("all/b.png")
        g.tree.acting(7)  # another program than that which removed it
        await g.write("all/b.png", picture(20))
        await g.gallery.wait("recognised", 30)
        g.mv("trash/b.png", "all/c.png")
        before = g.names("all")
        (label,) = [name for name in before if "~" in name]
        await append(g, "all/" + label, b"more")
        assert g.names("all") == before

    run(tmp_path, script)


@pytest.mark.parametrize("place", ["all", "tags/best"])
def test_a_file_that_is_called_like_a_photo_with_its_suffix_keeps_the_name(
    tmp_path: Path, place: str
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("tags/best")
        await g.write(f"{place}/b.png", picture(200))
        await g.gallery.wait("recognised", 30)
        await g.write(f"{place}/b.png", picture(20))
        await g.gallery.wait("recognised", 30)
        (aside,) = [name for name in g.names(place) if name != "b.png"]
        await g.write(f"{place}/{aside}", b"a text")
        g.rm("all/b.png")
        (twice,) = [name for name in g.names(place) if name != aside]
        g.mv(f"{place}/{twice}", f"{place}/b.png")
        assert g.names(place) == sorted(["b.png", aside])
        assert await g.read(f"{place}/b.png") == picture(200)
        assert await g.read(f"{place}/{aside}") == b"a text"

    run(tmp_path, script)


def test_a_text_that_a_photo_took_the_name_of_is_restored_under_the_name_that_it_is_given(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        await g.write("dates/2019/05/d", b"a text")
        await g.write("all/c.png", picture(200))
        g.mv("all/c.png", "all/d")
        assert g.names("trash") == ["d"]
        g.mv("trash/d", "dates/2019/05/b")
        assert g.names("dates/2019/05") == ["b"]

    run(tmp_path, script)


@pytest.mark.parametrize("red", range(110, 118))
def test_an_edited_photo_keeps_the_name_that_another_has_chosen_too(
    tmp_path: Path, red: int
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("tags/best")
        await g.write("all/a.png", picture(red))
        await g.gallery.wait("recognised", 30)
        g.rm("all/a.png")
        await g.write("tags/best/b.png", picture(20))
        g.mv("tags/best/b.png", "tags/best/a.png")
        g.mv("trash/a.png", "tags/best/a.png")
        (other,) = [name for name in g.names("all") if name != "a.png"]
        before, ino = await g.read(f"all/{other}"), g.ino("all/a.png")
        await append(g, "all/a.png", b"more")
        assert g.names("all") == ["a.png", other]
        assert g.ino("all/a.png") == ino
        assert await g.read(f"all/{other}") == before

    run(tmp_path, script)


def test_a_name_that_a_known_photo_was_written_under_goes_before_the_suffix_of_another(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("tags/best")
        await g.write("all/known.png", picture(90))
        await g.write("tags/best/b.png", picture(200))
        await g.gallery.wait("recognised", 30)
        await g.write("tags/best/b.png", picture(20))
        await g.gallery.wait("recognised", 30)
        (aside,) = [name for name in g.names("tags/best") if name != "b.png"]
        await g.write(f"tags/best/{aside}", picture(90))
        g.rm("all/b.png")
        (twice,) = [name for name in g.names("tags/best") if "~" in name]
        g.mv(f"tags/best/{twice}", "tags/best/b.png")
        assert g.names("tags/best") == ["b.png", "known.png"]
        assert await g.read("tags/best/b.png") == picture(200)
        assert await g.read(f"tags/best/{aside}") == picture(90)

    run(tmp_path, script)


def test_an_edit_that_was_looked_at_is_not_found_again_when_the_file_is_emptied(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("d")
        g.mkdir("tags/best")
        await g.write("d/a.png", picture(200))
        g.ln("d/a.png", "tags/best/a.png")
        await append(g, "tags/best/a.png", b"x")
        assert g.names("tags/best") == ["a.png"]
        with refused(errno.ESTALE):
            await g.tree.truncate(g.ino("d/a.png"), 0)
        await g.tree.truncate(g.ino("d/a.png"), 0)  # as the kernel does
        assert g.names("tags/best") == []
        with refused(errno.ENOENT):
            g.ino("tags/best/a.png")

    run(tmp_path, script)


def test_a_file_that_is_called_like_itself_with_its_suffix_has_one_line_for_each_of_its_names(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("d")
        await g.write("d/a.png", picture(200))
        await g.write("all/a.png", picture(200))
        await g.gallery.wait("recognised", 30)
        (twin,) = [name for name in g.names("all") if name != "a.png"]
        g.ln(f"all/{twin}", "all/b.png")
        g.mv("all/b.png", f"all/{twin}")
        before = g.names("all")
        assert len(before) == len(set(before)) == 3
        g.mkdir("tags/best")
        g.mv("all/a.png", "tags/best/c.png")
        g.mv("tags/best/c.png", "tags/best/a.png")
        assert g.names("all") == before

    run(tmp_path, script)


def test_a_text_keeps_its_view_name_when_it_is_edited_while_no_view_lists_it(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("tags/best")
        await g.write("b.txt", b"x")
        g.ln("b.txt", "tags/best/b.txt")
        g.mv("tags/best/b.txt", "tags/best/a.txt")
        g.rm("tags/best/a.txt")
        await append(g, "b.txt", b"x")
        g.tree.marks.set_xattr(g.ino("b.txt"), b"user.xdg.tags", b"best")
        assert g.names("tags/best") == ["a.txt"]

    run(tmp_path, script)


def test_a_tag_that_was_denied_and_came_back_by_a_merge_can_be_taken_from_the_list(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        for tag in "pets", "animals":
            g.mkdir(f"tags/{tag}")
        await g.write("tags/animals/a.png", picture(200))
        g.rm("tags/animals/a.png")
        g.ln("all/a.png", "tags/pets/a.png")
        g.mv("tags/pets", "tags/animals")
        assert g.names("tags/animals") == ["a.png"]
        ino = g.ino("all/a.png")
        tags = g.tree.marks.xattr(ino, b"user.xdg.tags").split(b",")
        assert b"animals" in tags
        left = b",".join(tag for tag in tags if tag != b"animals") or b"other"
        g.tree.marks.set_xattr(ino, b"user.xdg.tags", left)
        assert g.names("tags/animals") == []

    run(tmp_path, script)
