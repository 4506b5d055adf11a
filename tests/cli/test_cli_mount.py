"""Mounting from the command line: a real daemon, from the first command to the last."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_kit import PASSPHRASE, Result
from mounted import environment, is_mounted

from tagfs.cli import paths

pytestmark = [pytest.mark.mount, pytest.mark.root]
Tagfs = Callable[..., Result]


@pytest.fixture
def mounted(tagfs: Tagfs, vault: Path, passphrase: Path, mountpoint: Path) -> int:
    """A mounted gallery; the process id of its daemon."""
    result = tagfs("mount", mountpoint, "--vault", vault, "--passphrase-file", passphrase, "--json")
    assert result.status == 0, result.err
    return int(result.json["pid"])


def test_one_command_makes_a_vault_and_mounts_it(
    tagfs: Tagfs, mountpoint: Path, passphrase: Path
) -> None:
    made = tagfs("mount", mountpoint, "--passphrase-file", passphrase)
    assert made.status == 0
    assert "Recovery words" in made.out
    (mountpoint / "a.txt").write_text("kept")
    assert tagfs("umount", mountpoint).status == 0
    assert not is_mounted(mountpoint)
    again = tagfs("mount", mountpoint, "--passphrase-file", passphrase)
    assert again.status == 0
    assert "Recovery words" not in again.out
    assert (mountpoint / "a.txt").read_text() == "kept"
    assert tagfs("umount", mountpoint).status == 0


def test_commands_go_through_the_daemon_and_need_no_passphrase(
    mounted: int, tagfs: Tagfs, vault: Path, mountpoint: Path, pictures: Path
) -> None:
    assert tagfs("status", mountpoint, "--json").json["photos"] == 0
    assert tagfs("import", pictures, "--vault", vault, "--into", "old").status == 0
    assert (mountpoint / "old/2019/notes.txt").read_text() == "not a photo"
    assert tagfs("wait", mountpoint, "--timeout", "60").status == 0
    assert tagfs("wait", "--vault", vault, "--for", "recognised").status == 0
    assert len(tagfs("search", "is:untagged", "--vault", vault, "--json").json) >= 3
    assert str(mountpoint) in tagfs("search", "is:untagged", "--vault", vault).out
    assert tagfs("verify", "--sample", "50%", "--vault", vault).status == 0
    assert tagfs("gc", "--vault", vault, "--json").json["deleted"] == {"objects": 0, "bytes": 0}
    bad = tagfs("search", "a (b", "--vault", vault)
    assert bad.status == 2
    assert "^" in bad.err
    changed = tagfs("passwd", "--vault", vault, "--new-passphrase-command", "echo a new long one")
    assert changed.status == 0
    words = tagfs("passwd", "--vault", vault, "--new-words", "--json").json["recovery_words"]
    assert tagfs("umount", mountpoint).status == 0
    told = ("--passphrase-command", f"echo {' '.join(words)}")
    assert tagfs("status", "--vault", vault, *told).status == 0
    new = ("--passphrase-command", "echo a new long one")
    assert tagfs("status", "--vault", vault, *new).status == 0


def test_waiting_in_vain_is_status_eight(
    mounted: int, tagfs: Tagfs, mountpoint: Path, pictures: Path
) -> None:
    with open(mountpoint / "being written", "wb") as file:
        file.write(b"not closed yet")
        file.flush()
        assert tagfs("wait", mountpoint, "--timeout", "0.3").status == 8


def test_a_gallery_is_mounted_once(
    mounted: int, tagfs: Tagfs, vault: Path, mountpoint: Path, home: Path, passphrase: Path
) -> None:
    secret = ("--passphrase-file", passphrase)
    again = tagfs("mount", mountpoint, "--vault", vault, *secret)
    assert again.status == 7
    assert str(mountpoint) in again.err
    assert tagfs("mount", home / "Elsewhere", "--vault", vault, *secret).status == 7
    assert tagfs("mount", mountpoint, "--vault", home / "other", *secret).status == 7
    assert tagfs("status", mountpoint).status == 0


def test_what_keeps_the_daemon_from_mounting_is_said_by_the_command(
    tagfs: Tagfs, vault: Path, mountpoint: Path, home: Path, passphrase: Path
) -> None:
    wrong = tagfs("mount", mountpoint, "--vault", vault, "--passphrase-command", "echo wrong")
    assert wrong.status == 3
    assert not is_mounted(mountpoint)
    (home / "full").mkdir()
    (home / "full" / "file").touch()
    secret = ("--vault", vault, "--passphrase-file", passphrase)
    assert tagfs("mount", home / "full", *secret).status == 7
    inside = tagfs("mount", home, *secret, "-o", "nonempty")
    assert inside.status == 7
    assert "inside" in inside.err
    (vault / "header").write_bytes(b"damaged")
    assert tagfs("mount", mountpoint, *secret).status in (4, 6)


def test_the_daemon_keeps_its_secrets(mounted: int, vault: Path, mountpoint: Path) -> None:
    process = Path("/proc") / str(mounted)
    assert PASSPHRASE not in process.joinpath("cmdline").read_text()
    if os.geteuid() == 0:
        assert PASSPHRASE.encode() not in process.joinpath("environ").read_bytes()
    limits = process.joinpath("limits").read_text()
    assert limits.split("Max core file size")[1].split()[:2] == ["0", "0"]
    # Of a process that may not be dumped /proc belongs to root.
    assert process.joinpath("limits").stat().st_uid == 0
    assert os.getsid(mounted) == mounted
    assert os.stat(vault / "run").st_mode & 0o777 == 0o700
    assert os.stat(vault / "run" / "control").st_mode & 0o777 == 0o600


def test_a_passphrase_in_the_environment_does_not_reach_the_daemon(
    tagfs: Tagfs, vault: Path, mountpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGFS_PASSPHRASE", PASSPHRASE)
    pid = tagfs("mount", mountpoint, "--vault", vault, "--json").json["pid"]
    if os.geteuid() == 0:
        assert b"PASSPHRASE" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert tagfs("umount", mountpoint).status == 0


def test_a_killed_daemon_leaves_nothing_in_the_way(
    mounted: int, tagfs: Tagfs, vault: Path, mountpoint: Path, passphrase: Path
) -> None:
    (mountpoint / "a").write_text("closed before the kill")
    os.kill(mounted, signal.SIGKILL)
    again = tagfs("mount", mountpoint, "--vault", vault, "--passphrase-file", passphrase)
    assert again.status == 0, again.err
    assert (mountpoint / "a").read_text() == "closed before the kill"
    assert tagfs("umount", mountpoint).status == 0


def test_a_mount_in_use_is_not_taken_down_but_lazily(
    mounted: int, tagfs: Tagfs, mountpoint: Path
) -> None:
    file = open(mountpoint / "f", "wb", buffering=0)  # noqa: SIM115
    refused = tagfs("umount", mountpoint)
    assert refused.status == 7
    assert "in use" in refused.err
    threading.Timer(0.5, file.close).start()
    assert tagfs("umount", mountpoint, "--lazy").status == 0
    assert file.closed, "it returned before the last user was gone"


def test_what_is_in_the_gallery_is_not_imported_again(
    mounted: int, tagfs: Tagfs, vault: Path, mountpoint: Path
) -> None:
    (mountpoint / "f").write_text("x")
    assert tagfs("import", mountpoint / "f", "--vault", vault).status == 2


def test_in_the_foreground_a_signal_ends_it_cleanly(
    vault: Path, mountpoint: Path, passphrase: Path, home: Path
) -> None:
    program = "from tagfs.cli.main import main; main()"
    arguments = ["--foreground", "--vault", vault, "--passphrase-file", passphrase]
    process = subprocess.Popen(
        [sys.executable, "-c", program, "mount", mountpoint, *arguments],
        stdout=subprocess.PIPE,
        env={**environment(), "TAGFS_PASSPHRASE": "unused"},
        text=True,
    )
    assert process.stdout is not None
    with process, process.stdout:
        assert str(mountpoint) in process.stdout.readline()
        (mountpoint / "f").write_text("x")
        assert paths.served_at(vault) == str(mountpoint)
        if os.geteuid() == 0:
            assert b"unused" not in Path(f"/proc/{process.pid}/environ").read_bytes()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert not is_mounted(mountpoint)


def test_uploading_rests_on_demand_and_unmounting_says_what_is_only_here(
    mounted: int, tagfs: Tagfs, vault: Path, mountpoint: Path, passphrase: Path
) -> None:
    paused = tagfs("pause", mountpoint)
    assert paused.status == 0
    assert "Uploading rests; 0 photos (0 bytes) to be stored" in paused.out
    (mountpoint / "only here.bin").write_bytes(bytes(5000))
    assert tagfs("wait", mountpoint, "--timeout", "2").status == 8
    status = tagfs("status", mountpoint)
    assert "1 photo (" in status.out
    assert "uploading: rests" in status.out
    down = tagfs("umount", mountpoint)
    assert down.status == 0
    assert "safe on disk. 1 photo (" in down.out
    assert "only here so far" in down.out
    again = ("--vault", vault, "--passphrase-file", passphrase)
    assert tagfs("mount", mountpoint, *again, "-o", "upload_limit=10M").status == 0
    upload = tagfs("status", mountpoint, "--json").json["upload"]
    assert (upload["paused"], upload["limit"]) == (True, 10 * 1024 * 1024)
    assert (mountpoint / "only here.bin").read_bytes() == bytes(5000)
    assert tagfs("resume", mountpoint).status == 0
    assert tagfs("wait", mountpoint, "--timeout", "60").status == 0
    down = tagfs("umount", mountpoint, "--json")
    assert down.json["not_stored"] == {"contents": 0, "bytes": 0, "stored": True}


@pytest.mark.parametrize(
    "wrong", ["upload_limit=fast", "upload_limit=0", "upload_limit=", "upload_limit"]
)
def test_a_limit_that_is_no_number_of_bytes_is_refused(
    tagfs: Tagfs, mountpoint: Path, wrong: str
) -> None:
    assert tagfs("mount", mountpoint, "-o", wrong).status == 2
