"""A vault with quick keys, a home of its own for each test, and the command line in-process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio
from cli_kit import PASSPHRASE, QUICK, Result
from mounted import unmount_by_force, why_no_mounts

from tagfs.cli import main
from tagfs.pipeline import opening
from tagfs.remote.url import dir_url
from tagfs.vault.slots import Passphrase


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory of the test's own, and a standard input that is no terminal."""
    path = tmp_path.resolve() / "home"
    path.mkdir()
    monkeypatch.setenv("HOME", str(path))
    for variable in ("XDG_STATE_HOME", "XDG_DATA_HOME", "TAGFS_STATE_DIR", "TAGFS_PASSPHRASE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(path)
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115
    return path


@pytest.fixture
def tagfs(capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """A function that runs the command line."""

    def run(*arguments: object) -> Result:
        capfd.readouterr()
        status = main.run([str(a) for a in arguments])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return Result(status, out, err)

    return run


@pytest.fixture
def passphrase(home: Path) -> Path:
    """A file with the vault's passphrase."""
    path = home / "passphrase"
    path.write_text(PASSPHRASE + "\n")
    return path


@pytest.fixture
def vault(home: Path) -> Path:
    """The state directory of a vault that is in ``home/remote``."""
    trio.run(
        opening.create, home / "state", dir_url(home / "remote"), Passphrase(PASSPHRASE), QUICK
    )
    return home / "state"


@pytest.fixture
def mountpoint(home: Path) -> Iterator[Path]:
    """Where a test may mount; skipped where nothing can be mounted."""
    if why := why_no_mounts():
        pytest.skip(why)
    path = home / "Gallery"
    yield path
    unmount_by_force(path)


@pytest.fixture
def pictures(home: Path) -> Path:
    """A folder with a few files."""
    folder = home / "Pictures" / "2019"
    folder.mkdir(parents=True)
    for i in range(3):
        (folder / f"photo {i}.jpg").write_bytes(b"\xff\xd8\xff\xe0" + os.urandom(200_000 * i + 1))
    (folder / "notes.txt").write_text("not a photo")
    return folder
