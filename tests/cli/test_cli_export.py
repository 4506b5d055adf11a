"""``tagfs export`` from the command line, with and without a mount."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_kit import Result

Tagfs = Callable[..., Result]


@pytest.fixture
def filled(tagfs: Tagfs, vault: Path, passphrase: Path, pictures: Path) -> tuple[object, ...]:
    """The options that open a vault into which ``pictures`` were imported, tagged ``holiday``."""
    common = ("--vault", vault, "--passphrase-file", passphrase)
    assert tagfs("import", pictures, "--tag", "holiday", *common).status == 0
    return common


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_a_query_is_exported_and_again_there_is_nothing_to_do(
    tagfs: Tagfs, filled: tuple[object, ...], pictures: Path, home: Path
) -> None:
    result = tagfs("export", "holiday", "name:*.jpg", home / "out", *filled)
    assert result.status == 0, result.err
    assert result.out.startswith("Wrote 3 files to ")
    assert files(home / "out") == {k: v for k, v in files(pictures).items() if k != "notes.txt"}
    again = tagfs("export", "holiday", "name:*.jpg", home / "out", *filled, "--json").json
    assert (again["files"], again["present"], again["failed"]) == (0, 3, [])


def test_everything_comes_out_in_its_folders(
    tagfs: Tagfs, filled: tuple[object, ...], pictures: Path, home: Path
) -> None:
    assert tagfs("export", "--folders", home / "out", *filled).status == 0
    assert files(home / "out/2019") == files(pictures)
    assert tagfs("export", "", home / "same", *filled).status == 0
    assert files(home / "same") == files(home / "out")
    for name in files(pictures):
        ours, theirs = (home / "out/2019" / name).stat(), (pictures / name).stat()
        assert (ours.st_mtime_ns, ours.st_mode) == (theirs.st_mtime_ns, theirs.st_mode)


def test_sidecars_say_the_tags(tagfs: Tagfs, filled: tuple[object, ...], home: Path) -> None:
    told = tagfs("export", "holiday", home / "out", "--sidecars", *filled, "--json").json
    assert told["sidecars"] == 3
    assert "<rdf:li>holiday</rdf:li>" in (home / "out/photo 1.jpg.xmp").read_text()
    assert tagfs("export", "holiday", home / "out", "--sidecars", *filled).status == 0
    (home / "out/photo 1.jpg.xmp").write_text("somebody else's")
    tagfs("export", "holiday", home / "out", "--sidecars", *filled)
    assert (home / "out/photo 1.jpg.xmp").read_text() == "somebody else's"
    assert "holiday" in (home / "out/photo 1.jpg.tagfs.xmp").read_text()


def test_what_makes_no_sense_is_status_two(
    tagfs: Tagfs, filled: tuple[object, ...], home: Path, vault: Path
) -> None:
    bad = tagfs("export", "dog (cat", home / "out", *filled)
    assert bad.status == 2
    assert "^" in bad.err
    assert not (home / "out").exists()
    for arguments in (
        [home / "out"],
        ["dog", "--folders", home / "out"],
        ["--nonsense", "dog", home / "out"],
        ["dog", vault / "out"],
        ["dog", home / "remote" / "out"],
    ):
        assert tagfs("export", *arguments, *filled).status == 2


def test_what_cannot_be_exported_is_listed_and_status_eight(
    tagfs: Tagfs, filled: tuple[object, ...], home: Path
) -> None:
    (home / "out/2019/photo 1.jpg").mkdir(parents=True)
    (home / "out/2019").joinpath("photo 2.jpg").write_text("another")
    result = tagfs("export", "--folders", home / "out", *filled)
    assert result.status == 0  # both have a name beside it
    assert len([n for n in os.listdir(home / "out/2019") if "~" in n]) == 2
    for name in os.listdir(home / "out/2019"):
        if "~" in name:
            (home / "out/2019" / name).write_text("taken as well")
    blocked = tagfs("export", "--folders", home / "out", *filled)
    assert blocked.status == 8
    assert "2019/photo 1.jpg: Something else has its name there." in blocked.err
    assert (home / "out/2019/photo 0.jpg").exists()


@pytest.mark.mount
def test_the_daemon_exports_but_never_into_the_gallery(
    tagfs: Tagfs,
    filled: tuple[object, ...],
    pictures: Path,
    home: Path,
    vault: Path,
    mountpoint: Path,
) -> None:
    assert tagfs("mount", mountpoint, *filled).status == 0
    inside = tagfs("export", "holiday", mountpoint / "2019" / "new", "--vault", vault)
    assert inside.status == 2
    (home / "way").symlink_to(mountpoint)
    assert tagfs("export", "holiday", home / "way" / "out", "--vault", vault).status == 2
    (mountpoint / "2019" / b"odd \xff.jpg".decode("utf-8", "surrogateescape")).write_bytes(b"\xff")
    assert tagfs("export", "--folders", home / "out", "--vault", vault).status == 0
    (pictures / b"odd \xff.jpg".decode("utf-8", "surrogateescape")).write_bytes(b"\xff")
    assert files(home / "out/2019") == files(pictures)
    assert tagfs("umount", mountpoint).status == 0
