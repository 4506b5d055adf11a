"""Mounting, unmounting, dying: what is left on the machine."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mounted import Server, drop_pages, is_mounted

from tagfs.errors import MountError
from tagfs.mount import mountpoint as mp
from tagfs.mount.connection import Connection, can_be_cut_off
from tagfs.mount.options import MountOptions
from tagfs.mount.session import READ_AHEAD

pytestmark = [pytest.mark.mount, pytest.mark.root]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_unmounts_and_ends_cleanly(server: Server, number: signal.Signals) -> None:
    (server.path / "f").write_bytes(b"x")
    assert server.end(number) == 0
    assert server.hear() == "clean"
    assert not is_mounted(server.path)


def test_a_signal_closes_what_programs_still_have_open(server: Server) -> None:
    fd = os.open(server.path / "f", os.O_CREAT | os.O_WRONLY)
    os.write(fd, b"unfinished")
    assert server.end(signal.SIGTERM) == 0
    assert server.hear() == "clean"  # the server checks that nothing stayed open
    assert not is_mounted(server.path)
    with pytest.raises(OSError):
        os.write(fd, b"more")
    with pytest.raises(OSError):
        os.close(fd)


def test_a_signal_ends_a_mount_whose_requests_wait(start: Callable[..., Server]) -> None:
    server = start("--offline", "60")
    (server.path / "f").write_bytes(b"x")
    server.say("take-away f")
    drop_pages(server.path / "f")
    reader = subprocess.Popen(["cat", server.path / "f"], stderr=subprocess.DEVNULL)
    assert server.say("wait-for-reader") == "done"
    assert server.end(signal.SIGTERM) == 0
    assert reader.wait(10) != 0


def test_unmounting_from_outside_ends_the_server(server: Server) -> None:
    subprocess.run(["fusermount3", "-u", server.path], check=True)
    assert server.process.wait(10) == 0
    assert server.hear() == "clean"


def test_a_lazy_unmount_serves_the_last_user(server: Server) -> None:
    with open(server.path / "f", "wb", buffering=0) as file:
        mp.detach(str(server.path), lazy=True)
        assert not is_mounted(server.path)
        assert file.write(b"still") == 5
        assert server.process.poll() is None
    assert server.process.wait(10) == 0


def test_a_mount_in_use_is_not_unmounted(server: Server) -> None:
    with open(server.path / "f", "wb"), pytest.raises(MountError, match="in use"):
        mp.detach(str(server.path), lazy=False)
    assert is_mounted(server.path)


def test_killing_leaves_a_dead_mount_that_the_next_one_cleans(start: Callable[..., Server]) -> None:
    server = start("-o", "no_auto_unmount")
    server.end(signal.SIGKILL)
    assert mp.life(str(server.path)) is mp.Life.STALE
    again = start()
    (again.path / "f").write_bytes(b"alive")
    assert mp.life(str(again.path)) is mp.Life.ANSWERS
    assert again.end(signal.SIGTERM) == 0
    assert not is_mounted(again.path)


def test_killing_leaves_nothing_where_the_helper_watches(server: Server) -> None:
    server.end(signal.SIGKILL)
    # The helper unmounts when it sees the socket close; preparing waits for nobody.
    mp.prepare(str(server.path), MountOptions())
    assert list(server.path.iterdir()) == []


def waits_in_the_kernel(process: int) -> bool:
    """Whether a thread of a process is where no signal reaches it."""
    states = (task / "stat" for task in Path(f"/proc/{process}/task").iterdir())
    return any(state.read_text().rpartition(")")[2].split()[0] == "D" for state in states)


def guards_of(server: Server) -> list[int]:
    """Return the processes beside a server that outlast it."""
    task = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    lines = {
        int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in task.read_text().split()
    }
    return [pid for pid, line in lines.items() if b"guard.py" in line]


needs_fusectl = pytest.mark.skipif(
    not can_be_cut_off(), reason="fusectl is not mounted: cutting a mount off is not tested"
)


@needs_fusectl
def test_killing_frees_who_waits_while_a_notice_waits_for_them(server: Server) -> None:
    waiting = subprocess.Popen(
        ["stat", server.path / "never-answered"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not waits_in_the_kernel(server.process.pid):
        assert waiting.poll() is None
        time.sleep(0.01)
    server.process.kill()
    assert waiting.wait(10) != 0
    server.process.wait(10)
    mp.prepare(str(server.path), MountOptions())


@needs_fusectl
def test_a_mount_that_is_cut_off_keeps_nobody_waiting(start: Callable[..., Server]) -> None:
    server = start("--offline", "60")
    (server.path / "f").write_bytes(b"x")
    server.say("take-away f")
    drop_pages(server.path / "f")
    reader = subprocess.Popen(["cat", server.path / "f"], stderr=subprocess.DEVNULL)
    assert server.say("wait-for-reader") == "done"
    connection = Connection(str(server.path))
    assert connection.abort()
    assert reader.wait(10) != 0
    connection.close()
    assert not connection.abort()


@needs_fusectl
def test_a_signal_to_everybody_does_not_cut_the_mount_off_before_it_ends(server: Server) -> None:
    (guard,) = guards_of(server)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(guard, number)
    (server.path / "f").write_bytes(b"x")
    assert server.end(signal.SIGTERM) == 0
    assert server.hear() == "clean"
    assert not Path(f"/proc/{guard}").exists()


def test_a_second_mount_on_a_living_one_is_refused(server: Server) -> None:
    with pytest.raises(MountError, match="already") as caught:
        mp.prepare(str(server.path), MountOptions())
    assert caught.value.exit_code == 7


def test_a_directory_with_files_in_it_is_refused(mountpoint: Path) -> None:
    (mountpoint / "precious").touch()
    with pytest.raises(MountError, match="not empty"):
        mp.prepare(str(mountpoint), MountOptions())
    mp.prepare(str(mountpoint), MountOptions(nonempty=True))


def test_a_mountpoint_that_is_missing_is_made_and_a_file_is_refused(tmp_path: Path) -> None:
    mp.prepare(str(tmp_path / "new" / "Gallery"), MountOptions())
    assert (tmp_path / "new" / "Gallery").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(MountError, match="no directory"):
        mp.prepare(str(tmp_path / "file"), MountOptions())


def test_paths_are_made_canonical_without_asking_the_mount(tmp_path: Path) -> None:
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "other").symlink_to("deep")
    here = os.path.realpath(tmp_path)
    assert mp.canonical(tmp_path / "link" / "other") == f"{here}/real/deep"
    assert mp.canonical(tmp_path / "link" / ".." / "absent") == f"{here}/absent"
    assert mp.is_inside(tmp_path / "link" / "deep" / "x", f"{here}/real")
    assert not mp.is_inside(tmp_path / "reality", f"{here}/real")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(MountError):
        mp.canonical(tmp_path / "loop")


def test_the_reason_that_fuse_gives_is_passed_on(start: Callable[..., Server]) -> None:
    server = start("-o", "ro,x-nothing")  # known to fstab only
    server.end(signal.SIGTERM)
    blocked = start("--flowing", "1", until="")
    assert blocked.hear() == "ready"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may raise the kernel's read-ahead")
def test_the_kernel_reads_further_ahead_where_that_is_allowed(server: Server) -> None:
    there = mp.mounted_at(str(server.path))
    assert there is not None
    shown = Path(f"/sys/class/bdi/{there.device}/read_ahead_kb").read_text()
    assert int(shown) == READ_AHEAD
