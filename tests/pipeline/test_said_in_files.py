"""Faces, keywords and stars of other programs are the user's word: once, and on the right face."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import trio
from colours import Read
from gallery_kit import Folder, make, opened
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from test_persons import Faces, group, people, settled

from tagfs.catalog.photos import ALL
from tagfs.catalog.records import PhotoRecord
from tagfs.catalog.sights import Sight
from tagfs.model import NEVER, Analysis, ContentId, Facts, Region
from tagfs.pipeline.said_in_files import with_said_before
from tagfs.recognise.face import packed, unpacked
from tagfs.views.why import why

Box = tuple[float, float, float, float]


def box(index: int) -> Box:
    """Return where the face of a number is in a group."""
    return (0.25 * index, 0.25, 0.25 * index + 0.2, 0.5)


def marked(seed: int, *who: int, **names: int) -> bytes:
    """Return a group() in whose metadata faces have names: Anna=0 names the first face.

    A name at -1 marks a place where there is no face.
    """
    text, out = PngInfo(), io.BytesIO()
    text.add_text("marks", ",".join(f"{name}:{index}" for name, index in names.items()))
    Image.open(io.BytesIO(group(seed, *who))).save(out, "PNG", pnginfo=text)
    return out.getvalue()


class Marks(Faces):
    """Sees faces beside each other, and what marked() wrote."""

    async def recognise(self, read: Read, size: int, media_type: str) -> Analysis:
        found = await super().recognise(read, size, media_type)
        (seen,) = found.more
        faces = [replace(f, box=box(i)) for i, f in enumerate(unpacked(seen.features))]
        text = Image.open(io.BytesIO(bytes(await read(0, size)))).info.get("marks", "")
        pairs = [mark.split(":") for mark in text.split(",") if mark]
        regions = tuple(
            Region(name, (0.1, 0.8, 0.2, 0.9) if index == "-1" else box(int(index)))
            for name, index in pairs
        )
        return replace(
            found,
            facts=Facts(regions=regions),
            more=(replace(seen, features=packed(faces)),),
        )


def run(tmp_path: Path, script: Callable[[Folder], Awaitable[None]]) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=Marks()) as g:
            await script(g)

    trio.run(main)


async def copy_in(g: Folder, **photos: bytes) -> None:
    for name, data in photos.items():
        await g.write(f"{name}.png", data)
        assert await g.gallery.wait("recognised", 20)
    await settled(g)


def test_who_is_marked_is_there_and_found_in_what_comes_later(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await copy_in(g, a=marked(1, 4, 5, Anna=1, Ben=0))
        assert people(g) == {"Anna": ["a.png"], "Ben": ["a.png"]}
        await copy_in(g, b=group(2, 5), c=group(3, 4), d=group(4, 6))
        assert people(g) == {"Anna": ["a.png", "b.png"], "Ben": ["a.png", "c.png"]}

    run(tmp_path, script)


def test_a_mark_names_who_was_nameless(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await copy_in(g, a=group(1, 4), b=group(2, 4))
        assert people(g) == {"unknown-01": ["a.png", "b.png"]}
        await copy_in(g, c=marked(3, 7, 4, Anna=1))
        assert people(g) == {"Anna": ["a.png", "b.png", "c.png"]}

    run(tmp_path, script)


def test_a_mark_where_no_face_is_names_the_photo_and_no_face(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await copy_in(g, a=marked(1, 4, Anna=-1), b=group(2, 4))
        assert people(g) == {"Anna": ["a.png"], "unknown-01": ["a.png", "b.png"]}

    run(tmp_path, script)


def test_what_the_user_takes_back_stays_taken_back(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await copy_in(g, a=marked(1, 4, Anna=0), b=group(2, 4))
        g.rm("people/Anna/a.png")
        await settled(g)
        g.gallery.rescan.start(g.gallery.state.photos.postings.bitmap(ALL), True, True)
        await g.gallery.rescan.wait(lambda done, total: None)
        await settled(g)
        assert "a.png" not in g.names("people/Anna")

    run(tmp_path, script)


def test_names_that_tagfs_gives_itself_are_nobodys(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await copy_in(g, a=marked(1, 4, **{"unknown-07": 0, ".hidden": 0}))
        assert people(g) == {}

    run(tmp_path, script)


async def look_again(g: Folder) -> None:
    g.gallery.rescan.start(g.gallery.state.photos.postings.bitmap(ALL), True, True)
    await g.gallery.rescan.wait(lambda done, total: None)
    await settled(g)


def test_a_person_who_was_renamed_keeps_the_new_name_at_the_next_look(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await copy_in(g, a=marked(1, 4, Anna=0))
        g.mv("people/Anna", "people/Anna Smith")
        await look_again(g)
        assert people(g) == {"Anna Smith": ["a.png"]}

    run(tmp_path, script)


def test_a_no_holds_when_its_person_was_merged_into_another(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await copy_in(g, a=marked(1, 4, Anna=0), b=marked(2, 5, Ben=0))
        g.rm("people/Anna/a.png")
        await settled(g)
        g.mv("people/Anna", "people/Ben")
        await settled(g)
        await look_again(g)
        assert "a.png" not in g.names("people/Ben")

    run(tmp_path, script)


def test_what_a_sidecar_marked_is_known_at_the_next_look(tmp_path: Path) -> None:
    old = Facts(regions=(Region("Anna", (0.0, 0.0, 0.5, 0.5)),))
    new = Facts(regions=(Region("Ben", (0.5, 0.0, 1.0, 0.5)),))
    record = PhotoRecord(ContentId(bytes(32)))
    assert with_said_before(record, new) == new
    record.sights["default-1"] = Sight(NEVER, "image/png", (), old, None, None, None)
    assert [r.name for r in with_said_before(record, new).regions] == ["Ben", "Anna"]
    assert with_said_before(record, old) == old
    assert with_said_before(None, new) == new


class Words(Faces):
    """Sees what keyworded() wrote."""

    async def recognise(self, read: Read, size: int, media_type: str) -> Analysis:
        found = await super().recognise(read, size, media_type)
        info = Image.open(io.BytesIO(bytes(await read(0, size)))).info
        words = tuple(filter(None, info.get("words", "").split(",")))
        rating = 2 * int(info["stars"]) if "stars" in info else None
        low, high, _ = Image.open(io.BytesIO(bytes(await read(0, size)))).getpixel((0, 0))  # type: ignore[misc]
        shape = int.from_bytes(bytes([low, high]) * 4)  # of one picture whatever its words are
        return replace(found, facts=Facts(32, 32, keywords=words, rating=rating, phash=shape))


def keyworded(seed: int, *words: str, stars: int | None = None) -> bytes:
    text, out = PngInfo(), io.BytesIO()
    text.add_text("words", ",".join(words))
    if stars is not None:
        text.add_text("stars", str(stars))
    Image.open(io.BytesIO(group(seed))).save(out, "PNG", pnginfo=text)
    return out.getvalue()


def rating(g: Folder, name: str) -> object:
    return g.tree.marks.xattr(g.ino(name), b"user.baloo.rating")


def run_words(tmp_path: Path, *scripts: Callable[[Folder], Awaitable[None]]) -> None:
    async def main() -> None:
        await make(tmp_path)
        for script in scripts:
            async with opened(tmp_path, recogniser=Words()) as g:
                await script(g)

    trio.run(main)


def test_keywords_are_tags_and_stars_a_rating(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await copy_in(g, a=keyworded(1, "Holiday", "Ladybug", "food/drink", stars=4))
        assert g.names("tags/Holiday") == ["a.png"]
        assert g.names("tags/ladybug") == g.names("tags/insect") == ["a.png"]  # the concept
        assert g.names("tags/food%2Fdrink") == ["a.png"]
        assert rating(g, "a.png") == b"8"
        file = g.tree.at(b"a.png")
        reasons = (await why(g.gallery.state, g.gallery.contents, file)).tags
        assert {r.name for r in reasons if r.in_file} == {"Holiday", "ladybug", "food/drink"}
        await copy_in(g, b=keyworded(2, "HOLIDAY"))
        assert g.names("tags/Holiday") == ["a.png", "b.png"]
        assert "HOLIDAY" not in g.names("tags")

    run_words(tmp_path, script)


def test_a_keyword_that_is_taken_back_or_renamed_stays_so(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await copy_in(g, a=keyworded(1, "Holiday", "Sea", stars=4))
        g.rm("tags/Holiday/a.png")
        g.mv("tags/Sea", "tags/Ocean view")
        g.tree.marks.set_xattr(g.ino("a.png"), b"user.baloo.rating", b"2")
        await again(g)
        assert "Holiday" not in g.names("tags") or g.names("tags/Holiday") == []
        assert g.names("tags/Ocean view") == ["a.png"]
        assert rating(g, "a.png") == b"2"

    async def again(g: Folder) -> None:
        ident = g.tree.at(b"a.png").content[0]  # type: ignore[index]
        await g.gallery.looker.look_again([ident])

    run_words(tmp_path, script)


def test_keywords_correct_no_recogniser(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await copy_in(g, **{f"a{n}": keyworded(n + 1, "dog", "Holiday") for n in range(6)})
        assert len(g.names("tags/dog")) == 6
        assert g.gallery.adapting._due == {}
        g.rm("tags/dog/a0.png")
        assert g.gallery.adapting._due != {}

    run_words(tmp_path, script)


def test_an_edit_says_what_is_new_in_the_file_and_nothing_that_was_taken_back(
    tmp_path: Path,
) -> None:
    async def saved(g: Folder, data: bytes) -> None:
        await g.write("2019/a.png", data)
        assert await g.gallery.wait("recognised", 20)
        await g.gallery.edits.wait_idle()

    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await saved(g, keyworded(1, "Holiday", "Sea", stars=4))
        g.rm("tags/Holiday/a.png")
        g.mv("tags/Sea", "tags/Ocean view")
        g.tree.marks.set_xattr(g.ino("2019/a.png"), b"user.baloo.rating", b"2")
        await saved(g, keyworded(1, "Holiday", "Sea", "Beach", stars=4))
        assert g.names("tags/Ocean view") == g.names("tags/Beach") == ["a.png"]
        assert not {"Holiday", "Sea"} & set(g.names("tags"))
        assert rating(g, "2019/a.png") == b"2"
        await saved(g, keyworded(1, "Holiday", "Sea", "Beach", stars=5))
        assert rating(g, "2019/a.png") == b"10"

    run_words(tmp_path, script)


def test_another_picture_that_is_written_over_a_photo_says_its_own(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/a.png", keyworded(1, "Holiday", stars=4))
        assert await g.gallery.wait("recognised", 20)
        g.rm("tags/Holiday/a.png")
        await g.write("2019/a.png", keyworded(0x5A5A, "Holiday", stars=3))
        assert await g.gallery.wait("recognised", 20)
        await g.gallery.edits.wait_idle()
        assert g.names("tags/Holiday") == ["a.png"]
        assert rating(g, "2019/a.png") == b"6"

    run_words(tmp_path, script)
