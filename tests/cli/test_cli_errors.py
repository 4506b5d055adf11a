"""Whatever happens becomes one sentence and an exit status."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest
from cli_kit import Result

from tagfs import errors
from tagfs.cli import main, paths
from tagfs.mount.messages import Broken
from tagfs.views.query import QuerySyntax

CASES = [
    (errors.TagfsError("x"), 1),
    (errors.Usage("x"), 2),
    (QuerySyntax("a (b", 2, "this bracket is not closed"), 2),
    (errors.WrongSecret("x"), 3),
    (errors.NotAVault("x"), 4),
    (errors.NewerVault("x"), 4),
    (errors.Unreachable("x"), 5),
    (errors.Limited("x", 3), 5),
    (errors.Integrity("x"), 6),
    (errors.MountError("x"), 7),
    (errors.Unfinished("x", ("one", "two")), 8),
    (ExceptionGroup("nursery", [errors.Integrity("x")]), 6),
    (click.UsageError("x"), 2),
    (click.Abort(), 130),
    (KeyboardInterrupt(), 130),
    (Broken("x"), 1),
    (FileNotFoundError(2, "No such file", "x"), 1),
    (MemoryError(), 1),
]


@pytest.mark.parametrize(("error", "status"), CASES, ids=lambda c: type(c).__name__)
def test_every_error_has_its_exit_status_and_a_sentence(
    error: BaseException,
    status: int,
    tagfs: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(main.tagfs, "main", fail)
    result = tagfs("status")
    assert result.status == status
    assert result.err.strip()
    if isinstance(error, errors.Unfinished):
        assert result.err.splitlines() == ["tagfs: x", "one", "two"]


def test_a_fault_of_tagfs_names_the_log_and_the_log_names_no_photo(
    tagfs: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("holiday.jpg")

    monkeypatch.setattr(main.tagfs, "main", fail)
    result = tagfs("status")
    assert result.status == 1
    assert str(paths.log_file()) in result.err
    assert "holiday" not in result.err
    assert "KeyError" in paths.log_file().read_text()
    assert "test_cli_errors.py" in paths.log_file().read_text()
    assert "holiday" not in paths.log_file().read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["status", "--nonsense"],
        ["mount"],
        ["wait", "--for", "ever"],
        ["wait", "--timeout", "-1"],
        ["import"],
        ["verify", "--sample", "7", "--all"],
        ["verify", "--sample", "0"],
        ["verify", "--sample", "lots"],
        ["join"],
        ["mount", "Gallery", "-o", "nonsense"],
        ["init", "--remote", "gopher://x", "--passphrase-command", "echo abcdefgh"],
        ["init", "--passphrase-file", "absent"],
    ],
)
def test_wrong_usage_is_status_two(arguments: list[str], tagfs: Callable[..., Result]) -> None:
    result = tagfs(*arguments)
    assert (result.status, result.out) == (2, "")
    assert result.err


def test_a_current_directory_that_is_gone_is_said(
    tagfs: Callable[..., Result], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "gone").mkdir()
    monkeypatch.chdir(home / "gone")
    (home / "gone").rmdir()
    result = tagfs("models")
    monkeypatch.chdir(home)
    assert result.status == 1
    assert "change to another" in result.err


def test_help_is_no_error(tagfs: Callable[..., Result]) -> None:
    assert tagfs("--help").status == tagfs("import", "-h").status == 0
    assert "tagfs" in tagfs("--version").out


@pytest.mark.parametrize("command", [["status"], ["search", "dog"], ["wait"], ["verify"]])
def test_where_no_vault_is_it_says_how_to_get_one(
    command: list[str], tagfs: Callable[..., Result]
) -> None:
    result = tagfs(*command)
    assert result.status == 4
    assert "tagfs init" in result.err


def test_an_unmounted_mountpoint_is_status_seven(tagfs: Callable[..., Result], home: Path) -> None:
    for command in ("status", "wait", "umount"):
        assert tagfs(command, home / "Gallery").status == 7
