"""What programs look at first is there though the photo is not: no network, no waiting."""

from __future__ import annotations

import hashlib
import io
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mounted import HERE, Server
from PIL import Image

sys.path.insert(0, str(HERE.parent / "pipeline"))
from colours import photo as made_up

pytestmark = pytest.mark.mount

COMMENT = "what the camera wrote " * 1000


def photo() -> bytes:
    """Return a JPEG of about 400 KB with its pixels beginning at about 22 KB."""
    image = Image.frombytes("RGB", (500, 500), random.Random(4).randbytes(500 * 500 * 3))
    exif = Image.Exif()
    exif[0x0110] = "ACME 1"
    exif.get_ifd(0x8769)[0x9286] = COMMENT
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif, quality=90)
    return out.getvalue()


@pytest.fixture
def far(mountpoint: Path, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Mount a vault whose remote is far away, the copies on this machine gone."""
    servers: list[Server] = []
    vault = tmp_path / "vault"

    def begin(*options: str) -> Server:
        if servers:
            assert servers[-1].end(signal.SIGTERM) == 0
            shutil.rmtree(vault / "state" / "cache")
        command = [sys.executable, str(HERE / "vault_server.py"), str(mountpoint), str(vault)]
        servers.append(Server(mountpoint, [*command, "--far", *options]))
        assert servers[-1].hear() == "ready"
        return servers[-1]

    yield begin
    for server in servers:
        server.close()


def first(path: Path, size: int) -> bytes:
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, size)
    finally:
        os.close(fd)


def test_the_head_of_an_absent_photo_is_read_without_the_remote(
    mountpoint: Path, far: Callable[[], Server]
) -> None:
    data = photo()
    server = far()
    path = mountpoint / "IMG.jpg"
    path.write_bytes(data)
    assert server.say("wait stored") is True
    server = far()
    assert first(path, 4096) == data[:4096]
    assert server.say("gets") > 0  # it was absent indeed, and its head is kept from now on
    for size in (512, 4096, 16384, 20000):
        server = far()
        server.say("gone")
        assert first(path, size) == data[:size]
        with Image.open(path) as image:
            assert image.size == (500, 500)
            assert image.getexif().get_ifd(0x8769)[0x9286] == COMMENT
        assert server.say("gets") == 0
    with pytest.raises(OSError, match="unreachable"):
        path.read_bytes()


def test_a_file_manager_reads_thumbnails_through_the_mount(
    mountpoint: Path, tmp_path: Path, far: Callable[..., Server]
) -> None:
    server = far("--by-colour")
    folder = mountpoint / "2019"
    folder.mkdir()
    path = folder / "IMG (1).jpg"
    path.write_bytes(made_up(1))
    os.utime(path, ns=(5, 1_700_000_000_123_456_789))
    assert server.say("wait stored") is True
    far("--by-colour")
    thumbnails = folder / ".sh_thumbnails"
    name = hashlib.md5(b"./IMG%20(1).jpg").hexdigest() + ".png"
    for size, side in (("normal", 128), ("large", 256)):
        found = thumbnails / size / name
        assert found.stat().st_mtime_ns == path.stat().st_mtime_ns
        assert len(found.read_bytes()) == found.stat().st_size
        with Image.open(found) as image:
            assert max(image.size) == side
            image.load()
            assert image.text["Thumb::MTime"] == "1700000000.123456"
    os.utime(path, ns=(5, 1_800_000_000 * 10**9))
    with Image.open(thumbnails / "large" / name) as image:
        image.load()
        assert image.text["Thumb::MTime"] == "1800000000"
    assert os.listdir(folder) == ["IMG (1).jpg"]
    with pytest.raises(PermissionError):
        (thumbnails / "large" / "new.png").write_bytes(b"x")
    with pytest.raises(PermissionError):
        (thumbnails / "fail").mkdir()
    with pytest.raises(PermissionError):
        (thumbnails / "large" / name).unlink()
    shutil.rmtree(folder)
    assert not folder.exists()


def test_an_absent_photo_is_read_whole_though_its_head_is_here(
    mountpoint: Path, far: Callable[[], Server]
) -> None:
    data = photo()
    server = far()
    path = mountpoint / "IMG.jpg"
    path.write_bytes(data)
    assert server.say("wait stored") is True
    for _ in range(2):
        server = far()
        assert path.read_bytes() == data
        assert server.say("gets") <= 4
    server = far()
    with open(path, "rb") as file:
        file.seek(10_000)
        assert file.read(60_000) == data[10_000:70_000]
        file.seek(0)
        assert file.read() == data
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        assert os.read(fd, 1_000_000)[:100_000] == data[:100_000]
    finally:
        os.close(fd)
