"""Tags once more from kept scores, with today's thresholds and concept graph: no picture needed."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Set
from typing import Protocol

import numpy as np

from tagfs.model import Scored, TagId
from tagfs.recognise import packs, taxonomy
from tagfs.recognise.packs import Pack
from tagfs.recognise.taxonomy import ConceptGraph

GRAIN = 1 / 65535
"""Kept scores are so coarse: one within it of its threshold may have been on either side."""

READERS = 2
"""Which readers of metadata look at what is not decoded; a higher number reads more of it."""


class Rescores(Protocol):
    """Makes tags of kept scores, or what stands in its place."""

    pack: str

    def tags(self, scores: Iterable[Scored], before: Set[TagId]) -> tuple[Scored, ...]:
        """Return the tags of a photo; ``before`` had them when the scores were new."""


class Rescorer:
    """Applies the thresholds of one pack to scores that its network gave."""

    def __init__(self, pack: Pack, graph: ConceptGraph) -> None:
        self.pack = pack.id
        self._calibration = pack.calibration
        self._graph = graph
        self._classes = frozenset(graph.classes(pack.labels))

    def tags(self, scores: Iterable[Scored], before: Set[TagId]) -> tuple[Scored, ...]:
        """Return the tags that pass with their confidence, the surest first, ancestors too.

        A concept that had no score of its own, because the graph did not have it there, is as
        sure as the classes below it together.
        """
        kept = {scored.tag: scored.confidence for scored in scores}
        found = dict(kept)
        for tag in kept.keys() & self._classes:
            for above in self._graph.ancestors(tag) - kept.keys():
                found[above] = min(1.0, found.get(above, 0.0) + kept[tag])
        known = [tag for tag in sorted(found) if tag in self._graph]
        sure = self._confidence(known, found)
        passed: dict[TagId, float] = {}
        for tag in known:
            if self._passes(found[tag], self._threshold(tag), tag in before):
                for implied in {tag} | self._graph.ancestors(tag):
                    least = max(sure[tag], sure.get(implied, 0.0))
                    passed[implied] = max(least, passed.get(implied, 0.0))
        order = sorted(passed.items(), key=lambda item: (-item[1], item[0]))
        return tuple(Scored(tag, confidence) for tag, confidence in order)

    def _threshold(self, tag: TagId) -> float:
        return self._calibration.thresholds.get(tag, self._calibration.default)

    def _passes(self, score: float, threshold: float, passed_before: bool) -> bool:
        if abs(score - threshold) <= GRAIN:
            return passed_before
        return score > threshold

    def _confidence(self, tags: list[TagId], found: dict[TagId, float]) -> dict[TagId, float]:
        certainty = self._calibration.certainty
        if certainty is None or not tags:
            return dict(found)
        scores = np.array([found[tag] for tag in tags], dtype=np.float32)
        thresholds = np.array([self._threshold(tag) for tag in tags], dtype=np.float32)
        return dict(zip(tags, map(float, certainty.of(scores, thresholds)), strict=True))


def todays() -> Rescorer:
    """Return the rescorer of the default pack as this tagfs ships it; it needs no weights."""
    return Rescorer(packs.load(), taxonomy.load())


def decoders() -> str:
    """Return which decoders and readers look at files: what one cannot read, another may."""
    versions = [f"readers {READERS}"]
    for name in ("pillow", "pillow-heif"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} missing")
    return ", ".join(versions)
