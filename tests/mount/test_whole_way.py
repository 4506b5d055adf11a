"""The whole way by the command line alone, as a person would go it, with real photos."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from mounted import HERE, environment, unmount_by_force

sys.path.insert(0, str(HERE.parent / "recognise"))
from hostile_files import hostile, mutated

pytestmark = pytest.mark.mount

PASSPHRASE = "correct horse battery staple"


class Person:
    """Somebody at a terminal with one vault and a place to mount it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.remote = home / "remote"
        self.mountpoint = home / "Gallery"
        (home / "passphrase").write_text(PASSPHRASE + "\n")
        (home / "run").mkdir(mode=0o700)
        self.env = environment() | {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run")}

    def tagfs(self, *words: str, state: str = "state", expect: int = 0, within: int = 300) -> str:
        """Run a command and return what it said; its exit status must be ``expect``."""
        command = [sys.executable, "-c", "from tagfs.cli.main import main; main()", *words]
        if words[0] not in ("umount", "wait", "status"):
            command += ["--vault", str(self.home / state)]
            command += ["--passphrase-file", str(self.home / "passphrase")]
        done = subprocess.run(
            command, capture_output=True, text=True, env=self.env, timeout=within, cwd=self.home
        )
        said = done.stdout + done.stderr
        assert done.returncode == expect, f"{words}: {done.returncode}: {said}"
        assert "Traceback" not in said
        return said

    def mount(self, state: str = "state") -> None:
        self.tagfs("mount", str(self.mountpoint), state=state)

    def umount(self) -> None:
        self.tagfs("umount", str(self.mountpoint))

    def kill(self, state: str = "state") -> None:
        """Kill the daemon of this state directory, whose pid its socket tells."""
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(self.home / state / "run" / "control"))
            told = line.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        os.kill(struct.unpack("3i", told)[0], signal.SIGKILL)

    def same(self, folder: str, photos: Path) -> None:
        """Every file must be identical."""
        done = subprocess.run(
            ["diff", "-r", str(photos), str(self.mountpoint / folder)], capture_output=True
        )
        assert done.returncode == 0, done.stdout[:1000] + done.stderr[:1000]


@pytest.fixture
def person(short_path: Path) -> Person:
    home = short_path / "person"
    home.mkdir()
    someone = Person(home)
    yield someone
    try:
        someone.kill()
    except OSError:
        pass  # it has ended, as it should
    unmount_by_force(someone.mountpoint)


@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.long)])
def test_photos_are_identical_whatever_happens(
    every: int, person: Person, test_data: object
) -> None:
    whole: Path = test_data / "data/tagging-dev/photos"  # type: ignore[operator]
    photos = person.home / "photos"
    photos.mkdir()
    for path in sorted(whole.iterdir())[::every]:
        shutil.copy2(path, photos)
    said = person.tagfs("init", "--remote", f"dir://{person.remote}")
    assert "Recovery words" in said
    person.mount()
    shutil.copytree(photos, person.mountpoint / "dev")
    person.same("dev", photos)
    person.umount()
    person.mount()
    person.same("dev", photos)
    person.kill()
    person.mount()
    person.same("dev", photos)
    person.tagfs("wait", str(person.mountpoint), "--for", "stored", "--timeout", "250")
    status = json.loads(person.tagfs("status", str(person.mountpoint), "--json"))
    assert status["photos"] == len(list(photos.iterdir()))
    assert status["queue"] == {"sealed": 0, "recognised": 0, "uploading": 0}
    person.umount()
    shutil.rmtree(person.home / "state")
    person.tagfs("join", "--remote", f"dir://{person.remote}")
    person.mount()
    person.same("dev", photos)
    person.umount()
    assert "verified" in person.tagfs("verify", "--all")


def test_import_copies_in_without_a_mount(person: Person, test_data: object) -> None:
    photos: Path = test_data / "data/tagging-dev/photos"  # type: ignore[operator]
    some = person.home / "some"
    some.mkdir()
    for path in sorted(photos.iterdir())[::16]:
        shutil.copy2(path, some)
    person.tagfs("init", "--remote", f"dir://{person.remote}")
    person.tagfs("import", str(some), "--into", "2019/May", "--tag", "holiday")
    again = json.loads(person.tagfs("import", str(some), "--into", "2019/May", "--json"))
    assert again["present"] == len(list(some.iterdir()))
    person.mount()
    person.same("2019/May/some", some)
    assert len(os.listdir(person.mountpoint / "tags" / "holiday")) == len(list(some.iterdir()))
    for path in some.iterdir():
        copied = person.mountpoint / "2019/May/some" / path.name
        assert copied.stat().st_mtime_ns == path.stat().st_mtime_ns
    person.umount()
    hits = json.loads(person.tagfs("search", "holiday", "--json"))
    assert len([h for h in hits if "id" in h]) == len(list(some.iterdir()))


def test_tampering_and_wrong_secrets_have_their_exit_codes(person: Person) -> None:
    (person.home / "letter.txt").write_bytes(os.urandom(50_000))
    person.tagfs("init", "--remote", f"dir://{person.remote}")
    person.tagfs("import", str(person.home / "letter.txt"))
    person.mount()
    person.tagfs("wait", str(person.mountpoint), "--for", "stored", "--timeout", "60")
    person.umount()
    victim = next(p for p in (person.remote / "o").rglob("*") if p.is_file())
    victim.chmod(0o600)
    data = bytearray(victim.read_bytes())
    data[5000] ^= 1
    victim.write_bytes(data)
    said = person.tagfs("verify", "--all", expect=6)
    assert victim.name in said or victim.name in said.replace("/", "")
    (person.home / "passphrase").write_text("something else\n")
    assert "passphrase" in person.tagfs("verify", expect=3)
    person.tagfs("join", "--remote", f"dir://{person.remote}", state="two", expect=3)
    (person.home / "nothing").mkdir()
    (person.home / "nothing" / "x").write_text("x")
    person.tagfs("join", "--remote", f"dir://{person.home}/nothing", state="three", expect=4)
    person.tagfs("mount", str(person.home / "passphrase"), expect=7)
    (person.home / "passphrase").write_text(PASSPHRASE + "\n")
    person.tagfs("search", "(", expect=2)


@pytest.mark.parametrize("number", [10, pytest.param(1000, marks=pytest.mark.long)])
def test_whatever_is_copied_in_costs_no_file_and_no_daemon(
    number: int, person: Person, test_data: object
) -> None:
    """Of 1,000 the hostile files all go along, of ten a few."""
    files = person.home / "files"
    files.mkdir()
    for path in hostile(test_data)[:: 1 if number == 1000 else 16]:
        shutil.copy2(path, files / f"{len(os.listdir(files))} {path.name}")
    mutated(test_data, files, number)
    person.tagfs("init", "--remote", f"dir://{person.remote}")
    person.mount()
    shutil.copytree(files, person.mountpoint / "in")
    waits = ("--for", "stored", "--timeout", str(3 * number + 250))
    person.tagfs("wait", str(person.mountpoint), *waits, within=3 * number + 300)
    person.same("in", files)
    person.umount()
    shutil.rmtree(person.home / "state")
    person.tagfs("join", "--remote", f"dir://{person.remote}")
    person.mount()
    person.same("in", files)
    person.umount()
    assert "verified" in person.tagfs("verify", "--all")
