"""Building the catalog from every device's segments on the remote."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import trio

from tagfs.errors import Integrity
from tagfs.model import DeviceId
from tagfs.pipeline.ledger import Ledger
from tagfs.vault.ops import decode_unit
from tagfs.vault.segments import Head, Segment
from tagfs.vault.vault import Vault

log = logging.getLogger(__name__)

GAP = 16
"""Segments in a row that may be missing before a damaged journal counts as ended."""


async def rebuild(ledger: Ledger, vault: Vault, salvage: bool = False) -> None:
    """Apply every unit of every device to an empty catalog.

    A malformed unit is left out: no device can lock the others out by what it wrote. A journal
    that is not whole raises Integrity, unless it is to be salvaged.
    """
    for slot in vault.info.devices:
        if salvage:
            losses: list[str] = []
            async for segment in remains(vault, slot.device, None, losses):
                _take(ledger, vault, segment)
            if losses:
                ledger.event(lost(slot.device, losses))
                log.warning("%s", lost(slot.device, losses))
        else:
            await _read(ledger, vault, slot.device)
        await trio.lowlevel.checkpoint()


async def _read(ledger: Ledger, vault: Vault, device: DeviceId) -> None:
    last = None
    try:
        while segments := await vault.read_device(device, last):
            for segment in segments:
                _take(ledger, vault, segment)
            last = segments[-1].head
    except Integrity as e:
        raise Integrity(
            f"{e} Restore the remote from a copy; `tagfs repair --from-objects` goes on with what "
            "the journals still tell."
        ) from e


async def remains(
    vault: Vault, device: DeviceId, after: Head | None, losses: list[str]
) -> AsyncIterator[Segment]:
    """Yield the segments of a device that can be read, whether or not those before them can.

    Operations may be applied in any selection, and each segment is signed for its place. What
    does not verify, and what is missing before one that is there, is added to ``losses``.
    """
    seq = after.seq + 1 if after else 1
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


def _take(ledger: Ledger, vault: Vault, segment: Segment) -> None:
    """Apply the units of a segment, or say which cannot be."""
    for payload in segment.units:
        try:
            unit = decode_unit(payload, segment.device)
        except Integrity as e:
            ledger.event(f"{e} It is left out of segment {segment.seq} of a device.")
            log.warning("segment %d of device %s: %s", segment.seq, segment.device.hex(), e)
            continue
        ledger.learn(unit)
    vault.memory.note(segment.head)
