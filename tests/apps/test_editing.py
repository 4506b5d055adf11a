"""Programs that change what is there: exiftool in both modes, vim, sed -i, a browser's download."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from apps_kit import Gallery, need, run, soon
from colours import photo

pytestmark = pytest.mark.mount
Outside = Callable[..., Path]
OPTIONS = ()  # how soon photos are looked at matters here
AUTHOR = "Somebody who took it"


def author(path: Path) -> str:
    """Return what exiftool reads as the artist of a picture."""
    return run("exiftool", "-s3", "-Artist", path).out.strip()


def sign(path: Path, *options: str) -> None:
    """Write the artist into a picture with exiftool."""
    run("exiftool", "-q", *options, f"-Artist={AUTHOR}", path)


# -- exiftool --------------------------------------------------------------------------------


def test_exiftool_changes_a_photo_in_a_folder_and_leaves_the_original_beside_it(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    need("exiftool")
    (gallery / "tags/exif1").mkdir()
    run("cp", outside("exif-1.jpg", photo(400)), room)
    run("ln", room / "exif-1.jpg", gallery / "tags/exif1")
    sign(room / "exif-1.jpg")
    assert author(room / "exif-1.jpg") == AUTHOR
    assert (room / "exif-1.jpg_original").read_bytes() == photo(400)
    assert set(os.listdir(room)) == {"exif-1.jpg", "exif-1.jpg_original"}
    gallery.recognised()
    assert author(room / "exif-1.jpg") == AUTHOR
    assert "exif-1.jpg" in gallery.names("tags/dog")


def test_exiftool_in_a_folder_takes_the_users_tags_along(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    need("exiftool")
    for options, tag in (((), "exif2a"), (("-overwrite_original",), "exif2b")):
        (gallery / "tags" / tag).mkdir()
        run("cp", outside(f"{tag}.jpg", photo(410 + len(options))), room)
        run("ln", room / f"{tag}.jpg", gallery / "tags" / tag)
        gallery.recognised()
        sign(room / f"{tag}.jpg", *options)
        gallery.recognised()
        assert author(room / f"{tag}.jpg") == AUTHOR
        assert author(gallery / "tags" / tag / f"{tag}.jpg") == AUTHOR


def test_exiftool_overwrites_a_photo_in_a_folder_and_the_old_one_is_in_the_trash(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    need("exiftool")
    run("cp", outside("exif-3.jpg", photo(420)), room)
    sign(room / "exif-3.jpg", "-overwrite_original")
    assert author(room / "exif-3.jpg") == AUTHOR
    assert os.listdir(room) == ["exif-3.jpg"]
    assert (gallery / "trash/exif-3.jpg").read_bytes() == photo(420)
    run("cp", outside("exif-4.jpg", photo(421)), room)
    sign(room / "exif-4.jpg", "-overwrite_original_in_place")
    assert author(room / "exif-4.jpg") == AUTHOR
    assert photo(421) in gallery.contents("trash")


def test_exiftool_changes_a_photo_in_a_tag_and_its_original_is_beside_it(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    need("exiftool")
    (gallery / "tags/exif5").mkdir()
    run("cp", outside("exif-5.jpg", photo(430)), gallery / "tags/exif5")
    gallery.recognised()
    sign(gallery / "tags/exif5/exif-5.jpg")
    assert author(gallery / "tags/exif5/exif-5.jpg") == AUTHOR
    assert (gallery / "tags/exif5/exif-5.jpg_original").read_bytes() == photo(430)
    gallery.recognised()
    assert author(gallery / "tags/exif5/exif-5.jpg") == AUTHOR
    assert (gallery / "tags/exif5/exif-5.jpg_original").read_bytes() == photo(430)


def test_exiftool_that_overwrites_in_a_tag_edits_the_photo_wherever_it_is(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    need("exiftool")
    (gallery / "tags/exif6").mkdir()
    run("cp", outside("exif-6.jpg", photo(440)), room)
    run("ln", room / "exif-6.jpg", gallery / "tags/exif6")
    gallery.recognised()
    sign(gallery / "tags/exif6/exif-6.jpg", "-overwrite_original")
    assert author(gallery / "tags/exif6/exif-6.jpg") == AUTHOR
    assert photo(440) in gallery.everything()
    gallery.recognised()
    assert author(gallery / "tags/exif6/exif-6.jpg") == AUTHOR
    assert author(room / "exif-6.jpg") == AUTHOR
    assert gallery.names("tags/exif6") == {"exif-6.jpg"}
    assert (gallery / "trash/exif-6.jpg").read_bytes() == photo(440)


# -- editors of text -------------------------------------------------------------------------


@pytest.mark.parametrize("copies", ["no", "yes"])
def test_vim_saves_a_text_in_a_folder(
    gallery: Gallery, room: Path, outside: Outside, copies: str
) -> None:
    """vim writes a new file and renames it, or with backupcopy=yes empties the old one."""
    need("vim")
    path = room / "notes.txt"
    run("cp", outside("notes.txt", b"one\ntwo\n"), path)
    path.chmod(0o640)
    command = ["vim", "-u", "NONE", "-es", "-c", f"set backup backupskip= backupcopy={copies}"]
    run(*command, "-c", "%s/two/three/", "-c", "wq", path)
    assert path.read_bytes() == b"one\nthree\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert (room / "notes.txt~").read_bytes() == b"one\ntwo\n"
    assert set(os.listdir(room)) == {"notes.txt", "notes.txt~"}


def test_what_a_killed_vim_had_not_saved_is_in_its_swap_file(room: Path, outside: Outside) -> None:
    need("vim")
    path, swap = room / "draft.txt", room / ".draft.txt.swp"
    run("cp", outside("draft.txt", b"one\n"), path)
    quiet = ["vim", "-u", "NONE", "-es"]
    with subprocess.Popen([*quiet, str(path)], stdin=subprocess.PIPE, bufsize=0) as vim:
        assert vim.stdin is not None
        vim.stdin.write(b"normal Goadded\npreserve\nwrite! %s\n" % bytes(room / "seen"))
        assert soon((room / "seen").exists)
        vim.kill()
    assert path.read_bytes() == b"one\n"
    assert b"added" in swap.read_bytes()
    run(*quiet, "-r", "-c", "wq!", path, expect=None)
    assert path.read_bytes() == b"one\nadded\n"
    swap.unlink()


def test_sed_i_changes_a_text_and_the_old_one_is_in_the_trash(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    path = room / "sed-1.txt"
    run("cp", outside("sed-1.txt", b"f/2.8\n"), path)
    path.chmod(0o640)
    run("sed", "-i", "s/2.8/5.6/", path)
    assert path.read_bytes() == b"f/5.6\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert os.listdir(room) == ["sed-1.txt"]
    assert b"f/2.8\n" in gallery.contents("trash")
    run("sed", "-i.bak", "s/5.6/8/", path)
    assert (room / "sed-1.txt.bak").read_bytes() == b"f/5.6\n"
    assert path.read_bytes() == b"f/8\n"


# -- one of two ------------------------------------------------------------------------------


def test_an_edit_through_a_tag_of_a_photo_with_a_twin_shows_at_once_and_leaves_the_twin(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    (gallery / "tags/twin").mkdir()
    for folder in ("a", "b"):
        (room / folder).mkdir()
        run("cp", outside("twin-1.jpg", photo(450)), room / folder)
    run("ln", room / "a/twin-1.jpg", gallery / "tags/twin")
    gallery.recognised()
    path = gallery / "tags/twin/twin-1.jpg"
    run("dd", f"if={outside('patch', b'XYZ')}", f"of={path}", "conv=notrunc", "bs=1", "seek=9000")
    edited = photo(450)[:9000] + b"XYZ" + photo(450)[9003:]
    assert path.read_bytes() == edited
    assert {(room / "a/twin-1.jpg").read_bytes(), (room / "b/twin-1.jpg").read_bytes()} == {
        edited,
        photo(450),
    }
    gallery.recognised()
    assert path.read_bytes() == edited
    assert "twin-1.jpg" in gallery.names("tags/twin")


def test_an_edit_through_a_tag_of_a_photo_whose_name_another_has_shows_at_once(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    (gallery / "tags/other").mkdir()
    (room / "card").mkdir()
    run("cp", outside("other-1.jpg", photo(460)), room / "card")
    run("cp", outside("other-1.jpg", photo(461)), gallery / "tags/other")
    gallery.recognised()
    path = gallery / "tags/other/other-1.jpg"
    assert path.read_bytes() == photo(461)
    run("dd", f"if={outside('patch', b'XYZ')}", f"of={path}", "conv=notrunc", "bs=1", "seek=9000")
    edited = photo(461)[:9000] + b"XYZ" + photo(461)[9003:]
    assert path.read_bytes() == edited
    gallery.recognised()
    assert path.read_bytes() == edited
    assert (room / "card/other-1.jpg").read_bytes() == photo(460)


# -- a browser's download --------------------------------------------------------------------


def download(folder: Path, name: str, partial: str, data: bytes, reserve: bool) -> None:
    """Write as browsers do: in pieces under another name, then rename. ``reserve``: take the
    name with an empty file first, as Firefox does."""
    if reserve:
        (folder / name).touch()
    with open(folder / partial, "wb", buffering=0) as file:
        for at in range(0, len(data), 4000):
            file.write(data[at : at + 4000])
            os.stat(folder / partial)
    os.rename(folder / partial, folder / name)


def test_a_download_is_a_photo_once_it_has_its_name(gallery: Gallery, room: Path) -> None:
    download(room, "chrome.jpg", "Unconfirmed 4711.crdownload", photo(470), reserve=False)
    download(room, "firefox.jpg", "q0xT1b3s.jpg.part", photo(471), reserve=True)
    assert (room / "chrome.jpg").read_bytes() == photo(470)
    assert (room / "firefox.jpg").read_bytes() == photo(471)
    assert set(os.listdir(room)) == {"chrome.jpg", "firefox.jpg"}
    gallery.recognised()
    assert {"chrome.jpg", "firefox.jpg"} <= gallery.names("tags/dog") & gallery.names("all")
    everywhere = gallery.names("all") | gallery.names("tags/dog") | gallery.names("trash")
    assert not [n for n in everywhere if n.endswith((".part", ".crdownload"))]


def test_a_download_into_a_tag_is_tagged(gallery: Gallery) -> None:
    (gallery / "tags/net").mkdir()
    download(gallery / "tags/net", "net.jpg", "net.jpg.crdownload", photo(480), reserve=False)
    download(gallery / "tags/net", "net2.jpg", "net2.jpg.part", photo(481), reserve=True)
    assert (gallery / "tags/net/net.jpg").read_bytes() == photo(480)
    assert (gallery / "tags/net/net2.jpg").read_bytes() == photo(481)
    gallery.recognised()
    assert gallery.names("tags/net") == {"net.jpg", "net2.jpg"}


def test_a_download_that_pauses_is_not_looked_at_under_its_partial_name(
    gallery: Gallery, room: Path
) -> None:
    with open(room / "slow.jpg.crdownload", "wb") as file:
        file.write(photo(490)[:5000])
    until = time.monotonic() + 3.5  # more than the two seconds after which photos are looked at
    while time.monotonic() < until:
        os.sched_yield()
        assert "slow.jpg.crdownload" not in gallery.names("tags/dog")
    with open(room / "slow.jpg.crdownload", "ab") as file:
        file.write(photo(490)[5000:])
    os.rename(room / "slow.jpg.crdownload", room / "slow.jpg")
    gallery.recognised()
    assert (room / "slow.jpg").read_bytes() == photo(490)
    assert "slow.jpg" in gallery.names("tags/dog")
