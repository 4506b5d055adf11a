"""``tagfs rescan``: tags and places once more, from what is kept, from originals where it is old.

A job is in the catalog, with how far it is, so it goes on after a restart. It works in batches and
rests between them, so that everything else has its turn.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol, runtime_checkable

import cbor2
import trio
from pyroaring import BitMap

from tagfs.catalog.records import PhotoRecord
from tagfs.catalog.schema import Table
from tagfs.catalog.sights import Sight
from tagfs.errors import FileError, Integrity
from tagfs.model import ContentId, Facts, Located, Place, Scored, TagId, pack_name
from tagfs.pipeline.contents import Contents
from tagfs.pipeline.details import Details
from tagfs.pipeline.ledger import Ledger
from tagfs.pipeline.looking import Looker
from tagfs.recognise.packs import PackMissing
from tagfs.recognise.rescoring import Rescores, decoders, todays
from tagfs.vault.ops import RecordAnalysis

log = logging.getLogger(__name__)

BATCH = 32
"""Photos between two rests; as many as a pack has."""
LONGEST_REST = 1.0
"""Seconds of a rest, at most: it is as long as the batch before it took."""
RETRY = 2.0
"""Seconds after which a batch that the disk had no room for is tried again."""
SAME = 0.005
"""Confidences that differ by less are the same: kept scores are coarse."""


@runtime_checkable
class Locates(Protocol):
    """The recogniser, as what knows the names of places."""

    async def locate(self, places: Sequence[Place]) -> tuple[Located | None, ...] | None:
        """Return where each position lies; None when that cannot be told now."""


_TARGETS, _JOB, _DECODERS = b"rescan targets", b"rescan job", b"rescan decoders"


@dataclass(frozen=True, slots=True)
class Job:
    """How far a rescan is."""

    total: int
    done: int = 0
    changed: int = 0  # have other tags now
    looked: int = 0  # were looked at again
    failed: int = 0  # neither scores nor original could be had
    upto: int = 0  # photos with smaller numbers are done
    originals: bool = False  # look at all of them again
    whole: bool = False  # of the whole gallery
    placed: int = 0  # have another place now

    def as_json(self) -> dict[str, object]:
        """Return the form in ``tagfs status --json`` and ``tagfs rescan --json``."""
        return {
            "total": self.total,
            "done": self.done,
            "changed": self.changed,
            "placed": self.placed,
            "looked_again": self.looked,
            "failed": self.failed,
        }


@dataclass(frozen=True, slots=True)
class _Anew:
    """What is to be written of one photo: nothing, or rows with other tags or another place."""

    rows: tuple[RecordAnalysis, ...]
    other: bool
    moved: bool


class Rescan:
    """At most one job, and the task that carries it out. ``scorer`` may be replaced by tests."""

    def __init__(
        self,
        ledger: Ledger,
        contents: Contents,
        looker: Looker,
        can_look: bool,
        locates: Locates | None = None,
        thresholds: Callable[[], Mapping[TagId, float]] = dict,
    ) -> None:
        """``locates`` is None where no worker can be had; places stay as they are then.
        ``thresholds`` are the gallery's own.
        """
        self._ledger = ledger
        self._state = ledger.state
        self._store = ledger.catalog
        self._looker = looker
        self._can_look = can_look
        self._locates = locates
        self._mine = False  # whether the job was begun, or added to, in this process
        self._details = Details(ledger.state, contents)
        self.scorer: Callable[[], Rescores] = lambda: todays(thresholds())
        self.decoders: Callable[[], str] = decoders
        self.gentle = True
        self._wake = trio.Event()
        self._moved = trio.Event()
        self.last: Job | None = None
        """The job that ended last, since the gallery was opened."""

    @property
    def job(self) -> Job | None:
        """The job that is under way."""
        raw = self._store.get(Table.LOCAL, _JOB)
        return None if raw is None else Job(*cbor2.loads(raw))

    def start(self, photos: BitMap, originals: bool, whole: bool) -> Job:
        """Begin a job over photos, by their numbers; what is left of another one is added."""
        old = self.job
        if old is not None:
            left = BitMap(self._targets())
            left.remove_range(0, old.upto)
            photos = photos | left
            originals, whole = originals or old.originals, whole or old.whole
        self._store.put(Table.LOCAL, _TARGETS, photos.serialize())
        job = Job(len(photos), originals=originals, whole=whole)
        self._mine = True
        self._save(job)
        self._wake.set()
        return job

    def stop(self) -> bool:
        """End the job where it is; say whether there was one."""
        if self.job is None:
            return False
        self._drop()
        return True

    async def wait(self, progress: Callable[[int, int], None]) -> Job | None:
        """Return the job when it has ended; None when there is none."""
        while (job := self.job) is not None:
            progress(job.done, job.total)
            await self._moved.wait()
        return self.last

    async def run(self) -> None:
        """Carry out jobs until cancelled."""
        while True:
            job = self.job
            # One who opens the gallery without a recogniser leaves the job to one who has it.
            if job is None or not (self._can_look or self._mine):
                self._wake = trio.Event()
                await self._wake.wait()
                continue
            began = trio.current_time()
            await self._batch(job)
            if self.gentle:
                await trio.sleep(min(LONGEST_REST, trio.current_time() - began))
            else:
                await trio.lowlevel.checkpoint()

    async def _batch(self, job: Job) -> None:
        numbers = list(islice(self._targets().iter_equal_or_larger(job.upto), BATCH))
        if not numbers:
            self._end(job)
            return
        try:
            after = await self._photos(job, numbers)
        except FileError as error:
            log.warning("the rescan waits: %s", error)
            await trio.sleep(RETRY)
            return
        now = self.job
        # Another job may have been begun, or this one stopped, meanwhile.
        if now == job:
            self._save(replace(after, done=job.done + len(numbers), upto=numbers[-1] + 1))

    async def _photos(self, job: Job, numbers: list[int]) -> Job:
        """Go through some photos; raises FileError when the disk takes no more."""
        scorer, again = self.scorer(), list[ContentId]()
        kept: list[tuple[PhotoRecord, Sight]] = []
        for number in numbers:
            shown = self._state.photos.names.shown(number)
            photo = None if shown is None else self._state.photos.get(shown.photo)
            if photo is None or not photo.listed:
                continue
            sight = photo.sights.get(scorer.pack)
            if job.originals or sight is None or self._is_outdated(sight):
                again.append(photo.id)
            else:
                kept.append((photo, photo.sight or sight))
        found: list[_Anew] = []
        failed = 0
        facts = await self._located([sight.facts for _, sight in kept])
        for (photo, _), known in zip(kept, facts, strict=True):
            try:
                anew = await self._anew(photo, scorer, known)
            except (FileError, Integrity) as error:
                log.warning("scores of %s: %s", photo.id.hex()[:16], error)
                away = isinstance(error, FileError) and error.errno == errno.ENETUNREACH
                failed += away
                again += [] if away else [photo.id]
                continue
            if anew is None:
                again.append(photo.id)
            elif anew.rows:
                found.append(anew)
        found = [each for each in found if all(map(self._is_current, each.rows))]
        if found:
            self._ledger.commit([row for each in found for row in each.rows])
        looked, changed = await self._look_again(again)
        return replace(
            job,
            changed=job.changed + sum(each.other for each in found) + changed,
            placed=job.placed + sum(each.moved for each in found),
            looked=job.looked + looked,
            failed=job.failed + failed + len(again) - looked,
        )

    async def _anew(self, photo: PhotoRecord, scorer: Rescores, facts: Facts) -> _Anew | None:
        """Return what packs and places are today; None where a pack has not looked that would."""
        newest = photo.sight
        assert newest is not None
        sights = {pack_name(pack): (pack, sight) for pack, sight in photo.counting.items()}
        given = {name: sight.tags for name, (_, sight) in sights.items()}
        if newest.unreadable is None:
            scores = {name: await self._scores(sight) for name, (_, sight) in sights.items()}
            if self._can_look and scorer.lacks(scores):
                return None
            told = scorer.tags(scores)
            # A pack that has votes and gives nothing now has no tags any more; rows without votes
            # are not of networks (persons.py).
            voted = (name for name, (_, sight) in sights.items() if sight.details is not None)
            given |= {name: told.get(name, ()) for name in voted}
        other = {
            name
            for name, (_, sight) in sights.items()
            if not _same(_by_tag(given[name]), _by_tag(sight.tags))
        }
        moved = facts != newest.facts
        # The newest row tells where a photo was taken: one has to be written for that.
        rows = other or {name for name, (_, sight) in sights.items() if moved and sight is newest}
        return _Anew(
            tuple(
                RecordAnalysis(
                    photo.id,
                    sights[name][0],
                    newest.media_type,
                    given[name],
                    facts,
                    sights[name][1].details,
                    newest.thumbnail,
                    newest.unreadable,
                )
                for name in sorted(rows)
            ),
            bool(other),
            moved,
        )

    async def _scores(self, sight: Sight) -> tuple[Scored, ...]:
        kept = await self._details.of(sight)
        return () if kept is None else kept[0]

    async def _located(self, facts: list[Facts]) -> list[Facts]:
        """Return facts with the names that today's table has for their positions."""
        places = [known.place for known in facts if known.place is not None]
        if self._locates is None or not places:
            return facts
        try:
            found = await self._locates.locate(places)
        except PackMissing:
            found = None
        if found is None:
            return facts
        names = iter(found)
        return [f if f.place is None else replace(f, located=next(names)) for f in facts]

    def _is_outdated(self, sight: Sight) -> bool:
        """Whether only the original can tell more than this."""
        if sight.unreadable is None:
            return sight.details is None
        tried = self._store.get(Table.LOCAL, _DECODERS)
        return tried is None or tried.decode() != self.decoders()

    def _is_current(self, op: RecordAnalysis) -> bool:
        """Whether nobody has looked at the photo since its scores were read."""
        photo = self._state.photos.get(op.photo)
        sight = None if photo is None else photo.sights.get(op.pack)
        return sight is not None and sight.details == op.details

    async def _look_again(self, photos: list[ContentId]) -> tuple[int, int]:
        """Return how many could be looked at, and how many have other tags after it."""
        if not photos or not self._can_look:
            return 0, 0
        before = {ident: self._seen(ident) for ident in photos}
        await self._looker.look_again(photos)
        looked = changed = 0
        for ident, (old, tags) in before.items():
            new, now = self._seen(ident)
            if new is not None and (old is None or new.stamp != old.stamp):
                looked += 1
                changed += not _same(now, tags)
        return looked, changed

    def _seen(self, ident: ContentId) -> tuple[Sight | None, dict[TagId, float]]:
        photo = self._state.photos.get(ident)
        return (None, {}) if photo is None else (photo.sight, photo.seen)

    def _targets(self) -> BitMap:
        raw = self._store.get(Table.LOCAL, _TARGETS)
        return BitMap() if raw is None else BitMap.deserialize(raw)

    def _save(self, job: Job) -> None:
        row = [job.total, job.done, job.changed, job.looked, job.failed]
        row += [job.upto, job.originals, job.whole, job.placed]
        self._store.put(Table.LOCAL, _JOB, cbor2.dumps(row))
        self._store.request_commit()
        self._tell()

    def _end(self, job: Job) -> None:
        if job.whole and self._can_look:
            self._store.put(Table.LOCAL, _DECODERS, self.decoders().encode())
        self.last = job
        self._drop()
        text = f"Rescan: {job.changed} of {job.done} photos have other tags now"
        text += f", {job.placed} another place" if job.placed else ""
        text += f", {job.looked} were looked at again" if job.looked else ""
        text += f", {job.failed} could not be" if job.failed else ""
        self._ledger.event(text + ".")

    def _drop(self) -> None:
        self._details.close()
        self._store.delete(Table.LOCAL, _JOB)
        self._store.delete(Table.LOCAL, _TARGETS)
        self._store.request_commit()
        self._tell()

    def _tell(self) -> None:
        self._moved.set()
        self._moved = trio.Event()


def _by_tag(tags: tuple[Scored, ...]) -> dict[TagId, float]:
    return {seen.tag: seen.confidence for seen in tags}


def _same(new: Mapping[TagId, float], old: Mapping[TagId, float]) -> bool:
    """Whether two sets of tags are the same, as sure as far as kept scores can say."""
    return new.keys() == old.keys() and all(abs(old[tag] - new[tag]) <= SAME for tag in new)
