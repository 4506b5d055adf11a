"""Fit how the votes of all packs combine, and write models/stacking.json.

    python scripts/train/calibrate.py            # fit on all photos of tagging-dev

Each concept that labelled photos tell about gets a logistic line over the log-odds of the votes,
shrunk towards the mean line of its group (the detector's 80 objects, and the rest), because few
concepts have photos enough of their own. Predictions for photos that a line was not fitted on
then put right how sure a group is (Platt, 1999), and choose the cut: the lowest share at which
all tags together are right as often as the target says. It is done for each set of packs that
may be installed. scripts/bench/tagging.py measures the result on photos not used for fitting.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import looking
import numpy as np
from numpy.typing import NDArray

from tagfs.model import TagId
from tagfs.recognise import own_heads, packs, taxonomy
from tagfs.recognise.scoring import Scorer
from tagfs.recognise.stacking import Calibrated, Fit, Line, log_odds

Array = NDArray[np.float64]

TARGET = 0.9
"""Share of right tags, all concepts together, that the cut is chosen for."""
INNER = 4
"""Folds of the photos at hand, for predictions on photos that a line was not fitted on."""
HOLD_REST, HOLD_WEIGHT = {"objects": 1.0, "rest": 0.3}, {"objects": 20.0, "rest": 6.0}
"""How much the lines of a group are held to its mean: inverse variances."""
HOLD_FACES = 0.05
"""Faces speak for one concept only, whose weight is its own."""
FLOORS = {"default": 0.05, "heads": 0.05, "objects": 0.1, "objects:large": 0.1, "faces": 0.05}
SPECIES = {"birds": 0.05, "insects": 0.05, "plants": 0.05}
USUAL = 0.3
"""Score of the classifier from which on concepts without labelled photos are tags."""
USUAL_SPECIES = 0.5
SETS = (
    ("default",),
    ("default", "heads"),
    ("default", "heads", "faces"),
    ("default", "heads", "objects"),
    ("default", "heads", "objects", "faces"),
)
AREA = 0.05
"""Labels of a smaller share of the picture need not be found."""


@dataclass(frozen=True)
class Photo:
    """One labelled photo: what is in it, what is certainly not, and the votes of every pack."""

    name: str
    labels: frozenset[TagId]  # as they were given
    concepts: frozenset[TagId]  # with all that is above them
    complete: frozenset[TagId]
    areas: Mapping[TagId, float]
    votes: Mapping[str, Mapping[TagId, float]]

    def heard(self, installed: Sequence[str]) -> dict[str, Mapping[TagId, float]]:
        """Return the votes of these packs, in all their forms."""
        return {n: v for n, v in self.votes.items() if n.partition(":")[0] in installed}


def photos() -> list[Photo]:
    """Ask every network about the photos of tagging-dev; kept, so that it is done once."""
    root = looking.test_data() / "data/tagging-dev"
    labels = json.loads((root / "labels.json").read_text())
    graph = taxonomy.load()
    names = sorted(labels)
    paths = [root / "photos" / name for name in names]
    seen = looking.classified(paths)
    pack = packs.load()
    scorer = Scorer(graph.classes(pack.labels), graph, pack.evidence)
    heads = own_heads.load()
    found = []
    rows = zip(names, looking.objects(paths), looking.faces(paths), strict=True)
    for i, (name, things, face) in enumerate(rows):
        label = labels[name]
        votes = {
            "default": scorer.votes(seen.probabilities[i]),
            "heads": heads.votes(seen.features[i]),
            "objects": things[""],
            "objects:large": things["large"],
            "faces": {_tag("person"): face} if face else {},
        }
        complete = {_tag(w) for w in label.get("complete_over", ())}
        concepts = {_tag(w) for w in label["concepts"]}
        if label.get("panoptic"):
            complete.add(_tag("water"))
        complete.add(_tag("sunset"))
        above = {a for tag in concepts for a in graph.ancestors(tag)}
        areas = {_tag(w): a for w, a in (label.get("area") or {}).items()}
        found.append(
            Photo(
                name,
                frozenset(concepts),
                frozenset(concepts | above),
                frozenset(complete),
                areas,
                votes,
            )
        )
    return found


def _tag(word: str) -> TagId:
    tag = taxonomy.load().find(word)
    if tag is None:
        raise SystemExit(f"{word} is no concept")
    return tag


def folds(names: Sequence[str], number: int, seed: str) -> NDArray[np.intp]:
    """Deal photos into folds by their names, the same way every time."""
    digests = (hashlib.sha256(f"{seed}{name}".encode()).digest() for name in names)
    return np.array([int.from_bytes(d[:8], "big") % number for d in digests])


@dataclass(frozen=True)
class Pairs:
    """(photo, concept) pairs with a label: lifts (pairs, votes), concept and photo numbers."""

    lifts: Array
    concept: NDArray[np.intp]
    photo: NDArray[np.intp]
    right: Array

    def some(self, chosen: NDArray[np.bool_]) -> Pairs:
        """Return the chosen pairs."""
        return Pairs(
            self.lifts[chosen], self.concept[chosen], self.photo[chosen], self.right[chosen]
        )


def pairs(given: Sequence[Photo], tags: Sequence[TagId], columns: Sequence[str]) -> Pairs:
    """Return every pair of a photo and one of the concepts that its labels are complete over."""
    lifts, concept, photo, right = [], [], [], []
    for i, one in enumerate(given):
        for k, tag in enumerate(tags):
            if tag in one.complete:
                lifts.append([lift(one.votes[c].get(tag, 0.0), c) for c in columns])
                concept.append(k)
                photo.append(i)
                right.append(tag in one.concepts)
    shaped = np.array(lifts).reshape(len(lifts), len(columns))
    return Pairs(shaped, np.array(concept), np.array(photo), np.array(right, np.float64))


def lift(score: float, name: str) -> float:
    """Return how far a vote's log-odds are above its floor's."""
    return max(log_odds(score) - log_odds(FLOORS[name]), 0.0)


@dataclass(frozen=True)
class Lines:
    """Lines of one group of concepts: (concepts, 1 + votes), the rest first."""

    rows: Array

    def odds(self, given: Pairs) -> Array:
        """Return the log-odds of each pair."""
        rows = self.rows[given.concept]
        odds: Array = rows[:, 0] + (given.lifts * rows[:, 1:]).sum(axis=1)
        return odds


def lines(given: Pairs, concepts: int, hold: Array) -> Lines:
    """Fit lines that are held to their mean by ``hold`` (1 + votes); weights are not negative.

    Maximum a posteriori by Newton's method, by turns for the mean line and for each concept's
    distance from it.
    """
    x = np.concatenate([np.ones((len(given.right), 1)), given.lifts], axis=1)
    mean = np.full(x.shape[1], 0.7)
    mean[0] = -3.0
    first, apart = mean.copy(), np.zeros((concepts, x.shape[1]))
    of = [np.flatnonzero(given.concept == k) for k in range(concepts)]
    for _ in range(8):
        for _ in range(2):
            odds = (x * (mean + apart[given.concept])).sum(axis=1)
            share = 1 / (1 + np.exp(-odds))
            weight = share * (1 - share)
            curve = (x * weight[:, None]).T @ x + np.eye(len(mean)) * 0.01
            mean = mean + np.linalg.solve(
                curve, x.T @ (given.right - share) - 0.01 * (mean - first)
            )
            mean[1:] = np.maximum(mean[1:], 0.0)
        for k, chosen in enumerate(of):
            own, right = x[chosen], given.right[chosen]
            for _ in range(3 if len(chosen) else 0):
                share = 1 / (1 + np.exp(-own @ (mean + apart[k])))
                curve = (own * (share * (1 - share))[:, None]).T @ own + np.diag(hold)
                step = np.linalg.solve(curve, own.T @ (right - share) - hold * apart[k])
                apart[k] += step * min(1.0, 3.0 / max(float(np.abs(step).max()), 1e-9))
                apart[k, 1:] = np.maximum(apart[k, 1:], -mean[1:])
    return Lines(mean + apart)


def platt(odds: Array, right: Array) -> tuple[float, float]:
    """Return shift and slope that make log-odds honest about ``right``."""
    x = np.stack([np.ones(len(odds)), np.clip(odds, -15.0, 15.0)], axis=1)
    found = np.array([0.0, 1.0])
    for _ in range(50):
        share = 1 / (1 + np.exp(-x @ found))
        curve = (x * (share * (1 - share))[:, None]).T @ x + np.eye(2) * 0.01
        step = np.linalg.solve(curve, x.T @ (right - share))
        found = found + step * min(1.0, 0.5 / float(np.abs(step).max()))
    return float(found[0]), float(max(found[1], 0.0))


def fit(given: Sequence[Photo], installed: Sequence[str]) -> Fit:
    """Return the calibration for a set of packs, fitted on these photos."""
    graph = taxonomy.load()
    things = {t for t in graph.classes("coco") if t is not None}
    tags = sorted({t for one in given for t in one.complete})
    names = [n for n in FLOORS if n.partition(":")[0] in installed]
    found: dict[TagId, Line] = {}
    shares, rights = [], []
    for group in ("objects", "rest"):
        members = [t for t in tags if (t in things) == (group == "objects")]
        columns = [n for n in names if any(t in one.votes[n] for one in given for t in members)]
        hold = np.array([HOLD_REST[group]] + [HOLD_WEIGHT[group]] * len(columns))
        if "faces" in columns:
            hold[1 + columns.index("faces")] = HOLD_FACES
        every = pairs(given, members, columns)
        fold = folds([one.name for one in given], INNER, "inner")[every.photo]
        odds = np.zeros(len(fold))
        for number in range(INNER):
            without = lines(every.some(fold != number), len(members), hold)
            odds[fold == number] = without.odds(every.some(fold == number))
        seen = every.lifts.max(axis=1) > 0
        shift, slope = platt(odds[seen], every.right[seen])
        shares.append(1 / (1 + np.exp(-(shift + slope * odds[seen]))))
        rights.append(every.right[seen])
        for tag, row in zip(members, lines(every, len(members), hold).rows, strict=True):
            weights = {c: slope * float(w) for c, w in zip(columns, row[1:], strict=True)}
            found[tag] = Line(shift + slope * float(row[0]), weights)
    usual = usual_line(given, frozenset(found))
    at = usual.rest + usual.weights["default"] * lift(USUAL, "default")
    share, right = np.concatenate(shares), np.concatenate(rights)
    return Fit(frozenset(installed), found, usual, cut(share, right), 1 / (1 + np.exp(-at)))


def cut(share: Array, right: Array) -> float:
    """Return the lowest share from which on the tags are right as often as ``TARGET`` says."""
    order = np.argsort(-share, kind="stable")
    precision = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(precision >= TARGET)
    return float(share[order[enough[-1]]]) if len(enough) else 1.01


def usual_line(given: Sequence[Photo], known: frozenset[TagId]) -> Line:
    """Return the line of concepts without labelled photos, from photos of one class each.

    Of such a photo the label, and what is above it, is right; what is below the label may be,
    and is left out; the rest counts as wrong.
    """
    graph = taxonomy.load()
    lifts, right = [], []
    for one in given:
        if one.name.startswith("in_"):
            for tag, score in one.votes["default"].items():
                if tag not in known and not graph.ancestors(tag) & one.concepts:
                    lifts.append(lift(score, "default"))
                    right.append(tag in one.concepts)
                elif tag not in known and tag in one.concepts:
                    lifts.append(lift(score, "default"))
                    right.append(True)
    rest, weight = platt(np.array(lifts) - 3.0, np.array(right, np.float64))
    rest -= 3.0 * weight
    species = weight * lift(USUAL, "default") / (log_odds(USUAL_SPECIES) - log_odds(0.05))
    return Line(rest, {"default": weight} | dict.fromkeys(SPECIES, species))


def calibrated(given: Sequence[Photo], sets: Sequence[Sequence[str]] = SETS) -> Calibrated:
    """Return the fits for these sets of packs."""
    return Calibrated(FLOORS | SPECIES, [fit(given, installed) for installed in sets])


def written(found: Calibrated) -> str:
    """Return the text of models/stacking.json."""
    fits = []
    for one in found.fits:
        names = [*(n for n in found.floors if any(n in x.weights for x in one.lines.values()))]
        names += [n for n in one.usual.weights if n not in names]
        fits.append(
            {
                "packs": sorted(one.packs),
                "weights": names,
                "usual": _row(one.usual, names),
                "cut": round(one.cut, 4),
                "usual_cut": round(one.usual_cut, 4),
                "concepts": {tag: _row(line, names) for tag, line in sorted(one.lines.items())},
            }
        )
    head = {"format": 1, "floors": dict(found.floors)}
    texts = [json.dumps(f).replace('], "', '],\n  "') for f in fits]
    return json.dumps(head)[:-1] + ',\n "fits": [\n ' + ",\n ".join(texts) + "\n ]\n}\n"


def _row(line: Line, names: Sequence[str]) -> list[float]:
    return [round(line.rest, 3), *(round(line.weights.get(n, 0.0), 3) for n in names)]


def main() -> None:
    given = photos()
    found = calibrated(given)
    (looking.ROOT / "models/stacking.json").write_text(written(found))
    for one in found.fits:
        print(sorted(one.packs), f"{len(one.lines)} lines, cut {one.cut:.3f}")


if __name__ == "__main__":
    main()
