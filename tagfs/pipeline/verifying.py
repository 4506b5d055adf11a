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
    segments: int = 0
    waiting: int = 0  # contents that are only on this machine yet
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """Return the form of ``tagfs verify --json``."""
        return {
            "objects": self.objects,
            "opened": self.opened,
            "segments": self.segments,
            "waiting": self.waiting,
            "problems": list(self.problems),
        }


async def verify(
    state: State,
    vault: Vault,
    store: Store,
    local: LocalContents,
    sample: float | None,
    progress: Progress = lambda done, total: None,
    choose: Callable[[], float] = random.random,
) -> VerifyReport:
    """Check header, journals and objects on the remote.

    Every object must be there with its recorded size; a share of ``sample`` (0 to 1; None: 0)
    is fetched and every chunk of it opened. Raises RemoteError when the remote does not answer;
    whatever does not verify is reported and the rest is looked at all the same.
    """
    report = VerifyReport()
    await _journals(vault, report)
    contents = [c for c in map(state.photos.content, state.photos.contents()) if c is not None]
    for done, content in enumerate(contents):
        if local.is_waiting(content):
            report.waiting += 1
        else:
            await _content(vault, store, state, content, sample, report, choose)
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


async def _content(
    vault: Vault,
    store: Store,
    state: State,
    content: Content,
    sample: float | None,
    report: VerifyReport,
    choose: Callable[[], float],
) -> None:
    for number, part in enumerate(content.parts):
        report.objects += 1
        problem = await _part(vault, store, number, part, sample, report, choose)
        if problem is not None:
            report.problems.append(problem + whose(state, content))


async def _part(
    vault: Vault,
    store: Store,
    number: int,
    part: Part,
    sample: float | None,
    report: VerifyReport,
    choose: Callable[[], float],
) -> str | None:
    name = object_path(part.name)
    try:
        size = (await store.stat(name)).size
        if size != part.stored:
            return f"Object {name} has {size} bytes instead of {part.stored}."
        if sample is None or choose() >= sample:
            return None
        data = memoryview(await store.get(name))
        report.opened += 1
        await trio.to_thread.run_sync(
            verify_part, vault.ring, part, number, lambda at, n: data[at : at + n]
        )
    except NotFound:
        return f"Object {name} is not on the remote."
    except Integrity as e:
        return str(e)
    return None


def whose(state: State, content: Content) -> str:
    """Say which file an object belongs to, where one is listed."""
    photo = state.photos.get(content.id)
    for ident in photo.files if photo else ():
        file = state.file(ident)
        for _, name in file.entries if file else ():
            return f" It belongs to {name.decode(errors='replace')}."
    return ""
