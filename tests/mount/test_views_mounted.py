"""The views with real programs on a real mount: what depends on what the kernel asks before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mounted import HERE, Server

sys.path.insert(0, str(HERE.parent / "pipeline"))
from colours import photo

pytestmark = [pytest.mark.mount, pytest.mark.root]


@pytest.fixture
def server(mountpoint: Path, tmp_path: Path) -> Iterator[Server]:
    """A mounted vault with two dogs of May and June 2019 and a cat, looked at by colour."""
    script = str(HERE / "vault_server.py")
    command = [sys.executable, script, str(mountpoint), str(tmp_path / "vault"), "--by-colour"]
    server = Server(mountpoint, command)
    assert server.hear() == "ready"
    own = mountpoint / "a"
    own.mkdir()
    (own / "dog1.jpg").write_bytes(photo(1, date="2019:05:12 10:00:00"))
    (own / "dog2.jpg").write_bytes(photo(2, date="2019:06:01 10:00:00"))
    (own / "cat.jpg").write_bytes(photo(3, red=20, date="2018:01:01 00:00:00"))
    assert server.say("wait recognised") is True
    yield server
    try:
        assert server.end(signal.SIGTERM) == 0
        assert server.errors() == ""
    finally:
        server.close()


@pytest.fixture
def gallery(server: Server) -> Path:
    """The mountpoint of that vault."""
    return server.path


def do(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program."""
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60)


def names(path: Path) -> list[str]:
    return sorted(os.listdir(path))


def test_rm_r_of_a_year_ends_well_and_leaves_its_photos_in_the_trash(gallery: Path) -> None:
    done = do("rm", "-r", gallery / "dates/2019")
    assert (done.returncode, done.stderr) == (0, "")
    assert names(gallery / "dates") == ["2018"]
    assert names(gallery / "a") == ["cat.jpg"]
    assert names(gallery / "trash") == ["dog1.jpg", "dog2.jpg"]


def test_rm_r_of_a_search_removes_nothing(gallery: Path) -> None:
    done = do("rm", "-r", gallery / "search/dog")
    assert done.returncode != 0
    assert "Operation not permitted" in done.stderr
    assert names(gallery / "search/dog") == ["dog1.jpg", "dog2.jpg"]
    assert "stopped" not in (gallery / ".tagfs/events").read_text()


def test_mkdir_keeps_a_query_though_every_query_resolves(gallery: Path) -> None:
    query = gallery / "search/dog -date:2018"
    assert query.is_dir()
    done = do("mkdir", query)
    assert (done.returncode, done.stderr) == (0, "")
    assert names(gallery / "search") == ["dog -date:2018"]
    assert "File exists" in do("mkdir", query).stderr
    assert do("mkdir", "-p", query).returncode == 0
    os.mkdir(gallery / "search/cat")
    assert names(gallery / "search") == ["cat", "dog -date:2018"]
    assert do("mv", "-T", gallery / "search/cat", gallery / "search/dog or cat").returncode == 0
    assert names(gallery / "search") == ["dog -date:2018", "dog or cat"]
    assert names(gallery / "search/dog or cat") == ["cat.jpg", "dog1.jpg", "dog2.jpg"]
    assert do("mv", gallery / "search/dog or cat", gallery / "search/cat").returncode == 0
    assert names(gallery / "search") == ["cat", "dog -date:2018"]
    assert do("rmdir", gallery / "search/cat", query).returncode == 0
    assert names(gallery / "search") == []
    assert names(query) == ["dog1.jpg", "dog2.jpg"]


def test_mkdir_keeps_a_narrowing_and_find_still_ends(gallery: Path) -> None:
    (gallery / "tags/best").mkdir()
    (gallery / "tags/dog/best").mkdir()
    assert do("cp", gallery / "a/dog1.jpg", gallery / "tags/dog/best/x.jpg").returncode == 0
    assert names(gallery / "tags/dog/best") == ["dog1.jpg"]
    found = do("find", gallery / "tags/dog", "-name", "dog1.jpg").stdout.split()
    assert len(found) == 2
    done = do("rm", "-r", gallery / "tags/dog/best")
    assert (done.returncode, done.stderr) == (0, "")
    assert "best" not in names(gallery / "tags/dog")


def test_folders_in_dates_are_not_made_whether_they_resolve_or_not(gallery: Path) -> None:
    assert (gallery / "dates/1987").is_dir()
    for name in ("1987", "holiday"):
        assert "Operation not permitted" in do("mkdir", gallery / "dates" / name).stderr
    assert "File exists" in do("mkdir", gallery / "dates/2019").stderr
    assert do("cp", gallery / "a/cat.jpg", gallery / "dates/1987/").returncode == 0
    assert names(gallery / "dates") == ["1987", "2019"]
    assert names(gallery / "dates/1987") == ["cat.jpg"]


def test_places_are_folders_that_photos_are_copied_out_of_and_deleted_in(
    server: Server, gallery: Path, tmp_path: Path
) -> None:
    assert names(gallery / "places") == []
    (gallery / "a/rome.jpg").write_bytes(photo(4, position=(41.899, 12.473)))
    (gallery / "a/paris.jpg").write_bytes(photo(5, position=(48.8584, 2.2945)))
    assert server.say("wait recognised") is True
    assert names(gallery / "places") == ["France", "Italy"]
    found = do("find", gallery / "places/Italy", "-type", "f")
    assert found.stdout.splitlines() == [str(gallery / "places/Italy/Lazio/Rome/rome.jpg")]
    assert do("cp", "-r", gallery / "places/Italy", tmp_path / "out").returncode == 0
    copied = (tmp_path / "out/Lazio/Rome/rome.jpg").read_bytes()
    assert copied == (gallery / "a/rome.jpg").read_bytes()
    assert (
        os.stat(gallery / "a/rome.jpg").st_ino
        == os.stat(gallery / "places/Italy/Rome/rome.jpg").st_ino
    )
    for command in (
        ("cp", gallery / "a/cat.jpg", gallery / "places/Italy/"),
        ("mkdir", gallery / "places/Atlantis"),
        ("mv", gallery / "places/Italy", gallery / "places/Italia"),
        ("mv", gallery / "a/cat.jpg", gallery / "places/Italy/Lazio/Rome/"),
    ):
        assert "Operation not permitted" in do(*command).stderr
    assert "File exists" in do("mkdir", gallery / "places/Italy").stderr
    place = os.getxattr(gallery / "all/rome.jpg", "user.tagfs.place")
    assert place == b"Rome, Lazio, Italy"
    done = do("rm", "-r", gallery / "places/Italy")
    assert (done.returncode, done.stderr) == (0, "")
    assert names(gallery / "places") == ["France"]
    assert names(gallery / "trash") == ["rome.jpg"]
    assert do("mv", gallery / "trash/rome.jpg", gallery / "a/").returncode == 0
    assert names(gallery / "places/Italy/Lazio/Rome") == ["rome.jpg"]


def test_dragging_between_views_leaves_the_source(gallery: Path) -> None:
    assert do("mv", gallery / "recent/cat.jpg", gallery / "favourites/").returncode == 0
    assert names(gallery / "favourites") == ["cat.jpg"]
    assert "cat.jpg" in names(gallery / "recent")
    done = do("mv", gallery / "favourites/cat.jpg", gallery / "untagged/")
    assert "Operation not permitted" in done.stderr
    assert names(gallery / "favourites") == ["cat.jpg"]


def test_a_query_that_cannot_be_read_is_invalid(gallery: Path) -> None:
    assert "Invalid argument" in do("ls", gallery / "search/(dog").stderr
    assert "^" in (gallery / ".tagfs/events").read_text()


def test_writing_over_a_name_where_nothing_can_be_written_says_so_each_time(gallery: Path) -> None:
    (gallery / "tags/best").mkdir()
    before = (gallery / "all/cat.jpg").read_bytes()
    for _ in range(2):
        done = do("cp", gallery / "a/dog1.jpg", gallery / "recent/cat.jpg")
        assert "Operation not permitted" in done.stderr
    with pytest.raises(PermissionError):
        os.truncate(gallery / "recent/cat.jpg", 0)
    assert (gallery / "recent/cat.jpg").read_bytes() == before
    (gallery / "tags/cat/cat.jpg").write_bytes(b"")  # the same process can write elsewhere
    assert (gallery / "all/cat.jpg").read_bytes() == before


def test_a_person_is_made_named_and_merged_with_mv(gallery: Path) -> None:
    for name in ("unknown-01", "unknown-02", "Ben"):
        assert do("mkdir", gallery / "people" / name).returncode == 0
    for photo_name, person in (("cat.jpg", "unknown-01"), ("dog1.jpg", "unknown-02")):
        assert do("mv", gallery / "a" / photo_name, gallery / "people" / person).returncode == 0
    assert {"cat.jpg", "dog1.jpg"} <= set(names(gallery / "a"))
    assert do("mv", "-T", gallery / "people/unknown-01", gallery / "people/Anna").returncode == 0
    assert do("mv", gallery / "people/unknown-02", gallery / "people/Anna/").returncode == 0
    assert names(gallery / "people") == ["Anna", "Ben"]
    assert names(gallery / "people/Anna") == ["cat.jpg", "dog1.jpg"]
    one = (gallery / "people/Anna/dog1.jpg", gallery / "people/Ben/")
    assert do("mv", *one).returncode == 0
    assert names(gallery / "people/Anna") == ["cat.jpg"]
    assert names(gallery / "people/Ben") == ["dog1.jpg"]
    assert os.getxattr(gallery / "a/dog1.jpg", "user.tagfs.people") == b"Ben"
    assert do("rm", gallery / "people/Ben/dog1.jpg").returncode == 0
    assert "dog1.jpg" in names(gallery / "a")
    assert do("rmdir", gallery / "people/Ben").returncode == 0
    assert "Operation not permitted" in do("mkdir", gallery / "people/Anna/friends").stderr
    assert names(gallery / "search/person:anna") == ["cat.jpg"]
    assert names(gallery / "people") == ["Anna"]
