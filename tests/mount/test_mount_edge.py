"""What programs see at the edge of a real mount, over a plain tree in memory."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fsx import exercise
from mounted import Server, drop_pages

pytestmark = [pytest.mark.mount, pytest.mark.root]

NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
libc = ctypes.CDLL(None, use_errno=True)


def rename_with(source: Path, target: Path, flags: int) -> int:
    """Call renameat2(2); return the errno, 0 for success."""
    done = libc.renameat2(-100, os.fsencode(source), -100, os.fsencode(target), flags)
    return ctypes.get_errno() if done else 0


def refused(number: int, call: Callable[..., object], *args: object) -> None:
    with pytest.raises(OSError) as caught:
        call(*args)
    assert errno.errorcode[caught.value.errno] == errno.errorcode[number]


def soon(condition: Callable[[], bool]) -> bool:
    """Wait for what a thread of the server's is about to do."""
    end = time.monotonic() + 4.0  # the kernel's own time-outs are longer
    while time.monotonic() < end:
        if condition():
            return True
        os.sched_yield()
    return False


def test_two_thousand_random_operations_leave_every_byte_right(gallery: Path) -> None:
    exercise(str(gallery / "file"), seed=1, operations=2000)


@pytest.mark.long
def test_twenty_thousand_random_operations_leave_every_byte_right(gallery: Path) -> None:
    exercise(str(gallery / "file"), seed=2, operations=20_000)


def test_a_folder_that_was_copied_in_is_the_same(gallery: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in ("a/b/c", "a/empty", "d"):
        (source / name).mkdir(parents=True)
    for i in range(20):
        path = source / "a/b/c" / f"photo {i}.jpg"
        path.write_bytes(os.urandom(i * 7001))
        path.chmod(0o600 + i % 8)
        os.utime(path, ns=(0, 1_600_000_000_123_456_789 + i))
    (source / "d" / "link").symlink_to("../a/b")
    subprocess.run(["cp", "-a", source, gallery / "copy"], check=True)
    subprocess.run(["diff", "-r", "--no-dereference", source, gallery / "copy"], check=True)
    for path in source.rglob("*.jpg"):
        copied = (gallery / "copy" / path.relative_to(source)).stat()
        assert copied.st_mtime_ns == path.stat().st_mtime_ns
        assert copied.st_mode == path.stat().st_mode
        assert copied.st_blocks == (copied.st_size + 511) // 512


def test_appending_goes_to_the_end(gallery: Path) -> None:
    path = gallery / "log"
    with open(path, "ab", buffering=0) as first, open(path, "ab", buffering=0) as second:
        for i in range(10):
            (first if i % 2 else second).write(b"%d\n" % i)
    assert path.read_bytes() == b"".join(b"%d\n" % i for i in range(10))


def test_truncating_works_by_handle_and_by_path_and_at_opening(gallery: Path) -> None:
    path = gallery / "f"
    path.write_bytes(b"0123456789")
    with open(path, "r+b") as file:
        file.truncate(4)
        assert os.stat(path).st_size == 4
        os.truncate(path, 6)
        assert os.fstat(file.fileno()).st_size == 6
        assert file.read() == b"0123\0\0"
    open(path, "wb").close()
    assert path.read_bytes() == b""


def test_what_one_program_maps_another_reads(gallery: Path) -> None:
    path = gallery / "f"
    path.write_bytes(bytes(10_000))
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 10_000) as area:
        area[5000:5005] = b"hello"
        area.flush()
        assert path.read_bytes()[4998:5007] == b"\0\0hello\0\0"


def test_a_file_that_was_deleted_stays_readable_until_it_is_closed(server: Server) -> None:
    path = server.path / "f"
    path.write_bytes(b"kept")
    with open(path, "r+b", buffering=0) as file:
        before = server.say("state")["nodes"]
        path.unlink()
        assert not path.exists()
        assert os.fstat(file.fileno()).st_nlink == 0
        file.write(b"KEPT and more")
        file.seek(0)
        assert file.read() == b"KEPT and more"
    assert soon(lambda: server.say("state")["nodes"] == before - 1)


def test_renaming_can_refuse_to_replace_and_never_exchanges(gallery: Path) -> None:
    a, b = gallery / "a", gallery / "b"
    a.write_bytes(b"a")
    b.write_bytes(b"b")
    assert rename_with(a, b, NOREPLACE) == errno.EEXIST
    assert rename_with(a, b, EXCHANGE) == errno.EINVAL
    assert rename_with(a, b, WHITEOUT) == errno.EINVAL
    assert rename_with(a, gallery / "c", NOREPLACE) == 0
    os.rename(gallery / "c", b)
    assert [p.name for p in gallery.iterdir()] == ["b"]
    assert b.read_bytes() == b"a"
    (gallery / "x").mkdir()
    b.rename(gallery / "x" / "b")
    (gallery / "x").rename(gallery / "y")
    assert (gallery / "y" / "b").read_bytes() == b"a"


def test_names_that_are_no_utf8_come_back_as_they_were(gallery: Path) -> None:
    root = os.fsencode(gallery)
    names = [b"latin-\xe9", b"\xff\xfe", "e\u0301".encode(), "\u00e9".encode(), b"a\nb", b" ", b"~"]
    for name in names:
        with open(root + b"/" + name, "wb") as file:
            file.write(name)
    assert sorted(os.listdir(root)) == sorted(names)
    for name in names:
        with open(root + b"/" + name, "rb") as file:
            assert file.read() == name
    refused(errno.ENAMETOOLONG, os.mkdir, root + b"/" + b"n" * 256)
    os.mkdir(root + b"/" + b"n" * 255)


def test_a_listing_of_ten_thousand_survives_removals_and_additions(gallery: Path) -> None:
    names = {f"{i:05}" for i in range(10_000)}
    for name in sorted(names):
        (gallery / name).touch()
    seen: list[str] = []
    with os.scandir(gallery) as listing:
        for entry in listing:
            seen.append(entry.name)
            number = len(seen)
            if number % 10 == 0 and entry.name in names:
                os.unlink(gallery / entry.name)
            if number % 50 == 0 and number <= 5000:
                (gallery / f"new-{number}").touch()
            if number == 5:
                for name in ("09990", "09991"):
                    os.unlink(gallery / name)
    assert len(seen) == len(set(seen)), "an entry was listed twice"
    assert names - set(seen) <= {"09990", "09991"}, "an entry was left out"
    assert not {"09990", "09991"} & set(seen), "an entry was listed after it had gone"
    left = set(os.listdir(gallery))
    assert left == {p.name for p in gallery.iterdir()}
    assert len(left) == 10_000 - 2 - sum(1 for s in seen[9::10] if s in names) + 100


def test_a_directory_lists_itself_and_the_one_above(gallery: Path) -> None:
    (gallery / "d" / "e").mkdir(parents=True)
    shown = subprocess.run(["ls", "-ai", gallery / "d" / "e"], capture_output=True, text=True)
    numbers = {line.split()[1]: int(line.split()[0]) for line in shown.stdout.splitlines()}
    assert numbers["."] == (gallery / "d" / "e").stat().st_ino
    assert numbers[".."] == (gallery / "d").stat().st_ino


def test_hard_links_share_bytes_and_are_counted(gallery: Path) -> None:
    a, b = gallery / "a", gallery / "b"
    a.write_bytes(b"1")
    os.link(a, b)
    assert a.stat().st_nlink == b.stat().st_nlink == 2
    assert a.stat().st_ino == b.stat().st_ino
    b.write_bytes(b"22")
    assert a.read_bytes() == b"22"
    a.unlink()
    assert b.stat().st_nlink == 1


def test_directories_are_removed_only_when_empty(gallery: Path) -> None:
    (gallery / "d" / "e").mkdir(parents=True)
    refused(errno.ENOTEMPTY, os.rmdir, gallery / "d")
    refused(errno.EEXIST, os.mkdir, gallery / "d")
    subprocess.run(["rm", "-r", gallery / "d"], check=True)
    assert list(gallery.iterdir()) == []


def test_devices_pipes_and_sockets_are_refused(gallery: Path) -> None:
    refused(errno.EPERM, os.mkfifo, gallery / "pipe")
    if os.geteuid() == 0:
        refused(errno.EPERM, os.mknod, gallery / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    os.mknod(gallery / "file", 0o600)
    assert (gallery / "file").stat().st_mode == stat.S_IFREG | 0o600


def test_owners_stay_and_times_and_modes_are_kept(gallery: Path) -> None:
    path = gallery / "f"
    path.touch()
    os.chown(path, os.getuid(), os.getgid())
    os.chown(path, -1, -1)
    if os.geteuid() == 0:
        refused(errno.EPERM, os.chown, path, 12345, -1)
        refused(errno.EPERM, os.chown, path, -1, 12345)
    path.chmod(0o440)
    os.utime(path, ns=(5, -1_000_000_001))
    assert path.stat().st_mtime_ns == -1_000_000_001
    assert stat.S_IMODE(path.stat().st_mode) == 0o440
    assert path.stat().st_uid == os.getuid()


def test_syncing_a_file_or_a_folder_reaches_the_tree(server: Server) -> None:
    with open(server.path / "f", "wb") as file:
        os.fsync(file.fileno())
    directory = os.open(server.path, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
    assert server.say("state")["synced"] == 2


def test_an_error_at_closing_is_told_to_the_program(gallery: Path) -> None:
    fd = os.open(gallery / "f", os.O_CREAT | os.O_WRONLY)
    os.setxattr(gallery / "f", "user.test.full", b"1")
    refused(errno.ENOSPC, os.close, fd)


def test_extended_attributes_of_the_tree_work_and_others_are_refused(gallery: Path) -> None:
    path = gallery / "f"
    path.touch()
    os.setxattr(path, "user.xdg.tags", b"dog")
    assert os.getxattr(path, "user.xdg.tags") == b"dog"
    assert os.listxattr(path) == ["user.xdg.tags"]
    os.removexattr(path, "user.xdg.tags")
    refused(errno.ENODATA, os.removexattr, path, "user.xdg.tags")
    refused(errno.ENODATA, os.getxattr, path, "user.other")
    refused(errno.ENOTSUP, os.setxattr, path, "system.posix_acl_access", b"\2\0\0\0")
    refused(errno.ENOTSUP, os.getxattr, path, "system.posix_acl_access")


def test_without_xattrs_the_kernel_refuses_them_by_itself(start: Callable[..., Server]) -> None:
    path = start("-o", "noxattr").path / "f"
    path.touch()
    refused(errno.ENOTSUP, os.getxattr, path, "user.xdg.tags")
    refused(errno.ENOTSUP, os.setxattr, path, "user.xdg.tags", b"x")


def test_a_read_only_mount_takes_nothing(start: Callable[..., Server]) -> None:
    refused(errno.EROFS, (start("-o", "ro").path / "f").touch)


def test_the_room_left_is_shown(gallery: Path) -> None:
    shown = os.statvfs(gallery)
    assert shown.f_blocks * shown.f_frsize == 1 << 40
    assert shown.f_bavail * shown.f_frsize == 1 << 39
    assert shown.f_namemax == 255


def test_a_fault_in_a_handler_is_one_io_error_and_the_mount_goes_on(server: Server) -> None:
    refused(errno.EIO, os.stat, server.path / "raise-here")
    refused(errno.EIO, os.stat, server.path / "raise-here")
    (server.path / "f").write_bytes(b"still here")
    assert (server.path / "f").read_bytes() == b"still here"


def test_bytes_that_never_arrive_give_enetunreach_in_time(start: Callable[..., Server]) -> None:
    server = start("--offline", "0.2")
    path = server.path / "f"
    path.write_bytes(b"far away")
    server.say("take-away f")
    drop_pages(path)
    refused(errno.ENETUNREACH, path.read_bytes)
    assert (server.path / "g").write_bytes(b"the rest works") == 14


def test_a_reader_is_answered_late_when_bytes_keep_arriving(start: Callable[..., Server]) -> None:
    server = start("--offline", "1.5")
    path = server.path / "f"
    path.write_bytes(b"far away")
    server.say("trickle f")
    drop_pages(path)
    begun = time.monotonic()
    assert path.read_bytes() == b"far away"
    assert time.monotonic() - begun > 2


def test_what_waits_for_the_network_does_not_hold_up_others(start: Callable[..., Server]) -> None:
    server = start("--offline", "2")
    paths = [server.path / str(i) for i in range(120)]
    for path in paths:
        path.write_bytes(b"far away")
        server.say(f"take-away {path.name}")
        drop_pages(path)
    readers = [subprocess.Popen(["cat", path], stderr=subprocess.DEVNULL) for path in paths]
    assert server.say("wait-for-reader") == "done"
    begun = time.monotonic()
    (server.path / "g").write_bytes(b"at once")
    took = time.monotonic() - begun
    assert {reader.wait() for reader in readers} == {1}
    assert took < 1


def test_what_changes_behind_the_kernels_back_is_seen_at_once(server: Server) -> None:
    path = server.path
    (path / "old").write_bytes(b"old")
    assert not (path / ".dotted").exists()  # the kernel remembers that
    server.say("appear .dotted")
    assert soon((path / ".dotted").exists)
    server.say("vanish old")
    assert soon(lambda: not (path / "old").exists())
    assert (path / ".dotted").stat().st_mode & 0o777 == 0o644
    server.say("mode .dotted 400")
    assert soon(lambda: (path / ".dotted").stat().st_mode & 0o777 == 0o400)


def test_looking_around_leaves_no_inodes_behind(server: Server) -> None:
    for i in range(300):
        (server.path / str(i)).write_bytes(b"x")
    subprocess.run(["ls", "-l", server.path], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["rm", "-r", "--", *server.path.iterdir()], check=True)
    assert soon(lambda: server.say("state") == {"nodes": 1, "open": 0, "synced": 0})
