"""Real mounts for tests: started as processes of their own, always unmounted in the end."""

from __future__ import annotations

import itertools
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from both import Both
from mounted import HERE, Server, unmount_by_force, why_no_mounts


@pytest.fixture(autouse=True)
def _mounts_are_possible(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("mount") and (why := why_no_mounts()):
        pytest.skip(why)


@pytest.fixture
def mountpoint(tmp_path: Path) -> Iterator[Path]:
    """An empty directory that is unmounted afterwards."""
    path = tmp_path.resolve() / "Gallery"
    path.mkdir()
    yield path
    unmount_by_force(path)


@pytest.fixture
def start(mountpoint: Path) -> Iterator[Callable[..., Server]]:
    """A function that mounts a plain tree with the given arguments of plain_server.py."""
    servers: list[Server] = []

    def begin(*args: str, until: str = "ready") -> Server:
        command = [sys.executable, str(HERE / "plain_server.py"), str(mountpoint), *args]
        servers.append(Server(mountpoint, command))
        if until:
            assert servers[-1].hear() == until
        return servers[-1]

    yield begin
    for server in servers:
        server.close()


@pytest.fixture
def server(start: Callable[..., Server]) -> Server:
    """A mounted plain tree."""
    return start()


@pytest.fixture
def gallery(server: Server) -> Path:
    """The mountpoint of a mounted plain tree."""
    return server.path


_numbers = itertools.count()


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A mounted gallery that the tests of a module share; nothing is looked at in it."""
    home = tmp_path_factory.mktemp("vault").resolve()
    (home / "Gallery").mkdir()
    command = [sys.executable, str(HERE / "vault_server.py"), str(home / "Gallery"), str(home)]
    server = Server(home / "Gallery", command)
    try:
        assert server.hear() == "ready"
        yield server
        assert server.end(signal.SIGTERM) == 0
        assert server.errors() == ""
    finally:
        server.close()


@pytest.fixture(params=["elsewhere", "gallery"])
def own(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An empty folder: on the machine's own file system, and one in a mounted gallery."""
    if request.param == "elsewhere":
        path = tmp_path / "own"
    else:
        path = request.getfixturevalue("vault").path / f"own-{next(_numbers)}"
    path.mkdir()
    return path


@pytest.fixture
def both(vault: Server, tmp_path: Path) -> Both:
    """An empty folder on the machine's own file system and one in a mounted gallery."""
    made = Both(tmp_path / "own", vault.path / f"own-{next(_numbers)}")
    made.plain.mkdir()
    made.vault.mkdir()
    return made
