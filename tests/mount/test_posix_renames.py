"""Renaming in own folders, and long random runs: the same as on the machine's own file system."""

from __future__ import annotations

import ctypes
import errno
import os
import random
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from both import Both, later, refused

pytestmark = pytest.mark.mount

NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4
libc = ctypes.CDLL(None, use_errno=True)


def rename(old: Path, new: Path, flags: int = 0) -> None:
    """renameat2(2)."""
    if libc.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), flags):
        raise OSError(ctypes.get_errno(), "renameat2", str(old), None, str(new))


# -- every kind onto every kind ------------------------------------------------------------------


def nothing(path: Path) -> None:
    """Leave the name free."""


def a_file(path: Path) -> None:
    path.write_bytes(b"file " + path.name.encode())


def an_empty_file(path: Path) -> None:
    path.touch()


def an_empty_folder(path: Path) -> None:
    path.mkdir()


def a_full_folder(path: Path) -> None:
    path.mkdir()
    (path / "in").write_bytes(b"inside " + path.name.encode())


def a_link_to_a_file(path: Path) -> None:
    path.with_name(path.name + "-aim").write_bytes(b"aim")
    path.symlink_to(path.name + "-aim")


def a_link_to_a_folder(path: Path) -> None:
    path.with_name(path.name + "-aim").mkdir()
    path.symlink_to(path.name + "-aim")


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to("nowhere")


KINDS: list[Callable[[Path], None]] = [
    nothing,
    a_file,
    an_empty_file,
    an_empty_folder,
    a_full_folder,
    a_link_to_a_file,
    a_link_to_a_folder,
    a_link_to_nothing,
]


@pytest.mark.parametrize("flags", [0, NOREPLACE])
@pytest.mark.parametrize("ends", ["", "/"])
def test_every_kind_is_renamed_onto_every_kind_as_elsewhere(
    both: Both, flags: int, ends: str
) -> None:
    for number, (old, new) in enumerate(product(KINDS, KINDS)):
        what = f"{old.__name__} onto {new.__name__}"

        def act(folder: Path, n: int = number, kinds: tuple = (old, new)) -> object:
            here = folder / str(n)
            here.mkdir()
            kinds[0](here / "old")
            kinds[1](here / "new")
            inode = (here / "old").lstat().st_ino if os.path.lexists(here / "old") else 0
            rename(f"{here}/old{ends}", f"{here}/new{ends}", flags)
            return (here / "new").lstat().st_ino == inode

        both.do(what, act)
        both.compare(what)


def test_a_name_renamed_onto_itself_or_onto_another_of_the_same_file_stays(both: Both) -> None:
    def make(folder: Path) -> None:
        (folder / "a").write_bytes(b"a")
        os.link(folder / "a", folder / "b")
        (folder / "d").mkdir()

    both.do("making", make)
    for old, new in (("a", "a"), ("a", "b"), ("d", "d"), ("d", "d/"), ("d/", "d"), ("b", "d/..")):
        both.do(f"{old} to {new}", lambda f, o=old, n=new: rename(f"{f}/{o}", f"{f}/{n}"))
    both.compare("renaming in place")


def test_a_folder_is_not_renamed_below_itself(both: Both) -> None:
    both.do("making", lambda f: (f / "a" / "b" / "c").mkdir(parents=True))
    for new in ("a/x", "a/b/x", "a/b/c", "a/b/c/x"):
        found = both.do(new, lambda f, n=new: rename(f / "a", f / n))
        assert found in ("EINVAL", "ENOTEMPTY")
    for new in ("a", "a/b"):  # onto what it lies in
        both.do(new, lambda f, n=new: rename(f / "a/b/c", f / n))
    both.compare("renaming into itself")


def test_a_folder_that_was_renamed_keeps_what_is_open_in_it(own: Path) -> None:
    (own / "a" / "b").mkdir(parents=True)
    with open(own / "a" / "b" / "f", "wb") as file:
        file.write(b"before ")
        file.flush()
        rename(own / "a", own / "z")
        (own / "a").mkdir()
        file.write(b"after")
    assert (own / "z" / "b" / "f").read_bytes() == b"before after"
    assert os.listdir(own / "a") == []


def test_what_was_open_under_a_name_that_another_file_took_is_not_that_file(own: Path) -> None:
    (own / "old").write_bytes(b"old bytes")
    (own / "new").write_bytes(b"new")
    with open(own / "old", "r+b", buffering=0) as file:
        rename(own / "new", own / "old")
        file.write(b"OLD")
        file.seek(0)
        assert file.read() == b"OLD bytes"
    assert (own / "old").read_bytes() == b"new"
    assert os.listdir(own) == ["old"]


def test_names_are_swapped_by_way_of_a_third(own: Path) -> None:
    (own / "a").write_bytes(b"a")
    (own / "b").write_bytes(b"b")
    for old, new in (("a", "t"), ("b", "a"), ("t", "b")):
        rename(own / old, own / new)
    assert ((own / "a").read_bytes(), (own / "b").read_bytes()) == (b"b", b"a")
    assert sorted(os.listdir(own)) == ["a", "b"]


def test_case_alone_makes_another_name(own: Path) -> None:
    (own / "IMG.JPG").write_bytes(b"upper")
    (own / "img.jpg").write_bytes(b"lower")
    rename(own / "img.jpg", own / "Img.jpg")
    assert {p.name: p.read_bytes() for p in own.iterdir()} == {
        "IMG.JPG": b"upper",
        "Img.jpg": b"lower",
    }


# -- what of it tagfs refuses -----------------------------------------------------------------


def test_exchanging_and_whiteouts_are_refused_and_change_nothing(vault) -> None:
    folder = vault.path / "exchange"
    folder.mkdir()
    (folder / "a").write_bytes(b"a")
    (folder / "b").write_bytes(b"b")
    refused(errno.EINVAL, rename, folder / "a", folder / "b", EXCHANGE)
    refused(errno.EINVAL, rename, folder / "a", folder / "c", WHITEOUT)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == {"a": b"a", "b": b"b"}


# -- anything, for long ---------------------------------------------------------------------------

NAMES = ("a", "b", "c", "d", "e.jpg")


class Player:
    """Chooses random acts on a few names in a few folders, so that they collide all the time."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def place(self) -> str:
        depth = self.random.choice((1, 1, 2, 2, 3))
        return "/".join(self.random.choice(NAMES) for _ in range(depth))

    def act(self) -> tuple[str, Callable[[Path], object]]:
        """Return what is to be done in words, and doing it in a folder."""
        p, q = self.place(), self.place()
        number = self.random.randrange(1, 400_000)
        mode = number % 512 | 0o700  # what its owner may not read cannot be compared
        data = self.random.randbytes(self.random.choice((1, 5000, 150_000)))
        acts: list[tuple[str, Callable[[Path], object]]] = [
            (f"write {p} {len(data)}", lambda f: (f / p).write_bytes(data)),
            (f"create {p}", lambda f: os.close(os.open(f / p, os.O_CREAT | os.O_EXCL, 0o640))),
            (f"append {p}", lambda f: append(f / p, data)),
            (f"patch {p} at {number}", lambda f: patch(f / p, number, data)),
            (f"truncate {p} {number}", lambda f: os.truncate(f / p, number)),
            (f"empty {p}", lambda f: empty(f / p)),
            (f"unlink {p}", lambda f: os.unlink(f / p)),
            (f"rmdir {p}", lambda f: os.rmdir(f / p)),
            (f"mkdir {p}", lambda f: os.mkdir(f / p)),
            (f"mkdir {q}", lambda f: os.mkdir(f / q)),
            (f"symlink {p} to {q}", lambda f: os.symlink(q, f / p)),
            (f"link {p} to {q}", lambda f: os.link(f / p, f / q, follow_symlinks=False)),
            (f"rename {p} to {q}", lambda f: rename(f / p, f / q)),
            (f"rename {q} to {p}", lambda f: rename(f / q, f / p)),
            (f"move {p} to {q}", lambda f: rename(f / p, f / q, NOREPLACE)),
            (f"chmod {p} {mode:o}", lambda f: os.chmod(f / p, mode)),
            (f"utime {p}", lambda f: os.utime(f / p, ns=(0, number * 1_000_003))),
            (f"read {p}", lambda f: (f / p).read_bytes()),
            (f"list {p}", lambda f: sorted(os.listdir(f / p))),
            (f"readlink {p}", lambda f: os.readlink(f / p)),
            (f"mtime {p}", lambda f: seen_time(f / p)),
        ]
        return self.random.choice(acts)


def append(path: Path, data: bytes) -> None:
    with open(path, "ab") as file:
        file.write(data)


def empty(path: Path) -> None:
    if (
        path.is_dir() or path.stat().st_size
    ):  # else some file systems change the times and others do not
        os.truncate(path, 0)


def patch(path: Path, at: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


def seen_time(path: Path) -> object:
    """Return the time of modification if it was set, which is long ago."""
    status = path.lstat()
    return status.st_mtime_ns if status.st_mtime_ns < 10**15 else "lately"


def play(both: Both, seed: int, acts: int) -> None:
    player = Player(seed)
    for number in range(acts):
        what, act = player.act()
        both.do(f"act {number} of seed {seed}: {what}", act)
        if number % 20 == 19 or number == acts - 1:
            both.compare(f"act {number} of seed {seed}: {what}")


@pytest.mark.parametrize("seed", range(4))
def test_random_acts_end_as_on_the_machines_own_file_system(both: Both, seed: int) -> None:
    play(both, seed, 600)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 120))
def test_many_random_acts_end_as_on_the_machines_own_file_system(both: Both, seed: int) -> None:
    play(both, seed, 5000)


def test_a_rename_changes_the_times_of_the_file_and_of_both_folders(own: Path) -> None:
    (own / "a").mkdir()
    (own / "b").mkdir()
    (own / "a" / "f").write_bytes(b"x")
    before = [(own / p).stat() for p in ("a", "b", "a/f")]
    later(lambda: rename(own / "a" / "f", own / "b" / "f"))
    after = [(own / p).stat() for p in ("a", "b", "b/f")]
    assert after[0].st_mtime_ns > before[0].st_mtime_ns
    assert after[1].st_mtime_ns > before[1].st_mtime_ns
    assert after[2].st_mtime_ns == before[2].st_mtime_ns
    assert all(a.st_ctime_ns > b.st_ctime_ns for a, b in zip(after, before, strict=True))
