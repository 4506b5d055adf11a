"""What nothing needs leaves the vault after two phases, and nothing else ever does."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import cbor2
import pytest
import trio
from colours import ByColour, picture
from gallery_kit import Folder, hurry, make, secret_of
from kills import Steps

from tagfs.errors import FileError, Integrity, TagfsError
from tagfs.model import Content
from tagfs.pipeline import collecting, uploading
from tagfs.pipeline.census import Census, take_census
from tagfs.pipeline.collecting import GcReport, collect
from tagfs.pipeline.condemned import Phase
from tagfs.pipeline.disk import REAL, Disk
from tagfs.pipeline.from_objects import recover_from_objects
from tagfs.pipeline.looking import Looks
from tagfs.pipeline.opening import OpenStore, join, open_gallery
from tagfs.pipeline.putting_back import put_back
from tagfs.pipeline.retention import DAY_MS, expire
from tagfs.pipeline.state_dir import StateDir
from tagfs.vault.layout import object_path
from tagfs.vault.vault import Vault

DATA = b"a photo that is deleted" * 100
NIGHT = 1_800_000_000_000_000_000
"""When these tests begin, in nanoseconds since 1970."""


class Days:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.now = NIGHT

    def __call__(self) -> int:
        self.now += 1_000_000
        return self.now

    def pass_by(self, days: float) -> None:
        self.now += int(days * DAY_MS) * 1_000_000


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish without waiting for more."""
    monkeypatch.setattr(uploading, "PAUSE", 0.0)


@asynccontextmanager
async def at(
    tmp: Path,
    days: Days,
    state: str = "state",
    disk: Disk = REAL,
    open_remote: OpenStore | None = None,
    recogniser: Looks | None = None,
) -> AsyncIterator[Folder]:
    place = tmp / state
    async with open_gallery(
        place,
        secret_of(place),
        now_ns=days,
        disk=disk,
        open_remote=open_remote,
        recogniser=recogniser,
    ) as gallery:
        hurry(gallery)
        yield Folder(gallery)


def objects(tmp: Path) -> set[str]:
    found = (tmp / "remote" / "o").rglob("*")
    return {str(p.relative_to(tmp / "remote")) for p in found if p.is_file()}


def content_of(g: Folder, path: str) -> Content:
    held = g.tree.at(path.encode()).content
    assert held is not None
    content = g.gallery.state.photos.content(held[0])
    assert content is not None
    return content


def paths(content: Content) -> set[str]:
    return {object_path(part.name) for part in content.parts}


async def joined(tmp: Path) -> None:
    """Set up ``tmp/other`` from the remote alone."""
    url = StateDir(tmp / "state").settings().remote
    await join(tmp / "other", url, secret_of(tmp / "state"))


async def gc(g: Folder, dry_run: bool = False) -> GcReport:
    expire(g.gallery.ledger)
    return await collect(g.gallery, dry_run)


async def deleted_for(g: Folder, days: Days, path: str, since: float) -> Content:
    """Write, store and delete a file, and let days pass."""
    await g.write(path, DATA)
    assert await g.gallery.wait("stored", 60)
    content = content_of(g, path)
    g.tree.acting(7)
    g.rm(path)
    days.pass_by(since)
    return content


def test_what_was_deleted_goes_after_the_trash_undo_and_a_grace_and_not_before(
    tmp_path: Path,
) -> None:
    async def script() -> None:
        await make(tmp_path)
        days = Days()
        async with at(tmp_path, days) as g:
            await g.write("stays.bin", b"stays")
            content = await deleted_for(g, days, "a.bin", 29)
            assert paths(content) < objects(tmp_path)
            for _ in range(8):  # up to day 37
                report = await gc(g)
                assert (report.condemned, report.deleted) == (0, 0)
                days.pass_by(1)
            days.pass_by(0.1)
            dry = await gc(g, dry_run=True)
            assert (dry.condemned, dry.condemned_bytes, dry.deleted) == (1, 2908, 0)
            report = await gc(g)
            assert (report.condemned, report.condemned_bytes, report.deleted) == (1, 2908, 0)
            assert list(report.waiting.values()) == [1]
            days.pass_by(6.9)
            assert (await gc(g)).deleted == 0
            assert paths(content) < objects(tmp_path)
            days.pass_by(0.2)
            dry = await gc(g, dry_run=True)
            assert (dry.deleted, dry.freed) == (1, 2908)
            assert paths(content) < objects(tmp_path)
            report = await gc(g)
            assert (report.deleted, report.freed, dict(report.waiting)) == (1, 2908, {})
            assert paths(content).isdisjoint(objects(tmp_path))
            assert not any(g.gallery.spool.is_here(part.name) for part in content.parts)
            report = await gc(g)
            assert (report.condemned, report.deleted, report.failed) == (0, 0, [])
            assert await g.read("stays.bin") == b"stays"
            assert not (await g.gallery.verify(1.0)).problems

    trio.run(script)


@pytest.mark.parametrize("when", ["condemned", "deleted"])
def test_bytes_that_are_written_again_are_uploaded_again(tmp_path: Path, when: str) -> None:
    async def script() -> None:
        await make(tmp_path)
        days = Days()
        async with at(tmp_path, days) as g:
            old = await deleted_for(g, days, "a.bin", 37.5)
            assert (await gc(g)).condemned == 1
            if when == "deleted":
                days.pass_by(7.1)
                assert (await gc(g)).deleted == 1
            await g.write("again.bin", DATA)
            new = content_of(g, "again.bin")
            assert new.id == old.id
            assert paths(new).isdisjoint(paths(old))
            assert await g.gallery.wait("stored", 60)
            days.pass_by(100)
            await gc(g)
            days.pass_by(100)
            assert (await gc(g)).failed == []
            assert paths(old).isdisjoint(objects(tmp_path))
            assert paths(new) <= objects(tmp_path)
        async with at(tmp_path, days) as g:  # as a start finds it
            assert await g.read("again.bin") == DATA
            assert not (await g.gallery.verify(1.0)).problems
        await join(
            tmp_path / "other",
            StateDir(tmp_path / "state").settings().remote,
            secret_of(tmp_path / "state"),
        )
        async with at(tmp_path, days, "other") as g:
            assert await g.read("again.bin") == DATA

    trio.run(script)


def test_what_is_open_in_the_trash_or_can_be_brought_back_is_never_condemned(
    tmp_path: Path,
) -> None:
    async def script() -> None:
        await make(tmp_path)
        days = Days()
        async with at(tmp_path, days) as g:
            for number, name in enumerate(("open.bin", "binned.bin", "undone.bin", "over.bin")):
                await g.write(name, b"%d" % number * 1000)
            assert await g.gallery.wait("stored", 60)
            handle = await g.open("open.bin", os.O_RDONLY)
            g.tree.acting(1)
            g.rm("open.bin")
            days.pass_by(37.5)
            expire(g.gallery.ledger)
            g.tree.acting(2)
            g.rm("binned.bin")
            days.pass_by(8)
            g.tree.acting(3)
            g.rm("undone.bin")
            days.pass_by(0.1)
            g.tree.acting(4)
            g.rm("trash/undone.bin")
            await g.write("over.bin", b"other bytes")
            assert await g.gallery.wait("stored", 60)
            assert (await gc(g)).condemned == 0
            assert bytes(await handle.read(0, 5)) == b"00000"
            await handle.release()
            assert (await gc(g)).condemned == 1  # what was open, and nothing else
            assert g.names("trash") == ["binned.bin", "over.bin"]
            g.mv("trash/binned.bin", "binned.bin")
            assert await g.read("binned.bin") == b"1" * 1000

    trio.run(script)


def test_nothing_is_deleted_in_a_vault_that_has_had_a_second_device(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        days = Days()
        async with at(tmp_path, days) as g:
            await deleted_for(g, days, "a.bin", 37.5)
            assert (await gc(g)).condemned == 1
            there = objects(tmp_path)
            await joined(tmp_path)
            days.pass_by(30)
            with pytest.raises(TagfsError, match="second device"):
                await gc(g)
            dry = await gc(g, dry_run=True)
            assert dry.shared
            assert objects(tmp_path) == there

    trio.run(script)


def test_what_cannot_be_read_or_is_not_there_proves_nothing(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        days = Days()
        async with at(tmp_path, days) as g:
            await deleted_for(g, days, "a.bin", 37.5)
            assert (await gc(g)).condemned == 1
            days.pass_by(8)
            there = objects(tmp_path)
            (*_, last) = sorted(
                (tmp_path / "remote" / "j").rglob("*"),
                key=lambda p: (p.is_file(), p.stat().st_mtime_ns),
            )
            held = last.read_bytes()
            last.unlink()
            with pytest.raises(Integrity):
                await gc(g)
            last.write_bytes(held[:-1] + bytes([held[-1] ^ 1]))
            with pytest.raises(Integrity):
                await gc(g)
            assert objects(tmp_path) == there
            last.unlink()
            last.write_bytes(held)
            assert (await gc(g)).deleted == 1

    trio.run(script)


def test_a_listing_is_never_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def script() -> None:
        await make(tmp_path)
        days = Days()
        async with at(tmp_path, days) as g:
            await deleted_for(g, days, "a.bin", 37.5)
            assert await g.gallery.wait("stored", 60)
            asked: list[str] = []
            real = g.gallery.store.list

            async def listed(prefix: str = "", cursor: str | None = None) -> object:
                asked.append(prefix)
                return await real(prefix, cursor)

            monkeypatch.setattr(g.gallery.vault.store, "list", listed)
            assert (await gc(g)).condemned == 1
            days.pass_by(8)
            assert (await gc(g)).deleted == 1
            assert set(asked) <= {"h/"}  # the header's generations are probed from the one known

    trio.run(script)


def test_a_clock_that_goes_back_or_notes_that_are_lost_only_let_it_wait_longer(
    tmp_path: Path,
) -> None:
    async def script() -> None:
        await make(tmp_path)
        days = Days()
        async with at(tmp_path, days) as g:
            await deleted_for(g, days, "a.bin", 37.5)
            assert (await gc(g)).condemned == 1
            days.pass_by(-20)
            report = await gc(g)  # by this clock the deletion can be undone again
            assert (report.revived, report.deleted) == (1, 0)
            days.pass_by(27)
            report = await gc(g)
            assert (report.condemned, report.deleted) == (1, 0)
            days.pass_by(6.9)
            assert (await gc(g)).deleted == 0
        for name in ("journal", "catalog"):
            shutil.rmtree(tmp_path / "state" / name)
        async with at(tmp_path, days) as g:
            days.pass_by(6.9)
            assert (await gc(g)).deleted == 0
            days.pass_by(6.9)
            assert (await gc(g)).deleted == 0
            days.pass_by(0.2)
            assert (await gc(g)).deleted == 1

    trio.run(script)


def test_who_reads_what_is_deleted_gets_an_error(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        days = Days()
        async with at(tmp_path, days) as g:
            content = await deleted_for(g, days, "a.bin", 37.5)
            reader = g.gallery.contents.reader(content)
            assert (await gc(g)).condemned == 1
            days.pass_by(7.1)
            assert (await gc(g)).deleted == 1
            with pytest.raises(FileError):
                await reader.read(0, 10)

    trio.run(script)


def test_killed_at_any_step_a_deletion_is_gone_on_with_and_takes_nothing_else(
    tmp_path: Path,
) -> None:
    days = Days()

    async def run(steps: Steps) -> Content:
        await make(tmp_path)
        async with at(tmp_path, days, disk=steps, open_remote=steps.store) as g:
            await g.write("stays.bin", b"stays")
            content = await deleted_for(g, days, "a.bin", 37.5)
            assert await g.gallery.wait("stored", 60)
            steps.watching = True
            assert (await gc(g)).condemned == 1
            days.pass_by(7.1)
            assert (await gc(g)).deleted == 1
            await g.gallery.sync()
            steps.watching = False
        return content

    async def start_again(moment: Path, old: Content, again: bool) -> None:
        async with at(moment, days) as g:
            if not paths(old) <= objects(moment):  # nothing went before it was noted that it does
                passing = g.gallery.ledger.local.condemned.get(old.record)
                assert passing is not None
                assert passing.phase in (Phase.DELETING, Phase.DELETED)
            if again:
                await g.write("again.bin", DATA)
            for _ in range(3):
                report = await gc(g)
                assert report.failed == []
                days.pass_by(7.1)
            if not again:
                assert paths(old).isdisjoint(objects(moment))
            assert await g.gallery.wait("stored", 60)
            assert not (await g.gallery.verify(1.0)).problems
            await trio.to_thread.run_sync(g.gallery.spool.shrink, 0)
        async with at(moment, days) as g:
            assert await g.read("stays.bin") == b"stays"
            assert not again or await g.read("again.bin") == DATA

    steps = Steps(tmp_path)
    old = trio.run(run, steps)
    assert any("deleting" in what for what, _ in steps.moments)
    for number, (what, moment) in enumerate(steps.moments):
        try:
            trio.run(start_again, moment, old, number % 2 == 1)
        except BaseException as e:
            e.add_note(f"killed at step {number}, after {what}")
            raise


def test_packs_stay_and_a_photo_that_comes_again_has_what_was_seen(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        days = Days()
        async with at(tmp_path, days, recogniser=ByColour()) as g:
            await g.write("dog.png", picture(200))
            assert await g.gallery.wait("stored", 60)
            content = content_of(g, "dog.png")
            packs = objects(tmp_path) - paths(content)
            assert packs
            g.tree.acting(7)
            g.rm("dog.png")
            days.pass_by(37.5)
            assert (await gc(g)).condemned == 1
            days.pass_by(7.1)
            assert (await gc(g)).deleted == 1
            assert objects(tmp_path) == packs
            assert "dog" not in g.names("tags")
            await g.write("dog.png", picture(200))
            assert await g.gallery.wait("stored", 60)
            assert g.names("tags/dog") == ["dog.png"]
            photo = g.gallery.state.photos.get(content.id)
            assert photo is not None
            assert photo.sight is not None
            for reference in filter(None, (photo.sight.details, photo.sight.thumbnail)):
                pack, offset, length = reference
                record = g.gallery.state.photos.content(pack)
                assert record is not None
                read = g.gallery.contents.reader(record).read
                assert len(bytes(await read(offset, length))) == length

    trio.run(script)


@pytest.mark.parametrize(
    ("unit", "why"),
    [
        ([bytes(16), 1, [[7, "of a later version"]]], "update tagfs"),
        ([bytes(16), 1, [[1, 1, bytes(16), 99, None]]], "update tagfs"),
        ([bytes(15), 1, []], "malformed"),
        ([bytes(16), 2**63, []], "clock"),
    ],
)
def test_what_is_not_understood_in_a_journal_proves_nothing(
    tmp_path: Path, unit: list[object], why: str
) -> None:
    async def script() -> None:
        await make(tmp_path)
        days = Days()
        async with at(tmp_path, days) as g:
            await deleted_for(g, days, "a.bin", 37.5)
            assert (await gc(g)).condemned == 1
            await g.gallery.vault.publish([cbor2.dumps(unit)])
            days.pass_by(8)
            there = objects(tmp_path)
            with pytest.raises(Integrity, match=why):
                await gc(g)
            assert objects(tmp_path) == there

    trio.run(script)


def test_a_state_directory_that_is_older_than_its_journal_deletes_nothing(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        days = Days()
        async with at(tmp_path, days) as g:
            await deleted_for(g, days, "a.bin", 37.5)
            assert (await gc(g)).condemned == 1
        shutil.copytree(tmp_path / "state", tmp_path / "older")
        async with at(tmp_path, days) as g:
            await g.write("b.bin", b"b")
            assert await g.gallery.wait("stored", 60)
        days.pass_by(8)
        there = objects(tmp_path)
        async with at(tmp_path, days, "older") as g:
            with pytest.raises(TagfsError, match="older"):
                await collect(g.gallery, False)
        assert objects(tmp_path) == there
        async with at(tmp_path, days) as g:
            assert (await gc(g)).deleted == 1

    trio.run(script)


def test_what_is_not_in_the_vault_yet_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "PUBLISHED_IN", 0.2)

    async def script() -> None:
        await make(tmp_path)
        days = Days()
        async with at(tmp_path, days) as g:
            await deleted_for(g, days, "a.bin", 37.5)
            assert await g.gallery.wait("stored", 60)
            await g.gallery.uploader.line.pause()
            g.mkdir("not yet told")
            with pytest.raises(TagfsError, match="tagfs wait"):
                await gc(g)

    trio.run(script)


def test_all_parts_of_a_large_content_go(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        days = Days()
        async with at(tmp_path, days) as g:
            await g.write("large.bin", os.urandom(34_000_000))
            assert await g.gallery.wait("stored", 60)
            g.tree.acting(7)
            g.rm("large.bin")
            days.pass_by(37.5)
            assert (await gc(g)).condemned == 1
            days.pass_by(7.1)
            report = await gc(g)
            assert (report.deleted, objects(tmp_path)) == (2, set())
            assert not list((tmp_path / "state" / "cache").rglob("?" * 30))

    trio.run(script)


@pytest.mark.parametrize("acts", ["write", "write, rm", "write, rm, rm from trash"])
def test_what_is_done_while_the_journals_are_read_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, acts: str
) -> None:
    async def script() -> None:
        await make(tmp_path)
        days = Days()
        async with at(tmp_path, days) as g:
            content = await deleted_for(g, days, "a.bin", 37.5)
            expire(g.gallery.ledger)

            async def and_meanwhile(vault: Vault) -> Census:
                census = await take_census(vault)
                g.tree.acting(8)
                await g.write("again.bin", DATA)
                if "rm" in acts:
                    g.tree.acting(9)
                    g.rm("again.bin")
                if "from trash" in acts:
                    g.tree.acting(10)
                    g.rm("trash/again.bin")
                return census

            with monkeypatch.context() as patch:
                patch.setattr(collecting, "take_census", and_meanwhile)
                assert (await gc(g)).condemned == 0
            for _ in range(acts.count("rm")):
                g.gallery.undoing.undo()
            assert content_of(g, "again.bin").record == content.record
            days.pass_by(8)
            assert (await gc(g)).deleted == 0
            await trio.to_thread.run_sync(g.gallery.spool.shrink, 0)
            assert await g.read("again.bin") == DATA

    trio.run(script)


def test_what_comes_again_while_the_journals_are_read_for_its_deletion_is_stored_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script() -> None:
        await make(tmp_path)
        days = Days()
        async with at(tmp_path, days) as g:
            await deleted_for(g, days, "a.bin", 37.5)
            assert (await gc(g)).condemned == 1
            days.pass_by(8)

            async def and_meanwhile(vault: Vault) -> Census:
                census = await take_census(vault)
                await g.write("again.bin", DATA)
                return census

            with monkeypatch.context() as patch:
                patch.setattr(collecting, "take_census", and_meanwhile)
                await gc(g)
            assert await g.gallery.wait("stored", 60)
            await g.gallery.sync()
            await gc(g)
            await trio.to_thread.run_sync(g.gallery.spool.shrink, 0)
            assert await g.read("again.bin") == DATA
            assert objects(tmp_path) == paths(content_of(g, "again.bin"))

    trio.run(script)


def test_neither_repair_brings_back_what_is_condemned_or_misses_what_is_deleted(
    tmp_path: Path,
) -> None:
    async def repair(g: Folder) -> None:
        found = await recover_from_objects(g.gallery)
        assert (found.files, found.failed) == (0, [])
        put = await put_back(g.gallery, None)
        assert (put.put, put.failed) == (0, [])

    async def script() -> None:
        await make(tmp_path)
        days = Days()
        async with at(tmp_path, days) as g:
            await g.write("stays.bin", b"stays")
            content = await deleted_for(g, days, "a.bin", 37.5)
            assert (await gc(g)).condemned == 1
            await repair(g)
            days.pass_by(7.1)
            assert (await gc(g)).deleted == 1
            await repair(g)
            assert paths(content).isdisjoint(objects(tmp_path))
        await joined(tmp_path)
        async with at(tmp_path, days, "other") as g:
            await repair(g)
            assert g.gallery.state.photos.content(content.id) is None

    trio.run(script)
