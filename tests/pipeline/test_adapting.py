"""Corrections move a gallery's own thresholds; what was said of many at once does not."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

import pytest
import trio
from colours import CAT, DOG, ByColour, Read, picture
from gallery_kit import Folder, make, opened
from PIL import Image

from tagfs.catalog.photos import ALL
from tagfs.model import METADATA, Analysis, Facts, Scored, TagId
from tagfs.pipeline import adapting
from tagfs.pipeline.details import Details
from tagfs.recognise.kinds import SELFIE
from tagfs.recognise.rescoring import todays
from tagfs.vault.ops import RecordAnalysis
from tagfs.views.why import why

CUT = 0.5
"""What ships."""


class Reddish(ByColour):
    """The redder a picture, the more surely it is a dog; a dog is an animal at least as surely."""

    async def recognise(self, read: Read, size: int, media_type: str) -> Analysis:
        found = await super().recognise(read, size, media_type)
        red = Decides.red(bytes(await read(0, size)))
        votes = (Scored(DOG, red / 255),)
        tags = Decides({}).tags({"colour": votes})["colour"]
        return Analysis(self.pack, found.media_type, tags, votes, Facts(), b"", b"")


class Decides:
    """The calibration: votes are shares."""

    pack = "colour-1"

    def __init__(self, thresholds: Mapping[TagId, float]) -> None:
        self._cut = thresholds.get(DOG, CUT)

    @staticmethod
    def red(data: bytes) -> int:
        value = Image.open(io.BytesIO(data)).getpixel((0, 0))
        assert isinstance(value, tuple)
        return int(value[0])

    def tags(self, scores: Mapping[str, Iterable[Scored]]) -> dict[str, tuple[Scored, ...]]:
        return {
            p: tuple(s for s in kept if s.confidence >= self._cut) for p, kept in scores.items()
        }

    def lacks(self, scores: Mapping[str, Iterable[Scored]]) -> bool:
        return False

    def shares(self, scores: Mapping[str, Iterable[Scored]]) -> dict[TagId, float]:
        return {s.tag: s.confidence for kept in scores.values() for s in kept}

    def shipped(self, packs: Iterable[str], tag: TagId) -> float:
        return CUT


def prepare(g: Folder) -> None:
    g.gallery.adapting.decides = Decides
    g.gallery.adapting.settle = 0.0
    g.gallery.rescan.scorer = lambda: Decides(g.gallery.adapting.thresholds)
    g.gallery.rescan.gentle = False


def run(tmp_path: Path, *scripts: Callable[[Folder], Awaitable[None]]) -> None:
    """Run scripts, each on the gallery opened once more."""

    async def main() -> None:
        await make(tmp_path)
        for script in scripts:
            async with opened(tmp_path, recogniser=Reddish()) as g:
                prepare(g)
                await script(g)

    trio.run(main)


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every word stands alone, as if the user had waited after each."""
    monkeypatch.setattr(adapting, "ACT_GAP", 0.0)


async def copy_in(g: Folder, **reds: int) -> None:
    for name, red in reds.items():
        await g.write(f"{name}.png", picture(red))
    assert await g.gallery.wait("recognised", 20)


async def rescan(g: Folder) -> None:
    everything = g.gallery.state.photos.postings.bitmap(ALL)
    g.gallery.rescan.start(everything, False, whole=True)
    await g.gallery.rescan.wait(lambda done, total: None)


DOGS = {"a": 140, "b": 150, "c": 160}


async def deny(g: Folder) -> None:
    await copy_in(g, **DOGS)
    for name in DOGS:
        g.rm(f"tags/dog/{name}.png")
    await g.gallery.adapting.wait_idle()


@pytest.mark.usefixtures("one_by_one")
def test_after_three_wrong_dogs_a_dog_must_be_surer(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await deny(g)
        await copy_in(g, d=145, e=230)
        assert g.names("tags/dog") == ["e.png"]
        thresholds = g.gallery.adapting.thresholds
        told = await why(g.gallery.state, g.gallery.contents, g.tree.at(b"d.png"), thresholds)
        assert [(t.name, t.in_force, t.threshold) for t in told.tags] == [
            ("dog", False, pytest.approx(160 / 255))
        ]

    async def later(g: Folder) -> None:
        await copy_in(g, f=146, h=231)
        assert g.names("tags/dog") == ["e.png", "h.png"]

    run(tmp_path, script, later)


@pytest.mark.usefixtures("one_by_one")
def test_a_rescan_holds_older_photos_to_the_new_threshold(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await copy_in(g, old=141, sure=240)
        await deny(g)
        await rescan(g)
        assert g.names("tags/dog") == ["sure.png"]
        assert set(DOGS) <= {name[:-4] for name in g.names("all")}

    run(tmp_path, script)


def test_a_bulk_edit_says_nothing_of_the_recogniser(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await deny(g)
        assert g.gallery.adapting.thresholds == {}
        await copy_in(g, d=145)
        assert g.names("tags/dog") == ["d.png"]

    run(tmp_path, script)


@pytest.mark.usefixtures("one_by_one")
def test_a_threshold_is_the_same_after_rescans_restarts_and_more_words(tmp_path: Path) -> None:
    right = {f"r{i}": 200 + i for i in range(8)}
    between = {f"b{i}": 142 + i for i in range(4)}
    found: list[float] = []

    async def script(g: Folder) -> None:
        await copy_in(g, **right, **between)
        await deny(g)
        before = g.gallery.adapting.thresholds[DOG]
        assert before > 145 / 255
        for _ in range(2):
            await rescan(g)
            g.rm("tags/dog/r0.png")  # said, and taken back
            g.ln("r0.png", "tags/dog/r0.png")
            await g.gallery.adapting.wait_idle()
            assert g.gallery.adapting.thresholds[DOG] == before
        assert not set(g.names("tags/dog")) & {f"{name}.png" for name in between}
        found.append(before)

    async def later(g: Folder) -> None:
        await g.gallery.adapting.wait_idle()
        assert g.gallery.adapting.thresholds == {DOG: found[0]}

    run(tmp_path, script, later)


@pytest.mark.usefixtures("one_by_one")
def test_tags_of_the_users_own_and_what_files_say_move_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(g: Folder) -> None:
        reads = []
        monkeypatch.setattr(Details, "of", lambda self, sight: reads.append(sight))
        await copy_in(g, **DOGS)
        g.mkdir("tags/holiday")
        g.mkdir("tags/selfie")
        for name in DOGS:
            g.ln(f"{name}.png", f"tags/holiday/{name}.png")
            g.rm(f"tags/holiday/{name}.png")
            photo = g.tree.at(f"{name}.png".encode()).content
            assert photo is not None
            row = RecordAnalysis(
                photo[0], METADATA, "image/png", (Scored(SELFIE, 1.0),), Facts(), None, None, None
            )
            g.gallery.ledger.commit([row])
            g.rm(f"tags/selfie/{name}.png")
        monkeypatch.setattr(g.gallery.adapting, "_is_here", lambda sight: False)
        await g.gallery.adapting.wait_idle()
        assert g.gallery.adapting.thresholds == {}
        assert reads == []

    run(tmp_path, script)


@pytest.mark.usefixtures("one_by_one")
def test_who_undoes_the_corrections_has_the_shipped_threshold_again(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await deny(g)
        assert DOG in g.gallery.adapting.thresholds
        for name in DOGS:
            g.ln(f"{name}.png", f"tags/dog/{name}.png")
        await g.gallery.adapting.wait_idle()
        assert g.gallery.adapting.thresholds == {}

    run(tmp_path, script)


@pytest.mark.usefixtures("one_by_one")
def test_dogs_that_the_user_adds_are_enough_one_day(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        added = {f"a{i}": 110 + i for i in range(15)}
        await copy_in(g, **added)
        g.mkdir("tags/dog")
        for name in added:
            g.ln(f"{name}.png", f"tags/dog/{name}.png")
        await g.gallery.adapting.wait_idle()
        await copy_in(g, d=125, e=60)
        assert "d.png" in g.names("tags/dog")
        assert "e.png" not in g.names("tags/dog")

    run(tmp_path, script)


def test_what_another_pack_saw_is_left_as_it_is(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.gallery.adapting.thresholds[DOG] = 0.99
        seen = Analysis("other-1", "image/png", (Scored(DOG, 0.6),), (), Facts(), b"", b"")
        assert g.gallery.adapting.adapted(seen) == seen

    run(tmp_path, script)


def test_the_shipped_packs_decide_with_other_thresholds() -> None:
    dog = TagId("n02084071")
    usual = todays()
    votes = {"default": [Scored(dog, 0.9)]}
    sure = {s.tag: s.confidence for s in usual.tags(votes)["default"]}[dog]
    assert dog not in {s.tag for s in todays({dog: sure + 0.001}).tags(votes).get("default", ())}
    assert usual.shares(votes)[dog] == pytest.approx(sure)
    assert 0.5 < usual.shipped(["default"], dog) < 0.8
    assert CAT not in usual.shares(votes)
