"""How right the tags are, on photos that were not used for fitting.

    python scripts/bench/tagging.py [--packs default,heads] [--seed N] [--concepts]
                                    [--sheet FILE]

How votes combine is fitted by ten-fold cross-validation over the photos of data/tagging-dev,
each photo is judged by the fit of the folds it is not in, with the packs that are named (all of
them by default, and the default pack with the heads alone). One JSON line a result, of one
dealing of the photos into folds:

``precision`` is over the concepts that a photo's labels are complete over, ``stated`` the mean
confidence of the same tags, ``recall`` of labels with an area of at least .05, whether a pack
knows the concept or not; ``objects`` and ``stuff`` are the recall of COCO's 80 and of the others.
Each has the 90 % interval of a bootstrap over the photos. ``at_90`` and ``at_95`` have the
recalls where one cut for all photos makes the precision .90 and .95.

``--concepts`` adds a line for each concept, ``--sheet`` makes a contact sheet of the 20 surest
wrong tags. How fast it is, scripts/bench/recognition.py measures.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "train"))
from calibrate import AREA, SETS, Photo, calibrated, folds, photos
from looking import opened, test_data

from tagfs.model import TagId
from tagfs.recognise import taxonomy
from tagfs.recognise.decode import prepare
from tagfs.recognise.stacking import Stacking

FOLDS = 10
RESAMPLES = 1000
SHEET = 20


@dataclass(frozen=True)
class Judged:
    """What a photo's tags are worth, by a fit that never saw it."""

    photo: Photo
    tags: dict[TagId, float]  # with their confidence
    shares: dict[TagId, float]  # of every concept with a vote, its ancestors' included

    def counts(self, tags: dict[TagId, float]) -> list[float]:
        """Return what figures are sums of: right, given, stated, then found and wanted labels."""
        things = set(taxonomy.load().classes("coco"))
        told = [t for t in tags if t in self.photo.complete]
        right = sum(t in self.photo.concepts for t in told)
        wanted = [t for t, area in self.photo.areas.items() if area >= AREA]
        found = [t for t in wanted if t in tags]
        objects = [sum(t in things for t in some) for some in (found, wanted)]
        return [
            right,
            len(told),
            sum(tags[t] for t in told),
            len(found),
            len(wanted),
            *objects,
            len(found) - objects[0],
            len(wanted) - objects[1],
            any(t in self.photo.concepts for t in tags),
            sum(t in tags for t in self.photo.labels),
            len(self.photo.labels),
            len(tags),
            1,
        ]


def judge(given: Sequence[Photo], installed: Sequence[str], seed: int) -> list[Judged]:
    """Return every photo's tags by the fit of the folds that it is not in."""
    fold = folds([one.name for one in given], FOLDS, str(seed))
    found: dict[str, Judged] = {}
    graph = taxonomy.load()
    for number in range(FOLDS):
        others = [one for one, f in zip(given, fold, strict=True) if f != number]
        stacking = Stacking(graph, calibrated(others, [installed]))
        for one in (one for one, f in zip(given, fold, strict=True) if f == number):
            heard = one.heard(installed)
            tags = {s.tag: s.confidence for s in stacking.fuse(heard).tags}
            shares: dict[TagId, float] = {}
            for tag, share in stacking.shares(heard).items():
                for implied in {tag} | graph.ancestors(tag):
                    shares[implied] = max(share, shares.get(implied, 0.0))
            found[one.name] = Judged(one, tags, shares)
    return [found[one.name] for one in given]


FIGURES = {
    "precision": (0, 1),
    "stated": (2, 1),
    "recall": (3, 4),
    "objects": (5, 6),
    "stuff": (7, 8),
    "with_a_right_tag": (9, 13),
    "label_recall": (10, 11),
    "tags_a_photo": (12, 13),
}


def figures(rows: np.ndarray) -> dict[str, object]:
    """Return each figure and the interval that 90 % of the resampled sets of photos lie in."""
    samples = np.random.default_rng(1).integers(0, len(rows), (RESAMPLES, len(rows)))
    sums = rows.sum(axis=0)
    resampled = rows[samples].sum(axis=1)
    found: dict[str, object] = {"photos": len(rows)}
    for name, (part, whole) in FIGURES.items():
        if sums[whole]:
            ratio = resampled[:, part] / np.maximum(resampled[:, whole], 1)
            low, high = np.quantile(ratio, [0.05, 0.95])
            found[name] = [round(float(v), 3) for v in (sums[part] / sums[whole], low, high)]
    return found


def at_precision(judged: Sequence[Judged], least: float) -> dict[str, object]:
    """Return the figures where one cut of the shares makes all tags together so precise."""
    pairs = sorted(
        (share, t in one.photo.concepts)
        for one in judged
        for t, share in one.shares.items()
        if t in one.photo.complete
    )[::-1]
    right = np.cumsum([r for _, r in pairs])
    enough = np.flatnonzero(right / np.arange(1, len(pairs) + 1) >= least)
    if not len(enough):
        return {}
    cut = pairs[enough[-1]][0]
    rows = [one.counts({t: s for t, s in one.shares.items() if s >= cut}) for one in judged]
    found = figures(np.array(rows, np.float64))
    kept = ("precision", "recall", "objects", "stuff")
    return {"cut": round(cut, 3)} | {k: found[k] for k in kept if k in found}


def by_concept(judged: Sequence[Judged]) -> list[dict[str, object]]:
    """Return right and wrong tags, found and wanted labels of each labelled concept."""
    graph = taxonomy.load()
    lines = []
    for tag in sorted({t for one in judged for t in one.photo.complete}):
        told = [one for one in judged if tag in one.photo.complete]
        given = [one for one in told if tag in one.tags]
        wanted = [one for one in told if one.photo.areas.get(tag, 0.0) >= AREA]
        lines.append(
            {
                "concept": graph.name(tag),
                "right": sum(tag in one.photo.concepts for one in given),
                "wrong": sum(tag not in one.photo.concepts for one in given),
                "found": sum(tag in one.tags for one in wanted),
                "wanted": len(wanted),
            }
        )
    return lines


def sheet(judged: Sequence[Judged], path: Path) -> None:
    """Write a contact sheet of the surest wrong tags, one of each photo; print them, too."""
    graph = taxonomy.load()
    wrong = sorted(
        (
            (confidence, one.photo.name, str(graph.name(t)))
            for one in judged
            for t, confidence in one.tags.items()
            if t in one.photo.complete and t not in one.photo.concepts
        ),
        key=lambda w: (-w[0], w[1]),
    )
    prepare()
    width, height, columns = 240, 200, 5
    picture = Image.new("RGB", (width * columns, height * -(-SHEET // columns)), "white")
    draw = ImageDraw.Draw(picture)
    for place, (confidence, name, word) in enumerate(wrong[:SHEET]):
        left, top = place % columns * width, place // columns * height
        small = opened(test_data() / "data/tagging-dev/photos" / name)
        small.thumbnail((width - 8, height - 24))
        picture.paste(small, (left, top))
        draw.text((left + 2, top + height - 20), f"{word} {confidence:.2f}", fill="black")
        print(json.dumps({"wrong": word, "confidence": round(confidence, 2), "photo": name}))
    picture.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--packs", help="names with commas between")
    parser.add_argument("--seed", type=int, default=0, help="of dealing the photos into folds")
    parser.add_argument("--concepts", action="store_true", help="a line for each concept, too")
    parser.add_argument("--sheet", type=Path, help="where to put the surest errors as a picture")
    told = parser.parse_args()
    given = photos()
    sets = [told.packs.split(",")] if told.packs else [SETS[-1], SETS[1]]
    for installed in sets:
        judged = judge(given, installed, told.seed)
        chosen = {
            "coco": [j for j in judged if j.photo.name.startswith("coco_")],
            "coco val2017": [j for j in judged if j.photo.name.startswith("coco_val_")],
            "one-class photos": [j for j in judged if j.photo.name.startswith("in_")],
            "other photos": [j for j in judged if j.photo.name.startswith(("pp_", "weather_"))],
            "all": judged,
        }
        for name, some in chosen.items():
            rows = np.array([one.counts(one.tags) for one in some], np.float64)
            line = {"bench": "tagging", "packs": ",".join(installed), "set": name}
            print(json.dumps(line | figures(rows)))
            for least in (0.9, 0.95) if name.startswith("coco") else ():
                print(json.dumps(line | {f"at_{least * 100:.0f}": at_precision(some, least)}))
        if told.concepts:
            for concept in by_concept(judged):
                print(json.dumps(concept))
        if told.sheet and installed is sets[0]:
            sheet(judged, told.sheet)


if __name__ == "__main__":
    main()
