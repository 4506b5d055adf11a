"""A gallery of very many photos within seconds: units are committed, no bytes are written."""

from __future__ import annotations

import hashlib

from tagfs.model import ROOT, Content, ContentId, FileId, FolderId, ObjectName, Part, TagId, Word
from tagfs.pipeline.gallery import Gallery
from tagfs.vault.ops import (
    AddEntry,
    Entity,
    Field,
    Op,
    RecordContent,
    RemoveEntry,
    SetRegister,
    SetWord,
)

TOGETHER = 500
"""Photos in one unit."""


def names(begin: int, end: int) -> list[bytes]:
    """Return the names of these photos."""
    return [b"%07d.jpg" % number for number in range(begin, end)]


class Many:
    """Photos in one folder at the root, all under one tag; both are made if need be."""

    def __init__(self, gallery: Gallery, folder: bytes, tag: str) -> None:
        self._ledger = gallery.ledger
        self.folder = FolderId(hashlib.sha256(folder).digest()[:16])
        self.tag, ops = self._ledger.tag_named(tag)
        if gallery.state.folders.ensure(self.folder).place is None:
            place = (ROOT, folder, True)
            self._ledger.commit([*ops, SetRegister(Entity.FOLDER, self.folder, Field.PLACE, place)])

    def add(self, names: list[bytes]) -> None:
        """Add a photo of each name."""
        for at in range(0, len(names), TOGETHER):
            ops = [op for name in names[at : at + TOGETHER] for op in self._photo(name)]
            self._ledger.commit(ops)

    def remove(self, names: list[bytes]) -> None:
        """Delete the photo of each name; what had no bytes has nothing to keep in the trash."""
        for at in range(0, len(names), TOGETHER):
            ops: list[Op] = []
            for name in names[at : at + TOGETHER]:
                file = self._ledger.state.file(self.file(name))
                assert file is not None
                dots = tuple(file.entries[self.folder, name])
                ops.append(RemoveEntry(self.folder, name, file.id, dots))
            self._ledger.commit(ops)

    def file(self, name: bytes) -> FileId:
        """Return the id of the file that was added under a name."""
        return FileId(hashlib.sha256(name).digest()[:16])

    def _photo(self, name: bytes) -> list[Op]:
        digest = hashlib.sha256(name).digest()
        ident, file = ContentId(digest), self.file(name)
        part = Part(ObjectName(digest[:16]), 0, bytes(24), bytes(32), 1000, 1024)
        content = Content(ident, 1000, "image/jpeg", (part,))
        return [
            RecordContent(content),
            SetWord(ident, TagId(self.tag), Word.YES),
            SetRegister(Entity.FILE, file, Field.CONTENT, (ident, 1000)),
            SetRegister(Entity.FILE, file, Field.MTIME, 1_600_000_000_000_000_000),
            AddEntry(self.folder, name, file),
        ]
