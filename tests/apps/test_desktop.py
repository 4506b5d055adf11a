"""What file managers built on GLib do: gio copy, move, trash, mkdir, rename, remove."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from apps_kit import Gallery, need, run
from colours import photo

pytestmark = pytest.mark.mount
Outside = Callable[..., Path]
MTIME = 1_300_000_000_123_456_789


@pytest.fixture(autouse=True)
def _installed() -> None:
    need("gio")


def test_gio_copy_brings_a_photo_in_and_out_with_its_time(
    gallery: Gallery, room: Path, outside: Outside, tmp_path: Path
) -> None:
    source = outside("gio-1.jpg", photo(500))
    os.utime(source, ns=(MTIME, MTIME))
    run("gio", "copy", "-p", source, room)
    assert (room / "gio-1.jpg").read_bytes() == photo(500)
    assert (room / "gio-1.jpg").stat().st_mtime_ns // 1000 == MTIME // 1000
    run("gio", "copy", "-p", room / "gio-1.jpg", tmp_path / "back.jpg")
    assert (tmp_path / "back.jpg").read_bytes() == photo(500)
    gallery.recognised()
    assert "gio-1.jpg" in gallery.names("tags/dog")


def test_gio_copy_into_a_tag_tags(gallery: Gallery, outside: Outside) -> None:
    run("gio", "mkdir", gallery / "tags/gio2")
    run("gio", "copy", outside("gio-2.jpg", photo(510)), gallery / "tags/gio2")
    assert gallery.names("tags/gio2") == {"gio-2.jpg"}
    assert (gallery / "tags/gio2/gio-2.jpg").read_bytes() == photo(510)


def test_gio_copy_over_a_photo_leaves_the_old_one_in_the_trash(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    run("gio", "copy", outside("gio-3.jpg", photo(520)), room)
    run("gio", "copy", outside("gio-3.jpg", photo(521)), room / "gio-3.jpg")
    assert (room / "gio-3.jpg").read_bytes() == photo(521)
    assert (gallery / "trash/gio-3.jpg").read_bytes() == photo(520)


def test_gio_save_writes_a_photo_anew_and_the_old_one_is_in_the_trash(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    """Writes .goutputstream-XXXXXX and renames it, as GTK's programs do when they save."""
    run("cp", outside("gio-4.jpg", photo(530)), room)
    with open(outside("new.jpg", photo(531)), "rb") as new:
        subprocess.run(["gio", "save", str(room / "gio-4.jpg")], stdin=new, check=True, timeout=60)
    assert (room / "gio-4.jpg").read_bytes() == photo(531)
    assert os.listdir(room) == ["gio-4.jpg"]
    assert (gallery / "trash/gio-4.jpg").read_bytes() == photo(530)


def test_gio_move_between_folders_moves(gallery: Gallery, room: Path, outside: Outside) -> None:
    (room / "a").mkdir()
    (room / "b").mkdir()
    run("gio", "copy", outside("gio-5.jpg", photo(540)), room / "a")
    before = (room / "a/gio-5.jpg").stat().st_ino
    run("gio", "move", room / "a/gio-5.jpg", room / "b")
    assert os.listdir(room / "a") == []
    assert (room / "b/gio-5.jpg").stat().st_ino == before
    run("gio", "rename", room / "b/gio-5.jpg", "renamed.jpg")
    assert os.listdir(room / "b") == ["renamed.jpg"]


def test_gio_move_from_a_folder_into_a_tag_tags_and_leaves_the_folder(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    run("gio", "mkdir", gallery / "tags/gio6")
    run("gio", "copy", outside("gio-6.jpg", photo(550)), room)
    run("gio", "move", room / "gio-6.jpg", gallery / "tags/gio6")
    assert os.listdir(room) == ["gio-6.jpg"]
    assert gallery.names("tags/gio6") == {"gio-6.jpg"}


def test_gio_move_onto_the_same_photo_succeeds_and_leaves_it(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    run("gio", "copy", outside("gio-7.jpg", photo(560)), room)
    run("gio", "move", room / "gio-7.jpg", gallery / "all/gio-7.jpg")
    assert (room / "gio-7.jpg").read_bytes() == photo(560)
    assert (gallery / "all/gio-7.jpg").read_bytes() == photo(560)


@pytest.mark.parametrize("place", ["folder", "all", "tag"])
def test_gio_trash_says_that_it_cannot_and_keeps_the_photo(
    gallery: Gallery, room: Path, outside: Outside, place: str
) -> None:
    tag = gallery / "tags/gio8"
    tag.mkdir(exist_ok=True)
    name = f"gio-8-{place}.jpg"
    where = {"folder": room, "all": gallery / "all", "tag": tag}[place]
    run("gio", "copy", outside(name, photo(570 + len(place))), where)
    done = run("gio", "trash", where / name, expect=1)
    assert "Traceback" not in done.err
    assert name in done.err
    assert (where / name).read_bytes() == photo(570 + len(place))
    assert not [n for n in gallery.names() if n.startswith(".Trash")]


def test_gio_remove_puts_a_photo_into_the_trash(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    run("gio", "copy", outside("gio-9.jpg", photo(590)), room)
    run("gio", "remove", room / "gio-9.jpg")
    assert os.listdir(room) == []
    assert (gallery / "trash/gio-9.jpg").read_bytes() == photo(590)


def test_gio_shows_a_tag_like_a_folder(gallery: Gallery, outside: Outside) -> None:
    run("gio", "mkdir", gallery / "tags/gio10")
    run("gio", "copy", outside("gio-10", photo(600)), gallery / "tags/gio10")
    said = run("gio", "info", "-a", "standard::*,unix::*", gallery / "tags/gio10/gio-10").out
    assert "standard::type: 1" in said
    assert f"standard::size: {len(photo(600))}" in said
    listed = run("gio", "list", "-l", gallery / "tags/gio10").out
    assert listed.split() == ["gio-10", str(len(photo(600))), "(regular)"]
    tree = run("gio", "tree", gallery / "tags/gio10").out
    assert tree.splitlines()[1:] == ["`-- gio-10"]
