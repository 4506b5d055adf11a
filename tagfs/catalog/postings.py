"""Posting lists: which photos a tag has, as roaring containers by blocks of 2^16 numbers."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice

from pyroaring import BitMap

from tagfs.catalog.schema import Table
from tagfs.catalog.tables import KeyValue

BLOCK = 16
"""Bits of a number within its block."""
HOT = 256
"""Whole lists kept in memory."""


class Postings:
    """Sets of photo numbers by list id. An update rewrites one container and one count."""

    def __init__(self, store: KeyValue, blocks: Table, counts: Table) -> None:
        self._store = store
        self._blocks = blocks
        self._counts = counts
        self._hot: OrderedDict[bytes, BitMap] = OrderedDict()

    def add(self, list_id: bytes, number: int) -> bool:
        """Put a number into a list; say whether it was not there."""
        block = self._block(list_id, number >> BLOCK)
        if number in block:
            return False
        block.add(number)
        self._put(list_id, number >> BLOCK, block, 1)
        hot = self._hot.get(list_id)
        if hot is not None:
            hot.add(number)
        return True

    def discard(self, list_id: bytes, number: int) -> bool:
        """Take a number from a list; say whether it was there."""
        block = self._block(list_id, number >> BLOCK)
        if number not in block:
            return False
        block.remove(number)
        self._put(list_id, number >> BLOCK, block, -1)
        hot = self._hot.get(list_id)
        if hot is not None:
            hot.discard(number)
        return True

    def contains(self, list_id: bytes, number: int) -> bool:
        """Whether a number is in a list."""
        hot = self._hot.get(list_id)
        return number in (hot if hot is not None else self._block(list_id, number >> BLOCK))

    def count(self, list_id: bytes) -> int:
        """Return how many numbers a list has, without reading it."""
        return self._head(list_id)[0]

    def bitmap(self, list_id: bytes) -> BitMap:
        """Return the whole list; a copy, which the caller may change."""
        hot = self._hot.get(list_id)
        if hot is None:
            hot = BitMap()
            for number in range(self._head(list_id)[1]):
                hot |= self._block(list_id, number)
            self._hot[list_id] = hot
            if len(self._hot) > HOT:
                self._hot.popitem(last=False)
        else:
            self._hot.move_to_end(list_id)
        return BitMap(hot)

    def first(self, list_id: bytes, start: int, limit: int) -> list[int]:
        """Return at most ``limit`` numbers of a list from ``start`` on, ascending.

        Reads only the blocks they lie in: a long list begins at once.
        """
        hot = self._hot.get(list_id)
        if hot is not None:
            return list(islice(hot.iter_equal_or_larger(start), limit))
        found: list[int] = []
        for number in range(start >> BLOCK, self._head(list_id)[1]):
            if len(found) >= limit:
                break
            block = self._block(list_id, number)
            found.extend(islice(block.iter_equal_or_larger(start), limit - len(found)))
        return found

    def _head(self, list_id: bytes) -> tuple[int, int]:
        raw = self._store.get(self._counts, list_id)
        if raw is None:
            return 0, 0
        return int.from_bytes(raw[:8], "big"), int.from_bytes(raw[8:], "big")

    def _block(self, list_id: bytes, number: int) -> BitMap:
        raw = self._store.get(self._blocks, number.to_bytes(4, "big") + list_id)
        return BitMap() if raw is None else BitMap.deserialize(raw)

    def _put(self, list_id: bytes, number: int, block: BitMap, change: int) -> None:
        key = number.to_bytes(4, "big") + list_id
        if block:
            self._store.put(self._blocks, key, block.serialize())
        else:
            self._store.delete(self._blocks, key)
        count, blocks = self._head(list_id)
        head = (count + change).to_bytes(8, "big") + max(blocks, number + 1).to_bytes(4, "big")
        self._store.put(self._counts, list_id, head)
