"""Records that are on their way out of the vault, as this machine counts their time."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass

import cbor2

from tagfs.catalog.pages import Pages
from tagfs.catalog.records import PhotoRecord
from tagfs.catalog.schema import Table
from tagfs.catalog.tables import KeyValue
from tagfs.model import ContentId, ObjectName
from tagfs.vault.ops import Entity, Field, SetRegister

_LIST = b"condemned"


class Phase(enum.IntEnum):
    """How far a condemned record is. The numbers stand in journals."""

    SEEN = 1  # its time is counted from here
    DELETING = 2  # from here on nothing brings it back; its objects may be gone
    DELETED = 3
    REVIVED = 4  # it counts again


@dataclass(frozen=True, slots=True)
class Passing:
    """One record and how far it is."""

    content: ContentId
    record: ObjectName
    phase: Phase
    at_ms: int  # when it came that far, by this machine's clock


def counting_again(photo: PhotoRecord, record: ObjectName) -> SetRegister:
    """Return what lets a condemned record of a content count."""
    rest = tuple(name for name in photo.condemned if name != record)
    return SetRegister(Entity.PHOTO, photo.id, Field.CONDEMNED, rest or None)


class Condemned:
    """What is told of such records by the lines of the local journal; rebuilt on replay."""

    def __init__(self, store: KeyValue) -> None:
        self._store = store
        self._pages = Pages(store, Table.LOCAL)

    def note(self, passing: Passing) -> None:
        """Remember how far a record is."""
        key = _LIST + passing.record
        raw = self._store.get(Table.LOCAL, key)
        slot = None if raw is None else cbor2.loads(raw)[0]
        over = passing.phase in (Phase.DELETED, Phase.REVIVED)
        if over and slot is not None:
            self._pages.clear(_LIST, slot)
            slot = None
        elif not over and slot is None:
            slot = self._pages.append(_LIST, passing.record)
        row = [slot, passing.content, int(passing.phase), passing.at_ms]
        self._store.put(Table.LOCAL, key, cbor2.dumps(row))

    def get(self, record: ObjectName) -> Passing | None:
        """Return how far a record is, None when it was never seen condemned."""
        raw = self._store.get(Table.LOCAL, _LIST + record)
        if raw is None:
            return None
        _, content, phase, at = cbor2.loads(raw)
        return Passing(ContentId(content), record, Phase(phase), at)

    def under_way(self) -> Iterator[Passing]:
        """Yield what is condemned and not gone."""
        for _, record in self._pages.scan(_LIST):
            found = self.get(ObjectName(record))
            if found is not None:
                yield found
