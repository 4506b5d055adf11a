"""Whatever is done in whatever order: what can still be reached reads back from the remote alone.

Random acts, days that pass, runs of ``tagfs gc``, restarts and kills in the middle of a run. The
model knows nothing of how things are collected: it writes down when each content was last listed,
taken out of the trash or replaced, and demands it until undo has forgotten that.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
import trio
from gallery_kit import VIEWS, Folder, make, secret_of
from kills import Steps
from test_collecting import Days, at, gc, objects, paths

from tagfs.errors import TagfsError
from tagfs.model import ContentId
from tagfs.pipeline import uploading
from tagfs.pipeline.census import take_census
from tagfs.pipeline.opening import join
from tagfs.pipeline.retention import DAY_MS, GRACE_DAYS, TRASH_DAYS, expire
from tagfs.pipeline.state_dir import Settings, StateDir
from tagfs.remote.url import dir_url

NAMES = [f"{letter}.bin" for letter in "abcdef"]
BYTES = [f"content {n} ".encode() * 50 for n in range(8)]
ACTS = (
    *("write",) * 6,
    *("rm",) * 5,
    *("rm from trash", "restore", "undo", "undo", "rename", "patch"),
    *("days",) * 6,
    *("gc",) * 6,
    *("kill in gc",) * 2,
    *("reopen", "evict", "store", "expire"),
)


class Story:
    """One gallery, its clock, and until when each content has to be there."""

    def __init__(self, tmp: Path, seed: int) -> None:
        self.tmp = tmp
        self.rng = random.Random(seed)
        self.days = Days()
        self.steps = Steps(tmp)
        self.bytes: dict[ContentId, bytes] = {}
        self.until: dict[ContentId, int] = {}  # ns, for what is not listed
        self.log: list[str] = []
        self.killed = False
        self.g: Folder
        self._listed: set[ContentId] = set()
        self._trashed: set[ContentId] = set()

    # -- acting ----------------------------------------------------------------------------

    async def run(self, acts: int) -> None:
        await make(self.tmp)
        left = [self.rng.choice(ACTS) for _ in range(acts)] + ["gc", "days", "gc"]
        while left:
            async with at(
                self.tmp, self.days, disk=self.steps, open_remote=self.steps.store
            ) as self.g:
                while left:
                    act = left.pop(0)
                    self.log.append(act)
                    if act == "reopen":
                        break
                    await self.act(act)
                    await self.notice()
                    if act == "kill in gc":
                        break
                if not left:
                    await self.check()
                    await self.all_goes_in_the_end()
            self.put_back()

    async def act(self, act: str) -> None:
        g, rng = self.g, self.rng
        g.tree.acting(rng.randrange(1 << 30))
        listed = [n for n in g.names() if n not in VIEWS]
        binned = g.names("trash")
        if act == "write":
            await g.write(rng.choice(NAMES), rng.choice(BYTES))
        elif act == "rm" and listed:
            g.rm(rng.choice(listed))
        elif act == "rename" and listed:
            g.mv(rng.choice(listed), rng.choice(NAMES))
        elif act == "rm from trash" and binned:
            g.rm("trash/" + rng.choice(binned))
        elif act == "restore" and binned:
            name = rng.choice(binned)
            g.mv("trash/" + name, name)
        elif act == "patch" and listed:
            handle = await g.tree.open(g.ino(rng.choice(listed)), 2)
            handle.write(5, b"patched")
            await handle.flush()
            await handle.release()
        elif act == "undo":
            try:
                g.gallery.undoing.undo()
            except TagfsError:
                pass
        elif act == "days":
            self.days.pass_by(rng.choice([0.5, 5, 8, 20, 31, 38]))
        elif act == "expire":
            expire(g.gallery.ledger)
        elif act == "gc":
            assert (await gc(g)).failed == []
        elif act == "kill in gc":
            self.steps.watching = True
            await gc(g)
            self.steps.watching = False
            self.killed = bool(self.steps.moments)
        elif act == "evict":
            await g.gallery.sync()
            g.gallery.spool.shrink(0)
        elif act == "store":
            assert await g.gallery.wait("stored", 60)

    def put_back(self) -> None:
        """Go on from one of the moments at which the last run may have been killed."""
        if self.killed:
            _, moment = self.rng.choice(self.steps.moments)
            for name in ("state", "remote"):
                shutil.rmtree(self.tmp / name)
                (moment / name).rename(self.tmp / name)
            place = StateDir(self.tmp / "state")
            place.write_settings(Settings(dir_url(self.tmp / "remote"), place.settings().vault))
        self.killed = False
        self.steps.moments.clear()
        shutil.rmtree(self.tmp / "steps", ignore_errors=True)

    # -- what has to be there ----------------------------------------------------------------

    async def notice(self) -> None:
        """Read what is listed, and note what has just ceased to be listed or in the trash."""
        while self.g.gallery.ledger.local.drafts():
            await trio.sleep(0.01)
        listed: set[ContentId] = set()
        for name in self.g.names():
            held = None if name in VIEWS else self.g.tree.at(name.encode()).content
            if held is not None:
                data = await self.g.read(name)
                assert self.bytes.setdefault(held[0], data) == data
                listed.add(held[0])
        records = [file for _, file in self.g.gallery.state.trash()]
        trashed = {file.content[0] for file in records if file.content is not None}
        window = (TRASH_DAYS + GRACE_DAYS) * DAY_MS * 1_000_000
        for ident in self._listed - listed:
            self.until[ident] = self.days.now + window
        if self.log[-1] == "rm from trash":
            for ident in self._trashed - trashed:
                self.until[ident] = self.days.now + window
        for ident in trashed:
            self.until.setdefault(ident, 0)
        self._listed, self._trashed = listed, trashed

    def needed(self) -> set[ContentId]:
        late = {ident for ident, until in self.until.items() if until > self.days.now}
        return self._listed | self._trashed | late

    async def check(self) -> None:
        """Join a copy of the remote, and read there whatever can still be reached."""
        assert await self.g.gallery.wait("stored", 60)
        census = await take_census(self.g.gallery.vault)
        assert census.held(2**63) >= self._listed | self._trashed
        place = self.tmp / "check"
        shutil.copytree(self.tmp / "remote", place / "remote")
        await join(place / "state", dir_url(place / "remote"), secret_of(self.tmp / "state"))
        async with at(place, self.days) as fresh:
            for ident in self.needed():
                content = fresh.gallery.state.photos.content(ident)
                assert content is not None, f"content {ident.hex()[:8]} has no record"
                data = await fresh.gallery.contents.reader(content).read(0, content.size)
                assert bytes(data) == self.bytes[ident]
            assert fresh.names() == self.g.names()
        shutil.rmtree(place)

    async def all_goes_in_the_end(self) -> None:
        """What nothing needs any more is not there for ever."""
        for days in (31, 38, 7.1, 7.1):
            self.days.pass_by(days)
            assert (await gc(self.g)).failed == []
        held = [self.g.tree.at(n.encode()).content for n in self.g.names() if n not in VIEWS]
        contents = [self.g.gallery.state.photos.content(h[0]) for h in held if h is not None]
        assert objects(self.tmp) == {p for c in contents if c is not None for p in paths(c)}


def tell(tmp_path: Path, seed: int, acts: int) -> None:
    story = Story(tmp_path / f"{seed}", seed)
    story.tmp.mkdir()
    try:
        trio.run(story.run, acts)
    except BaseException as e:
        e.add_note(f"seed {seed}: {', '.join(story.log)}")
        raise
    shutil.rmtree(story.tmp)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploading, "PAUSE", 0.0)


@pytest.mark.parametrize("seed", range(32))
def test_what_can_be_reached_reads_back_whatever_was_done(tmp_path: Path, seed: int) -> None:
    tell(tmp_path, seed, 20)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1000, 1400))
def test_what_can_be_reached_reads_back_in_longer_stories(tmp_path: Path, seed: int) -> None:
    tell(tmp_path, seed, 80)
