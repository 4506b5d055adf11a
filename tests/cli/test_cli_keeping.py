"""``tagfs pin``, ``unpin`` and ``offload`` from the command line, and the size of the cache."""

from __future__ import annotations

import os
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


def test_photos_are_named_by_a_query_or_one_by_one(
    tagfs: Tagfs, filled: tuple[object, ...]
) -> None:
    assert tagfs("pin", *filled).status == 2
    assert tagfs("pin", "a.jpg", "--where", "beach", *filled).status == 2
    assert tagfs("pin", "no such photo", *filled).status == 2
    pinned = tagfs("pin", "--where", "beach", *filled, "--json")
    assert pinned.status == 0
    assert pinned.json["changed"] == pinned.json["files"] >= 3
    assert tagfs("status", *filled, "--json").json["cache"]["pinned"] == pinned.json["changed"]
    assert "photos pinned" in tagfs("status", *filled).out
    assert tagfs("unpin", "--where", "beach", *filled).out.startswith("Not pinned any more: ")
    assert tagfs("status", *filled, "--json").json["cache"]["pinned"] == 0


def test_what_is_not_stored_yet_is_not_let_go(tagfs: Tagfs, filled: tuple[object, ...]) -> None:
    assert tagfs("pause", *filled).status == 0
    stays = tagfs("offload", "--where", "beach", *filled)
    assert stays.status == 8
    assert "it is not stored yet" in stays.err
    assert tagfs("resume", *filled).status == 0
    assert tagfs("wait", *filled, "--timeout", "60").status == 0
    gone = tagfs("offload", "--where", "beach", *filled)
    assert (gone.status, gone.err) == (0, "")
    assert "free now" in gone.out


@pytest.mark.mount
def test_the_attributes_tell_and_the_size_of_the_cache_is_remembered(
    tagfs: Tagfs, filled: tuple[object, ...], vault: Path, mountpoint: Path
) -> None:
    assert tagfs("mount", mountpoint, *filled, "-o", "cache_size=20M").status == 0
    (mountpoint / "kept.bin").write_bytes(os.urandom(5000))
    file = mountpoint / "kept.bin"
    assert os.getxattr(file, "user.tagfs.local") == b"yes"
    with pytest.raises(OSError, match="No data"):
        os.getxattr(file, "user.tagfs.pinned")
    assert tagfs("pin", file, "--vault", vault).status == 0
    assert os.getxattr(file, "user.tagfs.pinned") == b"yes"
    assert tagfs("unpin", file, "--vault", vault).status == 0
    assert tagfs("wait", mountpoint, "--timeout", "60").status == 0
    assert tagfs("offload", file, "--vault", vault).status == 0
    assert os.getxattr(file, "user.tagfs.local") == b"no"
    assert len(file.read_bytes()) == 5000
    assert tagfs("umount", mountpoint).status == 0
    assert tagfs("mount", mountpoint, *filled).status == 0
    assert tagfs("status", mountpoint, "--json").json["cache"]["limit"] == 20 * 1024 * 1024
    assert tagfs("umount", mountpoint).status == 0
