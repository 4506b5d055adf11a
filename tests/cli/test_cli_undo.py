"""``tagfs undo`` and ``tagfs trash`` from the command line, with and without a mount."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_kit import Result

Tagfs = Callable[..., Result]


def found(tagfs: Tagfs, query: str, common: tuple[object, ...]) -> list[str]:
    return sorted(hit["name"] for hit in tagfs("search", query, *common, "--json").json)


def test_acts_are_listed_undone_and_done_again(
    tagfs: Tagfs, vault: Path, passphrase: Path, pictures: Path
) -> None:
    common = ("--vault", vault, "--passphrase-file", passphrase)
    assert tagfs("undo", *common).status == 1
    assert tagfs("undo", "--list", *common).out == "There is nothing to undo.\n"
    tagfs("import", pictures, *common)
    tagfs("tag", "--where", "-zebra", "--add", "beach", *common)
    acts = tagfs("undo", "--list", *common, "--json").json
    assert acts[0]["text"] == "tagged 3 photos: beach"
    assert tagfs("undo", "--list", "--number", "1", *common).out.count("\n") == 1
    undone = tagfs("undo", *common)
    assert undone.out == "Taken back: tagged 3 photos: beach.\n"
    assert found(tagfs, "beach", common) == []
    assert "(undone)" in tagfs("undo", "--list", *common).out
    newest = tagfs("undo", "--list", *common, "--json").json[0]
    assert newest["undo"]
    assert tagfs("undo", newest["id"][:12], *common).status == 0
    assert len(found(tagfs, "beach", common)) == 3
    assert tagfs("undo", "ffffffffffff", *common).status == 1
    assert tagfs("undo", "--list", "abc", *common).status == 2


@pytest.mark.mount
def test_what_was_deleted_through_the_mount_comes_back(
    tagfs: Tagfs, vault: Path, passphrase: Path, pictures: Path, mountpoint: Path
) -> None:
    common = ("--vault", vault, "--passphrase-file", passphrase)
    tagfs("import", pictures, "--tag", "beach", *common)
    assert tagfs("mount", mountpoint, *common).status == 0
    here = ("--vault", vault)
    before = sorted(p.relative_to(mountpoint) for p in (mountpoint / "2019").iterdir())
    assert tagfs("trash", *here).out == "The trash is empty.\n"
    shutil.rmtree(mountpoint / "2019")
    assert not (mountpoint / "2019").exists()
    lost = tagfs("trash", *here, "--json").json
    assert sorted(Path(place) for item in lost for place in item["places"]) == before
    assert "from 2019/photo 1.jpg" in tagfs("trash", *here).out
    there = mountpoint / "trash" / "photo 1.jpg"
    assert tagfs("trash", "restore", there, *here).out == "Brought 1 file back.\n"
    assert os.listdir(mountpoint / "2019") == ["photo 1.jpg"]
    assert os.listdir(mountpoint / "tags/beach") == ["photo 1.jpg"]
    assert tagfs("undo", *here).status == 0
    assert not (mountpoint / "2019").exists()
    assert tagfs("trash", "restore", "--all", *here, "--json").json["files"] == 4
    assert sorted(p.relative_to(mountpoint) for p in (mountpoint / "2019").iterdir()) == before
    for name in os.listdir(pictures):
        assert (mountpoint / "2019" / name).read_bytes() == (pictures / name).read_bytes()
    (mountpoint / "2019/photo 0.jpg").unlink()
    assert tagfs("trash", "empty", *here).out.startswith("Took 1 file out of the trash")
    assert tagfs("trash", *here).out == "The trash is empty.\n"
    assert tagfs("undo", *here).status == 0
    assert os.listdir(mountpoint / "trash") == ["photo 0.jpg"]
    assert tagfs("trash", "restore", "absent.jpg", *here).status == 2
    assert tagfs("trash", "restore", *here).status == 2
    assert tagfs("umount", mountpoint).status == 0
