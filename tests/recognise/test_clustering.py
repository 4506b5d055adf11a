"""Faces become persons, and what the user says of them holds whatever comes after."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tagfs.errors import Integrity
from tagfs.recognise.clustering import (
    Answer,
    Clustering,
    Seen,
)
from tagfs.recognise.face import FEATURES, Face, Gate, Limits, Quality, Vector
from tagfs.recognise.person import FACES_EACH, face_number
from tagfs.recognise.prototypes import MAX_LOOKS, Prototypes

LIMITS = Limits(
    same=0.46, fair=0.5, unite=0.55, doubtful=0.36, margin=0.05, tight=0.65, handicap=0.06
)
BETWEEN = 0.35
"""The cosine of two looks of one made-up person: far apart, as ten years are."""


class Album:
    """Made-up people: two faces of one person have a cosine of about 0.7, of two about 0."""

    def __init__(self, seed: int = 1) -> None:
        self.random = np.random.default_rng(seed)
        self.vectors: dict[int, Vector] = {}
        self.quality: dict[int, Quality] = {}
        self._people: dict[object, Vector] = {}

    def _unit(self, vector: Vector) -> Vector:
        return np.asarray(vector / np.linalg.norm(vector), np.float32)

    def face(
        self,
        photo: int,
        index: int,
        who: object,
        quality: Quality = Quality.GOOD,
        spread: float = 0.65,
    ) -> Seen:
        """Return a face of somebody; ``spread`` is how unlike their other faces it is."""
        if who not in self._people:
            self._people[who] = self._unit(self.random.normal(size=FEATURES))
        noise = self._unit(self.random.normal(size=FEATURES))
        return self.as_is(photo, index, self._people[who] + spread * noise, quality)

    def as_is(
        self, photo: int, index: int, vector: Vector, quality: Quality = Quality.GOOD
    ) -> Seen:
        number = face_number(photo, index)
        self.vectors[number] = self._unit(vector)
        self.quality[number] = quality
        return Seen(number, self.vectors[number], quality)

    def seen(self, face: int) -> Seen:
        return Seen(face, self.vectors[face], self.quality[face])

    def people(self, limits: Limits = LIMITS) -> Clustering:
        return Clustering(limits, self.vectors.__getitem__)


def groups(people: Clustering) -> set[frozenset[int]]:
    """Return who is together."""
    return {frozenset(people.faces(n)) for n in people.numbers()}


def test_faces_of_one_person_come_together_and_others_stay_apart() -> None:
    album = Album()
    people = album.people()
    for photo in range(60):
        people.add([album.face(photo, 0, photo % 6)])
    assert len(people.persons()) == 6
    for n in people.persons():
        assert len({face // FACES_EACH % 6 for face in people.faces(n)}) == 1


def test_one_face_makes_no_person_and_two_do() -> None:
    album = Album()
    people = album.people()
    people.add([album.face(1, 0, "Anna")])
    assert people.persons() == []
    people.add([album.face(2, 0, "Anna")])
    assert len(people.persons()) == 1


def test_poor_faces_are_nobody_and_fair_ones_wait_one_by_one() -> None:
    album = Album()
    people = album.people()
    for photo in range(5):
        (told,) = people.add([album.face(photo, 0, "blur", Quality.POOR)])
        assert told.person is None
    assert people.numbers() == []
    for photo in range(5):
        people.add([album.face(photo, 0, "blur", Quality.FAIR, spread=0.1)])
    assert people.persons() == []
    assert len(people.numbers()) == 5


def test_a_fair_face_that_came_too_early_joins_when_there_are_good_ones() -> None:
    album = Album()
    people = album.people()
    early = [album.face(photo, 0, "Anna", Quality.FAIR, spread=0.5) for photo in range(3)]
    for one in early:
        people.add([one])
    for photo in range(10, 15):
        people.add([album.face(photo, 0, "Anna", spread=0.5)])
    (person,) = people.persons()
    assert {one.face for one in early} <= set(people.faces(person))
    assert people.numbers() == [person]


def test_a_fair_face_joins_a_person_and_changes_nothing_about_them() -> None:
    album = Album()
    people = album.people()
    for photo in range(3):
        people.add([album.face(photo, 0, "Anna")])
    (person,) = people.persons()
    before = people.like(person, -2), people.faces(person)
    (told,) = people.add([album.face(9, 0, "Anna", Quality.FAIR)])
    assert (told.answer, told.person) == (Answer.SURE, person)
    assert people.faces(person) == [*before[1], told.face]
    rows = people._prototypes.rows(person)
    (told,) = people.add([album.face(10, 0, "Anna", Quality.POOR)])
    assert (told.answer, told.person) == (Answer.NO, None)
    assert people._prototypes.rows(person) == rows


def test_two_faces_of_one_photo_are_two_persons() -> None:
    album = Album()
    people = album.people()
    twins = [album.face(1, 0, "twin", spread=0.2), album.face(1, 1, "twin", spread=0.2)]
    first, second = people.add(twins)
    assert first.person != second.person
    people.add([album.face(2, 0, "twin", spread=0.2), album.face(2, 1, "twin", spread=0.2)])
    assert sorted(len(people.faces(n)) for n in people.numbers()) == [2, 2]


def test_of_two_faces_of_a_photo_the_liker_one_is_the_person() -> None:
    album = Album()
    people = album.people()
    people.add([album.face(1, 0, "Anna", spread=0.0)])
    far, near = album.face(2, 0, "Anna", spread=1.2), album.face(2, 1, "Anna", spread=0.2)
    told = people.add([far, near])
    assert told[1].person == people.person_of(face_number(1, 0))
    assert told[0].person != told[1].person
    assert [d.face for d in told] == [far.face, near.face]


def test_faces_of_several_photos_at_once_are_refused() -> None:
    album = Album()
    with pytest.raises(ValueError, match="several photos"):
        album.people().add([album.face(1, 0, "a"), album.face(2, 0, "b")])


def test_two_halves_of_a_person_unite_when_a_face_between_them_comes() -> None:
    album = Album()
    people = album.people()
    axes = np.eye(FEATURES, dtype=np.float32)
    left, right = axes[0], 0.4 * axes[0] + 0.9165 * axes[1]
    for photo in range(2):
        people.add([album.as_is(photo, 0, left + 0.1 * axes[photo + 5])])
        people.add([album.as_is(photo + 10, 0, right + 0.1 * axes[photo + 15])])
    one, other = people.persons()
    assert people.like(one)[0][0] == other
    told = [people.add([album.as_is(n + 20, 0, left + right)])[0] for n in range(4)]
    assert people.persons() == [one]
    assert [pair for d in told for pair in d.united] == [(one, other)]
    assert len(people.faces(one)) == 8


def test_a_person_keeps_several_looks() -> None:
    album = Album()
    people = album.people()
    axes = np.eye(FEATURES, dtype=np.float32)
    child, adult = axes[0], BETWEEN * axes[0] + (1 - BETWEEN**2) ** 0.5 * axes[1]
    person: int | None = None
    for photo in range(10):
        young = album.as_is(photo, 0, child + 0.3 * axes[10 + photo])
        old = album.as_is(photo + 50, 0, adult + 0.3 * axes[30 + photo])
        person = people.say(young, person)
        person = people.say(old, person)
    for look in (child, adult):
        told = people.judge(Seen(face_number(99, 0), look, Quality.GOOD))
        assert (told.person, told.answer) == (person, Answer.SURE)
        assert told.cosine > 0.7


def named(album: Album, people: Clustering, who: str, first: int, number: int = 5) -> int:
    person: int | None = None
    for photo in range(first, first + number):
        person = people.say(album.face(photo, 0, who), person)
    assert person is not None
    people.name(person)
    return person


def test_naming_adopts_the_sure_and_offers_the_doubtful() -> None:
    album = Album()
    people = album.people()
    for photo in range(5):
        people.add([album.face(photo, 0, "Anna")])
    (person,) = people.persons()
    centre = people._prototypes.centre(person)
    aside = np.linalg.svd(centre[None])[2][1:]
    doubtful = album.as_is(20, 0, 0.41 * centre + (1 - 0.41**2) ** 0.5 * aside[0])
    stranger = album.as_is(21, 0, 0.2 * centre + (1 - 0.2**2) ** 0.5 * aside[1])
    numbers = [people.add([one])[0].person for one in (doubtful, stranger)]
    people.name(person)
    assert [n for n, _ in people.like(person)] == [numbers[0]]
    (told,) = people.add([album.face(30, 0, "Anna")])
    assert (told.person, told.answer) == (person, Answer.SURE)


def test_what_is_like_one_look_of_a_person_is_offered() -> None:
    album = Album()
    people = album.people()
    axes = np.eye(FEATURES, dtype=np.float32)
    person: int | None = None
    for photo in range(6):
        person = people.say(album.as_is(photo, 0, axes[0] + 0.2 * axes[10 + photo]), person)
    person = people.say(album.as_is(9, 0, axes[1]), person)  # as a child
    (told,) = people.add([album.as_is(20, 0, 0.45 * axes[1] + 0.89 * axes[50])])
    assert told.answer is Answer.DOUBTFUL
    assert people.like(person, LIMITS.doubtful) == []
    assert [n for n, _ in people.like(person)] == [told.person]


def test_a_stranger_gets_no_name() -> None:
    album = Album()
    people = album.people()
    names = [named(album, people, who, 10 * i) for i, who in enumerate(("Anna", "Ben"))]
    for photo in range(100, 200):
        (told,) = people.add([album.face(photo, 0, photo)])
        assert told.person not in names


def test_between_two_named_persons_who_are_alike_the_user_is_asked() -> None:
    album = Album()
    people = album.people()
    anna, berta = (named(album, people, who, 10 * i) for i, who in enumerate(("Anna", "Berta")))
    between = people._prototypes.centre(anna) + people._prototypes.centre(berta)
    told = people.judge(album.as_is(50, 0, between))
    assert told.cosine > LIMITS.same
    assert (told.answer, told.person) == (Answer.DOUBTFUL, None)


def test_named_persons_are_united_by_nobody_but_the_user() -> None:
    album = Album()
    people = album.people()
    first, second = (named(album, people, "Anna", 10 * i) for i in range(2))
    for photo in range(100, 120):
        people.add([album.face(photo, 0, "Anna")])
    assert {first, second} <= set(people.persons())
    people.unite(first, second)
    assert second not in people.numbers()
    assert set(range(5)) <= {face // FACES_EACH for face in people.faces(first)}


def test_a_denied_face_leaves_and_does_not_come_back() -> None:
    album = Album()
    people = album.people()
    for photo in range(4):
        people.add([album.face(photo, 0, "Anna")])
    (person,) = people.persons()
    wrong = album.face(9, 0, "Anna")
    people.add([wrong])
    assert wrong.face in people.faces(person)
    told = people.deny(wrong, person)
    assert told.person != person
    for photo in range(20, 40):
        people.add([album.face(photo, 0, "Anna")])
    assert wrong.face not in people.faces(person)
    assert people.add([wrong])[0].person != person


def test_what_was_denied_of_a_person_holds_of_whom_they_are_united_with() -> None:
    album = Album()
    people = album.people()
    first, second = (named(album, people, "Anna", 10 * i) for i in range(2))
    wrong = album.seen(face_number(10, 0))
    people.deny(wrong, first)
    assert wrong.face in people.faces(second)
    assert people.unite(first, second) == [wrong.face]
    assert wrong.face not in people.faces(first)
    assert people.judge(wrong).person != first


def test_what_was_split_stays_apart() -> None:
    album = Album()
    people = album.people()
    for photo in range(10):
        people.add([album.face(photo, 0, "siblings", spread=0.4)])
    (person,) = people.persons()
    part = people.faces(person)[:4]
    other = people.split(person, part)
    assert people.faces(other) == part
    for photo in range(20, 40):
        people.add([album.face(photo, 0, "siblings", spread=0.4)])
    assert set(part) <= set(people.faces(other))
    assert not set(part) & set(people.faces(person))


def test_the_user_may_say_that_two_faces_of_a_photo_are_one_person() -> None:
    album = Album()
    people = album.people()
    collage = [album.face(1, 0, "Anna"), album.face(1, 1, "Anna")]
    first, second = people.add(collage)
    assert first.person is not None
    assert second.person is not None
    people.unite(first.person, second.person)
    assert people.faces(first.person) == [one.face for one in collage]


def test_a_person_whose_last_face_is_taken_is_gone_unless_named() -> None:
    album = Album()
    people = album.people()
    (told,) = people.add([album.face(1, 0, "Anna")])
    assert told.person is not None
    other = people.say(album.seen(told.face), None)
    assert people.numbers() == [other]
    people.name(other)
    people.deny(album.seen(told.face), other)
    assert other in people.persons()
    assert people.faces(other) == []


def test_a_face_that_comes_again_stays_where_it_is() -> None:
    album = Album()
    people = album.people()
    photos = [[album.face(photo, i, i) for i in range(2)] for photo in range(4)]
    for photo in photos:
        people.add(photo)
    before = people.dump()
    again = [people.add(photo) for photo in photos]
    assert people.dump() == before
    assert {told.person for pair in again for told in pair} == set(people.persons())


def test_a_photo_that_is_removed_leaves_no_face_behind() -> None:
    album = Album()
    people = album.people()
    for photo in range(3):
        people.add([album.face(photo, 0, "Anna"), album.face(photo, 1, photo)])
    without = album.people()
    for photo in range(2):
        without.add([album.seen(face_number(photo, i)) for i in range(2)])
    people.remove(2)
    assert groups(people) == groups(without)
    (person,) = people.persons()
    assert people._prototypes.rows(person) == without._prototypes.rows(person)


def test_a_person_without_name_and_faces_is_gone() -> None:
    album = Album()
    people = album.people()
    person = people.say(album.face(1, 0, "Anna"), None)
    people.name(person)
    people.remove(1)
    assert people.persons() == [person]
    people.unname(person)
    assert people.numbers() == []


def test_a_state_is_read_back_to_the_bit_and_goes_on_the_same() -> None:
    album = Album(3)
    people = album.people()
    for photo in range(40):
        people.add([album.face(photo, i, (photo * 7 + i) % 9) for i in range(3)])
    people.name(people.persons()[0])
    people.deny(album.seen(people.faces(people.persons()[1])[0]), people.persons()[1])
    kept = people.dump()
    again = Clustering.load(kept, LIMITS, album.vectors.__getitem__)
    assert again.dump() == kept
    more = [album.face(100, i, i) for i in range(5)]
    assert people.add(more) == again.add(more)
    assert people.dump() == again.dump()


def test_a_state_takes_little_room() -> None:
    album = Album()
    people = album.people()
    for photo in range(500):
        people.add([album.face(photo, 0, photo % 5)])
    # A face is some bytes; 256 of each prototype are the vector.
    rows = sum(len(people._prototypes.rows(n)) for n in people.numbers())
    assert len(people.dump()) < 300 * rows + 10 * 500 + 2000


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x85\x01\x02\x40\x80\x80", b"\xff" * 40])
def test_broken_states_are_refused(data: bytes) -> None:
    with pytest.raises(Integrity):
        Clustering.load(data, LIMITS, {}.__getitem__)


def test_equal_orders_give_equal_states() -> None:
    states = []
    for _ in range(2):
        album = Album(5)
        people = album.people()
        for photo in range(30):
            people.add([album.face(photo, i, (photo + i) % 4) for i in range(2)])
        states.append(people.dump())
    assert states[0] == states[1]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::3])
def test_what_the_user_said_holds_in_every_order_of_the_rest(order: Sequence[int]) -> None:
    album = Album(7)
    people = album.people()
    said = [album.face(n, 0, who) for n, who in enumerate(("x", "y", "z"))]  # all unlike
    person: int | None = None
    for one in said:
        person = people.say(one, person)
    parts = [[album.face(100 * part + n, 0, "xyz"[n % 3]) for n in range(9)] for part in range(4)]
    for part in order:
        for one in parts[part]:
            people.add([one])
    assert person is not None
    assert {one.face for one in said} <= set(people.faces(person))


def test_prototypes_stay_few_however_many_looks_there_are() -> None:
    random = np.random.default_rng(1)
    prototypes = Prototypes(0.65, 0.06)
    for person in (1, 2):
        for _ in range(50):
            face = random.normal(size=FEATURES).astype(np.float32)
            prototypes.absorb(person, face / np.linalg.norm(face))
    prototypes.unite(1, 2)
    assert len(prototypes.rows(1)) == MAX_LOOKS + 1
    assert prototypes.rows(2) == []


def test_the_gate_looks_at_size_sharpness_and_pose() -> None:
    gate = Gate(fair_size=20, good_size=30, fair_sharpness=0.1, good_sharpness=0.2, good_pose=0.8)
    face = Face((0, 0, 1, 1), 0.9, 50, 0.5, -0.5, b"")
    assert gate.quality(face) is Quality.GOOD
    for worse, quality in (
        ({"size": 25.0}, Quality.FAIR),
        ({"size": 19.0}, Quality.POOR),
        ({"sharpness": 0.15}, Quality.FAIR),
        ({"sharpness": 0.05}, Quality.POOR),
        ({"pose": -0.9}, Quality.FAIR),
    ):
        assert gate.quality(replace(face, **worse)) is quality


class Corrections(RuleBasedStateMachine):
    """Any order of photos and of the user's words, with what they said kept beside."""

    def __init__(self) -> None:
        super().__init__()
        self.album = Album(11)
        self.people = self.album.people()
        self.photo = 0
        self.belongs: dict[int, int] = {}  # faces that were said to be somebody: a number then
        self.never: set[tuple[int, int]] = set()  # face, number then
        self.now: dict[int, int] = {}  # a number that was united: who it is
        self.together: set[int] = set()  # photos that the user put one person twice into

    def who(self, number: int) -> int:
        while number in self.now:
            number = self.now[number]
        return number

    def heard(self, pairs: Sequence[tuple[int, int]]) -> None:
        for stays, goes in pairs:
            self.now[goes] = stays

    @rule(
        people=st.lists(st.integers(0, 5), min_size=1, max_size=3),
        quality=st.sampled_from([Quality.GOOD, Quality.GOOD, Quality.FAIR, Quality.POOR]),
    )
    def photo_comes(self, people: list[int], quality: Quality) -> None:
        self.photo += 1
        seen = [self.album.face(self.photo, i, who, quality) for i, who in enumerate(people)]
        for told in self.people.add(seen):
            self.heard(told.united)

    def pick(self, data: st.DataObject) -> tuple[int, int]:
        """Return a face and a person."""
        face = data.draw(st.sampled_from(sorted(self.album.vectors)))
        return face, data.draw(st.sampled_from(self.people.numbers()))

    @precondition(lambda self: self.people.numbers())
    @rule(data=st.data())
    def user_says(self, data: st.DataObject) -> None:
        face, person = self.pick(data)
        if any(f // FACES_EACH == face // FACES_EACH for f in self.people.faces(person)):
            self.together.add(face // FACES_EACH)
        self.people.say(self.album.seen(face), person)
        self.belongs[face] = person
        self.never = {(f, n) for f, n in self.never if f != face or self.who(n) != person}

    @precondition(lambda self: self.people.numbers())
    @rule(data=st.data())
    def user_denies(self, data: st.DataObject) -> None:
        face, person = self.pick(data)
        self.heard(self.people.deny(self.album.seen(face), person).united)
        if face in self.belongs and self.who(self.belongs[face]) == person:
            del self.belongs[face]
        self.never.add((face, person))

    @precondition(lambda self: len(self.people.numbers()) > 1)
    @rule(data=st.data())
    def user_unites(self, data: st.DataObject) -> None:
        numbers = st.sampled_from(self.people.numbers())
        person, other = data.draw(st.tuples(numbers, numbers).filter(lambda two: two[0] != two[1]))
        photos = [{f // FACES_EACH for f in self.people.faces(n)} for n in (person, other)]
        self.together |= photos[0] & photos[1]
        self.people.unite(person, other)
        self.now[other] = person
        for face, number in self.never:
            if self.who(number) == person:  # the denial is about all of them
                self.belongs.pop(face, None)

    @precondition(lambda self: self.people.numbers())
    @rule(data=st.data())
    def user_splits(self, data: st.DataObject) -> None:
        person = data.draw(st.sampled_from(self.people.numbers()))
        if not self.people.faces(person):
            return
        some = data.draw(st.sets(st.sampled_from(self.people.faces(person)), min_size=1))
        other = self.people.split(person, some)
        for face in some:
            self.belongs[face] = other
            self.never.add((face, person))

    @precondition(lambda self: self.people.numbers())
    @rule(data=st.data())
    def user_names(self, data: st.DataObject) -> None:
        self.heard(self.people.name(data.draw(st.sampled_from(self.people.numbers()))))

    @precondition(lambda self: self.album.vectors)
    @rule(data=st.data())
    def photo_comes_again(self, data: st.DataObject) -> None:
        photo = data.draw(st.sampled_from(sorted({f // FACES_EACH for f in self.album.vectors})))
        faces = [f for f in self.album.vectors if f // FACES_EACH == photo]
        for told in self.people.add([self.album.seen(face) for face in faces]):
            self.heard(told.united)

    @precondition(lambda self: self.album.vectors)
    @rule(data=st.data())
    def photo_goes(self, data: st.DataObject) -> None:
        photo = data.draw(st.sampled_from(sorted({f // FACES_EACH for f in self.album.vectors})))
        self.people.remove(photo)
        self.belongs = {f: n for f, n in self.belongs.items() if f // FACES_EACH != photo}

    @precondition(lambda self: self.people.numbers())
    @rule(data=st.data())
    def user_takes_a_name_away(self, data: st.DataObject) -> None:
        self.people.unname(data.draw(st.sampled_from(self.people.numbers())))

    @rule()
    def program_starts_again(self) -> None:
        kept = self.people.dump()
        self.people = Clustering.load(kept, LIMITS, self.album.vectors.__getitem__)
        assert self.people.dump() == kept

    @invariant()
    def words_hold(self) -> None:
        for face, number in self.belongs.items():
            assert face in self.people.faces(self.who(number)), "a said face left"
        for face, number in self.never:
            assert face not in self.people.faces(self.who(number)), "a denied face is back"

    @invariant()
    def every_face_has_one_person_at_most(self) -> None:
        faces = [face for n in self.people.numbers() for face in self.people.faces(n)]
        assert len(faces) == len(set(faces))

    @invariant()
    def nobody_is_twice_in_a_photo_unless_the_user_says(self) -> None:
        for n in self.people.numbers():
            photos = [face // FACES_EACH for face in self.people.faces(n)]
            twice = {photo for photo in photos if photos.count(photo) > 1}
            assert twice <= self.together

    @invariant()
    def prototypes_are_made_of_good_faces_or_else_of_fair_ones(self) -> None:
        for n in self.people.numbers():
            made_of = self.people._persons[n].basis
            rows = self.people._prototypes.rows(n)
            assert bool(made_of) == bool(rows)
            best = max((self.album.quality[f] for f in self.people.faces(n)), default=None)
            assert {self.album.quality[f] for f in made_of} <= {best}
            if rows:
                total = sum(self.album.vectors[f] for f in made_of)
                direction = np.frombuffer(rows[0].direction, "<f2").astype(np.float32)
                assert direction @ total > 0.99 * np.linalg.norm(total)


TestCorrections = Corrections.TestCase
TestCorrections.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
