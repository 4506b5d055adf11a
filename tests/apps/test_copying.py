"""The programs of every shell on a gallery: cp, mv, ln, rm, touch, chmod, stat, tar, du, find."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from apps_kit import Gallery, run
from colours import photo

pytestmark = [pytest.mark.mount, pytest.mark.root]
Outside = Callable[..., Path]
MTIME = 1_500_000_000_123_456_789


def test_cp_and_cp_a_bring_the_bytes_the_mode_and_the_time(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    source = outside("cp-1.jpg", photo(100))
    source.chmod(0o640)
    os.utime(source, ns=(MTIME, MTIME))
    run("cp", source, room / "plain.jpg")
    run("cp", "-a", source, room / "kept.jpg")
    assert (room / "plain.jpg").read_bytes() == (room / "kept.jpg").read_bytes() == photo(100)
    assert (room / "kept.jpg").stat().st_mtime_ns == MTIME
    assert stat.S_IMODE((room / "kept.jpg").stat().st_mode) == 0o640
    assert abs((room / "plain.jpg").stat().st_mtime - time.time()) < 60
    back = source.parent / "back.jpg"
    run("cp", "-a", room / "kept.jpg", back)
    assert back.read_bytes() == photo(100)
    assert back.stat().st_mtime_ns == MTIME


def test_cp_over_a_photo_leaves_the_old_one_in_the_trash(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    run("cp", outside("cp-2.jpg", photo(110)), room)
    run("cp", outside("cp-2.jpg", photo(111)), room)
    assert (room / "cp-2.jpg").read_bytes() == photo(111)
    assert (gallery / "trash/cp-2.jpg").read_bytes() == photo(110)


def test_cp_r_brings_a_whole_tree_and_takes_it_out_again(
    gallery: Gallery, room: Path, outside: Outside, tmp_path: Path
) -> None:
    tree = outside("tree/a/one.jpg", photo(120)).parent.parent
    outside("tree/a/one.xmp", b"<x/>")
    outside("tree/b/\xe4 two.jpg", photo(121))
    (tree / "empty").mkdir()
    (tree / "link").symlink_to("a/one.jpg")
    run("cp", "-r", tree, room)
    run("cp", "-a", tree, room / "again")
    run("cp", "-a", room / "again", tmp_path / "out")
    for copy in (room / "tree", room / "again", tmp_path / "out"):
        run("diff", "-r", "--no-dereference", tree, copy)


def test_cp_out_of_a_view_brings_the_same_bytes(
    gallery: Gallery, room: Path, outside: Outside, tmp_path: Path
) -> None:
    (gallery / "tags/cpout").mkdir()
    run("cp", outside("cp-3.jpg", photo(130)), gallery / "tags/cpout")
    run("cp", "-r", gallery / "tags/cpout", tmp_path / "copy")
    assert (tmp_path / "copy/cp-3.jpg").read_bytes() == photo(130)


def test_cp_that_insists_on_sharing_blocks_is_refused_and_cp_by_itself_copies(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    run("cp", outside("cp-4.jpg", photo(135)), room)
    done = run("cp", "--reflink=always", room / "cp-4.jpg", room / "clone.jpg", expect=1)
    assert "failed to clone" in done.err
    run("cp", "--reflink=auto", room / "cp-4.jpg", room / "clone.jpg")
    assert (room / "clone.jpg").read_bytes() == photo(135)


def test_mv_between_folders_is_a_move(gallery: Gallery, room: Path, outside: Outside) -> None:
    (room / "a").mkdir()
    (room / "b").mkdir()
    run("cp", "-a", outside("mv-1.jpg", photo(140)), room / "a")
    before = (room / "a/mv-1.jpg").stat()
    run("mv", room / "a/mv-1.jpg", room / "b")
    after = (room / "b/mv-1.jpg").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert os.listdir(room / "a") == []
    run("mv", room / "b", room / "a")
    assert (room / "a/b/mv-1.jpg").read_bytes() == photo(140)
    assert "mv-1.jpg" not in gallery.names("trash")


def test_mv_over_another_photo_leaves_that_in_the_trash(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    run("cp", outside("mv-2.jpg", photo(150)), outside("mv-3.jpg", photo(151)), room)
    run("mv", room / "mv-2.jpg", room / "mv-3.jpg")
    assert (room / "mv-3.jpg").read_bytes() == photo(150)
    assert os.listdir(room) == ["mv-3.jpg"]
    assert (gallery / "trash/mv-3.jpg").read_bytes() == photo(151)


def test_mv_from_a_view_to_a_folder_adds_and_leaves_the_view(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    (gallery / "tags/mvout").mkdir()
    run("cp", outside("mv-4.jpg", photo(160)), gallery / "tags/mvout")
    run("mv", gallery / "tags/mvout/mv-4.jpg", room)
    assert (room / "mv-4.jpg").read_bytes() == photo(160)
    assert gallery.names("tags/mvout") == {"mv-4.jpg"}
    assert (gallery / "tags/mvout/mv-4.jpg").read_bytes() == photo(160)


def test_mv_from_a_folder_to_a_view_adds_and_leaves_the_folder(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    (gallery / "tags/mvin").mkdir()
    run("cp", outside("mv-5.jpg", photo(170)), room)
    run("mv", room / "mv-5.jpg", gallery / "tags/mvin")
    assert os.listdir(room) == ["mv-5.jpg"]
    assert (room / "mv-5.jpg").read_bytes() == photo(170)
    assert gallery.names("tags/mvin") == {"mv-5.jpg"}
    assert (room / "mv-5.jpg").stat().st_ino == (gallery / "tags/mvin/mv-5.jpg").stat().st_ino


def test_mv_from_one_tag_to_another_changes_the_tag(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    (gallery / "tags/mvfrom").mkdir()
    (gallery / "tags/mvto").mkdir()
    run("cp", outside("mv-6.jpg", photo(180)), gallery / "tags/mvfrom")
    run("mv", gallery / "tags/mvfrom/mv-6.jpg", gallery / "tags/mvto")
    assert gallery.names("tags/mvfrom") == set()
    assert (gallery / "tags/mvto/mv-6.jpg").read_bytes() == photo(180)


def test_mv_onto_the_same_photo_says_that_it_is_the_same(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    run("cp", outside("mv-7.jpg", photo(190)), room)
    done = run("mv", room / "mv-7.jpg", gallery / "all/mv-7.jpg", expect=1)
    assert "are the same file" in done.err
    assert (room / "mv-7.jpg").read_bytes() == photo(190)


def test_mv_from_another_file_system_onto_a_name_in_a_view_loses_neither_photo(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    run("cp", outside("mv-8.jpg", photo(200)), gallery / "all")
    run("mv", outside("mv-8.jpg", photo(201)), gallery / "all")
    assert (gallery / "all/mv-8.jpg").read_bytes() == photo(201)
    assert {photo(200), photo(201)} <= gallery.everything()


def test_ln_makes_one_file_of_two_names_and_tags_in_a_view(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    (gallery / "tags/lnin").mkdir()
    run("cp", outside("ln-1.jpg", photo(210)), room)
    run("ln", room / "ln-1.jpg", room / "second.jpg")
    run("ln", room / "ln-1.jpg", gallery / "tags/lnin")
    assert (room / "ln-1.jpg").stat().st_ino == (room / "second.jpg").stat().st_ino
    assert (gallery / "tags/lnin/ln-1.jpg").read_bytes() == photo(210)
    run("rm", room / "ln-1.jpg")
    assert (room / "second.jpg").read_bytes() == photo(210)
    assert "ln-1.jpg" not in gallery.names("trash")


def test_touch_and_chmod_change_the_record_and_not_the_content(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    path = room / "touch-1.jpg"
    run("cp", outside("touch-1.jpg", photo(220)), room)
    gallery.recognised()
    before = path.stat()
    run("touch", "-d", "2001-02-03 04:05:06", path)
    run("chmod", "u=rw,go=", path)
    assert path.stat().st_mtime == 981_173_106
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_ino == before.st_ino
    assert path.read_bytes() == photo(220)
    assert "touch-1.jpg" in gallery.names("tags/dog")
    assert "touch-1.jpg" not in gallery.names("trash")
    run("touch", room / "empty")
    assert (room / "empty").read_bytes() == b""


def test_rm_r_of_a_folder_puts_its_photos_into_the_trash(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    (room / "old/deep").mkdir(parents=True)
    run("cp", outside("rm-1.jpg", photo(230)), room / "old")
    run("cp", outside("rm-2.jpg", photo(231)), room / "old/deep")
    run("rm", "-r", room / "old")
    assert os.listdir(room) == []
    assert (gallery / "trash/rm-1.jpg").read_bytes() == photo(230)
    assert (gallery / "trash/rm-2.jpg").read_bytes() == photo(231)


def test_stat_shows_the_same_file_through_every_folder(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    run("cp", "-a", outside("stat-1.jpg", photo(240)), room)
    gallery.recognised()
    shown = {
        run("stat", "-c", "%i %s %b %a %Y %Z %F", folder / "stat-1.jpg").out
        for folder in (room, gallery / "all", gallery / "tags/dog")
    }
    assert len(shown) == 1
    _, size, blocks, _, _, _, kind = shown.pop().split(maxsplit=6)
    assert int(size) == len(photo(240))
    assert int(blocks) == (len(photo(240)) + 511) // 512
    assert kind.strip() == "regular file"
    assert run("stat", "-c", "%h", room).out == "1\n"


def test_a_photo_counts_the_views_that_list_it_as_soon_as_they_do(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    run("cp", "-a", outside("links-1.jpg", photo(245, date="2018:01:02 03:04:05")), room)
    at_first = int(run("stat", "-c", "%h", room / "links-1.jpg").out)
    assert at_first >= 2, "all/ lists it, too"
    gallery.recognised()
    shown = [folder / "links-1.jpg" for folder in (room, gallery / "all", gallery / "tags/dog")]
    counts: set[int] = set()
    until = time.monotonic() + 2  # the kernel hears of what changed a moment later
    while (len(counts) != 1 or min(counts) <= at_first) and time.monotonic() < until:
        counts = {int(run("stat", "-c", "%h", path).out) for path in shown}
    assert len(counts) == 1
    assert counts.pop() > at_first


def test_tar_takes_a_folder_out_and_brings_it_in(
    gallery: Gallery, room: Path, outside: Outside, tmp_path: Path
) -> None:
    tree = outside("tar/x/one.jpg", photo(250)).parent.parent
    outside("tar/two.jpg", photo(251)).chmod(0o600)
    os.utime(tree / "two.jpg", ns=(MTIME, MTIME))
    run("cp", "-a", tree, room)
    run("tar", "-cf", tmp_path / "t.tar", "-C", room, "tar")
    run("tar", "-xf", tmp_path / "t.tar", "-C", room, "--transform", "s/^tar/back/")
    run("diff", "-r", tree, room / "back")
    assert (room / "back/two.jpg").stat().st_mtime == MTIME // 10**9
    assert (room / "back/two.jpg").stat().st_mode == (tree / "two.jpg").stat().st_mode


def test_du_counts_a_photo_once_though_many_folders_list_it(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    run("cp", outside("du-1.jpg", photo(260)), room)
    gallery.recognised()
    size = len(photo(260))
    listed = [room / "du-1.jpg", gallery / "all/du-1.jpg", gallery / "tags/dog/du-1.jpg"]
    total = run("du", "-c", "--apparent-size", "--block-size=1", *listed).out.splitlines()[-1]
    assert total == f"{size}\ttotal"
    files = {
        (at.st_ino, at.st_size)
        for folder, _, names in os.walk(gallery.path)
        for at in (os.lstat(os.path.join(folder, name)) for name in names)
    }
    whole = run("du", "-s", "--apparent-size", "--block-size=1", gallery.path).out
    folders = run("find", gallery.path, "-type", "d", "-printf", "%s\n").out.split()
    counted = int(whole.split()[0])
    assert counted == sum(size for _, size in files) + sum(map(int, folders))


def test_find_ends_and_meets_a_photo_a_bounded_number_of_times(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    for tag in ("finda", "findb", "findc"):
        (gallery / "tags" / tag).mkdir()
        run("cp", outside("find-1.jpg", photo(270)), gallery / "tags" / tag / f"{tag}.jpg")
    gallery.recognised()
    found = run("find", gallery.path, "-inum", str((gallery / "all/finda.jpg").stat().st_ino)).out
    assert 3 <= len(found.splitlines()) <= 20, found
    deep = run("find", gallery.path, "-mindepth", "7").out
    assert deep == ""


def test_tar_s_of_photos_that_are_not_on_this_machine_writes_no_holes(
    own_gallery: Gallery, outside: Outside, tmp_path: Path
) -> None:
    (own_gallery / "2019").mkdir()
    for source in (outside("far.jpg", photo(280)), outside("far.bin", bytes(100_000))):
        run("cp", source, own_gallery / "2019")
    own_gallery.become_a_new_device()
    run("tar", "-cSf", tmp_path / "t.tar", "-C", own_gallery.path, "2019")
    run("tar", "-xf", tmp_path / "t.tar", "-C", tmp_path)
    assert (tmp_path / "2019/far.jpg").read_bytes() == photo(280)
    assert (tmp_path / "2019/far.bin").read_bytes() == bytes(100_000)
