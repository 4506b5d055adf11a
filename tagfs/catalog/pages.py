"""Ordered lists on point tables: slots that never move, kept in pages of 128."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import cbor2

from tagfs.catalog.schema import Table
from tagfs.catalog.tables import KeyValue

PAGE = 128
"""Slots in one page."""
KEEP = 512
"""Decoded pages kept in memory."""
HEADS = 4096
"""Heads kept in memory: most owners are files and photos whose lists are empty."""

_Page = dict[int, bytes]


class Pages:
    """Lists by owner. A slot number, once given, is never used again: it is a directory cookie.

    Page ``k`` of an owner is the row (owner, k): a CBOR map from slot to item. The row (owner)
    is the head: (next slot, items). Empty pages have no row.
    """

    def __init__(self, store: KeyValue, table: Table) -> None:
        self._store = store
        self._table = table
        self._cache: OrderedDict[bytes, _Page] = OrderedDict()
        self._heads: dict[bytes, tuple[int, int]] = {}

    def append(self, owner: bytes, item: bytes) -> int:
        """Add an item at the end and return its slot."""
        slot, count = self._head(owner)
        page = self._page(owner, slot // PAGE)
        page[slot] = item
        self._write(owner, slot // PAGE, page)
        self._write_head(owner, slot + 1, count + 1)
        return slot

    def get(self, owner: bytes, slot: int) -> bytes | None:
        """Return the item of a slot, None when it was cleared or never given."""
        return self._page(owner, slot // PAGE).get(slot)

    def set(self, owner: bytes, slot: int, item: bytes) -> None:
        """Replace the item of a slot that has one; raises KeyError otherwise."""
        page = self._page(owner, slot // PAGE)
        if slot not in page:
            raise KeyError(slot)
        page[slot] = item
        self._write(owner, slot // PAGE, page)

    def clear(self, owner: bytes, slot: int) -> None:
        """Remove the item of a slot; nothing happens when there is none."""
        page = self._page(owner, slot // PAGE)
        if page.pop(slot, None) is None:
            return
        self._write(owner, slot // PAGE, page)
        after, count = self._head(owner)
        self._write_head(owner, after, count - 1)

    def scan(self, owner: bytes, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield (slot, item) from a slot on, ascending, also while the list is changed.

        What is there before and after the scan comes exactly once; what is added or removed
        meanwhile may or may not.
        """
        number = start // PAGE
        while number * PAGE < self._head(owner)[0]:
            for slot, item in list(self._page(owner, number).items()):
                if slot >= start:
                    yield slot, item
            number += 1

    def back(self, owner: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield (slot, item) from the last one to the first."""
        for number in range((self._head(owner)[0] - 1) // PAGE, -1, -1):
            yield from sorted(self._page(owner, number).items(), reverse=True)

    def count(self, owner: bytes) -> int:
        """Return how many items the owner has."""
        return self._head(owner)[1]

    def _head(self, owner: bytes) -> tuple[int, int]:
        head = self._heads.get(owner)
        if head is None:
            raw = self._store.get(self._table, b"h" + owner)
            after, count = (0, 0) if raw is None else cbor2.loads(raw)
            head = (after, count)
            self._remember_head(owner, head)
        return head

    def _write_head(self, owner: bytes, after: int, count: int) -> None:
        self._remember_head(owner, (after, count))
        self._store.put(self._table, b"h" + owner, cbor2.dumps([after, count]))

    def _remember_head(self, owner: bytes, head: tuple[int, int]) -> None:
        if len(self._heads) >= HEADS and owner not in self._heads:
            self._heads.clear()
        self._heads[owner] = head

    def _page(self, owner: bytes, number: int) -> _Page:
        key = number.to_bytes(8, "big") + owner
        page = self._cache.get(key)
        if page is None:
            raw = self._store.get(self._table, b"p" + key)
            page = {} if raw is None else cbor2.loads(raw)
            self._cache[key] = page
            if len(self._cache) > KEEP:
                self._cache.popitem(last=False)
        else:
            self._cache.move_to_end(key)
        return page

    def _write(self, owner: bytes, number: int, page: _Page) -> None:
        key = number.to_bytes(8, "big") + owner
        self._cache[key] = page
        if page:
            self._store.put(self._table, b"p" + key, cbor2.dumps(page))
        else:
            self._store.delete(self._table, b"p" + key)
