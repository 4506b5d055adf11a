"""The undo log: what every act of the user's replaced, kept until it cannot be taken back any more.

It is derived while units are applied, in order of each device's journal, so it is rebuilt with the
catalog. What is taken back is only what still holds what the act wrote (`plan`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cbor2

from tagfs.catalog.pages import Pages
from tagfs.catalog.schema import Table
from tagfs.catalog.tables import KeyValue
from tagfs.model import DeviceId, FileId, FolderId, Stamp, TagId, UnitId, Word
from tagfs.vault.ops import Entity, Field, Unit

_UNDONE = b"undone"
"""Begins the key of a mark that an act was taken back."""

Dot = tuple[DeviceId, int, int]


@dataclass(frozen=True, slots=True)
class Wrote:
    """A register that an act wrote: what it replaced, when that was written, and its own write."""

    entity: Entity
    id: bytes
    field: Field
    before: Any
    before_at: Stamp
    at: Stamp


@dataclass(frozen=True, slots=True)
class Said:
    """A word that an act said about a photo or a file."""

    subject: bytes
    tag: TagId
    before: Word
    before_at: Stamp
    at: Stamp


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry that an act added (with its dot) or took away (None)."""

    folder: FolderId
    name: bytes
    file: FileId
    dot: Dot | None


Deed = Wrote | Said | Listed


@dataclass(frozen=True, slots=True)
class Act:
    """One act of the user's: its units' clocks, and whether another act took it back."""

    id: UnitId
    first: int  # clock of its first unit
    last: int
    device: DeviceId
    units: int
    undoes: UnitId | None
    undone: bool


class UndoLog:
    """Acts in the order in which they began. Told of every unit after it was applied."""

    def __init__(self, store: KeyValue) -> None:
        self._store = store
        self._order = Pages(store, Table.ACT_PAGE)

    def note(self, unit: Unit, deeds: list[Deed]) -> None:
        """Keep what one unit of an act did; a unit that changed nothing is no part of it."""
        if unit.undoes is not None:  # the act itself may come later, from another device
            self._store.put(Table.ACT, _UNDONE + unit.undoes, b"\1")
        if not deeds:
            return
        head = self._head(unit.id)
        if head is None:
            slot = self._order.append(b"", unit.id)
            head = [slot, unit.hlc, unit.hlc, unit.device, 0, None]
        head[1], head[2] = min(head[1], unit.hlc), max(head[2], unit.hlc)
        row = cbor2.dumps([_raw(deed) for deed in deeds])
        self._store.put(Table.ACT, unit.id + head[4].to_bytes(4, "big"), row)
        head[4] += 1
        head[5] = unit.undoes or head[5]
        self._store.put(Table.ACT, unit.id, cbor2.dumps(head))

    def acts(self) -> Iterator[Act]:
        """Yield every act that is kept, the newest first."""
        for _, ident in self._order.back(b""):
            act = self.act(UnitId(ident))
            if act is not None:
                yield act

    def act(self, ident: UnitId) -> Act | None:
        """Return one act, None when it is not kept."""
        head = self._head(ident)
        if head is None:
            return None
        _, first, last, device, units, undoes = head
        undone = self._store.get(Table.ACT, _UNDONE + ident) is not None
        return Act(ident, first, last, DeviceId(device), units, undoes and UnitId(undoes), undone)

    def deeds(self, act: Act) -> Iterator[Deed]:
        """Yield what an act did, in order."""
        for number in range(act.units):
            row = self._store.get(Table.ACT, act.id + number.to_bytes(4, "big"))
            for raw in cbor2.loads(row) if row is not None else ():
                yield _deed(raw)

    def forget(self, before: int) -> int:
        """Forget the acts that ended before a clock; return how many."""
        forgotten = 0
        for slot, ident in self._order.scan(b""):
            act = self.act(UnitId(ident))
            if act is not None and act.last >= before:
                break
            for number in range(act.units if act else 0):
                self._store.delete(Table.ACT, ident + number.to_bytes(4, "big"))
            self._store.delete(Table.ACT, ident)
            self._store.delete(Table.ACT, _UNDONE + ident)
            self._order.clear(b"", slot)
            forgotten += 1
        return forgotten

    def _head(self, ident: UnitId) -> list[Any] | None:
        raw = self._store.get(Table.ACT, ident)
        head: list[Any] | None = None if raw is None else cbor2.loads(raw)
        return head


def _raw(deed: Deed) -> list[Any]:
    match deed:
        case Wrote(entity, ident, field, before, before_at, at):
            return [1, int(entity), ident, int(field), before, *_pair(before_at), *_pair(at)]
        case Said(subject, tag, before, before_at, at):
            return [2, subject, tag, int(before), *_pair(before_at), *_pair(at)]
        case Listed(folder, name, file, dot):
            return [3, folder, name, file, dot]


def _deed(raw: list[Any]) -> Deed:
    if raw[0] == 1:
        before, at = Stamp(raw[5], raw[6]), Stamp(raw[7], raw[8])
        return Wrote(Entity(raw[1]), raw[2], Field(raw[3]), raw[4], before, at)
    if raw[0] == 2:
        return Said(raw[1], TagId(raw[2]), Word(raw[3]), Stamp(*raw[4:6]), Stamp(*raw[6:8]))
    dot = None if raw[4] is None else (raw[4][0], raw[4][1], raw[4][2])
    return Listed(raw[1], raw[2], raw[3], dot)


def _pair(stamp: Stamp) -> tuple[int, DeviceId]:
    return stamp.hlc, stamp.device
