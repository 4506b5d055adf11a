"""``tagfs repair``: what is missing on the remote is put back, bit for bit as it was sealed.

A copy comes from this machine or from a second copy of the vault, and is verified before it is put.
The name is the old one, which is free: an object that exists is never changed or removed here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from tagfs.errors import Exists, Integrity, NotFound
from tagfs.model import Content, Part
from tagfs.pipeline.gallery import Gallery
from tagfs.pipeline.verifying import whose
from tagfs.remote.store import Store
from tagfs.vault.layout import MAX_STORED, object_path, segment_path
from tagfs.vault.memory import Memory
from tagfs.vault.objects import verify_part
from tagfs.vault.segments import segment_name
from tagfs.vault.vault import Vault

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class RepairReport:
    """What was looked at and put back. ``failed`` has one sentence for each thing that was not."""

    objects: int = 0
    put: int = 0
    segments: int = 0  # put back, of journals
    failed: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """Return the form of ``tagfs repair --json``."""
        return {
            "objects": self.objects,
            "put": self.put,
            "segments": self.segments,
            "failed": list(self.failed),
        }


async def put_back(
    gallery: Gallery, second: Store | None, progress: Progress = lambda done, total: None
) -> RepairReport:
    """Put back every recorded object that is missing and of which there is a copy.

    With a ``second`` copy of the vault also journal segments that were seen before. Objects are
    asked for by name, so that no listing matters. Raises RemoteError when a store does not answer.
    """
    report = RepairReport()
    if second is not None:
        await _segments(gallery.vault, second, report)
    photos, local = gallery.state.photos, gallery.ledger.local
    contents = [c for c in map(photos.content, photos.contents()) if c is not None]
    for done, content in enumerate(contents):
        if not local.is_waiting(content):
            for number, part in enumerate(content.parts):
                await _object(gallery, second, content, number, part, report)
        progress(done + 1, len(contents))
        await trio.lowlevel.checkpoint()
    return report


async def _object(
    gallery: Gallery,
    second: Store | None,
    content: Content,
    number: int,
    part: Part,
    report: RepairReport,
) -> None:
    path = object_path(part.name)
    report.objects += 1
    try:
        size = (await gallery.store.stat(path)).size
    except NotFound:
        pass
    else:
        if size != part.stored:
            told = f"Object {path} has {size} bytes instead of {part.stored}; it is left as it is."
            report.failed.append(told + whose(gallery.state, content))
        return
    data = await _copy(gallery, second, number, part)
    if data is None:
        told = f"Object {path} is not on the remote, and there is no whole copy of it."
        report.failed.append(told + whose(gallery.state, content))
        return
    report.put += await _put(gallery.store, path, data)


async def _copy(gallery: Gallery, second: Store | None, number: int, part: Part) -> bytes | None:
    """Return the stored bytes of a part, verified; None when nobody has them whole."""
    try:
        data = await trio.to_thread.run_sync(gallery.spool.pread, part.name, 0, MAX_STORED + 1)
        if await _is_whole(gallery, number, part, data):
            return data
    except OSError:
        pass  # not here, or the disk does not give it
    try:
        if second is not None:
            data = await second.get(object_path(part.name))
            if await _is_whole(gallery, number, part, data):
                return data
    except (NotFound, Integrity):
        pass  # not there either
    return None


async def _is_whole(gallery: Gallery, number: int, part: Part, data: bytes) -> bool:
    def read_at(at: int, size: int) -> memoryview:
        return memoryview(data)[at : at + size]

    if len(data) != part.stored:
        return False
    try:
        await trio.to_thread.run_sync(verify_part, gallery.ledger.ring, part, number, read_at)
    except Integrity:
        return False
    return True


async def _put(store: Store, path: str, data: bytes) -> bool:
    """Put an object; False when it was there after all."""
    try:
        await store.put(path, data)
    except Exists:
        return False
    return True


async def _segments(vault: Vault, second: Store, report: RepairReport) -> None:
    """Put back the segments up to the heads that were seen, as far as the second copy has them."""
    copy = Vault(second, vault.ring, vault.header, vault.info, vault.device, Memory())
    for device, head in dict(vault.memory.heads).items():
        for seq in range(1, head.seq + 1):
            path = segment_path(segment_name(vault.ring, device, seq))
            try:
                await vault.store.stat(path)
                continue
            except NotFound:
                pass
            try:
                segment = await copy.segment(device, seq)
                if segment is None or (seq == head.seq and segment.head != head):
                    raise Integrity("not there")
                report.segments += await _put(vault.store, path, await second.get(path))
            except (Integrity, NotFound):
                report.failed.append(
                    f"Segment {seq} of device {device.hex()[:8]} is not on the remote, and not in "
                    "the second copy."
                )
