"""Where bytes are: on this machine, on the remote, or both; and letting local copies go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import trio

from tagfs.catalog.records import FileRecord
from tagfs.model import Content
from tagfs.pipeline.gallery import Gallery
from tagfs.pipeline.pins import parts_of

AT_ONCE = 64
"""Files between two turns of everything else."""


def content_of(gallery: Gallery, file: FileRecord) -> Content | None:
    """Return what a file holds; None for nothing and for what is not sealed yet."""
    photo = gallery.state.photos.get(file.content[0]) if file.content is not None else None
    return None if photo is None else photo.content


def is_here(gallery: Gallery, file: FileRecord) -> bool:
    """Whether all bytes of a file are in this machine's spool or cache."""
    spool = gallery.spool
    return all(spool.is_here(part.name) for part in parts_of(content_of(gallery, file)))


def fact(gallery: Gallery, file: FileRecord, name: bytes) -> str | None:
    """Return the attribute ``state``, ``pinned`` or ``local`` of a file, None for none."""
    if name == b"state":
        return gallery.standing(file)
    if name == b"pinned":
        return "yes" if gallery.pins.is_pinned(file.id) else None
    if name == b"local":
        return "yes" if is_here(gallery, file) else "no"
    return None


@dataclass(slots=True)
class Offloaded:
    """What letting go came to."""

    bytes: int = 0
    left: list[tuple[str, str]] = field(default_factory=list)  # name, why it stays

    def as_json(self) -> dict[str, object]:
        """Return it for a call."""
        left = [{"path": name, "reason": why} for name, why in self.left]
        return {"bytes": self.bytes, "left": left}


async def offload(gallery: Gallery, files: Iterable[FileRecord]) -> Offloaded:
    """Remove the local copies of what is stored, and only of that."""
    await gallery.sync()  # what was just published leaves the spool by this
    done = Offloaded()
    for count, file in enumerate(files):
        if count % AT_ONCE == 0:
            await trio.lowlevel.checkpoint()
        why = _why_it_stays(gallery, file)
        if why is not None:
            done.left.append((file.any_name.decode("utf-8", "surrogateescape"), why))
            continue
        for part in parts_of(content_of(gallery, file)):
            done.bytes += gallery.spool.copies.let_go(part.name)
    return done


def _why_it_stays(gallery: Gallery, file: FileRecord) -> str | None:
    spool, parts = gallery.spool, parts_of(content_of(gallery, file))
    if gallery.standing(file) == "new" or any(spool.has(part.name) for part in parts):
        return "it is not stored yet"
    if any(spool.copies.is_pinned(part.name) for part in parts):
        return "it is pinned"
    if any(spool.copies.is_open(part.name) for part in parts):
        return "a program has it open"
    return None
