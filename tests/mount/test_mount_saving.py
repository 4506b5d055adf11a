"""Saving with the programs that people use, on a real mount of a real vault."""

from __future__ import annotations

import io
import mmap
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from mounted import HERE, Server, unmount_by_force
from PIL import Image

sys.path.insert(0, str(HERE.parent / "pipeline"))
from colours import photo, picture

pytestmark = pytest.mark.mount

JPEG, OTHER = photo(1, 200), photo(2, 20)


def serve(mountpoint: Path, folder: Path) -> Server:
    command = [sys.executable, str(HERE / "vault_server.py"), str(mountpoint), str(folder)]
    server = Server(mountpoint, [*command, "--by-colour"])
    assert server.hear() == "ready"
    return server


@pytest.fixture
def server(mountpoint: Path, tmp_path: Path) -> Iterator[Server]:
    """A vault that is mounted, with a folder of the user's and a tag."""
    found = serve(mountpoint, tmp_path / "vault")
    (found.path / "2019").mkdir()
    (found.path / "tags" / "best").mkdir()
    yield found
    found.close()
    unmount_by_force(mountpoint)


def run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


def soon(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 10
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "card" / "x.jpg"
    path.parent.mkdir()
    path.write_bytes(OTHER)
    os.utime(path, (1_500_000_000, 1_500_000_000))
    return path


COPIES: dict[str, list[str]] = {
    "cp": ["cp", "{from}", "{to}"],
    "cp -a": ["cp", "-a", "{from}", "{to}"],
    "cp -f": ["cp", "-f", "{from}", "{to}"],
    "shell": ["sh", "-c", 'cat "{from}" > "{to}"'],
    "dd": ["dd", "if={from}", "of={to}", "status=none"],
    "rsync": ["rsync", "-a", "{from}", "{to}"],
    "mv": ["sh", "-c", 'cp -p "{from}" "{from}.copy" && mv "{from}.copy" "{to}"'],
    "tar": ["sh", "-c", 'tar cf - -C "$(dirname {from})" x.jpg | tar xf - -C "$(dirname {to})"'],
    "install": ["install", "-m", "644", "{from}", "{to}"],
}


@pytest.mark.parametrize("place", ["all", "tags/best"])
@pytest.mark.parametrize("program", COPIES)
def test_whatever_copies_onto_a_photos_name_in_a_view_leaves_both(
    server: Server, source: Path, program: str, place: str
) -> None:
    needs(COPIES[program][0])
    own = server.path / "2019" / "x.jpg"
    own.write_bytes(JPEG)
    if place == "tags/best":
        os.link(own, server.path / place / "x.jpg")
    before = own.stat()
    target = server.path / place / "x.jpg"
    assert target.stat().st_ino == before.st_ino
    with open(own, "rb") as reader:
        assert reader.read(10) == JPEG[:10]
        command = [w.replace("{from}", str(source)) for w in COPIES[program]]
        run(*(w.replace("{to}", str(target)) for w in command))
        assert reader.read() == JPEG[10:]
    assert target.read_bytes() == OTHER
    assert target.stat().st_size == len(OTHER)
    assert own.read_bytes() == JPEG
    assert (own.stat().st_size, own.stat().st_ino) == (len(JPEG), before.st_ino)
    names = os.listdir(server.path / place)
    assert len(names) == 2
    assert {(server.path / place / n).read_bytes() for n in names} == {JPEG, OTHER}
    if "-a" in COPIES[program]:
        assert target.stat().st_mtime == 1_500_000_000
    assert os.listdir(server.path / "trash") == []


def test_a_viewer_that_maps_the_photo_keeps_its_pages(server: Server, source: Path) -> None:
    own = server.path / "2019" / "x.jpg"
    own.write_bytes(JPEG)
    with open(own, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as area:
        run("cp", source, server.path / "all" / "x.jpg")
        assert bytes(area) == JPEG
    assert own.read_bytes() == JPEG


def test_what_was_written_over_a_name_survives_a_kill_and_half_of_it_does_not(
    server: Server, mountpoint: Path, tmp_path: Path, source: Path
) -> None:
    (server.path / "2019" / "x.jpg").write_bytes(JPEG)
    (server.path / "2019" / "y.jpg").write_bytes(JPEG + b"y")
    run("cp", source, server.path / "all" / "x.jpg")
    half = open(server.path / "all" / "y.jpg", "wb", buffering=0)  # noqa: SIM115
    half.write(OTHER[:100])
    server.process.kill()
    server.close()
    try:
        half.close()
    except OSError:
        pass  # what it was written to is gone
    again = serve(mountpoint, tmp_path / "vault")
    try:
        assert (again.path / "all" / "x.jpg").read_bytes() == OTHER
        assert (again.path / "2019" / "x.jpg").read_bytes() == JPEG
        assert (again.path / "all" / "y.jpg").read_bytes() == JPEG + b"y"
        assert len(os.listdir(again.path / "all")) == 3
    finally:
        again.close()


def test_edits_in_place_change_the_photo_wherever_it_is_opened(server: Server) -> None:
    own = server.path / "2019" / "x.jpg"
    own.write_bytes(JPEG)
    os.link(own, server.path / "tags/best/x.jpg")
    seen = server.path / "tags/best/x.jpg"
    subprocess.run(
        ["dd", f"of={seen}", "conv=notrunc", "oflag=append", "status=none"],
        input=b"one",
        check=True,
    )
    assert own.read_bytes() == seen.read_bytes() == JPEG + b"one"
    with open(seen, "r+b") as file:
        file.seek(-3, os.SEEK_END)
        file.write(b"two")
    assert own.read_bytes() == JPEG + b"two"
    with open(server.path / "all/x.jpg", "r+b") as file, mmap.mmap(file.fileno(), 0) as area:
        area[-3:] = b"six"
        area.flush()
    assert soon(lambda: own.read_bytes() == JPEG + b"six")
    os.truncate(server.path / "all/x.jpg", len(JPEG))
    assert own.read_bytes() == JPEG
    os.utime(seen, (5, 5))
    seen.chmod(0o600)
    assert (own.stat().st_mtime, own.stat().st_mode & 0o777) == (5, 0o600)
    assert os.listdir(server.path / "all") == ["x.jpg"]


def test_sed_edits_a_note_in_a_folder_and_in_all(server: Server) -> None:
    for place in ("2019", "all"):
        note = server.path / place / f"{place}.txt"
        note.write_text("one two\n")
        run("sed", "-i", "s/one/three/", note)
        assert note.read_text() == "three two\n"
        assert [n for n in os.listdir(server.path / place) if "sed" in n] == []


def test_emptying_a_name_and_going_on_elsewhere_leaves_the_photo(server: Server) -> None:
    own = server.path / "2019" / "x.jpg"
    own.write_bytes(JPEG)
    run("sh", "-c", f": > {server.path}/all/x.jpg")
    assert own.read_bytes() == JPEG
    os.truncate(server.path / "all/x.jpg", 0)
    assert own.read_bytes() == JPEG
    run("sh", "-c", f"printf abc > {server.path}/all/x.jpg; printf def >> {server.path}/all/x.jpg")
    assert (server.path / "all/x.jpg").read_bytes() == b"abcdef"
    assert own.read_bytes() == JPEG
    own.write_bytes(picture(3))  # and by its own name it is emptied
    assert own.read_bytes() == picture(3)


WAYS = {"": 1, "-overwrite_original": 0, "-overwrite_original_in_place": 0}
"""Options of exiftool, and how many files it leaves beside the photo."""


@pytest.mark.parametrize("place", ["2019", "all", "tags/best"])
@pytest.mark.parametrize("option", WAYS)
def test_exiftool_edits_a_photo_wherever_it_is(server: Server, option: str, place: str) -> None:
    needs("exiftool")
    own = server.path / "2019" / "x.jpg"
    own.write_bytes(JPEG)
    os.link(own, server.path / "tags" / "best" / "x.jpg")
    assert server.say("wait recognised")
    command = ["exiftool", "-q", *filter(None, [option]), "-Artist=Anna"]
    run(*command, server.path / place / "x.jpg")
    assert server.say("wait recognised")
    seen = [server.path / "all/x.jpg", server.path / "tags/best/x.jpg"]
    if WAYS[option] == 0 or place == "2019":
        seen.append(own)
    for path in seen:
        assert b"Anna" in path.read_bytes(), path
    assert len(os.listdir(server.path / "all")) == 1 + WAYS[option]
    assert len(os.listdir(server.path / place)) == 1 + WAYS[option]
    everything = [p.read_bytes() for p in (server.path / "all").iterdir()]
    everything += [p.read_bytes() for p in (server.path / "trash").iterdir()]
    assert JPEG in everything


@pytest.mark.parametrize("place", ["all", "tags/best"])
@pytest.mark.parametrize("program", ["cp", "cp -a", "rsync", "gio"])
def test_two_hundred_photos_under_the_names_of_two_hundred_others_are_all_there(
    server: Server, tmp_path: Path, program: str, place: str
) -> None:
    needs(program.split()[0])
    number = 200
    for card in (1, 2):
        folder = tmp_path / f"card{card}"
        folder.mkdir()
        for i in range(number):
            path = folder / f"IMG_{i:04}.png"
            path.write_bytes(picture(i, 7 + card))
            # rsync leaves out what has the size and the second of what is there.
            os.utime(path, (card * 86400, card * 86400))
        files = sorted(folder.iterdir())
        target = server.path / place
        if program == "rsync":
            run("rsync", "-a", f"{folder}/", target)
        elif program == "gio":
            run("gio", "copy", *files, target)
        else:
            run(*program.split(), *files, target)
    for i in range(number):
        assert (server.path / place / f"IMG_{i:04}.png").read_bytes() == picture(i, 9)
    found = [path.read_bytes() for path in (server.path / place).iterdir()]
    assert len(found) == len(set(found)) == 2 * number
    assert os.listdir(server.path / "trash") == []


def variation(seed: int, quality: int) -> bytes:
    """Return one of the photos that are edits of each other: all of one seed."""
    image = Image.open(io.BytesIO(photo(seed)))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def listed_anywhere(root: Path) -> set[bytes]:
    """Return all bytes that a name leads to. While edits are found, names move on meanwhile: then
    everything is read again."""
    for _ in range(20):
        with suppress(FileNotFoundError):
            return {
                path.read_bytes()
                for folder in ("all", "2019", "trash")
                for path in (root / folder).iterdir()
            }
    raise AssertionError("names never stay where they are")


@pytest.mark.timeout(300)
def test_kills_while_names_are_written_over_lose_no_photo_that_was_closed(
    mountpoint: Path, tmp_path: Path
) -> None:
    chooser = random.Random(7)
    pool = [variation(seed, quality) for seed in (1, 2, 3) for quality in range(30, 95, 5)]
    chooser.shuffle(pool)
    closed: dict[bytes, str] = {}  # bytes -> the name under which they were saved
    shows: dict[str, set[bytes]] = {}  # name -> what it may show
    server = serve(mountpoint, tmp_path / "vault")
    (server.path / "2019").mkdir()
    try:
        for name in ("a.jpg", "b.jpg"):
            data = pool.pop()
            (server.path / "2019" / name).write_bytes(data)
            closed[data], shows[name] = name, {data}
        while pool:
            killer = threading.Timer(chooser.uniform(0.1, 5.0), server.process.kill)
            killer.start()
            try:
                while server.process.poll() is None and pool:
                    name, data = chooser.choice(("a.jpg", "b.jpg")), pool.pop()
                    shows[name].add(data)
                    path = server.path / "all" / name
                    if chooser.random() < 0.5:
                        path.write_bytes(data)
                    else:
                        temporary = path.with_name(f"{name}_exiftool_tmp")
                        temporary.write_bytes(data)
                        temporary.rename(path)
                    closed[data], shows[name] = name, {data}
                    time.sleep(chooser.uniform(0, 0.5))
            except OSError:
                pass
            killer.join()
            server.close()
            server = serve(mountpoint, tmp_path / "vault")
            for name, may in shows.items():
                assert (server.path / "all" / name).read_bytes() in may, name
            assert set(closed) <= listed_anywhere(server.path), "a photo that was closed is nowhere"
            for left in (server.path / "all").glob("*_exiftool_tmp"):
                left.unlink()  # killed before the rename: it would be waited for, ten minutes long
        assert server.say("wait recognised")
        assert server.end(signal.SIGTERM) == 0
    finally:
        server.close()
        unmount_by_force(mountpoint)


def test_what_gio_saves_in_a_view_is_an_edit_of_the_photo(server: Server) -> None:
    """It opens without truncation, because the photo has several names, and cuts it then."""
    needs("gio")
    own = server.path / "2019" / "x.jpg"
    own.write_bytes(JPEG)
    command = ["gio", "save", str(server.path / "all" / "x.jpg")]
    assert subprocess.run(command, input=OTHER, capture_output=True, timeout=60).returncode == 0
    assert own.read_bytes() == (server.path / "all" / "x.jpg").read_bytes() == OTHER
    assert (server.path / "trash" / "x.jpg").read_bytes() == JPEG
