"""``tagfs repair``: a vault that has lost its journals, on a machine that never saw it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from cli_kit import Result

from tagfs.pipeline.state_dir import StateDir

Tagfs = Callable[..., Result]


def lost(
    tagfs: Tagfs, vault: Path, passphrase: Path, pictures: Path, home: Path
) -> tuple[str, ...]:
    """Store pictures, lose every journal and the machine, join; return the options of the new."""
    common = ("--passphrase-file", str(passphrase))
    assert tagfs("import", pictures, "--vault", vault, *common).status == 0
    assert tagfs("wait", "--vault", vault, *common).status == 0
    shutil.rmtree(vault)
    shutil.rmtree(home / "remote" / "j")
    new = ("--vault", str(home / "new"), *common)
    assert tagfs("join", "--remote", f"dir://{home}/remote", *new).status == 0
    return new


def test_pictures_without_any_journal_come_back_and_are_exported_byte_for_byte(
    tagfs: Tagfs, vault: Path, passphrase: Path, pictures: Path, home: Path
) -> None:
    new = lost(tagfs, vault, passphrase, pictures, home)
    told = tagfs("repair", "--from-objects", *new)
    assert told.status == 0, told.err
    assert told.out.startswith("4 files came back and are in Recovered-20")
    folder = told.out.split("in ")[1].split(".")[0]
    assert tagfs("export", "--folders", home / "out", *new).status == 0
    for name in os.listdir(pictures):
        assert (home / "out" / folder / name).read_bytes() == (pictures / name).read_bytes()
    again = tagfs("repair", "--from-objects", *new, "--json")
    assert (again.status, again.json["files"], again.json["failed"]) == (0, 0, [])
    assert "not listed yet" in tagfs("repair", "--from-objects", *new).out


def test_a_picture_that_is_not_whole_is_named_with_status_eight(
    tagfs: Tagfs, vault: Path, passphrase: Path, pictures: Path, home: Path
) -> None:
    new = lost(tagfs, vault, passphrase, pictures, home)
    objects = [p for p in (home / "remote" / "o").rglob("*") if p.is_file()]
    damaged = max(objects, key=lambda p: p.stat().st_size)
    data = bytearray(damaged.read_bytes())
    data[1000] ^= 1
    damaged.chmod(0o600)
    damaged.write_bytes(data)
    told = tagfs("repair", "--from-objects", *new)
    assert told.status == 8
    assert "photo 2.jpg: Object " in told.err
    assert told.out.startswith("3 files came back")


def test_an_empty_remote_is_said_to_be_empty_and_nothing_is_forgotten(
    tagfs: Tagfs, vault: Path, passphrase: Path, pictures: Path, home: Path
) -> None:
    common = ("--vault", vault, "--passphrase-file", passphrase)
    tagfs("import", pictures, *common)
    tagfs("wait", *common)
    shutil.move(home / "remote" / "o", home / "elsewhere")
    told = tagfs("repair", "--from-objects", *common)
    assert told.status == 0
    assert "names no objects" in told.out
    shutil.move(home / "elsewhere", home / "remote" / "o")
    assert tagfs("verify", "--all", *common).status == 0
    assert StateDir(vault).exists()


def test_a_missing_object_is_put_back_from_here_or_from_a_second_copy(
    tagfs: Tagfs, vault: Path, passphrase: Path, pictures: Path, home: Path
) -> None:
    common = ("--vault", vault, "--passphrase-file", passphrase)
    tagfs("import", pictures, *common)
    tagfs("wait", *common)
    shutil.copytree(home / "remote", home / "copy")
    for path in (home / "remote" / "o").rglob("*"):
        if path.is_file():
            path.unlink()
    told = tagfs("repair", *common)
    assert told.status == 0, told.err
    assert "are back" in told.out
    assert tagfs("verify", "--all", *common).status == 0
    shutil.rmtree(vault / "cache")
    lost = max((p for p in (home / "remote").rglob("*") if p.is_file()), key=_size)
    lost.unlink()
    told = tagfs("repair", *common)
    assert told.status == 8
    assert "photo 2.jpg" in told.err
    told = tagfs("repair", "--from", f"dir://{home}/copy", *common, "--json")
    assert (told.status, told.json["put"]) == (0, 1)
    assert tagfs("verify", "--all", *common).status == 0
    assert tagfs("repair", "--from", f"dir://{home}/copy", "--from-objects", *common).status == 2


def _size(path: Path) -> int:
    return path.stat().st_size
