"""This device's own thresholds: they follow what the user corrects, photo by photo.

A word that came with others on the same tag within two seconds is a bulk edit, and says nothing of
the recogniser. Thresholds hold for what is looked at from then on, and for everything when tags
are made anew (``tagfs rescan``). They can be found again from the words, so the vault has none.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Final, Protocol

import cbor2
import trio
from pyroaring import BitMap

from tagfs.catalog.photos import ALL
from tagfs.catalog.records import PhotoRecord
from tagfs.catalog.schema import Table
from tagfs.catalog.sights import Sight
from tagfs.catalog.state import Change, PhotoChanged
from tagfs.errors import FileError, Integrity
from tagfs.model import (
    ACT_GAP,
    Analysis,
    ContentId,
    Scored,
    Stamp,
    TagId,
    Word,
    is_person,
    pack_name,
)
from tagfs.pipeline.contents import Contents
from tagfs.pipeline.details import Details
from tagfs.pipeline.ledger import Ledger
from tagfs.pipeline.said_in_files import is_named_in_file
from tagfs.recognise.adapting import Sample, is_enough, threshold

log = logging.getLogger(__name__)

SETTLE: Final = 5.0
"""Seconds after a word in which others may come that make it a bulk edit."""
SLICE: Final = 16
"""Photos between two rests."""
MOST: Final = 1024
"""Words on one tag, the newest, and photos without one, that are looked at."""

_THRESHOLDS, _CORRECTED = b"thresholds", b"corrected "
_Correction = tuple[PhotoRecord, float, bool, Stamp]
"""A photo, how surely networks see the tag, whether the user says that it has it, and when."""


class Decides(Protocol):
    """Today's calibration, or what stands in its place."""

    pack: str

    def tags(self, scores: Mapping[str, Iterable[Scored]]) -> Mapping[str, tuple[Scored, ...]]:
        """Return the tags that each pack gives a photo, by the names of the packs."""

    def shares(self, scores: Mapping[str, Iterable[Scored]]) -> Mapping[TagId, float]:
        """Return how surely a photo has each concept, whether that makes it a tag or not."""

    def shipped(self, packs: Iterable[str], tag: TagId) -> float:
        """Return the threshold of a concept where these packs look."""


class Adapting:
    """The thresholds of one gallery, and the task that finds them."""

    def __init__(
        self,
        ledger: Ledger,
        contents: Contents,
        decides: Callable[[Mapping[TagId, float]], Decides],
    ) -> None:
        """``decides`` returns the calibration with other thresholds for some tags."""
        self._state = ledger.state
        self._store = ledger.catalog
        self._details = Details(ledger.state, contents)
        self._spool = contents.spool
        self.decides = decides
        raw = self._store.get(Table.LOCAL, _THRESHOLDS)
        self.thresholds: dict[TagId, float] = {} if raw is None else cbor2.loads(raw)
        """By tag, of those that were corrected often enough."""
        self._due: dict[TagId, set[int]] = {}  # photos by number, of which something was said
        self._busy = False
        self.settle = SETTLE
        self._wake = trio.Event()
        self._rested = trio.Event()

    def changed(self, changes: Iterable[Change]) -> None:
        """Hear which photos have other tags, and whether because of what the user said."""
        for change in changes:
            if not isinstance(change, PhotoChanged) or not change.tags:
                continue
            photo = self._state.photos.get(change.photo)
            if photo is None or photo.number is None or not photo.words:
                continue
            for tag in change.tags:
                if self._is_concept(tag) and self._said(photo, tag) is not None:
                    self._due.setdefault(tag, set()).add(photo.number)
                    self._wake.set()

    async def wait_idle(self) -> None:
        """Return when the thresholds are those of the words so far."""
        while self._due or self._busy:
            await self._rested.wait()

    async def run(self) -> None:
        """Find thresholds until cancelled."""
        while True:
            if not self._due:
                self._rested.set()
                self._rested = trio.Event()
                self._wake = trio.Event()
                await self._wake.wait()
            self._busy = True
            await trio.sleep(self.settle)
            batch, self._due = self._due, {}
            for tag, photos in sorted(batch.items()):
                try:
                    await self._find(tag, photos)
                except Exception:  # a threshold that stays as it was harms nobody
                    log.exception("the threshold of %s stays as it was", tag)
            self._details.close()
            self._busy = False

    def adapted(self, analysis: Analysis) -> Analysis:
        """Return what was seen of a photo, with the tags that pass the thresholds of this gallery.

        What another pack than today's saw is left as it is, as is what has no votes.
        """
        if not self.thresholds or analysis.unreadable is not None:
            return analysis
        today = self.decides(self.thresholds)
        if analysis.pack != today.pack:
            return analysis
        seen = {pack_name(each.pack): each.scores for each in analysis.more}
        told = today.tags({pack_name(analysis.pack): analysis.scores} | seen)
        more = tuple(
            replace(each, tags=told.get(pack_name(each.pack), ())) if each.scores else each
            for each in analysis.more
        )
        return replace(analysis, tags=told.get(pack_name(analysis.pack), ()), more=more)

    # -- one tag -------------------------------------------------------------------------------

    def _is_concept(self, tag: TagId) -> bool:
        """Whether packs can see a tag: it is no person and none that the user made."""
        return not is_person(tag) and self._state.taxonomy.name(tag) is not None

    async def _find(self, tag: TagId, corrected: Iterable[int]) -> None:
        decides = self.decides({})
        told = await self._corrections(tag, corrected, decides)
        single = _single(told)
        shipped = decides.shipped(_packs(photo for photo, *_ in told), tag)
        words = [Sample(sure, yes) for photo, sure, yes, _ in told if photo.id in single]
        samples = words
        if enough := is_enough(words, shipped):
            spoken = {photo.number for photo, *_ in told}
            samples = words + await self._silent(tag, spoken)
            added = [s.confidence for s in words if s.word and s.confidence < shipped]
            if added:
                samples += await self._nearly(tag, spoken, min(added), decides)
        found = threshold(samples, shipped) if enough else shipped
        before = self.thresholds.pop(tag, shipped)
        if found != shipped:
            self.thresholds[tag] = found
        if found != before:
            self._store.put(Table.LOCAL, _THRESHOLDS, cbor2.dumps(self.thresholds))
            self._store.request_commit()

    async def _corrections(
        self, tag: TagId, more: Iterable[int], decides: Decides
    ) -> list[_Correction]:
        """Return the newest words on a tag where the packs' confidence is known, and keep which
        they are; ``more`` are the numbers of photos that came to them."""
        raw = self._store.get(Table.LOCAL, _CORRECTED + tag.encode())
        kept: dict[int, float | None] = {} if raw is None else cbor2.loads(raw)
        kept |= dict.fromkeys(more)
        told, known = [], dict[int, float | None]()
        for count, number in enumerate(sorted(kept, reverse=True)[:MOST]):
            if count % SLICE == 0:
                await trio.lowlevel.checkpoint()
            photo = self._photo(number)
            said = None if photo is None else self._said(photo, tag)
            if photo is None or said is None:
                continue  # taken back, or the photo is gone
            sure = kept[number]
            if sure is None:
                sure = await self._confidence(photo, tag, decides)
            known[number] = sure
            if sure is not None:
                told.append((photo, sure, *said))
        self._store.put(Table.LOCAL, _CORRECTED + tag.encode(), cbor2.dumps(known))
        return told

    async def _silent(self, tag: TagId, spoken: Collection[int | None]) -> list[Sample]:
        """Return photos that have a tag by what the packs see."""
        have = self._state.photos.postings.bitmap(tag.encode())
        photos, weight = await self._some(have, tag, spoken)
        seen = [self._seen(photo, tag) for photo in photos]
        return [Sample(sure, None, weight) for sure in seen if sure is not None]

    async def _nearly(
        self, tag: TagId, spoken: Collection[int | None], least: float, decides: Decides
    ) -> list[Sample]:
        """Return photos in which networks see a tag at least so surely, and which have it not."""
        postings = self._state.photos.postings
        lack = postings.bitmap(ALL) - postings.bitmap(tag.encode())
        photos, weight = await self._some(lack, tag, spoken)
        found = []
        for count, photo in enumerate(photos):
            if count % SLICE == 0:
                await trio.lowlevel.checkpoint()
            sure = await self._confidence(photo, tag, decides)
            if sure is not None and sure >= least:
                found.append(Sample(sure, None, weight))
        return found

    async def _some(
        self, among: BitMap, tag: TagId, spoken: Collection[int | None]
    ) -> tuple[list[PhotoRecord], int]:
        """Return photos of which the user said nothing, and how many each of them stands for."""
        numbers = [number for number in among if number not in spoken]
        every = max(1, -(-len(numbers) // MOST))
        found = []
        for count, number in enumerate(numbers[::every]):
            if count % SLICE == 0:
                await trio.lowlevel.checkpoint()
            photo = self._photo(number)
            if photo is not None and self._said(photo, tag) is None:
                found.append(photo)
        return found, every

    def _photo(self, number: int) -> PhotoRecord | None:
        shown = self._state.photos.names.shown(number)
        return None if shown is None else self._state.photos.get(shown.photo)

    def _said(self, photo: PhotoRecord, tag: TagId) -> tuple[bool, Stamp] | None:
        """Return whether the user said that a photo has a tag, and when; None for nothing.

        A *yes* to something below it is one to the tag, a *no* to something above it a *no*. The
        keywords of a file, which was made elsewhere, correct nobody here.
        """
        photos = self._state.photos
        words = [
            (stamp, word is Word.YES)
            for said, (word, stamp) in photos.latest(photo.words).items()
            if said == tag
            or (tag in photos.above(said) if word is Word.YES else said in photos.above(tag))
            if word is Word.NO or not is_named_in_file(self._state, photo, said)
        ]
        if not words:
            return None
        return tag in photo.tags, max(words)[0]

    def _seen(self, photo: PhotoRecord, tag: TagId) -> float | None:
        """Return how surely networks gave a photo a tag; None where they did not.

        Rows without votes are not of networks: persons, and what files say of themselves.
        """
        canonical = self._state.photos.canonical
        rows = (sight.tags for sight in photo.counting.values() if sight.details is not None)
        sure = (s.confidence for tags in rows for s in tags if canonical(s.tag) == tag)
        return max(sure, default=None)

    async def _confidence(self, photo: PhotoRecord, tag: TagId, decides: Decides) -> float | None:
        """Return how surely networks see a tag in a photo; None where that cannot be told now."""
        seen = self._seen(photo, tag)
        if seen is not None:
            return seen
        votes = {}
        try:
            for pack, sight in photo.counting.items():
                if not self._is_here(sight):
                    return None  # nothing is fetched for this
                kept = await self._details.of(sight)
                if kept is not None:
                    votes[pack_name(pack)] = kept[0]
        except (FileError, Integrity):
            return None
        shares = decides.shares(votes) if votes else {}
        canonical = self._state.photos.canonical
        return max((share for t, share in shares.items() if canonical(t) == tag), default=None)

    def _is_here(self, sight: Sight) -> bool:
        """Whether what was kept of a look lies on this machine; so does nothing."""
        pack = None if sight.details is None else self._state.photos.content(sight.details[0])
        return all(self._spool.is_here(part.name) for part in (pack.parts if pack else ()))


def _packs(photos: Iterable[PhotoRecord]) -> set[str]:
    return {pack_name(pack) for photo in photos for pack in photo.counting}


def _single(told: Iterable[_Correction]) -> set[ContentId]:
    """Return the photos whose word was said alone, not in one go with others."""
    by_device = defaultdict(list)
    for photo, _, _, stamp in told:
        by_device[stamp.device].append((stamp.hlc >> 16, photo.id))
    single = {ident for said in by_device.values() for _, ident in said}
    for said in by_device.values():
        for (early, one), (late, other) in pairwise(sorted(said)):
            if late - early < ACT_GAP * 1000:
                single -= {one, other}
    return single
