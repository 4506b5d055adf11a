"""``tagfs rescan`` from the command line, with and without a mount."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_kit import Result

Tagfs = Callable[..., Result]


@pytest.fixture
def filled(
    tagfs: Tagfs,
    vault: Path,
    passphrase: Path,
    pictures: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[object, ...]:
    """The options that open a vault into which ``pictures`` were imported; no model is here."""
    monkeypatch.setenv("TAGFS_MODELS", str(home / "models"))
    common = ("--vault", vault, "--passphrase-file", passphrase)
    assert tagfs("import", pictures, "--tag", "beach", *common).status == 0
    return common


def test_without_a_mount_it_returns_when_it_has_ended(
    tagfs: Tagfs, filled: tuple[object, ...]
) -> None:
    result = tagfs("rescan", *filled, "--json")
    assert result.status == 8  # nobody has looked at them, and nobody can
    assert result.json["ended"]
    assert (result.json["total"], result.json["done"], result.json["failed"]) == (3, 3, 3)
    assert "tagfs doctor" in result.err
    none = tagfs("rescan", "--where", "zzgl", *filled)
    assert (none.status, none.out) == (
        0,
        "Other tags now: 0 of 0 photos; another place: 0; looked at again: 0.\n",
    )
    assert "zzgl" in none.err
    assert tagfs("rescan", "--stop", *filled).out == "No rescan was under way.\n"


def test_what_makes_no_sense_or_cannot_be_is_refused(
    tagfs: Tagfs, filled: tuple[object, ...]
) -> None:
    assert tagfs("rescan", "--stop", "--all", *filled).status == 2
    bad = tagfs("rescan", "--where", "dog (cat", *filled)
    assert bad.status == 2
    assert "^" in bad.err
    blind = tagfs("rescan", "--all", *filled)
    assert blind.status == 1
    assert "tagfs models install" in blind.err


@pytest.mark.mount
def test_while_mounted_it_goes_on_in_the_background(
    tagfs: Tagfs, filled: tuple[object, ...], vault: Path, mountpoint: Path
) -> None:
    assert tagfs("mount", mountpoint, *filled).status == 0
    begun = tagfs("rescan", "--vault", vault)
    assert begun.status == 0
    assert begun.out == (
        "Going through 3 photos in the background; `tagfs status` says how far it is.\n"
    )
    assert tagfs("rescan", "--vault", vault, "--wait").status == 8
    assert tagfs("status", mountpoint, "--json").json["rescan"] is None
    assert "Rescan: 0 of" in (mountpoint / ".tagfs/events").read_text()
    assert tagfs("umount", mountpoint).status == 0
