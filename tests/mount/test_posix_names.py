"""Names in own folders: creating, opening, linking and removing are POSIX.

Each test runs on the machine's own file system first (tests/mount/both.py), so that what it
expects is what programs meet everywhere.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest
from both import refused

pytestmark = [pytest.mark.mount, pytest.mark.root]

LONGEST = "n" * 255
TOO_LONG = "n" * 256
CREATE = os.O_CREAT | os.O_WRONLY


def close(fd: int) -> None:
    os.close(fd)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# -- opening ---------------------------------------------------------------------------------


def test_a_file_is_created_with_its_mode_less_the_mask(own: Path) -> None:
    before = os.umask(0o027)
    try:
        close(os.open(own / "f", CREATE, 0o666))
        os.mkdir(own / "d", 0o777)
    finally:
        os.umask(before)
    assert (mode(own / "f"), mode(own / "d")) == (0o640, 0o750)


def test_creating_what_is_there_keeps_bytes_and_mode(own: Path) -> None:
    (own / "f").write_bytes(b"kept")
    (own / "f").chmod(0o600)
    close(os.open(own / "f", CREATE, 0o777))
    assert ((own / "f").read_bytes(), mode(own / "f")) == (b"kept", 0o600)


def test_exclusive_creation_refuses_whatever_has_the_name(own: Path) -> None:
    (own / "file").touch()
    (own / "folder").mkdir()
    (own / "dangling").symlink_to("nowhere")
    for name in ("file", "folder", "dangling"):
        refused(errno.EEXIST, os.open, own / name, CREATE | os.O_EXCL)
    assert not (own / "nowhere").exists()


def test_creating_through_a_dangling_symlink_makes_its_target(own: Path) -> None:
    (own / "link").symlink_to("target")
    (own / "link").write_bytes(b"x")
    assert (own / "target").read_bytes() == b"x"


def test_a_file_made_without_permissions_is_written_by_its_maker(own: Path) -> None:
    fd = os.open(own / "f", os.O_CREAT | os.O_RDWR, 0)
    assert os.write(fd, b"written") == 7
    assert os.pread(fd, 9, 0) == b"written"
    close(fd)
    assert (mode(own / "f"), (own / "f").stat().st_size) == (0, 7)


def test_a_descriptor_does_only_what_it_was_opened_for(own: Path) -> None:
    (own / "f").write_bytes(b"x")
    reader, writer = os.open(own / "f", os.O_RDONLY), os.open(own / "f", os.O_WRONLY)
    refused(errno.EBADF, os.write, reader, b"y")
    refused(errno.EBADF, os.read, writer, 1)
    refused(errno.EINVAL, os.ftruncate, reader, 0)
    close(reader)
    close(writer)
    assert (own / "f").read_bytes() == b"x"


def test_folders_and_files_are_told_apart_when_opened(own: Path) -> None:
    (own / "d").mkdir()
    (own / "f").touch()
    (own / "l").symlink_to("f")
    refused(errno.EISDIR, os.open, own / "d", os.O_WRONLY)
    refused(errno.EISDIR, os.open, own / "d", os.O_RDWR)
    refused(errno.EISDIR, os.open, own / "d", CREATE)
    refused(errno.ENOTDIR, os.open, own / "f", os.O_RDONLY | os.O_DIRECTORY)
    refused(errno.ELOOP, os.open, own / "l", os.O_RDONLY | os.O_NOFOLLOW)
    close(os.open(own / "d", os.O_RDONLY | os.O_DIRECTORY))


def test_opening_with_truncation_empties(own: Path) -> None:
    (own / "f").write_bytes(b"x" * 300_000)
    fd = os.open(own / "f", os.O_RDWR | os.O_TRUNC)
    assert os.fstat(fd).st_size == 0
    assert os.read(fd, 10) == b""
    close(fd)
    assert (own / "f").read_bytes() == b""


def test_what_is_appended_by_several_stands_one_after_the_other(own: Path) -> None:
    fds = [os.open(own / "log", CREATE | os.O_APPEND) for _ in range(3)]
    for i in range(30):
        os.write(fds[i % 3], b"%02d\n" % i)
        os.lseek(fds[i % 3], 0, os.SEEK_SET)  # of no effect on where appending writes
    for fd in fds:
        close(fd)
    assert (own / "log").read_bytes() == b"".join(b"%02d\n" % i for i in range(30))


def test_writing_past_the_end_leaves_zeros_between(own: Path) -> None:
    with open(own / "f", "wb") as file:
        file.write(b"head")
        file.seek(1_000_000)
        file.write(b"tail")
    data = (own / "f").read_bytes()
    assert data == b"head" + bytes(999_996) + b"tail"


def test_room_can_be_made_ahead(own: Path) -> None:
    with open(own / "f", "w+b") as file:
        os.posix_fallocate(file.fileno(), 0, 100_000)
        assert os.fstat(file.fileno()).st_size == 100_000
        assert file.read() == bytes(100_000)


def test_one_file_is_copied_into_another_within_the_kernel(own: Path) -> None:
    data = os.urandom(400_000)
    (own / "a").write_bytes(data)
    with open(own / "a", "rb") as source, open(own / "b", "wb") as target:
        done = 0
        while done < len(data):
            done += os.copy_file_range(source.fileno(), target.fileno(), len(data) - done)
    assert (own / "b").read_bytes() == data


def test_locks_keep_a_second_opener_out(own: Path) -> None:
    with open(own / "f", "wb") as first, open(own / "f", "r+b") as second:
        fcntl.flock(first, fcntl.LOCK_EX)
        refused(errno.EAGAIN, fcntl.flock, second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(first, fcntl.LOCK_UN)
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)


# -- ways that lead nowhere --------------------------------------------------------------------

CALLS = {
    "open": lambda p: os.close(os.open(p, CREATE)),
    "mkdir": os.mkdir,
    "symlink": lambda p: os.symlink("x", p),
    "stat": os.stat,
    "chmod": lambda p: os.chmod(p, 0o600),
    "truncate": lambda p: os.truncate(p, 0),
    "utime": os.utime,
    "unlink": os.unlink,
    "rmdir": os.rmdir,
    "listdir": os.listdir,
    "readlink": os.readlink,
    "rename from": lambda p: os.rename(p, str(p) + "-"),
}


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_way_that_leads_nowhere_is_refused_by_every_call(own: Path, name: str) -> None:
    call = CALLS[name]
    (own / "f").write_bytes(b"x")
    (own / "loop").symlink_to("loop")
    refused(errno.ENOENT, call, own / "missing" / "x")
    refused(errno.ENOTDIR, call, own / "f" / "x")
    refused(errno.ELOOP, call, own / "loop" / "x")
    refused(errno.ENAMETOOLONG, call, own / TOO_LONG)
    refused(errno.ENAMETOOLONG, call, own / TOO_LONG / "x")
    refused(errno.ENAMETOOLONG, call, str(own) + "/x" * 2048)
    if name not in ("open", "mkdir", "symlink"):
        refused(errno.ENOENT, call, own / "missing")
    assert sorted(os.listdir(own)) == ["f", "loop"]


def test_rename_and_link_refuse_ways_that_lead_nowhere(own: Path) -> None:
    (own / "f").write_bytes(b"x")
    for call in (os.rename, os.link):
        refused(errno.ENOENT, call, own / "missing", own / "y")
        refused(errno.ENOENT, call, own / "f", own / "missing" / "y")
        refused(errno.ENOTDIR, call, own / "f", own / "f" / "y")
        refused(errno.ENAMETOOLONG, call, own / "f", own / TOO_LONG)
        refused(errno.ENAMETOOLONG, call, own / TOO_LONG, own / "y")
    assert os.listdir(own) == ["f"]


def test_names_of_255_bytes_work_everywhere(own: Path) -> None:
    folder = own / LONGEST
    folder.mkdir()
    (folder / LONGEST).write_bytes(b"x")
    (folder / ("l" * 255)).symlink_to(LONGEST)
    os.link(folder / LONGEST, folder / ("h" * 255))
    os.rename(folder / ("h" * 255), folder / ("é" * 127))
    assert sorted(os.listdir(folder)) == sorted([LONGEST, "l" * 255, "é" * 127])
    assert (folder / ("l" * 255)).read_bytes() == (folder / ("é" * 127)).read_bytes() == b"x"


def test_a_chain_of_forty_symlinks_is_followed_and_one_more_is_not(own: Path) -> None:
    (own / "0").write_bytes(b"end")
    for i in range(41):
        (own / str(i + 1)).symlink_to(str(i))
    assert (own / "40").read_bytes() == b"end"
    refused(errno.ELOOP, os.stat, own / "41")


def test_folders_nest_deeper_than_a_path_is_long(own: Path) -> None:
    name = "deep" * 50
    fd = os.open(own, os.O_RDONLY)
    for _ in range(30):
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        close(fd)
        fd = below
    close(os.open("bottom", CREATE, dir_fd=fd))
    assert os.listdir(fd) == ["bottom"]
    os.unlink("bottom", dir_fd=fd)
    for _ in range(30):
        above = os.open("..", os.O_RDONLY, dir_fd=fd)
        os.rmdir(name, dir_fd=above)
        close(fd)
        fd = above
    assert os.listdir(own) == []
    close(fd)


# -- folders -----------------------------------------------------------------------------------


def test_a_folder_takes_no_name_that_is_taken(own: Path) -> None:
    (own / "file").touch()
    (own / "folder").mkdir()
    (own / "link").symlink_to("folder")
    (own / "dangling").symlink_to("nowhere")
    for name in ("file", "folder", "link", "dangling", "."):
        refused(errno.EEXIST, os.mkdir, own / name)


def test_only_an_empty_folder_is_removed(own: Path) -> None:
    (own / "full" / "empty").mkdir(parents=True)
    (own / "file").touch()
    (own / "link").symlink_to("full")
    refused(errno.ENOTEMPTY, os.rmdir, own / "full")
    refused(errno.ENOTEMPTY, os.rmdir, str(own / "full" / "empty") + "/..")
    refused(errno.EINVAL, os.rmdir, str(own / "full") + "/.")
    refused(errno.ENOTDIR, os.rmdir, own / "file")
    refused(errno.ENOTDIR, os.rmdir, own / "link")
    os.rmdir(own / "full" / "empty")
    os.rmdir(own / "full")
    assert sorted(os.listdir(own)) == ["file", "link"]


def test_in_a_folder_that_was_removed_nothing_is_made(own: Path) -> None:
    (own / "d").mkdir()
    (own / "f").touch()
    fd = os.open(own / "d", os.O_RDONLY)
    os.rmdir(own / "d")
    assert os.listdir(fd) == []
    refused(errno.ENOENT, os.open, "x", CREATE, dir_fd=fd)
    refused(errno.ENOENT, os.mkdir, "x", dir_fd=fd)
    refused(errno.ENOENT, os.symlink, "y", "x", dir_fd=fd)
    refused(errno.ENOENT, os.link, own / "f", "x", dst_dir_fd=fd)
    refused(errno.ENOENT, os.rename, own / "f", "x", dst_dir_fd=fd)
    close(fd)
    assert os.listdir(own) == ["f"]


def test_a_listing_names_kinds_and_inodes_and_both_dots(own: Path) -> None:
    (own / "d").mkdir()
    (own / "f").touch()
    (own / "l").symlink_to("f")
    with os.scandir(own) as listing:
        kinds = {e.name: (e.is_dir(follow_symlinks=False), e.is_symlink()) for e in listing}
    assert kinds == {"d": (True, False), "f": (False, False), "l": (False, True)}
    with os.scandir(own) as listing:
        assert all(e.inode() == e.stat(follow_symlinks=False).st_ino for e in listing)
    assert (own / "d" / "..").stat().st_ino == own.stat().st_ino
    assert (own / "d" / ".").stat().st_ino == (own / "d").stat().st_ino


def test_an_open_folder_is_read_again_from_the_beginning(own: Path) -> None:
    (own / "a").touch()
    fd = os.open(own, os.O_RDONLY)
    assert os.listdir(fd) == ["a"]
    (own / "b").touch()
    (own / "a").unlink()
    assert os.listdir(fd) == ["b"]
    close(fd)


def test_where_one_stands_is_known_after_folders_above_were_renamed(own: Path) -> None:
    (own / "a" / "b").mkdir(parents=True)
    before = os.getcwd()
    try:
        os.chdir(own / "a" / "b")
        os.rename(own / "a", own / "c")
        assert os.getcwd() == str(own.resolve() / "c" / "b")
        Path("here").write_bytes(b"x")
    finally:
        os.chdir(before)
    assert (own / "c" / "b" / "here").read_bytes() == b"x"


# -- removing files ------------------------------------------------------------------------------


def test_only_files_are_unlinked_and_of_a_symlink_the_link(own: Path) -> None:
    (own / "d").mkdir()
    (own / "f").write_bytes(b"x")
    (own / "l").symlink_to("f")
    refused(errno.EISDIR, os.unlink, own / "d")
    refused(errno.ENOTDIR, os.unlink, str(own / "f") + "/")
    os.unlink(own / "l")
    assert (own / "f").read_bytes() == b"x"
    os.unlink(own / "f")
    assert os.listdir(own) == ["d"]


def test_what_is_open_outlives_its_name(own: Path) -> None:
    (own / "f").write_bytes(b"first")
    with open(own / "f", "r+b", buffering=0) as file:
        os.unlink(own / "f")
        refused(errno.ENOENT, os.stat, own / "f")
        (own / "f").write_bytes(b"another")
        assert file.read() == b"first"
        file.write(b" and more")
        os.ftruncate(file.fileno(), 12)
        file.seek(0)
        assert file.read() == b"first and mo"
        assert os.fstat(file.fileno()).st_size == 12
        assert os.fstat(file.fileno()).st_ino != (own / "f").stat().st_ino
    assert (own / "f").read_bytes() == b"another"


def test_an_empty_file_that_is_open_and_gone_has_no_links(own: Path) -> None:
    with open(own / "f", "wb") as file:
        os.unlink(own / "f")
        assert os.fstat(file.fileno()).st_nlink == 0
        os.fchmod(file.fileno(), 0o600)
        assert os.fstat(file.fileno()).st_nlink == 0


# -- links ---------------------------------------------------------------------------------------


def test_names_of_one_file_share_everything(own: Path) -> None:
    (own / "a").write_bytes(b"1")
    links = (own / "a").stat().st_nlink
    (own / "d").mkdir()
    os.link(own / "a", own / "d" / "b")
    assert (own / "a").stat().st_nlink == links + 1
    assert (own / "a").stat().st_ino == (own / "d" / "b").stat().st_ino
    (own / "d" / "b").write_bytes(b"22")
    (own / "d" / "b").chmod(0o611)
    assert ((own / "a").read_bytes(), mode(own / "a")) == (b"22", 0o611)
    os.unlink(own / "a")
    assert (own / "d" / "b").stat().st_nlink == links
    assert (own / "d" / "b").read_bytes() == b"22"


def test_links_take_no_taken_name_and_lead_to_no_folder(own: Path) -> None:
    (own / "a").touch()
    (own / "b").touch()
    (own / "d").mkdir()
    refused(errno.EEXIST, os.link, own / "a", own / "b")
    refused(errno.EEXIST, os.link, own / "a", own / "d")
    refused(errno.EEXIST, os.link, own / "a", own / "a")
    refused(errno.EPERM, os.link, own / "d", own / "e")


def test_a_link_to_a_symlink_is_another_name_of_the_symlink(own: Path) -> None:
    (own / "s").symlink_to("nowhere")
    os.link(own / "s", own / "t", follow_symlinks=False)
    assert os.readlink(own / "t") == "nowhere"
    assert (own / "s").lstat().st_ino == (own / "t").lstat().st_ino


def test_what_is_reached_through_symlinks_is_overwritten_and_cut(own: Path) -> None:
    (own / "d").mkdir()
    (own / "to-d").symlink_to("d")
    (own / "d" / "f").write_bytes(b"first")
    (own / "to-f").symlink_to("to-d/f")
    (own / "to-d" / "f").write_bytes(b"second")
    assert (own / "d" / "f").read_bytes() == b"second"
    (own / "to-f").write_bytes(b"third, longer")
    assert (own / "d" / "f").read_bytes() == b"third, longer"
    os.truncate(own / "to-f", 5)
    assert (own / "d" / "f").read_bytes() == b"third"
    os.truncate(own / "to-f", 0)
    assert (own / "d" / "f").read_bytes() == b""


@pytest.mark.parametrize(
    "target", ["x", "../up", "/absolute", "sp ace\n", "a/" * 2047 + "b", os.fsdecode(b"\xff\xfe")]
)
def test_a_symlink_says_exactly_what_it_was_told(own: Path, target: str) -> None:
    os.symlink(target, own / "l")
    assert os.readlink(own / "l") == target
    assert (own / "l").lstat().st_size == len(os.fsencode(target))
    assert (own / "l").is_symlink()


def test_symlinks_take_no_taken_name_and_no_impossible_target(own: Path) -> None:
    (own / "f").touch()
    refused(errno.EEXIST, os.symlink, "x", own / "f")
    refused(errno.ENOENT, os.symlink, "", own / "l")
    refused(errno.ENAMETOOLONG, os.symlink, "x" * 4096, own / "l")
    refused(errno.EINVAL, os.readlink, own / "f")
    assert os.listdir(own) == ["f"]


def test_between_file_systems_nothing_is_renamed_or_linked(
    own: Path, request: pytest.FixtureRequest, vault: object
) -> None:
    gallery = vault.path  # type: ignore[attr-defined]
    other = gallery if own.stat().st_dev != gallery.stat().st_dev else Path("/dev/shm")
    (own / "f").touch()
    refused(errno.EXDEV, os.rename, own / "f", other / "posix-test-f")
    refused(errno.EXDEV, os.link, own / "f", other / "posix-test-f")
