"""Attributes, junk and counts through the kernel, by the programs that people use."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mounted import HERE, Server, unmount_by_force

sys.path.insert(0, str(HERE.parent / "pipeline"))
from colours import picture

pytestmark = [pytest.mark.mount, pytest.mark.root]

Start = Callable[..., Server]


@pytest.fixture
def start_vault(mountpoint: Path, tmp_path: Path) -> Iterator[Start]:
    """A function that mounts a vault whose recogniser sees dogs in red pictures."""
    servers: list[Server] = []

    def begin(*more: str) -> Server:
        command = [sys.executable, str(HERE / "vault_server.py"), "--by-colour"]
        server = Server(mountpoint, [*command, str(mountpoint), str(tmp_path / "vault"), *more])
        servers.append(server)
        assert server.hear() == "ready"
        return server

    yield begin
    for server in servers:
        server.close()
    unmount_by_force(mountpoint)


@pytest.fixture
def server(start_vault: Start) -> Server:
    """A mounted vault."""
    return start_vault()


def does(*words: str | Path) -> str:
    """Run a program and return what it said; it must succeed and complain of nothing."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def refused(number: int, act: Callable[..., object], *args: object) -> None:
    with pytest.raises(OSError) as told:
        act(*args)
    assert told.value.errno == number


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def marked(folder: Path) -> Path:
    """Make a folder on an ordinary file system whose files carry attributes of many sorts."""
    (folder / "below").mkdir(parents=True)
    (folder / "red.png").write_bytes(picture(200))
    (folder / "below" / "dark.png").write_bytes(picture(20))
    try:
        os.setxattr(folder / "red.png", "user.xdg.tags", b"holiday,sun")
    except OSError:
        pytest.skip("the file system of the tests has no extended attributes")
    os.setxattr(folder / "red.png", "user.baloo.rating", b"6")
    os.setxattr(folder / "red.png", "user.xdg.origin.url", b"http://example.org/")
    os.setxattr(folder / "below", "user.note", b"a folder's")
    os.setxattr(folder / "below" / "dark.png", "user.note", bytes(range(256)))
    return folder


def attributes(path: Path) -> dict[str, bytes]:
    return {name: os.getxattr(path, name) for name in os.listxattr(path)}


def carried(server: Server, folder: Path) -> None:
    """What ``marked`` wrote must have come along, and mean what it says."""
    assert server.say("wait recognised") is True
    assert attributes(folder / "red.png") == {
        "user.xdg.tags": b"dog,holiday,sun",
        "user.baloo.rating": b"6",
        "user.xdg.origin.url": b"http://example.org/",
    }
    assert attributes(folder / "below") == {"user.note": b"a folder's"}
    note = attributes(folder / "below" / "dark.png")
    assert note == {"user.xdg.tags": b"cat", "user.note": bytes(range(256))}
    assert names(server.path / "tags" / "holiday") == ["red.png"]


def test_getfattr_and_setfattr_edit_tags(server: Server) -> None:
    photo = server.path / "red.png"
    photo.write_bytes(picture(200))
    assert server.say("wait recognised") is True
    said = does("getfattr", "--absolute-names", "-d", photo)
    assert [line for line in said.splitlines() if "=" in line] == ['user.xdg.tags="dog"']
    does("setfattr", "-n", "user.xdg.tags", "-v", "dog,holiday", photo)
    assert names(server.path / "tags" / "holiday") == ["red.png"]
    assert does("attr", "-q", "-g", "xdg.tags", photo) == "dog,holiday"
    does("setfattr", "-n", "user.xdg.tags", "-v", "holiday", server.path / "all" / "red.png")
    assert "dog" not in names(server.path / "tags")
    does("setfattr", "-x", "user.xdg.tags", photo)
    assert os.listxattr(photo) == []
    assert "holiday" not in names(server.path / "tags")
    fact = does("getfattr", "--absolute-names", "--only-values", "-n", "user.tagfs.state", photo)
    assert fact in ("sealed", "stored")
    refused(errno.EPERM, os.setxattr, photo, "user.tagfs.state", b"new")


def test_cp_a_carries_attributes_in_and_out(server: Server, tmp_path: Path) -> None:
    source = marked(tmp_path / "source")
    does("cp", "-a", source, server.path / "2019")
    carried(server, server.path / "2019")
    does("cp", "-a", server.path / "2019", tmp_path / "out")
    assert attributes(tmp_path / "out" / "below") == {"user.note": b"a folder's"}
    assert os.getxattr(tmp_path / "out" / "red.png", "user.xdg.tags") == b"dog,holiday,sun"
    assert "user.tagfs.id" not in os.listxattr(tmp_path / "out" / "red.png")


def test_cp_a_inside_the_gallery_leaves_what_was_seen_to_the_recogniser(
    server: Server, tmp_path: Path
) -> None:
    does("cp", "-a", marked(tmp_path / "source"), server.path / "2019")
    assert server.say("wait recognised") is True
    does("cp", "-a", server.path / "2019", server.path / "2020")
    for folder in ("2019", "2020"):
        photo = server.path / folder / "red.png"
        assert os.getxattr(photo, "user.tagfs.tag.dog") == b"0.90 auto colour-1"
        assert os.getxattr(photo, "user.tagfs.tag.holiday") == b"you"


def test_rsync_ax_carries_attributes_in_and_has_nothing_to_do_the_second_time(
    server: Server, tmp_path: Path
) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("rsync is not installed")
    source = marked(tmp_path / "source")
    does("rsync", "-aX", f"{source}/", f"{server.path}/2019/")
    carried(server, server.path / "2019")
    # What was seen is no attribute of the source's. rsync takes it away, which denies nothing.
    said = does("rsync", "-aXi", f"{source}/", f"{server.path}/2019/")
    assert not [line for line in said.splitlines() if line.startswith(">")]
    carried(server, server.path / "2019")
    os.setxattr(server.path / "2019" / "red.png", "user.xdg.tags", b"dog,holiday,sun,sea")
    does("rsync", "-aX", f"{source}/", f"{server.path}/2019/")
    carried(server, server.path / "2019")
    assert "sea" not in names(server.path / "tags")


def test_tar_carries_attributes_in(server: Server, tmp_path: Path) -> None:
    source = marked(tmp_path / "source")
    does("tar", "--xattrs", "-C", source, "-cf", tmp_path / "all.tar", ".")
    (server.path / "2019").mkdir()
    does("tar", "--xattrs", "-C", server.path / "2019", "-xf", tmp_path / "all.tar")
    carried(server, server.path / "2019")


def test_without_attributes_the_kernel_never_asks(start_vault: Start) -> None:
    photo = start_vault("-o", "noxattr").path / "red.png"
    photo.write_bytes(picture(200))
    refused(errno.ENOTSUP, os.setxattr, photo, "user.xdg.tags", b"dog")
    refused(errno.ENOTSUP, os.getxattr, photo, "user.tagfs.id")
    assert does("cp", "-a", photo, photo.with_name("copy.png")) == ""


def test_what_file_managers_leave_in_a_view_is_theirs_alone(server: Server, tmp_path: Path) -> None:
    (server.path / "2019").mkdir()
    (server.path / "2019" / "red.png").write_bytes(picture(200))
    assert server.say("wait recognised") is True
    dogs = server.path / "tags" / "dog"
    before = server.say("hash")
    for name in (".DS_Store", "._red.png", ".~lock.red.png#", "Thumbs.db"):
        junk = dogs / name
        junk.write_bytes(b"left behind")
        with junk.open("ab") as more:
            more.write(b", twice")
        assert junk.read_bytes() == b"left behind, twice"
        os.utime(junk, (5, 5))
        assert junk.stat().st_mtime == 5
    # KDE writes a file beside and renames it.
    (dogs / ".directory.AbCdEf").write_bytes(b"[Dolphin]")
    (dogs / ".directory.AbCdEf").rename(dogs / ".directory")
    assert (dogs / ".directory").read_bytes() == b"[Dolphin]"
    does("cp", "-r", dogs, tmp_path / "out")
    assert names(dogs) == names(tmp_path / "out") == ["red.png"]
    assert server.say("hash") == before
    full = subprocess.run(
        ["dd", "if=/dev/zero", f"of={dogs / '.hidden'}", "bs=64K", "count=17"],
        capture_output=True,
        text=True,
    )
    assert "No space left on device" in full.stderr
    does("rm", dogs / ".hidden")
    does("rm", "-r", dogs)
    assert not dogs.exists()
    assert names(server.path / "2019") == ["red.png"]


def test_indexers_find_their_markers_and_desktops_no_folder_for_trash(server: Server) -> None:
    for folder in (server.path, server.path / "all", server.path / "tags"):
        for name in (".nomedia", ".trackerignore"):
            marker = folder / name
            assert marker.stat().st_size == 0
            assert marker.read_bytes() == b""
            refused(errno.EPERM, marker.unlink)
            assert name not in names(folder)
    for name in (".Trash", ".Trash-1000"):
        refused(errno.ENOENT, os.stat, server.path / name)
        refused(errno.EPERM, os.mkdir, server.path / name)


def test_why_an_act_was_refused_can_be_read(server: Server) -> None:
    for _ in range(3):
        refused(errno.EPERM, os.mkdir, server.path / "all" / "folder")
    refused(errno.EPERM, os.mkdir, server.path / ".Trash-1000")
    events = (server.path / ".tagfs" / "events").read_text().splitlines()
    assert [line.partition(" ")[2] for line in events] == [
        "all/ has no folders; make the folder at the root of the gallery."
    ]


def test_programs_meet_each_photo_once(server: Server, tmp_path: Path) -> None:
    folder = server.path / "2019"
    folder.mkdir()
    data = picture(200) + bytes(100_000)
    (folder / "red.png").write_bytes(data)
    (folder / "notes.txt").write_bytes(bytes(5000))
    assert server.say("wait recognised") is True
    shown = (folder / "red.png").stat()
    assert shown.st_nlink > 1
    assert shown.st_blocks == (len(data) + 511) // 512
    assert (folder / "notes.txt").stat().st_nlink == 1
    assert (server.path / "tags").stat().st_nlink == 1
    counted = does(
        "du", "--apparent-size", "-bsc", folder, server.path / "all", server.path / "tags"
    )
    assert counted.splitlines()[-1] == f"{len(data) + 5000}\ttotal"
    does("tar", "-C", server.path, "-cf", tmp_path / "all.tar", "2019", "all", "tags")
    members = does("tar", "-tvf", tmp_path / "all.tar").splitlines()
    assert sum(line.startswith("h") for line in members) == 2  # in all/ and tags/dog/
    assert sum(line.startswith("-") for line in members) == 2
    # gzip leaves what has other links alone, and notes.txt has none.
    does("gzip", folder / "notes.txt")
    assert names(folder) == ["notes.txt.gz", "red.png"]


@pytest.mark.skipif(shutil.which("gio") is None, reason="gio is not installed")
def test_gio_replaces_what_it_left_in_a_view(server: Server) -> None:
    (server.path / "tags" / "dog").mkdir()
    hidden = server.path / "tags" / "dog" / ".hidden"
    for text in ("first", "second"):
        done = subprocess.run(["gio", "save", hidden], input=text, text=True, capture_output=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert hidden.read_text() == text
    assert names(server.path / "all") == []


def test_what_replaces_junk_is_read_by_its_name_at_once(server: Server) -> None:
    folder = server.path / "tags" / "dog"
    folder.mkdir()
    hidden = folder / ".hidden"
    for number in range(100):
        # After the rename the kernel takes the temporary file for what has this name.
        with open(folder / f".goutputstream-{number}", "xb") as written:
            written.write(b"%d" % number)
            written.flush()
            os.rename(written.name, hidden)
        assert hidden.read_bytes() == b"%d" % number
    assert names(server.path / "all") == []


def test_attributes_come_along_when_a_copy_is_written_over_a_photos_name_in_a_view(
    server: Server, tmp_path: Path
) -> None:
    (server.path / "2019").mkdir()
    (server.path / "2019" / "red.png").write_bytes(picture(201))
    assert server.say("wait recognised") is True
    source = marked(tmp_path / "source")
    does("cp", "-a", source / "red.png", server.path / "all" / "red.png")
    assert server.say("wait recognised") is True
    written = server.path / "all" / "red.png"
    assert written.read_bytes() == picture(200)
    assert attributes(written) == attributes(source / "red.png") | {
        "user.xdg.tags": b"dog,holiday,sun"
    }
    assert attributes(server.path / "2019" / "red.png") == {"user.xdg.tags": b"dog"}
    assert len(names(server.path / "all")) == 2
