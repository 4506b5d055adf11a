"""The concept graph: plain English names, synonyms and parents of what recognisers can see.

The graph is data (``models/concepts.json``, made by ``scripts/train/make_concepts.py``). Names
and synonyms are unique when casefolded, so that a word means one concept or none. A concept may
have several parents (a tank is an armoured and a tracked vehicle).
"""

from __future__ import annotations

import functools
import json
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from tagfs.errors import Integrity
from tagfs.model import TagId


def fold(word: str) -> str:
    """Return the form in which names compare: NFC, casefolded, single spaces."""
    if word.isascii():
        return " ".join(word.lower().split())
    folded = unicodedata.normalize("NFC", word).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())


class Concept(NamedTuple):
    """One thing that a recogniser may see; a tuple, because thousands are made at every start."""

    id: TagId
    name: str
    synonyms: tuple[str, ...]
    parents: tuple[TagId, ...]


class ConceptGraph:
    """An immutable acyclic graph of concepts; implements ``model.Taxonomy``."""

    def __init__(
        self,
        concepts: Iterable[Concept],
        classes: Mapping[str, tuple[TagId | None, ...]] | None = None,
    ) -> None:
        """Index the concepts.

        Raises:
            Integrity: a word means two concepts, a parent or a class is unknown or the graph has
                a cycle.
        """
        self._concepts = {c.id: c for c in concepts}
        self._classes = dict(classes or {})
        self._words: dict[str, TagId] = {}
        for tag, name, synonyms, _ in self._concepts.values():
            for word in (name, *synonyms):
                if self._words.setdefault(fold(word), tag) != tag:
                    raise Integrity(f"The concept graph gives the word {word!r} two meanings.")
        for concept in self._concepts.values():
            for parent in concept.parents:
                if parent not in self._concepts:
                    raise Integrity(f"The concept {concept.id} has an unknown parent {parent}.")
        for labels, order in self._classes.items():
            if unknown := set(order) - self._concepts.keys() - {None}:
                raise Integrity(f"The label set {labels} has unknown concepts: {unknown}.")
        # By parents, not by concept: thousands of species have the same few parents.
        self._above: dict[tuple[TagId, ...], frozenset[TagId]] = {(): frozenset()}
        for parents in {concept.parents for concept in self._concepts.values()}:
            self._gather(parents, ())

    def _gather(self, parents: tuple[TagId, ...], path: tuple[TagId, ...]) -> frozenset[TagId]:
        if parents not in self._above:
            above = set(parents)
            for parent in parents:
                if parent in path:
                    raise Integrity(f"The concept graph has a cycle through {parent}.")
                above |= self._gather(self._concepts[parent].parents, (*path, parent))
            self._above[parents] = frozenset(above)
        return self._above[parents]

    def __len__(self) -> int:
        return len(self._concepts)

    def __contains__(self, tag: object) -> bool:
        return tag in self._concepts

    def name(self, tag: TagId) -> str | None:
        """Return the plain English name, None for a tag that is no concept."""
        concept = self._concepts.get(tag)
        return concept.name if concept else None

    def synonyms(self, tag: TagId) -> tuple[str, ...]:
        """Return further words for the concept, without its name; empty for an unknown tag."""
        concept = self._concepts.get(tag)
        return concept.synonyms if concept else ()

    def parents(self, tag: TagId) -> tuple[TagId, ...]:
        """Return the concepts directly above; empty for an unknown tag."""
        concept = self._concepts.get(tag)
        return concept.parents if concept else ()

    def children(self, tag: TagId) -> tuple[TagId, ...]:
        """Return the concepts directly below; empty for an unknown tag."""
        return tuple(self._children.get(tag, ()))

    @functools.cached_property
    def _children(self) -> dict[TagId, list[TagId]]:
        found: dict[TagId, list[TagId]] = {}
        for concept in self._concepts.values():
            for parent in concept.parents:
                found.setdefault(parent, []).append(concept.id)
        return found

    def ancestors(self, tag: TagId) -> frozenset[TagId]:
        """Return every concept above ``tag``, without itself; empty for an unknown tag."""
        concept = self._concepts.get(tag)
        return self._above[concept.parents] if concept else frozenset()

    def find(self, word: str) -> TagId | None:
        """Return the concept with this name or synonym (NFC casefold compared)."""
        return self._words.get(fold(word))

    def all(self) -> tuple[TagId, ...]:
        """Return every concept, ordered by id."""
        return tuple(sorted(self._concepts))

    def classes(self, labels: str) -> tuple[TagId | None, ...]:
        """Return the concept of each output of a network that uses this label set.

        None stands for an output that means nothing, such as the background.

        Raises:
            Integrity: the graph has no label set of that name.
        """
        try:
            return self._classes[labels]
        except KeyError:
            raise Integrity(f"The concept graph has no label set {labels!r}.") from None

    def reached(self, names: Iterable[str]) -> int:
        """Return how many concepts these label sets reach: their classes and all above them.

        Raises:
            Integrity: the graph has no label set of one of the names.
        """
        found = {tag for name in names for tag in self.classes(name) if tag is not None}
        return len(found.union(*map(self.ancestors, found)))


def parse(text: str) -> ConceptGraph:
    """Read the graph from the text of ``concepts.json``.

    Raises:
        Integrity: the text has another form.
    """
    try:
        data = json.loads(text)
        if data["format"] != 1:
            raise Integrity(f"The concept graph has format {data['format']}, not 1.")
        rows = data["concepts"]
        concepts = [Concept(t, name, tuple(words), tuple(above)) for t, name, words, above in rows]
        ids = {None: None} | {c.id: c.id for c in concepts}
        labels = {name: tuple(ids[t] for t in order) for name, order in data["labels"].items()}
        return ConceptGraph(concepts, labels)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Integrity(f"The concept graph cannot be read: {error!r}.") from error


def shipped(name: str) -> Path:
    """Return the path of a file of ``models/``, in an installation or in a checkout."""
    here = Path(__file__).resolve().parent.parent
    installed = here / "models" / name
    return installed if installed.exists() else here.parent / "models" / name


@functools.cache
def load() -> ConceptGraph:
    """Return the graph that this tagfs ships."""
    return parse(shipped("concepts.json").read_text(encoding="utf-8"))
