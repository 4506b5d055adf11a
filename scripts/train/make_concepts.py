"""Make models/concepts.json: what recognisers see and what is above it, in everyday words.

Sources: WordNet 3.0 (Debian's wordnet-base) for synsets and hypernyms, the label files of the
networks, and three tables beside this file: concepts.txt (names for ImageNet's classes and what
is above them), things.txt (COCO's objects and what pictures show as a whole), species.txt.

    python scripts/train/make_concepts.py --labels FOLDER

FOLDER holds imagenet_labels.txt (a class a line, the words of its synset separated by commas, a
first line ``background`` is skipped), inat_{bird,insect,plant}_labels.txt (scientific name (common
name)) and the SSD detector coco_ssd*.tflite, to which its labels are appended as a zip (a class a
line, ??? for outputs that mean nothing). The result depends on nothing else and is the same on
every run.
"""

from __future__ import annotations

import argparse
import functools
import json
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from species import Placed, Places, Rules, Species, place, read_labels, read_rules, written_everyday
from wordnet import Nouns, Synset, fold, plain, read_wordnet, small_words

from tagfs.recognise.taxonomy import parse

HERE = Path(__file__).parent
SPECIES = ("bird", "insect", "plant")


@dataclass
class Table:
    """What concepts.txt and things.txt say."""

    names: dict[str, list[str]] = field(default_factory=dict)
    parents: dict[str, list[str]] = field(default_factory=dict)
    more_parents: dict[str, list[str]] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    not_synonyms: set[str] = field(default_factory=set)
    senses: dict[str, str] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    plain: set[str] = field(default_factory=set)
    """Concepts that have the words of the table and no others."""
    outputs: dict[str, str] = field(default_factory=dict)


def read_table(path: Path, table: Table) -> Table:
    """Add a hand-made table to another; ValueError names a line that says something twice."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        kind, _, rest = line.partition(" ")
        if not line or kind == "#":
            continue
        if kind == "=":
            synset, _, names = rest.partition(" ")
            if synset in table.names:
                raise ValueError(f"{path.name}:{number}: {synset} is named twice")
            table.names[synset] = [n.strip() for n in names.split("|")]
        elif kind == "*":
            thing, has_parents, parents = rest.partition(" <")
            concept, _, names = thing.partition(" ")
            if concept in table.names:
                raise ValueError(f"{path.name}:{number}: {concept} is named twice")
            table.names[concept] = [n.strip() for n in names.split("|")]
            table.plain.add(concept)
            table.added.append(concept)
            if has_parents:
                named = [p.strip() for p in parents.split("|") if p.strip()]
                table.parents[concept] = [numbered(table, p) for p in named]
        elif kind == ":":
            label, _, word = rest.replace(" > ", "\0").partition("\0")
            table.outputs[label] = word
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


def numbered(table: Table, name: str) -> str:
    """Return the concept that the table calls so; a number, and an id of ours, is itself."""
    if name.isdigit() or name.startswith("h."):
        return name
    found = [c for c, names in table.names.items() if names[0] == name]
    if len(found) != 1:
        raise ValueError(f"things.txt: the parent {name!r} is no name of the tables")
    return found[0]


def direct(concept: str, synsets: dict[str, Synset], table: Table) -> list[str]:
    """Return what is directly above a concept, kept or not."""
    own = table.parents.get(concept)
    if own is None:
        own = list(synsets[concept].hypernyms)
    return own + table.more_parents.get(concept, [])


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

    def kept_parents(synset: str) -> list[str]:
        result: list[str] = []
        for parent in direct(synset, synsets, table):
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
    names = {s: (table.names.get(s) or synsets[s].words)[0] for s in kept}
    taken = Counter(map(fold, names.values()))
    twice = {n: [s for s in kept if fold(names[s]) == n] for n, count in taken.items() if count > 1}
    if twice:
        raise ValueError(f"names used twice: {twice}")
    explicit = {s: table.names.get(s, [])[1:] for s in kept}
    claimed = Counter(fold(w) for words in explicit.values() for w in words)
    wordnet = {s: () if s in table.plain else synsets[s].everyday for s in kept}
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


def name_species(
    kept: Iterable[str],
    names: dict[str, str],
    synonyms: dict[str, list[str]],
    nouns: Nouns,
    placed: Placed,
    rules: Rules,
    everyday: dict[str, str],
) -> None:
    """Add the names of species and of the kinds above them to those that are there already.

    Kinds come first, then species; what has a name keeps it. A common name that is taken, or
    that two species have, is followed by the scientific one in brackets. A word of WordNet that
    is more than what grows and lives is no synonym: nobody looks for a bird under trumpeter.
    """
    synsets = nouns.synsets
    taken = {fold(w) for w in names.values()} | {fold(w) for ws in synonyms.values() for w in ws}
    new = [c for c in kept if c not in names]
    nameless = []
    for kind in sorted(set(new) - placed.species.keys()):
        words = rules.kinds.get(kind) or list(synsets[kind].everyday)
        free = [w for w in words if fold(w) not in taken]
        if not free:
            nameless.append(f"{kind} {synsets[kind].words}")
            continue
        names[kind] = free[0]
        taken.add(fold(free[0]))
    if nameless:
        raise ValueError("every word is taken, name them: " + "; ".join(nameless))
    wanted = {}
    for concept in new:
        if concept in placed.species:
            own = placed.species[concept]
            given = rules.kinds.get(concept, [everyday[own.common]])[0]
            wanted[concept] = given or own.scientific
    count = Counter(map(plain, wanted.values()))
    alike = set(map(plain, names.values()))
    for concept, name in wanted.items():
        if fold(name) in taken or plain(name) in alike or count[plain(name)] > 1:
            name = f"{name} ({placed.species[concept].scientific})"
        names[concept] = name
    taken |= {fold(names[c]) for c in wanted}
    for concept in [*new, *(c for c in placed.species if c not in new)]:
        words = list(rules.kinds.get(concept, ()))
        if concept in synsets and concept in new:
            words += [w for w in synsets[concept].everyday if nouns.is_of_nature(w)]
        if concept in placed.species:
            own = placed.species[concept]
            words.append(own.scientific)
            if own.common and concept not in rules.kinds:
                words.append(everyday[own.common])
        synonyms.setdefault(concept, [])
        for word in words:
            if fold(word) not in taken and fold(word) not in rules.not_synonyms:
                synonyms[concept].append(word)
                taken.add(fold(word))


def check_rules(rules: Rules, sets: Iterable[list[Species | None]], reached: set[str]) -> None:
    """Raise ValueError for lines of species.txt that do nothing."""
    listed = [s for all_of in sets for s in all_of if s is not None]
    genera = {s.genus for s in listed}
    idle = [g for g in rules.groups if g.split()[1] not in genera]
    idle += (rules.parents | rules.same).keys() - {
        n for s in listed for n in (s.scientific, s.species)
    }
    idle += rules.kinds.keys() - reached
    if idle:
        raise ValueError(f"species.txt: nothing is called {idle}")


def check_ids(shipped: Path, orders: dict[str, list[str | None]], kept: set[str]) -> None:
    """Raise ValueError where an id of the graph that is there would be gone, or move.

    Galleries have tags under these ids. Remove the file to begin anew, before a release only.
    """
    if not shipped.exists():
        return
    before = json.loads(shipped.read_text(encoding="utf-8"))
    gone = {row[0] for row in before["concepts"]} - kept
    moved = [n for n, o in before["labels"].items() if n in orders and orders[n] != o]
    if gone or moved:
        raise ValueError(f"{shipped.name}: ids never change: {sorted(gone)}, labels {moved}")


def full(concept: str) -> str:
    """Return the id as it stands in the graph: WordNet's offsets begin with an n."""
    return "n" + concept if concept.isdigit() else concept


def main() -> None:
    """Write the graph."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--labels", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--out", type=Path, default=HERE.parent.parent / "models/concepts.json")
    given = parser.parse_args()
    synsets = read_wordnet(given.wordnet / "data.noun")
    table = read_table(HERE / "things.txt", read_table(HERE / "concepts.txt", Table()))
    lines = (given.labels / "imagenet_labels.txt").read_text(encoding="utf-8").splitlines()
    imagenet = [w.strip() for w in lines if w.strip() not in ("", "background")]
    labels: dict[str, list[str | None]] = {"imagenet": [*classes(imagenet, synsets, table)]}
    leaves = [c for c in labels["imagenet"] if c is not None]
    parents = graph(leaves, synsets, table)
    names, synonyms = name_all(parents, synsets, table)
    word = {fold(w): c for c in parents for w in (names[c], *synonyms[c])}

    (detector,) = given.labels.glob("coco_ssd*.tflite")
    with zipfile.ZipFile(detector) as appended:
        coco = appended.read("labelmap.txt").decode("utf-8").splitlines()
    meant = [None if w == "???" else table.outputs.get(f"coco/{w}", w) for w in coco]
    labels["coco"] = [None if w is None else word[fold(w)] for w in meant]

    rules = read_rules(HERE / "species.txt")
    sets = {s + "s": read_labels(given.labels / f"inat_{s}_labels.txt") for s in SPECIES}
    nouns = Nouns(synsets)

    def above(concept: str) -> set[str]:
        return {concept}.union(*map(above, direct(concept, synsets, table)))

    places = Places(nouns, rules, functools.cache(above))
    placed = place(sets, places, nouns, rules, word, {fold(n) for n in names.values()})
    labels |= placed.labels
    table.parents |= placed.parents
    parents = graph([*leaves, *placed.species], synsets, table)
    check(table, synsets, set(parents))
    check_rules(rules, sets.values(), set(parents))
    common = [s.common for all_of in sets.values() for s in all_of if s]
    everyday = written_everyday(common, small_words(given.wordnet), rules)
    name_species(sorted(parents), names, synonyms, nouns, placed, rules, everyday)

    rows = [
        [full(c), names[c], synonyms[c], [full(p) for p in parents[c]]]
        for c in sorted(parents, key=full)
    ]
    orders = {n: [c and full(c) for c in order] for n, order in labels.items()}
    check_ids(given.out, orders, {full(c) for c in parents})
    given.out.write_text(
        '{"format": 1,\n'
        '"source": "WordNet 3.0, names by the tables of scripts/train",\n'
        '"labels": {\n'
        + ",\n".join(f"{json.dumps(name)}: {json.dumps(orders[name])}" for name in orders)
        + '},\n"concepts": [\n'
        + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        + "\n]}\n",
        encoding="utf-8",
    )
    reached = parse(given.out.read_text(encoding="utf-8")).reached
    for count, name in enumerate(orders, 1):
        print(f"{reached(list(orders)[:count])} concepts reached by {name} and those before")
    print(f"{len(rows)} concepts in all")


if __name__ == "__main__":
    main()
