"""The daemon is killed at random moments of a mixed load: every act that had returned is there."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
from pathlib import Path

import pytest
from load import Load
from mounted import HERE, Server, unmount_by_force

pytestmark = pytest.mark.mount


def serve(mountpoint: Path, folder: Path) -> Server:
    server = Server(
        mountpoint, [sys.executable, str(HERE / "vault_server.py"), str(mountpoint), str(folder)]
    )
    assert server.hear() == "ready"
    return server


def killed_at_random(mountpoint: Path, folder: Path, kills: int, seed: int) -> int:
    """Return how many acts had returned before the kills."""
    chooser = random.Random(seed)
    load = Load(mountpoint, seed)
    acts = 0
    server = serve(mountpoint, folder)
    try:
        load.prepare()
        for _ in range(kills):
            killer = threading.Timer(chooser.uniform(0.02, 0.6), server.process.kill)
            killer.start()
            try:
                while server.process.poll() is None:
                    load.act()
                    acts += 1
            except OSError:
                pass
            killer.join()
            server.close()
            server = serve(mountpoint, folder)
            try:
                load.check()
            except OSError as e:
                raise AssertionError(f"the daemon ended by itself: {server.errors()}") from e
        assert server.end(signal.SIGTERM) == 0
        assert server.errors() == ""
    finally:
        server.close()
        unmount_by_force(mountpoint)
    return acts


@pytest.mark.timeout(600)
def test_every_act_that_returned_survives_25_kills(mountpoint: Path, tmp_path: Path) -> None:
    assert killed_at_random(mountpoint, tmp_path / "vault", 25, 7) > 100


@pytest.mark.long
@pytest.mark.parametrize("seed", range(8))
def test_every_act_that_returned_survives_200_kills(
    mountpoint: Path, tmp_path: Path, seed: int
) -> None:
    assert killed_at_random(mountpoint, tmp_path / "vault", 25, 100 + seed) > 100


def test_without_kills_the_load_and_the_mount_agree(mountpoint: Path, tmp_path: Path) -> None:
    server = serve(mountpoint, tmp_path / "vault")
    try:
        load = Load(mountpoint, 3)
        load.prepare()
        for i in range(400):
            load.act()
            if i % 50 == 0:
                load.check()
        load.check()
    finally:
        server.close()


def test_fsx_on_a_sealed_file(mountpoint: Path, tmp_path: Path) -> None:
    from fsx import Exerciser

    server = serve(mountpoint, tmp_path / "vault")
    try:
        os.mkdir(mountpoint / "d")
        Exerciser(str(mountpoint / "d" / "x"), 1).run(2000)
        assert server.say("wait stored") is True
    finally:
        server.close()


@pytest.mark.long
def test_fsx_on_a_sealed_file_for_long(mountpoint: Path, tmp_path: Path) -> None:
    from fsx import Exerciser

    server = serve(mountpoint, tmp_path / "vault")
    try:
        Exerciser(str(mountpoint / "x"), 2).run(20000)
    finally:
        server.close()
