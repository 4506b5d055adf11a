"""What a file's own metadata says it is stands in the tags, apart from what networks see."""

from __future__ import annotations

import io
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import trio
from PIL import Image

from tagfs.catalog.photos import ALL
from tagfs.catalog.records import PhotoRecord
from tagfs.cli.tagging import _reasons
from tagfs.model import METADATA, Analysis, Scored
from tagfs.pipeline.opening import join
from tagfs.recognise.decode import decode
from tagfs.recognise.kinds import PANORAMA, rows
from tagfs.recognise.rescoring import Rescores, todays
from tagfs.recognise.telling import shown
from tagfs.remote.url import dir_url
from tagfs.views.search import find
from tagfs.views.why import why

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from colours import ByColour, Read, photo
from gallery_kit import SECRET, Folder, make, opened

WIDE = b"<rdf:Description GPano:ProjectionType='equirectangular'/>"
LENS = "EF24-105mm f/4L IS USM"
FRONT = "iPhone X front TrueDepth camera 2.87mm f/2.2"


class Reading(ByColour):
    """The same, and what metadata says, read as the worker reads it but in this process."""

    async def recognise(self, read: Read, size: int, media_type: str) -> Analysis:
        found = await super().recognise(read, size, media_type)
        data = bytes(await read(0, size))
        said = shown(decode(data, found.media_type), data, found.media_type, datetime.now())
        return replace(found, facts=said.facts, more=rows(said.kinds))


def taken(seed: int, xmp: bytes = b"", lens: str | None = None) -> bytes:
    """Return a photo of a dog with this packet and this lens."""
    image = Image.open(io.BytesIO(photo(seed)))
    exif = image.getexif()
    if lens is not None:
        exif.get_ifd(0x8769)[0xA434] = lens
    out = io.BytesIO()
    image.save(out, "JPEG", quality=95, exif=exif, xmp=xmp)
    return out.getvalue()


async def three(g: Folder) -> None:
    """Write a panorama, a selfie and a photo that says nothing."""
    g.mkdir("a")
    await g.write("a/wide.jpg", taken(1, WIDE, LENS))
    await g.write("a/me.jpg", taken(2, lens=FRONT))
    await g.write("a/plain.jpg", taken(3, lens="----"))
    assert await g.gallery.wait("recognised", 20)


def run(tmp_path: Path, script: Callable[[Folder], Awaitable[None]]) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=Reading()) as g:
            await three(g)
            await script(g)

    trio.run(main)


def record(g: Folder, path: bytes) -> PhotoRecord:
    file = g.tree.at(path)
    assert file.content is not None
    found = g.gallery.state.photos.get(file.content[0])
    assert found is not None
    return found


def attribute(g: Folder, path: str, name: str) -> bytes | None:
    return g.tree.marks.xattr(g.ino(path), b"user.tagfs." + name.encode())


def found(g: Folder, query: str) -> list[str]:
    names = map(g.gallery.state.photos.names.shown, find(g.gallery.state, query).numbers)
    return sorted(shown.name.decode() for shown in names if shown is not None)


def test_a_panorama_and_a_selfie_stand_in_folders_of_tags(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        assert g.names("tags/panorama") == ["wide.jpg"]
        assert g.names("tags/selfie") == g.names("tags/portrait") == ["me.jpg"]
        assert g.names("tags/dog") == ["me.jpg", "plain.jpg", "wide.jpg"]
        assert METADATA not in record(g, b"a/plain.jpg").sights
        assert found(g, "panorama") == ["wide.jpg"]
        assert found(g, "dog -panorama conf:>0.8") == ["me.jpg", "plain.jpg"]

    run(tmp_path, script)


def test_a_lens_is_found_by_any_part_of_its_name_and_is_an_attribute(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        assert found(g, "lens:24-105") == g.names("search/lens:ef24") == ["wide.jpg"]
        assert found(g, 'lens:"TRUEDEPTH CAMERA" or lens:105mm') == ["me.jpg", "wide.jpg"]
        assert found(g, "lens:50mm") == []
        assert attribute(g, "a/wide.jpg", "lens") == LENS.encode()
        assert attribute(g, "tags/panorama/wide.jpg", "lens") == LENS.encode()
        assert attribute(g, "a/plain.jpg", "lens") is None

    run(tmp_path, script)


def test_it_is_told_that_metadata_said_so(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        assert attribute(g, "a/wide.jpg", "tag.panorama") == b"1.00 auto metadata-1"
        assert attribute(g, "a/wide.jpg", "tag.dog") == b"0.90 auto colour-1"
        told = await why(g.gallery.state, g.gallery.contents, g.tree.at(b"a/wide.jpg"))
        (row,) = [tag.as_json() for tag in told.tags if tag.name == "panorama"]
        assert row["seen"] == [{"pack": METADATA, "confidence": 1.0, "score": None}]
        lines = _reasons(told.as_json()).splitlines()
        assert "  + panorama: its own metadata says so" in lines

    run(tmp_path, script)


def test_the_users_no_goes_before_it(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.rm("tags/panorama/wide.jpg")
        assert "panorama" not in g.names("tags")
        assert g.names("a") == ["me.jpg", "plain.jpg", "wide.jpg"]

    run(tmp_path, script)


class Nothing:
    """Today's thresholds give no tag at all."""

    pack = "colour-1"

    def tags(self, scores: Mapping[str, Iterable[Scored]]) -> Mapping[str, tuple[Scored, ...]]:
        return {}

    def lacks(self, scores: Mapping[str, Iterable[Scored]]) -> bool:
        return False


def shipped() -> Rescores:
    """Return the rules that tagfs ships, for photos that another pack has looked at."""
    rescorer = todays()
    rescorer.pack = "colour-1"
    rescorer.lacks = lambda scores: False  # type: ignore[method-assign]
    return rescorer


@pytest.mark.parametrize("scorer", [Nothing, shipped])
def test_new_thresholds_leave_what_metadata_says_alone(
    tmp_path: Path, scorer: Callable[[], Rescores]
) -> None:
    async def script(g: Folder) -> None:
        before = record(g, b"a/wide.jpg").sights[METADATA]
        assert before.details is None
        g.gallery.rescan.scorer = scorer
        for originals in (False, True):
            everything = g.gallery.state.photos.postings.bitmap(ALL)
            g.gallery.rescan.gentle = False
            g.gallery.rescan.start(everything, originals, whole=True)
            job = await g.gallery.rescan.wait(lambda done, total: None)
            assert job is not None
            assert job.failed == 0
            assert job.looked == (3 if originals else 0)
            if not originals:
                assert "dog" not in g.names("tags")
                assert record(g, b"a/wide.jpg").sights[METADATA] == before
            assert g.names("tags/panorama") == ["wide.jpg"]
            assert g.names("tags/selfie") == ["me.jpg"]
            assert found(g, "lens:24-105") == ["wide.jpg"]
        assert [s.tag for s in record(g, b"a/wide.jpg").sights[METADATA].tags] == [PANORAMA]

    run(tmp_path, script)


def test_lens_and_kind_come_back_with_the_vault(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        assert await g.gallery.wait("stored", 30)

    run(tmp_path, script)

    async def again() -> None:
        await join(tmp_path / "other", dir_url(tmp_path / "remote"), SECRET)
        async with opened(tmp_path, state="other") as g:
            assert g.names("tags/panorama") == ["wide.jpg"]
            assert found(g, "lens:24-105") == ["wide.jpg"]

    trio.run(again)
