"""Train our own heads, measure them, write models/heads.npz and models/heads.md.

    python scripts/train/heads.py            # the same weights every time; some minutes

Trained on photos of data/train: marks.txt says what is to be seen in them, marked by eye, and
the class "sunrise" gives the sunsets. Measured on the photos of data/tagging-dev, which come
from other sources and are not used for training. A head whose precision at a recall of .30 is
below .85 there is not written.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass

import numpy as np
from looking import ROOT, classified, test_data
from numpy.typing import NDArray

from tagfs.recognise import packs, taxonomy

RIDGE = 1.0
MIDDLE = 0.3
"""How much the middle feature map counts beside the last one."""
BIAS = 3.0
"""What the bias is multiplied with, so that the ridge hardly holds it."""
LEAST_PRECISION, AT_RECALL = 0.85, 0.30
LEAST_PHOTOS = 8
"""A head that fewer test photos are right for cannot be measured, and is not written."""

SHOWS = {
    "sky": ("sky",),
    "tree": ("tree",),
    "grass": ("grass", "playing field"),
    "building": ("building",),
    "road": ("road", "pavement"),
    "water": ("water", "sea", "river"),
    "snow": ("snow",),
    "mountain": ("mountain",),
    "sand": ("sand",),
    "sunset": ("sunset",),
}
"""The concepts that a head votes for; how far they are to be believed calibrate.py finds out."""
TRUE = {
    "building": {"building", "house"},
    "road": {"road", "pavement"},
    "water": {"sea", "river", "water"},
    "sunset": {"sunset"},
}
"""Labels of tagging-dev that are right for a head; without an entry its own name."""
UNCLEAR = {"grass": {"playing field"}}
"""Photos with these labels and no right one do not count: a playing field may be of grass."""


@dataclass(frozen=True)
class Line:
    """One head: weights (features,), bias."""

    weights: NDArray[np.float64]
    bias: float

    def odds(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the log-odds of (photos, features)."""
        return features @ self.weights + self.bias


def fit(features: NDArray[np.float32], right: NDArray[np.bool_], widths: list[int]) -> Line:
    """Fit a logistic regression with a ridge by Newton's method on its dual.

    ``widths`` are the features of each map; a map counts by how many features it has.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-3
    scale = np.concatenate(
        [np.full(w, (MIDDLE if part else 1.0) / np.sqrt(w)) for part, w in enumerate(widths)]
    )
    x = np.concatenate([(features - mean) / spread * scale, np.full((len(right), 1), BIAS)], axis=1)
    kernel = (x @ x.T / RIDGE).astype(np.float64)
    odds = np.zeros(len(right))
    for _ in range(30):
        share = 1 / (1 + np.exp(-odds))
        weight = np.maximum(share * (1 - share), 1e-6)
        alpha = np.linalg.solve(kernel + np.diag(1 / weight), odds + (right - share) / weight)
        odds = kernel @ alpha
    w = x.T @ alpha / RIDGE
    weights = w[:-1] * scale / spread
    return Line(weights, float(w[-1] * BIAS - mean @ weights))


def average_precision(odds: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the area under the curve of precision over recall."""
    ordered = right[np.argsort(-odds, kind="stable")]
    precision = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    return float(precision[ordered].mean())


def precision_at(odds: NDArray[np.float64], right: NDArray[np.bool_], recall: float) -> float:
    """Return the best precision at this recall or a higher one."""
    ordered = right[np.argsort(-odds, kind="stable")]
    found = np.cumsum(ordered)
    precision = found / np.arange(1, len(ordered) + 1)
    return float(precision[found >= recall * right.sum()].max())


def marked() -> dict[str, set[str]]:
    """Return what is to be seen in the photos that are marked, by file."""
    lines = (ROOT / "scripts/train/marks.txt").read_text().splitlines()
    found = {}
    for line in lines:
        if not line.startswith("#"):
            name, _, words = line.partition(".jpg")
            found[name + ".jpg"] = set(words.split())
    return found


def main() -> None:
    root = test_data() / "data"
    labels = json.loads((root / "train/labels.json").read_text())
    marks = marked()
    sunsets = [f for f in sorted(labels) if labels[f] == "sunrise"]
    files = sorted({*marks, *sunsets})
    seen = classified([root / "train" / f for f in files]).features
    maps = len(seen[0])
    widths = [maps * 352 // 472, maps * 120 // 472]
    is_marked = np.array([f in marks for f in files])
    dev = json.loads((root / "tagging-dev/labels.json").read_text())
    names = sorted(dev)
    other = classified([root / "tagging-dev/photos" / n for n in names]).features
    lines, rows = {}, []
    for head in SHOWS:
        if head == "sunset":
            chosen = np.ones(len(files), bool)
            right = np.array([f in set(sunsets) for f in files])
        else:
            chosen = is_marked
            right = np.array([head in marks.get(f, ()) for f in files])
        line = fit(seen[chosen], right[chosen], widths)
        wanted = TRUE.get(head, {head})
        known, true = [], []
        for i, name in enumerate(names):
            concepts = set(dev[name]["concepts"])
            complete = "panoptic" in dev[name] or head == "sunset"
            unclear = concepts & UNCLEAR.get(head, set()) and not concepts & wanted
            if complete and not unclear:
                known.append(i)
                true.append(bool(concepts & wanted))
        odds, truth = line.odds(other[known]), np.array(true)
        measured = (
            average_precision(odds, truth),
            precision_at(odds, truth, AT_RECALL),
            precision_at(odds, truth, 0.6),
        )
        kept = measured[1] >= LEAST_PRECISION and int(truth.sum()) >= LEAST_PHOTOS
        if kept:
            lines[head] = line
        trained = int(right[chosen].sum())
        rows.append((head, trained, int(truth.sum()), len(known), *measured, kept))
        print(
            json.dumps(
                {
                    "head": head,
                    "trained": trained,
                    "positives": int(truth.sum()),
                    "photos": len(known),
                    "average_precision": round(measured[0], 3),
                    "precision_at_30": round(measured[1], 3),
                    "precision_at_60": round(measured[2], 3),
                    "kept": kept,
                }
            )
        )
    write(lines)
    print(len(marks), "marked photos")
    table(rows)


def write(lines: dict[str, Line]) -> None:
    """Write the weights as float16: kilobytes, without pickles, the same bytes every time."""
    graph = taxonomy.load()
    shows = []
    for head in lines:
        tags = [graph.find(word) for word in SHOWS[head]]
        if None in tags:
            raise SystemExit(f"{head}: a concept is missing in the graph")
        shows.append(" ".join(str(t) for t in tags))
    out = io.BytesIO()
    np.savez(
        out,
        shows=np.array(shows),
        weights=np.stack([line.weights for line in lines.values()]).astype(np.float16),
        biases=np.array([line.bias for line in lines.values()], np.float32),
    )
    (ROOT / "models/heads.npz").write_bytes(out.getvalue())


def table(rows: list[tuple[str, int, int, int, float, float, float, bool]]) -> None:
    """Put the measured figures into the card, between its two marks."""
    path = ROOT / "models/heads.md"
    lines = [
        "| head | marked | in the test photos | average precision | at .30 | at .60 | shipped |",
        "|---|---|---|---|---|---|---|",
    ]
    for head, trained, positives, photos, ap, at30, at60, kept in rows:
        lines.append(
            f"| {head} | {trained} | {positives} of {photos} | {ap:.2f} | {at30:.2f} "
            f"| {at60:.2f} | {'yes' if kept else 'no'} |"
        )
    before, _, rest = path.read_text().partition("<!-- measured -->\n")
    _, _, after = rest.partition("<!-- end -->")
    path.write_text(before + "<!-- measured -->\n" + "\n".join(lines) + "\n<!-- end -->" + after)


if __name__ == "__main__":
    packs.load()
    main()
