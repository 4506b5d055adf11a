"""From the votes of every pack to tags. Pure: a rescan does the same from kept votes."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

import numpy as np

from tagfs.model import Scored, TagId, Taxonomy
from tagfs.recognise import packs, taxonomy
from tagfs.recognise.packs import Pack
from tagfs.recognise.scoring import Calibration, Votes, ordered


class Fusion:
    """Gives a tag where a pack is sure enough of it, by the thresholds of that pack."""

    def __init__(self, graph: Taxonomy, known: Iterable[Pack]) -> None:
        self._graph = graph
        self._packs = {pack.id: pack for pack in known}
        self._calibrations = {pack.name: pack.calibration for pack in self._packs.values()}

    def fuse(self, votes: Mapping[str, Votes]) -> dict[str, tuple[Scored, ...]]:
        """Return the tags that each pack gives with their confidence, the surest first.

        A tag that passes brings its ancestors; they are at least as sure as it is. Votes of
        packs and for concepts that are not known count for nothing.
        """
        return {name: self._given(name, found) for name, found in votes.items()}

    def threshold(self, pack: str, tag: TagId) -> float | None:
        """Return the score above which a pack ("default-1") gives a tag today.

        None for a pack of another version, whose scores mean something else.
        """
        found = self._packs.get(pack)
        return None if found is None else found.calibration.threshold(tag)

    def _given(self, name: str, votes: Votes) -> tuple[Scored, ...]:
        calibration = self._calibrations.get(name)
        if calibration is None:
            return ()
        known = [tag for tag in sorted(votes) if self._graph.name(tag) is not None]
        sure = _confidence(calibration, known, votes)
        passed: dict[TagId, float] = {}
        for tag in known:
            if votes[tag] > calibration.threshold(tag):
                for implied in {tag} | self._graph.ancestors(tag):
                    least = max(sure[tag], sure.get(implied, 0.0))
                    passed[implied] = max(least, passed.get(implied, 0.0))
        return ordered(passed)


def _confidence(calibration: Calibration, tags: list[TagId], votes: Votes) -> dict[TagId, float]:
    if calibration.certainty is None or not tags:
        return dict(votes)
    scores = np.array([votes[tag] for tag in tags], dtype=np.float32)
    thresholds = np.array([calibration.threshold(tag) for tag in tags], dtype=np.float32)
    return dict(zip(tags, map(float, calibration.certainty.of(scores, thresholds)), strict=True))


@functools.cache
def load() -> Fusion:
    """Return the fusion of the packs that this tagfs has manifests of; it needs no weights."""
    return Fusion(taxonomy.load(), map(packs.load, packs.names()))
