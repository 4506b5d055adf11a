"""Typed access to the catalog's records, with a bounded cache of decoded ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import cbor2

from tagfs.catalog.records import FileRecord, FolderRecord, PhotoRecord, TagRecord
from tagfs.catalog.schema import Table
from tagfs.model import ContentId, FileId, FolderId, TagId

FILES = 16_384
FOLDERS = 4096
PHOTOS = 2048
TAGS = 8192
"""Decoded records kept in memory. Every listing asks for files; photos, the largest with all that
was seen on them, are asked for by all/ and by what is told of one photo."""


class KeyValue(Protocol):
    """The part of the store that records need (catalog/store.py)."""

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return the value, None when there is none."""

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Store a value; reads see it at once."""

    def delete(self, table: Table, key: bytes) -> None:
        """Forget a value; nothing happens when there is none."""


K = TypeVar("K", bound=bytes | str)
R = TypeVar("R")


class Records(Generic[K, R]):
    """One table of records by id. What ``get`` returns is shared: change it, then ``put`` it."""

    def __init__(
        self,
        store: KeyValue,
        table: Table,
        decode: Callable[[K, bytes], R],
        encode: Callable[[R], bytes],
        keep: int,
    ) -> None:
        self._store = store
        self._table = table
        self._decode = decode
        self._encode = encode
        self._keep = keep
        self._cache: OrderedDict[K, R] = OrderedDict()

    def get(self, ident: K) -> R | None:
        """Return the record, None when there is none."""
        found = self._cache.get(ident)
        if found is not None:
            self._cache.move_to_end(ident)
            return found
        raw = self._store.get(self._table, _key(ident))
        if raw is None:
            return None
        record = self._decode(ident, raw)
        self._remember(ident, record)
        return record

    def put(self, ident: K, record: R) -> None:
        """Store the record."""
        self._store.put(self._table, _key(ident), self._encode(record))
        self._remember(ident, record)

    def _remember(self, ident: K, record: R) -> None:
        self._cache[ident] = record
        self._cache.move_to_end(ident)
        if len(self._cache) > self._keep:
            self._cache.popitem(last=False)


def _key(ident: bytes | str) -> bytes:
    return ident.encode() if isinstance(ident, str) else ident


class Tables:
    """Every record table of one catalog."""

    def __init__(self, store: KeyValue) -> None:
        self.store = store
        self.files: Records[FileId, FileRecord] = Records(
            store, Table.FILE, FileRecord.decode, FileRecord.encode, FILES
        )
        self.folders: Records[FolderId, FolderRecord] = Records(
            store, Table.FOLDER, FolderRecord.decode, FolderRecord.encode, FOLDERS
        )
        self.photos: Records[ContentId, PhotoRecord] = Records(
            store, Table.PHOTO, PhotoRecord.decode, PhotoRecord.encode, PHOTOS
        )
        self.tags: Records[TagId, TagRecord] = Records(
            store, Table.TAG, TagRecord.decode, TagRecord.encode, TAGS
        )

    def inode_owner(self, ino: int) -> tuple[int, bytes] | None:
        """Return (kind, id) of the file (1) or folder (0) that has this inode number."""
        raw = self.store.get(Table.INODE, ino.to_bytes(8, "big"))
        if raw is None:
            return None
        kind, ident = cbor2.loads(raw)
        return kind, ident

    def claim_inode(self, kind: int, ident: bytes) -> int:
        """Return the inode number of an id: its first 61 bits, moved on while another has it."""
        ino = (int.from_bytes(ident[:8], "big") >> 3) | 1 << 61
        while True:
            owner = self.inode_owner(ino)
            if owner == (kind, ident):
                return ino
            if owner is None:
                self.store.put(Table.INODE, ino.to_bytes(8, "big"), cbor2.dumps([kind, ident]))
                return ino
            ino += 1
