"""A catalog store that is a dictionary: for tests of what stands on top of it."""

from __future__ import annotations

from typing import ClassVar

from tagfs.catalog.schema import Table
from tagfs.model import TagId


class PlainStore:
    """Rows in memory; answers as catalog/store.py does."""

    def __init__(self) -> None:
        self.rows: dict[tuple[Table, bytes], bytes] = {}

    def get(self, table: Table, key: bytes) -> bytes | None:
        return self.rows.get((table, key))

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        self.rows[table, key] = value

    def delete(self, table: Table, key: bytes) -> None:
        self.rows.pop((table, key), None)


class SmallTaxonomy:
    """tabby is a cat, cat and dog are animals."""

    _above: ClassVar = {
        "tabby": ["cat", "animal"],
        "cat": ["animal"],
        "dog": ["animal"],
        "animal": [],
    }
    _synonyms: ClassVar = {"kitty": "cat"}

    def name(self, tag: TagId) -> str | None:
        return tag if tag in self._above else None

    def ancestors(self, tag: TagId) -> frozenset[TagId]:
        return frozenset(TagId(t) for t in self._above.get(tag, []))

    def find(self, word: str) -> TagId | None:
        word = self._synonyms.get(word.casefold(), word.casefold())
        return TagId(word) if word in self._above else None
