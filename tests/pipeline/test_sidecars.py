"""What a sidecar states goes before what the photo says of itself, whichever came first."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import trio
from colours import Read, WithPlaces, photo
from gallery_kit import Folder, make, opened

from tagfs.catalog.photos import ALL
from tagfs.errors import FileError
from tagfs.model import Analysis, Facts, Place, Region
from tagfs.pipeline.sidecars import overridden
from tagfs.recognise.messages import MAX_SIDECAR, pack_sidecar, read_sidecar
from tagfs.recognise.packs import PackMissing
from tagfs.recognise.telling import beside
from tagfs.views.sidecar import sidecar

XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>
<rdf:Description exif:DateTimeOriginal="{date}" exif:GPSLatitude="41,53.9N"
 exif:GPSLongitude="12,28.9E" tiff:Make="Other" tiff:Model="Camera">{more}</rdf:Description>
</rdf:RDF></x:xmpmeta>"""
REGIONS = """<MPRI:Regions><rdf:Bag><rdf:li MPReg:Rectangle="0.1,0.2,0.3,0.4"
 MPReg:PersonDisplayName="Anna"/></rdf:Bag></MPRI:Regions>"""


def xmp(date: str = "2011-02-03T10:20:30", more: str = "") -> bytes:
    return XMP.format(date=date, more=more).encode()


class Reads(WithPlaces):
    """Reads sidecars as the worker does, but in this process; ``asked`` counts."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def read_sidecar(self, packet: bytes, facts: Facts) -> Facts | None:
        self.asked += 1
        found = beside(*read_sidecar(pack_sidecar(packet, facts)), datetime.now())
        return self._gazetteer.located(found)


def run(tmp_path: Path, script: Callable[[Folder, Reads], Awaitable[None]]) -> None:
    async def main() -> None:
        await make(tmp_path)
        eyes = Reads()
        async with opened(tmp_path, recogniser=eyes) as g:
            await script(g, eyes)

    trio.run(main)


async def settled(g: Folder) -> None:
    assert await g.gallery.wait("recognised", 20)


def day(g: Folder, text: str) -> list[str]:
    return g.names("dates/" + text.replace("-", "/"))


@pytest.mark.parametrize("name", ["a.jpg.xmp", "a.xmp", "a.XMP"])
def test_a_sidecar_that_came_first_is_read_when_the_photo_is_looked_at(
    name: str, tmp_path: Path
) -> None:
    async def script(g: Folder, eyes: Reads) -> None:
        g.mkdir("d")
        await g.write(f"d/{name}", xmp())
        await g.write("d/a.jpg", photo(1, date="2019:05:06 07:08:09"))
        await settled(g)
        assert day(g, "2011-02-03") == ["a.jpg"]
        assert g.names("places/Italy/Lazio") == ["Rome"]

    run(tmp_path, script)


@pytest.mark.parametrize("name", ["a.jpg.xmp", "a.xmp"])
def test_a_sidecar_that_comes_later_or_is_written_anew_changes_the_photo(
    name: str, tmp_path: Path
) -> None:
    async def script(g: Folder, eyes: Reads) -> None:
        await g.write("a.jpg", photo(1, date="2019:05:06 07:08:09"))
        await settled(g)
        assert day(g, "2019-05-06") == ["a.jpg"]
        await g.write(name, xmp())
        await settled(g)
        assert day(g, "2011-02-03") == ["a.jpg"]
        assert day(g, "2019-05-06") == []
        await g.write(name, xmp("2012-03-04T10:20:30"))
        await settled(g)
        assert day(g, "2012-03-04") == ["a.jpg"]
        await g.write(".new", xmp("2013-03-04T10:20:30"))
        g.mv(".new", name)
        await settled(g)
        assert day(g, "2013-03-04") == ["a.jpg"]

    run(tmp_path, script)


def test_the_longer_name_goes_before_the_shorter(tmp_path: Path) -> None:
    async def script(g: Folder, eyes: Reads) -> None:
        await g.write("a.xmp", xmp("2012-03-04T10:20:30"))
        await g.write("a.jpg.xmp", xmp())
        await g.write("a.jpg", photo(1))
        await g.write("a.png", photo(2))
        await settled(g)
        assert day(g, "2011-02-03") == ["a.jpg"]
        assert day(g, "2012-03-04") == ["a.png"]

    run(tmp_path, script)


def test_it_holds_after_a_look_at_the_original_again(tmp_path: Path) -> None:
    async def script(g: Folder, eyes: Reads) -> None:
        await g.write("a.jpg", photo(1, date="2019:05:06 07:08:09"))
        await g.write("a.xmp", xmp())
        await settled(g)
        g.gallery.rescan.start(g.gallery.state.photos.postings.bitmap(ALL), True, True)
        await g.gallery.rescan.wait(lambda done, total: None)
        await settled(g)
        assert day(g, "2011-02-03") == ["a.jpg"]

    run(tmp_path, script)


def test_what_the_user_said_here_goes_before_the_sidecar(tmp_path: Path) -> None:
    async def script(g: Folder, eyes: Reads) -> None:
        await g.write("a.jpg", photo(1, date="2019:05:06 07:08:09"))
        await settled(g)
        g.ln("a.jpg", "dates/2020/01/02/a.jpg")
        await g.write("a.xmp", xmp())
        await settled(g)
        assert day(g, "2020-01-02") == ["a.jpg"]

    run(tmp_path, script)


def test_what_is_too_long_empty_or_elsewhere_is_not_read(tmp_path: Path) -> None:
    async def script(g: Folder, eyes: Reads) -> None:
        g.mkdir("d")
        await g.write("a.jpg", photo(1, date="2019:05:06 07:08:09"))
        await g.write("a.xmp", xmp(more=" " * MAX_SIDECAR))
        await g.write("d/a.xmp", xmp())
        await g.write("b.xmp", b"")
        await g.write("b.jpg", photo(2))
        await settled(g)
        assert eyes.asked == 0
        assert day(g, "2019-05-06") == ["a.jpg"]

    run(tmp_path, script)


def test_rubbish_changes_nothing(tmp_path: Path) -> None:
    async def script(g: Folder, eyes: Reads) -> None:
        await g.write("a.jpg", photo(1, date="2019:05:06 07:08:09"))
        await g.write("a.xmp", bytes(range(256)) * 64)
        await settled(g)
        assert eyes.asked
        assert day(g, "2019-05-06") == ["a.jpg"]

    run(tmp_path, script)


def test_a_face_that_a_sidecar_names_is_the_users_word(tmp_path: Path) -> None:
    async def script(g: Folder, eyes: Reads) -> None:
        await g.write("a.jpg", photo(1))
        await g.write("a.jpg.xmp", xmp(more=REGIONS))
        await settled(g)
        assert g.names("people/Anna") == ["a.jpg"]

    run(tmp_path, script)


def test_keywords_of_a_sidecar_are_tags_and_come_back_from_an_export(tmp_path: Path) -> None:
    packet = xmp(more="<dc:subject><rdf:Bag><rdf:li>Holiday</rdf:li></rdf:Bag></dc:subject>")
    written: list[bytes] = []

    async def script(g: Folder, eyes: Reads) -> None:
        await g.write("a.jpg", photo(1))
        await g.write("a.jpg.xmp", packet)
        await settled(g)
        assert g.names("tags/Holiday") == ["a.jpg"]
        g.mkdir("tags/Day & night")
        g.ln("a.jpg", "tags/Day & night/a.jpg")
        g.tree.marks.set_xattr(g.ino("a.jpg"), b"user.baloo.rating", b"6")
        record = g.gallery.state.photos.get(g.tree.at(b"a.jpg").content[0])  # type: ignore[index]
        assert record is not None
        exported = sidecar(g.gallery.state, record)
        assert exported is not None
        written.append(exported)

    async def again(g: Folder, eyes: Reads) -> None:
        await g.write("a.jpg", photo(1))
        await g.write("a.xmp", written[0])
        await settled(g)
        assert g.names("tags/Holiday") == g.names("tags/Day & night") == ["a.jpg"]
        assert g.tree.marks.xattr(g.ino("a.jpg"), b"user.baloo.rating") == b"6"

    (tmp_path / "first").mkdir()
    run(tmp_path / "first", script)
    (tmp_path / "second").mkdir()
    run(tmp_path / "second", again)


def test_a_keyword_of_the_file_is_not_said_again_because_the_sidecar_has_others(
    tmp_path: Path,
) -> None:
    packet = xmp(more="<dc:subject><rdf:Bag><rdf:li>Beach</rdf:li></rdf:Bag></dc:subject>")

    class Sea(Reads):
        async def recognise(self, read: Read, size: int, media_type: str) -> Analysis:
            found = await super().recognise(read, size, media_type)
            return replace(found, facts=replace(found.facts, keywords=("Sea",)))

    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=Sea()) as g:
            await g.write("a.jpg", photo(1))
            await settled(g)
            g.mv("tags/Sea", "tags/Ocean view")
            await g.write("a.xmp", packet)
            await settled(g)
            g.gallery.rescan.start(g.gallery.state.photos.postings.bitmap(ALL), True, True)
            await g.gallery.rescan.wait(lambda done, total: None)
            await settled(g)
            assert g.names("tags/Ocean view") == g.names("tags/Beach") == ["a.jpg"]
            assert "Sea" not in g.names("tags")

    trio.run(main)


def test_a_disk_without_room_delays_it_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(g: Folder, eyes: Reads) -> None:
        await g.write("a.jpg", photo(1))
        await settled(g)
        commit, refused = g.gallery.ledger.commit, []

        def full(ops: object, *more: object, **named: object) -> object:
            if not refused and not named:
                refused.append(ops)
                raise FileError(28)
            return commit(ops, *more, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(g.gallery.ledger, "commit", full)
        monkeypatch.setattr("tagfs.pipeline.sidecars.LATER", 0.0)
        await g.write("a.xmp", xmp())
        await settled(g)
        while not day(g, "2011-02-03"):
            await trio.lowlevel.checkpoint()
        assert refused
        assert day(g, "2011-02-03") == ["a.jpg"]

    run(tmp_path, script)


def test_a_photo_that_is_known_already_comes_beside_a_sidecar(tmp_path: Path) -> None:
    async def script(g: Folder, eyes: Reads) -> None:
        g.mkdir("d")
        await g.write("d/a.xmp", xmp())
        await g.write("a.jpg", photo(1, date="2019:05:06 07:08:09"))
        await settled(g)
        assert day(g, "2019-05-06") == ["a.jpg"]
        g.mv("a.jpg", "d/a.jpg")
        await settled(g)
        assert day(g, "2011-02-03") == ["a.jpg"]
        await g.write("e.jpg", photo(2))
        await g.write("d/e.xmp", xmp("2012-03-04T10:20:30"))
        await settled(g)
        await g.write("d/e.jpg", photo(2))  # the same bytes once more
        await settled(g)
        assert day(g, "2012-03-04") == ["e.jpg"]

    run(tmp_path, script)


def test_what_was_not_read_yet_is_read_after_a_restart(tmp_path: Path) -> None:
    class Away(Reads):
        async def read_sidecar(self, packet: bytes, facts: Facts) -> Facts | None:
            raise PackMissing("no worker")

    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=Away()) as g:
            await g.write("a.jpg", photo(1, date="2019:05:06 07:08:09"))
            await g.write("a.xmp", xmp())
            await settled(g)
            assert day(g, "2019-05-06") == ["a.jpg"]
        async with opened(tmp_path, recogniser=Reads()) as g:
            await settled(g)
            assert day(g, "2011-02-03") == ["a.jpg"]

    trio.run(main)


def test_a_catalog_that_is_made_anew_needs_no_sidecar_of_the_remote(tmp_path: Path) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=Reads()) as g:
            await g.write("a.jpg", photo(1, date="2019:05:06 07:08:09"))
            await g.write("a.xmp", xmp())
            await settled(g)
            assert await g.gallery.wait("stored", 20)
        shutil.rmtree(tmp_path / "state" / "cache")
        shutil.rmtree(tmp_path / "state" / "catalog")
        eyes = Reads()
        async with opened(tmp_path, recogniser=eyes) as g:
            await settled(g)
            assert day(g, "2011-02-03") == ["a.jpg"]
        assert eyes.asked == 0

    trio.run(main)


def test_a_pause_of_recognition_holds_for_sidecars(tmp_path: Path) -> None:
    async def script(g: Folder, eyes: Reads) -> None:
        await g.write("a.jpg", photo(1))
        await settled(g)
        await g.gallery.looker.rest.pause()
        await g.write("a.xmp", xmp())
        assert not await g.gallery.wait("recognised", 0.3)
        assert eyes.asked == 0
        await g.gallery.looker.rest.resume()
        await settled(g)
        assert day(g, "2011-02-03") == ["a.jpg"]

    run(tmp_path, script)


def test_a_camera_is_the_photos_own_and_an_offset_goes_with_its_date() -> None:
    own = Facts(date="2019-05-06T07:08:09", offset="+02:00", camera="Mine")
    region = Region("Anna", (0.0, 0.0, 0.5, 0.5))
    stated = Facts(date=own.date, camera="Other", lens="50 mm", place=Place(1.0, 2.0))
    assert overridden(own, stated) == Facts(
        date=own.date, offset="+02:00", camera="Mine", lens="50 mm", place=Place(1.0, 2.0)
    )
    assert overridden(own, Facts(date="2019-05-06T08:00:00")).offset is None
    assert overridden(own, Facts(regions=(region,))).regions == (region,)
    assert overridden(own, Facts()) == own
