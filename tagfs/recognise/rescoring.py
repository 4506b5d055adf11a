"""Tags once more from kept scores, with today's thresholds and concept graph: no picture needed."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from tagfs.model import Scored
from tagfs.recognise import face_pack, packs, stacking, taxonomy
from tagfs.recognise.packs import DEFAULT, Gate, Pack, is_open
from tagfs.recognise.scoring import by_form
from tagfs.recognise.stacking import Stacking
from tagfs.recognise.taxonomy import ConceptGraph

READERS = 2
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
        votes = {name: {s.tag: s.confidence for s in kept} for name, kept in scores.items()}
        kept = votes.get(DEFAULT, {})
        found = dict(kept)
        for tag in kept.keys() & self._classes:
            for above in self._graph.ancestors(tag) - kept.keys():
                found[above] = min(1.0, found.get(above, 0.0) + kept[tag])
        forms = by_form(votes | {DEFAULT: found})
        return stacking.rows(self._decides.fuse(forms), DEFAULT)

    def lacks(self, scores: Mapping[str, Iterable[Scored]]) -> bool:
        """Whether a pack that is installed would look at the photo and has not."""
        votes = {name: {s.tag: s.confidence for s in kept} for name, kept in scores.items()}
        return any(is_open(self._others[name], votes) for name in self._others.keys() - votes)


def todays() -> Rescorer:
    """Return the rescorer of the packs as this tagfs ships them; it needs no weights."""
    known = map(packs.load, packs.names()[1:])
    others: dict[str, Sequence[Gate]] = {p.name: p.gates for p in known if packs.is_there(p)}
    if all(path.exists() for path in face_pack.model_paths(face_pack.load())):
        others[face_pack.NAME] = ()
    return Rescorer(packs.load(), taxonomy.load(), stacking.load(), others)


def decoders() -> str:
    """Return which decoders and readers look at files: what one cannot read, another may."""
    versions = [f"readers {READERS}"]
    for name in ("pillow", "pillow-heif"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} missing")
    return ", ".join(versions)
