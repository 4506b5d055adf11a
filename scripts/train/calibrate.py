"""Fit the thresholds of the default pack and write models/default.json.

    python scripts/train/calibrate.py            # fit on all photos, write the manifest
    TAGFS_TEST_DATA=… says where data/tagging-dev lies (default ../shared)

A concept's threshold is the lowest at which its precision on the photos that are complete over
it reaches the target, where precision is shrunk towards the pooled curve of all concepts (an
empirical-Bayes estimate: a concept with few photos borrows from the rest). Concepts that only
the classifier knows keep the default threshold. scripts/bench/tagging.py measures the result on
photos that were not used for fitting.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tagfs.model import TagId
from tagfs.recognise import packs, taxonomy
from tagfs.recognise.decode import decode, prepare
from tagfs.recognise.scoring import Calibration, Certainty, Scorer, log_odds
from tagfs.recognise.sniff import sniff
from tagfs.recognise.worker import Eyes

ROOT = Path(__file__).resolve().parent.parent.parent
GRID = np.array([0.05, 0.08, 0.1, 0.12, 0.15, 0.18, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8])
TARGET = 0.9
PRIOR = 2.0
"""Predictions that the pooled curve counts as, in a concept's own."""
NEVER = 1.01
DEFAULT = 0.3

# Classes that show a concept which is not above them in the graph. People wear, hold and ride
# these things; the others are not seen without the concept.
EVIDENCE = {
    "person": """baseball player;bridegroom;scuba diver;skis;racket;swimming trunks;bikini;
    suit;Windsor tie;mortarboard;academic gown;horizontal bar;parallel bars;balance beam;
    unicycle;crutch;stretcher;military uniform;bulletproof vest;kimono;sarong;abaya;cloak;
    lab coat;gown;crinoline;miniskirt;overskirt;jeans;trench coat;poncho;stole;swimming cap;
    shower cap;bonnet;ski mask;American football helmet;crash helmet;oxygen mask;snorkel;
    neck brace;knee pad;barbell;basketball;rugby ball;volleyball;puck;croquet ball;canoe paddle;
    bobsleigh;dogsled;barbershop;cello;trombone;cornet;French horn;oboe;bassoon;flute;saxophone;
    harmonica;accordion;stage;vestment;bearskin hat;scoreboard;tandem bicycle;rickshaw;
    snowmobile;go-kart;hair spray;nappy;bib;sunglasses;wig;cowboy hat;sombrero;T-shirt;
    sweatshirt;pyjamas;lipstick;parachute;football;tennis ball""",
    "snow": """skis;snowmobile;snowplough;dogsled;bobsleigh;alpine mountain;ski mask""",
    "sea": """breakwater;promontory;sandbar;aircraft carrier;container ship;ocean liner;
    catamaran;trimaran;schooner;yawl;pirate ship;lifeboat;grey whale;killer whale;albatross;
    beach;lighthouse""",
}


@dataclass(frozen=True)
class Photos:
    """The labelled photos and what the network says: probabilities (photos, classes)."""

    names: list[str]
    labels: dict[str, dict[str, object]]
    probabilities: NDArray[np.float32]


def test_data() -> Path:
    """Return the folder of the test data, or end with a message."""
    root = Path(os.environ.get("TAGFS_TEST_DATA") or ROOT.parent / "shared")
    if not (root / "data/tagging-dev/labels.json").exists():
        sys.exit("data/tagging-dev is missing; set TAGFS_TEST_DATA to where it lies.")
    return root


def look(pack: packs.Pack) -> Photos:
    """Run the network over every photo of tagging-dev (a minute on one core)."""
    folder = test_data() / "data/tagging-dev"
    labels = json.loads((folder / "labels.json").read_text())
    prepare()
    eyes = Eyes(pack, packs.read_model(pack))
    names = sorted(labels)
    rows = []
    for name in names:
        data = (folder / "photos" / name).read_bytes()
        rows.append(eyes.probabilities(decode(data, sniff(data[:64])).image)[0])
    return Photos(names, labels, np.array(rows))


def evidence() -> dict[TagId, tuple[TagId, ...]]:
    """Return EVIDENCE by ids; a name that is no class of the network ends the run."""
    graph = taxonomy.load()
    classes = set(graph.classes("imagenet"))
    found = {}
    for concept, names in EVIDENCE.items():
        tag = graph.find(concept)
        ids = {graph.find(n.strip()) for n in names.replace("\n", " ").split(";")}
        if tag is None or None in ids or not ids <= classes:
            missing = [n for n in names.split(";") if graph.find(n.strip()) not in classes]
            sys.exit(f"{concept}: no concept, or no classes: {missing}")
        found[tag] = tuple(sorted(i for i in ids if i is not None))
    return found


def fit(photos: Photos, chosen: NDArray[np.intp], scorer: Scorer) -> dict[TagId, float]:
    """Return the thresholds fitted on the photos with these numbers."""
    graph = taxonomy.load()
    column = {tag: i for i, tag in enumerate(scorer.tags)}
    confidences = scorer.summed(photos.probabilities[chosen])
    counts = {}
    for word in sorted({w for n in photos.names for w in _complete(photos, n)}):
        tag = graph.find(word)
        if tag is None or tag not in column:
            continue
        known = [k for k, i in enumerate(chosen) if word in _complete(photos, photos.names[i])]
        true = np.array([word in _concepts(photos, photos.names[chosen[k]]) for k in known])
        scores = confidences[known, column[tag]]
        right = np.array([(true & (scores > g)).sum() for g in GRID])
        counts[tag] = (right, np.array([(scores > g).sum() for g in GRID]))
    pooled_right = sum(right for right, _ in counts.values())
    pooled = np.maximum.accumulate((pooled_right + 1) / (sum(n for _, n in counts.values()) + 1.5))
    thresholds = {}
    for tag, (right, given) in counts.items():
        precision = (right + PRIOR * pooled) / (given + PRIOR)
        enough = np.flatnonzero(precision >= TARGET)
        thresholds[tag] = float(GRID[enough[0]]) if len(enough) else NEVER
    return thresholds


def fit_certainty(
    photos: Photos, chosen: NDArray[np.intp], thresholds: dict[TagId, float], scorer: Scorer
) -> Certainty:
    """Return the logistic curve of right tags over how far their scores beat the thresholds.

    Fitted by Newton's method on every (photo, concept) that scores above 0.01 and is labelled.
    """
    graph = taxonomy.load()
    column = {tag: i for i, tag in enumerate(scorer.tags)}
    scores = scorer.summed(photos.probabilities[chosen])
    margins, right = [], []
    for row, i in enumerate(chosen):
        for word in _complete(photos, photos.names[i]):
            tag = graph.find(word)
            if tag in thresholds and tag in column and scores[row, column[tag]] > 0.01:
                pair = np.array([scores[row, column[tag]], thresholds[tag]])
                score, threshold = log_odds(pair)
                margins.append(score - threshold)
                right.append(word in _concepts(photos, photos.names[i]))
    x = np.stack([np.ones(len(margins)), np.array(margins)], axis=1)
    y = np.array(right, dtype=np.float64)
    weights = np.zeros(2)
    for _ in range(25):
        p = 1 / (1 + np.exp(-x @ weights))
        weights += np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x, x.T @ (y - p))
    return Certainty(float(weights[0]), float(weights[1]))


def _complete(photos: Photos, name: str) -> list[str]:
    return list(photos.labels[name].get("complete_over", ()))  # type: ignore[call-overload]


def _concepts(photos: Photos, name: str) -> list[str]:
    return list(photos.labels[name]["concepts"])  # type: ignore[call-overload]


def scorer_with(
    pack: packs.Pack, thresholds: dict[TagId, float], certainty: Certainty | None = None
) -> Scorer:
    """Return a scorer with these thresholds and the evidence above."""
    graph = taxonomy.load()
    calibration = Calibration(thresholds, DEFAULT, evidence(), certainty)
    return Scorer(graph.classes(pack.labels), graph, calibration)


def main() -> None:
    path = ROOT / "models/default.json"
    raw = json.loads(path.read_text())
    pack = packs.load()
    photos = look(pack)
    base = scorer_with(pack, {})
    everything = np.arange(len(photos.names))
    thresholds = fit(photos, everything, base)
    certainty = fit_certainty(photos, everything, thresholds, base)
    raw["certainty"] = {
        "intercept": round(certainty.intercept, 3),
        "slope": round(certainty.slope, 3),
    }
    raw["default_threshold"] = DEFAULT
    raw["evidence"] = {t: list(ids) for t, ids in sorted(evidence().items())}
    raw["thresholds"] = {t: round(v, 2) for t, v in sorted(thresholds.items())}
    path.write_text(json.dumps(raw, indent=1) + "\n")
    print(f"{len(thresholds)} thresholds fitted on {len(photos.names)} photos")


if __name__ == "__main__":
    main()
