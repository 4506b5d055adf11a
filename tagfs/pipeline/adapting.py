"""This device's own thresholds: they follow what the user corrects, photo by photo.

A word that came with others on the same tag within two seconds is a bulk edit, and says nothing of
the recogniser. Thresholds hold for what is looked at from then on, and for everything when tags
are made anew (``tagfs rescan``). They can be found again from the words, so the vault has none.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Final, Protocol

import cbor2
import trio

from tagfs.catalog.records import PhotoRecord
from tagfs.catalog.schema import Table
from tagfs.catalog.standing import DENYING
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
from tagfs.recognise.adapting import Sample, threshold

log = logging.getLogger(__name__)

SETTLE: Final = 5.0
"""Seconds after a word in which others may come that make it a bulk edit."""
SLICE: Final = 64
"""Photos between two rests."""

_THRESHOLDS = b"thresholds"


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
        self._ledger = ledger
        self._state = ledger.state
        self._details = Details(ledger.state, contents)
        self.decides = decides
        raw = ledger.catalog.get(Table.LOCAL, _THRESHOLDS)
        self.thresholds: dict[TagId, float] = {} if raw is None else cbor2.loads(raw)
        """By tag, of those that were corrected often enough."""
        self._due = set(self.thresholds)  # what ships may be another today
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
            if photo is None or not photo.words:
                continue
            corrected = {t for t in change.tags if not is_person(t) and self._said(photo, t)}
            if corrected:
                self._due |= corrected
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
            batch, self._due = self._due, set()
            for tag in sorted(batch):
                try:
                    await self._find(tag)
                except Exception:  # a threshold that stays as it was harms nobody
                    log.exception("the threshold of %s stays as it was", tag)
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

    async def _find(self, tag: TagId) -> None:
        shipped = self.decides({})
        photos = await self._photos(tag)
        packs = {pack_name(pack) for photo in photos for pack in photo.counting}
        usual = shipped.shipped(packs, tag)
        words = {photo.id: said for photo in photos if (said := self._said(photo, tag))}
        alone = _single(words)
        samples = []
        for photo in photos:
            said = words.get(photo.id)
            if said is not None and photo.id not in alone:
                continue
            confidence = await self._confidence(photo, tag, shipped)
            if confidence is not None and (said is not None or confidence >= usual):
                word = None if said is None else said[0]
                samples.append(Sample(confidence, word))
        found = threshold(samples, usual)
        before = self.thresholds.pop(tag, usual)
        if found != usual:
            self.thresholds[tag] = found
        if found != before:
            self._ledger.catalog.put(Table.LOCAL, _THRESHOLDS, cbor2.dumps(self.thresholds))
            self._ledger.catalog.request_commit()

    async def _photos(self, tag: TagId) -> list[PhotoRecord]:
        """Return the photos that have a tag, or were denied it."""
        postings = self._state.photos.postings
        found = []
        for count, number in enumerate(postings.bitmap(tag.encode()) | postings.bitmap(DENYING)):
            if count % SLICE == 0:
                await trio.lowlevel.checkpoint()
            shown = self._state.photos.names.shown(number)
            photo = None if shown is None else self._state.photos.get(shown.photo)
            if photo is not None and (tag in photo.tags or self._said(photo, tag)):
                found.append(photo)
        return found

    def _said(self, photo: PhotoRecord, tag: TagId) -> tuple[bool, Stamp] | None:
        """Return whether the user said that a photo has a tag, and when; None for nothing.

        A *yes* to something below it is one to the tag, a *no* to something above it a *no*.
        """
        photos = self._state.photos
        words = [
            (stamp, word is Word.YES)
            for said, (word, stamp) in photos.latest(photo.words).items()
            if said == tag
            or (tag in photos.above(said) if word is Word.YES else said in photos.above(tag))
        ]
        if not words:
            return None
        return tag in photo.tags, max(words)[0]

    async def _confidence(self, photo: PhotoRecord, tag: TagId, decides: Decides) -> float | None:
        """Return how surely the packs see a tag in a photo; None where that cannot be told now."""
        canonical = self._state.photos.canonical
        seen = [share for t, share in photo.seen.items() if canonical(t) == tag]
        if seen:
            return max(seen)
        votes = {}
        try:
            for pack, sight in photo.counting.items():
                kept = await self._details.of(sight)
                if kept is not None:
                    votes[pack_name(pack)] = kept[0]
        except (FileError, Integrity):
            return None  # not here and no network: what it would say is missed, no more
        finally:
            self._details.close()
        shares = decides.shares(votes) if votes else {}
        return max((share for t, share in shares.items() if canonical(t) == tag), default=None)


def _single(words: Mapping[ContentId, tuple[bool, Stamp]]) -> set[ContentId]:
    """Return the photos whose word was said alone, not in one go with others."""
    by_device = defaultdict(list)
    for photo, (_, stamp) in words.items():
        by_device[stamp.device].append((stamp.hlc >> 16, photo))
    single = set(words)
    for said in by_device.values():
        for (early, one), (late, other) in pairwise(sorted(said)):
            if late - early < ACT_GAP * 1000:
                single -= {one, other}
    return single
