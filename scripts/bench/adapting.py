"""What a user's corrections do to the tags of photos that were not corrected.

    python scripts/bench/adapting.py [--deals N] [--packs default,heads,objects,…]

The photos of data/tagging-dev are dealt into halves. In one a user denies every wrong tag and adds
every label with an area of at least .05 that is missing, one photo after the other; the other is
tagged with the shipped thresholds and with those that came of it. One JSON line: medians over the
deals of precision, recall and number of tags before and after, and of how many thresholds moved.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "train"))
from calibrate import AREA, SETS, Photo, photos

from tagfs.model import TagId
from tagfs.recognise.adapting import Sample, threshold
from tagfs.recognise.stacking import Stacking, load

DEALS = 20


def moved(corrected: Sequence[Photo], installed: Sequence[str]) -> dict[TagId, float]:
    """Return the thresholds that corrections put in the place of the shipped ones."""
    shipped = load()
    samples: dict[TagId, list[Sample]] = defaultdict(list)
    for one in corrected:
        heard = one.heard(installed)
        tags = {s.tag: s.confidence for s in shipped.fuse(heard).tags}
        for tag, confidence in tags.items():
            wrong = tag in one.complete and tag not in one.concepts
            samples[tag].append(Sample(confidence, False if wrong else None))
        shares = shipped.shares_with_ancestors(heard)
        for tag in shares.keys() - tags.keys():
            added = one.areas.get(tag, 0.0) >= AREA
            samples[tag].append(Sample(shares[tag], True if added else None))
    found = {}
    for tag, told in samples.items():
        usual = shipped.shipped(installed, tag)
        if (cut := threshold(told, usual)) != usual:
            found[tag] = cut
    return found


def judged(given: Sequence[Photo], installed: Sequence[str], by: Stacking) -> Mapping[str, float]:
    """Return precision, recall of labels that are large enough, and tags a photo."""
    right = told = found = wanted = tags = 0
    for one in given:
        seen = {s.tag for s in by.fuse(one.heard(installed)).tags}
        checked = seen & set(one.complete)
        labels = [t for t, area in one.areas.items() if area >= AREA]
        right += sum(t in one.concepts for t in checked)
        told += len(checked)
        found += sum(t in seen for t in labels)
        wanted += len(labels)
        tags += len(seen)
    return {"precision": right / told, "recall": found / wanted, "tags": tags / len(given)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--packs", default=",".join(SETS[-1]), help="names with commas between")
    parser.add_argument("--deals", type=int, default=DEALS)
    told = parser.parse_args()
    given, installed = photos(), told.packs.split(",")
    rows: dict[str, list[float]] = defaultdict(list)
    for deal in range(told.deals):
        order = random.Random(deal).sample(list(given), len(given))
        half = len(order) // 2
        thresholds = moved(order[:half], installed)
        rows["moved"].append(len(thresholds))
        for when, by in (("before", load()), ("after", load().with_thresholds(thresholds))):
            for name, value in judged(order[half:], installed, by).items():
                rows[f"{name}_{when}"].append(value)
    line = {name: round(statistics.median(values), 3) for name, values in rows.items()}
    print(json.dumps({"bench": "adapting", "packs": told.packs, "deals": told.deals} | line))


if __name__ == "__main__":
    main()
