"""What the journals in the vault prove of contents: which are held, recorded and condemned.

Read anew from every segment and apart from the catalog, so that what the two do not agree on is
deleted by neither. What cannot be read, or was written by a later version, ends a census: then
nothing is proved.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import trio

from tagfs.errors import Integrity
from tagfs.model import NEVER, ContentId, DeviceId, FileId, ObjectName, Stamp
from tagfs.pipeline.rebuilding import LATEST
from tagfs.vault.ops import (
    AddEntry,
    Entity,
    Field,
    Op,
    RecordContent,
    RemoveEntry,
    SetRegister,
    Skipped,
    Unit,
    decode_unit,
)
from tagfs.vault.segments import Head
from tagfs.vault.vault import Vault

AT_ONCE = 8
"""Segments that are held in memory."""

_Dot = tuple[DeviceId, int, int]


@dataclass(slots=True)
class _File:
    """One file as the journals tell it."""

    content: ContentId | None = None
    registers: dict[Field, tuple[Stamp, Any]] = field(default_factory=dict)
    had: list[tuple[Stamp, ContentId | None]] = field(default_factory=list)  # contents, ever
    listed: set[_Dot] = field(default_factory=set)
    unlisted: set[_Dot] = field(default_factory=set)
    touched: int = 0  # clock of the user's last act on it

    @property
    def kept(self) -> bool:
        """Whether it is listed or in the trash."""
        trashed, purged = (self._value(f) for f in (Field.TRASHED, Field.PURGED))
        return bool(self.listed - self.unlisted) or (trashed is not None and purged is None)

    def held(self, since: int) -> Iterator[ContentId | None]:
        """Yield what it has, and what an undo gives it of acts from the clock ``since`` on."""
        if self.kept or self.touched >= since:
            yield self.content
        for (_, before), (at, _) in pairwise(sorted(self.had, key=lambda write: write[0])):
            if at.hlc >= since:
                yield before

    def _value(self, name: Field) -> Any:
        return self.registers.get(name, (NEVER, None))[1]

    def write(self, name: Field, value: Any, stamp: Stamp) -> None:
        """Take a register's write, whatever the order."""
        if name is Field.CONTENT:
            self.had.append((stamp, None if value is None else value[0]))
        if stamp > self.registers.get(name, (NEVER, None))[0]:
            self.registers[name] = (stamp, value)
            if name is Field.CONTENT:
                self.content = None if value is None else value[0]


class Census:
    """The journals of a vault, as far as contents are concerned."""

    def __init__(self) -> None:
        self.heads: dict[DeviceId, Head] = {}
        """The last segment of each device that was read."""
        self.devices: set[DeviceId] = set()
        """Every device that the vault has or that any segment names."""
        self.records: defaultdict[ContentId, set[ObjectName]] = defaultdict(set)
        """The records of each content."""
        self._condemned: dict[ContentId, tuple[Stamp, frozenset[ObjectName]]] = {}
        self._files: defaultdict[FileId, _File] = defaultdict(_File)

    def condemned(self, content: ContentId) -> frozenset[ObjectName]:
        """Return which records of a content count no more."""
        return self._condemned.get(content, (NEVER, frozenset[ObjectName]()))[1]

    def held(self, since: int) -> set[ContentId]:
        """Return the contents of files that are listed or in the trash.

        And those that a file gets when acts from the clock ``since`` on are taken back.
        """
        found = {content for file in self._files.values() for content in file.held(since)}
        return {content for content in found if content is not None}

    def apply(self, unit: Unit) -> None:
        """Take what a unit says. Raises Integrity for what a later version wrote."""
        if unit.hlc >= LATEST:
            raise Integrity("A journal unit has a clock after which nobody could write.")
        stamp = Stamp(unit.hlc, unit.device)
        for index, op in enumerate(unit.ops):
            self._apply(op, stamp, index, unit.hlc if unit.by_user else 0)

    def _apply(self, op: Op, stamp: Stamp, index: int, acted: int) -> None:
        match op:
            case SetRegister(entity=Entity.FILE):
                self._file(op.id, acted).write(op.field, op.value, stamp)
            case AddEntry():
                self._file(op.file, acted).listed.add((stamp.device, stamp.hlc, index))
            case RemoveEntry():
                self._file(op.file, acted).unlisted.update(op.dots)
            case RecordContent(content):
                self.records[content.id].add(content.record)
            case SetRegister(field=Field.CONDEMNED):
                content_id = ContentId(op.id)
                if stamp > self._condemned.get(content_id, (NEVER, None))[0]:
                    self._condemned[content_id] = (stamp, frozenset(op.value or ()))
            case Skipped():
                raise Integrity(
                    "The vault's journal has what this version of tagfs does not understand; "
                    "update tagfs."
                )
            case _:
                pass  # says nothing of bytes

    def _file(self, ident: bytes, acted: int) -> _File:
        file = self._files[FileId(ident)]
        file.touched = max(file.touched, acted)
        return file


async def take_census(vault: Vault) -> Census:
    """Read every segment of every device. Raises Integrity, RemoteError; nothing is proved then."""
    await vault.refresh()
    for alarm in await vault.check():
        raise Integrity(alarm.text())
    seen = dict(vault.memory.heads)
    census = Census()
    census.devices |= {slot.device for slot in vault.info.devices} | {vault.device.id, *seen}
    for device in sorted(census.devices):
        last: Head | None = None
        while segments := await vault.read_device(device, last, AT_ONCE):
            for segment in segments:
                census.devices |= {head.device for head in segment.heads}
                for payload in segment.units:
                    census.apply(decode_unit(payload, device))
                await trio.lowlevel.checkpoint()
            last = segments[-1].head
        if last is not None:
            census.heads[device] = last
        known = seen.get(device)
        if known is not None and (last is None or last.seq < known.seq):
            raise Integrity(f"The journal of device {device.hex()[:8]} ends before it should.")
    return census
