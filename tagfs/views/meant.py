"""Which photo somebody means who names one on the command line."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable

import trio

from tagfs.catalog.photos import ALL
from tagfs.catalog.records import FileRecord
from tagfs.catalog.state import State
from tagfs.errors import FileError, Usage
from tagfs.model import UNFILED, ContentId, FileId
from tagfs.views.search import Found

SHORTEST = 4
"""Digits of an id, at least."""
AT_ONCE = 256
"""Photos between two turns of everything else."""

At = Callable[[bytes], FileRecord]
"""Returns the file at a path from the root of the gallery, or raises FileError (Tree.at)."""


async def meant(state: State, at: At, word: str) -> FileRecord:
    """Return the file that ``word`` stands for.

    A path from the root of the gallery, through any view, with or without a slash in front; the
    name of a photo in the views; of an unfiled file; or the first digits of a photo's id. Raises
    Usage when it is none of these, or several photos' id.
    """
    name = os.fsencode(word)
    try:
        return at(name)
    except FileError as error:
        if error.errno == errno.EISDIR and name.strip(b"/"):
            raise Usage(f"{word} is a folder; name photos, or find them with --where.") from None
    found = _by_name(state, name) or await _by_id(state, word.lower())
    if found is None:
        raise Usage(
            f"No photo is called {word}; give its path in the gallery, its name in all/ or the "
            "first digits of its id (`tagfs search --json`)."
        )
    return found


async def every(state: State, found: Found) -> list[FileRecord]:
    """Return the oldest file of each photo that a query found."""
    files = []
    for count, number in enumerate(found.numbers):
        if count % AT_ONCE == 0:
            await trio.lowlevel.checkpoint()
        shown = state.photos.names.shown(number)
        record = state.file(shown.file) if shown is not None else None
        if record is not None:
            files.append(record)
    return files


def _by_name(state: State, name: bytes) -> FileRecord | None:
    shown = state.photos.names.named(name)
    if shown is not None:
        return state.file(shown.file)
    unfiled = state.folders.look_up(UNFILED, name)
    return None if unfiled is None else state.file(FileId(unfiled[1]))


async def _by_id(state: State, digits: str) -> FileRecord | None:
    if len(digits) < SHORTEST or not re.fullmatch(r"[0-9a-f]{1,64}", digits):
        return None
    if len(digits) == 64:
        photo = state.photos.get(ContentId(bytes.fromhex(digits)))
        return _oldest(state, photo.files) if photo is not None else None
    matching: set[FileId] = set()
    for count, number in enumerate(state.photos.postings.bitmap(ALL)):
        if count % AT_ONCE == 0:
            await trio.lowlevel.checkpoint()
        shown = state.photos.names.shown(number)
        if shown is not None and shown.photo.hex().startswith(digits):
            matching.add(shown.file)
    if len(matching) > 1:
        raise Usage(f"The ids of {len(matching)} photos begin with {digits}; give more digits.")
    return state.file(matching.pop()) if matching else None


def _oldest(state: State, files: list[FileId]) -> FileRecord | None:
    records = [record for record in map(state.file, files) if record is not None]
    return min(records, key=lambda record: (record.born, record.id), default=None)
