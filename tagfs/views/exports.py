"""What an export writes: what a query finds, flat, or everything as the own folders have it."""

from __future__ import annotations

from collections.abc import Callable

import trio

from tagfs.catalog.folders import FOLDER
from tagfs.catalog.state import State
from tagfs.model import ROOT, UNFILED, FileId, FolderId
from tagfs.pipeline.copy_out import Way
from tagfs.pipeline.exporting import Item, Plan
from tagfs.views.search import find
from tagfs.views.sidecar import sidecar

UNFILED_FOLDER = b"all"
"""Where files that are in no folder go; no own folder can be called so."""
AT_ONCE = 256
"""Entries between two turns of everything else."""


async def found(state: State, query: str, sidecars: bool) -> Plan:
    """Plan to write what a query finds, each photo by its view name. Raises QuerySyntax."""
    answer = find(state, query)
    items = []
    for count, number in enumerate(answer.numbers):
        if count % AT_ONCE == 0:
            await trio.lowlevel.checkpoint()
        shown = state.photos.names.shown(number)
        if shown is not None:
            items.append(Item((shown.name,), shown.file, _sidecar(state, shown.file, sidecars)))
    return Plan(items, (), answer.hints)


async def everything(state: State, sidecars: bool) -> Plan:
    """Plan to write every file where it lies, empty folders too, and the unfiled in ``all/``."""
    items: list[Item] = []
    folders: list[tuple[Way, int, int]] = []

    async def walk(folder: FolderId, way: Way) -> None:
        for count, listed in enumerate(list(state.folders.listing(folder))):
            if count % AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
            place = (*way, listed.name)
            if listed.kind == FOLDER:
                record = state.folders.ensure(FolderId(listed.id))
                folders.append((place, record.mode, record.mtime_ns))
                await walk(record.id, place)
            else:
                file = FileId(listed.id)
                items.append(Item(place, file, _sidecar(state, file, sidecars)))

    await walk(ROOT, ())
    await walk(UNFILED, (UNFILED_FOLDER,))
    return Plan(items, folders)


def _sidecar(state: State, file: FileId, wanted: bool) -> Callable[[], bytes | None] | None:
    if not wanted:
        return None

    def text() -> bytes | None:
        record = state.file(file)
        photo = state.photos.get(record.content[0]) if record and record.content else None
        return sidecar(state, photo) if photo is not None and photo.listed else None

    return text
