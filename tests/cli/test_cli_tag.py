"""``tagfs tag`` from the command line, with and without a mount."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_kit import Result

Tagfs = Callable[..., Result]


@pytest.fixture
def filled(tagfs: Tagfs, vault: Path, passphrase: Path, pictures: Path) -> tuple[object, ...]:
    """The options that open a vault into which ``pictures`` were imported."""
    common = ("--vault", vault, "--passphrase-file", passphrase)
    assert tagfs("import", pictures, *common).status == 0
    return common


def names(result: Result) -> list[str]:
    return sorted(hit["name"] for hit in result.json)


def test_photos_are_tagged_by_name_path_and_query(tagfs: Tagfs, filled: tuple[object, ...]) -> None:
    told = tagfs("tag", "--add", "beach", "2019/photo 0.jpg", "photo 1.jpg", *filled, "--json")
    assert told.status == 0, told.err
    assert (told.json["photos"], told.json["changed"]) == (2, 2)
    assert len(told.json["act"]) == 32
    assert names(tagfs("search", "beach", *filled, "--json")) == ["photo 0.jpg", "photo 1.jpg"]
    said = tagfs(
        "tag", "--where", "beach", "--add", "sea", "--favourite", "--date", "2019", *filled
    )
    assert said.out == "Changed 2 of 2 photos.\n"
    assert names(tagfs("search", "sea is:favourite date:2019", *filled, "--json")) == [
        "photo 0.jpg",
        "photo 1.jpg",
    ]
    tagfs("tag", "--remove", "sea", "--no-favourite", "--no-date", "photo 0.jpg", *filled)
    assert names(tagfs("search", "sea", *filled, "--json")) == ["photo 1.jpg"]
    assert names(tagfs("search", "is:favourite", *filled, "--json")) == ["photo 1.jpg"]


def test_why_is_a_line_for_each_tag(tagfs: Tagfs, filled: tuple[object, ...]) -> None:
    tagfs("tag", "--add", "dog", "photo 0.jpg", *filled)
    tagfs("tag", "--remove", "cat", "photo 0.jpg", *filled)
    told = tagfs("tag", "--why", "photo 0.jpg", *filled)
    assert told.status == 0, told.err
    lines = told.out.splitlines()
    assert "  + dog: you said yes" in lines
    assert "  - cat: you said no" in lines
    assert any(line.startswith("  + animal: above ") for line in lines)
    (raw,) = tagfs("tag", "--why", "photo 0.jpg", *filled, "--json").json
    assert raw["paths"] == ["2019/photo 0.jpg"]
    assert {t["name"]: t["word"] for t in raw["tags"] if t["word"]} == {"dog": "yes", "cat": "no"}


NONSENSE = [
    ["photo 0.jpg"],
    ["--add", "x"],
    ["--add", "x", "--why", "photo 0.jpg"],
    ["--add", "x", "--where", "dog", "photo 0.jpg"],
    ["--why", "--where", "dog"],
    ["--date", "2019", "--no-date", "photo 0.jpg"],
    ["--date", "yesterday", "photo 0.jpg"],
    ["--add", "x", "absent.jpg"],
    ["--remove", "zzgl", "photo 0.jpg"],
    ["--add", "x", "--where", "dog (cat"],
]


def test_wrong_usage_is_status_two(tagfs: Tagfs, filled: tuple[object, ...]) -> None:
    for arguments in NONSENSE:
        result = tagfs("tag", *arguments, *filled)
        assert (result.status, result.out) == (2, ""), arguments
        assert result.err


def test_what_takes_no_date_is_listed_and_status_eight(
    tagfs: Tagfs, filled: tuple[object, ...]
) -> None:
    result = tagfs("tag", "--date", "2019", "2019/notes.txt", "photo 0.jpg", *filled)
    assert result.status == 8
    assert "notes.txt: It is no photo" in result.err
    assert result.out == "Changed 1 of 1 photo.\n"


@pytest.mark.mount
def test_the_daemon_takes_paths_in_the_mount_and_the_folders_follow_at_once(
    tagfs: Tagfs,
    filled: tuple[object, ...],
    vault: Path,
    home: Path,
    mountpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert tagfs("mount", mountpoint, *filled).status == 0
    here = ("--vault", vault)
    assert os.listdir(mountpoint / "tags") == []
    assert tagfs("tag", "--add", "beach", mountpoint / "2019/photo 0.jpg", *here).status == 0
    assert os.listdir(mountpoint / "tags/beach") == ["photo 0.jpg"]
    (home / "way").symlink_to(mountpoint / "2019")
    assert tagfs("tag", "--add", "beach", home / "way" / "photo 1.jpg", *here).status == 0
    monkeypatch.chdir(mountpoint / "tags" / "beach")
    assert tagfs("tag", "--remove", "beach", "photo 0.jpg", *here).status == 0
    assert os.listdir(mountpoint / "tags/beach") == ["photo 1.jpg"]
    assert os.getcwd() == str(mountpoint / "tags/beach"), "the kernel was told that it is gone"
    ident = tagfs("tag", "--why", "photo 1.jpg", *here, "--json").json[0]["id"]
    assert tagfs("tag", "--add", "sea", ident[:10], *here).status == 0
    assert os.listdir(mountpoint / "tags/sea") == ["photo 1.jpg"]
    monkeypatch.chdir(home)
    assert tagfs("umount", mountpoint).status == 0
