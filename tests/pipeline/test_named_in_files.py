"""Faces that were named in another program are the user's word: once, and on the right face."""

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
from tagfs.pipeline.named_in_files import with_marked_before
from tagfs.recognise.face import packed, unpacked

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
    assert with_marked_before(record, new) == new
    record.sights["default-1"] = Sight(NEVER, "image/png", (), old, None, None, None)
    assert [r.name for r in with_marked_before(record, new).regions] == ["Ben", "Anna"]
    assert with_marked_before(record, old) == old
    assert with_marked_before(None, new) == new
