"""Compares what was seen of each device's journal with what is found now.

Pure functions. A rollback, fork or truncation is an answer to the user and not a crash: which
device, what was seen, what is there, what to do.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tagfs.errors import Integrity
from tagfs.model import DeviceId
from tagfs.vault.segments import FIRST, Head, Segment


class Trouble(enum.Enum):
    """What is wrong with a device's journal on the remote."""

    MISSING = "missing"  # segments that were seen are not there: rollback or truncation
    FORKED = "forked"  # another segment stands where one was seen


@dataclass(frozen=True, slots=True)
class Alarm:
    """One finding, to be told and answered before anything is written."""

    trouble: Trouble
    device: DeviceId
    seen: Head
    found: Head | None

    def text(self) -> str:
        """Return what happened, to what, and what to do next."""
        device = self.device.hex()[:8]
        if self.trouble is Trouble.MISSING:
            there = f"ends at segment {self.found.seq}" if self.found else "is gone"
            return (
                f"The journal of device {device} was seen up to segment {self.seen.seq}, but on "
                f"the remote it {there}: it was rolled back or cut. Restore the remote from a "
                "copy, or join what is there from another state directory."
            )
        return (
            f"Segment {self.seen.seq} of device {device} is not the one that was seen "
            f"({self.seen.hash.hex()[:16]}…): the journal was replaced by another one. "
            "Restore the remote from a copy, or join what is there from another state directory."
        )


def check_next(last: Head | None, segment: Segment, newest_epoch: int = 0) -> Head:
    """Return the head after ``segment``, which must follow ``last``; raises Integrity.

    ``newest_epoch`` is that of the segment before: epochs never go back along a sequence.
    """
    seq, prev = (last.seq + 1, last.hash) if last else (1, FIRST)
    if (segment.seq, segment.prev) != (seq, prev) or (last and last.device != segment.device):
        raise Integrity(
            f"Journal segment {segment.seq} of device {segment.device.hex()} does not follow "
            "the one before it: the chain is broken."
        )
    if segment.epoch < newest_epoch:
        raise Integrity(
            f"Journal segment {segment.seq} of device {segment.device.hex()} was sealed in epoch "
            f"{segment.epoch}, though an earlier one was sealed in {newest_epoch}."
        )
    return segment.head


def compare(seen: Mapping[DeviceId, Head], found: Mapping[DeviceId, Iterable[Head]]) -> list[Alarm]:
    """Compare the heads that were seen with the chains that are there; empty when all is well.

    ``found`` has for each device the heads of its verified chain: at least the one at the
    sequence that was seen, where it is there, and the last one.
    """
    alarms = []
    for device in sorted(seen):
        head = seen[device]
        chain = {h.seq: h for h in found.get(device, ())}
        at = chain.get(head.seq)
        if at is None:
            last = chain[max(chain)] if chain else None
            alarms.append(Alarm(Trouble.MISSING, device, head, last))
        elif at.hash != head.hash:
            alarms.append(Alarm(Trouble.FORKED, device, head, at))
    return alarms


def newest(heads: Iterable[Head]) -> dict[DeviceId, Head]:
    """Return for each device the furthest of the heads that anybody named."""
    result: dict[DeviceId, Head] = {}
    for head in heads:
        known = result.get(head.device)
        if known is None or head.seq > known.seq:
            result[head.device] = head
    return result
