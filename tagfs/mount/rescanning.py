"""The call that makes tags once more: begins, stops and waits for the job in the background."""

from __future__ import annotations

from tagfs.catalog.photos import ALL
from tagfs.errors import TagfsError
from tagfs.mount.messages import Call, Progress
from tagfs.pipeline.gallery import Gallery
from tagfs.views.search import find


async def rescan(gallery: Gallery, call: Call, progress: Progress) -> object:
    """Begin a rescan of what ``where`` finds, or of everything; ``wait``: tell how it ended."""
    job = gallery.rescan
    if call.flag("stop"):
        return {"stopped": job.stop(), "hints": []}
    if call.flag("all") and not gallery.can_look:
        raise TagfsError(f"Nothing can be looked at: {gallery.status().recogniser}")
    where = call.maybe_text("where")
    hints: tuple[str, ...] = ()
    if where is None:
        photos = gallery.state.photos.postings.bitmap(ALL)
    else:
        found = find(gallery.state, where)
        photos, hints = found.numbers, found.hints
    begun = job.start(photos, call.flag("all"), where is None)
    job.gentle = not call.flag("hurry")
    ended = None
    if call.flag("wait"):
        ended = await job.wait(progress)
        if ended is None:
            raise TagfsError("The rescan was stopped; what it did stays.")
    told = (ended or begun).as_json()
    return {**told, "ended": ended is not None, "hints": list(hints)}
