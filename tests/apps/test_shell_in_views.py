"""A shell in all/, tags/ and trash/: what cp, mv, ln, rm and mkdir mean there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from apps_kit import Gallery, run
from colours import photo

from tagfs.pipeline.names import RESERVED

pytestmark = pytest.mark.mount
Outside = Callable[..., Path]
REFUSED = "Operation not permitted"


def test_what_is_copied_into_all_is_there_and_in_no_folder(
    gallery: Gallery, outside: Outside
) -> None:
    run("cp", outside("all-1.jpg", photo(900)), outside("all-1.txt", b"no photo"), gallery / "all")
    gallery.recognised()
    assert {"all-1.jpg", "all-1.txt"} <= gallery.names("all")
    assert (gallery / "all/all-1.txt").read_bytes() == b"no photo"
    assert "all-1.jpg" in gallery.names("tags/dog")
    found = run("find", ".", "-name", "all-1.*", cwd=gallery.path).out.splitlines()
    assert {line.split("/")[1].encode() for line in found} <= RESERVED


def test_mv_within_all_changes_the_name_in_views_and_not_in_the_folder(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    run("cp", outside("all-2.jpg", photo(910)), room)
    gallery.recognised()
    run("mv", gallery / "all/all-2.jpg", gallery / "all/rex.jpg")
    assert os.listdir(room) == ["all-2.jpg"]
    assert "all-2.jpg" not in gallery.names("all") | gallery.names("tags/dog")
    assert "rex.jpg" in gallery.names("all") & gallery.names("tags/dog")
    assert (gallery / "all/rex.jpg").read_bytes() == photo(910)


def test_all_takes_no_folders_and_no_links(gallery: Gallery) -> None:
    assert REFUSED in run("mkdir", gallery / "all/new", expect=1).err
    assert REFUSED in run("ln", "-s", "x", gallery / "all/link", expect=1).err
    assert not {"new", "link"} & gallery.names("all")


def test_rm_in_all_takes_every_copy_to_the_trash(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    for name in ("all-3.jpg", "twin-of-3.jpg"):
        run("cp", outside("all-3.jpg", photo(920)), room / name)
    run("ln", room / "all-3.jpg", room / "linked.jpg")
    run("rm", gallery / "all/all-3.jpg")
    assert os.listdir(room) == []
    assert "all-3.jpg" not in gallery.names("all")
    assert photo(920) in gallery.contents("trash")


def test_what_is_copied_into_a_narrowing_has_every_tag_of_the_path(
    gallery: Gallery, outside: Outside
) -> None:
    run("mkdir", gallery / "tags/near", gallery / "tags/far")
    run("cp", outside("both-1.jpg", photo(930)), gallery / "tags/near/far")
    assert (gallery / "tags/near/far/both-1.jpg").read_bytes() == photo(930)
    assert gallery.names("tags/near") == gallery.names("tags/far") == {"both-1.jpg"}
    gallery.recognised()
    assert gallery.names("tags/far/near") == {"both-1.jpg"}
    run("rm", gallery / "tags/near/far/both-1.jpg")
    assert gallery.names("tags/near") == {"both-1.jpg"}
    assert gallery.names("tags/far") == set()


def test_a_tag_is_not_merged_into_one_of_its_own_kinds(gallery: Gallery, outside: Outside) -> None:
    run("cp", outside("kinds-1.jpg", photo(940)), gallery / "all")
    gallery.recognised()
    run("mkdir", "-p", gallery / "tags/animal")
    done = run("mv", "-T", gallery / "tags/animal", gallery / "tags/dog", expect=1)
    assert REFUSED in done.err
    assert "animal" in gallery.names("tags")


def test_mv_into_the_trash_takes_an_entry_from_a_folder_and_the_photo_from_a_view(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    for name in ("bin-1.jpg", "stays.jpg"):
        run("cp", outside("bin-1.jpg", photo(950)), room / name)
    for name in ("bin-2.jpg", "goes-too.jpg"):
        run("cp", outside("bin-2.jpg", photo(951)), room / name)
    run("mv", room / "bin-1.jpg", gallery / "trash")
    assert "stays.jpg" in os.listdir(room)
    run("mv", gallery / "all/bin-2.jpg", gallery / "trash")
    assert os.listdir(room) == ["stays.jpg"]
    assert {"bin-1.jpg", "bin-2.jpg", "goes-too.jpg"} <= gallery.names("trash")


def test_mv_of_a_folder_into_the_trash_takes_everything_in_it(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    (room / "trip/day").mkdir(parents=True)
    run("cp", outside("fold-1.jpg", photo(960)), room / "trip")
    run("cp", outside("fold-2.jpg", photo(961)), room / "trip/day")
    run("mv", room / "trip", gallery / "trash")
    assert os.listdir(room) == []
    assert {"fold-1.jpg", "fold-2.jpg"} <= gallery.names("trash")


def test_mv_out_of_the_trash_brings_a_photo_back_where_it_is_put(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    run("mkdir", gallery / "tags/saved")
    for i in (1, 2):
        run("cp", outside(f"back-{i}.jpg", photo(970 + i)), room)
        run("rm", room / f"back-{i}.jpg")
    run("mv", gallery / "trash/back-1.jpg", room / "again.jpg")
    run("mv", gallery / "trash/back-2.jpg", gallery / "tags/saved")
    assert (room / "again.jpg").read_bytes() == photo(971)
    assert os.listdir(room) == ["again.jpg"]
    assert gallery.names("tags/saved") == {"back-2.jpg"}
    assert (gallery / "all/back-2.jpg").read_bytes() == photo(972)
    assert not {"back-1.jpg", "back-2.jpg"} & gallery.names("trash")


def test_ln_out_of_the_trash_brings_a_photo_back_to_every_place_it_had(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    (room / "a").mkdir()
    (room / "b").mkdir()
    run("cp", outside("link-1.jpg", photo(980)), room / "a")
    run("ln", room / "a/link-1.jpg", room / "b/linked.jpg")
    run("rm", gallery / "all/link-1.jpg")
    assert os.listdir(room / "a") == os.listdir(room / "b") == []
    run("ln", gallery / "trash/link-1.jpg", room / "third.jpg")
    for name in ("a/link-1.jpg", "b/linked.jpg", "third.jpg"):
        assert (room / name).read_bytes() == photo(980)


def test_rm_in_the_trash_takes_a_photo_out_of_it_and_undo_brings_it_back(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    run("cp", outside("gone-1.jpg", photo(990)), room)
    run("rm", room / "gone-1.jpg")
    run("rm", gallery / "trash/gone-1.jpg")
    assert "gone-1.jpg" not in gallery.names("trash") | gallery.names("all")
    gallery.say("undo")
    assert (gallery / "trash/gone-1.jpg").read_bytes() == photo(990)


def test_nothing_new_is_put_into_the_trash(gallery: Gallery, room: Path, outside: Outside) -> None:
    run("cp", outside("new-1.jpg", photo(1000)), room)
    before = gallery.names("trash")
    for command in (
        ("mkdir", "trash/folder"),
        ("cp", room / "new-1.jpg", "trash"),
        ("ln", room / "new-1.jpg", "trash"),
        ("touch", "trash/empty"),
    ):
        done = run(*command, expect=1, cwd=gallery.path)
        assert REFUSED in done.err
    assert gallery.names("trash") == before


def test_of_a_document_one_old_version_an_hour_is_kept(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    for version in (b"first", b"second", b"third"):
        run("cp", outside("letter.txt", version), room)
    assert (room / "letter.txt").read_bytes() == b"third"
    assert (gallery / "trash/letter.txt").read_bytes() == b"first"
    assert b"second" not in gallery.contents("trash")
