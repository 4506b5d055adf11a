"""The calls about single photos: saying something of them, and why they have their tags."""

from __future__ import annotations

from tagfs.catalog.records import FileRecord
from tagfs.errors import Usage
from tagfs.mount.messages import Call
from tagfs.pipeline.gallery import Gallery
from tagfs.views.meant import every, meant
from tagfs.views.search import find
from tagfs.views.tree import Tree
from tagfs.views.why import why
from tagfs.views.wording import Said, say


async def tag(gallery: Gallery, tree: Tree, call: Call) -> object:
    """Say what a call says about the photos that it means; all of it is one act."""
    favourite = True if call.flag("favourite") else False if call.flag("no_favourite") else None
    said = Said(
        call.texts("add"),
        call.texts("remove"),
        call.texts("forget"),
        favourite,
        "" if call.flag("no_date") else call.maybe_text("date"),
    )
    said.check()
    files, hints = await meant_by(gallery, tree, call)
    # A photo that is named twice, or by two of its files, is one.
    report = await say(gallery.ledger, list({_subject(f): f for f in files}.values()), said)
    report.hints = hints
    return report.as_json()


async def meant_by(
    gallery: Gallery, tree: Tree, call: Call
) -> tuple[list[FileRecord], tuple[str, ...]]:
    """Return the files that a call means by a query or by names, and what is said to the query."""
    query = call.maybe_text("where")
    if query is None:
        return [await _one(gallery, tree, *word) for word in _words(call)], ()
    found = find(gallery.state, query)
    return await every(gallery.state, found), found.hints


async def explain(gallery: Gallery, tree: Tree, call: Call) -> object:
    """Tell why each photo that a call means has its tags."""
    thresholds = gallery.adapting.thresholds
    files = [await _one(gallery, tree, *word) for word in _words(call)]
    told = [await why(gallery.state, gallery.contents, file, thresholds) for file in files]
    return [reasons.as_json() for reasons in told]


def _subject(file: FileRecord) -> bytes:
    return file.id if file.content is None else file.content[0]


def _words(call: Call) -> list[tuple[str, str]]:
    """Return (path in the mount or nothing, as it was typed) of every photo that is named."""
    typed, paths = call.texts("photos"), call.texts("paths")
    if not typed:
        raise Usage("Name a photo: its path, its name in all/ or the first digits of its id.")
    return list(zip(paths, typed, strict=False)) if paths else [("", word) for word in typed]


async def _one(gallery: Gallery, tree: Tree, path: str, typed: str) -> FileRecord:
    if path:
        try:
            return await meant(gallery.state, tree.at, path)
        except Usage:
            if "/" in typed:
                raise
    return await meant(gallery.state, tree.at, typed)
