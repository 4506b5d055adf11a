"""How right tagfs is about faces: the sets ``faces-dev`` and ``tagging-dev``, photo by photo.

Called by ``accuracy.py --only faces``; prints one JSON line a figure with its bar. Photos go
through `decode` and `FaceFinder` as in a worker. Who is who:

- A photo with one ``identity`` shows them as the largest face. In a photo with several, each is
  the face most like their other photos.
- Every other face is a bystander, whom nobody labelled: a person of their own in all counts, so
  that two bystanders who are one person count as an error of ours.
- A face that was set aside is a cluster of its own in the pairwise figures.

The order of photos is random, of five seeds. ``naming, fresh`` names five photos of a person
first and then adds everything else; ``naming, found`` clusters everything, and then names five.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from tagfs.recognise import face_pack
from tagfs.recognise.clustering import Clustering, Seen
from tagfs.recognise.decode import decode, prepare
from tagfs.recognise.face import Face, Quality, Vector, vector
from tagfs.recognise.face_pack import FacePack
from tagfs.recognise.faces import FaceFinder
from tagfs.recognise.interpreter import Network
from tagfs.recognise.person import face_number

SEEDS = range(5)
NAMED_BY = 5
"""Photos that a user names a person by."""
FALSE_RATE = 1e-3
BLUR = 3.0
TINY = 16.0


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo with its faces and who they are; None is a bystander."""

    name: str
    number: int
    faces: tuple[Face, ...]
    who: tuple[str | None, ...]
    stranger: bool = False  # somebody of whom there is one photo

    def seen(self, quality: Callable[[Face], Quality]) -> list[Seen]:
        """Return the faces as the clustering takes them."""
        return [
            Seen(face_number(self.number, i), vector(face), quality(face))
            for i, face in enumerate(self.faces)
        ]


@dataclass(frozen=True, slots=True)
class FaceSet:
    """All that the figures are made from."""

    photos: tuple[Photo, ...]
    blurred: tuple[Photo, ...]
    tiny: tuple[Photo, ...]
    false: tuple[tuple[str, float], ...]  # faces in photos without people
    empty: int  # number of photos without people
    seconds: float  # of one processor, a photo of faces-dev, decoding left out


def finder() -> FaceFinder:
    """Return the installed networks; raises PackMissing."""
    pack = face_pack.load()
    detector, embedder = face_pack.read_models(pack)
    return FaceFinder(Network(detector), Network(embedder), pack.certainty)


def opened(path: Path) -> Image.Image:
    """Return a photo as a worker decodes it."""
    return decode(path.read_bytes(), "image/jpeg").image


def look(base: Path, find: FaceFinder, every: int = 1) -> FaceSet:
    """Find the faces of every photo, or of each ``every``-th person and photo."""
    prepare()
    labels = json.loads((base / "faces-dev/labels.json").read_text())
    people = sorted({str(told.get("identity", name)) for name, told in labels.items()})
    chosen = set(people[::every])
    photos, blurred, tiny = [], [], []
    spent = 0.0
    for number, (name, told) in enumerate(sorted(labels.items())):
        if told.get("identity", name) not in chosen:
            continue
        image = opened(base / "faces-dev/photos" / name)
        began = time.process_time()
        faces = find.find(image)
        spent += time.process_time() - began
        photos.append(_labelled(name, number, faces, told))
        size = max((face.size for face in faces), default=TINY)
        small = [max(1, round(n * TINY / size)) for n in image.size]
        copies = (
            (blurred, image.filter(ImageFilter.GaussianBlur(BLUR)), 1000),
            (tiny, image.resize((small[0], small[1]), Image.Resampling.BICUBIC), 2000),
        )
        for kept, copy, offset in copies:
            kept.append(_labelled(name, number + offset, find.find(copy), told))
    tags = json.loads((base / "tagging-dev/labels.json").read_text())
    empty = sorted(
        name
        for name, told in tags.items()
        if "person" in told.get("complete_over", ()) and "person" not in told["concepts"]
    )[::every]
    false = [
        (name, one.score)
        for name in empty
        for one in find.detect(opened(base / "tagging-dev/photos" / name))
    ]
    return FaceSet(
        tuple(_with_groups(photos, labels)),
        tuple(blurred),
        tuple(tiny),
        tuple(false),
        len(empty),
        spent / max(1, len(photos)),
    )


def _labelled(name: str, number: int, faces: Sequence[Face], told: dict[str, object]) -> Photo:
    who: list[str | None] = [None] * len(faces)
    if faces and "identity" in told:
        who[max(range(len(faces)), key=lambda i: faces[i].size)] = str(told["identity"])
    return Photo(name, number, tuple(faces), tuple(who), bool(told.get("singleton")))


def _with_groups(photos: list[Photo], labels: dict[str, dict[str, object]]) -> Iterator[Photo]:
    """Yield the photos; in those of several people each is the face most like their others."""
    known: dict[str, list[Vector]] = {}
    for photo in photos:
        for face, who in zip(photo.faces, photo.who, strict=True):
            if who is not None:
                known.setdefault(who, []).append(vector(face))
    for photo in photos:
        wanted = labels[photo.name].get("identities")
        if not isinstance(wanted, list):
            yield photo
            continue
        pairs = sorted(
            (
                (-float(np.mean([vector(face) @ other for other in known[person]])), i, person)
                for i, face in enumerate(photo.faces)
                for person in wanted
                if person in known
            ),
        )
        who: list[str | None] = [None] * len(photo.faces)
        for _, i, person in pairs:
            if who[i] is None and person not in who:
                who[i] = person
        yield Photo(photo.name, photo.number, photo.faces, tuple(who))


def verification(photos: Sequence[Photo]) -> dict[str, float]:
    """Return how well one cosine tells pairs of labelled faces apart."""
    faces = [
        (who, vector(face))
        for photo in photos
        for face, who in zip(photo.faces, photo.who, strict=True)
        if who is not None
    ]
    same, different = [], []
    for (a, va), (b, vb) in combinations(faces, 2):
        (same if a == b else different).append(float(va @ vb))
    different.sort(reverse=True)
    limit = different[int(FALSE_RATE * len(different))]
    found = float(np.mean([one > limit for one in same]))
    return {"same": found, "cosine": limit, "pairs": len(same) + len(different)}


def _vectors(*sets: Sequence[Photo]) -> Callable[[int], Vector]:
    faces = {
        face_number(photo.number, i): vector(face)
        for photos in sets
        for photo in photos
        for i, face in enumerate(photo.faces)
    }
    return faces.__getitem__


def _truth(photos: Sequence[Photo]) -> dict[int, str]:
    """Return who each face is; bystanders are persons of their own."""
    return {
        face_number(photo.number, i): who or f"bystander {photo.name} {i}"
        for photo in photos
        for i, who in enumerate(photo.who)
    }


@dataclass(frozen=True, slots=True)
class Clustered:
    """How one order of the photos ended."""

    precision: float
    recall: float
    f1: float
    strangers_joined: int
    persons: int
    aside: int
    milliseconds: float  # a photo


def clustering(
    photos: Sequence[Photo], seed: int, every_face: bool = True, pack: FacePack | None = None
) -> Clustered:
    """Add the photos in a random order and count pairs of faces in one cluster."""
    pack = pack or face_pack.load()
    order = list(photos)
    random.Random(seed).shuffle(order)
    people = Clustering(pack.limits, _vectors(photos))
    began = time.perf_counter()
    for photo in order:
        seen = photo.seen(pack.gate.quality)
        people.add([s for s, who in zip(seen, photo.who, strict=True) if every_face or who])
    spent = time.perf_counter() - began
    truth = _truth(photos)
    if not every_face:
        truth = {face: who for face, who in truth.items() if not who.startswith("bystander")}
    found = {face: n for n in people.numbers() for face in people.faces(n)}
    together = Counter((found.get(face, -face), who) for face, who in truth.items())
    right = sum(n * (n - 1) // 2 for n in together.values())
    ours = _pairs(Counter(found.get(face, -face) for face in truth).values())
    theirs = _pairs(Counter(truth.values()).values())
    precision = right / ours if ours else 1.0
    recall = right / theirs if theirs else 1.0
    strangers = {
        face_number(photo.number, i)
        for photo in photos
        if photo.stranger
        for i, who in enumerate(photo.who)
        if who
    }
    joined = sum(len(people.faces(found[face])) > 1 for face in strangers if face in found)
    return Clustered(
        precision,
        recall,
        2 * precision * recall / max(precision + recall, 1e-9),
        joined,
        len(people.persons()),
        len(truth) - len(found.keys() & truth.keys()),
        1000 * spent / len(order),
    )


def _pairs(sizes: object) -> int:
    return sum(n * (n - 1) // 2 for n in sizes)  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Named:
    """What became of faces once people had names."""

    rest: int  # faces of named people that the user did not name
    right: int
    doubtful: int
    wrong: int
    strangers: int  # other people
    strangers_named: int


def naming(
    photos: Sequence[Photo],
    seed: int,
    found_first: bool,
    more: Sequence[Photo] = (),
    pack: FacePack | None = None,
) -> tuple[Named, Named]:
    """Name everybody with six photos or more by five; return the rest, and what of ``more``."""
    pack = pack or face_pack.load()
    chance = random.Random(seed)
    order = list(photos)
    chance.shuffle(order)
    quality = pack.gate.quality
    people = Clustering(pack.limits, _vectors(photos, more))
    of: dict[str, list[Seen]] = {}
    for photo in order:
        for seen, who in zip(photo.seen(quality), photo.who, strict=True):
            if who is not None:
                of.setdefault(who, []).append(seen)
    given = {who: seen[:NAMED_BY] for who, seen in of.items() if len(seen) > NAMED_BY}
    said = {one.face for chosen in given.values() for one in chosen}
    if found_first:
        for photo in order:
            people.add(photo.seen(quality))
    person = {who: _named(people, chosen) for who, chosen in sorted(given.items())}
    if not found_first:
        for photo in order:
            people.add([one for one in photo.seen(quality) if one.face not in said])
    holds = {face: who for who, n in person.items() for face in people.faces(n)}
    asked = {
        face for n in person.values() for other, _ in people.like(n) for face in people.faces(other)
    }
    truth = {face: who for face, who in _truth(photos).items() if face not in said}
    rest = _counted(truth, given.keys(), holds, asked)
    for photo in more:
        people.add(photo.seen(quality))
    holds = {face: who for who, n in person.items() for face in people.faces(n)}
    return rest, _counted(_truth(more), given.keys(), holds, set())


def _named(people: Clustering, chosen: Sequence[Seen]) -> int:
    person: int | None = None
    for one in chosen:
        person = people.say(one, person)
    assert person is not None
    people.name(person)
    return person


def _counted(truth: dict[int, str], names: object, holds: dict[int, str], asked: set[int]) -> Named:
    known = {face: who for face, who in truth.items() if who in names}  # type: ignore[operator]
    others = truth.keys() - known.keys()
    right = sum(holds.get(face) == who for face, who in known.items())
    wrong = sum(holds.get(face, who) != who for face, who in known.items())
    doubtful = sum(face in asked and face not in holds for face in known)
    return Named(len(known), right, doubtful, wrong, len(others), len(others & holds.keys()))


def figures(found: FaceSet) -> Iterator[dict[str, object]]:
    """Yield one line a figure."""

    def line(of: str, value: float, bar: float, at_most: bool, **more: object) -> dict[str, object]:
        met = value <= bar if at_most else value >= bar
        told: dict[str, object] = {"bench": "accuracy", "set": "faces", "of": of}
        told |= {"value": round(value, 5), "bar": bar, "met": met}
        return told | {k: round(v, 4) if isinstance(v, float) else v for k, v in more.items()}

    photos = found.photos
    share = sum(bool(photo.faces) for photo in photos) / len(photos)
    every = sum(len(photo.faces) for photo in photos)
    yield line("photos with a face found", share, 0.99, False, photos=len(photos), faces=every)
    names = [f"{name} {score:.2f}" for name, score in found.false]
    yield line("false faces", len(found.false), 3, True, photos=found.empty, which=names)
    told = verification(photos)
    yield line("same at false rate 1e-3", told.pop("same"), 0.998, False, **told)
    for of, every_face in (("every face", True), ("labelled faces", False)):
        runs = [clustering(photos, seed, every_face) for seed in SEEDS]
        for name, median, worst in (("precision", 0.998, 0.99), ("f1", 0.99, 0.98)):
            values = [float(getattr(run, name)) for run in runs]
            yield line(f"clustering, {of}, {name}, median", float(np.median(values)), median, False)
            yield line(f"clustering, {of}, {name}, worst", min(values), worst, False)
        joined = max(run.strangers_joined for run in runs)
        yield line(
            f"clustering, {of}, strangers who joined somebody, worst",
            joined,
            0,
            True,
            persons=[run.persons for run in runs],
            set_aside=[run.aside for run in runs],
            milliseconds_a_photo=float(np.median([run.milliseconds for run in runs])),
        )
    for way, found_first in (("fresh", False), ("found", True)):
        runs_of = [
            naming(photos, seed, found_first, [*found.blurred, *found.tiny]) for seed in SEEDS
        ]
        rest = [one for one, _ in runs_of]
        right = min(one.right / max(1, one.rest) for one in rest)
        yield line(
            f"naming, {way}, right, worst",
            right,
            0.99,
            False,
            median=float(np.median([one.right / max(1, one.rest) for one in rest])),
            faces=[one.rest for one in rest],
            doubtful=[one.doubtful for one in rest],
        )
        yield line(f"naming, {way}, wrong, worst", max(one.wrong for one in rest), 0, True)
        yield line(
            f"naming, {way}, strangers named, worst",
            max(one.strangers_named for one in rest),
            0,
            True,
            strangers=rest[0].strangers,
        )
        copies = [one for _, one in runs_of]
        yield line(
            f"naming, {way}, blurred and tiny copies named wrongly, worst",
            max(one.wrong + one.strangers_named for one in copies),
            0,
            True,
            faces=copies[0].rest + copies[0].strangers,
            right=[one.right for one in copies],
        )
    yield {"bench": "accuracy", "set": "faces", "of": "milliseconds of one processor a photo"} | {
        "value": round(1000 * found.seconds, 1),
        "faces_a_photo": round(every / len(photos), 2),
    }


def measure_faces(base: Path) -> None:
    """Print the figures of the sets below ``base``; raises PackMissing."""
    for told in figures(look(base, finder())):
        print(json.dumps(told), flush=True)
