"""Does the catalog contradict itself: a look at some of it, for `tagfs doctor`."""

from __future__ import annotations

from collections.abc import Iterator

from tagfs.catalog.folders import FOLDER
from tagfs.catalog.photos import ALL
from tagfs.catalog.state import State
from tagfs.model import ROOT, FileId


def contradictions(state: State, most: int) -> Iterator[str | None]:
    """Look at up to ``most`` photos, spread evenly, every tag's count, and the root folder.

    Yields None after each thing that fits, else a clause without names that says what does not.
    Raises Integrity for a row that does not open.
    """
    photos = state.photos
    everything = photos.postings.bitmap(ALL)
    step = max(1, len(everything) // most)
    for number in list(everything)[::step]:
        yield _photo(state, number)
    for _, tag, _, count in photos.tags():
        listed = len(photos.postings.bitmap(tag.encode()))
        yield None if listed == count else f"a tag counts {count} photos and lists {listed}"
    for item in state.folders.listing(ROOT):
        absent = item.kind != FOLDER and state.file(FileId(item.id)) is None
        yield "the root folder lists a file without a record" if absent else None


def _photo(state: State, number: int) -> str | None:
    shown = state.photos.names.shown(number)
    photo = state.photos.get(shown.photo) if shown is not None else None
    if photo is None:
        return f"photo number {number} is listed and has no record"
    if photo.number != number or not photo.listed:
        return f"photo number {number} is listed, and its record says otherwise"
    if not all(state.photos.postings.contains(tag.encode(), number) for tag in photo.tags):
        return f"photo number {number} has a tag that does not list it"
    return None
