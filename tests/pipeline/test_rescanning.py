"""A rescan: from scores where it can, from originals where it must, and on after a restart."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing
from colours import CAT, DOG, ByColour, Read, photo, picture
from gallery_kit import Folder, make, opened, secret_of
from pyroaring import BitMap

from tagfs.catalog.photos import ALL
from tagfs.model import Analysis, Facts, Located, Place, Scored, TagId
from tagfs.pipeline import rescanning
from tagfs.pipeline.opening import open_gallery
from tagfs.pipeline.rescanning import Job
from tagfs.vault.ops import RecordAnalysis
from tagfs.views.tree import Tree
from tagfs.views.wording import Said, say

HORSE = TagId("n02374451")


class Counting(ByColour):
    """Counts what it is asked to look at; ``blind``: cannot decode anything; ``sure``: how."""

    def __init__(self, pack: str = "colour-1", blind: bool = False, sure: float = 0.9) -> None:
        self.pack = pack
        self.blind = blind
        self.sure = sure
        self.looked = 0

    async def recognise(self, read: Read, size: int, media_type: str) -> Analysis:
        self.looked += 1
        if self.blind:
            return Analysis(self.pack, "image/png", (), (), Facts(), b"", b"", "no decoder")
        found = await super().recognise(read, size, media_type)
        scores = tuple(replace(s, confidence=self.sure) for s in found.scores)
        return replace(found, tags=scores, scores=scores)


class Horses:
    """A later threshold: what was a dog for sure is a horse by today's measure."""

    pack = "colour-1"

    def tags(self, scores: Mapping[str, Iterable[Scored]]) -> Mapping[str, tuple[Scored, ...]]:
        return {
            name: tuple(Scored(HORSE if s.tag == DOG else s.tag, s.confidence) for s in kept)
            for name, kept in scores.items()
        }

    def lacks(self, scores: Mapping[str, Iterable[Scored]]) -> bool:
        return False


class Same:
    """Today's rules are those of before."""

    pack = "colour-1"

    def tags(self, scores: Mapping[str, Iterable[Scored]]) -> Mapping[str, tuple[Scored, ...]]:
        return {name: tuple(kept) for name, kept in scores.items()}

    def lacks(self, scores: Mapping[str, Iterable[Scored]]) -> bool:
        return False


async def filled(g: Folder) -> None:
    for i in range(4):
        await g.write(f"dog{i}.png", picture(200 + i))
        await g.write(f"cat{i}.png", picture(20 + i))
    assert await g.gallery.wait("recognised", 20)


async def rescan(g: Folder, originals: bool = False) -> Job:
    everything = g.gallery.state.photos.postings.bitmap(ALL)
    g.gallery.rescan.start(everything, originals, whole=True)
    g.gallery.rescan.gentle = False
    job = await g.gallery.rescan.wait(lambda done, total: None)
    assert job is not None
    return job


def run(
    tmp_path: Path, script: Callable[[Folder, Counting], Awaitable[None]], blind: bool = False
) -> None:
    async def main() -> None:
        await make(tmp_path)
        eyes = Counting(blind=blind)
        async with opened(tmp_path, recogniser=eyes) as g:
            g.gallery.rescan.scorer = Horses
            await filled(g)
            await script(g, eyes)

    trio.run(main)


def test_new_thresholds_change_tags_without_any_original(tmp_path: Path) -> None:
    async def script(g: Folder, eyes: Counting) -> None:
        looked = eyes.looked
        job = await rescan(g)
        assert (job.total, job.done, job.changed, job.looked, job.failed) == (8, 8, 4, 0, 0)
        assert eyes.looked == looked
        assert g.names("tags/horse") == [f"dog{i}.png" for i in range(4)]
        assert len(g.names("tags/cat")) == 4
        assert "dog" not in g.names("tags")
        assert (await rescan(g)).changed == 0
        assert "Rescan: 0 of 8 photos" in str(g.gallery.ledger.events()[-1]["text"])

    run(tmp_path, script)


class Nothing(Horses):
    """Today's rules give no tag at all."""

    def tags(self, scores: Mapping[str, Iterable[Scored]]) -> Mapping[str, tuple[Scored, ...]]:
        return {}


def test_what_passes_no_more_is_gone_and_persons_who_have_no_votes_stay(tmp_path: Path) -> None:
    async def script(g: Folder, eyes: Counting) -> None:
        photo = g.gallery.state.photos.get(g.tree.at(b"dog0.png").content[0])  # type: ignore[index]
        assert photo is not None
        assert photo.sight is not None
        person = (Scored(TagId("p" + "0" * 32), 0.9),)
        kind = photo.sight.media_type
        g.gallery.ledger.commit(
            [RecordAnalysis(photo.id, "people-1", kind, person, Facts(), None, None, None)]
        )
        g.gallery.rescan.scorer = Nothing
        assert (await rescan(g)).changed == 8
        assert g.names("tags") == []
        assert len(g.names("people")) == 1

    run(tmp_path, script)


def test_the_users_word_stays(tmp_path: Path) -> None:
    async def script(g: Folder, eyes: Counting) -> None:
        dog, cat = g.tree.at(b"dog0.png"), g.tree.at(b"cat0.png")
        await say(g.gallery.ledger, [dog], Said(add=["dog"], remove=["horse"]))
        await say(g.gallery.ledger, [cat], Said(remove=["cat"]))
        await rescan(g)
        assert g.names("tags/dog") == ["dog0.png"]
        assert "dog0.png" not in g.names("tags/horse")
        assert "cat0.png" not in g.names("tags/cat")

    run(tmp_path, script)


class Earlier(Counting):
    """Knows no names of places until ``names`` is set, as a tagfs before there were any."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Located | None = None

    async def locate(self, places: Sequence[Place]) -> tuple[Located | None, ...] | None:
        return None if self.names is None else (self.names,) * len(places)


def test_places_are_named_without_any_original(tmp_path: Path) -> None:
    async def main() -> None:
        await make(tmp_path)
        eyes = Earlier()
        async with opened(tmp_path, recogniser=eyes) as g:
            g.gallery.rescan.scorer = Same
            await g.write("rome.jpg", photo(1, position=(41.9, 12.5)))
            await g.write("none.jpg", photo(2))
            assert await g.gallery.wait("recognised", 20)
            looked = eyes.looked
            assert ((await rescan(g)).placed, g.names("places")) == (0, [])
            eyes.names = Located("IT", "Lazio", "Rome")
            job = await rescan(g)
            assert (job.placed, job.changed, job.looked, job.failed) == (1, 0, 0, 0)
            assert "1 another place" in str(g.gallery.ledger.events()[-1]["text"])
            assert g.names("places/Italy/Lazio/Rome") == ["rome.jpg"]
            assert g.names("tags/dog") == ["none.jpg", "rome.jpg"]
            assert (await rescan(g)).placed == 0
            eyes.names = Located("IT", "Latium", "Rome")
            assert (await rescan(g)).placed == 1
            assert g.names("places/Italy") == ["Latium"]
            assert eyes.looked == looked

    trio.run(main)


class Film(Earlier):
    """Decodes nothing, and reads a position all the same."""

    async def recognise(self, read: Read, size: int, media_type: str) -> Analysis:
        facts = Facts(place=Place(41.9, 12.5))
        return Analysis(self.pack, media_type, (), (), facts, b"", b"", "MP4 is not decoded")


def test_places_are_named_of_what_was_not_decoded(tmp_path: Path) -> None:
    async def main() -> None:
        await make(tmp_path)
        eyes = Film()
        async with opened(tmp_path, recogniser=eyes) as g:
            g.gallery.rescan.scorer = Same
            await g.write("film.mp4", b"\0\0\0\x0cftypmp42" + bytes(100))
            assert await g.gallery.wait("recognised", 20)
            await rescan(g)  # notes with which decoders it was tried
            eyes.names = Located("IT", "Lazio", "Rome")
            assert (await rescan(g)).placed == 1
            assert g.names("places/Italy/Lazio/Rome") == ["film.mp4"]
            assert g.names("review/unreadable") == ["film.mp4"]

    trio.run(main)


def test_what_an_older_network_saw_is_looked_at_again(tmp_path: Path) -> None:
    async def script(g: Folder, eyes: Counting) -> None:
        eyes.pack = "colour-2"
        later = Horses()
        later.pack = "colour-2"
        g.gallery.rescan.scorer = lambda: later
        looked = eyes.looked
        job = await rescan(g)
        assert (job.looked, job.failed, eyes.looked - looked) == (8, 0, 8)
        assert job.changed == 0  # it sees the same
        assert g.gallery.state.photos.get(g.tree.at(b"dog0.png").content[0]).sight.stamp.hlc  # type: ignore[index, union-attr]

    run(tmp_path, script)


def test_all_looks_at_every_original_again(tmp_path: Path) -> None:
    async def script(g: Folder, eyes: Counting) -> None:
        assert (await rescan(g, originals=True)).looked == 8
        assert eyes.looked == 16

    run(tmp_path, script)


def test_what_could_not_be_decoded_is_tried_again_when_the_decoders_are_others(
    tmp_path: Path,
) -> None:
    async def script(g: Folder, eyes: Counting) -> None:
        version = "1"
        g.gallery.rescan.decoders = lambda: version
        assert (await rescan(g)).looked == 8  # nobody knows which decoders have tried
        assert (await rescan(g)).looked == 0
        version, eyes.blind = "2", False
        job = await rescan(g)
        assert (job.looked, job.changed) == (8, 8)
        assert len(g.names("tags/cat")) == 4

    run(tmp_path, script, blind=True)


def test_a_job_goes_on_after_a_restart_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rescanning, "BATCH", 2)
    # A job goes on as soon as the gallery is open: a scorer that is set afterwards comes too late.
    monkeypatch.setattr(rescanning, "todays", lambda thresholds: Horses())

    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=Counting()) as g:
            await filled(g)
            g.gallery.rescan.start(g.gallery.state.photos.postings.bitmap(ALL), False, True)
            while (job := g.gallery.rescan.job) is not None and job.done < 4:
                await g.gallery.rescan._moved.wait()
        async with opened(tmp_path) as g:
            # Who has no recogniser leaves the job alone.
            await trio.testing.wait_all_tasks_blocked()
            before = g.gallery.rescan.job
            assert before is not None
            assert 4 <= before.done < 8
            assert g.gallery.status().as_json()["rescan"] == before.as_json()
        async with open_gallery(
            tmp_path / "state", secret_of(tmp_path / "state"), recogniser=Counting()
        ) as gallery:
            job = await gallery.rescan.wait(lambda done, total: None)
            assert job is not None
            assert (job.done, job.changed) == (8, 4)
            assert Tree(gallery).at(b"tags/horse/dog3.png")
            assert gallery.rescan.job is None

    trio.run(main)


def test_a_second_one_is_added_to_the_first_and_it_can_be_stopped(tmp_path: Path) -> None:
    async def script(g: Folder, eyes: Counting) -> None:
        job = g.gallery.rescan
        job.start(BitMap([0, 1, 2]), False, False)
        both = job.start(BitMap([2, 3]), True, False)
        assert (both.total, both.originals) == (4, True)
        assert job.stop()
        assert not job.stop()
        assert job.job is None
        assert await job.wait(lambda done, total: None) is None

    run(tmp_path, script)


def test_where_scores_are_gone_originals_are_looked_at_and_what_is_away_is_counted(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=Counting()) as g:
            await filled(g)
            assert await g.gallery.wait("stored", 30)
            packs = {
                photo.sight.details[0]
                for photo in map(g.gallery.state.photos.get, g.gallery.state.photos.contents())
                if photo is not None and photo.sight is not None and photo.sight.details
            }
            names = [
                part.name.hex()
                for pack in packs
                for part in g.gallery.state.photos.content(pack).parts  # type: ignore[union-attr]
            ]
        for name in names:
            (tmp_path / "remote" / "o" / name[:2] / name[2:]).unlink()
        for place in ("spool", "cache"):
            shutil.rmtree(tmp_path / "state" / place)
        eyes = Counting(sure=0.8)  # the same scores would be the pack that is gone
        async with opened(tmp_path, recogniser=eyes) as g:
            g.gallery.rescan.scorer = Horses
            job = await rescan(g)
            assert (job.looked, job.failed) == (8, 0)
            assert eyes.looked == 8
        async with opened(tmp_path) as g:  # no recogniser
            g.gallery.rescan.scorer = Horses
            job = await rescan(g)
            assert (job.changed, job.failed) == (4, 0)
            job = await rescan(g, originals=True)
            assert (job.looked, job.failed) == (0, 8)

    trio.run(main)


def test_cats_stay_cats() -> None:
    scores = (Scored(CAT, 0.9), Scored(DOG, 0.1))
    assert [s.tag for s in Horses().tags({"colour": scores})["colour"]] == [CAT, HORSE]
