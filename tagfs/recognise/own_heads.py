"""Our own heads on the classifier's feature maps: sky, grass and what else it has no class for.

A head is a line over means of two feature maps in three bands of the picture, upper, middle and
lower: stuff has a place, the sky is above. Numpy only; scripts/train/heads.py fits the weights
and models/heads.md says on what and how well they hold up.
"""

from __future__ import annotations

import io
import itertools
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tagfs.errors import Integrity
from tagfs.model import TagId
from tagfs.recognise import taxonomy

NAME: Final = "heads"
ID: Final = "heads-1"
"""As analyses record them; the number rises with other weights."""
BANDS: Final = 3
MAX_WEIGHTS: Final = 4 * 1024 * 1024
"""Bytes of a weights file, at most."""


def banded(feature_map: NDArray[Any]) -> NDArray[np.float32]:
    """Return the means (3 * channels,) over the upper, middle and lower third of (h, w, c)."""
    rows = len(feature_map)
    edges = [round(rows * band / BANDS) for band in range(BANDS + 1)]
    means = [
        feature_map[a:b].mean(axis=(0, 1), dtype=np.float32) for a, b in itertools.pairwise(edges)
    ]
    return np.concatenate(means).astype(np.float32)


def features(crops: Sequence[Sequence[NDArray[Any]]]) -> NDArray[np.float32]:
    """Return what the heads look at (features,), the mean over the crops of a picture.

    Of each crop the feature maps (h, w, channels) that the classifier gives after probabilities
    and embedding, in its order. As float16 it is 2.8 kB; kept, it lets later heads vote on the
    photo without its pixels.
    """
    looked = [np.concatenate([banded(m) for m in maps]) for maps in crops]
    mean: NDArray[np.float32] = np.mean(looked, axis=0, dtype=np.float32)
    return mean


@dataclass(frozen=True)
class Heads:
    """Weights of all heads: (heads, features), biases (heads,), and what each of them shows."""

    shows: tuple[tuple[TagId, ...], ...]
    weights: NDArray[np.float32]
    biases: NDArray[np.float32]

    def votes(self, seen: NDArray[Any]) -> Mapping[TagId, float]:
        """Return the score in [0, 1] of each concept that a head shows.

        Raises:
            Integrity: ``seen`` is not as long as the features that the heads were fitted on.
        """
        if seen.shape != (self.weights.shape[1],):
            raise Integrity("The kept features are not those that these heads were fitted on.")
        odds = self.weights @ seen.astype(np.float32) + self.biases
        scores = 1.0 / (1.0 + np.exp(-np.clip(odds, -30.0, 30.0)))
        found: dict[TagId, float] = {}
        for tags, score in zip(self.shows, scores, strict=True):
            for tag in tags:
                found[tag] = max(float(score), found.get(tag, 0.0))
        return found


def parse(data: bytes) -> Heads:
    """Read the weights from the bytes of ``models/heads.npz``.

    Raises:
        Integrity: they have another form.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            shows = tuple(tuple(map(TagId, str(s).split())) for s in arrays["shows"])
            weights = arrays["weights"].astype(np.float32)
            biases = arrays["biases"].astype(np.float32)
    except (KeyError, ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise Integrity(f"The weights of the heads cannot be read: {error!r}.") from error
    if weights.ndim != 2 or biases.shape != (len(shows),) or len(weights) != len(shows):
        raise Integrity("The weights of the heads do not fit together.")
    if not (np.isfinite(weights).all() and np.isfinite(biases).all()):
        raise Integrity("The weights of the heads are no numbers.")
    return Heads(shows, weights, biases)


def load() -> Heads:
    """Return the heads that this tagfs ships."""
    with taxonomy.shipped("heads.npz").open("rb") as file:
        return parse(file.read(MAX_WEIGHTS))
