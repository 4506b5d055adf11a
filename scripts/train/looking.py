"""What every network says about labelled photos, kept in a folder so that it is asked once.

Used by heads.py, calibrate.py and scripts/bench/tagging.py. ``TAGFS_TEST_DATA`` says where the
photos and the weights that are not installed by default lie (default ../shared); the cache is a
folder ``tagfs-looked`` in the system's folder of temporary files, or ``TAGFS_LOOKED``.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tagfs.model import TagId
from tagfs.recognise import detector, face_pack, own_heads, packs, taxonomy
from tagfs.recognise.cascade import crops
from tagfs.recognise.decode import decode, prepare
from tagfs.recognise.faces import FaceFinder
from tagfs.recognise.interpreter import Network
from tagfs.recognise.sniff import sniff

ROOT = Path(__file__).resolve().parent.parent.parent


def test_data() -> Path:
    """Return the folder of the test data, or end with a message."""
    root = Path(os.environ.get("TAGFS_TEST_DATA") or ROOT.parent / "shared")
    if not (root / "data/tagging-dev/labels.json").exists():
        sys.exit("data/tagging-dev is missing; set TAGFS_TEST_DATA to where it lies.")
    return root


@dataclass(frozen=True)
class Classified:
    """The classifier's answers: probabilities (photos, classes), features (photos, features)."""

    probabilities: NDArray[np.float32]
    features: NDArray[np.float32]


def classified(paths: Sequence[Path]) -> Classified:
    """Return what the default pack says, with its own crops."""
    pack = packs.load()

    def ask() -> Callable[[Image.Image], list[NDArray[Any]]]:
        network = Network(packs.read_model(pack))

        def look(image: Image.Image) -> list[NDArray[Any]]:
            answers = [network.run(crop) for crop in crops(image, pack, network)]
            probabilities = np.stack([a[0] for a in answers]).mean(axis=0)
            return [probabilities, own_heads.features([a[2:] for a in answers])]

        return look

    probabilities, features = kept(f"{pack.id} {pack.model_sha256} {pack.crops}", paths, ask)
    return Classified(probabilities, features)


def kept(
    who: str, paths: Sequence[Path], ask: Callable[[], Callable[[Image.Image], list[Any]]]
) -> list[NDArray[Any]]:
    """Return what ``ask()`` says of each photo, stacked; asked once for the same photos."""
    name = hashlib.sha256(json.dumps([who, *map(str, paths)]).encode()).hexdigest()[:24]
    folder = Path(os.environ.get("TAGFS_LOOKED") or Path(tempfile.gettempdir()) / "tagfs-looked")
    file = folder / f"{name}.npz"
    if not file.exists():
        prepare()
        look = ask()
        rows = [look(opened(path)) for path in paths]
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f"{name}-{os.getpid()}.npz"
        np.savez(unfinished, *[np.stack(column) for column in zip(*rows, strict=True)])
        unfinished.rename(file)
    with np.load(file, allow_pickle=False) as arrays:
        return [arrays[key] for key in arrays.files]


def opened(path: Path) -> Image.Image:
    """Return a photo as recognition sees it."""
    data = path.read_bytes()
    return decode(data, sniff(data[:64])).image


def objects(paths: Sequence[Path]) -> list[dict[str, dict[TagId, float]]]:
    """Return the detector's votes on each photo, by their form."""
    file = test_data() / "models/coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite"
    pack = packs.load("objects")

    def ask() -> Callable[[Image.Image], list[NDArray[Any]]]:
        network = Network(detector.with_scores(file.read_bytes()))

        def look(image: Image.Image) -> list[NDArray[Any]]:
            scores = [network.run(view)[3] for view in detector.views(image, pack.side)]
            # Of each view the best of all boxes and of the large ones: all that is ever used.
            best = [[s.max(axis=0), s[detector.GRID_BOXES :].max(axis=0)] for s in scores]
            return [np.stack(best)]

        return look

    (best,) = kept(f"{pack.id} {pack.model_sha256} views", paths, ask)
    labels = taxonomy.load().classes(pack.labels)
    return [detector.votes_of(photo[:, 0], photo[:, 1], labels) for photo in best]


def faces(paths: Sequence[Path]) -> list[float]:
    """Return the score of the surest face of each photo, 0 where there is none."""
    pack = face_pack.load()

    def ask() -> Callable[[Image.Image], list[NDArray[Any]]]:
        found, embedder = map(Network, face_pack.read_models(pack))
        finder = FaceFinder(found, embedder, pack.certainty)

        def look(image: Image.Image) -> list[NDArray[Any]]:
            return [np.array(max((d.score for d in finder.detect(image)), default=0.0))]

        return look

    (scores,) = kept(f"{pack.id} {pack.certainty}", paths, ask)
    return [float(score) for score in scores]
