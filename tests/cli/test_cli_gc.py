"""``tagfs gc``: what is said of what goes, by the daemon and without one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_kit import Result

from tagfs.cli import collecting

Tagfs = Callable[..., Result]


def test_with_nothing_to_delete_it_says_so_and_touches_nothing(
    tagfs: Tagfs, vault: Path, passphrase: Path, pictures: Path, home: Path
) -> None:
    common = ("--vault", vault, "--passphrase-file", str(passphrase))
    assert tagfs("import", pictures, *common).status == 0
    assert tagfs("wait", *common).status == 0
    objects = {p for p in (home / "remote" / "o").rglob("*") if p.is_file()}
    for options in ((), ("--dry-run",)):
        told = tagfs("gc", *options, *common)
        assert (told.status, told.out) == (0, "There is nothing to delete.\n"), told.err
    told = tagfs("gc", "--json", *common)
    assert told.json["deleted"] == {"objects": 0, "bytes": 0}
    assert told.json["condemned"] == {"contents": 0, "bytes": 0}
    assert {p for p in (home / "remote" / "o").rglob("*") if p.is_file()} == objects


def test_a_vault_that_was_joined_a_second_time_is_told_that_nothing_is_deleted(
    tagfs: Tagfs, vault: Path, passphrase: Path, home: Path
) -> None:
    common = ("--passphrase-file", str(passphrase))
    new = ("--vault", str(home / "new"), *common)
    assert tagfs("join", "--remote", f"dir://{home}/remote", *new).status == 0
    for place in (vault, home / "new"):
        told = tagfs("gc", "--vault", place, *common)
        assert told.status == 1
        assert "second device" in told.err
        assert "all objects stay" in told.err
        told = tagfs("gc", "--dry-run", "--vault", place, *common)
        assert told.status == 0
        assert told.out.startswith("This vault has had a second device")


def test_what_is_said_names_numbers_sizes_and_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    told = {
        "dry_run": False,
        "shared": False,
        "condemned": {"contents": 2, "bytes": 3_000_000},
        "revived": 1,
        "waiting": {"bytes": 9, "until": [{"until": 1_800_000_000, "contents": 2}]},
        "deleted": {"objects": 1, "bytes": 2048},
        "failed": [],
    }
    assert collecting._lines(told) == [
        "Deleted 1 object, 2.0 KiB.",
        "Condemned 2 contents that nothing needs, 2.9 MiB.",
        "2 contents may be deleted from 2027-01-15 08:00 on.",
        "Kept 1 content that is needed after all.",
    ]
