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
from tagfs.recognise import face_pack, packs
from tagfs.recognise.detector import detections, squeezed, votes
from tagfs.recognise.face import packed
from tagfs.recognise.face_pack import FacePack
from tagfs.recognise.faces import FaceFinder
from tagfs.recognise.interpreter import Network
from tagfs.recognise.packs import DEFAULT, Gate, Kind, Pack, is_open
from tagfs.recognise.scoring import Scorer, Votes, coarse
from tagfs.recognise.taxonomy import ConceptGraph

PERSON: Final = TagId("n00007846")
"""The concept that a face shows."""
SHARE = 0.875
"""Of the shorter side that the centre crop takes, as in training."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one pack saw in a picture."""

    votes: Votes
    features: bytes = b""  # of the default pack the embedding, float16; of faces their records


class Classifier:
    """One network that gives every class of its label set a probability."""

    def __init__(self, pack: Pack, model: bytes, graph: ConceptGraph) -> None:
        self.name, self.id, self.gates = pack.name, pack.id, pack.gates
        self._pack = pack
        self._network = Network(model)
        self._scorer = Scorer(graph.classes(pack.labels), graph, pack.calibration.evidence)

    def probabilities(self, image: Image.Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the means over the crops: probabilities and embedding, which may be empty."""
        results = [self._network.run(crop) for crop in crops(image, self._pack, self._network)]
        first = np.stack([r[0] for r in results]).mean(axis=0)
        second = np.stack([r[1] if len(r) > 1 else r[0][:0] for r in results]).mean(axis=0)
        return first, second

    def look(self, image: Image.Image) -> Look:
        """Return the scores of concepts above the floor, and the embedding."""
        probabilities, embedding = self.probabilities(image)
        return Look(self._scorer.votes(probabilities), embedding.astype("<f2").tobytes())


class Detector:
    """One network that finds things and where they are."""

    def __init__(self, pack: Pack, model: bytes, graph: ConceptGraph) -> None:
        self.name, self.id, self.gates = pack.name, pack.id, pack.gates
        self._side = pack.side
        self._network = Network(model)
        self._labels = graph.classes(pack.labels)

    def look(self, image: Image.Image) -> Look:
        """Return how sure the surest box of each concept is."""
        boxes, classes, scores, _ = self._network.run(squeezed(image, self._side))
        return Look(coarse(votes(detections(boxes, classes, scores, self._labels))))


class Faces:
    """Two networks: one finds faces, one makes an embedding of each."""

    gates: tuple[Gate, ...] = ()

    def __init__(self, pack: FacePack, detector: bytes, embedder: bytes) -> None:
        self.name, self.id = pack.name, pack.id
        self._finder = FaceFinder(Network(detector), Network(embedder), pack.certainty)

    def look(self, image: Image.Image) -> Look:
        """Return the faces, and that there is a person where there is one."""
        found = self._finder.find(image)
        seen = {PERSON: max(face.score for face in found)} if found else {}
        return Look(coarse(seen), packed(found))


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
        self._first = found.pop(DEFAULT)
        self._others = sorted(found.values(), key=lambda each: bool(each.gates))

    def look(self, image: Image.Image) -> dict[str, Look]:
        """Return what every pack saw that was asked, by its name."""
        found = {DEFAULT: self._first.look(image)}
        for each in self._others:
            if is_open(each.gates, {name: look.votes for name, look in found.items()}):
                found[each.name] = each.look(image)
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
