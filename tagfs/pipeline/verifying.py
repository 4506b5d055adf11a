"""``tagfs verify``: is everything on the remote that should be there, and does it open."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from tagfs.catalog.state import State
from tagfs.errors import Integrity, NotAVault, NotFound, WrongSecret
from tagfs.model import Content, DeviceId, Part
from tagfs.pipeline.local import LocalContents
from tagfs.pipeline.rebuilding import remains
from tagfs.pipeline.spool import Spool
from tagfs.remote.store import Store
from tagfs.vault.layout import object_path
from tagfs.vault.objects import verify_part
from tagfs.vault.segments import Head
from tagfs.vault.vault import Vault

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class VerifyReport:
    """What was looked at, and what is wrong: one sentence for each, naming the object."""

    objects: int = 0
    opened: int = 0
    compared: int = 0  # by the provider's hash, with the copy on this machine
    segments: int = 0
    waiting: int = 0  # contents that are only on this machine yet
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """Return the form of ``tagfs verify --json``."""
        return {
            "objects": self.objects,
            "opened": self.opened,
            "compared": self.compared,
            "segments": self.segments,
            "waiting": self.waiting,
            "problems": list(self.problems),
        }


async def verify(
    state: State,
    vault: Vault,
    store: Store,
    local: LocalContents,
    spool: Spool,
    sample: float | None,
    progress: Progress = lambda done, total: None,
    choose: Callable[[], float] = random.random,
) -> VerifyReport:
    """Check header, journals and objects on the remote.

    Every object must be there with its recorded size, and have the bytes of this machine's copy
    where there is one and the provider tells a hash. A share of ``sample`` (0 to 1; None: 0)
    is fetched and every chunk of it opened. Raises RemoteError when the remote does not answer;
    whatever does not verify is reported and the rest is looked at all the same.
    """
    report = VerifyReport()
    await _journals(vault, report)
    objects = _Objects(state, vault, store, spool, lambda: choose() < (sample or 0.0), report)
    contents = [c for c in map(state.photos.content, state.photos.contents()) if c is not None]
    for done, content in enumerate(contents):
        if local.is_waiting(content):
            report.waiting += 1
        else:
            await objects.check(content)
        progress(done + 1, len(contents))
        await trio.lowlevel.checkpoint()
    return report


async def _journals(vault: Vault, report: VerifyReport) -> None:
    problems: list[str] = []
    try:
        await vault.refresh()
    except (Integrity, NotAVault, WrongSecret) as e:
        problems.append(str(e))
    try:
        problems += [alarm.text() for alarm in await vault.check()]
    except Integrity as e:
        problems.append(str(e))
    for slot in vault.info.devices:
        problems += await _journal(vault, slot.device, report)
    report.problems += dict.fromkeys(problems)  # the last segments were read twice


async def _journal(vault: Vault, device: DeviceId, report: VerifyReport) -> list[str]:
    """Read all that there is of one journal and return what is wrong with it."""
    last: Head | None = None
    losses: list[str] = []
    seq = 0
    try:
        await vault.certificate(device, vault.ring.newest.number)
        while segments := await vault.read_device(device, last, 1):
            (segment,) = segments
            last, seq = segment.head, segment.seq
            report.segments += 1
    except Integrity as e:
        losses.append(str(e))
        seq += 1
    # One that is damaged or missing does not hide those behind it.
    async for _ in remains(vault, device, seq, losses):
        report.segments += 1
    return losses


@dataclass(frozen=True, slots=True)
class _Objects:
    """Looks at the objects of contents, and at all bytes of those that are ``chosen``."""

    state: State
    vault: Vault
    store: Store
    spool: Spool
    chosen: Callable[[], bool]
    report: VerifyReport

    async def check(self, content: Content) -> None:
        """Look at the objects of one content."""
        for number, part in enumerate(content.parts):
            self.report.objects += 1
            try:
                problem = await self._part(number, part)
            except NotFound:
                problem = f"Object {object_path(part.name)} is not on the remote."
            except Integrity as e:
                problem = str(e)
            if problem is not None:
                self.report.problems.append(problem + whose(self.state, content))

    async def _part(self, number: int, part: Part) -> str | None:
        name = object_path(part.name)
        told = await self.store.stat(name)
        if told.size != part.stored:
            return f"Object {name} has {told.size} bytes instead of {part.stored}."
        if self.chosen():
            data = await self.store.get(name)
            self.report.opened += 1
            await self._open(number, part, data)
        elif told.hash is not None:
            return await self._compare(number, part, told.hash)
        return None

    async def _compare(self, number: int, part: Part, told: str) -> str | None:
        """Hold the provider's hash against the copy that is here, if one is."""
        try:
            data = await trio.to_thread.run_sync(self.spool.peek, part.name)
        except OSError:
            return None  # the disk does not give it
        if data is None or len(data) != part.stored:
            return None  # not here, or fetched anew when it is read
        self.report.compared += 1
        if await self.store.hash_of(data) == told:
            return None
        try:
            await self._open(number, part, data)
        except Integrity:
            # Readers open what they read, and fetch it where the copy is damaged.
            return f"The copy of object {object_path(part.name)} on this machine is damaged."
        return (
            f"Object {object_path(part.name)} has other bytes on the remote than on this machine, "
            "where they are right."
        )

    async def _open(self, number: int, part: Part, data: bytes) -> None:
        view = memoryview(data)
        await trio.to_thread.run_sync(
            verify_part, self.vault.ring, part, number, lambda at, n: view[at : at + n]
        )


def whose(state: State, content: Content) -> str:
    """Say which file an object belongs to, where one is listed."""
    photo = state.photos.get(content.id)
    for ident in photo.files if photo else ():
        file = state.file(ident)
        for _, name in file.entries if file else ():
            return f" It belongs to {name.decode(errors='replace')}."
    return ""
