"""Building the catalog from every device's segments on the remote."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress

from tagfs.errors import Integrity
from tagfs.model import DeviceId
from tagfs.pipeline.ledger import Ledger
from tagfs.vault.chains import newest
from tagfs.vault.layout import segment_path
from tagfs.vault.ops import Unit, decode_unit
from tagfs.vault.segments import Head, Segment, segment_name
from tagfs.vault.vault import Vault

log = logging.getLogger(__name__)

GAP = 16
"""Segments in a row that may be missing before a damaged journal counts as ended."""
AT_ONCE = 8
"""Segments of each device that are held in memory."""
RESTORE = (
    "Restore the remote from a copy; `tagfs repair --from-objects` goes on with what the journals "
    "still tell."
)
LATEST = 2**63
"""Clocks from which on a unit is not believed (the year 6429): whoever saw it must go on from it,
and there are 2^64."""


async def rebuild(ledger: Ledger, vault: Vault, salvage: bool = False) -> None:
    """Apply every unit of every device to an empty catalog.

    In the order of their clocks, so that the undo log tells what each act replaced. A malformed
    unit is left out: no device can lock the others out by what it wrote. A journal that is not
    whole raises Integrity, unless it is to be salvaged.
    """
    try:
        await vault.refresh()  # devices may have joined since the header that is kept here
    except Integrity as e:
        log.warning("the vault's header: %s", e)  # pipeline/rollback.py tells what to do
    journals = [_Journal(ledger, vault, slot.device, salvage) for slot in vault.info.devices]
    while True:
        for journal in journals:
            await journal.fill()
        waiting = [journal.units for journal in journals if journal.units]
        if not waiting:
            break
        ledger.learn(min(waiting, key=lambda units: units[0].hlc).popleft())
    for problem in await _cut(vault, journals):
        if not salvage:
            raise Integrity(f"{problem} {RESTORE}")
        ledger.event(problem)
        log.warning("%s", problem)


async def _cut(vault: Vault, journals: list[_Journal]) -> list[str]:
    """Say which journals end before a segment of theirs that another device has seen."""
    problems = []
    for head in newest(h for journal in journals for h in journal.named.values()).values():
        known = vault.memory.heads.get(head.device)
        if known is None or known.seq < head.seq:
            with suppress(Integrity):  # it is there, and what is wrong with it was said
                # It may have come since that journal was read.
                if await vault.segment(head.device, head.seq) is None:
                    problems.append(
                        f"Journal segment {head.seq} of device {head.device.hex()}, which another "
                        "device has seen, is missing."
                    )
    return problems


class _Journal:
    """What one device has written, a segment at a time."""

    def __init__(self, ledger: Ledger, vault: Vault, device: DeviceId, salvage: bool) -> None:
        self._ledger = ledger
        self._vault = vault
        self._device = device
        self._losses: list[str] = []
        self._segments = (
            remains(vault, device, 0, self._losses) if salvage else _whole(vault, device)
        )
        self._more = True
        self.units: deque[Unit] = deque()
        self.named: dict[DeviceId, Head] = {}  # the last segments of others that it had seen

    async def fill(self) -> None:
        """Read on when no units are left."""
        while not self.units and self._more:
            segment = await anext(self._segments, None)
            if segment is not None:
                self._take(segment)
                continue
            self._more = False
            if self._losses:
                self._ledger.event(lost(self._device, self._losses))
                log.warning("%s", lost(self._device, self._losses))

    def _take(self, segment: Segment) -> None:
        """Take the units of a segment, or say which cannot be."""
        for payload in segment.units:
            try:
                unit = decode_unit(payload, segment.device)
                if unit.hlc >= LATEST:
                    raise Integrity("A journal unit has a clock after which nobody could write.")
            except Integrity as e:
                self._ledger.event(f"{e} It is left out of segment {segment.seq} of a device.")
                log.warning("segment %d of device %s: %s", segment.seq, segment.device.hex(), e)
                continue
            self.units.append(unit)
        self._vault.memory.note(segment.head)
        self.named |= {head.device: head for head in segment.heads}


async def _whole(vault: Vault, device: DeviceId) -> AsyncIterator[Segment]:
    """Yield the segments of a device; raises Integrity when one of them is not whole."""
    last = None
    known = vault.memory.heads.get(device)
    try:
        while True:
            segments = await vault.read_device(device, last, AT_ONCE)
            for segment in segments:
                yield segment
            if segments:
                last = segments[-1].head
            elif not await _goes_on(vault, device, known, last.seq if last else 0):
                break
    except Integrity as e:
        raise Integrity(f"{e} {RESTORE}") from e


async def _goes_on(vault: Vault, device: DeviceId, known: Head | None, read: int) -> bool:
    """Whether a journal goes on after all behind segment ``read``, after which none was found.

    Raises Integrity where one was seen before or is listed and does not come: remotes have denied
    what they had, and what a catalog does not learn while it is built it never asks for again. The
    names of a journal's segments tell nothing, so those that may follow are looked for.
    """
    if device == vault.device.id:
        return False  # all of it is in the local journal
    following = {
        segment_path(segment_name(vault.ring, device, seq)): seq
        for seq in range(read + 1, read + 1 + GAP)
    }
    listed = read if known is None else known.seq
    cursor = None
    while True:
        page = await vault.store.list("j/", cursor)
        listed = max([listed, *(following.get(entry.name, 0) for entry in page.entries)])
        cursor = page.cursor
        if cursor is None:
            break
    if listed > read and await vault.segment(device, read + 1) is None:
        raise Integrity(f"Segment {read + 1} of device {device.hex()} is missing.")
    return listed > read


async def remains(
    vault: Vault, device: DeviceId, after: int, losses: list[str]
) -> AsyncIterator[Segment]:
    """Yield the segments of a device that can be read, whether or not those before them can.

    It begins behind segment number ``after``.
    Operations may be applied in any selection, and each segment is signed for its place. What
    does not verify, and what is missing before one that is there, is added to ``losses``.
    """
    seq = after + 1
    missing: list[str] = []
    while len(missing) < GAP:
        try:
            segment = await vault.segment(device, seq)
        except Integrity as e:
            losses += [*missing, str(e)]
            missing.clear()
        else:
            if segment is None:
                missing.append(f"Segment {seq} of device {device.hex()} is missing.")
            else:
                losses += missing
                missing.clear()
                yield segment
        seq += 1


def lost(device: DeviceId, losses: list[str]) -> str:
    """Return what is told of a journal that has gaps."""
    return (
        f"{len(losses)} segments of the journal of device {device.hex()[:8]} cannot be read; the "
        f"first: {losses[0]}"
    )
