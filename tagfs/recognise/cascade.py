"""Which networks look at a picture, and in what order; runs in the worker.

The default pack looks at every picture. A specialist that has gates is asked only where what was
seen before opens one: a classifier of birds is always sure of some bird.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tagfs.model import TagId
from tagfs.recognise import face_pack, own_heads, packs
from tagfs.recognise.detector import score_votes, views, with_scores
from tagfs.recognise.face import packed
from tagfs.recognise.face_pack import FacePack
from tagfs.recognise.faces import FaceFinder
from tagfs.recognise.interpreter import Network
from tagfs.recognise.packs import DEFAULT, Gate, Kind, Pack, is_open
from tagfs.recognise.scoring import FLOOR, Scorer, Votes, coarse, joined
from tagfs.recognise.taxonomy import ConceptGraph

PERSON: Final = TagId("n00007846")
"""The concept that a face shows."""
SHARE = 0.875
"""Of the shorter side that the centre crop takes, as in training."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one pack saw in a picture."""

    votes: Votes
    features: bytes = b""  # float16; of faces their records


class Classifier:
    """One network that gives every class of its label set a probability."""

    def __init__(self, pack: Pack, model: bytes, graph: ConceptGraph) -> None:
        self.name, self.id, self.gates = pack.name, pack.id, pack.gates
        self._pack = pack
        self._network = Network(model)
        self._scorer = Scorer(graph.classes(pack.labels), graph, pack.evidence)
        self._heads = own_heads.load() if pack.name == DEFAULT else None

    def outputs(self, image: Image.Image) -> list[list[NDArray[np.float32]]]:
        """Return every output of the network, for each crop."""
        return [self._network.run(crop) for crop in crops(image, self._pack, self._network)]

    def look(self, image: Image.Image) -> dict[str, Look]:
        """Return the scores of concepts above the floor, and what else the network gives.

        Means over the crops: of probabilities, and of the embedding where there is one. Our own
        heads look at the maps behind these.
        """
        outputs = self.outputs(image)
        votes = self._scorer.votes(np.stack([crop[0] for crop in outputs]).mean(axis=0))
        if len(outputs[0]) == 1:
            return {self.name: Look(votes)}
        embedding = np.stack([crop[1] for crop in outputs]).mean(axis=0)
        found = {self.name: Look(votes, embedding.astype("<f2").tobytes())}
        if self._heads is not None:
            seen = own_heads.features([crop[2:] for crop in outputs]).astype("<f2")
            said = {t: s for t, s in self._heads.votes(seen).items() if s >= FLOOR}
            found[own_heads.NAME] = Look(coarse(said), seen.tobytes())
        return found


class Detector:
    """One network that finds things and where they are."""

    def __init__(self, pack: Pack, model: bytes, graph: ConceptGraph) -> None:
        self.name, self.id, self.gates = pack.name, pack.id, pack.gates
        self._side = pack.side
        self._network = Network(with_scores(model))
        self._labels = graph.classes(pack.labels)

    def look(self, image: Image.Image) -> dict[str, Look]:
        """Return how sure the surest box of each concept is, of all and of the large ones."""
        scores = [self._network.run(view)[3] for view in views(image, self._side)]
        return {self.name: Look(coarse(joined(score_votes(scores, self._labels))))}


class Faces:
    """Two networks: one finds faces, one makes an embedding of each."""

    gates: tuple[Gate, ...] = ()

    def __init__(self, pack: FacePack, detector: bytes, embedder: bytes) -> None:
        self.name, self.id = pack.name, pack.id
        self._finder = FaceFinder(Network(detector), Network(embedder), pack.certainty)

    def look(self, image: Image.Image) -> dict[str, Look]:
        """Return the faces, and that there is a person where there is one."""
        found = self._finder.find(image)
        seen = {PERSON: max(face.score for face in found)} if found else {}
        return {self.name: Look(coarse(seen), packed(found))}


Eye = Classifier | Detector | Faces


def eye(name: str, models: Sequence[bytes], graph: ConceptGraph) -> Eye:
    """Return what looks with the weights of the pack of this name."""
    if name == face_pack.NAME:
        detector, embedder = models
        return Faces(face_pack.load(), detector, embedder)
    pack, (model,) = packs.load(name), models
    if pack.kind is Kind.DETECTOR:
        return Detector(pack, model, graph)
    return Classifier(pack, model, graph)


class Cascade:
    """Every installed network, ready to look."""

    def __init__(self, eyes: Iterable[Eye]) -> None:
        """Take the networks; the default pack has to be among them."""
        found = {each.name: each for each in eyes}
        self.ids = {each.name: each.id for each in found.values()}
        self.ids[own_heads.NAME] = own_heads.ID
        self._first = found.pop(DEFAULT)
        self._others = sorted(found.values(), key=lambda each: bool(each.gates))

    def look(self, image: Image.Image) -> dict[str, Look]:
        """Return what every pack saw that was asked, by its name."""
        found = self._first.look(image)
        for each in self._others:
            if is_open(each.gates, {name: look.votes for name, look in found.items()}):
                found |= each.look(image)
        return found

    def try_all(self, image: Image.Image) -> None:
        """Have every network look, whatever its gates."""
        for each in (self._first, *self._others):
            each.look(image)


def crops(image: Image.Image, pack: Pack, network: Network) -> list[NDArray[Any]]:
    """Return the squares that a network looks at, (side, side, 3): bytes, or scaled to about ±1.

    ``centre`` is the middle square, ``first`` and ``second`` the two squares at the ends of the
    longer side, ``full`` the whole picture, squeezed.
    """
    width, height = image.size
    short = min(width, height)
    inset = short * (1 - SHARE) / 2
    boxes = {
        "centre": (
            (width - short) / 2 + inset,
            (height - short) / 2 + inset,
            (width + short) / 2 - inset,
            (height + short) / 2 - inset,
        ),
        "first": (0.0, 0.0, float(short), float(short)),
        "second": (float(width - short), float(height - short), float(width), float(height)),
        "full": (0.0, 0.0, float(width), float(height)),
    }
    squares = []
    for name in pack.crops:
        square = image.resize((pack.side, pack.side), Image.Resampling.BICUBIC, box=boxes[name])
        pixels: NDArray[Any] = np.asarray(square)
        squares.append(
            pixels if network.takes_bytes else (pixels.astype(np.float32) - 127.0) / 128.0
        )
    return squares
