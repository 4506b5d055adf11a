"""Extended attributes in process: what reading and writing them means for tags and ratings."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tagfs.errors import FileError
from tagfs.model import Analysis, Scored
from tagfs.recognise.taxonomy import load
from tagfs.views import marks
from tagfs.views.tag_list import join, split

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from colours import DOG, ByColour, WithPlaces, photo, picture
from gallery_kit import Folder, make, opened

TAGS = b"user.xdg.tags"
RATING = b"user.baloo.rating"


class WithKinds(ByColour):
    """Sees the kinds above, too, as the shipped recogniser does."""

    async def recognise(self, read: object, size: int, media_type: str) -> Analysis:
        found = await super().recognise(read, size, media_type)  # type: ignore[arg-type]
        above = [Scored(t, 0.95) for s in found.tags for t in load().ancestors(s.tag)]
        return replace(found, tags=(*found.tags, *above))


def run(tmp_path: Path, script: Callable[[Folder], Awaitable[None]], **more: object) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=WithKinds(), **more) as folder:  # type: ignore[arg-type]
            await script(folder)

    trio.run(main)


def refused(number: int) -> pytest.RaisesExc[FileError]:
    return pytest.RaisesExc(FileError, check=lambda e: e.errno == number)


def get(g: Folder, path: str, name: bytes = TAGS) -> bytes | None:
    return g.tree.marks.xattr(g.ino(path), name)


def put(g: Folder, path: str, value: bytes, name: bytes = TAGS) -> None:
    g.tree.marks.set_xattr(g.ino(path), name, value)


def listed(g: Folder, path: str) -> list[bytes]:
    return sorted(g.tree.marks.xattrs(g.ino(path)))


async def dog(g: Folder, path: str = "2019/red.png", red: int = 200) -> None:
    if "2019" not in g.names():
        g.mkdir("2019")
    await g.write(path, picture(red))
    assert await g.gallery.wait("recognised", 20)


def journalled(g: Folder) -> object:
    return g.gallery.ledger.journal.end


def test_tags_list_the_most_specific_ones_and_those_that_the_user_gave(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await dog(g)
        assert {"animal", "dog"} <= set(g.names("tags"))
        assert get(g, "2019/red.png") == get(g, "all/red.png") == b"dog"
        g.ln("2019/red.png", "tags/animal/again.png")
        assert get(g, "2019/red.png") == b"animal,dog"
        assert listed(g, "2019/red.png") == [TAGS]

    run(tmp_path, script)


def test_writing_back_what_was_read_changes_nothing(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await dog(g)
        put(g, "2019/red.png", b"sun, sea,dog")
        value = get(g, "2019/red.png")
        assert value == b"dog,sea,sun"
        before, where = g.gallery.state.state_hash(), journalled(g)
        put(g, "2019/red.png", value)
        assert g.gallery.state.state_hash() == before
        assert journalled(g) == where
        assert get(g, "2019/red.png", b"user.tagfs.tag.dog") == b"0.90 auto colour-1"

    run(tmp_path, script)


def test_a_name_that_came_is_a_yes_and_a_name_that_went_is_a_no(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await dog(g)
        assert get(g, "2019/red.png") == b"dog"
        put(g, "2019/red.png", b"holiday")
        assert "dog" not in g.names("tags")
        assert g.names("tags/holiday") == ["red.png"]
        assert get(g, "2019/red.png", b"user.tagfs.tag.holiday") == b"you"
        assert "animal" in g.names("tags")  # no on a kind leaves what it is a kind of
        put(g, "2019/red.png", b"DOG,holiday")  # what was written counts as read
        assert g.names("tags/dog") == ["red.png"]
        assert get(g, "2019/red.png", b"user.tagfs.tag.dog") == b"you"

    run(tmp_path, script)


def test_a_list_that_is_written_without_reading_only_adds(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await dog(g)
        put(g, "2019/red.png", b"holiday")
        assert g.names("tags/dog") == g.names("tags/holiday") == ["red.png"]
        # What is in force already needs no word of the user's.
        put(g, "2019/red.png", b"dog")
        await g.write("2019/other.png", picture(201))
        await g.gallery.wait("recognised", 20)
        put(g, "2019/other.png", b"dog")
        assert get(g, "2019/other.png", b"user.tagfs.tag.dog") == b"0.90 auto colour-1"

    run(tmp_path, script)


def test_removing_the_list_or_writing_it_empty_takes_back_yes_and_never_says_no(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        await dog(g)
        for forget in (
            lambda: g.tree.marks.remove_xattr(g.ino("2019/red.png"), TAGS),
            lambda: put(g, "2019/red.png", b""),
            lambda: put(g, "2019/red.png", b" , "),
        ):
            get(g, "2019/red.png")
            put(g, "2019/red.png", b"dog,holiday,sun")
            assert get(g, "2019/red.png") == b"dog,holiday,sun"
            forget()
            assert get(g, "2019/red.png") == b"dog"
            assert g.names("tags/dog") == ["red.png"]
            assert "holiday" not in g.names("tags")

    run(tmp_path, script)


def test_who_removes_a_kind_above_a_tag_that_stays_takes_only_the_word_back(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        await dog(g)
        get(g, "2019/red.png")
        put(g, "2019/red.png", b"animal,dog")
        assert get(g, "2019/red.png") == b"animal,dog"
        put(g, "2019/red.png", b"dog")
        assert get(g, "2019/red.png") == b"dog"
        assert g.names("tags/dog") == g.names("tags/animal") == ["red.png"]

    run(tmp_path, script)


@pytest.mark.parametrize("mirrors", [False, True])
def test_a_no_from_before_tags_were_merged_does_not_come_back_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirrors: bool
) -> None:
    monkeypatch.setattr(marks, "mirrors", lambda pid: mirrors)

    async def script(g: Folder) -> None:
        await dog(g)
        g.rm("tags/animal/red.png")
        assert get(g, "2019/red.png") is None
        g.mkdir("tags/pet")
        g.ln("2019/red.png", "tags/pet/red.png")
        g.mv("tags/pet", "tags/animal")
        assert get(g, "2019/red.png") == b"animal,dog"
        put(g, "2019/red.png", b"dog")
        assert get(g, "2019/red.png") == b"dog"
        assert g.names("tags/dog") == g.names("tags/animal") == ["red.png"]

    run(tmp_path, script)


def test_a_synonym_is_the_same_tag(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await dog(g)
        assert get(g, "2019/red.png") == b"dog"
        other = load().synonyms(DOG)[0]
        put(g, "2019/red.png", other.encode())
        assert get(g, "2019/red.png") == b"dog"

    run(tmp_path, script)


def test_words_on_a_file_without_bytes_come_along_when_it_is_written(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        parent, name = g.split("new.png")
        ino = g.tree.create(parent, name, 0o644).ino
        g.tree.marks.set_xattr(ino, TAGS, b"holiday")
        g.tree.marks.set_xattr(ino, RATING, b"7")
        assert get(g, "new.png") == b"holiday"
        await g.write("new.png", picture(20))
        assert await g.gallery.wait("recognised", 20)
        assert get(g, "new.png") == b"cat,holiday"
        assert get(g, "new.png", RATING) == b"7"
        assert g.names("tags/holiday") == ["new.png"]

    run(tmp_path, script)


def test_copying_attributes_inside_the_gallery_makes_no_word_of_what_was_seen(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        await dog(g)
        put(g, "2019/red.png", b"holiday")
        value = get(g, "2019/red.png")
        assert value == b"dog,holiday"
        ino = g.tree.create(*g.split("2019/copy.png"), 0o644).ino
        handle = await g.tree.open(ino, os.O_WRONLY)
        handle.write(0, picture(200))
        g.tree.marks.set_xattr(ino, TAGS, value)  # cp -a does so before it closes
        await handle.flush()
        await handle.release()
        assert get(g, "2019/copy.png", b"user.tagfs.tag.dog") == b"0.90 auto colour-1"
        assert get(g, "2019/copy.png", b"user.tagfs.tag.holiday") == b"you"

    run(tmp_path, script)


def test_ratings_go_from_zero_to_ten_and_zero_is_none(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await dog(g)
        assert get(g, "all/red.png", RATING) is None
        put(g, "all/red.png", b"10", RATING)
        assert get(g, "2019/red.png", RATING) == b"10"
        assert listed(g, "2019/red.png") == sorted([TAGS, RATING])
        for wrong in (b"11", b"-1", b"x", b"", b"1.5", "\u0663".encode()):
            with refused(errno.EINVAL):
                put(g, "all/red.png", wrong, RATING)
        put(g, "all/red.png", b"0", RATING)
        assert get(g, "2019/red.png", RATING) is None
        with refused(errno.ENODATA):
            g.tree.marks.remove_xattr(g.ino("2019/red.png"), RATING)

    run(tmp_path, script)


def test_an_edit_keeps_rating_and_tags(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await dog(g)
        put(g, "2019/red.png", b"4", RATING)
        put(g, "2019/red.png", b"holiday")
        handle = await g.tree.open(g.ino("2019/red.png"), os.O_WRONLY)
        handle.write(0, picture(201))
        await handle.flush()
        await handle.release()
        assert await g.gallery.wait("recognised", 20)
        assert get(g, "2019/red.png", RATING) == b"4"
        assert get(g, "2019/red.png") == b"dog,holiday"

    run(tmp_path, script)


def test_facts_are_readable_and_neither_listed_nor_written(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await dog(g)
        ident = get(g, "2019/red.png", b"user.tagfs.id")
        assert ident == get(g, "all/red.png", b"user.tagfs.id")
        assert ident is not None
        assert len(ident) == 64
        assert get(g, "2019/red.png", b"user.tagfs.tag.dog") == b"0.90 auto colour-1"
        assert get(g, "2019/red.png", b"user.tagfs.tag.animal") == b"0.95 auto colour-1"
        for absent in (b"tag.cat", b"tag.nothing", b"date", b"place", b"position", b"else"):
            assert get(g, "2019/red.png", b"user.tagfs." + absent) is None
        assert listed(g, "2019/red.png") == [TAGS]
        with refused(errno.EPERM):
            put(g, "2019/red.png", b"1", b"user.tagfs.id")
        with refused(errno.EPERM):
            g.tree.marks.remove_xattr(g.ino("2019/red.png"), b"user.tagfs.id")

    run(tmp_path, script)


def test_place_and_position_are_facts(tmp_path: Path) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=WithPlaces()) as g:
            await g.write("all/rome.jpg", photo(1, position=(41.899, 12.473)))
            await g.write("all/sea.jpg", photo(2, position=(30.0, -40.5)))
            assert await g.gallery.wait("recognised", 20)
            assert get(g, "all/rome.jpg", b"user.tagfs.place") == b"Rome, Lazio, Italy"
            assert get(g, "all/rome.jpg", b"user.tagfs.position") == b"41.899,12.473"
            assert get(g, "all/sea.jpg", b"user.tagfs.place") is None
            assert get(g, "all/sea.jpg", b"user.tagfs.position") == b"30,-40.5"

    trio.run(main)


def test_the_state_of_a_file_is_new_then_sealed_then_stored(tmp_path: Path) -> None:
    async def offline(g: Folder) -> None:
        g.mkdir("2019")
        ino = g.tree.create(*g.split("2019/red.png"), 0o644).ino
        handle = await g.tree.open(ino, os.O_WRONLY)
        handle.write(0, picture(200))
        assert get(g, "2019/red.png", b"user.tagfs.state") == b"new"
        await handle.flush()
        await handle.release()
        assert await g.gallery.wait("recognised", 20)
        assert get(g, "2019/red.png", b"user.tagfs.state") == b"sealed"

    run(tmp_path, offline, offline=True)

    async def online() -> None:
        async with opened(tmp_path) as g:
            assert await g.gallery.wait("stored", 20)
            assert get(g, "2019/red.png", b"user.tagfs.state") == b"stored"
            # What the user just said of it would be lost with this machine.
            g.mv("2019/red.png", "2019/new.png")
            assert get(g, "2019/new.png", b"user.tagfs.state") == b"sealed"
            assert await g.gallery.wait("stored", 20)
            assert get(g, "2019/new.png", b"user.tagfs.state") == b"stored"

    trio.run(online)


def test_other_attributes_of_files_and_folders_are_kept_as_they_were_written(
    tmp_path: Path,
) -> None:
    origin, comment = b"user.xdg.origin.url", b"user.xdg.comment"

    async def script(g: Folder) -> None:
        await dog(g)
        put(g, "2019/red.png", b"http://example.org/", origin)
        put(g, "2019/red.png", bytes(range(256)), comment)
        put(g, "2019", b"mine", comment)
        put(g, "", b"root", comment)
        g.tree.marks.remove_xattr(g.ino("2019/red.png"), origin)
        with refused(errno.ENODATA):
            g.tree.marks.remove_xattr(g.ino("2019/red.png"), origin)

    async def again() -> None:
        async with opened(tmp_path) as g:
            assert listed(g, "2019/red.png") == [comment, TAGS]
            assert get(g, "2019/red.png", comment) == bytes(range(256))
            assert get(g, "2019", comment) == b"mine"
            assert get(g, "", comment) == b"root"
            with refused(errno.ENOSPC):
                put(g, "2019/red.png", bytes(65536), b"user.large")
            for n in range(63):
                put(g, "2019/red.png", b"", b"user.n%d" % n)
            with refused(errno.ENOSPC):
                put(g, "2019/red.png", b"", b"user.last")

    run(tmp_path, script)
    trio.run(again)


def test_views_and_generated_texts_have_no_attributes(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await dog(g)
        for path in ("tags", "tags/dog", "all", "trash", ".tagfs/status"):
            assert listed(g, path) == []
            assert get(g, path) is None
            with refused(errno.ENOTSUP):
                put(g, path, b"dog")
        g.rm("2019/red.png")
        with refused(errno.EPERM):
            put(g, "trash/red.png", b"holiday")

    run(tmp_path, script)


def test_what_is_no_list_of_tags_is_refused(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await dog(g)
        for wrong in (b"\xff", b"a\0b", b"x" * 256):
            with refused(errno.EINVAL):
                put(g, "2019/red.png", wrong)
        with refused(errno.E2BIG):
            put(g, "2019/red.png", b",".join(b"n%d" % n for n in range(300)))
        put(g, "2019/red.png", b"1%2C2,a/b,.hidden,50% off\0")
        assert get(g, "2019/red.png") == b".hidden,1%2C2,50% off,a/b,dog"
        assert {"1,2", "a%2Fb", "%2Ehidden", "50%25 off"} <= set(g.names("tags"))

    run(tmp_path, script)


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
        .map(str.strip)
        .filter(bool)
    )
)
def test_every_name_survives_being_joined_and_split(names: list[str]) -> None:
    assert split(join(names)) == names
