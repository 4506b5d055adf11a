"""Deleting many at once: rm -r of a tag, a query, a year; rm -rf and rsync --delete of it all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from apps_kit import Gallery, need, run
from colours import photo

pytestmark = pytest.mark.mount
Outside = Callable[..., Path]
MANY = 120
"""Photos: more than up to which a gallery may be emptied through views at once."""


@pytest.fixture(scope="module")
def photos() -> dict[str, bytes]:
    return {f"many-{i:03}.jpg": photo(10_000 + i, red=200 if i % 2 else 20) for i in range(MANY)}


@pytest.fixture
def full(own_gallery: Gallery, photos: dict[str, bytes], outside: Outside) -> Gallery:
    """A gallery with two thirds of its photos in a folder and a third in all/ alone."""
    for i, (name, data) in enumerate(photos.items()):
        outside(f"{'2019' if i % 3 else 'loose'}/{name}", data)
    source = outside("2019/note.txt", b"a document\n").parent.parent
    run("cp", "-r", source / "2019", own_gallery.path)
    run("cp", *sorted((source / "loose").iterdir()), own_gallery / "all")
    own_gallery.recognised()
    return own_gallery


def test_rm_rf_of_everything_loses_nothing_beyond_the_trash(
    full: Gallery, photos: dict[str, bytes]
) -> None:
    tops = sorted(str(full / name) for name in full.names())
    done = run("rm", "-rf", *tops, expect=1)
    assert "Operation not permitted" in done.err
    assert set(photos.values()) <= full.everything()
    assert b"a document\n" in full.everything()
    assert "2019" not in full.names()
    assert {"all", "tags", "trash"} <= full.names()
    assert "refused" in full.events() or "stopped" in full.events()
    in_trash = full.contents("trash")
    assert {data for i, data in enumerate(photos.values()) if i % 3} <= in_trash
    # A quarter of the gallery went through views, at most.
    assert len(in_trash & set(photos.values())) <= MANY * 2 // 3 + MANY // 4
    full.unmount()
    full.mount()
    assert set(photos.values()) <= full.everything()


def test_rm_rf_of_a_view_stops_at_a_quarter_of_the_gallery(
    full: Gallery, photos: dict[str, bytes]
) -> None:
    done = run("rm", "-rf", full / "all", expect=1)
    assert "Operation not permitted" in done.err
    assert "stopped" in full.events()
    left = full.contents("all") & set(photos.values())
    assert MANY * 3 // 4 <= len(left) < MANY
    assert set(photos.values()) <= full.everything()
    trashed = full.contents("trash")
    run("rsync", "-a", "--delete", f"{full.path}/trash/", full.home / "rescued")
    assert {p.read_bytes() for p in (full.home / "rescued").iterdir()} == trashed


def test_rsync_delete_onto_the_root_loses_nothing_beyond_the_trash(
    full: Gallery, photos: dict[str, bytes], tmp_path: Path
) -> None:
    need("rsync")
    (tmp_path / "empty").mkdir()
    done = run("rsync", "-a", "--delete", f"{tmp_path}/empty/", full.path, expect=None)
    assert done.status != 0
    assert "Operation not permitted" in done.err
    assert set(photos.values()) <= full.everything()
    assert b"a document\n" in full.everything()
    assert {"all", "tags", "trash"} <= full.names()
    assert "refused" in full.events() or "stopped" in full.events()


def test_tags_that_change_names_in_a_ring_take_their_pictures_along(
    gallery: Gallery, outside: Outside
) -> None:
    tags = gallery / "tags"
    for tag, seed in (("ring-a", 700), ("ring-b", 701)):
        (tags / tag).mkdir()
        run("cp", outside(f"{tag}.jpg", photo(seed)), tags / tag)
    gallery.recognised()
    run("mv", tags / "ring-a", tags / "ring-t")
    run("mv", tags / "ring-b", tags / "ring-a")
    run("mv", tags / "ring-t", tags / "ring-b")
    assert gallery.names("tags/ring-a") == {"ring-b.jpg"}
    assert gallery.names("tags/ring-b") == {"ring-a.jpg"}
    assert "ring-t" not in gallery.names("tags")
    assert (tags / "ring-a/ring-b.jpg").read_bytes() == photo(701)
    assert (tags / "ring-b/ring-a.jpg").read_bytes() == photo(700)


def test_rm_r_of_a_tag_untags_and_drops_the_name(own_gallery: Gallery, outside: Outside) -> None:
    (own_gallery / "2019").mkdir()
    for i in range(4):
        source = outside(f"tag-{i}.jpg", photo(710 + i, red=200 if i < 3 else 20))
        run("cp", source, own_gallery / "2019")
    own_gallery.recognised()
    assert own_gallery.names("tags/dog") == {"tag-0.jpg", "tag-1.jpg", "tag-2.jpg"}
    run("rm", "-r", own_gallery / "tags/dog")
    assert "dog" not in own_gallery.names("tags")
    assert own_gallery.names("2019") == {f"tag-{i}.jpg" for i in range(4)}
    assert own_gallery.names("all") == {f"tag-{i}.jpg" for i in range(4)}
    assert own_gallery.names("trash") == set()
    assert own_gallery.names("tags/cat") == {"tag-3.jpg"}


def test_rm_r_of_a_query_deletes_nothing(own_gallery: Gallery, outside: Outside) -> None:
    (own_gallery / "2019").mkdir()
    run("cp", outside("query-1.jpg", photo(720)), own_gallery / "2019")
    own_gallery.recognised()
    run("mkdir", own_gallery / "search/dog")
    assert own_gallery.names("search/dog") == {"query-1.jpg"}
    done = run("rm", "-r", own_gallery / "search/dog", expect=1)
    assert "Operation not permitted" in done.err
    assert own_gallery.names("2019") == own_gallery.names("all") == {"query-1.jpg"}
    assert own_gallery.names("tags/dog") == {"query-1.jpg"}
    assert own_gallery.names("trash") == set()
    run("rmdir", own_gallery / "search/dog")
    assert own_gallery.names("search") == set()


def test_rm_r_of_a_year_puts_its_photos_into_the_trash(
    own_gallery: Gallery, outside: Outside
) -> None:
    (own_gallery / "trip").mkdir()
    for i, date in enumerate(("2019:05:01 10:00:00", "2019:08:02 10:00:00", "2020:01:01 10:00:00")):
        run("cp", outside(f"year-{i}.jpg", photo(730 + i, date=date)), own_gallery / "trip")
    own_gallery.recognised()
    assert own_gallery.names("dates") == {"2019", "2020"}
    assert own_gallery.names("dates/2019") == {"05", "08"}
    assert own_gallery.names("dates/2019/05/01") == {"year-0.jpg"}
    run("rm", "-r", own_gallery / "dates/2019")
    assert own_gallery.names("trip") == {"year-2.jpg"}
    assert own_gallery.names("trash") == {"year-0.jpg", "year-1.jpg"}
    assert own_gallery.names("dates") == {"2020"}


COMMANDS = {
    "rm -r of a tag": ("rm", "-r", "tags/dog"),
    "rm -r of a folder": ("rm", "-r", "trip"),
    "rm of photos in all": ("rm", "all/undo-0.jpg", "all/undo-1.jpg"),
    "mv of photos into a tag": ("mv", "trip/undo-0.jpg", "trip/undo-1.jpg", "tags/best"),
    "mv of a folder": ("mv", "trip", "other"),
    "mv of a tag onto another": ("mv", "-T", "tags/dog", "tags/best"),
    "mv of a photo into the trash": ("mv", "trip/undo-0.jpg", "trash"),
    "mv over a photo": ("mv", "trip/undo-0.jpg", "trip/undo-1.jpg"),
    "ln of photos into a tag": ("ln", "trip/undo-0.jpg", "trip/undo-1.jpg", "tags/best"),
    "chmod -R": ("chmod", "-R", "g=r", "trip"),
}


@pytest.fixture(scope="module")
def trip(gallery: Gallery) -> Gallery:
    """The shared gallery with a folder of photos that were looked at."""
    (gallery / "trip").mkdir()
    (gallery / "tags/best").mkdir()
    for i in range(3):
        data = photo(740 + i, date=f"2019:05:0{i + 1} 10:00:00")
        (gallery / f"trip/undo-{i}.jpg").write_bytes(data)
    gallery.recognised()
    return gallery


@pytest.mark.parametrize("what", COMMANDS)
def test_undo_takes_back_all_that_one_program_did(trip: Gallery, what: str) -> None:
    before = trip.say("hash")
    run(*COMMANDS[what], cwd=trip.path)
    assert trip.say("hash") != before
    said = trip.say("undo")
    assert trip.say("hash") == before, said
    assert trip.names("trip") == {"undo-0.jpg", "undo-1.jpg", "undo-2.jpg"}
    assert trip.names("trip") <= trip.names("tags/dog")


def test_undo_takes_back_the_deletion_of_a_year(trip: Gallery) -> None:
    before = trip.say("hash")
    run("rm", "-r", trip / "dates/2019")
    assert trip.names("trip") == set()
    trip.say("undo")
    assert trip.say("hash") == before
    assert trip.names("dates/2019/05") == {"01", "02", "03"}
