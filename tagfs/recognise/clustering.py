"""Who is who: faces join persons one photo after the other, and the user's words hold.

Pure: faces come as vectors, persons and faces are numbers. A face is compared with the prototypes
of persons (`prototypes.Prototypes`), never with all faces. What the user said is never undone
here: a face that was said to be somebody stays, one that was said not to be somebody never
joins them, and persons that were split or named apart are not united. Two faces of one photo
are two persons unless the user says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import cbor2
import numpy as np
from pyroaring import BitMap64

from tagfs.errors import Integrity
from tagfs.recognise.face import Limits, Quality, Vector
from tagfs.recognise.person import FACES_EACH, Person
from tagfs.recognise.prototypes import Prototypes, Row

_FORM: Final = 1


class Answer(Enum):
    """How sure it is that a face is of a person."""

    SURE = "sure"
    DOUBTFUL = "doubtful"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Seen:
    """A face that is added."""

    face: int  # see `face_number`
    vector: Vector
    quality: Quality


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a face.

    ``person`` is whom it belongs to now, None when it was set aside. ``likest`` is the person it
    resembles most of those it may belong to, ``cosine`` how much, and ``answer`` whether that is
    who it is; a doubtful face of a named person is one to ask the user about. ``united`` are
    pairs of persons that became one on this occasion: (who stays, who goes).
    """

    face: int
    person: int | None
    answer: Answer
    likest: int | None
    cosine: float
    united: tuple[tuple[int, int], ...] = ()


class Clustering:
    """All persons of a gallery."""

    def __init__(self, limits: Limits, vector_of: Callable[[int], Vector]) -> None:
        """Begin without persons.

        Args:
            limits: from the pack of faces.
            vector_of: returns the vector of a face that was added; asked for the faces of one
                person when the user corrects it.
        """
        self._limits = limits
        self._vector_of = vector_of
        self._persons: dict[int, Person] = {}
        self._known = BitMap64()  # faces that belong to somebody
        self._not: dict[int, set[int]] = {}  # face: persons that it is not
        self._next = 1
        self._prototypes = Prototypes(limits.tight, limits.handicap)

    # What there is.

    def persons(self) -> list[int]:
        """Return the numbers of those worth showing: named, or seen well at least twice."""
        return [n for n, one in self._persons.items() if one.named or len(one.good) > 1]

    def numbers(self) -> list[int]:
        """Return the numbers of all, those of single faces too."""
        return list(self._persons)

    def faces(self, person: int) -> list[int]:
        """Return a person's faces in order; none for a person that is gone."""
        return list(self._persons[person].faces) if person in self._persons else []

    def person_of(self, face: int) -> int | None:
        """Return whom a face belongs to; looks at every person."""
        return next((n for n, one in self._persons.items() if face in one.faces), None)

    # What recognition says.

    def add(self, seen: Sequence[Seen]) -> list[Decision]:
        """Add the faces of one photo and return what became of each, in the same order.

        The likest pair of face and person is decided first, because a person is in a photo
        once. A good face that is like nobody begins a person. A fair one waits for good ones: it
        joins nobody who was not seen well, and two fair ones are never one person. A face that
        belongs to somebody already stays there.
        """
        if not seen:
            return []
        photos = {one.face // FACES_EACH for one in seen}
        if len(photos) != 1:
            raise ValueError("faces of several photos")
        if any(one.face in self._known for one in seen):
            return [self._known_already(one) or self.add([one])[0] for one in seen]
        likeness = self._prototypes.likeness(one.vector for one in seen)
        order = np.argsort(-likeness.max(axis=0), kind="stable")
        made: dict[int, Decision] = {}
        for i in map(int, order):
            ranked = self._prototypes.ranked(likeness[:, i], self._limits.doubtful)
            made[i] = self._place(seen[i], [r for r in ranked if self._may(seen[i].face, r[0])])
        done = []
        for i, one in enumerate(seen):
            decision = made[i]
            if decision.answer is Answer.SURE and one.quality is Quality.GOOD:
                decision = self._with_united(decision)
            done.append(decision)
        return done

    def judge(self, one: Seen) -> Decision:
        """Return what would become of a face, and change nothing."""
        likeness = self._prototypes.likeness([one.vector])[:, 0]
        ranked = self._prototypes.ranked(likeness, self._limits.doubtful)
        answer, likest, cosine = self._answer(one, [r for r in ranked if self._may(one.face, r[0])])
        return Decision(one.face, likest if answer is Answer.SURE else None, answer, likest, cosine)

    def like(self, person: int, least: float | None = None) -> list[tuple[int, float]]:
        """Return nameless persons, single faces too, that may be this one, the likest first.

        These are what naming offers: all that are like one of the person's looks. With
        ``least`` only the centre counts, which is how persons are united.
        """
        if not self._persons[person].basis:
            return []
        likeness = self._prototypes.likeness_of(person, looks=least is None)
        ranked = self._prototypes.ranked(
            likeness, self._limits.doubtful if least is None else least
        )
        return [
            r for r in ranked if self._may_unite(person, r[0]) and not self._persons[r[0]].named
        ]

    def _known_already(self, one: Seen) -> Decision | None:
        if one.face not in self._known:
            return None
        there = self.person_of(one.face)
        return Decision(one.face, there, Answer.SURE, there, 1.0)

    def _may(self, face: int, person: int) -> bool:
        one = self._persons[person]
        return person not in self._not.get(face, ()) and not one.is_in(face // FACES_EACH)

    def _may_unite(self, person: int, other: int) -> bool:
        a, b = self._persons[person], self._persons[other]
        if person == other or other in a.apart or (a.named and b.named) or a.shares_photo(b):
            return False
        return not any(
            {person, other} & no and (face in a.faces or face in b.faces)
            for face, no in self._not.items()
        )

    def _answer(
        self, one: Seen, ranked: list[tuple[int, float]]
    ) -> tuple[Answer, int | None, float]:
        if one.quality is Quality.FAIR:
            ranked = [r for r in ranked if self._persons[r[0]].good]
        if one.quality is Quality.POOR or not ranked:
            return Answer.NO, None, 0.0
        (likest, cosine), *others = ranked
        clear = one.quality is Quality.GOOD and self._persons[likest].good
        least = self._limits.same if clear else self._limits.fair
        answer = Answer.SURE if cosine >= least else Answer.DOUBTFUL
        if self._persons[likest].named and answer is Answer.SURE:
            rivals = [c for n, c in others if self._persons[n].named]
            if rivals and cosine - rivals[0] < self._limits.margin:
                answer = Answer.DOUBTFUL
        return answer, likest, cosine

    def _place(self, one: Seen, ranked: list[tuple[int, float]]) -> Decision:
        answer, likest, cosine = self._answer(one, ranked)
        if answer is Answer.SURE and likest is not None:
            self._join(likest, one)
            return Decision(one.face, likest, answer, likest, cosine)
        person = None if one.quality is Quality.POOR else self._found(one)
        return Decision(one.face, person, answer, likest, cosine)

    def _found(self, one: Seen) -> int:
        person, self._next = self._next, self._next + 1
        self._persons[person] = Person()
        self._join(person, one)
        return person

    def _join(self, person: int, one: Seen) -> None:
        held = self._persons[person]
        held.faces.add(one.face)
        self._known.add(one.face)
        if one.quality is Quality.GOOD:
            if not held.good:  # what there was of fair faces has had its time
                self._prototypes.forget(person)
            held.good.add(one.face)
        elif one.quality is Quality.FAIR:
            held.fair.add(one.face)
        if one.face in held.basis:
            self._prototypes.absorb(person, one.vector)

    def _with_united(self, decision: Decision) -> Decision:
        """Unite whom a face joined with nameless persons that now prove to be the same."""
        assert decision.person is not None
        person, pairs = decision.person, []
        if person not in self._persons:
            return decision
        while near := self.like(person, self._limits.unite):
            stays, goes = person, near[0][0]
            if not self._persons[person].named and goes < person:
                stays, goes = goes, person
            self._unite(stays, goes)
            pairs.append((stays, goes))
            person = stays
        return Decision(
            decision.face, person, decision.answer, decision.likest, decision.cosine, tuple(pairs)
        )

    # What the user says.

    def name(self, person: int) -> list[tuple[int, int]]:
        """Hear that a person has a name, and return what surely belongs to them: united pairs.

        Persons with names are never united but by ``unite``. What may belong to them is
        ``like(person)``.
        """
        self._persons[person].named = True
        pairs = []
        while near := self.like(person, self._limits.unite):
            self._unite(person, near[0][0])
            pairs.append((person, near[0][0]))
        return pairs

    def say(self, one: Seen, person: int | None) -> int:
        """Hear that a face is of a person, or of a new one; return the person's number."""
        before = self.person_of(one.face)
        if before is not None and before != person:
            self._take(before, [one.face])
        if person is None:
            person, self._next = self._next, self._next + 1
        self._not.get(one.face, set()).discard(person)
        held = self._persons.setdefault(person, Person())
        self._next = max(self._next, person + 1)
        if one.face not in held.faces:
            self._join(person, one)
        return person

    def deny(self, one: Seen, person: int) -> Decision:
        """Hear that a face is not of a person; return who it is instead, if anybody."""
        self._not.setdefault(one.face, set()).add(person)
        if person in self._persons and one.face in self._persons[person].faces:
            self._take(person, [one.face])
        return self.add([one])[0]

    def unite(self, person: int, other: int) -> list[int]:
        """Hear that two persons are one; the first number stays, and the name of either.

        Returns the faces that were said not to be one of them: they left, and can be added
        again.
        """
        if person == other or other not in self._persons:
            return []
        self._unite(person, other)
        held = self._persons[person]
        gone = [face for face, no in self._not.items() if person in no and face in held.faces]
        self._take(person, gone)
        return gone

    def unname(self, person: int) -> None:
        """Hear that a person has no name any more; without faces they are gone."""
        self._persons[person].named = False
        self._take(person, [])

    def remove(self, photo: int) -> None:
        """Hear that a photo is gone; what was said of its faces stays said."""
        first = photo * FACES_EACH
        for number in [n for n, one in self._persons.items() if one.is_in(photo)]:
            here = self._persons[number].faces & BitMap64(range(first, first + FACES_EACH))
            self._take(number, here)

    def split(self, person: int, faces: Iterable[int]) -> int:
        """Hear that these faces of a person are another one's; return that one's number."""
        held = self._persons[person]
        chosen = BitMap64(faces) & held.faces
        good, fair = chosen & held.good, chosen & held.fair
        self._take(person, list(chosen))
        other, self._next = self._next, self._next + 1
        self._persons[other] = made = Person(chosen, good, fair)
        self._known |= chosen
        for face in chosen:
            self._not.setdefault(face, set()).add(person)
        self._rebuild(other)
        if person in self._persons:
            self._persons[person].apart.add(other)
            made.apart.add(person)
        return other

    def _unite(self, person: int, other: int) -> None:
        a, b = self._persons[person], self._persons.pop(other)
        takes, gives = bool(b.good or not a.good), bool(a.good or not b.good)
        a.faces |= b.faces
        a.good |= b.good
        a.fair |= b.fair
        a.named |= b.named
        for third in b.apart - {person}:
            self._persons[third].apart.discard(other)
            self._persons[third].apart.add(person)
            a.apart.add(third)
        a.apart.discard(other)
        for no in self._not.values():
            if other in no:
                no.discard(other)
                no.add(person)
        self._prototypes.unite(person, other, takes, gives)

    def _take(self, person: int, faces: Iterable[int]) -> None:
        """Take faces from a person, who is gone with the last of them unless named."""
        held, taken = self._persons[person], BitMap64(faces)
        held.faces -= taken
        self._known -= taken
        made_of = held.basis & taken
        held.good -= taken
        held.fair -= taken
        if made_of:
            self._rebuild(person)
        if not held.faces and not held.named:
            del self._persons[person]
            self._prototypes.forget(person)
            for third in held.apart:
                self._persons[third].apart.discard(person)

    def _rebuild(self, person: int) -> None:
        self._prototypes.forget(person)
        for face in self._persons[person].basis:
            self._prototypes.absorb(person, self._vector_of(face))

    # How it is kept.

    def dump(self) -> bytes:
        """Return everything, for ``load``: equal states give equal bytes."""
        persons = [
            [
                number,
                one.faces.serialize(),
                one.good.serialize(),
                one.fair.serialize(),
                one.named,
                sorted(one.apart),
                [[r.direction, r.length, r.is_look] for r in self._prototypes.rows(number)],
            ]
            for number, one in sorted(self._persons.items())
        ]
        no = sorted((face, sorted(persons)) for face, persons in self._not.items() if persons)
        return cbor2.dumps([_FORM, self._next, no, persons])

    @classmethod
    def load(cls, data: bytes, limits: Limits, vector_of: Callable[[int], Vector]) -> Clustering:
        """Return what was dumped; raises Integrity for what was not."""
        made = cls(limits, vector_of)
        try:
            form, following, no, persons = cbor2.loads(data)
            if form != _FORM:
                raise ValueError(f"form {form}")
            made._next = int(following)
            made._not = {int(face): set(map(int, numbers)) for face, numbers in no}
            for number, faces, good, fair, named, apart, rows in persons:
                all_faces, seen_well, seen_fairly = map(BitMap64.deserialize, (faces, good, fair))
                others = set(map(int, apart))
                held = Person(all_faces, seen_well, seen_fairly, bool(named), others)
                made._persons[int(number)] = held
                made._known |= held.faces
                made._prototypes.restore(int(number), [Row(*row) for row in rows])
        except Exception as error:  # whatever broken bytes make the two libraries raise
            raise Integrity(
                "The persons of this gallery cannot be read; they are made anew."
            ) from error
        return made
