"""Modes, sizes and times in own folders: what changes them, and what does not.

Each test runs on the machine's own file system first (tests/mount/both.py), but for those that
name the gallery.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from both import later, refused
from mounted import HERE, Server

pytestmark = [pytest.mark.mount, pytest.mark.root]

LONG_AGO = 1_000_000_000_123_456_789


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def changes(path: Path, act: Callable[[], object]) -> set[str]:
    """Return which of a path's times an act moves on."""
    before = path.lstat()
    later(act)
    after = path.lstat()
    assert after.st_ctime_ns >= before.st_ctime_ns
    return {
        name
        for name in ("mtime", "ctime")
        if getattr(after, f"st_{name}_ns") != getattr(before, f"st_{name}_ns")
    }


def there_and_back(path: Path) -> None:
    os.rename(path, path.with_name("away"))
    os.rename(path.with_name("away"), path)


BOTH_TIMES = {"mtime", "ctime"}


# -- modes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [0o0, 0o400, 0o644, 0o777, 0o1777, 0o2755, 0o4755, 0o7777])
def test_every_bit_of_a_mode_is_kept(own: Path, bits: int) -> None:
    (own / "f").touch()
    (own / "d").mkdir()
    for name in ("f", "d"):
        (own / name).chmod(bits)
        # Without privileges the kernel itself drops set-group-id of a group one is not in.
        assert mode(own / name) == bits
        (own / name).chmod(0o700)
        assert mode(own / name) == 0o700


def test_a_mode_is_changed_through_a_descriptor_and_through_a_symlink(own: Path) -> None:
    (own / "f").touch()
    (own / "l").symlink_to("f")
    with open(own / "f") as file:
        os.fchmod(file.fileno(), 0o611)
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o611
    os.chmod(own / "l", 0o622)
    assert mode(own / "f") == 0o622
    assert mode(own / "l") == 0o777


def test_what_a_mode_forbids_is_refused(own: Path, tmp_path: Path) -> None:
    (own / "f").write_bytes(b"x")
    (own / "d").mkdir()
    (own / "d" / "in").write_bytes(b"x")
    (own / "f").chmod(0o200)
    (own / "d").chmod(0o600)
    script = f"""
import os
def tried(call, *args):
    try:
        call(*args)
        return 0
    except OSError as error:
        return error.errno
print(tried(os.open, {str(own / "f")!r}, os.O_RDONLY), tried(os.open, {str(own / "f")!r}, 1),
      tried(os.stat, {str(own / "d" / "in")!r}), tried(os.listdir, {str(own / "d")!r}))
"""
    command = [sys.executable, "-c", script]
    if os.geteuid() == 0:  # who may everything still may nothing without his privileges
        command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(errno.EACCES), "0", str(errno.EACCES), "0"]
    (own / "d").chmod(0o700)


# -- sizes -----------------------------------------------------------------------------------


def test_truncating_cuts_and_stretches_with_zeros(own: Path) -> None:
    data = os.urandom(300_000)
    (own / "f").write_bytes(data)
    for size in (299_999, 131_073, 131_072, 5, 200_000, 0, 3):
        os.truncate(own / "f", size)
        data = data[:size] + bytes(size - len(data[:size]))
        assert (own / "f").read_bytes() == data
        assert (own / "f").stat().st_size == size


def test_only_files_have_a_size_that_can_be_set(own: Path) -> None:
    (own / "d").mkdir()
    (own / "f").touch()
    (own / "l").symlink_to("f")
    refused(errno.EISDIR, os.truncate, own / "d", 0)
    refused(errno.EINVAL, os.truncate, own / "f", -1)
    os.truncate(own / "l", 10)
    assert (own / "f").stat().st_size == 10


def test_room_taken_is_told_by_the_size_also_for_holes(vault: Server) -> None:
    path = vault.path / "sparse"
    with open(path, "wb") as file:
        file.truncate(1_000_001)
    assert path.stat().st_blocks == 1954


# -- times -----------------------------------------------------------------------------------


@pytest.mark.parametrize("when", [0, 1, LONG_AGO, -1, -(10**18), 2**31 * 10**9, 2**32 * 10**9 + 7])
def test_a_time_is_kept_to_the_nanosecond(own: Path, when: int) -> None:
    (own / "f").write_bytes(b"x")
    (own / "d").mkdir()
    (own / "l").symlink_to("f")
    for name in ("f", "d", "l"):
        os.utime(own / name, ns=(0, when), follow_symlinks=False)
        assert (own / name).lstat().st_mtime_ns == when
    assert (own / "f").stat().st_mtime_ns == when


def test_of_a_symlink_the_targets_time_is_set_unless_told_otherwise(own: Path) -> None:
    (own / "f").touch()
    (own / "l").symlink_to("f")
    before = (own / "l").lstat().st_mtime_ns
    os.utime(own / "l", ns=(0, LONG_AGO))
    assert (own / "f").stat().st_mtime_ns == LONG_AGO
    assert (own / "l").lstat().st_mtime_ns == before


def test_setting_the_time_to_now_takes_the_time_of_now(own: Path) -> None:
    (own / "f").touch()
    os.utime(own / "f", ns=(0, LONG_AGO))
    before = (own / "f").stat().st_ctime_ns
    later(lambda: os.utime(own / "f"))
    assert (own / "f").stat().st_mtime_ns > before


def test_a_time_set_while_writing_stays_when_the_file_is_closed(own: Path) -> None:
    with open(own / "f", "wb") as file:
        file.write(b"x" * 200_000)
        file.flush()
        os.utime(file.fileno(), ns=(LONG_AGO, LONG_AGO))
    assert (own / "f").stat().st_mtime_ns == LONG_AGO
    with open(own / "f", "ab") as file:
        os.utime(file.fileno(), ns=(LONG_AGO, LONG_AGO))
        file.write(b"later than that")
    assert (own / "f").stat().st_mtime_ns > LONG_AGO


def test_writing_and_cutting_change_both_times_of_a_file(own: Path) -> None:
    path = own / "f"
    path.touch()
    assert changes(path, lambda: path.write_bytes(b"x" * 1000)) == BOTH_TIMES
    assert changes(path, lambda: os.truncate(path, 10)) == BOTH_TIMES
    with open(path, "r+b", buffering=0) as file:
        assert changes(path, lambda: file.write(b"y")) == BOTH_TIMES
        assert changes(path, lambda: os.ftruncate(file.fileno(), 5)) == BOTH_TIMES
    assert changes(path, lambda: open(path, "wb").close()) == BOTH_TIMES


def test_looking_changes_no_time(own: Path) -> None:
    (own / "d").mkdir()
    path = own / "d" / "f"
    path.write_bytes(b"x" * 200_000)
    (own / "d" / "l").symlink_to("f")

    def look() -> None:
        path.read_bytes()
        os.listdir(own / "d")
        os.readlink(own / "d" / "l")
        open(path, "r+b").close()

    assert changes(path, look) == set()
    assert changes(own / "d", look) == set()


def test_attributes_and_names_change_the_ctime_only(own: Path) -> None:
    path = own / "f"
    path.write_bytes(b"x")
    (own / "d").mkdir()
    (own / "s").symlink_to("f")
    assert changes(path, lambda: path.chmod(0o600)) == {"ctime"}
    assert changes(own / "d", lambda: (own / "d").chmod(0o750)) == {"ctime"}
    assert changes(path, lambda: os.utime(path, ns=(5, path.stat().st_mtime_ns))) == {"ctime"}
    assert changes(path, lambda: os.link(path, own / "g")) == {"ctime"}
    assert changes(path, lambda: os.unlink(own / "g")) == {"ctime"}
    assert changes(
        own / "s", lambda: os.rename(own / "s", own / "t") or os.rename(own / "t", own / "s")
    ) == {"ctime"}
    os.link(path, own / "h")
    (own / "i").touch()
    assert changes(path, lambda: os.rename(own / "i", own / "h")) == {"ctime"}


def test_a_folder_changes_when_what_it_lists_changes(own: Path) -> None:
    folder = own / "d"
    folder.mkdir()
    (own / "from").touch()
    path = folder / "f"
    assert changes(folder, path.touch) == BOTH_TIMES
    assert changes(folder, lambda: path.write_bytes(b"x")) == set()
    assert changes(folder, lambda: path.chmod(0o600)) == set()
    assert changes(folder, lambda: os.link(path, folder / "g")) == BOTH_TIMES
    assert changes(folder, lambda: os.unlink(folder / "g")) == BOTH_TIMES
    assert changes(folder, lambda: os.rename(path, folder / "h")) == BOTH_TIMES
    assert changes(folder, lambda: os.rename(folder / "h", path)) == BOTH_TIMES
    assert changes(folder, lambda: os.rename(own / "from", folder / "to")) == BOTH_TIMES
    assert changes(folder, lambda: os.mkdir(folder / "e")) == BOTH_TIMES
    assert changes(folder, lambda: os.rmdir(folder / "e")) == BOTH_TIMES
    assert changes(folder, lambda: os.symlink("x", folder / "s")) == BOTH_TIMES


def test_what_is_refused_changes_no_time(own: Path) -> None:
    (own / "d" / "full").mkdir(parents=True)
    (own / "d" / "f").write_bytes(b"x")

    def fail() -> None:
        refused(errno.EEXIST, os.mkdir, own / "d" / "f")
        refused(errno.ENOTEMPTY, os.rmdir, own / "d")
        refused(errno.EISDIR, os.unlink, own / "d" / "full")
        refused(errno.EISDIR, os.rename, own / "d" / "f", own / "d" / "full")
        refused(errno.EEXIST, os.link, own / "d" / "f", own / "d" / "full")
        refused(errno.EINVAL, os.truncate, own / "d" / "f", -1)

    for path in (own / "d", own / "d" / "f", own / "d" / "full"):
        assert changes(path, fail) == set()


# -- what is the gallery's own -------------------------------------------------------------------


def test_storing_a_file_changes_none_of_its_times(vault: Server) -> None:
    path = vault.path / "stored"
    path.write_bytes(b"x" * 300_000)
    with open(path, "r+b") as file:
        file.seek(150_000)
        file.write(b"a draft, which is sealed anew")
    assert changes(path, lambda: vault.say("wait stored")) == set()


def test_times_and_numbers_are_the_same_on_the_next_mount(mountpoint: Path, tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(HERE / "vault_server.py"),
        str(mountpoint),
        str(tmp_path / "home"),
    ]
    seen = []
    for number in range(2):
        server = Server(mountpoint, command)
        assert server.hear() == "ready"
        if number == 0:
            (mountpoint / "d").mkdir()
            (mountpoint / "d" / "f").write_bytes(b"x" * 1000)
            os.link(mountpoint / "d" / "f", mountpoint / "d" / "g")
            (mountpoint / "d" / "f").chmod(0o640)
            os.utime(mountpoint / "d" / "f", ns=(0, LONG_AGO))
            (mountpoint / "d" / "s").symlink_to("f")
            os.unlink(mountpoint / "d" / "g")
            server.say("wait stored")
        paths = [mountpoint / p for p in ("d", "d/f", "d/s")]
        seen.append(
            [
                (s.st_ino, s.st_mode, s.st_nlink, s.st_size, s.st_mtime_ns, s.st_ctime_ns)
                for s in (p.lstat() for p in paths)
            ]
        )
        assert server.end(signal.SIGTERM) == 0
        server.close()
    assert seen[0] == seen[1]


def test_reading_leaves_the_access_time_which_is_not_kept(vault: Server) -> None:
    path = vault.path / "read"
    path.write_bytes(b"x")
    os.utime(path, ns=(7, LONG_AGO))
    assert path.stat().st_atime_ns == path.stat().st_mtime_ns == LONG_AGO


def test_a_folder_has_one_link_however_many_are_in_it(vault: Server) -> None:
    folder = vault.path / "links"
    (folder / "a").mkdir(parents=True)
    (folder / "b").mkdir()
    assert folder.stat().st_nlink == 1


def test_emptying_an_empty_file_changes_nothing(vault: Server) -> None:
    path = vault.path / "empty"
    path.touch()
    assert changes(path, lambda: open(path, "wb").close()) == set()
    path.write_bytes(b"three")
    assert changes(path, lambda: os.truncate(path, 5)) == set()


def test_a_file_without_a_name_cannot_be_made(vault: Server) -> None:
    refused(errno.EOPNOTSUPP, os.open, vault.path, os.O_TMPFILE | os.O_RDWR)


def test_a_file_ends_at_32_tebibytes(vault: Server) -> None:
    path = vault.path / "long"
    path.touch()
    refused(errno.EFBIG, os.truncate, path, 2**46)
    assert path.stat().st_size == 0


def test_nobody_else_can_be_made_the_owner(vault: Server) -> None:
    path = vault.path / "mine"
    path.touch()
    refused(errno.EPERM, os.chown, path, os.getuid() + 1, -1)
    refused(errno.EPERM, os.chown, path, -1, os.getgid() + 12345)
    os.chown(path, os.getuid(), os.getgid())
