"""Give the species of a label file their place in the concept graph: id, name, parents.

A label is ``Scientific name (Common Name)``. What is above a species comes from the last words
of its common name (a stink bug is a bug), from its genus, or from species.txt beside this file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from wordnet import Nouns, fold, plain

ESCAPE = re.compile(r"\\(?:x|u)([0-9a-f]{2}(?:[0-9a-f]{2})?)")
"""Letters beyond ASCII stand in the label files as they would in a program."""
LABEL = re.compile(r"(?P<scientific>[^(]+) \((?P<common>.*)\)$")


@dataclass(frozen=True)
class Species:
    """One label: the scientific name as written, the common name or nothing."""

    scientific: str
    common: str

    @property
    def id(self) -> str:
        """The id of a concept of its own: of the scientific name only, so that it stays."""
        ascii_name = self.scientific.replace("×", " x ").lower()
        return "s." + "-".join(re.findall(r"[a-z0-9]+", ascii_name))

    @property
    def genus(self) -> str:
        """The first word of the scientific name."""
        return self.scientific.split()[0]

    @property
    def species(self) -> str:
        """The scientific name without a subspecies."""
        return " ".join(self.scientific.split()[:2])


@dataclass
class Rules:
    """What species.txt says."""

    roots: dict[str, str] = field(default_factory=dict)
    by_genus: set[str] = field(default_factory=set)
    groups: dict[str, str] = field(default_factory=dict)
    same: dict[str, str] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    no_heads: set[str] = field(default_factory=set)
    parents: dict[str, str] = field(default_factory=dict)
    not_synonyms: set[str] = field(default_factory=set)
    kinds: dict[str, list[str]] = field(default_factory=dict)
    small: set[str] = field(default_factory=set)
    phrases: list[str] = field(default_factory=list)


@dataclass
class Placed:
    """What the species add to the graph, and which concept each label is (None: none)."""

    labels: dict[str, list[str | None]] = field(default_factory=dict)
    parents: dict[str, list[str]] = field(default_factory=dict)
    species: dict[str, Species] = field(default_factory=dict)
    """The species of each concept that is one, whether new or not."""


def read_labels(path: Path) -> list[Species | None]:
    """Return the labels in the order of a model's outputs; ``background`` is None."""
    found: list[Species | None] = []
    for line in ESCAPE.sub(lambda m: chr(int(m[1], 16)), path.read_text("utf-8")).splitlines():
        if line.strip() == "background":
            found.append(None)
        elif line.strip():
            match = LABEL.match(line.strip())
            if match is None:
                raise ValueError(f"{path.name}: {line!r} is no scientific name with a common one")
            common = " ".join(match["common"].replace("’", "'").split())
            found.append(Species(" ".join(match["scientific"].split()), common))
    return found


def read_rules(path: Path) -> Rules:
    """Return the rules for species; ValueError names a line that says something twice."""
    rules = Rules()
    labels = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        kind, _, rest = line.partition(" ")
        if not line or kind == "#":
            continue
        first, _, listed = rest.partition(":")
        entries: dict[str, str] = {}
        known: dict[str, str] = {}
        if kind == "root":
            labels, synset = rest.split()
            rules.roots[labels] = synset
            continue
        if kind == "genus":
            rules.by_genus.add(rest)
            continue
        if kind == "small":
            rules.small.update(rest.split())
            continue
        if kind == "phrase":
            rules.phrases += [p.strip() for p in rest.split("|")]
            continue
        if kind == "kind":
            synset, _, names = rest.partition(" ")
            rules.kinds[synset] = [n.strip() for n in names.split("|")]
            continue
        if kind in ("nohead", "nosynonym"):
            words = rules.no_heads if kind == "nohead" else rules.not_synonyms
            words.update(fold(w.strip()) for w in rest.split("|"))
            continue
        if kind == "group":
            entries = dict.fromkeys((f"{labels} {genus}" for genus in listed.split()), first)
            known = rules.groups
        elif kind == "parent":
            entries, known = {w.strip(): first for w in listed.split("|")}, rules.parents
        elif kind == "is":
            entries, known = {w.strip(): first for w in listed.split("|")}, rules.same
        elif kind == "head":
            entries, known = {fold(w.strip()): first for w in listed.split("|")}, rules.heads
        else:
            raise ValueError(f"{path.name}:{number}: unknown mark {kind!r}")
        if twice := entries.keys() & known.keys():
            raise ValueError(f"{path.name}:{number}: {sorted(twice)} stand there already")
        known.update(entries)
    return rules


class Places:
    """Finds what is above a species."""

    def __init__(self, nouns: Nouns, rules: Rules, above: Callable[[str], set[str]]) -> None:
        """``above`` returns a synset or a concept of ours with everything above it."""
        self._nouns = nouns
        self._rules = rules
        self.above = above

    def sense(self, word: str, root: str, genus: str) -> str | None:
        """Return the kind below ``root`` that a word means; the genus decides between several."""
        if fold(word) in self._rules.no_heads:
            return None
        if fold(word) in self._rules.heads:
            found = self._rules.heads[fold(word)]
            return found if root in self.above(found) or found.startswith("h.") else None
        senses = [
            s
            for form in (word, *singular(word))
            for s in self._nouns.by_word.get(fold(form), ())
            if s != root and root in self.above(s) and self._may_be(s, form, genus)
        ]
        if len(senses) > 1:
            kind = self.genus_kind(genus, root)
            near = [s for s in senses if kind and (kind in self.above(s) or s in self.above(kind))]
            senses = near or senses
        general = [s for s in senses if all(s in self.above(t) for t in senses)]
        return (general or senses or [None])[0]

    def _may_be(self, synset: str, word: str, genus: str) -> bool:
        """Whether a word stands for a kind also where WordNet knows it as one species.

        A pintail is one of several in everyday speech; a California black walnut is not.
        """
        names = self._nouns.synsets[synset].scientific
        return not names or (" " not in word and any(n.split()[0] == genus for n in names))

    def _is_one_species(self, synset: str, genus: str) -> bool:
        entry = self._nouns.synsets[synset]
        return any(w.startswith(f"{genus} ") for w in entry.scientific)

    def head(self, species: Species, root: str) -> str | None:
        """Return the kind that the longest end of the common name means."""
        words = species.common.replace("-", " - ").split()
        for start in range(len(words)):
            if words[start] == "-":
                continue
            for ending in endings(words[start:]):
                found = self.sense(ending, root, species.genus)
                if found is not None:
                    return found
        return None

    def genus_kind(self, genus: str, root: str) -> str | None:
        """Return what WordNet's members of a genus have in common: oak for Quercus."""
        for synset in self._nouns.by_word.get(fold(f"genus {genus}"), ()):
            members = [m for m in self._nouns.synsets[synset].members if root in self.above(m)]
            kinds = [m for m in members if not self._is_one_species(m, genus)]
            if len(kinds) == 1:
                return kinds[0]
            above = kinds or [h for m in members for h in self._nouns.synsets[m].hypernyms]
            common = self._nouns.nearest_common(above)
            if common is not None and root in self.above(common):
                return common
        return None

    def root(self, species: Species, labels: str) -> str:
        """Return what every species of these labels, or of this genus, is below."""
        return self._rules.groups.get(f"{labels} {species.genus}", self._rules.roots[labels])

    def parent(self, species: Species, labels: str, taken: set[str]) -> str:
        """Return what is directly above a species; a taken kind is one species itself."""
        for name in (species.scientific, species.species):
            if name in self._rules.parents:
                return self._rules.parents[name]
        root = self.root(species, labels)
        head = self.head(species, root)
        kind = self.genus_kind(species.genus, root)
        if kind in taken:
            above = self._nouns.synsets[kind].hypernyms if kind else ()
            kind = next((a for a in above if root in self.above(a)), None)
        if head is None or kind is None:
            return head or kind or root
        if head in self.above(kind) or kind in self.above(head):
            return kind if head in self.above(kind) else head
        return kind if labels in self._rules.by_genus else head


def singular(word: str) -> list[str]:
    """Return the forms that a plural may come from."""
    forms = []
    for ending, instead in (("ies", "y"), ("ves", "f"), ("es", ""), ("s", "")):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            forms.append(word.removesuffix(ending) + instead)
    return forms


def endings(words: list[str]) -> list[str]:
    """Return how the words may be written together: with hyphens, with spaces, as one word."""
    text = " ".join(words)
    return list(
        dict.fromkeys((text.replace(" - ", "-"), text.replace(" - ", " "), text.replace(" - ", "")))
    )


def written_everyday(names: list[str], small: set[str], rules: Rules) -> dict[str, str]:
    """Return common names in small letters, save for what is named after someone or somewhere.

    A word is small when WordNet or another label writes it small; what neither knows is small
    as the last word of a name (the kind: bluet, tityra) and else left as it stands.
    """
    seen = {w for name in names for w in re.split(r"[ -]", name)[1:] if w[:1].islower()}

    def word(text: str, last: bool) -> str:
        bare = text.strip("()").removesuffix("'s").removesuffix("'")
        lower = bare[:1].lower() + bare[1:]
        if not bare[:1].isupper():
            return text
        possessive = "'" in text and text.strip("()") != bare
        forms = {lower, *singular(lower)}
        if rules.small & forms or (not possessive and (forms & small or text.lower() in seen)):
            return text.replace(bare, lower, 1)
        return text.replace(bare, lower, 1) if last and not possessive else text

    phrases = re.compile(r"\b(" + "|".join(map(re.escape, rules.phrases)) + r")\b", re.IGNORECASE)
    written = {fold(p): p for p in rules.phrases}
    found = {}
    for name in names:
        parts = re.split(r"([ -])", name)
        text = "".join(word(part, at == len(parts) - 1) for at, part in enumerate(parts))
        found[name] = phrases.sub(lambda m: written[fold(m[0])], text) if rules.phrases else text
    return found


def place(
    sets: dict[str, list[Species | None]],
    places: Places,
    nouns: Nouns,
    rules: Rules,
    known: dict[str, str],
    named: set[str],
) -> Placed:
    """Decide which concept each species is and what is above the new ones.

    ``known`` has the concepts that are there already, by folded word; ``named`` those of the
    words that are names.
    """
    listed = [(labels, s) for labels, all_of in sets.items() for s in all_of if s is not None]
    common = Counter(fold(s.common) for _, s in listed)
    concept = _known_species(listed, places, nouns, rules, known, named)
    heads = {s: places.head(s, places.root(s, labels)) for labels, s in listed}
    for species, kind in list(concept.items()):
        others = [s for s, head in heads.items() if head == kind and s.species != species.species]
        if others and kind not in known.values():
            del concept[species]  # "pintail" stands for several; the northern pintail is below it
    taken = set(concept.values())
    parents = {s: places.parent(s, n, taken) for n, s in listed if s not in concept}
    children = Counter(parents.values())
    for species in parents:
        kind = heads[species]
        if kind is None or kind not in nouns.synsets or kind in taken or nouns.below.get(kind):
            continue
        others = children[kind] - (parents[species] == kind)
        alone = not others and common[fold(species.common)] == 1
        if alone and plain(species.common) in map(plain, nouns.synsets[kind].words):
            concept[species] = kind
    placed = Placed()
    by_name = {s.scientific: concept.get(s, s.id) for _, s in listed}
    for labels, all_of in sets.items():
        placed.labels[labels] = [None if s is None else by_name[s.scientific] for s in all_of]
    for _, species in listed:
        own = by_name[species.scientific]
        placed.species[own] = species
        if species not in concept:
            whole = species.species if species.species != species.scientific else ""
            placed.parents[own] = [by_name.get(whole, parents[species])]
    return placed


def _known_species(
    listed: list[tuple[str, Species]],
    places: Places,
    nouns: Nouns,
    rules: Rules,
    known: dict[str, str],
    named: set[str],
) -> dict[Species, str]:
    """Return the species that are there: by a concept's name, in WordNet, by a synonym."""
    by_scientific = {w: s for s, e in sorted(nouns.synsets.items()) for w in e.scientific}
    common = Counter(fold(s.common) for _, s in listed)
    single = {s: known.get(fold(s.common)) for _, s in listed if common[fold(s.common)] == 1}
    found: dict[Species, str] = {}
    taken: set[str] = set()
    for claims in (
        {s: rules.same.get(s.scientific) for _, s in listed},
        {s: c for s, c in single.items() if fold(s.common) in named},
        {s: by_scientific.get(s.scientific) for _, s in listed},
        single,
    ):
        for labels, species in listed:
            concept = claims.get(species)
            if concept is None or species in found or concept in taken:
                continue
            if places.root(species, labels) in places.above(concept):
                found[species] = concept
                taken.add(concept)
    return found
