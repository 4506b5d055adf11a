"""Vaults and galleries that no daemon has open."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from cli_kit import PASSPHRASE, Result

from tagfs.cli import paths
from tagfs.cli.vaults import recovery_text
from tagfs.pipeline.state_dir import StateDir

Tagfs = Callable[..., Result]


def test_init_makes_a_vault_and_shows_the_words_once(
    tagfs: Tagfs, home: Path, passphrase: Path
) -> None:
    made = tagfs("init", "--passphrase-file", passphrase, "--json")
    assert made.status == 0
    assert len(made.json["recovery_words"]) == 24
    assert made.json["vault"] == str(home / ".local/state/tagfs/default")
    assert made.json["remote"] == paths.default_remote()
    assert (home / ".local/share/tagfs/vault").is_dir()
    again = tagfs("init", "--passphrase-file", passphrase)
    assert again.status == 2
    assert again.out == ""
    (home / "words").write_text(" ".join(made.json["recovery_words"]))
    assert tagfs("status", "--passphrase-file", home / "words", "--json").json["photos"] == 0


def test_words_are_shown_in_order_with_their_numbers() -> None:
    words = [f"zebra{i}" for i in range(24)]
    shown = recovery_text(" ".join(words)).split()
    assert [w for w in shown if w.startswith("zebra")] == words
    assert shown[shown.index("zebra9") - 1] == "10"


def test_the_state_directory_can_be_named_in_the_environment(
    tagfs: Tagfs, vault: Path, passphrase: Path, monkeypatch
) -> None:
    monkeypatch.setenv("TAGFS_STATE_DIR", str(vault))
    assert tagfs("status", "--passphrase-file", passphrase).status == 0


def test_a_wrong_passphrase_is_status_three(tagfs: Tagfs, vault: Path) -> None:
    result = tagfs("status", "--vault", vault, "--passphrase-command", "echo wrong")
    assert (result.status, result.out) == (3, "")


def test_a_folder_is_imported_found_and_verified(
    tagfs: Tagfs, vault: Path, passphrase: Path, pictures: Path
) -> None:
    common = ("--vault", vault, "--passphrase-file", passphrase)
    told = tagfs("import", pictures, "--tag", "holiday", *common, "--json")
    assert told.status == 0
    assert told.json["files"] == 4
    assert told.json["failed"] == []
    assert tagfs("wait", "--for", "stored", "--timeout", "60", *common).status == 0
    found = tagfs("search", "holiday", *common, "--json").json
    assert {p for hit in found for p in hit["paths"]} >= {f"2019/photo {i}.jpg" for i in range(3)}
    assert all(
        hit["tags"][0] == {"name": "holiday", "confidence": 1.0, "by": "you"} for hit in found
    )
    assert "photo 1.jpg" in tagfs("search", "holiday", *common).out
    unknown = tagfs("search", "zzgl", *common)
    assert (unknown.status, unknown.out.strip()) == (0, "Nothing found.")
    assert "zzgl" in unknown.err
    without = tagfs("search", "-holiday", *common, "--json").json
    assert not {h["id"] for h in without} & {h["id"] for h in found}
    assert tagfs("search", "--jsn", "dog", *common).status == 2
    bad = tagfs("search", "dog (cat", *common)
    assert bad.status == 2
    assert "^" in bad.err
    checked = tagfs("verify", "--all", *common, "--json")
    assert checked.status == 0
    assert checked.json["opened"] == checked.json["objects"] > 0


def test_what_cannot_be_imported_is_listed_and_the_rest_is_in(
    tagfs: Tagfs, vault: Path, passphrase: Path, pictures: Path
) -> None:
    os.mkfifo(pictures / "pipe")
    result = tagfs("import", pictures, "--vault", vault, "--passphrase-file", passphrase)
    assert result.status == 8
    assert str(pictures / "pipe") in result.err
    assert "4 files" in result.out


def test_damage_is_named_and_status_six(
    tagfs: Tagfs, vault: Path, passphrase: Path, pictures: Path, home: Path
) -> None:
    common = ("--vault", vault, "--passphrase-file", passphrase)
    tagfs("import", pictures, *common)
    tagfs("wait", *common)
    damaged = max((p for p in (home / "remote").rglob("*") if p.is_file()), key=_size)
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.chmod(0o600)
    damaged.write_bytes(data)
    result = tagfs("verify", "--all", *common)
    assert result.status == 6
    assert damaged.name in result.err


def _size(path: Path) -> int:
    return path.stat().st_size


def test_another_machine_joins_with_the_passphrase_alone(
    tagfs: Tagfs, vault: Path, passphrase: Path, pictures: Path, home: Path
) -> None:
    common = ("--passphrase-file", passphrase)
    tagfs("import", pictures, "--vault", vault, *common)
    assert tagfs("wait", "--vault", vault, *common).status == 0
    shutil.rmtree(vault)
    remote = f"dir://{home}/remote"
    joined = tagfs("join", "--remote", remote, "--vault", home / "second", *common)
    assert joined.status == 0
    found = tagfs("search", "2019 or -2019", "--vault", home / "second", *common, "--json")
    assert len(found.json) >= 3


def test_a_changed_passphrase_is_the_one_that_opens(
    tagfs: Tagfs, vault: Path, passphrase: Path
) -> None:
    changed = tagfs(
        "passwd",
        *("--vault", vault, "--passphrase-file", passphrase),
        *("--new-passphrase-command", "echo brand new passphrase of mine"),
    )
    assert changed.status == 0
    assert tagfs("status", "--vault", vault, "--passphrase-file", passphrase).status == 3
    new = ("--passphrase-command", "echo brand new passphrase of mine")
    assert tagfs("status", "--vault", vault, *new).status == 0


def test_new_recovery_words_open_the_vault_and_the_old_ones_do_not(
    tagfs: Tagfs, home: Path, passphrase: Path
) -> None:
    common = ("--vault", home / "state", "--passphrase-file", passphrase)
    made = tagfs("init", *common, "--remote", f"dir://{home}/remote", "--json")
    old = made.json["recovery_words"]
    changed = tagfs("passwd", "--new-words", *common, "--json")
    assert changed.status == 0
    new = changed.json["recovery_words"]
    assert len(new) == len(old) == 24

    def with_words(words: list[str]) -> int:
        told = ("--passphrase-command", f"echo {' '.join(words)}")
        return tagfs("status", "--vault", home / "state", *told).status

    assert with_words(new) == 0
    assert with_words(old) == 3
    assert tagfs("status", *common).status == 0
    shown = tagfs("passwd", "--new-words", *common)
    assert "Write them down now" in shown.out
    again = re.findall(r"\d+ ([a-z]+)", shown.out)
    assert with_words(again) == 0
    assert with_words(new) == 3


def test_words_and_passphrase_are_not_changed_by_one_command(
    tagfs: Tagfs, vault: Path, passphrase: Path
) -> None:
    common = ("--vault", vault, "--passphrase-file", passphrase)
    both = tagfs("passwd", "--new-words", *common, "--new-passphrase-command", "echo another one")
    assert both.status == 2
    assert tagfs("status", *common).status == 0


def test_a_wrong_old_passphrase_changes_nothing(
    tagfs: Tagfs, vault: Path, passphrase: Path
) -> None:
    refused = tagfs(
        "passwd",
        *("--vault", vault, "--passphrase-command", "echo wrong"),
        *("--new-passphrase-command", "echo brand new passphrase of mine"),
    )
    assert refused.status == 3
    assert tagfs("status", "--vault", vault, "--passphrase-file", passphrase).status == 0


def test_a_vault_that_another_process_has_open_is_status_seven(
    tagfs: Tagfs, vault: Path, passphrase: Path
) -> None:
    lock = StateDir(vault).lock()
    try:
        result = tagfs("status", "--vault", vault, "--passphrase-file", passphrase)
    finally:
        os.close(lock)
    assert result.status == 7


def test_nothing_says_the_passphrase(
    tagfs: Tagfs, vault: Path, passphrase: Path, pictures: Path
) -> None:
    common = ("--vault", vault, "--passphrase-file", passphrase)
    for command in (["import", pictures], ["status"], ["search", "zz"]):
        result = tagfs(*command, *common)
        assert PASSPHRASE not in result.out + result.err
