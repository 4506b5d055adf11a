"""With journals gone or damaged every photo comes back from the objects alone."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from colours import ByColour, photo
from gallery_kit import QUICK, SECRET, Folder, hurry

from tagfs.errors import Integrity, NotFound
from tagfs.pipeline import opening
from tagfs.pipeline.from_objects import ObjectsReport, recover_from_objects
from tagfs.pipeline.importing import import_paths
from tagfs.pipeline.looking import Looks
from tagfs.remote.memory import Fault, Harm, MemoryStore, Verb
from tagfs.remote.store import Page
from tagfs.vault.layout import object_name, object_path
from tagfs.vault.objects import HEAD, SEALED_TRAILER, read_trailer
from tagfs.vault.ops import Entity, Field, SetRegister
from tagfs.vault.slots import Words

FILES = {
    "2019/beach.jpg": photo(1),
    "2019/dog.jpg": photo(2),
    "letters/tax.pdf": b"%PDF-1.4 " + random.Random(3).randbytes(200_000),
    "letters/empty line.txt": b"\n",
    "film.bin": random.Random(4).randbytes(34_000_000),  # two parts
    "whole.bin": random.Random(5).randbytes(2 * 131072),
}
BACK = {path.rpartition("/")[2]: data for path, data in FILES.items()}


class Vaults:
    """State directories over one remote in memory."""

    def __init__(self, tmp: Path) -> None:
        self.tmp = tmp
        self.remote = MemoryStore()
        self.words = ""

    def reach(self, url: str, create: bool) -> MemoryStore:
        return self.remote

    async def make(self) -> None:
        self.words = await opening.create(
            self.tmp / "state", "memory://", SECRET, QUICK, self.reach
        )

    async def join(self, state: str, words: bool = False) -> None:
        secret = Words(self.words) if words else SECRET
        await opening.join(self.tmp / state, "memory://", secret, self.reach)

    @asynccontextmanager
    async def opened(
        self, state: str = "state", looks: Looks | None = None, salvage: bool = False
    ) -> AsyncIterator[Folder]:
        async with opening.open_gallery(
            self.tmp / state, SECRET, recogniser=looks, open_remote=self.reach, salvage=salvage
        ) as gallery:
            gallery.looker.settle = gallery.looker.batch_wait = 0.05
            hurry(gallery)
            yield Folder(gallery)

    async def fill(self, files: dict[str, bytes] = FILES) -> None:
        """Make the vault and store ``files`` in it, looked at."""
        await self.make()
        async with self.opened(looks=ByColour()) as g:
            for folder in sorted({p.rpartition("/")[0] for p in files} - {""}):
                g.mkdir(folder)
            for path, data in files.items():
                await g.write(path, data)
            assert await g.gallery.wait("stored", 60)

    def lose(self, *prefixes: str) -> None:
        """Remove what begins so from the remote."""
        for name in [n for n in self.remote.objects if n.startswith(prefixes)]:
            del self.remote.objects[name]

    def damage(self, name: str) -> None:
        data = bytearray(self.remote.objects[name])
        data[len(data) // 3] ^= 1
        self.remote.objects[name] = bytes(data)


async def written(vaults: Vaults, g: Folder, name: str, data: bytes) -> list[str]:
    """Write a file; return the segments that came of it."""
    before = set(vaults.remote.objects)
    await g.write(name, data)
    assert await g.gallery.wait("stored", 60)
    return [n for n in vaults.remote.objects if n[0] == "j" and n not in before]


def condemn(g: Folder) -> None:
    """Say of the only content that its record counts no more, as tagfs gc does."""
    (ident,) = g.gallery.state.photos.contents()
    content = g.gallery.state.photos.content(ident)
    assert content is not None
    said = SetRegister(Entity.PHOTO, ident, Field.CONDEMNED, (content.record,))
    g.gallery.ledger.commit([said])


async def back(g: Folder) -> tuple[ObjectsReport, str]:
    """Recover; return the report and the folder's name."""
    report = await recover_from_objects(g.gallery)
    return report, report.folder or ""


def by_name(vaults: Vaults, g: Folder) -> dict[str, list[str]]:
    """Return for each file name the objects whose trailers have it, in the order of their parts."""
    found: dict[str, list[tuple[int, str]]] = {}
    for path, data in vaults.remote.objects.items():
        name = object_name(path)
        if name is not None:
            tail = data[-SEALED_TRAILER:]
            trailer, _ = read_trailer(g.gallery.ledger.ring, name, tail, data[:HEAD], len(data))
            found.setdefault(trailer.name.decode(), []).append((trailer.number, path))
    return {name: [path for _, path in sorted(parts)] for name, parts in found.items()}


@pytest.mark.parametrize("gone", [("j/",), ("j/", "d/")])
@pytest.mark.parametrize("words", [False, True])
def test_with_every_journal_gone_every_byte_comes_back(
    tmp_path: Path, gone: tuple[str, ...], words: bool
) -> None:
    async def script() -> None:
        vaults = Vaults(tmp_path)
        await vaults.fill()
        vaults.lose(*gone)
        await vaults.join("new", words)
        before = dict(vaults.remote.objects)
        async with vaults.opened("new", salvage=True) as g:
            assert "2019" not in g.names()
            report, folder = await back(g)
            assert (report.files, report.failed, report.published) == (len(FILES), [], True)
            assert report.packs == 1
            assert g.names(folder) == sorted(BACK)
            for name, data in BACK.items():
                assert await g.read(f"{folder}/{name}") == data
            assert sorted(g.names("all")) == ["beach.jpg", "dog.jpg"]
            problems = (await g.gallery.verify(1.0)).problems
            assert all("has no certificate" in p for p in problems), problems
            assert bool(problems) == ("d/" in gone)
        assert before.items() <= vaults.remote.objects.items(), "an object was changed or deleted"

    trio.run(script)


def test_times_and_kinds_come_back_with_the_bytes(tmp_path: Path) -> None:
    async def script() -> None:
        vaults = Vaults(tmp_path)
        await vaults.make()
        source = tmp_path / "sea.jpg"
        source.write_bytes(photo(9))
        os.utime(source, ns=(0, 1_500_000_000_123_456_789))
        async with vaults.opened() as g:
            await import_paths(g.gallery, [source])
            assert await g.gallery.wait("stored", 60)
        vaults.lose("j/")
        await vaults.join("new")
        async with vaults.opened("new", salvage=True) as g:
            await back(g)
            (ident,) = g.gallery.state.photos.contents()
            content = g.gallery.state.photos.content(ident)
            assert content is not None
            assert content.media_type == "image/jpeg"
            (item,) = g.gallery.state.photos.get(ident).files  # type: ignore[union-attr]
            record = g.gallery.state.file(item)
            assert record is not None
            assert record.mtime_ns == 1_500_000_000_123_456_789

    trio.run(script)


def test_recovering_twice_changes_nothing_and_other_devices_see_what_came_back(
    tmp_path: Path,
) -> None:
    async def script() -> None:
        vaults = Vaults(tmp_path)
        await vaults.fill()
        vaults.lose("j/")
        await vaults.join("new")
        async with vaults.opened("new", salvage=True) as g:
            await back(g)
            before = g.gallery.state.state_hash()
        objects = dict(vaults.remote.objects)
        async with vaults.opened("new") as g:
            report, _ = await back(g)
            assert (report.files, report.folder, report.failed) == (0, None, [])
            assert g.gallery.state.state_hash() == before
        assert vaults.remote.objects == objects
        await vaults.join("third")
        async with vaults.opened("third") as g:
            assert g.gallery.state.state_hash() == before

    trio.run(script)


def test_two_devices_that_recover_at_the_same_time_make_the_same_files(tmp_path: Path) -> None:
    async def script() -> None:
        vaults = Vaults(tmp_path)
        await vaults.fill({"a.txt": b"one", "b.txt": b"two"})
        vaults.lose("j/")
        await vaults.join("one")
        await vaults.join("two")
        async with vaults.opened("one", salvage=True) as g:
            _, folder = await back(g)
        journal = {n: vaults.remote.objects.pop(n) for n in [*vaults.remote.objects] if n[0] == "j"}
        assert journal
        async with vaults.opened("two", salvage=True) as g:
            await back(g)
        vaults.remote.objects.update(journal)
        await vaults.join("three")
        async with vaults.opened("three") as g:
            assert g.names(folder) == ["a.txt", "b.txt"]
            assert await g.read(f"{folder}/a.txt") == b"one"

    trio.run(script)


def test_equal_names_are_told_apart(tmp_path: Path) -> None:
    async def script() -> None:
        vaults = Vaults(tmp_path)
        await vaults.fill({"a/x.txt": b"one", "b/x.txt": b"two", "c/x.txt": b"one"})
        vaults.lose("j/")
        await vaults.join("new")
        async with vaults.opened("new", salvage=True) as g:
            report, folder = await back(g)
            names = g.names(folder)
            assert report.files == 2, "equal bytes are one content"
            assert names[0] == "x.txt"
            assert names[1].startswith("x~")
            assert {await g.read(f"{folder}/{n}") for n in names} == {b"one", b"two"}

    trio.run(script)


def test_what_is_not_whole_is_named_and_the_rest_comes_back(tmp_path: Path) -> None:
    async def script() -> None:
        vaults = Vaults(tmp_path)
        await vaults.fill()
        async with vaults.opened() as g:
            names = by_name(vaults, g)
        del vaults.remote.objects[names["film.bin"][1]]
        vaults.damage(names["tax.pdf"][0])
        vaults.lose("j/")
        await vaults.join("new")
        async with vaults.opened("new", salvage=True) as g:
            report, folder = await back(g)
            assert [name for name, _ in report.failed] == ["film.bin", "tax.pdf"]
            assert report.failed[0][1] == "1 of its 2 parts are not there."
            assert g.names(folder) == sorted(BACK.keys() - {"film.bin", "tax.pdf"})

    trio.run(script)


def test_a_damaged_answer_costs_that_run_one_file_and_the_next_brings_it(tmp_path: Path) -> None:
    async def script() -> None:
        vaults = Vaults(tmp_path)
        await vaults.fill({"a.txt": b"one", "b.txt": b"two"})
        async with vaults.opened() as g:
            names = by_name(vaults, g)
        vaults.lose("j/")
        await vaults.join("new")
        (a,), (b,) = names["a.txt"], names["b.txt"]
        async with vaults.opened("new", salvage=True) as g:
            vaults.remote.inject(
                Fault(Verb.GET, Harm.FLIP, a, 1, 40),  # of the head, so the trailer fails
                Fault(Verb.GET, Harm.BEFORE, b, 1, error=lambda: NotFound("gone for now")),
            )
            report, _ = await back(g)
            assert (report.files, [n for n, _ in report.failed]) == (0, [a])
            report, folder = await back(g)
            assert (report.files, report.failed) == (2, [])
            assert await g.read(f"{folder}/a.txt") == b"one"

    trio.run(script)


def test_one_copy_that_verifies_is_enough(tmp_path: Path) -> None:
    async def script() -> None:
        vaults = Vaults(tmp_path)
        await vaults.fill({"a.txt": b"one" * 1000})
        async with vaults.opened() as g:
            (first,) = by_name(vaults, g)["a.txt"]
            again = g.gallery.contents.seal(b"one" * 1000, b"a.txt", 0, "text/plain")
            second = object_path(again.parts[0].name)
            stored = g.gallery.spool.path(again.parts[0].name).read_bytes()
            vaults.remote.objects[second] = stored
        vaults.lose("j/")
        for victim in (first, second):
            kept = dict(vaults.remote.objects)
            vaults.damage(victim)
            await vaults.join(victim[-8:])
            async with vaults.opened(victim[-8:], salvage=True) as g:
                report, folder = await back(g)
                assert (report.files, report.failed) == (1, [])
                assert await g.read(f"{folder}/a.txt") == b"one" * 1000
            vaults.remote.objects = kept

    trio.run(script)


def test_a_journal_with_a_gap_gives_what_it_still_tells(tmp_path: Path) -> None:
    async def script() -> None:
        vaults = Vaults(tmp_path)
        await vaults.make()
        segments: list[str] = []
        async with vaults.opened() as g:
            g.gallery.looker.settle = 1000.0  # what it says would have segments of its own
            assert await g.gallery.wait("stored", 60)  # from here on acts are waited for
            for number in range(4):
                await g.write(f"own {number}.txt", b"%d" % number)
                assert await g.gallery.wait("stored", 60)
                segments += [n for n in vaults.remote.objects if n[0] == "j" and n not in segments]
        vaults.damage(segments[1])
        del vaults.remote.objects[segments[2]]
        await vaults.join("new")
        with pytest.raises(Integrity, match="repair --from-objects"):
            async with vaults.opened("new"):
                pass
        async with vaults.opened("new", salvage=True) as g:
            told = [str(event["text"]) for event in g.gallery.ledger.events()]
            assert any(text.startswith("2 segments of the journal of device") for text in told)
            assert [n for n in g.names() if n.startswith("own")] == ["own 0.txt", "own 3.txt"]
            report, folder = await back(g)
            assert g.names(folder) == ["own 1.txt", "own 2.txt"]
            assert report.known == 2
        async with vaults.opened("new") as g:
            assert await g.read("own 3.txt") == b"3"
            assert await g.read(f"{folder}/own 1.txt") == b"1"

    trio.run(script)


def test_what_was_condemned_before_its_record_was_lost_comes_back_and_can_be_read(
    tmp_path: Path,
) -> None:
    async def script() -> None:
        vaults = Vaults(tmp_path)
        await vaults.make()
        async with vaults.opened() as g:
            g.gallery.looker.settle = 1000.0  # what it says would have segments of its own
            segments = await written(vaults, g, "a.txt", b"one")
            g.rm("a.txt")
            condemn(g)
            assert await g.gallery.wait("stored", 60)
        vaults.lose(*segments)
        await vaults.join("new")
        async with vaults.opened("new", salvage=True) as g:
            report, folder = await back(g)
            assert report.files == 1
            assert await g.read(f"{folder}/a.txt") == b"one"

    trio.run(script)


def test_a_content_that_was_condemned_and_written_again_comes_back_without_its_second_record(
    tmp_path: Path,
) -> None:
    async def script() -> None:
        vaults = Vaults(tmp_path)
        await vaults.make()
        async with vaults.opened() as g:
            g.gallery.looker.settle = 1000.0
            await written(vaults, g, "a.txt", b"one")
            g.rm("a.txt")
            condemn(g)
            assert await g.gallery.wait("stored", 60)
            vaults.lose("o/")
            segments = await written(vaults, g, "b.txt", b"one")
        vaults.lose(*segments)
        await vaults.join("new")
        async with vaults.opened("new", salvage=True) as g:
            report, folder = await back(g)
            assert report.files == 1
            assert await g.read(f"{folder}/b.txt") == b"one"

    trio.run(script)


def test_what_another_device_published_meanwhile_is_not_recovered(tmp_path: Path) -> None:
    async def script() -> None:
        vaults = Vaults(tmp_path)
        await vaults.fill({"a.txt": b"one"})
        await vaults.join("other")
        async with vaults.opened("other"):
            pass  # it knows a.txt and nothing of what follows
        async with vaults.opened() as g:
            await g.write("b.txt", b"two")
            assert await g.gallery.wait("stored", 60)
        async with vaults.opened("other") as g:
            report, _ = await back(g)
            assert (report.files, report.known, report.journals) == (0, report.objects, [])

    trio.run(script)


class Blind(MemoryStore):
    """A remote whose listings name ``shown`` objects only, and one that is gone."""

    shown = 0

    async def list(self, prefix: str = "", cursor: str | None = None) -> Page:
        page = await super().list(prefix, cursor)
        return Page(page.entries[: self.shown], None) if prefix == "o/" else page


@pytest.mark.parametrize("shown", [0, 3])
def test_an_empty_or_partial_listing_forgets_nothing(tmp_path: Path, shown: int) -> None:
    async def script() -> None:
        vaults = Vaults(tmp_path)
        vaults.remote = Blind()
        await vaults.fill()
        before = dict(vaults.remote.objects)
        vaults.remote.shown = shown
        async with vaults.opened() as g:
            known = g.gallery.state.state_hash()
            report, _ = await back(g)
            assert (report.files, report.objects) == (0, shown)
            assert g.gallery.state.state_hash() == known
            assert await g.read("film.bin") == FILES["film.bin"]
        assert vaults.remote.objects == before
        vaults.lose("j/")
        await vaults.join("new")
        async with vaults.opened("new", salvage=True) as g:
            few, _ = await back(g)
            assert few.objects == shown
            vaults.remote.shown = 1000
            rest, folder = await back(g)
            assert few.files + rest.files == len(FILES)
            assert rest.failed == []
            for name, data in BACK.items():
                assert await g.read(f"{folder}/{name}") == data

    trio.run(script)


def test_a_listing_that_names_what_is_gone_and_strange_names_harms_nothing(tmp_path: Path) -> None:
    async def script() -> None:
        vaults = Vaults(tmp_path)
        vaults.remote = MemoryStore(stale=2)
        await vaults.fill({"a.txt": b"one", "b.txt": b"two"})
        await vaults.remote.put("o/00/" + "0" * 30, b"no part of ours")
        await vaults.remote.put("o/readme", b"somebody's")
        await vaults.remote.put("o/ff/" + "0" * 30, b"")
        await vaults.remote.delete("o/ff/" + "0" * 30)
        vaults.remote.stale = 1
        vaults.lose("j/")
        await vaults.join("new")
        async with vaults.opened("new", salvage=True) as g:
            report, folder = await back(g)
            assert g.names(folder) == ["a.txt", "b.txt"]
            assert [name for name, _ in report.failed] == ["o/00/" + "0" * 30]

    trio.run(script)


def test_a_recovery_survives_a_crash_and_a_lost_catalog(tmp_path: Path) -> None:
    async def script() -> None:
        vaults = Vaults(tmp_path)
        await vaults.fill({"a.txt": b"one", "b.txt": b"two" * 100_000})
        vaults.lose("j/")
        await vaults.join("new")
        async with vaults.opened("new", salvage=True) as g:
            _, folder = await back(g)
            before = g.gallery.state.state_hash()
        for file in (tmp_path / "new" / "catalog").iterdir():
            file.unlink()
        async with vaults.opened("new") as g:
            assert [e for e in g.gallery.ledger.events() if "missing" in str(e)] == []
            assert g.gallery.state.state_hash() == before
            assert await g.read(f"{folder}/b.txt") == b"two" * 100_000

    trio.run(script)


def test_undo_takes_a_recovery_back_as_one_act(tmp_path: Path) -> None:
    async def script() -> None:
        vaults = Vaults(tmp_path)
        await vaults.fill({"a.txt": b"one", "b.txt": b"two"})
        vaults.lose("j/")
        await vaults.join("new")
        async with vaults.opened("new", salvage=True) as g:
            _, folder = await back(g)
            g.gallery.undoing.undo()
            assert folder not in g.names()
            report, _ = await back(g)
            assert report.files == 0, "what was taken back is in the trash"
            assert len(g.names("trash")) == 2

    trio.run(script)
