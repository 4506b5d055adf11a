"""The remote is gone: everything but absent bytes works, those are refused in time, and what was
done meanwhile is stored when it is there again."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from both import refused
from mounted import HERE, Server, environment

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from colours import photo
from gallery_kit import SECRET

pytestmark = pytest.mark.mount

PHOTOS = {f"IMG_{number}.jpg": photo(number, 200 if number % 2 else 20) for number in range(8)}
BIG = "big.bin"
"""Longer than what is kept of a file that left this machine."""
BYTES = os.urandom(400_000)
DEADLINE = 10.0
"""Seconds in which every request is answered when nothing comes from the remote."""


class Home:
    """A vault in a folder, whose remote comes and goes."""

    def __init__(self, folder: Path, mountpoint: Path) -> None:
        self.folder = folder
        self.path = mountpoint
        self.servers: list[Server] = []

    def mount(self, *args: str) -> Server:
        script = str(HERE / "vault_server.py")
        command = [sys.executable, script, str(self.path), str(self.folder), "--by-colour", *args]
        self.servers.append(Server(self.path, command))
        assert self.servers[-1].hear() == "ready"
        return self.servers[-1]

    def unmount(self) -> None:
        server = self.servers[-1]
        assert server.end(signal.SIGTERM) == 0
        server.close()

    def fill(self) -> None:
        server = self.mount()
        (self.path / "2019").mkdir()
        for name, data in PHOTOS.items():
            (self.path / "2019" / name).write_bytes(data)
        (self.path / "2019" / BIG).write_bytes(BYTES)
        assert server.say("wait recognised")
        assert server.say("wait stored")
        self.unmount()

    def take_remote_away(self) -> None:
        os.rename(self.folder / "remote", self.folder / "away")

    def bring_remote_back(self) -> None:
        os.rename(self.folder / "away", self.folder / "remote")

    def close(self) -> None:
        for server in self.servers:
            server.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a filled vault, to be copied."""
    folder = tmp_path_factory.mktemp("filled").resolve()
    (folder / "Gallery").mkdir()
    made = Home(folder / "home", folder / "Gallery")
    try:
        made.fill()
    finally:
        made.close()
    return made.folder


@pytest.fixture
def home(filled: Path, mountpoint: Path, tmp_path: Path) -> Iterator[Home]:
    """A filled vault that is not mounted, of which no copies are on this machine."""
    made = Home(tmp_path.resolve() / "home", mountpoint)
    shutil.copytree(filled, made.folder)
    shutil.rmtree(made.folder / "state" / "cache")
    settings = made.folder / "state" / "vault.json"
    settings.write_text(settings.read_text().replace(str(filled), str(made.folder)))
    yield made
    made.close()


@pytest.fixture
def offline(home: Home) -> Home:
    """The same, mounted with its remote gone."""
    home.take_remote_away()
    home.mount()
    return home


def timed(call: Callable[[], object]) -> float:
    """Return how many seconds a call takes."""
    begun = time.monotonic()
    call()
    return time.monotonic() - begun


def soon(condition: Callable[[], bool]) -> bool:
    """Wait until absent bytes are believed in again: a refusal is remembered for two seconds."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            return condition()
        except OSError:
            time.sleep(0.2)
    return condition()


def test_browsing_needs_no_remote(offline: Home) -> None:
    path = offline.path

    def browse() -> None:
        for command in (["ls", "-lR"], ["find"], ["du", "-a"]):
            subprocess.run([*command, path], check=True, stdout=subprocess.DEVNULL)

    assert timed(browse) < DEADLINE / 2
    assert set(os.listdir(path / "2019")) == {*PHOTOS, BIG}
    assert set(os.listdir(path / "all")) == set(PHOTOS)
    assert set(os.listdir(path / "tags" / "dog")) == {n for i, n in enumerate(PHOTOS) if i % 2}
    for name, data in PHOTOS.items():
        status = (path / "2019" / name).stat()
        assert (status.st_size, status.st_blocks) == (len(data), (len(data) + 511) // 512)
    assert os.statvfs(path).f_namemax == 255


def test_photos_are_tagged_moved_and_deleted_while_the_remote_is_gone(offline: Home) -> None:
    path = offline.path

    def act() -> None:
        (path / "tags" / "trip").mkdir()
        os.link(path / "2019" / "IMG_0.jpg", path / "tags" / "trip" / "IMG_0.jpg")
        os.unlink(path / "tags" / "dog" / "IMG_1.jpg")
        os.rename(path / "2019" / "IMG_2.jpg", path / "2019" / "renamed.jpg")
        os.unlink(path / "2019" / "IMG_3.jpg")
        os.rename(path / "tags" / "cat", path / "tags" / "kitten")

    assert timed(act) < DEADLINE / 2
    assert os.listdir(path / "tags" / "trip") == ["IMG_0.jpg"]
    assert "IMG_1.jpg" not in os.listdir(path / "tags" / "dog")
    assert "IMG_1.jpg" in os.listdir(path / "2019")
    assert os.listdir(path / "trash") == ["IMG_3.jpg"]
    assert "kitten" in os.listdir(path / "tags")


def test_photos_are_copied_in_recognised_and_read_while_the_remote_is_gone(offline: Home) -> None:
    fresh = photo(100)
    (offline.path / "new.jpg").write_bytes(fresh)
    assert offline.servers[-1].say("wait recognised")
    assert (offline.path / "tags" / "dog" / "new.jpg").read_bytes() == fresh


def test_an_absent_file_is_overwritten_while_the_remote_is_gone(offline: Home) -> None:
    target = offline.path / "2019" / BIG
    target.write_bytes(b"new")
    assert target.read_bytes() == b"new"


def test_searching_needs_no_remote(home: Home) -> None:
    home.take_remote_away()
    secret = home.folder / "passphrase"
    secret.write_text(SECRET.text + "\n")
    command = [sys.executable, "-c", "from tagfs.cli.main import main; main()", "search", "dog"]
    command += ["--json", "--vault", str(home.folder / "state"), "--passphrase-file", str(secret)]
    env = environment() | {"HOME": str(home.folder), "XDG_RUNTIME_DIR": str(home.folder)}
    done = subprocess.run(command, capture_output=True, env=env, timeout=DEADLINE * 2)
    assert done.returncode == 0, done.stderr
    found = {hit["name"] for hit in json.loads(done.stdout)}
    assert found == {name for i, name in enumerate(PHOTOS) if i % 2}


def test_absent_bytes_are_refused_in_time_and_hold_nobody_up(offline: Home) -> None:
    path = offline.path / "2019" / BIG

    def read() -> float:
        return timed(lambda: refused(errno.ENETUNREACH, path.read_bytes))

    def edit() -> float:
        return timed(lambda: refused(errno.ENETUNREACH, open, path, "r+b"))

    with ThreadPoolExecutor(12) as pool:
        waiting = [pool.submit(call) for call in (read, edit) for _ in range(6)]
        assert timed(lambda: (offline.path / "quick").write_bytes(b"at once")) < 1
        assert timed(lambda: os.listdir(offline.path / "all")) < 1
        assert max(future.result() for future in waiting) < DEADLINE + 1
    assert path.stat().st_size == len(BYTES)


def test_absent_bytes_that_somebody_has_open_are_edited_no_sooner(offline: Home) -> None:
    path = offline.path / "2019" / BIG
    with open(path, "rb"):
        refused(errno.ENETUNREACH, open, path, "r+b")
    offline.bring_remote_back()
    with open(path, "rb"):
        assert soon(lambda: bool(open(path, "r+b").close()) or True)
        with open(path, "r+b") as file:
            file.seek(200_000)
            file.write(b"edited")
    assert path.read_bytes() == BYTES[:200_000] + b"edited" + BYTES[200_006:]


def test_tar_of_absent_files_fails_and_never_makes_holes(offline: Home, tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    command = ["tar", "-C", offline.path, "-cSf", archive, "2019"]
    done = subprocess.run(command, capture_output=True)
    assert done.returncode != 0
    assert b"Network is unreachable" in done.stderr
    with tarfile.open(archive) as packed:
        assert all(not member.issparse() for member in packed.getmembers())


def test_what_was_done_meanwhile_is_stored_when_the_remote_is_back(
    offline: Home, tmp_path: Path
) -> None:
    path, fresh = offline.path, photo(100)
    (path / "new.jpg").write_bytes(fresh)
    (path / "tags" / "trip").mkdir()
    os.link(path / "2019" / "IMG_0.jpg", path / "tags" / "trip" / "IMG_0.jpg")
    refused(errno.ENETUNREACH, (path / "2019" / BIG).read_bytes)
    offline.bring_remote_back()
    assert soon(lambda: (path / "2019" / BIG).read_bytes() == BYTES)
    archive = tmp_path / "a.tar"
    subprocess.run(["tar", "-C", path, "-cSf", archive, "2019"], check=True)
    with tarfile.open(archive) as packed:
        for name, data in PHOTOS.items():
            member = packed.extractfile(f"2019/{name}")
            assert member is not None
            assert member.read() == data
    assert offline.servers[-1].say("wait stored")
    offline.unmount()
    # Another machine, which has nothing but the remote, sees it all.
    shutil.rmtree(offline.folder / "state")
    offline.mount()
    assert (path / "new.jpg").read_bytes() == fresh
    assert os.listdir(path / "tags" / "trip") == ["IMG_0.jpg"]
    assert (path / "2019" / BIG).read_bytes() == BYTES


def test_a_remote_that_never_answers_is_given_up_within_ten_seconds(home: Home) -> None:
    server = home.mount("--far")
    server.say("hang")
    path = home.path / "2019" / BIG
    took = timed(lambda: refused(errno.ENETUNREACH, path.read_bytes))
    assert 1 < took < DEADLINE + 1
    assert timed(lambda: (home.path / "quick").write_bytes(b"at once")) < 1
    home.unmount()


def test_a_mount_given_less_patience_gives_up_sooner(home: Home) -> None:
    server = home.mount("--far", "--patience", "0.5")
    server.say("hang")
    path = home.path / "2019" / BIG
    assert timed(lambda: refused(errno.ENETUNREACH, path.read_bytes)) < 3
    home.unmount()


def test_looking_at_names_and_attributes_asks_the_remote_nothing(home: Home) -> None:
    server = home.mount("--far")
    assert server.say("wait stored")
    server.say("looked")
    before = server.say("calls")
    for command in (["ls", "-lR"], ["find"], ["du", "-a"], ["df"]):
        subprocess.run([*command, home.path], check=True, stdout=subprocess.DEVNULL)
    for folder in ("2019", "all", "tags/dog"):
        for entry in os.scandir(home.path / folder):
            os.listxattr(entry.path)
    assert server.say("calls") == before
    assert (home.path / "2019" / BIG).read_bytes() == BYTES
    assert server.say("calls") > before
    home.unmount()
