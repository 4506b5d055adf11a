"""Which contents lie on this machine only: the queue of the uploader, kept in the catalog.

What waits is a record, that is a sealing with objects of its own, not a content: of one content
there may be several, and that the objects of one are uploaded says nothing of another's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cbor2

from tagfs.catalog.pages import Pages
from tagfs.catalog.schema import Table
from tagfs.catalog.tables import KeyValue
from tagfs.model import Content, ContentId, FileId
from tagfs.pipeline.condemned import Condemned
from tagfs.pipeline.journal import Position
from tagfs.pipeline.notes import DraftSaved, Kind, decode_note, encode_note
from tagfs.pipeline.spool import Spool
from tagfs.vault.ops import decode_content, encode_content
from tagfs.vault.packs import MEDIA_TYPE as PACK

_QUEUE = b"queue"
_PACKS = b"packs"
_BYTES = b"bytes"
_DRAFTS = b"drafts"
_PUBLISHED = b"published"
_CLOCK = b"clock"
_ID = 32


class LocalContents:
    """Contents to upload, and drafts to re-seal. One table, rebuilt on replay."""

    def __init__(self, store: KeyValue, spool: Spool) -> None:
        self._store = store
        self._spool = spool
        self._pages = Pages(store, Table.LOCAL)
        self.condemned = Condemned(store)
        self._first = 0  # no slot of the queue before this one is taken

    def recorded(self, content: Content) -> None:
        """Queue a record whose parts are in the spool."""
        if self.is_waiting(content) or not any(
            self._spool.has(part.name) for part in content.parts
        ):
            return
        queue = _PACKS if content.media_type == PACK else _QUEUE
        size = sum(part.stored for part in content.parts)
        slot = self._pages.append(queue, _item(content))
        row = [queue, slot, size, encode_content(content)]
        self._write(content.id, [*self._rows(content.id), row])
        self._add_bytes(size)

    def waiting(self) -> int:
        """Return how many contents are queued."""
        return self._pages.count(_PACKS) + self._pages.count(_QUEUE)

    def waiting_bytes(self) -> int:
        """Return how many bytes the queued contents have, sealed."""
        raw = self._store.get(Table.LOCAL, _BYTES)
        return 0 if raw is None else int.from_bytes(raw, "big")

    def is_waiting(self, content: Content) -> bool:
        """Whether this record is queued."""
        return self._row(content) is not None

    def queue(self) -> Iterator[Content]:
        """Yield the queued records in the order in which they should go, as of now.

        First packs, which are small and show what all photos look like. Then the newest photo
        and the oldest in turn: the newest is likely to be nowhere else yet, and behind the oldest
        all others wait to be published. Not for going on with when the queue has changed.
        """
        for _slot, item in self._pages.scan(_PACKS):
            yield from self._known(item)
        newest = self._pages.back(_QUEUE)
        low = self._first - 1
        for slot, item in self._pages.scan(_QUEUE, self._first):
            if low < self._first:
                self._first = slot
            low = slot
            high, other = next(newest)
            if high > low:
                yield from self._known(other)
            if high >= low:
                yield from self._known(item)
            if high <= low + 1:
                return

    def _known(self, item: bytes) -> Iterator[Content]:
        for row in self._rows(ContentId(item[:_ID])):
            content = decode_content(row[3])
            if _item(content) == item:
                yield content

    def uploaded(self, content: Content) -> None:
        """Take a record from the queue."""
        row = self._row(content)
        if row is not None:
            queue, slot, size, _ = row
            self._pages.clear(queue, slot)
            self._write(content.id, [r for r in self._rows(content.id) if r != row])
            self._add_bytes(-size)

    def _row(self, content: Content) -> list[Any] | None:
        """Return the row of a record."""
        raw = encode_content(content)
        return next((row for row in self._rows(content.id) if row[3] == raw), None)

    def _rows(self, content: ContentId) -> list[list[Any]]:
        raw = self._store.get(Table.LOCAL, content)
        rows: list[list[Any]] = [] if raw is None else cbor2.loads(raw)
        return rows

    def _write(self, content: ContentId, rows: list[list[Any]]) -> None:
        if rows:
            self._store.put(Table.LOCAL, content, cbor2.dumps(rows))
        else:
            self._store.delete(Table.LOCAL, content)

    def _add_bytes(self, more: int) -> None:
        left = max(0, self.waiting_bytes() + more)
        self._store.put(Table.LOCAL, _BYTES, left.to_bytes(8, "big"))

    def settle(self, content: Content) -> None:
        """This record is published: its parts move from the spool into the cache.

        Unless it waits: then the spool has what is nowhere else.
        """
        if self.is_waiting(content):
            return
        for part in content.parts:
            if self._spool.has(part.name):
                self._spool.settle(part.name)

    def published(self) -> Position | None:
        """Return up to where the local journal is in this device's segments."""
        raw = self._store.get(Table.LOCAL, _PUBLISHED)
        return None if raw is None else Position.decode(raw)

    def note_published(self, upto: Position) -> None:
        """Remember up to where the local journal is published."""
        self._store.put(Table.LOCAL, _PUBLISHED, upto.encode())

    def clock(self) -> int:
        """Return the greatest clock that any unit had which was applied here; 0 for none."""
        raw = self._store.get(Table.LOCAL, _CLOCK)
        return 0 if raw is None else int.from_bytes(raw, "big")

    def note_clock(self, hlc: int) -> None:
        """Remember the clock of a unit."""
        self._store.put(Table.LOCAL, _CLOCK, hlc.to_bytes(8, "big"))

    # -- drafts ----------------------------------------------------------------------------

    def save_draft(self, draft: DraftSaved) -> None:
        """Remember where a file's bytes are; replaces what was remembered before."""
        old = self._store.get(Table.LOCAL, _DRAFTS + draft.file)
        slot = cbor2.loads(old)[0] if old else self._pages.append(_DRAFTS, draft.file)
        self._store.put(
            Table.LOCAL, _DRAFTS + draft.file, cbor2.dumps([slot, encode_note(draft)[1]])
        )

    def draft(self, file: FileId) -> DraftSaved | None:
        """Return where a file's bytes are when they are not sealed."""
        if not self._pages.count(_DRAFTS):
            return None  # as nearly always: no row is looked for
        raw = self._store.get(Table.LOCAL, _DRAFTS + file)
        if raw is None:
            return None
        note = decode_note(Kind.DRAFT_SAVED, cbor2.loads(raw)[1])
        assert isinstance(note, DraftSaved)
        return note

    def drafts(self) -> list[DraftSaved]:
        """Return every draft."""
        files = [FileId(item) for _, item in self._pages.scan(_DRAFTS, 0)]
        return [draft for draft in map(self.draft, files) if draft is not None]

    def drop_draft(self, file: FileId) -> None:
        """Forget a draft."""
        raw = self._store.get(Table.LOCAL, _DRAFTS + file)
        if raw is not None:
            self._pages.clear(_DRAFTS, cbor2.loads(raw)[0])
            self._store.delete(Table.LOCAL, _DRAFTS + file)


def _item(content: Content) -> bytes:
    """Return what the queue has for a record: no two have an object in common."""
    return content.id + content.record
