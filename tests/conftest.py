"""What every test may rely on: a home of its own, the shared test data, long tests on demand."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

_home: Path | None = None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests marked long, too")


def pytest_configure(config: pytest.Config) -> None:
    """Give tests, and whatever they start, a home that is not the user's.

    A test that goes astray must not meet the vault of whoever runs it. The installed models are
    read from where they are.
    """
    global _home
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    os.environ.setdefault("TAGFS_MODELS", str(data / "tagfs/models"))
    _home = Path(tempfile.mkdtemp(prefix="tagfs-home-"))
    for variable, folder in (
        ("HOME", "."),
        ("TAGFS_TEST_HOME", "."),
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_DATA_HOME", ".local/share"),
        ("XDG_STATE_HOME", ".local/state"),
        ("XDG_CACHE_HOME", ".cache"),
        ("XDG_RUNTIME_DIR", "run"),
    ):
        path = _home / folder
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.environ[variable] = str(path)
    for variable in ("TAGFS_PASSPHRASE", "TAGFS_STATE_DIR"):
        os.environ.pop(variable, None)


def pytest_unconfigure(config: pytest.Config) -> None:
    if _home is not None:
        shutil.rmtree(_home, ignore_errors=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    skip = pytest.mark.skip(reason="takes long: run with --long")
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(skip)


class TestData:
    """The folder of shared test data: ``test_data / "data/formats"`` is a path that exists.

    A test that asks for something that is not there is skipped, and says what is missing.
    """

    __test__ = False

    def __init__(self, root: Path) -> None:
        self.root = root

    def __truediv__(self, relative: str | Path) -> Path:
        path = self.root / relative
        if not path.exists():
            pytest.skip(f"test data {relative} is missing; set TAGFS_TEST_DATA to where it lies")
        return path


@pytest.fixture(scope="session")
def test_data() -> TestData:
    """Test data in TAGFS_TEST_DATA, by default ../shared beside the checkout. Never written to."""
    return TestData(Path(os.environ.get("TAGFS_TEST_DATA") or ROOT.parent / "shared").resolve())


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A new folder, removed afterwards, whose path leaves room for a socket's 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="tagfs-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)
