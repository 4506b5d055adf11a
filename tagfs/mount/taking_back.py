"""The calls that take back: undo, and the trash."""

from __future__ import annotations

from itertools import islice

from tagfs.mount.messages import Call
from tagfs.pipeline.gallery import Gallery
from tagfs.views import trashing
from tagfs.views.tree import Tree


async def undo(gallery: Gallery, call: Call) -> object:
    """Take an act back: the one whose id begins with ``id``, or the newest."""
    prefix = call.maybe_text("id")
    ident = None if prefix is None else gallery.undoing.find(prefix)
    return (await gallery.undoing.wait_undone(ident)).as_json()


async def undoable(gallery: Gallery, call: Call) -> object:
    """List acts, the newest first, at most ``number`` of them."""
    number = call.maybe_number("number")
    limit = None if number is None else int(number)
    return [deed.as_json() for deed in islice(gallery.undoing.acts(), limit)]


async def trash(gallery: Gallery, tree: Tree, call: Call) -> object:
    """List the trash; ``restore`` or ``empty`` it: the files that are named, or all."""
    what = call.maybe_text("do")
    if what is None:
        return [lost.as_json() for lost in trashing.lying(gallery.state, tree)]
    words = call.texts("names")
    files = trashing.named(tree, words) if words else [file for _, file in gallery.state.trash()]
    do = trashing.restore if what == "restore" else trashing.empty
    act = await do(gallery.ledger, files)
    return {"files": len(files), "act": None if act is None else act.hex()}
