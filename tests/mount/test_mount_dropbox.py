"""A mounted gallery in Dropbox over a bad line, then on a second machine, by commands alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mounted import environment, unmount_by_force

sys.path.insert(0, str(Path(__file__).parent.parent / "remote"))

from dropbox_server import Account, Fault, Harm, loopback
from dropbox_server.faults import captive_portal, limited_text

pytestmark = pytest.mark.mount

PASSPHRASE = "correct horse battery staple"


class Machine:
    """A home with one state directory, and a network in which Dropbox is on the loopback."""

    def __init__(self, home: Path, account: Account) -> None:
        self.account = account
        self.mountpoint = home / "Gallery"
        self.home = home
        (home / "run").mkdir(mode=0o700, parents=True)
        (home / "passphrase").write_text(PASSPHRASE + "\n")
        proxy = loopback().proxies["https"]
        self.env = environment() | {
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(home / "run"),
            "XDG_STATE_HOME": str(home / "state"),
            "HTTPS_PROXY": proxy,
            "https_proxy": proxy,
            "NO_PROXY": "",
            "no_proxy": "",
            "REQUESTS_CA_BUNDLE": str(loopback().authorities),
            "TAGFS_DROPBOX_APP_KEY": account.app_key,
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "from tagfs.cli.main import main; main()", *words]
        if words[0] in ("init", "join", "mount", "verify", "remote"):
            command += ["--passphrase-file", str(self.home / "passphrase")]
        return subprocess.Popen(
            command,
            env=self.env,
            cwd=self.home,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def tagfs(self, *words: str) -> str:
        program = self.start(*words)
        out, err = program.communicate(timeout=120)
        assert program.returncode == 0, f"{words}: {program.returncode}: {out}{err}"
        return out + err

    def log_in_with(self, *words: str) -> str:
        """Run a command that asks for the code which the browser shows."""
        program = self.start(*words)
        assert program.stderr is not None
        heard = ""
        while "https://www.dropbox.com/oauth2" not in heard:
            line = program.stderr.readline()
            assert line, heard
            heard += line
        code = self.account.approve(heard.split()[-1])
        out, err = program.communicate(code + "\n", timeout=120)
        assert program.returncode == 0, f"{words}: {program.returncode}: {heard}{out}{err}"
        return heard + out + err


@pytest.fixture
def account() -> Account:
    return loopback().account()


@pytest.fixture
def machines(short_path: Path, account: Account) -> Iterator[tuple[Machine, Machine]]:
    two = Machine(short_path / "a", account), Machine(short_path / "b", account)
    yield two
    for machine in two:
        if machine.mountpoint.is_mount():
            machine.start("umount", str(machine.mountpoint)).communicate(timeout=60)
        unmount_by_force(machine.mountpoint)


def test_photos_go_to_dropbox_over_a_bad_line_and_come_back_on_another_machine(
    machines: tuple[Machine, Machine], account: Account
) -> None:
    first, second = machines
    here, there = str(first.mountpoint), str(second.mountpoint)
    first.log_in_with("init", "--remote", "dropbox:///gallery")
    first.tagfs("mount", here)
    account.faults += [
        Fault("files/upload_session/start", Harm.DROP_BEFORE),
        Fault("files/upload_session/finish_batch_v2", Harm.DROP_AFTER),
        limited_text("files/", "0.1"),
        captive_portal("files/"),
    ]
    account.expire()
    contents = {f"{n}.bin": os.urandom(50_000 + 40_000 * n) for n in range(8)}
    for name, data in contents.items():
        (first.mountpoint / name).write_bytes(data)
    first.tagfs("wait", here, "--timeout", "100")
    assert account.faults == []
    account.revoke()
    first.log_in_with("remote", "login", "dropbox")
    (first.mountpoint / "later.txt").write_text("after the second login")
    first.tagfs("wait", here, "--timeout", "100")
    first.tagfs("umount", here)

    second.log_in_with("join", "--remote", "dropbox:///gallery")
    second.tagfs("mount", there)
    account.faults.append(Fault("files/download", Harm.CUT, 3, amount=100))
    for name, data in contents.items():
        assert (second.mountpoint / name).read_bytes() == data
    assert (second.mountpoint / "later.txt").read_text() == "after the second login"
    second.tagfs("umount", there)
    for machine in machines:
        for path in (machine.home / "state").rglob("*"):
            assert not path.is_file() or account.refresh_token.encode() not in path.read_bytes()
    assert account.most_writing == 1
    assert loopback().broken == []
