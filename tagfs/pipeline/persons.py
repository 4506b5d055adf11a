"""Who is in the photos: faces join persons in the background, and the user's words are heard.

What comes out are rows of the pack ``people``, apart from every word of the user, and names of the
nameless. The clustering itself is this device's and can be made anew from the faces that are kept.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

import cbor2
import trio
from pyroaring import BitMap

from tagfs.catalog.photos import ALL
from tagfs.catalog.records import PhotoRecord
from tagfs.catalog.schema import Table
from tagfs.catalog.sights import Sight
from tagfs.catalog.state import Change, PhotoChanged
from tagfs.errors import FileError, Integrity
from tagfs.model import FACES, ContentId, Scored, TagId, Word, is_person, pack_name
from tagfs.pipeline.contents import Contents
from tagfs.pipeline.details import Details
from tagfs.pipeline.doubts import doubts
from tagfs.pipeline.kept_faces import KeptFaces
from tagfs.pipeline.ledger import Ledger
from tagfs.pipeline.person_ids import PersonIds
from tagfs.pipeline.said_in_files import may_be_of
from tagfs.recognise.clustering import Clustering, Decision, Seen
from tagfs.recognise.face import Face, Gate, Limits
from tagfs.recognise.person import FACES_EACH
from tagfs.vault.ops import Op, RecordAnalysis

log = logging.getLogger(__name__)

PACK: Final = "people-1"
SURE: Final = 0.99
"""How often a face that joined a person is theirs, or rather more often (docs/accuracy.md)."""
BATCH: Final = 16
RETRY: Final = 2.0
"""Seconds after which a batch that the disk had no room for is tried again."""
SAVING: Final = 20.0
"""Seconds for which what faces said may be unsaved: writing everybody down takes long. What the
user said is saved at once; faces can be looked at again."""
COMPARED: Final = 32
"""Faces of a person that a face is compared with where the user says that it is theirs."""

_STATE: Final = b"persons"


class Persons:
    """The task that tells who is in the photos."""

    def __init__(self, ledger: Ledger, contents: Contents, gate: Gate, limits: Limits) -> None:
        """``gate`` and ``limits`` are those of the pack of faces."""
        self._ledger = ledger
        self._state = ledger.state
        self._store = ledger.catalog
        self._faces = KeptFaces(ledger.catalog, Details(ledger.state, contents), gate)
        self._limits = limits
        self.doubts: dict[TagId, BitMap] = {}
        """Of named persons the photos that may show them: what the user may want to decide."""
        self._waiting: dict[int, None] = {}
        self._heard = self._busy = self._telling = False
        self._save_by = math.inf
        self._wake = trio.Event()
        self._rested = trio.Event()

    def changed(self, changes: Collection[Change], by_user: bool) -> None:
        """Hear what is different: words on photos, names of persons."""
        if self._telling:
            return  # what is said here itself is known here
        of_persons = False
        for change in changes:
            if isinstance(change, PhotoChanged):
                persons = any(map(is_person, change.tags))
                of_persons |= persons
                if persons or ALL in change.lists:  # one that was gone may have come again
                    self.look_at(change.photo)
        # Naming somebody changes no photo. Whatever changes other photos names nobody, and
        # copying a file is not to have everybody looked at.
        if of_persons or not changes:
            self._heard = True
            self._wake.set()

    def look_at(self, ident: ContentId) -> None:
        """Consider a photo whose faces, or words on persons, may be others now."""
        photo = self._state.photos.get(ident)
        if photo is not None and photo.number is not None:
            self._waiting[photo.number] = None
            self._wake.set()

    async def wait_idle(self) -> None:
        """Return when every photo that waits was considered."""
        while self._waiting or self._heard or self._busy:
            await self._rested.wait()

    async def run(self) -> None:
        """Consider photos until cancelled."""
        self._load()
        try:
            await self._forget_gone()
        except Exception:
            log.exception("the faces of photos that are gone stay for now")
        try:
            await self._consider_all()
        finally:
            self._save()

    async def _consider_all(self) -> None:
        while True:
            if not self._waiting and not self._heard:
                self.doubts = await doubts(self._clustering, self._ids, self._named)
                if self._waiting or self._heard:
                    continue
                await self._rest()
            if trio.current_time() >= self._save_by:
                self._save()
            batch = list(islice(self._waiting, BATCH))
            # Everybody is looked at for this: not between the batches of a long import.
            names = self._heard and len(batch) < BATCH
            self._heard &= not names
            for number in batch:  # first: one that changes meanwhile is to be considered again
                del self._waiting[number]
            self._busy = True
            try:
                await self._consider(batch, names)
            except FileError as error:
                log.warning("persons wait: %s", error)
                self._load()  # what was not journalled is not so
                self._waiting.update(dict.fromkeys(batch))
                self._heard = True
                await trio.sleep(RETRY)
            except trio.Cancelled:
                self._waiting.update(dict.fromkeys(batch))  # for the next start
                raise
            except Exception:  # a gallery without news of persons is better than none
                log.exception("persons of %d photos are not told", len(batch))
            await trio.lowlevel.checkpoint()

    async def _rest(self) -> None:
        """Wait for work, and save meanwhile what is unsaved for long."""
        self._busy = False
        self._rested.set()
        self._rested = trio.Event()
        self._wake = trio.Event()
        with trio.move_on_at(self._save_by):
            await self._wake.wait()
            return
        self._save()
        await self._wake.wait()

    # -- one batch -----------------------------------------------------------------------------

    async def _consider(self, numbers: Sequence[int], names: bool) -> None:
        """Add the faces of some photos, hear words, and journal who is in which photo now."""
        found = dict[int, Sequence[Face]]()
        for number in numbers:
            photo = self._photo(number)
            sight = None if photo is None else self._faces_row(photo)
            if sight is not None:
                found[number] = await self._faces.fetch(number, sight)
        with trio.CancelScope(shield=True):  # what is known and what is journalled go together
            await self._tell(found, names)

    async def _tell(self, found: Mapping[int, Sequence[Face]], names: bool) -> None:
        ops = self._hear_names() if names else []
        before = set(self._clustering.persons())
        photos = set[int]()
        for number, faces in found.items():
            await trio.lowlevel.checkpoint()  # among thousands of persons each takes milliseconds
            photo = self._photo(number)
            if photo is None:
                continue
            if number not in self._done:
                ops += self._add(number, faces)
            ops += self._hear_words(photo, number, faces)
            photos.add(number)
        shown = set(self._clustering.persons())
        strangers = {person for person in shown if self._ids.id(person) is None}
        for person in strangers:
            ops += self._introduce(person)
        for person in strangers | (shown ^ before):
            photos.update(face // FACES_EACH for face in self._clustering.faces(person))
        rows = [row for number in sorted(photos) for row in self._row(number, shown)]
        if ops or rows:
            self._telling = True
            try:
                self._ledger.commit([*ops, *rows])
            finally:
                self._telling = False
        self._save_by = min(self._save_by, trio.current_time() + SAVING)

    def _add(self, number: int, faces: Sequence[Face]) -> list[Op]:
        self._done.add(number)
        return self._united(self._clustering.add(self._faces.seen(number, faces)))

    def _united(self, decisions: Iterable[Decision]) -> list[Op]:
        pairs = [pair for decision in decisions for pair in decision.united]
        return [op for stays, goes in pairs for op in self._ids.united(stays, goes)]

    def _introduce(self, person: int) -> list[Op]:
        """Give a person who is worth showing an id and a name."""
        tag = self._ids.id(person)
        if tag is None:
            rows = [(f, self._photo(f // FACES_EACH)) for f in self._clustering.faces(person)]
            there = [(face, photo) for face, photo in rows if photo is not None]
            if not there:
                return []  # all are in the trash
            tag = self._ids.known_before(tag for _, photo in there for tag in self._told(photo))
            if tag is None:
                face, photo = there[0]
                tag = self._ledger.name_person(f"{photo.id.hex()} {face % FACES_EACH}")
            self._ids.bind(person, tag)
            self._heard |= self._ids.is_named(tag)
        return self._ids.called(tag)

    def _row(self, number: int, shown: set[int]) -> list[Op]:
        """Return the row that says who is in a photo, where it has to be another."""
        photo = self._photo(number)
        newest = photo.sight if photo is not None else None
        if photo is None or newest is None:
            return []
        persons = {self._clustering.person_of(face) for face in self._faces.numbers(number)} & shown
        known = (self._ids.id(n) for n in persons if n is not None)
        tags = sorted(t for t in known if t is not None and not self._ids.is_dismissed(t))
        if set(tags) == set(self._in_row(photo)):
            return []
        return [
            RecordAnalysis(
                photo.id,
                PACK,
                newest.media_type,
                tuple(Scored(tag, SURE) for tag in tags),
                newest.facts,
                None,
                newest.thumbnail,
                newest.unreadable,
            )
        ]

    # -- what the user says ----------------------------------------------------------------------

    def _hear_names(self) -> list[Op]:
        """Hear who was named and who was merged with whom."""
        ops: list[Op] = []
        self._ids.hear_names()
        for tag, number in self._ids.come_back():
            photos = self._state.photos.postings.bitmap(tag.encode())
            faces = [f for f in self._clustering.faces(number) if f // FACES_EACH in photos]
            if faces:
                self._save_by = 0.0
                self._ids.bind(self._clustering.split(number, faces), tag)
        for number in set(self._ids.raw()) - set(self._clustering.numbers()):
            self._ids.drop(number)  # gone with their last face
        for number, tag in list(self._ids.raw().items()):
            if self._ids.id(number) != tag:
                continue  # gone with one of those before
            into = self._state.photos.canonical(tag)
            other = self._ids.number(into)
            if into != tag and other is None:
                self._ids.drop(number)
                self._ids.bind(number, into)
            elif into != tag and other is not None and other != number:
                self._ids.drop(number)
                self._save_by = 0.0
                for face in self._clustering.unite(other, number):
                    ops += self._united(self._clustering.add([self._faces.one(face)]))
                self._ids.merged[tag] = other
                continue
            if self._ids.is_named(into) and number not in self._named:
                self._named.add(number)
                self._save_by = 0.0
                faces = self._clustering.faces(number)
                self._waiting.update(dict.fromkeys(face // FACES_EACH for face in faces))
                for stays, goes in self._clustering.name(number):
                    ops += self._ids.united(stays, goes)
        return ops

    def _hear_words(self, photo: PhotoRecord, number: int, faces: Sequence[Face]) -> list[Op]:
        """Hear which persons the user said are in a photo, and which are not."""
        ops: list[Op] = []
        seen = self._faces.seen(number, faces)
        words = self._state.photos.latest(photo.words)
        said = {tag: word for tag, (word, _) in words.items() if is_person(tag)}
        # Who it is not comes first: only a face that belongs to nobody with a name can be given.
        for tag in sorted(said, key=lambda tag: (said[tag] is Word.YES, tag)):
            person = self._ids.number(tag)
            here = {one.face: self._clustering.person_of(one.face) for one in seen}
            if said[tag] is Word.YES and (person is None or person not in here.values()):
                may_be = [seen[i] for i in may_be_of(self._state, photo, tag, faces)]
                self._say(tag, person, may_be, here)
            elif said[tag] is Word.NO and person in self._named:
                # Of somebody nameless the word alone hides the photo: a stranger that is denied
                # everywhere would come back as another one.
                self._save_by = 0.0
                for one in seen:
                    if here[one.face] == person or here[one.face] not in self._named:
                        ops += self._united([self._clustering.deny(one, person)])
        return ops

    def _say(
        self, tag: TagId, person: int | None, seen: Sequence[Seen], here: dict[int, int | None]
    ) -> None:
        """Give a person the face of a photo that is most like theirs, of those nobody has."""
        named = self._named
        free = [one for one in seen if here[one.face] is None or here[one.face] not in named]
        if not free:
            return
        known = [] if person is None else self._clustering.faces(person)[:COMPARED]
        vectors = [self._faces.vector(face) for face in known]

        def likeness(one: Seen) -> float:
            return max((float(one.vector @ other) for other in vectors), default=0.0)

        best = max(free, key=lambda one: (likeness(one), one.quality, -one.face))
        self._save_by = 0.0
        self._ids.bind(self._clustering.say(best, person), tag)
        self._heard |= person is None  # they may have a name already, and more faces

    # -- photos --------------------------------------------------------------------------------

    def _photo(self, number: int) -> PhotoRecord | None:
        shown = self._state.photos.names.shown(number)
        photo = None if shown is None else self._state.photos.get(shown.photo)
        return photo if photo is not None and photo.listed else None

    def _faces_row(self, photo: PhotoRecord) -> Sight | None:
        rows = (sight for pack, sight in photo.counting.items() if pack_name(pack) == FACES)
        return next(rows, None)

    def _in_row(self, photo: PhotoRecord) -> list[TagId]:
        row = photo.sights.get(PACK)
        return [self._state.photos.canonical(s.tag) for s in row.tags] if row is not None else []

    def _told(self, photo: PhotoRecord) -> list[TagId]:
        """Return who was seen in a photo, and the nameless of whom the user said that they are not:
        a stranger who was dismissed is to be known again."""
        denied = [
            tag
            for tag, (word, _) in self._state.photos.latest(photo.words).items()
            if word is Word.NO and is_person(tag) and not self._ids.is_named(tag)
        ]
        return self._in_row(photo) + denied

    # -- how it is kept --------------------------------------------------------------------------

    def _load(self) -> None:
        raw = self._store.get(Table.LOCAL, _STATE)
        self._done, ids, merged, last = BitMap(), {}, {}, 0
        self._clustering = Clustering(self._limits, self._faces.vector)
        if raw is not None:
            done, ids, merged, last, dumped = cbor2.loads(raw)
            try:
                self._clustering = Clustering.load(dumped, self._limits, self._faces.vector)
                self._done = BitMap.deserialize(done)
            except Integrity as error:
                log.warning("%s", error)
                ids, merged = {}, {}
        known = {int(n): TagId(t) for n, t in ids.items()}
        into = {TagId(t): int(n) for t, n in merged.items()}
        self._ids = PersonIds(self._state.photos, known, into, last)
        self._ids.hear_names()
        self._named = {n for n, tag in self._ids.raw().items() if self._ids.is_named(tag)}
        self._saved, self._save_by = raw, math.inf
        self._heard = True
        for number in self._state.photos.postings.bitmap(ALL) - self._done:
            self._waiting.setdefault(number)

    async def _forget_gone(self) -> None:
        """Forget the faces of photos that left the trash for good, but for those with somebody who
        has a name in them: how they look is what the user taught."""
        trash = {f.content[0] for _, f in self._state.trash() if f.content is not None}
        taught = {face for person in self._named for face in self._clustering.faces(person)}
        gone = list(self._done - self._state.photos.postings.bitmap(ALL))
        for at in range(0, len(gone), BATCH):
            await trio.lowlevel.checkpoint()
            for number in gone[at : at + BATCH]:
                shown = self._state.photos.names.shown(number)
                kept = self._photo(number) or (shown is not None and shown.photo in trash)
                if not kept and taught.isdisjoint(self._faces.numbers(number)):
                    self._clustering.remove(number)
                    self._done.remove(number)
                    self._faces.forget(number)
            self._save()  # with the faces, or persons would be made of faces that are not there

    def _save(self) -> None:
        ids = self._ids
        again = BitMap(self._waiting) & self._state.photos.postings.bitmap(ALL)
        done = (self._done - again).serialize()
        raw = cbor2.dumps([done, ids.raw(), ids.merged, ids.last, self._clustering.dump()])
        if raw != self._saved:
            self._store.put(Table.LOCAL, _STATE, raw)
            self._store.request_commit()
            self._saved = raw
        self._save_by = math.inf
