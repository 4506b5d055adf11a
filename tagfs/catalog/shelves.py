"""Lists on which a file stands by its registers: the trash, former contents, what is to compare."""

from __future__ import annotations

from collections.abc import Iterator

from tagfs.catalog.pages import Pages
from tagfs.catalog.records import FileRecord
from tagfs.catalog.schema import Table
from tagfs.catalog.tables import Tables
from tagfs.model import FileId
from tagfs.vault.ops import Field

TRASH = b""
"""Deleted and not yet gone."""
WRITTEN_OVER = b"over"
"""Live files that were written over another's name and not compared with that yet."""


def versions_of(file: FileId) -> bytes:
    """Return the list of the files in the trash that keep a former content of a file."""
    return b"was" + file


class Shelves:
    """Ordered lists of files; a slot is kept while the file stands there."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._pages = Pages(tables.store, Table.SHELF_PAGE)

    def files(self, shelf: bytes, start: int = 0) -> Iterator[tuple[int, FileRecord]]:
        """Yield (slot, file) of what stands there, from a slot on."""
        for slot, item in self._pages.scan(shelf, start):
            file = self._tables.files.get(FileId(item))
            if file is not None:
                yield slot, file

    def count(self, shelf: bytes) -> int:
        """Return how many files stand there."""
        return self._pages.count(shelf)

    def place(self, record: FileRecord) -> None:
        """Put a file where it belongs and take it from where it does not; the caller stores it."""
        wanted = set(_wanted(record))
        for shelf in [name for name in record.slots if name not in wanted]:
            self._pages.clear(shelf, record.slots.pop(shelf))
        for shelf in sorted(wanted - record.slots.keys()):
            record.slots[shelf] = self._pages.append(shelf, record.id)


def _wanted(record: FileRecord) -> Iterator[bytes]:
    if record.live:
        if record.regs.get(Field.WRITTEN_OVER) is not None:
            yield WRITTEN_OVER
    elif record.trashed is not None and not record.purged:
        yield TRASH
        file = record.regs.get(Field.VERSION_OF)
        # One that was brought back and deleted later is no former content any more.
        later = record.regs.stamp(Field.TRASHED) > record.regs.stamp(Field.VERSION_OF)
        if file is not None and not later:
            yield versions_of(FileId(file))
