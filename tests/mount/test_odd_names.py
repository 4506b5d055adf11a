"""Odd names through everything that handles names, byte for byte, on real mounts."""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from mounted import HERE, Server, environment, unmount_by_force
from odd_names import NAMES, NO_UTF8, TEMPORARY

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from colours import photo
from gallery_kit import SECRET, opened

from tagfs.views.search import search

pytestmark = pytest.mark.mount

PHOTOS = {name: photo(number) for number, name in enumerate(NAMES)}


@contextmanager
def mounted(home: Path) -> Iterator[bytes]:
    """Mount the gallery of a home; yields the mountpoint as bytes."""
    where = home / "Gallery"
    where.mkdir(exist_ok=True)
    command = [sys.executable, str(HERE / "vault_server.py"), str(where), str(home), "--by-colour"]
    command += ["--settle", "10"]  # photos are given their view names when they have their own
    server = Server(where, command)
    try:
        assert server.hear() == "ready"
        yield os.fsencode(where)
        server.say("wait recognised")
        server.say("wait stored")
        assert server.end(signal.SIGTERM) == 0
        assert server.errors() == ""
    finally:
        server.close()
        unmount_by_force(where)


def check(folder: bytes) -> None:
    """Exactly the photos must be there, each under its name."""
    found = os.listdir(folder)
    assert len(found) == len(set(found))
    assert set(found) == set(NAMES), (set(found) ^ set(NAMES), folder)
    for name, data in PHOTOS.items():
        with open(folder + b"/" + name, "rb") as file:
            assert file.read() == data, name


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose gallery has every photo in the folder ``odd``, created and renamed there."""
    home = tmp_path_factory.mktemp("odd").resolve()
    with mounted(home) as gallery:
        os.mkdir(gallery + b"/odd")
        os.mkdir(gallery + b"/elsewhere")
        for name, data in PHOTOS.items():
            with open(gallery + b"/odd/" + name, "xb") as file:
                file.write(data)
        check(gallery + b"/odd")
        for name in NAMES:
            os.rename(gallery + b"/odd/" + name, gallery + b"/elsewhere/" + name)
        assert os.listdir(gallery + b"/odd") == []
        check(gallery + b"/elsewhere")
        for number, name in enumerate(NAMES):
            plain = gallery + b"/odd/plain-%d" % number
            os.rename(gallery + b"/elsewhere/" + name, plain)
            os.rename(plain, gallery + b"/odd/" + name)
        os.rmdir(gallery + b"/elsewhere")
        check(gallery + b"/odd")
    return home


def test_odd_names_are_kept_over_a_remount_and_in_every_view(home: Path) -> None:
    with mounted(home) as gallery:
        for folder in (b"/odd", b"/all", b"/tags/dog"):
            check(gallery + folder)


def test_a_gallery_with_odd_names_comes_back_from_the_remote_alone(
    home: Path, tmp_path: Path
) -> None:
    shutil.copytree(home / "remote", tmp_path / "remote")
    with mounted(tmp_path) as gallery:  # joins, because there is no state
        for folder in (b"/odd", b"/all", b"/tags/dog"):
            check(gallery + folder)


def test_every_odd_name_is_found_by_searching_for_it(home: Path) -> None:
    async def script() -> None:
        async with opened(home) as g:
            for name in NAMES:
                text = glob.escape(os.fsdecode(name)).replace("\\", "\\\\").replace('"', '\\"')
                text = re.sub("[\udc80-\udcff]", "?", text)  # a query is text, a name is bytes
                answer = search(g.gallery.state, f'name:"{text}"')
                paths = [path for hit in answer.hits for path in hit.paths]
                assert "odd/" + os.fsdecode(name) in paths, name
                # Names compare without regard to case, so a twin may be found with it.
                assert len(answer.hits) <= 2 or name in NO_UTF8, name
                assert answer.hints == ()

    trio.run(script)


def tagfs(home: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command on the vault of a home."""
    secret = home / "passphrase"
    secret.write_text(SECRET.text + "\n")
    command = [sys.executable, "-c", "from tagfs.cli.main import main; main()", *words]
    command += ["--vault", str(home / "state"), "--passphrase-file", str(secret)]
    env = environment() | {"HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    done = subprocess.run(command, capture_output=True, env=env, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done


def test_the_command_prints_odd_names_so_that_programs_can_read_them(home: Path) -> None:
    told = json.loads(tagfs(home, "search", "dog", "--json").stdout)
    paths = {os.fsencode(path) for hit in told for path in hit.get("paths", ())}
    assert paths == {b"odd/" + name for name in NAMES}


def test_a_terminal_is_given_no_control_characters(home: Path) -> None:
    shown = tagfs(home, "search", "dog").stdout.decode()
    acting = [c for c in shown if unicodedata.category(c) == "Cc" or c == "\u202e"]
    assert set(acting) == {"\n"}
    assert len(shown.splitlines()) == len(NAMES)
    assert "odd/line\\nbreak.jpg  (dog)" in shown
    assert "odd/\\x1b[31mred.jpg  (dog)" in shown


def test_odd_names_are_exported_byte_for_byte(home: Path, tmp_path: Path) -> None:
    tagfs(home, "export", "dog", str(tmp_path / "flat"))
    check(os.fsencode(tmp_path / "flat"))
    tagfs(home, "export", "--folders", str(tmp_path / "folders"))
    check(os.fsencode(tmp_path / "folders" / "odd"))


def test_programs_copy_odd_names_in_and_out(home: Path, tmp_path: Path) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("rsync is not installed")
    source = os.fsencode(tmp_path / "source")
    os.mkdir(source)
    for name, data in PHOTOS.items():
        with open(source + b"/" + name, "xb") as file:
            file.write(data)
    with mounted(home) as gallery:
        for number, command in enumerate(
            (["cp", "-a"], ["rsync", "-a"], ["cp", "-r", "--reflink=auto"])
        ):
            into = gallery + b"/by-%d" % number
            subprocess.run([*command, source + b"/", into], check=True)
            check(into)
            out = source + b"-%d" % number
            subprocess.run([*command, into + b"/", out], check=True)
            check(out)
            subprocess.run(["rm", "-r", into], check=True)


def test_names_that_look_temporary_are_kept_like_any_other(
    mountpoint: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    command = [sys.executable, str(HERE / "vault_server.py"), str(mountpoint), str(home)]
    for number in range(2):
        server = Server(mountpoint, command)
        assert server.hear() == "ready"
        if number == 0:
            (mountpoint / "f").mkdir()
            for name in TEMPORARY:
                with open(os.fsencode(mountpoint) + b"/f/" + name, "xb") as file:
                    file.write(PHOTOS[NAMES[0]] + name)
        folder = os.fsencode(mountpoint) + b"/f/"
        assert sorted(os.listdir(folder)) == sorted(TEMPORARY)
        for name in TEMPORARY:
            with open(folder + name, "rb") as file:
                assert file.read() == PHOTOS[NAMES[0]] + name
        assert server.end(signal.SIGTERM) == 0
        server.close()
