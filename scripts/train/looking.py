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

from tagfs.recognise import own_heads, packs
from tagfs.recognise.cascade import crops
from tagfs.recognise.decode import decode, prepare
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
    """Return what the default pack says, with its own crops (0.05 s a photo on one core)."""
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
