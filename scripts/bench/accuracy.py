"""How right the facts are that tagfs reads from files: the set ``formats`` against exiftool.

    python scripts/bench/accuracy.py [--only formats | faces]

``--only faces`` measures faces instead; what it prints stands in ``faces.py``. The rest of this
is about the set ``formats``.

Every file goes through what the recogniser hands to a worker, and through the worker's own code;
only the network is left out, which says nothing of dates. An XMP sidecar, which a gallery keeps
as a file and does not read, goes to the reader of XMP packets, and is counted apart. One JSON
line a kind of fact, one for ``the four`` (date, position, orientation, camera) and one for ``all``
together, then one a difference.

Stated is what ``expected.json`` holds. Equal are

- a date to the second; to the day where no time is stated;
- a zone, stated as ``offset`` or behind the date, to the minute;
- a position within 1e-4 degrees (11 m) of latitude and of longitude, an altitude within 1 m;
- an orientation as its number 1..8; the ``rotation`` of a video, clockwise, as the orientation
  that turns a picture so (0, 90, 180, 270 degrees: 1, 6, 3, 8);
- a camera as ``facts.camera`` joins maker and model: the model alone where that says the maker.

A stated value that cannot be true has to be none: the position 0, 0 or off the globe, orientation
0, an altitude without a position or above the air. Those are ``refused`` rightly; each is named,
and none is counted as stated. What stands in the files about 2026 and later depends on the day,
so that the clock is taken from the newest date that is stated.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import trio
from PIL import Image

from tagfs.model import Facts
from tagfs.recognise import gazetteer
from tagfs.recognise.decode import prepare
from tagfs.recognise.facts import read_facts
from tagfs.recognise.messages import Request, Result
from tagfs.recognise.recogniser import material
from tagfs.recognise.sniff import sniff
from tagfs.recognise.worker import answer

NOW = datetime(2026, 11, 25)
KINDS = ("date", "zone", "position", "altitude", "orientation", "rotation", "camera")
FOUR = ("date", "position", "orientation", "camera")
_TURNED = {0: 1, 90: 6, 180: 3, 270: 8}
_places = functools.cache(gazetteer.load)


class Blind:
    """Stands in the place of the network: it sees nothing, in no time."""

    def look(self, image: Image.Image) -> Result:
        """Return an answer without tags."""
        return Result()


@dataclass(frozen=True, slots=True)
class Compared:
    """One stated value beside what was read."""

    file: str
    kind: str
    stated: object
    read: object
    equal: bool
    refused: bool  # the value cannot be true, and none was read


def facts_of(path: Path, now: datetime = NOW) -> Facts:
    """Return what a worker would answer of a file; of a sidecar what the XMP reader does."""
    data = path.read_bytes()
    if path.suffix == ".xmp":
        return read_facts(Image.Exif(), data, size=None, orientation=None, now=now)
    media_type = sniff(data[:64], os.fsencode(path.name))

    async def read(offset: int, size: int) -> bytes:
        return data[offset : offset + size]

    sent = trio.run(material, read, len(data), media_type)
    if sent is None:
        return Facts()
    offset, size = sent
    request = Request(media_type, now.timestamp(), data[offset : offset + size])
    return answer(Blind(), _places(), request).facts  # type: ignore[arg-type]


def compare(file: str, told: dict[str, Any], facts: Facts) -> Iterator[Compared]:
    """Yield every value that exiftool states of a file beside ours."""
    date = str(told.get("date", ""))
    if date:
        stated = date[:19].replace(":", "-", 2).replace(" ", "T")
        equal = facts.date is not None and facts.date.startswith(stated)
        yield Compared(file, "date", stated, facts.date, equal, False)
    zone = told.get("offset") or date[19:].replace("Z", "+00:00")
    if zone:
        yield Compared(file, "zone", zone, facts.offset, facts.offset == zone, False)
    place = facts.place
    if "lat" in told:
        here = (told["lat"], told["lon"])
        true = here != (0, 0) and abs(here[0]) <= 90 and abs(here[1]) <= 180
        seen = place and (place.latitude, place.longitude)
        near = seen and all(abs(a - b) <= 1e-4 for a, b in zip(here, seen, strict=True))
        yield Compared(file, "position", here, seen, bool(near), not true and place is None)
        if isinstance(told.get("alt"), int | float):
            height = place.altitude if place else None
            true = true and told["alt"] < 100_000
            near = height is not None and abs(height - told["alt"]) <= 1
            yield Compared(file, "altitude", told["alt"], height, near, not true and height is None)
    turn = told.get("orientation")
    if turn is not None:
        none = turn == 0 and facts.orientation is None
        yield Compared(
            file, "orientation", turn, facts.orientation, turn == facts.orientation, none
        )
    elif str(told["mime"]).startswith("video/") and told.get("rotation") in _TURNED:
        turn = _TURNED[told["rotation"]]
        yield Compared(file, "rotation", turn, facts.orientation, turn == facts.orientation, False)
    if "camera" in told:
        same = same_camera(told["camera"], facts.camera)
        yield Compared(file, "camera", told["camera"], facts.camera, same, False)


def same_camera(stated: str, read: str | None) -> bool:
    """Say whether a camera is "maker model", or the model alone where it says the maker."""
    all_words, words = stated.split(), (read or "").split()
    if words == all_words:
        return True
    brand = all_words[0].casefold()
    return all_words[-len(words) :] == words and brand in map(str.casefold, words)


def measure(folder: Path) -> Iterator[Compared]:
    """Yield every comparison of the set."""
    prepare()
    for name, told in sorted(json.loads((folder / "expected.json").read_text()).items()):
        yield from compare(name, told, facts_of(folder / name))


def share(found: list[Compared]) -> float:
    """Return the share of equal values; rightly refused ones are not counted."""
    counted = [c for c in found if not c.refused]
    return sum(c.equal for c in counted) / len(counted) if counted else 1.0


def report(kind: str, of: str, found: list[Compared]) -> dict[str, object]:
    """Return one line of figures."""
    how = Counter("refused" if c.refused else "equal" if c.equal else "other" for c in found)
    line: dict[str, object] = {"bench": "accuracy", "set": "formats", "of": of, "fact": kind}
    line |= {"stated": how["equal"] + how["other"], "equal": how["equal"]}
    return line | {"refused": how["refused"], "share": round(share(found), 4)}


def formats(folder: Path) -> None:
    """Print the figures of the set, sidecars apart, and name every difference."""
    found = list(measure(folder))
    groups = {
        "pictures and videos": [c for c in found if not c.file.endswith(".xmp")],
        "sidecars": [c for c in found if c.file.endswith(".xmp")],
        "everything": found,
    }
    for of, group in groups.items():
        for kind in KINDS:
            if chosen := [c for c in group if c.kind == kind]:
                print(json.dumps(report(kind, of, chosen)))
        print(json.dumps(report("the four", of, [c for c in group if c.kind in FOUR])))
        print(json.dumps(report("all", of, group)))
    for c in found:
        if not c.equal:
            line = {"file": c.file, "fact": c.kind, "stated": c.stated, "read": c.read}
            print(json.dumps(line | {"refused": c.refused}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=["formats", "faces"], default="formats", help="one set")
    only = parser.parse_args().only
    root = Path(__file__).resolve().parents[2]
    base = Path(os.environ.get("TAGFS_TEST_DATA") or root.parent / "shared")
    name = {"formats": "formats", "faces": "faces-dev"}[only]
    if not (base / "data" / name).is_dir():
        sys.exit(f"The set data/{name} is missing: set TAGFS_TEST_DATA to where it lies.")
    if only == "faces":
        from faces import measure_faces

        measure_faces(base / "data")
    else:
        formats(base / "data/formats")


if __name__ == "__main__":
    main()
