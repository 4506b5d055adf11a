"""Make models/concepts.json: ImageNet's classes and what is above them, in everyday words.

Sources: WordNet 3.0 (Debian's wordnet-base) for synsets and hypernyms, the class order of
ImageNet-1k (sorted synset ids) for the leaves, concepts.txt beside this file for the names.

    python scripts/train/make_concepts.py --labels imagenet_labels.txt

The labels are one class a line, the words of its synset separated by commas; a first line
``background`` is skipped. The result depends on nothing else and is the same on every run.
"""

from __future__ import annotations

import argparse
import json
import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Synset:
    """One noun synset of WordNet."""

    words: tuple[str, ...]
    hypernyms: tuple[str, ...]


@dataclass
class Table:
    """What concepts.txt says."""

    names: dict[str, list[str]] = field(default_factory=dict)
    parents: dict[str, list[str]] = field(default_factory=dict)
    more_parents: dict[str, list[str]] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    not_synonyms: set[str] = field(default_factory=set)
    senses: dict[str, str] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)


def fold(word: str) -> str:
    """Return the form in which words compare."""
    return unicodedata.normalize("NFC", word).casefold()


def read_wordnet(path: Path) -> dict[str, Synset]:
    """Return the noun synsets by offset (wndb(5WN))."""
    synsets = {}
    for line in path.read_text(encoding="latin-1").splitlines():
        if line.startswith("  "):
            continue
        fields = line.split(" | ")[0].split()
        count = int(fields[3], 16)
        words = tuple(fields[4 + 2 * i].replace("_", " ") for i in range(count))
        at = 4 + 2 * count
        pointers = [fields[at + 1 + 4 * i : at + 5 + 4 * i] for i in range(int(fields[at]))]
        above = tuple(p[1] for p in pointers if p[0] == "@" and p[2] == "n")
        synsets[fields[0]] = Synset(words, above)
    return synsets


def read_table(path: Path) -> Table:
    """Return the hand-made table; ValueError names a line that says something twice."""
    table = Table()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        kind, _, rest = line.partition(" ")
        if not line or kind == "#":
            continue
        if kind == "=":
            synset, _, names = rest.partition(" ")
            if synset in table.names:
                raise ValueError(f"{path.name}:{number}: {synset} is named twice")
            table.names[synset] = [n.strip() for n in names.split("|")]
        elif kind in "^+":
            synset, *parents = rest.split()
            (table.parents if kind == "^" else table.more_parents)[synset] = parents
        elif kind == "-":
            table.left_out.update(rest.split())
        elif kind == "~":
            table.not_synonyms.update(fold(w.strip()) for w in rest.split("|"))
        elif kind == "!":
            table.added += rest.split()
        elif kind == "@":
            synset, _, label = rest.partition(" ")
            table.senses[label] = synset
        else:
            raise ValueError(f"{path.name}:{number}: unknown mark {kind!r}")
    return table


def classes(labels: list[str], synsets: dict[str, Synset], table: Table) -> list[str]:
    """Return the synset of each label: the first that keeps the ids rising, or the table's."""
    by_words = defaultdict(list)
    for synset, entry in sorted(synsets.items()):
        by_words[tuple(map(fold, entry.words))].append(synset)
    found: list[str] = []
    for label in labels:
        last = found[-1] if found else ""
        candidates = by_words[tuple(fold(w.strip()) for w in label.split(", "))]
        chosen = table.senses.get(label) or min(c for c in candidates if c > last)
        if chosen not in candidates or chosen <= last:
            raise ValueError(f"label {label!r}: {chosen} breaks the order of synset ids")
        found.append(chosen)
    return found


def graph(leaves: list[str], synsets: dict[str, Synset], table: Table) -> dict[str, list[str]]:
    """Return the kept synsets with their kept parents; what is left out is jumped over."""

    def direct(synset: str) -> list[str]:
        own = table.parents.get(synset, list(synsets[synset].hypernyms))
        return own + table.more_parents.get(synset, [])

    def kept_parents(synset: str) -> list[str]:
        result: list[str] = []
        for parent in direct(synset):
            result += kept_parents(parent) if parent in table.left_out else [parent]
        return list(dict.fromkeys(result))

    parents: dict[str, list[str]] = {}
    todo = [*leaves, *table.added]
    while todo:
        synset = todo.pop()
        if synset not in parents:
            parents[synset] = kept_parents(synset)
            todo += parents[synset]

    def above(synset: str) -> set[str]:
        return {a for p in parents[synset] for a in {p} | above(p)}

    for synset, own in parents.items():  # a parent that another parent implies says nothing
        parents[synset] = [p for p in own if not any(p in above(q) for q in own)]
    return parents


def name_all(
    kept: dict[str, list[str]], synsets: dict[str, Synset], table: Table
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return a unique name and unambiguous synonyms for each synset."""
    names = {s: table.names.get(s, list(synsets[s].words))[0] for s in kept}
    taken = Counter(map(fold, names.values()))
    twice = {n: [s for s in kept if fold(names[s]) == n] for n, count in taken.items() if count > 1}
    if twice:
        raise ValueError(f"names used twice: {twice}")
    explicit = {s: table.names.get(s, [])[1:] for s in kept}
    claimed = Counter(fold(w) for words in explicit.values() for w in words)
    wordnet = {
        s: [w for w in synsets[s].words if not re.match(r"[A-Z][a-z]+ [a-z]+$", w) or " dog" in w]
        for s in kept
    }
    offered = Counter(w for words in wordnet.values() for w in set(map(fold, words)))
    synonyms = {}
    for synset in kept:
        own = list(explicit[synset])
        for word in wordnet[synset]:
            key = fold(word)
            if not taken[key] and not claimed[key] and offered[key] == 1:
                own += [] if key in table.not_synonyms else [word]
        for word in explicit[synset]:
            if taken[fold(word)] or claimed[fold(word)] > 1:
                raise ValueError(f"{synset}: the synonym {word!r} is another concept's word")
        synonyms[synset] = list(dict.fromkeys(own))
    return names, synonyms


def check(table: Table, synsets: dict[str, Synset], reached: set[str]) -> None:
    """Raise ValueError for lines of the table that do nothing."""
    for synset in table.names:
        if synset not in reached:
            raise ValueError(f"concepts.txt: {synset} has a name and is not in the graph")
    for synset in {*table.parents, *table.more_parents}:
        if synset not in reached | table.left_out:
            raise ValueError(f"concepts.txt: {synset} has parents and is not in the graph")
    idle = [s for s in table.left_out if s not in synsets]
    if idle:
        raise ValueError(f"concepts.txt: no such synsets: {idle}")


def main() -> None:
    """Write the graph."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet/data.noun"))
    parser.add_argument("--out", type=Path, default=HERE.parent.parent / "models/concepts.json")
    given = parser.parse_args()
    synsets = read_wordnet(given.wordnet)
    table = read_table(HERE / "concepts.txt")
    labels = [w.strip() for w in given.labels.read_text(encoding="utf-8").splitlines()]
    leaves = classes([w for w in labels if w and w != "background"], synsets, table)
    parents = graph(leaves, synsets, table)
    check(table, synsets, set(parents))
    names, synonyms = name_all(parents, synsets, table)
    rows = [
        json.dumps(
            ["n" + s, names[s], synonyms[s], ["n" + p for p in parents[s]]], ensure_ascii=False
        )
        for s in sorted(parents)
    ]
    order = json.dumps(["n" + s for s in leaves])
    given.out.write_text(
        '{"format": 1,\n"source": "WordNet 3.0, names by scripts/train/concepts.txt",\n'
        f'"imagenet": {order},\n"concepts": [\n' + ",\n".join(rows) + "\n]}\n",
        encoding="utf-8",
    )
    print(f"{len(rows)} concepts, {len(leaves)} of them classes of ImageNet")


if __name__ == "__main__":
    main()
