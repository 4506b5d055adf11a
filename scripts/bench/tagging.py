"""How right the tags of the default pack are, on photos that were not used for fitting.

    python scripts/bench/tagging.py [--no-speed]

Thresholds are fitted by five-fold cross-validation over the photos of data/tagging-dev, each
photo is judged with those of the folds it is not in; a figure is the median of three ways of
dealing the photos into folds. One JSON line a result. ``precision`` is over the concepts that a
photo's labels are complete over, ``stated`` the mean confidence of the same tags; ``recall`` is
of labels with an area of at least .05, whether the pack knows the concept or not, ``known`` of
those whose concept it knows. The last lines tell how many photos a worker looks at in a second.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import time
from pathlib import Path

import numpy as np
import trio
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "train"))
from calibrate import Photos, fit, fit_certainty, look, scorer_with, test_data

from tagfs.model import TagId
from tagfs.recognise import packs, taxonomy
from tagfs.recognise.recogniser import recogniser
from tagfs.recognise.sniff import sniff

FOLDS = 5
SEEDS = 3


Tags = dict[TagId, float]


def tag_all(photos: Photos, pack: packs.Pack, seed: int) -> list[Tags]:
    """Return the tags of every photo with their confidence, by thresholds that never saw it."""
    fold = np.array(
        [int(hashlib.sha256(f"{seed}{n}".encode()).hexdigest(), 16) % FOLDS for n in photos.names]
    )
    base = scorer_with(pack, {})
    tags: list[Tags] = [{} for _ in photos.names]
    for held_out in range(FOLDS):
        others = np.flatnonzero(fold != held_out)
        thresholds = fit(photos, others, base)
        scorer = scorer_with(pack, thresholds, fit_certainty(photos, others, thresholds, base))
        for i in np.flatnonzero(fold == held_out):
            tags[i] = {s.tag: s.confidence for s in scorer.score(photos.probabilities[i])[0]}
    return tags


def measure(
    photos: Photos, tags: list[Tags], chosen: list[int], reached: frozenset[TagId]
) -> dict[str, float]:
    """Return precision, recall and the share of photos with a right tag.

    ``reached`` are the concepts that the pack knows.
    """
    find = taxonomy.load().find
    right = wrong = found = known = wanted = with_right = 0
    stated = 0.0
    for i in chosen:
        label = photos.labels[photos.names[i]]
        concepts = set(label["concepts"])  # type: ignore[call-overload]
        for word in label.get("complete_over", ()):  # type: ignore[attr-defined]
            tag = find(word)
            if tag in tags[i]:
                right += word in concepts
                wrong += word not in concepts
                stated += tags[i][tag]
        areas = label.get("area") or {}
        for word, area in areas.items():  # type: ignore[attr-defined]
            if area >= 0.05:
                wanted += 1
                known += find(word) in reached
                found += find(word) in tags[i]
        with_right += any(find(word) in tags[i] for word in concepts)
    result = {
        "photos": len(chosen),
        "with_right_tag": with_right / len(chosen),
        "with_a_tag": sum(bool(tags[i]) for i in chosen) / len(chosen),
        "tags_a_photo": sum(len(tags[i]) for i in chosen) / len(chosen),
    }
    if right + wrong:
        given = right + wrong
        result |= {"precision": right / given, "stated": stated / given, "given": given}
    if wanted:
        result |= {"recall": found / wanted, "wanted": wanted, "known": found / known}
    return result


async def throughput(pack: packs.Pack) -> None:
    """Print how fast one worker is, from sealed bytes to tags: small photos and 12 megapixels."""
    root = test_data() / "data"
    sets = {
        "640 pixels": sorted((root / "tagging-dev/photos").glob("coco_*"))[:200],
        "12 megapixels, HEIC": [root / "formats/sidecar-pairs/iphone_7.heic"] * 10,
        "12 megapixels, JPEG": [],
    }
    async with recogniser(pack.name, jobs=1) as found:
        for name, paths in sets.items():
            files = [p.read_bytes() for p in paths] or [_large_jpeg(root)] * 20
            began = time.perf_counter()
            for data in files:
                await found.recognise(_reader(data), len(data), sniff(data[:64]))
            rate = len(files) / (time.perf_counter() - began)
            line = {"bench": "recognition", "set": name, "photos_per_second": round(rate, 1)}
            print(json.dumps(line))


def _reader(data: bytes):  # type: ignore[no-untyped-def]
    async def read(offset: int, size: int) -> bytes:
        return data[offset : offset + size]

    return read


def _large_jpeg(root: Path) -> bytes:
    """Return a real photo scaled up to 4032 x 3024, as a phone would write it."""
    out = io.BytesIO()
    with Image.open(sorted((root / "tagging-dev/photos").glob("coco_*"))[0]) as small:
        small.resize((4032, 3024)).save(out, "JPEG", quality=92)
    return out.getvalue()


def one_class_recall(photos: Photos, tags: list[Tags], chosen: list[int]) -> float:
    """Return the share of the one-class photos whose labels are among the tags."""
    find = taxonomy.load().find
    hits = total = 0
    for i in chosen:
        for word in photos.labels[photos.names[i]]["concepts"]:  # type: ignore[attr-defined]
            total += 1
            hits += find(word) in tags[i]
    return round(hits / total, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--no-speed", action="store_true", help="measure the tags only")
    given = parser.parse_args()
    pack = packs.load()
    photos = look(pack)
    everything = list(range(len(photos.names)))

    def source(prefix: str) -> list[int]:
        return [i for i, n in enumerate(photos.names) if n.startswith(prefix)]

    sets = {
        "all": everything,
        "coco": source("coco_"),
        "coco val2017": source("coco_val_"),
        "one-class photos": source("in_"),
        "other photos": [*source("pp_"), *source("weather_")],
    }
    reached = frozenset(scorer_with(pack, {}).tags)
    runs = [tag_all(photos, pack, seed) for seed in range(SEEDS)]
    for name, chosen in sets.items():
        results = [measure(photos, tags, chosen, reached) for tags in runs]
        line: dict[str, object] = {"bench": "tagging", "set": name, "pack": pack.id}
        for key in results[0]:
            middle = float(np.median([r[key] for r in results]))
            line[key] = int(middle) if middle.is_integer() and middle > 1 else round(middle, 3)
        if name.startswith("one"):
            line["label_recall"] = one_class_recall(photos, runs[0], chosen)
        print(json.dumps(line))
    if not given.no_speed:
        trio.run(throughput, pack)


if __name__ == "__main__":
    main()
