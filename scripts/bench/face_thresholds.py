"""What the thresholds of the faces pack rest on: the same figures with others.

    python scripts/bench/face_thresholds.py

Prints one JSON line each for: faces cut out tightly and turned grey, with and without the second
look; the quality of clean, blurred and tiny faces; clustering and naming with other cosines, the
worst of five orders; and how many faces are found and are good in smaller copies of photos of
people.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from faces import SEEDS, FaceSet, clustering, finder, look, naming, opened
from PIL import Image

from tagfs.recognise import face_pack
from tagfs.recognise.detector import look as detector_look
from tagfs.recognise.face import Quality
from tagfs.recognise.faces import FaceFinder

MARGINS = (0.9, 1.0, 1.2)
"""Sides of a crop, in those of the face."""
SIDES = (480, 378, 320, 240)
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
    others = [("same", n / 100) for n in range(42, 57)]
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


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    base = Path(os.environ.get("TAGFS_TEST_DATA") or root.parent / "shared") / "data"
    find = finder()
    found = look(base, find)
    for told in (*crops(base, find, found), *qualities(found)):
        print(json.dumps({"bench": "faces"} | told), flush=True)
    for lines in (cosines(found), sides(base, find)):
        for told in lines:
            print(json.dumps({"bench": "faces"} | told), flush=True)


if __name__ == "__main__":
    main()
