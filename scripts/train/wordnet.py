"""Read the nouns of WordNet 3.0 (wndb(5WN)) and ask simple things of them."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

BINOMIAL = re.compile(r"([A-Z][a-z]+) [A-Za-z][a-z-]+( [a-z-]+)?$")
NATURE = {"00004258", "00019128", "14991712", "00021265", "07555863"}
"""Living things, natural objects (fruit, seeds), what plants are made of, and food."""
PERSON = "00007846"


@dataclass(frozen=True)
class Synset:
    """One noun synset of WordNet."""

    words: tuple[str, ...]
    hypernyms: tuple[str, ...]
    members: tuple[str, ...] = ()
    """The synsets that are members of this one, such as the species of a genus."""
    scientific: tuple[str, ...] = ()
    """Those of the words that are scientific names of species."""

    @property
    def everyday(self) -> tuple[str, ...]:
        """Return the other words."""
        return tuple(w for w in self.words if w not in self.scientific)


@dataclass(frozen=True)
class Nouns:
    """All synsets by offset, with the ways back."""

    synsets: dict[str, Synset]

    @cached_property
    def by_word(self) -> dict[str, list[str]]:
        """Synsets by folded word, in the order of their offsets."""
        found = defaultdict(list)
        for synset, entry in sorted(self.synsets.items()):
            for word in dict.fromkeys(map(fold, entry.words)):
                found[word].append(synset)
        return found

    @cached_property
    def below(self) -> dict[str, list[str]]:
        """Direct hyponyms by synset."""
        found = defaultdict(list)
        for synset, entry in sorted(self.synsets.items()):
            for above in entry.hypernyms:
                found[above].append(synset)
        return found

    def above(self, synset: str) -> set[str]:
        """Return the synset and everything above it."""
        found: set[str] = set()
        todo = [synset]
        while todo:
            one = todo.pop()
            if one not in found:
                found.add(one)
                todo += self.synsets[one].hypernyms
        return found

    def is_of_nature(self, word: str) -> bool:
        """Whether all that a word means lives and is no person, or is the wood or food of it."""
        meanings = [self.above(s) for s in self.by_word.get(fold(word), ())]
        return all(m & NATURE and PERSON not in m for m in meanings)

    def nearest_common(self, synsets: list[str]) -> str | None:
        """Return the lowest synset that is above (or is) each of these."""
        if not synsets:
            return None
        common = set.intersection(*map(self.above, synsets))
        lowest = [c for c in common if not any(c in self.above(d) - {d} for d in common)]
        return min(lowest, default=None)


def fold(word: str) -> str:
    """Return the form in which words compare."""
    return unicodedata.normalize("NFC", word).casefold()


def plain(word: str) -> str:
    """Return the form in which words compare that are told apart by their letters only."""
    return fold(word).translate(str.maketrans("", "", " -'"))


def read_wordnet(path: Path) -> dict[str, Synset]:
    """Return the noun synsets by offset."""
    synsets: dict[str, Synset] = {}
    for line in path.read_text(encoding="latin-1").splitlines():
        if line.startswith("  "):
            continue
        fields = line.split(" | ")[0].split()
        count = int(fields[3], 16)
        words = tuple(fields[4 + 2 * i].replace("_", " ") for i in range(count))
        at = 4 + 2 * count
        pointers = [fields[at + 1 + 4 * i : at + 5 + 4 * i] for i in range(int(fields[at]))]
        above = tuple(p[1] for p in pointers if p[0] == "@" and p[2] == "n")
        members = tuple(p[1] for p in pointers if p[0] == "%m" and p[2] == "n")
        synsets[fields[0]] = Synset(words, above, members)
    genera = {
        w.removeprefix("genus ") for s in synsets.values() for w in s.words if w[:6] == "genus "
    }
    for offset, synset in synsets.items():
        matches = [BINOMIAL.match(w) for w in synset.words]
        scientific = tuple(m[0] for m in matches if m and m[1] in genera)
        if scientific:
            synsets[offset] = replace(synset, scientific=scientific)
    return synsets


def small_words(folder: Path) -> set[str]:
    """Return every single word that WordNet writes in small letters, of any part of speech."""
    found = set()
    for part in ("noun", "adj", "verb", "adv"):
        for line in (folder / f"data.{part}").read_text(encoding="latin-1").splitlines():
            if not line.startswith("  "):
                fields = line.split()
                words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
                found |= {w.partition("(")[0] for w in words if w[0].islower()}
    return found
