"""How right the tags of the default pack are, on photos that were not used for fitting.

    python scripts/bench/tagging.py [--sheets FOLDER]

Thresholds are fitted by five-fold cross-validation over the photos of data/tagging-dev, each
photo is judged with those of the folds it is not in. One JSON line a result. ``precision`` is
over the concepts that a photo's labels are complete over, ``recall`` of labels with an area of
at least .05 (facts of the test data: its SOURCES.md).
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "train"))
from calibrate import Photos, fit, look, scorer_with

from tagfs.model import TagId
from tagfs.recognise import packs, taxonomy

FOLDS = 5
SEEDS = 3


def tag_all(photos: Photos, pack: packs.Pack, seed: int) -> list[set[TagId]]:
    """Return the tags of every photo, each by thresholds that never saw it."""
    fold = np.array(
        [int(hashlib.sha256(f"{seed}{n}".encode()).hexdigest(), 16) % FOLDS for n in photos.names]
    )
    base = scorer_with(pack, {})
    tags: list[set[TagId]] = [set() for _ in photos.names]
    for held_out in range(FOLDS):
        scorer = scorer_with(pack, fit(photos, np.flatnonzero(fold != held_out), base))
        for i in np.flatnonzero(fold == held_out):
            tags[i] = {s.tag for s in scorer.score(photos.probabilities[i])[0]}
    return tags


def measure(photos: Photos, tags: list[set[TagId]], chosen: list[int]) -> dict[str, float]:
    """Return precision, recall and the share of photos with a right tag."""
    find = taxonomy.load().find
    right = wrong = found = wanted = with_right = 0
    for i in chosen:
        label = photos.labels[photos.names[i]]
        concepts = set(label["concepts"])  # type: ignore[call-overload]
        for word in label.get("complete_over", ()):  # type: ignore[attr-defined]
            if find(word) in tags[i]:
                right += word in concepts
                wrong += word not in concepts
        areas = label.get("area") or {}
        for word, area in areas.items():  # type: ignore[attr-defined]
            if area >= 0.05:
                wanted += 1
                found += find(word) in tags[i]
        with_right += any(find(word) in tags[i] for word in concepts)
    result = {"photos": len(chosen), "with_right_tag": round(with_right / len(chosen), 4)}
    if right + wrong:
        result |= {"precision": round(right / (right + wrong), 4), "given": right + wrong}
    if wanted:
        result |= {"recall": round(found / wanted, 4), "wanted": wanted}
    return result


def one_class_recall(photos: Photos, tags: list[set[TagId]], chosen: list[int]) -> float:
    """Return the share of the one-class photos whose labels are among the tags."""
    find = taxonomy.load().find
    hits = total = 0
    for i in chosen:
        for word in photos.labels[photos.names[i]]["concepts"]:  # type: ignore[attr-defined]
            total += 1
            hits += find(word) in tags[i]
    return round(hits / total, 4)


def main() -> None:
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
    }
    runs = [tag_all(photos, pack, seed) for seed in range(SEEDS)]
    for name, chosen in sets.items():
        results = [measure(photos, tags, chosen) for tags in runs]
        line: dict[str, object] = {"bench": "tagging", "set": name, "pack": pack.id}
        for key in results[0]:
            line[key] = round(float(np.median([r[key] for r in results])), 4)
        if name.startswith("one"):
            line["label_recall"] = one_class_recall(photos, runs[0], chosen)
        print(json.dumps(line))


if __name__ == "__main__":
    main()
