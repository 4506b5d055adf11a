"""What the user kept with ``mkdir`` though it is found without: narrowings and queries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cbor2

from tagfs.catalog.pages import Pages
from tagfs.catalog.schema import Table
from tagfs.catalog.tables import KeyValue
from tagfs.model import NEVER, Stamp
from tagfs.vault.ops import Field, SetRegister

_ALL = b"all"
_BELOW = b"below:"


class Kept:
    """Registers by name, and the names that are kept: all of them, and those below a path.

    A name is a path of tag ids joined by ``/``, or a query's text, which has no path above it.
    """

    def __init__(self, store: KeyValue, table: Table, field: Field) -> None:
        self._store = store
        self._table = table
        self._field = field
        self._pages = Pages(store, table)

    def names(self, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield (slot, name) of everything that is kept."""
        return self._pages.scan(_ALL, start)

    def below(self, path: bytes, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield (slot, name) of the narrowings kept directly below a path."""
        return self._pages.scan(_BELOW + path, start)

    def __contains__(self, name: bytes) -> bool:
        return bool(self.register(name, self._field)[0])

    def register(self, name: bytes, field: Field) -> tuple[Any, Stamp]:
        """Return whether a name is kept, None when nobody said so, and the stamp of that."""
        if field is not self._field:
            return None, NEVER
        value, hlc, device, _ = self._row(name)
        return value, Stamp(hlc, device)

    def set_register(self, op: SetRegister, stamp: Stamp) -> bool:
        """Keep a name or forget it; say whether that is the later word on it."""
        _, hlc, device, slots = self._row(op.id)
        if op.field is not self._field or stamp <= Stamp(hlc, device):
            return False
        above, slash, _ = op.id.rpartition(b"/")
        lists = [_ALL, _BELOW + above] if slash else [_ALL]
        if op.value and not slots:
            slots = [self._pages.append(name, op.id) for name in lists]
        elif not op.value and slots:
            for name, slot in zip(lists, slots, strict=True):
                self._pages.clear(name, slot)
            slots = []
        row = cbor2.dumps([op.value, stamp.hlc, stamp.device, slots])
        self._store.put(self._table, b"k" + op.id, row)
        return True

    def _row(self, name: bytes) -> list[Any]:
        raw = self._store.get(self._table, b"k" + name)
        row: list[Any] = [None, NEVER.hlc, NEVER.device, []] if raw is None else cbor2.loads(raw)
        return row
