"""rsync into a gallery, out of it, and again, when it has nothing to do."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from apps_kit import Gallery, need, run
from colours import photo

pytestmark = pytest.mark.mount
Outside = Callable[..., Path]
MTIME = 1_400_000_000_123_456_789


@pytest.fixture(autouse=True)
def _installed() -> None:
    need("rsync")


@pytest.fixture
def source(outside: Outside) -> Path:
    """A folder with photos, a document, an odd name, a symbolic link and an empty folder."""
    tree = outside("pictures/May/rs-1.jpg", photo(300)).parent.parent
    outside("pictures/May/rs 2 \xe9.jpg", photo(301)).chmod(0o600)
    outside("pictures/rs-3.jpg", photo(302, red=20))
    outside("pictures/notes.txt", b"which lens?\n")
    (tree / "empty").mkdir()
    (tree / "link.jpg").symlink_to("rs-3.jpg")
    for i, path in enumerate(sorted(tree.rglob("*"), reverse=True)):
        os.utime(path, ns=(MTIME + i, MTIME + i), follow_symlinks=False)
    return tree


def test_rsync_brings_a_folder_in_and_has_nothing_to_do_the_second_time(
    gallery: Gallery, room: Path, source: Path
) -> None:
    run("rsync", "-a", f"{source}/", room)
    run("diff", "-r", "--no-dereference", source, room)
    assert run("rsync", "-ai", f"{source}/", room).out == ""
    assert run("rsync", "-ain", "--checksum", f"{source}/", room).out == ""
    gallery.recognised()
    assert run("rsync", "-ai", f"{source}/", room).out == ""
    assert "rs-1.jpg" in gallery.names("tags/dog")
    assert "rs-3.jpg" in gallery.names("tags/cat")
    path = room / "May/rs 2 \xe9.jpg"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not [name for name in gallery.names("all") if name.startswith(".")]


def test_rsync_onto_the_root_brings_everything_in_and_has_nothing_to_do_the_second_time(
    own_gallery: Gallery, source: Path
) -> None:
    source.chmod(0o755)
    run("rsync", "-a", f"{source}/", own_gallery.path)
    assert {"May", "empty", "link.jpg", "notes.txt", "rs-3.jpg"} <= own_gallery.names()
    assert run("rsync", "-ai", f"{source}/", own_gallery.path).out == ""
    own_gallery.unmount()
    own_gallery.mount()
    assert run("rsync", "-ai", f"{source}/", own_gallery.path).out == ""


def test_rsync_takes_a_folder_out_and_has_nothing_to_do_the_second_time(
    gallery: Gallery, room: Path, source: Path, tmp_path: Path
) -> None:
    run("rsync", "-a", f"{source}/", room)
    run("rsync", "-aH", f"{room}/", tmp_path / "out")
    run("diff", "-r", "--no-dereference", source, tmp_path / "out")
    assert run("rsync", "-aHi", f"{room}/", tmp_path / "out").out == ""
    assert run("rsync", "-aHi", f"{source}/", tmp_path / "out").out == ""


def test_rsync_takes_a_view_out_and_has_nothing_to_do_the_second_time(
    gallery: Gallery, outside: Outside, tmp_path: Path
) -> None:
    (gallery / "tags/rsview").mkdir()
    names = {f"rsview-{i}.jpg" for i in range(3)}
    for i, name in enumerate(sorted(names)):
        run("cp", outside(name, photo(310 + i)), gallery / "tags/rsview")
    gallery.recognised()
    run("rsync", "-a", gallery / "tags/rsview", tmp_path)
    assert {p.name for p in (tmp_path / "rsview").iterdir()} == names
    assert run("rsync", "-ai", gallery / "tags/rsview", tmp_path).out == ""


def test_rsync_into_a_tag_tags_and_has_nothing_to_do_the_second_time(
    gallery: Gallery, outside: Outside
) -> None:
    (gallery / "tags/rsin").mkdir()
    source = outside("rsin/rsin-1.jpg", photo(320)).parent
    outside("rsin/rsin-2.jpg", photo(321))
    os.utime(source, ns=(MTIME, MTIME))
    run("rsync", "-a", f"{source}/", gallery / "tags/rsin/")
    assert gallery.names("tags/rsin") == {"rsin-1.jpg", "rsin-2.jpg"}
    assert (gallery / "tags/rsin/rsin-1.jpg").read_bytes() == photo(320)
    assert run("rsync", "-ai", f"{source}/", gallery / "tags/rsin/").out == ""
    gallery.recognised()
    assert gallery.names("tags/rsin") == {"rsin-1.jpg", "rsin-2.jpg"}
    # The recogniser may have changed what the folder lists, and with it the folder's own time.
    again = run("rsync", "-aiO", f"{source}/", gallery / "tags/rsin/").out
    assert again == ""


def test_rsync_from_a_folder_of_another_mode_into_a_tag_ends_well(
    gallery: Gallery, outside: Outside
) -> None:
    source = outside("rsmode/rsmode.jpg", photo(337)).parent
    source.chmod(0o700)
    run("rsync", "-a", f"{source}/", gallery / "tags/rsmode/")
    assert (gallery / "tags/rsmode").stat().st_mode & 0o777 == 0o755
    assert (gallery / "all/rsmode.jpg").read_bytes() == photo(337)


def test_rsync_of_changed_photos_leaves_the_old_ones_in_the_trash(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    source = outside("rschange/rschange.jpg", photo(330)).parent
    run("rsync", "-a", f"{source}/", room)
    outside("rschange/rschange.jpg", photo(331))
    run("rsync", "-a", f"{source}/", room)
    assert (room / "rschange.jpg").read_bytes() == photo(331)
    assert (gallery / "trash/rschange.jpg").read_bytes() == photo(330)
    run("rsync", "-a", "--inplace", f"{outside('rsagain/rschange.jpg', photo(332)).parent}/", room)
    assert (room / "rschange.jpg").read_bytes() == photo(332)
    assert {photo(330), photo(331)} <= gallery.contents("trash")


def test_rsync_with_attributes_from_where_there_are_none_denies_no_tag(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    """It removes user.xdg.tags, which takes back the user's own words and says no to nothing."""
    source = outside("rsattr/rsattr.jpg", photo(340)).parent
    run("rsync", "-aX", f"{source}/", room)
    gallery.recognised()
    (gallery / "tags/rsattr").mkdir()
    run("ln", room / "rsattr.jpg", gallery / "tags/rsattr")
    run("rsync", "-aX", f"{source}/", room)
    run("rsync", "-aX", "--ignore-times", f"{source}/", room)
    assert gallery.names("tags/rsattr") == set()
    gallery.recognised()
    assert "rsattr.jpg" in gallery.names("tags/dog")
    assert (room / "rsattr.jpg").read_bytes() == photo(340)


def test_rsync_with_attributes_takes_a_folder_out(
    gallery: Gallery, room: Path, outside: Outside, tmp_path: Path
) -> None:
    try:
        os.setxattr(tmp_path, "user.tagfs.test", b"1")
    except OSError as e:
        pytest.skip(f"{tmp_path} takes no extended attributes ({e.strerror})")
    run("cp", outside("rsattr-2.jpg", photo(345)), room)
    gallery.recognised()
    run("rsync", "-aX", f"{room}/", tmp_path / "out")
    assert (tmp_path / "out/rsattr-2.jpg").read_bytes() == photo(345)
    assert os.getxattr(tmp_path / "out/rsattr-2.jpg", "user.xdg.tags") == b"dog"
    assert run("rsync", "-aXi", f"{room}/", tmp_path / "out").out == ""


def test_rsync_delete_in_a_folder_puts_what_the_source_lacks_into_the_trash(
    gallery: Gallery, room: Path, outside: Outside
) -> None:
    source = outside("rsdel/rsdel-1.jpg", photo(350)).parent
    outside("rsdel/rsdel-2.jpg", photo(351))
    run("rsync", "-a", f"{source}/", room)
    (source / "rsdel-2.jpg").unlink()
    run("rsync", "-a", "--delete", f"{source}/", room)
    assert os.listdir(room) == ["rsdel-1.jpg"]
    assert (gallery / "trash/rsdel-2.jpg").read_bytes() == photo(351)
