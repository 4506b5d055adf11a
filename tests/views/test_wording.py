"""Saying something of photos from outside the mount, naming them, and why they have their tags."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from tagfs.catalog.records import FileRecord
from tagfs.errors import Usage
from tagfs.model import Analysis, Scored, TagId
from tagfs.recognise import packs

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from colours import CAT, ByColour, Read, picture
from gallery_kit import Folder, make, opened

from tagfs.vault.ops import Field
from tagfs.views.meant import every, meant
from tagfs.views.search import find
from tagfs.views.why import Reasons, TagReason, why
from tagfs.views.wording import Said, check_date, say

ANIMAL = "animal"


class Sure(ByColour):
    """Says what it saw besides, as the default pack would."""

    pack = packs.load().id

    async def recognise(self, read: Read, size: int, media_type: str) -> Analysis:
        seen = await super().recognise(read, size, media_type)
        scores = (Scored(seen.tags[0].tag, 0.8), Scored(TagId("n02510455"), 0.07))
        return Analysis(self.pack, seen.media_type, seen.tags, scores, seen.facts, b"", b"")


def run(tmp_path: Path, script: Callable[[Folder], Awaitable[None]]) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=Sure()) as folder:
            await folder.write("dog.png", picture(200))
            folder.mkdir("2019")
            await folder.write("2019/cat.png", picture(20))
            await folder.write("all/note.txt", b"no photo")
            assert await folder.gallery.wait("recognised", 20)
            await script(folder)

    trio.run(main)


async def one(g: Folder, word: str) -> FileRecord:
    return await meant(g.gallery.state, g.tree.at, word)


async def reasons(g: Folder, word: str) -> Reasons:
    return await why(g.gallery.state, g.gallery.contents, await one(g, word))


def row(told: Reasons, name: str) -> TagReason:
    (found,) = [tag for tag in told.tags if tag.name == name]
    return found


def test_a_photo_is_named_by_any_path_by_its_view_name_or_by_its_id(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        cat = g.gallery.state.file(g.tree.at(b"2019/cat.png").id)
        assert cat is not None
        assert cat.content is not None
        ident = cat.content[0].hex()
        words = ["2019/cat.png", "/2019/cat.png", "tags/cat/cat.png", "all/cat.png", "cat.png"]
        words += [ident, ident[:8], ident[:8].upper(), f"cat~{ident[:8]}.png"]
        for word in words:
            assert (await one(g, word)).id == cat.id, word
        assert (await one(g, "note.txt")).id == g.tree.at(b"all/note.txt").id
        for nothing in ("2019", "absent.png", ident[:3], "0" * 64, "", "/", "2019/cat.png/x"):
            with pytest.raises(Usage):
                await one(g, nothing)

    run(tmp_path, script)


def test_an_id_that_several_photos_begin_with_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagfs.views.meant.SHORTEST", 1)

    async def script(g: Folder) -> None:
        for i in range(16):  # with two there already, some two ids begin alike
            await g.write(f"{i}.png", picture(i))
        firsts = [n.photo.hex()[0] for n in map(g.gallery.state.photos.names.shown, range(18)) if n]
        twice = next(d for d in firsts if firsts.count(d) > 1)
        with pytest.raises(Usage, match="give more digits"):
            await one(g, twice)

    run(tmp_path, script)


def test_words_are_said_in_one_act_and_said_again_change_nothing(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        files = [await one(g, "dog.png"), await one(g, "cat.png")]
        said = Said(add=["holiday", "Dog"], favourite=True, date="2019-05")
        report = await say(g.gallery.ledger, files, said)
        assert (report.photos, report.changed) == (2, 2)
        assert report.act is not None
        assert g.names("tags/holiday") == g.names("tags/dog") == ["cat.png", "dog.png"]
        photo = g.gallery.state.photos.get(files[1].content[0])  # type: ignore[index]
        assert photo is not None
        assert photo.regs.get(Field.FAVOURITE) is True
        assert photo.regs.get(Field.DATE) == "2019-05"
        assert len(find(g.gallery.state, "date:2019 is:favourite").numbers) == 2
        again = await say(g.gallery.ledger, files, said)
        assert (again.changed, again.act) == (0, None)
        undo = Said(forget=["holiday", "dog"], favourite=False, date="")
        assert (await say(g.gallery.ledger, files, undo)).changed == 2
        assert g.names("tags/dog") == ["dog.png"]
        assert photo.regs.get(Field.DATE) is None

    run(tmp_path, script)


def test_removing_a_tag_takes_those_below_it_and_the_file_stays(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await say(g.gallery.ledger, [await one(g, "cat.png")], Said(remove=["animal"]))
        assert "cat" not in g.names("tags")
        assert g.names("2019") == ["cat.png"]

    run(tmp_path, script)


def test_many_photos_are_one_act_in_many_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagfs.views.wording.BATCH", 1)

    async def script(g: Folder) -> None:
        acts = []
        commit = g.gallery.ledger.commit
        monkeypatch.setattr(
            g.gallery.ledger,
            "commit",
            lambda ops, **kw: acts.append(kw["act"]) or commit(ops, **kw),
        )
        files = await every(g.gallery.state, find(g.gallery.state, "-zebra"))
        report = await say(g.gallery.ledger, files, Said(add=["holiday"]))
        assert report.changed == 2
        assert len(acts) == 2
        assert len(set(acts)) == 1
        assert g.names("tags/holiday") == ["cat.png", "dog.png"]

    run(tmp_path, script)


def test_a_document_takes_tags_but_no_date(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        note = await one(g, "note.txt")
        assert (await say(g.gallery.ledger, [note], Said(add=["bill"]))).failed == []
        assert g.names("tags/bill") == ["note.txt"]
        dated = await say(g.gallery.ledger, [note], Said(date="2019"))
        assert [name for name, _ in dated.failed] == ["note.txt"]

    run(tmp_path, script)


@pytest.mark.parametrize(
    "said",
    [
        Said(remove=["never heard of"]),
        Said(forget=["never heard of"]),
        Said(add=["dog"], remove=["Dog"]),
        Said(add=["  "]),
        Said(add=[".hidden"]),
        Said(add=["x" * 256]),
        Said(add=["odd \udcff"]),
        Said(date="2019-02-30"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_said(tmp_path: Path, said: Said) -> None:
    async def script(g: Folder) -> None:
        before = g.gallery.state.state_hash()
        with pytest.raises(Usage):
            await say(g.gallery.ledger, [await one(g, "dog.png")], said)
        assert g.gallery.state.state_hash() == before

    run(tmp_path, script)


def test_dates_are_years_months_or_days() -> None:
    for good in ("2019", "2019-05", "2024-02-29"):
        check_date(good)
    for bad in ("19", "2019-13", "2023-02-29", "2019-5", "2019-05-12T10:00", "٢٠١٩", ""):
        with pytest.raises(Usage):
            check_date(bad)


def test_why_tells_who_said_what_how_surely_and_what_denied_it(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        dog = await reasons(g, "dog.png")
        seen = row(dog, "dog")
        assert seen.in_force
        assert (seen.seen[0].pack, seen.seen[0].confidence) == (Sure.pack, 0.9)
        assert seen.seen[0].score == pytest.approx(0.8, abs=1e-4)
        panda = row(dog, "panda")
        assert (panda.in_force, panda.denied_by) == (False, [])
        assert panda.seen[0].confidence is None
        assert panda.seen[0].score == pytest.approx(0.07, abs=1e-4)

        cat = await one(g, "cat.png")
        await say(g.gallery.ledger, [cat], Said(add=["holiday", "kitten"]))
        told = await reasons(g, "cat.png")
        assert row(told, "holiday").word.name == "YES"
        await say(g.gallery.ledger, [cat], Said(remove=["animal"]))
        told = await reasons(g, "cat.png")
        assert row(told, "animal").word.name == "NO"
        assert row(told, "cat").denied_by == ["animal"]
        assert not row(told, "cat").in_force
        assert [tag.name for tag in told.tags if tag.in_force] == ["holiday", "kitten"]

    run(tmp_path, script)


def test_why_tells_what_stands_below_a_tag_that_came_with_it(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await say(g.gallery.ledger, [await one(g, "note.txt")], Said(add=["cat"]))
        told = await reasons(g, "note.txt")
        assert "cat" in row(told, "animal").because_of
        assert row(told, "cat").because_of == []
        assert g.gallery.state.photos.tag("cat") == CAT

    run(tmp_path, script)
