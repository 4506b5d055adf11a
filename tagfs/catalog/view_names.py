"""View names: the name under which each photo is listed, one for the whole vault."""

from __future__ import annotations

from dataclasses import dataclass

import cbor2

from tagfs.catalog.folders import suffixed, without_suffix
from tagfs.catalog.pages import Pages
from tagfs.catalog.records import FileRecord, PhotoRecord
from tagfs.catalog.schema import Table
from tagfs.catalog.tables import Tables
from tagfs.model import MAX_NAME, NEVER, ContentId, FileId, Stamp
from tagfs.vault.ops import Field


@dataclass(frozen=True, slots=True)
class Shown:
    """One photo as views list it."""

    number: int
    photo: ContentId
    name: bytes
    file: FileId  # the oldest live file, whose inode the photo has


class ViewNames:
    """Numbers and names of photos; several that chose one name are told apart by a suffix."""

    def __init__(self, tables: Tables, numbers: Pages) -> None:
        self._tables = tables
        self._numbers = numbers

    def shown(self, number: int) -> Shown | None:
        """Return how photo ``number`` is listed."""
        item = self._numbers.get(b"", number)
        if item is None:
            return None
        photo, name, file = cbor2.loads(item)
        return Shown(number, photo, name, file)

    def named(self, name: bytes) -> Shown | None:
        """Return the photo whose view name this is."""
        for photo, number in self._holders(name):
            shown = self.shown(number)
            if shown is not None and shown.photo == photo and shown.name == name:
                return shown
        return self._by_suffix(name)

    def wanting(self, name: bytes) -> list[ContentId]:
        """Return the photos that are called so, or would be if it were free."""
        return [photo for photo, _ in self._holders(name)]

    def enter(self, photo: PhotoRecord, oldest: FileRecord | None) -> None:
        """Enter or withdraw the view name; give the photo a number when it has none."""
        want = None
        chosen = photo.regs.get(Field.VIEW_NAME) is not None
        if oldest is not None:
            own = min(oldest.entries, key=lambda e: (min(oldest.entries[e]), e))[1]
            want = photo.regs.get(Field.VIEW_NAME) or own
        if photo.name is not None and (photo.name != want or photo.chosen != chosen):
            self._withdraw_name(photo.name, photo.id)
            photo.name = None
        photo.chosen = chosen
        if want is None or oldest is None:
            return
        if photo.number is None:
            photo.number = self._numbers.append(b"", cbor2.dumps([photo.id, want, oldest.id]))
        if photo.name is None:
            photo.name = want
            holders = self._ordered([*self._holders(want), (photo.id, photo.number)], photo)
            self._put_holders(want, holders)
            self._label(want, holders)
        else:
            holders = self._holders(want)
            if holders != (ordered := self._ordered(holders, photo)):
                self._put_holders(want, ordered)
                self._label(want, ordered)
        item = self.shown(photo.number)
        if item is None or item.file != oldest.id:
            shown = self._label_of(want, photo.id, self._holders(want))
            self._numbers.set(b"", photo.number, cbor2.dumps([photo.id, shown, oldest.id]))

    def _ordered(
        self, holders: list[tuple[ContentId, int]], fresh: PhotoRecord
    ) -> list[tuple[ContentId, int]]:
        """Order who may show a plain name: chosen names before borrowed ones, by smaller ids;
        of those who borrow it from a file whose content was recorded first."""

        def rank(ident: ContentId) -> tuple[bool, Stamp, ContentId]:
            photo = fresh if ident == fresh.id else self._tables.photos.get(ident)
            if photo is not None and photo.regs.get(Field.VIEW_NAME) is not None:
                return False, NEVER, ident
            return True, NEVER if photo is None else photo.content_at, ident

        return sorted(holders, key=lambda h: rank(h[0]))

    def _withdraw_name(self, name: bytes, photo: ContentId) -> None:
        holders = [h for h in self._holders(name) if h[0] != photo]
        self._put_holders(name, holders)
        self._label(name, holders)

    def _label(self, name: bytes, holders: list[tuple[ContentId, int]]) -> None:
        """Show the first holder under the plain name and the others with their suffix."""
        for photo, number in holders:
            shown = self.shown(number)
            label = self._label_of(name, photo, holders)
            if shown is not None and shown.name != label:
                self._numbers.set(b"", number, cbor2.dumps([photo, label, shown.file]))

    def _label_of(
        self, name: bytes, photo: ContentId, holders: list[tuple[ContentId, int]]
    ) -> bytes:
        """Return a name, with as many suffixes as it takes to be no other photo's plain name."""
        label = name
        taken = bool(holders) and holders[0][0] != photo
        while taken:
            label = suffixed(label, photo)
            taken = len(label) < MAX_NAME and any(p != photo for p, _ in self._holders(label))
        return label

    def _holders(self, name: bytes) -> list[tuple[ContentId, int]]:
        raw = self._tables.store.get(Table.VIEW_NAME, name)
        return [] if raw is None else [(ContentId(p), n) for p, n in cbor2.loads(raw)]

    def _put_holders(self, name: bytes, holders: list[tuple[ContentId, int]]) -> None:
        was_taken = bool(self._holders(name))
        if holders:
            self._tables.store.put(Table.VIEW_NAME, name, cbor2.dumps(holders))
        else:
            self._tables.store.delete(Table.VIEW_NAME, name)
        plain = without_suffix(name)
        while plain is not None and was_taken != bool(holders):  # it may be another's suffixed form
            self._label(plain, self._holders(plain))
            plain = without_suffix(plain)

    def _by_suffix(self, name: bytes) -> Shown | None:
        """Resolve ``name~id.ext``, which every photo answers to whatever it is listed as."""
        plain = without_suffix(name)
        while plain is not None:
            for photo, number in self._holders(plain):
                label = plain
                while len(label) < min(len(name), MAX_NAME):
                    label = suffixed(label, photo)
                if label == name:
                    return self.shown(number)
            plain = without_suffix(plain)
        return None
