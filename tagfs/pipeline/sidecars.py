"""XMP sidecars: what ``IMG_1.jpg.xmp`` or ``IMG_1.xmp`` states is believed of the photo beside it.

Other programs write there what the user told them, so it goes before what the photo's own file
says. Only a worker reads it, whenever the photo was looked at or the sidecar is another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final, Protocol, runtime_checkable

import trio

from tagfs.catalog.folders import FILE
from tagfs.catalog.pages import Pages
from tagfs.catalog.records import PhotoRecord
from tagfs.catalog.schema import Table
from tagfs.catalog.state import Change, EntryChanged, FileChanged
from tagfs.errors import FileError, Integrity
from tagfs.model import Content, ContentId, Facts, FileId, FolderId
from tagfs.pipeline.contents import Contents
from tagfs.pipeline.ledger import Ledger
from tagfs.pipeline.resting import Rest
from tagfs.pipeline.said_in_files import with_said_before
from tagfs.recognise.messages import MAX_SIDECAR
from tagfs.recognise.packs import PackMissing
from tagfs.recognise.sniff import EXTENSIONS
from tagfs.vault.ops import Op, RecordAnalysis

log = logging.getLogger(__name__)

LATER: Final = 60.0
"""Seconds after which what could not be had, or written down, is tried again."""
_XMP: Final = (b".xmp", b".XMP")
_DUE: Final = b"sidecars"
_SEEN: Final = b"sidecars seen"
"""There is a row of this name once there was a sidecar: until then nothing is looked for."""


@runtime_checkable
class ReadsSidecars(Protocol):
    """The recogniser, as what reads XMP packets."""

    async def read_sidecar(self, packet: bytes, facts: Facts) -> Facts | None:
        """Return what a packet states beside a picture of these facts; None when nobody answers."""


class Sidecars:
    """The photos beside sidecars that are to be read, kept over a restart, and the task that reads.

    Of what another device wrote only what is here is read: that device has read it.
    """

    def __init__(
        self,
        ledger: Ledger,
        contents: Contents,
        reads: ReadsSidecars | None,
        rest: Rest,
        said: Callable[[ContentId, Facts], list[Op]],
    ) -> None:
        """``said`` returns what facts let the user say. Nothing is read without ``reads``."""
        self._ledger = ledger
        self._state = ledger.state
        self._contents = contents
        self._reads = reads
        self._rest = rest
        self._said = said
        self._pages = Pages(ledger.catalog, Table.LOCAL)
        self._any = ledger.catalog.get(Table.LOCAL, _SEEN) is not None
        self._due = {ContentId(item): slot for slot, item in self._pages.scan(_DUE)}
        self._later: dict[ContentId, int] = {}  # that could not be had
        self._busy = False
        self._wake = trio.Event()
        self._rested = trio.Event()

    def changed(self, changes: Iterable[Change]) -> None:
        """Hear which sidecars, or photos beside one, are others now."""
        for change in changes:
            if isinstance(change, EntryChanged):
                self._entry(change.folder, change.name)
            elif isinstance(change, FileChanged) and self._any:
                file = self._state.file(change.file)
                for folder, name in file.entries if file is not None else ():
                    self._entry(folder, name)

    def look_at(self, ident: ContentId) -> None:
        """Consider a photo that was just looked at."""
        photo = self._state.photos.get(ident)
        if self._any and photo is not None and self._beside(photo) is not None:
            self._add(ident)
            self._ledger.catalog.request_commit()  # no unit does

    async def wait_idle(self) -> None:
        """Return when every sidecar that can be had was read."""
        while self._due or self._busy:
            await self._rested.wait()

    async def run(self) -> None:
        """Read sidecars until cancelled."""
        while True:
            if not self._due:
                self._rested.set()
                self._rested = trio.Event()
                self._wake = trio.Event()
                with trio.move_on_after(LATER if self._later else float("inf")):
                    await self._wake.wait()
                if not self._due:
                    self._due, self._later = self._later, {}
            self._busy = True
            await self._rest.wait_over()
            ident = next(iter(self._due))
            slot = self._due.pop(ident)
            try:
                if ops := await self._consider(ident):
                    self._ledger.commit(ops)
                self._pages.clear(_DUE, slot)
                self._ledger.catalog.request_commit()
            except (FileError, PackMissing) as error:  # no network, no room, no worker
                log.warning("the sidecar of %s waits: %s", ident.hex()[:16], error)
                self._later[ident] = slot
            except Integrity as error:
                log.warning("the sidecar of %s is not read: %s", ident.hex()[:16], error)
                self._pages.clear(_DUE, slot)
            self._busy = False
            await trio.lowlevel.checkpoint()

    def _entry(self, folder: FolderId, name: bytes) -> None:
        """Find out whether a name is one of a pair."""
        if name.endswith(_XMP):
            if not self._any:
                self._any = True
                self._ledger.catalog.put(Table.LOCAL, _SEEN, b"")
            if (content := self._content(folder, name)) is not None and self._is_here(content):
                for ident in self._photos(folder, name):
                    self._add(ident)
        elif self._any and (content := self._content(folder, name)) is not None:
            photo = self._state.photos.get(content.id)
            sidecar = None if photo is None or photo.sight is None else self._beside(photo)
            if sidecar is not None and self._is_here(sidecar):
                self._add(content.id)

    def _add(self, ident: ContentId) -> None:
        if self._reads is None or ident in self._due:
            return
        slot = self._later.pop(ident, None)
        self._due[ident] = self._pages.append(_DUE, ident) if slot is None else slot
        self._wake.set()

    def _is_here(self, content: Content) -> bool:
        return all(self._contents.spool.is_here(part.name) for part in content.parts)

    async def _consider(self, ident: ContentId) -> list[Op]:
        """Return a row with other facts, where the sidecar states others."""
        photo = self._state.photos.get(ident)
        sidecar = None if photo is None else self._beside(photo)
        if photo is None or photo.sight is None or sidecar is None or self._reads is None:
            return []
        before = photo.sight
        packet = await self._read(sidecar)
        stated = await self._reads.read_sidecar(packet, before.facts)
        photo = self._state.photos.get(ident)
        if photo is None or photo.sight is None or stated is None:
            return []
        if photo.sight.stamp != before.stamp:
            self._add(ident)  # looked at meanwhile
            return []
        facts = with_said_before(photo, overridden(before.facts, stated))
        if facts == before.facts:
            return []
        pack = next(pack for pack, sight in photo.sights.items() if sight.stamp == before.stamp)
        row = RecordAnalysis(
            ident,
            pack,
            before.media_type,
            photo.sights[pack].tags,
            facts,
            photo.sights[pack].details,
            before.thumbnail,
            before.unreadable,
        )
        return [*self._said(ident, facts), row]

    async def _read(self, content: Content) -> bytes:
        reader, packet = self._contents.reader(content), b""
        try:
            while len(packet) < content.size:
                piece = bytes(await reader.read(len(packet), content.size - len(packet)))
                if not piece:
                    break
                packet += piece
        finally:
            reader.close()
        return packet

    # -- which belongs to which ------------------------------------------------------------------

    def _beside(self, photo: PhotoRecord) -> Content | None:
        """Return the sidecar of a photo; that with the whole name goes before the shorter one."""
        for ident in photo.files:
            file = self._state.file(ident)
            for folder, name in file.entries if file is not None else ():
                stem = name.rpartition(b".")[0] or name
                for beside in (base + end for base in (name, stem) for end in _XMP):
                    content = self._content(folder, beside)
                    if content is not None and 0 < content.size <= MAX_SIDECAR:
                        return content
        return None

    def _photos(self, folder: FolderId, name: bytes) -> Iterator[ContentId]:
        """Yield the photos that a sidecar of a name stands beside."""
        base = name[: -len(_XMP[0])]
        ends = (end for low in EXTENSIONS for end in (low, low.upper()))
        for beside in (base, *(base + end for end in ends)):
            content = self._content(folder, beside)
            photo = None if content is None else self._state.photos.get(content.id)
            if photo is not None and photo.media:
                yield photo.id

    def _content(self, folder: FolderId, name: bytes) -> Content | None:
        found = self._state.folders.look_up(folder, name)
        file = self._state.file(FileId(found[1])) if found and found[0] == FILE else None
        photo = None if file is None or file.content is None else file.content[0]
        return None if photo is None else self._state.photos.content(photo)


def overridden(facts: Facts, stated: Facts) -> Facts:
    """Return facts with what a sidecar states in their place; camera and lens where they lack."""
    if stated.date is not None:
        same = stated.date == facts.date and stated.offset is None
        facts = replace(facts, date=stated.date, offset=facts.offset if same else stated.offset)
    if stated.place is not None:
        facts = replace(facts, place=stated.place, located=stated.located)
    return replace(
        facts,
        camera=facts.camera or stated.camera,
        lens=facts.lens or stated.lens,
        regions=stated.regions or facts.regions,
        keywords=stated.keywords or facts.keywords,
        rating=stated.rating or facts.rating,
    )
