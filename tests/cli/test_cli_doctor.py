"""``tagfs doctor``: each thing that can be wrong is named, with what to do, and nothing else is."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio
from cli_kit import PASSPHRASE, Result

from tagfs.catalog.sanity import contradictions
from tagfs.mount.service import open_service
from tagfs.pipeline import checkup, inner_checkup
from tagfs.pipeline.finding import Finding, Verdict, status_of
from tagfs.pipeline.state_dir import StateDir
from tagfs.recognise import packs
from tagfs.remote.memory import MemoryStore
from tagfs.remote.url import dir_url
from tagfs.vault.slots import Passphrase

Tagfs = Callable[..., Result]
REAL_MODELS = checkup.models


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting a real worker takes a while, and whether models are here is not the question."""

    async def models() -> list[Finding]:
        return [Finding("models", Verdict.OK, "There is a model.")]

    monkeypatch.setattr(checkup, "models", models)
    monkeypatch.setattr("tagfs.mount.mountpoint.check_fuse", lambda options: None)


def wrong(result: Result) -> dict[str, dict[str, object]]:
    found = result.json["findings"]
    return {f["check"]: f for f in found if f["verdict"] == "wrong"}


def verdicts(result: Result) -> dict[str, str]:
    return {f["check"]: f["verdict"] for f in result.json["findings"]}


def test_a_machine_without_a_vault_is_no_failure_but_a_named_vault_must_be_there(
    tagfs: Tagfs, home: Path
) -> None:
    fresh = tagfs("doctor")
    assert fresh.status == 0
    assert "tagfs mount ~/Gallery" in fresh.out
    named = tagfs("doctor", "--vault", home / "nowhere", "--json")
    assert named.status == 4
    assert list(wrong(named)) == ["state"]


def test_a_vault_in_order_has_nothing_wrong_and_nothing_of_the_check_stays(
    tagfs: Tagfs, vault: Path, passphrase: Path, home: Path
) -> None:
    before = sorted(home.joinpath("remote").rglob("[!.]*"))
    closed = tagfs("doctor", "--vault", vault, "--json")
    assert closed.status == 0
    assert closed.json["ok"] is True
    assert verdicts(closed)["inside"] == "unknown"
    opened = tagfs("doctor", "--vault", vault, "--passphrase-file", passphrase, "--json")
    assert opened.status == 0, opened.out
    told = verdicts(opened)
    assert {told[c] for c in ("state", "remote", "clock", "daemon", "journal", "catalog")} == {"ok"}
    after = sorted(home.joinpath("remote").rglob("[!.]*"))
    assert [p for p in after if "probe" in p.name] == []
    assert set(before) <= set(after)
    lines = tagfs("doctor", "--vault", vault).out.splitlines()
    assert all(line.split()[0] in ("ok", "note", "unknown") for line in lines)
    assert tagfs("doctor", "--vault", vault, "--quiet").out == ""


def test_a_machine_that_cannot_cut_a_mount_off_is_told_what_to_mount(
    tagfs: Tagfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for there, expected in ((True, None), (False, "note")):
        monkeypatch.setattr("tagfs.mount.connection.can_be_cut_off", lambda there=there: there)
        told = tagfs("doctor", "--json")
        assert told.status == 0
        assert verdicts(told).get("fusectl") == expected


def test_a_remote_that_is_not_connected_is_status_five(
    tagfs: Tagfs, vault: Path, home: Path
) -> None:
    (home / "remote").rename(home / "elsewhere")
    result = tagfs("doctor", "--vault", vault, "--json")
    assert result.status == 5
    assert list(wrong(result)) == ["remote"]
    assert "Connect the disk" in str(wrong(result)["remote"]["text"])
    assert "Connect the disk" in tagfs("doctor", "--vault", vault, "--quiet").err


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_remote_that_takes_nothing_is_told(tagfs: Tagfs, vault: Path, home: Path) -> None:
    (home / "remote").chmod(0o500)
    try:
        result = tagfs("doctor", "--vault", vault, "--json")
    finally:
        (home / "remote").chmod(0o700)
    assert result.status == 5


def test_a_folder_that_is_no_vault_any_more_is_told(tagfs: Tagfs, vault: Path, home: Path) -> None:
    for header in (home / "remote" / "h").iterdir():
        header.unlink()
    result = tagfs("doctor", "--vault", vault, "--json")
    assert result.status == 4
    assert "no vault" in str(wrong(result)["remote"]["text"])


def test_a_store_that_forgets_bytes_is_not_to_be_trusted() -> None:
    class Forgetful(MemoryStore):
        async def get(self, name: str, offset: int = 0, size: int | None = None) -> bytes:
            return bytes(len(await super().get(name, offset, size)))

    async def main() -> list[Finding]:
        return await checkup._exchange(Forgetful("x"), time.time)

    (found,) = trio.run(main)
    assert (found.verdict, found.status) == (Verdict.WRONG, 6)


def test_a_wrong_passphrase_is_status_three(tagfs: Tagfs, vault: Path) -> None:
    result = tagfs("doctor", "--vault", vault, "--passphrase-command", "echo wrong", "--json")
    assert result.status == 3
    assert list(wrong(result)) == ["inside"]


def test_what_is_missing_or_open_to_others_in_the_state_directory_is_told(
    tagfs: Tagfs, vault: Path
) -> None:
    vault.chmod(0o755)
    (vault / "header").rename(vault / "away")
    result = tagfs("doctor", "--vault", vault, "--json")
    assert result.status == 6
    assert "tagfs join" in str(wrong(result)["state"]["do"])
    notes = [f for f in result.json["findings"] if f["verdict"] == "note"]
    assert [f["do"] for f in notes] == [f"Close it with `chmod 700 {vault}`."]


def test_a_vault_that_another_command_has_open_is_told(tagfs: Tagfs, vault: Path) -> None:
    lock = StateDir(vault).lock()
    try:
        result = tagfs("doctor", "--vault", vault, "--json")
    finally:
        os.close(lock)
    assert verdicts(result)["daemon"] == "note"
    assert "in use" in str(result.json["findings"])


def test_temporary_files_of_a_crash_are_named_when_they_are_old(tagfs: Tagfs, vault: Path) -> None:
    (vault / "header.new").write_bytes(b"half")
    assert "header.new" not in tagfs("doctor", "--vault", vault).out
    os.utime(vault / "header.new", (1, 1))
    assert str(vault / "header.new") in tagfs("doctor", "--vault", vault).out


def test_a_full_disk_is_told_and_one_that_fills_up_is_noted(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.statvfs(home)

    def disk(free: int, inodes: int = 10**6) -> Verdict:
        fields = list(real)
        fields[:7] = [4096, 4096, 2**24, 0, free // 4096, 10**6, 0]
        fields[7] = inodes
        monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(fields))
        (found,) = checkup.disk(home)
        return found.verdict

    assert disk(30 * 2**30) is Verdict.OK
    assert disk(1 * 2**30) is Verdict.NOTE
    assert disk(400 * 2**20) is Verdict.WRONG
    assert disk(30 * 2**30, inodes=5) is Verdict.WRONG


def test_clocks_that_differ_are_noted_and_absurd_ones_are_wrong() -> None:
    def verdict(theirs: float, both_ways: bool) -> list[Verdict]:
        return [f.verdict for f in checkup.clock("it", theirs, 1e9, both_ways)]

    assert verdict(1e9 - 60, True) == verdict(1e9 - 9e8, False) == []
    assert verdict(1e9 - 3600, True) == verdict(1e9 + 3600, False) == [Verdict.NOTE]
    assert verdict(1e9 + 9e6, False) == verdict(1e9 - 9e6, True) == [Verdict.WRONG]


def test_a_clock_that_was_set_back_is_told_without_the_passphrase_and_with_it(
    vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = time.time() - 30 * 86400
    assert checkup.local_clock(vault, lambda: past)[0].verdict is Verdict.WRONG

    async def main() -> list[Finding]:
        async with open_service(vault, Passphrase(PASSPHRASE), False) as service:
            service.tree.mkdir(1, b"now", 0o755)
            monkeypatch.setattr(service.gallery.ledger, "now_ns", lambda: int(past * 1e9))
            return await inner_checkup.look_inside(service.gallery)

    found = {f.check: f for f in trio.run(main)}
    assert found["clock"].verdict is Verdict.WRONG
    assert "30 days behind" in found["clock"].text


def test_the_remotes_clock_is_compared_with_ours(vault: Path, home: Path) -> None:
    async def main() -> list[Finding]:
        return await checkup.remote(dir_url(home / "remote"), lambda: time.time() + 7200)

    assert [f.check for f in trio.run(main)] == ["remote", "clock"]


def test_a_catalog_that_contradicts_itself_is_told(vault: Path) -> None:
    async def main() -> None:
        async with open_service(vault, Passphrase(PASSPHRASE), False) as service:
            gallery = service.gallery
            assert [p for p in contradictions(gallery.state, 100) if p] == []
            gallery.state.photos.postings.add(b"@all", 77)
            found = {f.check: f for f in await inner_checkup.look_inside(gallery)}
            assert found["catalog"].verdict is Verdict.WRONG
            assert found["catalog"].status == 6
            assert "built anew" in found["catalog"].todo

    trio.run(main)


def test_models_that_are_missing_or_damaged_are_told(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGFS_MODELS", str(home))
    (missing,) = trio.run(REAL_MODELS)
    assert missing.verdict is Verdict.WRONG
    assert "tagfs models install" in missing.text
    packs.model_path(packs.load()).write_bytes(b"no model")
    (damaged,) = trio.run(REAL_MODELS)
    assert (damaged.verdict, damaged.status) == (Verdict.WRONG, 6)


def test_an_installed_model_is_tried_in_a_worker() -> None:
    if not packs.is_installed(packs.load()):
        pytest.skip("the default model pack is not installed: run `tagfs models install`")
    (found,) = trio.run(REAL_MODELS)
    assert found.verdict is Verdict.OK


def test_the_status_is_that_of_the_one_thing_that_is_wrong() -> None:
    five = Finding("a", Verdict.WRONG, "x", "", 5)
    six = Finding("b", Verdict.WRONG, "x", "", 6)
    note = Finding("c", Verdict.NOTE, "x")
    assert status_of([]) == status_of([note]) == 0
    assert status_of([note, five]) == status_of([five, five]) == 5
    assert status_of([five, six]) == 1
    assert [Finding.from_json(f.as_json()) for f in (five, six)] == [five, six]


@pytest.fixture
def daemon(tagfs: Tagfs, vault: Path, passphrase: Path, mountpoint: Path) -> Iterator[int]:
    result = tagfs("mount", mountpoint, "--vault", vault, "--passphrase-file", passphrase, "--json")
    assert result.status == 0, result.err
    yield int(result.json["pid"])
    tagfs("umount", mountpoint)


def runs(pid: int) -> bool:
    """Say whether a process is there and no zombie; others may not look at more of a daemon.

    While other threads of it still end, its first one is a zombie and its socket open.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    fields = stat.rpartition(")")[2].split()
    return fields[0] not in ("Z", "X") or int(fields[17]) > 1


@pytest.mark.root
@pytest.mark.mount
def test_the_daemon_looks_inside_and_a_mount_that_a_dead_one_left_is_told(
    daemon: int, tagfs: Tagfs, vault: Path, passphrase: Path, mountpoint: Path
) -> None:
    alive = tagfs("doctor", "--vault", vault, "--json")
    assert alive.status == 0, alive.out
    told = verdicts(alive)
    assert told["mount"] == told["daemon"] == told["catalog"] == "ok"
    assert tagfs("umount", mountpoint).status == 0
    mounting = ("mount", mountpoint, "--vault", vault, "--passphrase-file", passphrase)
    again = tagfs(*mounting, "-o", "no_auto_unmount", "--json")
    os.kill(again.json["pid"], signal.SIGKILL)
    while runs(again.json["pid"]):
        time.sleep(0.01)
    dead = tagfs("doctor", "--vault", vault, "--json")
    assert dead.status == 7
    assert f"tagfs umount {mountpoint}" in str(wrong(dead)["mount"]["do"])
