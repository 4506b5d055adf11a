"""``tagfs trash``: what lies in the trash, bringing it back to where it was, and emptying it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import trio

from tagfs.catalog.records import FileRecord
from tagfs.catalog.state import State
from tagfs.errors import FileError, Usage
from tagfs.model import ROOT, UNFILED, FileId, FolderId, UnitId, random_id
from tagfs.pipeline.ledger import Ledger
from tagfs.pipeline.retention import DAY_MS, TRASH_DAYS
from tagfs.vault.ops import Field, Op
from tagfs.views import acts
from tagfs.views.nodes import ROOT_INODE
from tagfs.views.tree import Tree

BATCH = 256
"""Files in one unit; between two units everything else gets its turn."""
DEEPEST = 64
"""Folders above a place that are named."""


@dataclass(frozen=True, slots=True)
class Lost:
    """One file in the trash. Places are relative to the mountpoint; times are in ms."""

    name: str
    file: FileId
    size: int
    deleted: int
    places: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """Return the stable form of ``tagfs trash --json``."""
        return {
            "name": self.name,
            "id": self.file.hex(),
            "size": self.size,
            "deleted": self.deleted // 1000,
            "leaves": (self.deleted + TRASH_DAYS * DAY_MS) // 1000,
            "places": list(self.places),
        }


def lying(state: State, tree: Tree) -> Iterator[Lost]:
    """Yield what ``trash/`` lists, in the order of deletion."""
    trash = tree.look_up(ROOT_INODE, b"trash").ino
    for _, name, _ in tree.list(trash, 0):
        record = tree.at(b"trash/" + name)
        if record.trashed is not None:
            when, where = record.trashed
            size = 0 if record.content is None else record.content[1]
            places = tuple(sorted(os.fsdecode(_place(state, f) + n) for f, n in where))
            yield Lost(os.fsdecode(name), record.id, size, when, places)


def _place(state: State, folder: FolderId) -> bytes:
    """Return the way to a folder, also to one that was deleted."""
    parts: list[bytes] = []
    while folder not in (ROOT, UNFILED) and len(parts) < DEEPEST:
        record = state.folders.ensure(folder)
        above = record.shown or record.place
        if above is None:
            break
        folder = above[0]
        parts.append(above[1])
    if folder == UNFILED:
        parts.append(b"all")
    return b"".join(part + b"/" for part in reversed(parts))


def named(tree: Tree, words: Sequence[str]) -> list[FileRecord]:
    """Return the files in the trash that are meant, by their names there or paths to them."""
    found: dict[FileId, FileRecord] = {}
    for word in words:
        name = os.fsencode(word).strip(b"/").removeprefix(b"trash/")
        try:
            record = tree.at(b"trash/" + name)
        except FileError:
            raise Usage(f"Nothing in the trash is called {word}; `tagfs trash` lists it.") from None
        found[record.id] = record
    return list(found.values())


async def restore(ledger: Ledger, files: Sequence[FileRecord]) -> UnitId | None:
    """Bring files back to every place where they were, as one act."""
    return await _each(ledger, files, acts.restore)


async def empty(ledger: Ledger, files: Sequence[FileRecord]) -> UnitId | None:
    """Take files out of the trash, as one act; their bytes go when undo reaches them no more."""
    now = ledger.now_ms()
    return await _each(ledger, files, lambda f: [acts.set_file(f.id, Field.PURGED, now)])


async def _each(
    ledger: Ledger, files: Sequence[FileRecord], meaning: Callable[[FileRecord], list[Op]]
) -> UnitId | None:
    act = UnitId(random_id())
    for at in range(0, len(files), BATCH):
        ops = [op for file in files[at : at + BATCH] for op in meaning(file)]
        if ops:
            ledger.commit(ops, act=act)
        await trio.lowlevel.checkpoint()
    return act if files else None
