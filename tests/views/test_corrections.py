"""What the user corrected stays corrected, whatever recognisers say later."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import trio

from tagfs.catalog.photos import ALL
from tagfs.model import Analysis, Scored, Seen, TagId
from tagfs.views.wording import Said, say

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from colours import CAT, DOG, ByColour, Read, picture
from gallery_kit import Folder, make, opened

HORSE = TagId("n02374451")
EVERYTHING = {DOG: "dog", CAT: "cat", HORSE: "horse"}


class Everything:
    """Today's thresholds: every pack sees everything in every picture."""

    def __init__(self, pack: str) -> None:
        self.pack = pack

    def tags(self, scores: Mapping[str, Iterable[Scored]]) -> Mapping[str, tuple[Scored, ...]]:
        return {name: tuple(Scored(tag, 0.99) for tag in EVERYTHING) for name in scores}

    def lacks(self, scores: Mapping[str, Iterable[Scored]]) -> bool:
        return False


class TwoPacks(ByColour):
    """Colours, and beside them a pack that sees everything once it is there."""

    def __init__(self) -> None:
        self.pack = "colour-1"
        self.second: str | None = None

    async def recognise(self, read: Read, size: int, media_type: str) -> Analysis:
        found = await super().recognise(read, size, media_type)
        every = tuple(Scored(tag, 0.97) for tag in EVERYTHING)
        more = () if self.second is None else (Seen(self.second, every, every),)
        return replace(found, more=more)


def test_none_of_100_corrections_comes_back_with_other_thresholds_or_another_pack(
    tmp_path: Path,
) -> None:
    chance = random.Random(9)
    eyes = TwoPacks()

    async def rescan(g: Folder, originals: bool) -> None:
        everything = g.gallery.state.photos.postings.bitmap(ALL)
        g.gallery.rescan.scorer = lambda: Everything(eyes.pack)
        g.gallery.rescan.start(everything, originals, whole=True)
        g.gallery.rescan.gentle = False
        job = await g.gallery.rescan.wait(lambda done, total: None)
        assert job is not None
        assert (job.failed, job.changed) == (0, 100)

    def corrections() -> dict[str, tuple[set[str], set[str]]]:
        """Return what is said of each picture: tags that it has, tags that it has not."""
        said = {}
        for i in range(100):
            no = {"dog" if i + 50 > 100 else "cat", chance.choice(sorted(EVERYTHING.values()))}
            yes = set(EVERYTHING.values()) - no if chance.random() < 0.5 else {"holiday"}
            said[f"{i:02}.png"] = (yes, no)
        return said

    async def correct(g: Folder, said: dict[str, tuple[set[str], set[str]]]) -> None:
        for name, (yes, no) in said.items():
            file = g.tree.at(name.encode())
            await say(g.gallery.ledger, [file], Said(add=sorted(yes), remove=sorted(no)))

    def wrong(g: Folder, said: dict[str, tuple[set[str], set[str]]]) -> list[str]:
        """Return what the user had said otherwise."""
        found = []
        for name, (yes, no) in said.items():
            for tag in no:
                found += [f"{name} is in {tag}"] if name in g.names(f"tags/{tag}") else []
            for tag in yes:
                found += [] if name in g.names(f"tags/{tag}") else [f"{name} is not in {tag}"]
        return found

    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=eyes) as g:
            for i in range(100):
                await g.write(f"{i:02}.png", picture(i + 50))
            assert await g.gallery.wait("recognised", 60)
            before = g.gallery.state.state_hash()
            said = corrections()
            await correct(g, said)
            assert wrong(g, said) == []
            for _ in range(100):
                g.gallery.undoing.undo()
            assert g.gallery.state.state_hash() == before
            await correct(g, said)
            await rescan(g, originals=False)
            assert wrong(g, said) == []
            eyes.pack, eyes.second = "colour-2", "everything-1"
            await rescan(g, originals=True)
            assert wrong(g, said) == []
            for _ in range(100):
                g.gallery.undoing.undo()
            assert len(g.names("tags/horse")) == 100  # nobody says anything against it now

    trio.run(main)
