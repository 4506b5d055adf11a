"""Whatever a remote answers meanwhile: nothing is lost or forgotten, and no wrong byte is read."""

from __future__ import annotations

import random
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from colours import ByColour, photo
from gallery_kit import QUICK, SECRET, Folder, hurry
from troubles import Troubled

from tagfs.errors import Integrity, NotFound, RemoteError, TagfsError
from tagfs.pipeline import uploading
from tagfs.pipeline.opening import create, join, open_gallery
from tagfs.remote.memory import Fault, Harm, MemoryStore, Verb
from tagfs.remote.retry import Patience, RetryStore
from tagfs.remote.store import Store
from tagfs.vault.slots import Words

IMPATIENT = Patience(total=0.2, first_pause=0.001, longest_pause=0.01)
ACTS = 12


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("PAUSE", 0.01), ("RETRY", 0.01), ("PUBLISH_EVERY", 0.05)):
        monkeypatch.setattr(uploading, name, seconds)


class Story:
    """Random work on one vault; ``files`` is what a user would swear to."""

    def __init__(self, tmp: Path, seed: int) -> None:
        self.tmp = tmp
        self.rng = random.Random(seed)
        self.remote = Troubled(random.Random(seed + 1))
        self.files: dict[str, bytes] = {}
        self.words = ""
        self.refusals = 0

    def reach(self, url: str, create: bool) -> Store:
        return RetryStore(self.remote, IMPATIENT)

    @asynccontextmanager
    async def opened(self, state: str = "state") -> AsyncIterator[Folder]:
        async with open_gallery(
            self.tmp / state, Words(self.words), recogniser=ByColour(), open_remote=self.reach
        ) as gallery:
            hurry(gallery)
            yield Folder(gallery)

    async def run(self) -> None:
        self.words = await create(self.tmp / "state", "memory://", SECRET, QUICK, self.reach)
        for _ in range(3):
            self.remote.begin()
            await self.in_trouble("state", self.work)
            self.remote.end()
            async with self.opened() as g:
                assert await g.gallery.wait("stored", 60)
                await self.all_is_there(g)
                assert not (await g.gallery.verify(1.0)).problems
            self.remote.begin()
            await self.in_trouble("other", self.look, joins=True)
            if self.rng.random() < 0.5:  # the journal on this machine has it all the same
                shutil.rmtree(self.tmp / "state" / "catalog")
        self.remote.end()
        for state in ("state", "last"):
            if state == "last":
                await self.join(state)
            async with self.opened(state) as g:
                await self.all_is_there(g)
                assert not (await g.gallery.verify(1.0)).problems

    async def in_trouble(
        self, state: str, acts: Callable[[Folder], Awaitable[None]], joins: bool = False
    ) -> None:
        """Try to open a gallery, as often as somebody would, and do something there."""
        for _ in range(20):
            try:
                if joins and not (self.tmp / state).exists():
                    await self.join(state)
                async with self.opened(state) as g:
                    await acts(g)
                break
            except TagfsError:
                self.refusals += 1
        if joins:
            shutil.rmtree(self.tmp / state, ignore_errors=True)

    async def join(self, state: str) -> None:
        try:
            await join(self.tmp / state, "memory://", Words(self.words), self.reach)
        except TagfsError:
            shutil.rmtree(self.tmp / state, ignore_errors=True)
            raise

    async def work(self, g: Folder) -> None:
        for _ in range(ACTS):
            await self.act(g)
            await trio.sleep(self.rng.choice((0.0, 0.0, 0.01, 0.05)))

    async def act(self, g: Folder) -> None:
        known = sorted(self.files)
        match self.rng.randrange(8) if known else 0:
            case 0 | 1 | 2:
                name, number = f"{len(self.files)}-{self.rng.randrange(1000)}", self.rng.random()
                data = photo(int(number * 1e6)) if number < 0.5 else self.rng.randbytes(3000)
                await g.write(name, data)
                self.files[name] = data
            case 3:
                name = self.rng.choice(known)
                self.files[name] = b"anew %d" % self.rng.randrange(10**9)
                await g.write(name, self.files[name])
            case 4:
                name = self.rng.choice(known)
                g.mv(name, name + "+")
                self.files[name + "+"] = self.files.pop(name)
            case 5:
                name = self.rng.choice(known)
                g.rm(name)
                del self.files[name]
            case 6:
                try:
                    await g.gallery.verify(1.0)
                except TagfsError:
                    self.refusals += 1
            case _:
                g.gallery.spool.shrink(0)
                await self.read(g, self.rng.choice(known))

    async def read(self, g: Folder, name: str) -> None:
        try:
            assert await g.read(name) == self.files[name]
        except TagfsError:
            self.refusals += 1

    async def look(self, g: Folder) -> None:
        """A gallery that opens lists all that was ever stored, and reads it right or not."""
        assert self.own(g) == sorted(self.files)
        for name in self.files:
            await self.read(g, name)

    async def all_is_there(self, g: Folder) -> None:
        assert self.own(g) == sorted(self.files)
        g.gallery.spool.shrink(0)
        for name, data in self.files.items():
            assert await g.read(name) == data

    @staticmethod
    def own(g: Folder) -> list[str]:
        return [name for name in g.names() if name[0].isdigit()]


async def told(tmp: Path, seed: int) -> Story:
    story = Story(tmp / str(seed), seed)
    story.tmp.mkdir()
    try:
        with trio.fail_after(120):
            await story.run()
    except BaseException as error:
        error.add_note(f"seed {seed}")
        raise
    return story


KINDS = {"lost", "denied", "cut", "flipped", "another", "empty", "partial", "unanswered"}


@pytest.mark.parametrize("block", range(10))
def test_a_gallery_survives_forty_stories_of_trouble(tmp_path: Path, block: int) -> None:
    met: set[str] = set()
    for number in range(12):
        if number >= 4 and met >= KINDS:
            break  # which trouble a call runs into depends on what runs beside it, too
        story = trio.run(told, tmp_path, 12 * block + number)
        met |= story.remote.met
        assert story.refusals
    assert met >= KINDS


@pytest.mark.long
@pytest.mark.parametrize("block", range(100))
def test_a_gallery_survives_a_thousand_stories_of_trouble(tmp_path: Path, block: int) -> None:
    for seed in range(1000 + 10 * block, 1010 + 10 * block):
        trio.run(told, tmp_path, seed)


async def three_segments(tmp: Path, store: MemoryStore) -> list[str]:
    """Make a vault whose journal has three segments or more; return their names in order.

    A file may take two: one published between its first draft and its last.
    """
    await create(tmp / "state", "memory://", SECRET, QUICK, lambda url, create: store)
    names: list[str] = []
    async with open_gallery(
        tmp / "state", SECRET, open_remote=lambda url, create: store
    ) as gallery:
        g = Folder(gallery)
        gallery.looker.settle = 1000.0
        assert await gallery.wait("stored", 60)
        for number in range(3):
            await g.write(f"{number}.txt", b"%d" % number)
            gallery.uploader.wake()
            await gallery.uploader.wait_idle()
            names += [n for n in store.objects if n.startswith("j/") and n not in names]
    assert len(names) >= 3
    await join(tmp / "new", "memory://", SECRET, lambda url, create: store)
    return names


@pytest.mark.parametrize("which", [0, 1])
def test_a_journal_without_one_of_its_segments_is_not_taken_for_a_shorter_one(
    tmp_path: Path, which: int
) -> None:
    async def script() -> None:
        store = MemoryStore()
        names = await three_segments(tmp_path, store)
        del store.objects[names[which]]
        with pytest.raises(Integrity, match=f"Segment {which + 1} .* is missing"):
            async with open_gallery(
                tmp_path / "new", SECRET, open_remote=lambda url, create: store
            ):
                pass

    trio.run(script)


def test_a_last_segment_that_the_remote_denies_is_not_taken_for_the_end(tmp_path: Path) -> None:
    async def script() -> None:
        store = MemoryStore()
        names = await three_segments(tmp_path, store)

        def deny(times: int) -> None:
            def denied() -> RemoteError:
                return NotFound("There is nothing of that name.")

            store.inject(Fault(Verb.GET, Harm.BEFORE, names[-1], times, error=denied))

        deny(3)
        with pytest.raises(Integrity, match=rf"Segment {len(names)} .* is missing"):
            async with open_gallery(
                tmp_path / "new", SECRET, open_remote=lambda url, create: store
            ):
                pass
        deny(2)
        async with open_gallery(
            tmp_path / "new", SECRET, open_remote=lambda url, create: store
        ) as gallery:
            assert Story.own(Folder(gallery)) == ["0.txt", "1.txt", "2.txt"]

    trio.run(script)
