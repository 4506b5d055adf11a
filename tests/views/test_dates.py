"""``dates/``: photos by the day they were taken, and what copying, moving, removing there mean."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest
import trio

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from colours import ByColour, Read
from gallery_kit import make
from view_kit import JUNE, MAY, SECRET, Folder, opened, photo, refused, removed, run

from tagfs.catalog.view_names import Shown
from tagfs.model import Analysis, Facts
from tagfs.pipeline.opening import join
from tagfs.remote.url import dir_url


def test_photos_stand_in_the_day_they_were_taken(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        await g.write("a/one.jpg", photo(1, date=MAY))
        await g.write("a/two.jpg", photo(2, date=JUNE))
        await g.write("a/none.jpg", photo(3))
        assert await g.gallery.wait("recognised", 20)
        assert g.names("dates") == ["2019"]
        assert g.names("dates/2019") == ["05", "06"]
        assert g.names("dates/2019/05") == ["12"]
        assert g.names("dates/2019/05/12") == ["one.jpg"]
        assert g.names("dates/2019/06/01") == ["two.jpg"]
        assert g.ino("dates/2019/05/12/one.jpg") == g.ino("a/one.jpg")

    run(tmp_path, script)


class NotShown(ByColour):
    """Decodes nothing, and reads the date all the same: a video, a raw file."""

    async def recognise(self, read: Read, size: int, media_type: str) -> Analysis:
        facts = Facts(date="2021-07-08T09:10:11", offset="+00:00")
        return Analysis(self.pack, media_type, (), (), facts, b"", b"", "MP4 is not decoded")


def test_a_video_stands_in_its_day_and_among_what_could_not_be_decoded(tmp_path: Path) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=NotShown()) as g:
            g.mkdir("a")
            await g.write("a/film.mp4", b"\0\0\0\x0cftypmp42" + bytes(100))
            assert await g.gallery.wait("recognised", 20)
            assert g.names("dates/2021/07/08") == ["film.mp4"]
            assert g.names("review/unreadable") == ["film.mp4"]

    trio.run(main)


def test_copying_into_a_day_or_year_says_when_it_was_taken(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("dates/1987/scan.jpg", photo(1, date=MAY))
        await g.write("dates/2019/05/12/x.jpg", photo(2))
        assert g.names("dates/1987") == ["scan.jpg"]
        assert await g.gallery.wait("recognised", 20)
        assert g.names("dates") == ["1987", "2019"]
        assert g.names("dates/1987") == ["scan.jpg"]
        assert g.names("dates/2019") == ["05"]
        assert g.names("dates/2019/05/12") == ["x.jpg"]
        assert g.names("all") == ["scan.jpg", "x.jpg"]

    run(tmp_path, script)


def test_what_is_written_into_a_day_stands_there_before_it_is_closed(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        ino = g.tree.create(g.ino("dates/1987/03/04"), b"x.jpg", 0o644).ino
        assert g.names("dates/1987/03/04") == ["x.jpg"]
        assert g.ino("dates/1987/03/04/x.jpg") == ino

    run(tmp_path, script)


def test_the_users_date_goes_along_to_a_photo_that_was_there_already(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        await g.write("a/one.jpg", photo(1, date=MAY))
        await g.gallery.wait("recognised", 20)
        await g.write("dates/2018/07/again.jpg", photo(1, date=MAY))
        assert g.names("dates") == ["2018"]
        assert g.ino("dates/2018/07/again.jpg") != 0
        assert len(g.names("dates/2018/07")) == 1

    run(tmp_path, script)


def test_a_document_copied_into_a_day_is_found_there(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("dates/2019/05/12/notes.txt", b"what we did\n")
        await g.gallery.wait("recognised", 20)
        assert g.names("dates/2019/05/12") == ["notes.txt"]
        assert g.names("recent") == []

    run(tmp_path, script)


def test_moving_from_one_day_to_another_changes_the_date(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        await g.write("a/one.jpg", photo(1, date=MAY))
        await g.gallery.wait("recognised", 20)
        g.mv("dates/2019/05/12/one.jpg", "dates/2018/one.jpg")
        assert g.names("dates") == ["2018"]
        assert g.names("dates/2018") == ["one.jpg"]
        assert g.names("a") == ["one.jpg"]
        assert g.names("trash") == []

    run(tmp_path, script)


def test_dragging_onto_a_day_adds_the_date_and_takes_nothing_away(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        await g.write("a/one.jpg", photo(1, date=MAY))
        await g.gallery.wait("recognised", 20)
        g.mv("a/one.jpg", "dates/2018/one.jpg")
        g.mv("tags/dog/one.jpg", "dates/2017/one.jpg")
        assert g.names("dates") == ["2017"]
        assert g.names("a") == g.names("tags/dog") == ["one.jpg"]
        g.mv("dates/2017/one.jpg", "favourites/one.jpg")
        assert g.names("dates/2017") == g.names("favourites") == ["one.jpg"]

    run(tmp_path, script)


def test_removing_a_year_recursively_puts_its_photos_into_the_trash(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        await g.write("a/one.jpg", photo(1, date=MAY))
        await g.write("a/twin.jpg", photo(1, date=MAY))
        await g.write("a/two.jpg", photo(2, date=JUNE))
        await g.write("dates/2019/three.jpg", photo(3))
        await g.write("a/other.jpg", photo(4, date="2018:01:01 00:00:00"))
        await g.gallery.wait("recognised", 20)
        removed(g, "dates/2019")
        assert g.names("dates") == ["2018"]
        assert g.names("trash") == ["one.jpg", "three.jpg", "twin.jpg", "two.jpg"]
        assert g.names("a") == ["other.jpg"]

    run(tmp_path, script)


def test_a_day_with_photos_is_not_removed(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("dates/2019/05/12/x.jpg", photo(1))
        for path in ("dates/2019", "dates/2019/05", "dates/2019/05/12"):
            with refused(errno.ENOTEMPTY):
                g.rmdir(path)
        with refused(errno.ENOTDIR):
            g.rmdir("dates/2019/05/12/x.jpg")

    run(tmp_path, script)


@pytest.mark.parametrize("name", ["1825", "2019/13", "2019/02/30", "2019/1", "9999", "19", "x"])
def test_days_that_cannot_be_are_not_there(tmp_path: Path, name: str) -> None:
    async def script(g: Folder) -> None:
        with refused(errno.ENOENT):
            g.ino("dates/" + name)

    run(tmp_path, script)


def test_folders_in_dates_are_neither_made_nor_renamed(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("dates/2019/05/12/x.jpg", photo(1))
        await g.gallery.wait("recognised", 20)
        with refused(errno.EPERM):
            g.mkdir("dates/2020")
        with refused(errno.EPERM):
            g.mkdir("dates/holiday")
        with refused(errno.EPERM):
            g.mv("dates/2019/05", "dates/2019/06")
        with refused(errno.EPERM):
            await g.write("dates/x.jpg", photo(2))

    run(tmp_path, script)


def test_a_photo_called_like_a_month_is_listed_with_its_suffix(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("all/05", photo(1))
        await g.gallery.wait("recognised", 20)
        g.mv("all/05", "dates/2019/05-scan")
        (name,) = g.names("dates/2019")
        assert name.startswith("05~")
        assert g.ino(f"dates/2019/{name}") == g.ino("dates/2019/05-scan") == g.ino("all/05")
        assert g.names("dates/2019/05") == []
        with refused(errno.EISDIR):
            g.mv("all/05", "dates/2019/05")

    run(tmp_path, script)


def test_dates_come_back_with_the_vault(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("dates/1987/scan.jpg", photo(1))
        await g.write("favourites/best.jpg", photo(2))
        g.mkdir("search/dog -cat")
        g.mkdir("tags/a")
        g.mkdir("tags/b")
        g.mkdir("tags/a/b")
        await g.gallery.wait("stored", 30)
        before = g.gallery.state.state_hash()
        (tmp_path / "hash").write_bytes(before)

    run(tmp_path, script)

    async def again() -> None:
        await join(tmp_path / "other", dir_url(tmp_path / "remote"), SECRET)
        async with opened(tmp_path, state="other") as g:
            assert g.gallery.state.state_hash() == (tmp_path / "hash").read_bytes()
            assert g.names("dates/1987") == ["scan.jpg"]
            assert g.names("favourites") == ["best.jpg"]
            assert g.names("search") == ["dog -cat"]
            assert g.names("tags/a") == ["b"]

    trio.run(again)


def test_a_day_is_listed_without_looking_at_photos_of_other_days(tmp_path: Path) -> None:
    looked: list[int] = []

    async def script(g: Folder) -> None:
        g.mkdir("a")
        for i in range(8):
            await g.write(f"a/{i}.jpg", photo(i, date=MAY if i else JUNE))
        await g.gallery.wait("recognised", 20)
        names = g.gallery.state.photos.names
        shown = names.shown

        def counting(number: int) -> Shown | None:
            looked.append(number)
            return shown(number)

        names.shown = counting  # type: ignore[method-assign]
        assert g.names("dates/2019/06/01") == ["0.jpg"]
        assert len(looked) == 1
        assert g.ino("dates/2019/06/01/0.jpg") != 0
        assert len(looked) < 4

    run(tmp_path, script)
