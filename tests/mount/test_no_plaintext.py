"""Nothing of what a user wrote stands in the clear anywhere on a disk."""

from __future__ import annotations

import io
import os
import random
import shutil
import signal
import sys
from pathlib import Path

import pytest
from mounted import HERE, Server
from PIL import Image

pytestmark = pytest.mark.mount

PLANTED = "Zweibruecken-Kindergeburtstag"
RUN = 24
"""Bytes in a row that would give a content away."""


def photo(seed: int) -> bytes:
    noise = random.Random(seed).randbytes(64 * 64 * 3)
    image = Image.frombytes("RGB", (64, 64), noise)
    exif = Image.Exif()
    exif[0x010F] = PLANTED + "-camera"
    exif[0x9286] = PLANTED + "-comment"
    out = io.BytesIO()
    image.save(out, "JPEG", exif=exif)
    return out.getvalue()


def leaks(folders: list[Path], needles: list[bytes]) -> list[str]:
    """Return every file and name below the folders in which something planted stands."""
    found = []
    for folder in folders:
        for above, names, files in os.walk(folder):
            for name in [*names, *files]:
                if any(n in os.fsencode(name) for n in needles):
                    found.append(f"name {name}")
            for name in files:
                path = Path(above, name)
                if path.is_file() and not path.is_symlink():
                    data = path.read_bytes()
                    found += [f"{path}: {n!r}" for n in needles if n in data]
    return found


def test_planted_strings_and_bytes_are_on_no_disk(
    mountpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("HOME", str(temporary))
    vault = tmp_path / "vault"

    def mounted(*options: str) -> Server:
        command = [sys.executable, str(HERE / "vault_server.py"), str(mountpoint), str(vault)]
        servers.append(Server(mountpoint, [*command, *options]))
        assert servers[-1].hear() == "ready"
        return servers[-1]

    servers: list[Server] = []
    try:
        server = mounted()
        folder = mountpoint / f"{PLANTED}-folder"
        folder.mkdir()
        pictures = [photo(i) for i in range(5)]
        text = f"{PLANTED}-text ".encode() * 1000
        for i, data in enumerate(pictures):
            (folder / f"{PLANTED}-{i}.jpg").write_bytes(data)
        (folder / "letter.txt").write_bytes(text)
        with open(folder / "letter.txt", "r+b") as file:  # goes through a scratch log
            file.seek(500)
            file.write(b"patched " + PLANTED.encode())
        os.symlink(f"{PLANTED}-target", folder / "link")
        (mountpoint / "tags" / f"{PLANTED}-tag").mkdir()
        os.link(folder / f"{PLANTED}-0.jpg", mountpoint / "tags" / f"{PLANTED}-tag" / "t.jpg")
        os.rename(folder / f"{PLANTED}-1.jpg", folder / f"{PLANTED}-renamed.jpg")
        os.unlink(folder / f"{PLANTED}-2.jpg")

        needles = [PLANTED.encode(), PLANTED.casefold().encode(), PLANTED.encode("utf-16-le")]
        for data in [*pictures, text]:
            needles += [data[at : at + RUN] for at in range(0, len(data) - RUN, 601)]
        places = [vault, temporary]
        assert leaks([mountpoint], needles[:1]), "what was planted must be findable at all"
        assert leaks(places, needles) == []
        assert server.say("wait stored") is True
        assert leaks(places, needles) == []
        assert server.end(signal.SIGTERM) == 0
        assert leaks(places, needles) == []
        assert PLANTED not in server.errors()

        shutil.rmtree(vault / "state" / "cache")
        server = mounted("--far")
        for path in folder.iterdir():
            if not path.is_symlink():
                path.read_bytes()
        assert server.end(signal.SIGTERM) == 0
        kept = sum(p.stat().st_size for p in (vault / "state" / "kept-heads").iterdir())
        assert kept > sum(map(len, pictures[2:]))
        assert leaks(places, needles) == []
        assert PLANTED not in server.errors()
    finally:
        for server in servers:
            server.close()
