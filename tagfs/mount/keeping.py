"""The calls about local copies: pinning, unpinning, letting go."""

from __future__ import annotations

from tagfs.mount.messages import Call
from tagfs.mount.tagging import meant_by
from tagfs.pipeline.gallery import Gallery
from tagfs.pipeline.whereabouts import offload
from tagfs.views.tree import Tree


async def pin(gallery: Gallery, tree: Tree, call: Call) -> object:
    """Pin the files that a call means; they are fetched in the background."""
    files, hints = await meant_by(gallery, tree, call)
    changed = await gallery.pins.pin(file.id for file in files)
    return {"files": len(files), "changed": changed, "hints": list(hints)}


async def unpin(gallery: Gallery, tree: Tree, call: Call) -> object:
    """Let the files that a call means be like others again."""
    files, hints = await meant_by(gallery, tree, call)
    changed = await gallery.pins.unpin(file.id for file in files)
    return {"files": len(files), "changed": changed, "hints": list(hints)}


async def let_go(gallery: Gallery, tree: Tree, call: Call) -> object:
    """Remove the local copies of what is stored of the files that a call means."""
    files, hints = await meant_by(gallery, tree, call)
    done = await offload(gallery, files)
    return {"files": len(files), "hints": list(hints), **done.as_json()}
