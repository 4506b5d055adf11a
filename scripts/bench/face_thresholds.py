"""What the thresholds of the faces pack rest on: the same figures with others.

    python scripts/bench/face_thresholds.py

Prints one JSON line each for: faces cut out tightly and turned grey, with and without the second
look; the quality of clean, blurred and tiny faces; clustering and naming with other cosines, the
worst of five orders; how many faces are found and are good in smaller copies of photos of people;
what finding and embedding cost, and how long a face takes where there are 10,000 persons.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from faces import SEEDS, FaceSet, clustering, finder, look, naming, opened
from PIL import Image

from tagfs.recognise import face_pack, packs
from tagfs.recognise.alignment import aligned, sharpness
from tagfs.recognise.clustering import Clustering, Seen
from tagfs.recognise.decode import prepare
from tagfs.recognise.detector import look as detector_look
from tagfs.recognise.face import FEATURES, Quality, Vector
from tagfs.recognise.faces import FaceFinder
from tagfs.recognise.interpreter import Network
from tagfs.recognise.person import face_number

MARGINS = (0.9, 1.0, 1.2)
"""Sides of a crop, in those of the face."""
SIDES = (480, 378, 320, 240)
PERSONS = 10_000
PEOPLE = 60
"""Photos of people that are looked at in several sizes, those with a side below 400 left out."""


def crops(base: Path, find: FaceFinder, found: FaceSet) -> Iterator[dict[str, object]]:
    """Yield how many tight grey crops of every third photo have a face."""
    pack, detector = face_pack.load(), find._detector
    for margin in MARGINS:
        first = both = number = 0
        for photo in found.photos[::3]:
            image = opened(base / "faces-dev/photos" / photo.name).convert("L").convert("RGB")
            left, top, right, bottom = max(photo.faces, key=lambda f: f.size).box
            x, y = (left + right) / 2 * image.width, (top + bottom) / 2 * image.height
            w, h = ((right - left) * image.width, (bottom - top) * image.height)
            w, h = w * margin / 2, h * margin / 2
            edges = (
                max(0, x - w),
                max(0, y - h),
                min(image.width, x + w),
                min(image.height, y + h),
            )
            crop = image.crop(tuple(map(round, edges)))  # type: ignore[arg-type]
            fitting = detector.side / max(crop.size)
            first += bool(detector_look(detector, crop, fitting, pack.certainty.sure))
            both += bool(find.detect(crop))
            number += 1
        yield {"of": "tight grey crops", "margin": margin, "crops": number} | {
            "first look": round(first / number, 3),
            "with the second": round(both / number, 3),
        }


def qualities(found: FaceSet) -> Iterator[dict[str, object]]:
    """Yield percentiles of sharpness of the largest face of each photo."""
    for of, photos in (("clean", found.photos), ("blurred", found.blurred), ("tiny", found.tiny)):
        largest = [max(photo.faces, key=lambda f: f.size) for photo in photos if photo.faces]
        values = np.percentile([face.sharpness for face in largest], [0, 2, 50, 98, 100])
        yield {"of": f"sharpness of {of} faces", "faces": len(largest)} | {
            "percentiles 0 2 50 98 100": [round(float(v), 4) for v in values],
            "lowest score": round(min(face.score for face in largest), 3),
        }


def cosines(found: FaceSet) -> Iterator[dict[str, object]]:
    """Yield the worst order with other cosines, one changed at a time."""
    pack = face_pack.load()
    others = [("same", n / 100) for n in range(42, 63)]
    others += [("unite", n / 100) for n in range(47, 64, 2)]
    more = [*found.blurred, *found.tiny]
    for name, value in others:
        changed = replace(pack, limits=replace(pack.limits, **{name: value}))
        runs = [clustering(found.photos, seed, pack=changed) for seed in SEEDS]
        named = [
            one
            for seed in SEEDS
            for first in (False, True)
            for one in [naming(found.photos, seed, first, more, changed)]
        ]
        yield {"of": f"cosine {name}", "value": value} | {
            "precision": round(min(run.precision for run in runs), 4),
            "f1": round(min(run.f1 for run in runs), 4),
            "named right": round(min(rest.right / rest.rest for rest, _ in named), 4),
            "named wrongly": max(
                rest.wrong + rest.strangers_named + copies.wrong + copies.strangers_named
                for rest, copies in named
            ),
        }


def sides(base: Path, find: FaceFinder) -> Iterator[dict[str, object]]:
    """Yield how many faces photos of people have at several sizes."""
    labels = json.loads((base / "tagging-dev/labels.json").read_text())
    names = [n for n, told in labels.items() if "person" in told["concepts"]]
    photos = [opened(base / "tagging-dev/photos" / n) for n in names if n.startswith("coco_")][
        :PEOPLE
    ]
    photos = [photo for photo in photos if min(photo.size) >= 400]
    gate = face_pack.load().gate
    for side in SIDES:
        faces = []
        for photo in photos:
            scale = min(1.0, side / min(photo.size))
            size = (round(photo.width * scale), round(photo.height * scale))
            faces += find.find(photo.resize(size, Image.Resampling.BICUBIC))
        good = sum(gate.quality(face) is Quality.GOOD for face in faces)
        yield {"of": "shorter side", "pixels": side, "photos": len(photos)} | {
            "faces": len(faces),
            "good": good,
        }


def speed() -> Iterator[dict[str, object]]:
    """Yield how long a face takes where there are many persons, all made up."""
    random = np.random.default_rng(1)

    def unit(vector: Vector) -> Vector:
        return np.asarray(vector / np.linalg.norm(vector), np.float32)

    middles = [unit(random.normal(size=FEATURES)) for _ in range(PERSONS)]
    vectors: dict[int, Vector] = {}
    people = Clustering(face_pack.load().limits, vectors.__getitem__)
    photo = 0

    def add(middle: Vector) -> None:
        nonlocal photo
        photo, face = photo + 1, face_number(photo, 0)
        vectors[face] = unit(middle + 0.7 * unit(random.normal(size=FEATURES)))
        people.add([Seen(face, vectors[face], Quality.GOOD)])

    for middle in middles:
        add(middle)
    began = time.process_time()
    for middle in middles[:500]:
        add(middle)
    spent = (time.process_time() - began) / 500
    yield {"of": "a face among many persons", "persons": len(people.numbers())} | {
        "milliseconds": round(1000 * spent, 1),
        "state_bytes": len(people.dump()),
    }


def cost(base: Path, find: FaceFinder) -> Iterator[dict[str, object]]:
    """Yield what finding and embedding take, beside the network of the default pack."""
    classifier = Network(packs.read_model(packs.load()))
    square = np.zeros((classifier.side, classifier.side, 3), np.float32)
    image = opened(base / "faces-dev/photos/f0108.jpg")
    (one, *_) = find.detect(image)

    def milliseconds(run: Callable[[], object]) -> float:
        spent = []
        for _ in range(20):
            began = time.process_time()
            run()
            spent.append(time.process_time() - began)
        return round(1000 * float(np.median(spent)), 1)

    def embedded() -> None:
        upright = aligned(image, np.array(one.points))
        sharpness(upright)
        find.embed(upright)

    yield {"of": "cost", "unit": "milliseconds of one processor"} | {
        "classifier": milliseconds(lambda: classifier.run(square)),
        "finding": milliseconds(lambda: find.detect(image)),
        "a face": milliseconds(embedded),
        "megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    base = Path(os.environ.get("TAGFS_TEST_DATA") or root.parent / "shared") / "data"
    find = finder()
    prepare()
    for told in cost(base, find):  # first: before anything else takes memory
        print(json.dumps({"bench": "faces"} | told), flush=True)
    found = look(base, find)
    for told in (*crops(base, find, found), *qualities(found)):
        print(json.dumps({"bench": "faces"} | told), flush=True)
    for lines in (sides(base, find), speed(), cosines(found)):
        for told in lines:
            print(json.dumps({"bench": "faces"} | told), flush=True)


if __name__ == "__main__":
    main()
