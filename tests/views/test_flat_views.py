"""The flat views and ``review/``: what they list, and what putting in and removing mean."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from view_kit import Folder, photo, refused, removed, run

from tagfs.model import Facts
from tagfs.vault.ops import RecordAnalysis
from tagfs.views import recent

DAY_NS = 86_400_000_000_000


def test_copying_into_favourites_marks_and_removing_takes_the_mark_back(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        await g.write("a/one.jpg", photo(1))
        await g.write("favourites/two.jpg", photo(2))
        assert g.names("favourites") == ["two.jpg"]
        await g.gallery.wait("recognised", 20)
        assert g.names("favourites") == ["two.jpg"]
        g.mv("a/one.jpg", "favourites/one.jpg")
        assert g.names("favourites") == ["one.jpg", "two.jpg"]
        assert g.names("search/is:favourite") == ["one.jpg", "two.jpg"]
        g.rm("favourites/one.jpg")
        g.rm("favourites/two.jpg")
        assert g.names("favourites") == []
        assert g.names("a") == ["one.jpg"]
        assert g.names("all") == ["one.jpg", "two.jpg"]

    run(tmp_path, script)


def test_a_mark_is_there_while_the_bytes_are_still_coming_and_can_be_taken_back(
    tmp_path: Path,
) -> None:
    async def script(g: Folder) -> None:
        ino = g.tree.create(g.ino("favourites"), b"x.jpg", 0o644).ino
        assert g.names("favourites") == ["x.jpg"]
        g.rm("favourites/x.jpg")
        assert g.names("favourites") == []
        assert g.ino("all/x.jpg") == ino
        handle = await g.tree.open(ino, os.O_WRONLY)
        handle.write(0, photo(1))
        await handle.flush()
        await handle.release()
        assert g.names("favourites") == []

    run(tmp_path, script)


def test_a_marked_photo_that_is_copied_in_again_keeps_its_mark(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        await g.write("a/one.jpg", photo(1))
        await g.gallery.wait("recognised", 20)
        await g.write("favourites/again.jpg", photo(1))
        assert g.names("favourites") == ["one.jpg"]
        assert g.ino("favourites/again.jpg") != 0

    run(tmp_path, script)


def test_what_came_in_during_the_last_thirty_days_is_recent(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        await g.write("a/one.jpg", photo(1, date="1999:01:01 00:00:00"))
        await g.write("a/notes.txt", b"no photo\n")
        await g.gallery.wait("recognised", 20)
        assert g.names("recent") == ["one.jpg"]
        later = g.gallery.ledger.now_ns() + (recent.DAYS + 1) * DAY_NS
        g.gallery.ledger.now_ns = lambda: later
        assert g.names("recent") == []
        with refused(errno.ENOENT):
            g.ino("recent/one.jpg")

    run(tmp_path, script)


def test_no_more_than_the_latest_thousand_are_recent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(g: Folder) -> None:
        monkeypatch.setattr(recent, "MOST", 2)
        for i in range(3):
            await g.write(f"all/{i}.jpg", photo(i))
        assert g.names("recent") == ["1.jpg", "2.jpg"]
        g.rm("recent/2.jpg")
        assert g.names("recent") == ["0.jpg", "1.jpg"]
        assert g.names("trash") == ["2.jpg"]

    run(tmp_path, script)


def test_photos_without_any_tag_are_untagged(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        g.mkdir("tags/mine")
        await g.write("a/one.jpg", photo(1))
        await g.write("a/two.jpg", photo(2))
        await g.gallery.wait("recognised", 20)
        assert g.names("untagged") == []
        g.rm("tags/dog/one.jpg")
        g.rm("tags/dog/two.jpg")
        for tag in ("canine", "mammal", "animal"):
            if tag in g.names("tags"):
                removed(g, f"tags/{tag}")
        assert g.names("untagged") == g.names("search/is:untagged") == ["one.jpg", "two.jpg"]
        g.mv("untagged/one.jpg", "tags/mine/one.jpg")
        assert g.names("untagged") == ["two.jpg"]
        g.rm("untagged/two.jpg")
        assert g.names("trash") == ["two.jpg"]

    run(tmp_path, script)


def cannot_be_decoded(g: Folder, name: bytes) -> None:
    """Record what a recogniser says of a photo that it cannot decode."""
    shown = g.gallery.state.photos.names.named(name)
    assert shown is not None
    why = "truncated JPEG"
    g.gallery.ledger.commit(
        [RecordAnalysis(shown.photo, "later-1", "image/jpeg", (), Facts(), None, None, why)]
    )


def test_what_cannot_be_decoded_is_listed_for_review(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        for name in ("one", "two", "good"):
            await g.write(f"a/{name}.jpg", photo(len(name) * 7 + ord(name[0])))
        await g.gallery.wait("recognised", 20)
        assert g.names("review") == ["unreadable"]
        assert g.names("review/unreadable") == []
        cannot_be_decoded(g, b"one.jpg")
        cannot_be_decoded(g, b"two.jpg")
        assert g.names("review/unreadable") == ["one.jpg", "two.jpg"]
        with refused(errno.ENOTEMPTY):
            g.rmdir("review/unreadable")
        g.rm("review/unreadable/one.jpg")
        assert g.names("trash") == ["one.jpg"]
        removed(g, "review/unreadable")
        assert g.names("trash") == ["one.jpg", "two.jpg"]
        assert g.names("review") == ["unreadable"]
        assert g.names("a") == ["good.jpg"]

    run(tmp_path, script)


@pytest.mark.parametrize("view", ["recent", "untagged", "review", "review/unreadable", "search/x"])
def test_nothing_is_put_into_what_follows_from_something_else(tmp_path: Path, view: str) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        await g.write("a/one.jpg", photo(1))
        await g.write("a/doc.txt", b"no photo\n")
        with refused(errno.EPERM):
            await g.write(f"{view}/new.jpg", photo(2))
        with refused(errno.EPERM):
            g.ln("a/doc.txt", f"{view}/new.jpg")
        with refused(errno.EPERM):
            g.mv("a/doc.txt", f"{view}/new.jpg")
        with refused(errno.EPERM):
            g.mv("a", f"{view}/a")
        with refused(errno.EPERM):
            g.mkdir(f"{view}/.sub")
        assert g.names("a") == ["doc.txt", "one.jpg"]

    run(tmp_path, script)


def test_favourites_has_no_folders(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        with refused(errno.EPERM):
            g.mkdir("favourites/sub")

    run(tmp_path, script)


def test_renaming_in_a_flat_view_changes_the_name_in_the_views(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("a")
        await g.write("a/one.jpg", photo(1))
        await g.gallery.wait("recognised", 20)
        g.mv("recent/one.jpg", "recent/first.jpg")
        assert g.names("recent") == g.names("all") == ["first.jpg"]
        assert g.names("a") == ["one.jpg"]

    run(tmp_path, script)
