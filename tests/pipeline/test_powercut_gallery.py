"""The power fails at any moment: what was synced is there, the rest is a prefix of the acts.

The whole gallery runs on a recorded disk. For each of many moments a legal state of that disk
is rebuilt (writes that no fsync covered dropped, reordered, torn) and opened, with no catalog,
with an old one or with one that is further than the journal.
"""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio
from gallery_kit import Folder, make, opened
from powercut import Event, Recorder, rebuild

from tagfs.pipeline.names import RESERVED

Shown = dict[str, bytes | None]


@dataclass
class Moment:
    """After one act: how many events had happened, what the gallery shows."""

    events: int
    shown: Shown


class Story:
    """Acts on a gallery, with what was shown after each and what had been synced."""

    def __init__(self, folder: Folder, recorder: Recorder, rng: random.Random) -> None:
        self.g = folder
        self.recorder = recorder
        self.rng = rng
        self.shown: Shown = {}
        self.moments = [Moment(recorder.mark(), {})]
        self.synced = [(recorder.mark(), 0)]  # from this event on, acts up to this one are safe
        self.catalogs: list[tuple[int, Path]] = []

    async def act(self, number: int, keep: Path) -> None:
        kind = self.rng.choice(
            ["write", "write", "overwrite", "replace", "rename", "remove", "mkdir", "patch", "sync"]
        )
        files = sorted(p for p, data in self.shown.items() if data is not None)
        path = f"f{self.rng.randrange(8)}"
        some = self.rng.choice(files) if files else None
        if kind == "write":
            await self.write(f"n{number}")
        elif kind == "overwrite" and some:
            await self.write(some)
        elif kind == "replace":
            await self.write(path + ".part")
            self.step()
            self.g.mv(path + ".part", path)
            self.shown[path] = self.shown.pop(path + ".part")
        elif kind == "rename" and some and some != path:
            self.g.mv(some, path)
            self.shown[path] = self.shown.pop(some)
        elif kind == "remove" and some:
            self.g.rm(some)
            del self.shown[some]
        elif kind == "mkdir":
            self.g.mkdir(f"d{number}")
            self.shown[f"d{number}"] = None
        elif kind == "patch" and some:
            await self.patch(some)
        elif kind == "sync":
            await self.g.gallery.sync()
            self.synced.append((self.recorder.mark(), len(self.moments) - 1))
            if self.rng.random() < 0.3:
                await trio.to_thread.run_sync(self.g.gallery.ledger.catalog.sync_now)
                copy = keep / f"catalog{number}"
                shutil.copytree(self.g.gallery.spool.folder.parent / "catalog", copy)
                self.catalogs.append((self.recorder.mark(), copy))
        self.step()

    def step(self) -> None:
        self.moments.append(Moment(self.recorder.mark(), dict(self.shown)))

    async def write(self, path: str) -> None:
        data = self.rng.randbytes(self.rng.choice([20, 3000, 140_000]))
        if path not in self.shown:
            parent, name = self.g.split(path)
            self.g.tree.create(parent, name, 0o644)
            self.shown[path] = b""
            self.step()
        await self.g.write(path, data)
        self.shown[path] = data

    async def patch(self, path: str) -> None:
        old = self.shown[path]
        assert old is not None
        if not old:
            return
        at, data = self.rng.randrange(len(old)), self.rng.randbytes(500)
        handle = await self.g.tree.open(self.g.ino(path), 2)
        handle.write(at, data)
        await handle.flush()
        self.shown[path] = old[:at] + data + old[at + len(data) :]
        self.step()
        await handle.release()


async def shown(g: Folder) -> Shown:
    found: Shown = {}
    for _, name, attr in g.tree.list(1, 0):
        path = name.decode()
        if path.encode() in RESERVED:
            continue
        found[path] = None if attr.kind.value == "dir" else await g.read(path)
    return found


def cut_power(tmp_path: Path, seed: int, acts: int, cuts: int) -> None:
    rng = random.Random(seed)
    story, events = trio.run(_live, tmp_path, rng, acts)
    for number in range(cuts):
        at = rng.randrange(story.moments[0].events, len(events) + 1)
        target = tmp_path / f"cut{number}"
        rebuild(events[:at], target / "state", random.Random(rng.random()))
        for name in ("vault.json", "header", "device", "heads"):
            shutil.copy(tmp_path / "state" / name, target / "state" / name)
        catalogs = [c for after, c in story.catalogs if after <= at]
        if catalogs and rng.random() < 0.6:
            shutil.copytree(rng.choice(catalogs), target / "state" / "catalog")
        (target / "remote").symlink_to(tmp_path / "remote")
        found = trio.run(_look, target)
        safe = max(act for after, act in story.synced if after <= at)
        begun = sum(1 for m in story.moments if m.events <= at)
        possible = [m.shown for m in story.moments[safe : begun + 1]]
        assert found in possible, (
            f"seed {seed}, cut {number} at event {at}: shows {sorted(found)}; "
            f"acts up to {safe} had been synced, {begun} begun"
        )
        shutil.rmtree(target)


async def _live(tmp_path: Path, rng: random.Random, acts: int) -> tuple[Story, list[Event]]:
    await make(tmp_path)
    recorder = Recorder(tmp_path / "state")
    async with opened(tmp_path, disk=recorder, offline=True) as folder:
        story = Story(folder, recorder, rng)
        for number in range(acts):
            await story.act(number, tmp_path)
        end = recorder.mark()
        return story, recorder.events[:end]


async def _look(target: Path) -> Shown:
    async with opened(target, offline=True) as folder:
        return await shown(folder)


@pytest.mark.timeout(600)
def test_50_power_cuts_leave_what_was_synced_and_a_prefix_of_the_rest(tmp_path: Path) -> None:
    for seed in range(2):
        cut_power(tmp_path / str(seed), seed, 60, 25)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
def test_500_power_cuts_leave_what_was_synced_and_a_prefix_of_the_rest(
    tmp_path: Path, seed: int
) -> None:
    cut_power(tmp_path, 1000 + seed, 120, 50)
