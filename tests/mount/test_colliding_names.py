"""Two memory cards full of IMG_0001.jpg: whatever program copies them into views, all are there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from mounted import HERE, Server

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from colours import photo

pytestmark = pytest.mark.mount

NAMES = [f"IMG_{number:04}.jpg" for number in range(100)]
PROGRAMS = {
    "cp": lambda card, target: ["cp", *sorted(card.iterdir()), target],
    "rsync": lambda card, target: ["rsync", "-a", f"{card}/", f"{target}/"],
    "gio": lambda card, target: ["gio", "copy", *sorted(card.iterdir()), target],
}


@pytest.fixture
def home(mountpoint: Path, tmp_path: Path) -> Path:
    """The folder of a vault, for ``serve``."""
    return tmp_path / "home"


def serve(mountpoint: Path, home: Path) -> Server:
    command = [sys.executable, str(HERE / "vault_server.py"), str(mountpoint), str(home)]
    server = Server(mountpoint, command)
    assert server.hear() == "ready"
    return server


def fill(card: Path, seed: int) -> dict[bytes, str]:
    """Fill a memory card with photos that no other has; return names by bytes."""
    card.mkdir()
    photos = {}
    for number, name in enumerate(NAMES):
        data = photo(seed * 1000 + number)
        (card / name).write_bytes(data)
        os.utime(card / name, (seed * 10_000 + number, seed * 10_000 + number))
        photos[data] = name
    return photos


def named_for(shown: str, name: str) -> bool:
    stem, _, extension = name.rpartition(".")
    return re.fullmatch(rf"{stem}(~[0-9a-f]{{8}})?\.{extension}", shown) is not None


def check(folder: Path, photos: dict[bytes, str]) -> dict[bytes, str]:
    """Each photo must be there once, by its name or name~id; return the names shown."""
    shown = {path.read_bytes(): path.name for path in folder.iterdir()}
    assert len(os.listdir(folder)) == len(photos)
    assert shown.keys() == photos.keys()
    for data, name in photos.items():
        assert named_for(shown[data], name), (shown[data], name)
    return shown


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_photo_of_two_cards_is_there_after_copying_into_views(
    mountpoint: Path, home: Path, tmp_path: Path, program: str
) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    cards = [tmp_path / f"card-{number}" for number in range(4)]
    photos = [fill(card, number + 1) for number, card in enumerate(cards)]
    server = serve(mountpoint, home)
    try:
        (mountpoint / "tags" / "x").mkdir()
        for number, target in enumerate(("all", "all", "tags/x", "tags/x")):
            command = PROGRAMS[program](cards[number], mountpoint / target)
            subprocess.run(command, check=True, timeout=120)
            # What was just written has the plain name, whatever had it before.
            for data, name in photos[number].items():
                found = (mountpoint / target / name).read_bytes()
                whose = [n for n, card in enumerate(photos) if found in card]
                assert found == data, f"{target}/{name} is card {whose}, card {number} was copied"
        everything = photos[0] | photos[1] | photos[2] | photos[3]
        tagged = photos[2] | photos[3]
        assert (len(everything), len(tagged)) == (400, 200)
        seen = (check(mountpoint / "all", everything), check(mountpoint / "tags/x", tagged))
        server.say("wait stored")
        assert server.end(signal.SIGTERM) == 0
        server.close()
        server = serve(mountpoint, home)
        again = (check(mountpoint / "all", everything), check(mountpoint / "tags/x", tagged))
        for before, after in zip(seen, again, strict=True):
            renamed = {before[data]: after[data] for data in before if before[data] != after[data]}
            assert renamed == {}, "photos have other names on the next mount"
        assert os.listdir(mountpoint / "trash") == []
    finally:
        server.close()


def test_an_edit_of_a_photo_whose_name_another_has_shows_at_once(
    mountpoint: Path, home: Path
) -> None:
    server = serve(mountpoint, home)
    try:
        (mountpoint / "tags" / "x").mkdir()
        first, second = photo(1), photo(2)
        (mountpoint / "tags/x/a.jpg").write_bytes(first)
        (mountpoint / "tags/x/a.jpg").write_bytes(second)
        (other,) = (p for p in (mountpoint / "tags/x").iterdir() if p.name != "a.jpg")
        assert other.read_bytes() == first
        with open(other, "r+b") as file:
            file.seek(100)
            file.write(b"edited")
        edited = first[:100] + b"edited" + first[106:]
        assert other.read_bytes() == edited
        assert (mountpoint / "tags/x/a.jpg").read_bytes() == second
        with open(mountpoint / "tags/x/a.jpg", "r+b") as file:
            file.write(b"twin")
        assert (mountpoint / "tags/x/a.jpg").read_bytes() == b"twin" + second[4:]
        assert other.read_bytes() == edited
        assert len(os.listdir(mountpoint / "tags/x")) == 2
    finally:
        server.close()
