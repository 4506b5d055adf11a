"""Tags once more from kept scores, with today's thresholds and concept graph: no picture needed."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

from tagfs.model import Scored, TagId
from tagfs.recognise import face_pack, packs, stacking, taxonomy
from tagfs.recognise.packs import DEFAULT, Gate, Pack, is_open
from tagfs.recognise.scoring import by_form
from tagfs.recognise.stacking import Stacking
from tagfs.recognise.taxonomy import ConceptGraph

READERS = 4
"""Which readers of metadata look at what is not decoded; a higher number reads more of it."""


class Rescores(Protocol):
    """Makes tags of kept scores, or what stands in its place."""

    pack: str

    def tags(self, scores: Mapping[str, Iterable[Scored]]) -> Mapping[str, tuple[Scored, ...]]:
        """Return the tags that each pack gives a photo, by the names of the packs."""

    def lacks(self, scores: Mapping[str, Iterable[Scored]]) -> bool:
        """Whether a pack that is installed would look at the photo and has not."""


class Rescorer:
    """Decides anew by the votes that the networks gave."""

    def __init__(
        self,
        pack: Pack,
        graph: ConceptGraph,
        decides: Stacking,
        others: Mapping[str, Sequence[Gate]],
    ) -> None:
        """``others`` are the gates of the packs that are installed beside the default one."""
        self.pack = pack.id
        self._graph = graph
        self._decides = decides
        self._others = others
        self._classes = frozenset(t for t in graph.classes(pack.labels) if t is not None)

    def tags(self, scores: Mapping[str, Iterable[Scored]]) -> Mapping[str, tuple[Scored, ...]]:
        """Return the tags that pass with their confidence, the surest first, ancestors too.

        A concept that had no score of its own, because the graph did not have it there, is as
        sure as the classes of the default pack below it together.
        """
        return stacking.rows(self._decides.fuse(self._forms(scores)), DEFAULT)

    def shares(self, scores: Mapping[str, Iterable[Scored]]) -> Mapping[TagId, float]:
        """Return how surely a photo has each concept, whether that makes it a tag or not."""
        return self._decides.shares_with_ancestors(self._forms(scores))

    def shipped(self, packs: Iterable[str], tag: TagId) -> float:
        """Return the threshold of a concept where these packs look, by their names."""
        return self._decides.shipped(packs, tag)

    def _forms(self, scores: Mapping[str, Iterable[Scored]]) -> dict[str, dict[TagId, float]]:
        votes = {name: {s.tag: s.confidence for s in kept} for name, kept in scores.items()}
        kept = votes.get(DEFAULT, {})
        found = dict(kept)
        for tag in kept.keys() & self._classes:
            for above in self._graph.ancestors(tag) - kept.keys():
                found[above] = min(1.0, found.get(above, 0.0) + kept[tag])
        return by_form(votes | {DEFAULT: found})

    def lacks(self, scores: Mapping[str, Iterable[Scored]]) -> bool:
        """Whether a pack that is installed would look at the photo and has not."""
        votes = {name: {s.tag: s.confidence for s in kept} for name, kept in scores.items()}
        return any(is_open(self._others[name], votes) for name in self._others.keys() - votes)


def todays(thresholds: Mapping[TagId, float] = MappingProxyType({})) -> Rescorer:
    """Return the rescorer of the packs as this tagfs ships them; it needs no weights.

    ``thresholds`` stand in the place of those that ship, by tag.
    """
    known = map(packs.load, packs.names()[1:])
    others: dict[str, Sequence[Gate]] = {p.name: p.gates for p in known if packs.is_there(p)}
    if all(path.exists() for path in face_pack.model_paths(face_pack.load())):
        others[face_pack.NAME] = ()
    decides = stacking.load().with_thresholds(thresholds)
    return Rescorer(packs.load(), taxonomy.load(), decides, others)


def decoders() -> str:
    """Return which decoders and readers look at files: what one cannot read, another may."""
    versions = [f"readers {READERS}"]
    for name in ("pillow", "pillow-heif"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} missing")
    return ", ".join(versions)
