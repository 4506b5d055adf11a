"""From the votes of all packs to tags: each concept's calibrated log-odds, added up. Pure.

A pack's vote on a concept is a score as its network gave it. The packs are combined by a logistic
regression for each concept on the log-odds of the votes (stacked generalisation, Wolpert, 1992)
with weights that are never negative, so that a higher score never takes a tag away. It needs no
picture: kept votes give the tags anew when calibration or graph change. scripts/train/calibrate.py
fits it; docs/accuracy.md says how and how well it holds.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from tagfs.errors import Integrity
from tagfs.model import Scored, TagId, Taxonomy
from tagfs.recognise import taxonomy

Votes = Mapping[str, Mapping[TagId, float]]
"""Of each pack that looked, by its name: the score in [0, 1] of each concept that it saw.

A pack may have a second form of votes under ``name:form``.
"""

GRAIN: Final = 65535
"""Steps of a vote between 0 and 1: kept votes have 16 bits."""


@dataclass(frozen=True, slots=True)
class Line:
    """The log-odds of one concept: ``rest`` where no pack sees it, more with each vote.

    ``weights`` are by pack (and form), none is negative; a vote lifts the log-odds by its weight
    times how far its own log-odds are above the floor's.
    """

    rest: float
    weights: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Fit:
    """The calibration for one set of installed packs."""

    packs: frozenset[str]
    lines: Mapping[TagId, Line]  # of the concepts that labelled photos tell about
    usual: Line  # of all others
    cut: float  # calibrated share from which on a concept is a tag
    usual_cut: float  # the same for the others


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What ``models/stacking.json`` says: floors of the votes by pack and form, and the fits."""

    floors: Mapping[str, float]
    fits: Sequence[Fit]


@dataclass(frozen=True, slots=True)
class Fused:
    """The tags of one picture, the surest first, and each pack's own word on them.

    ``by_pack`` has, for every pack that voted for a tag or for something below it, how sure the
    tag would be if the other packs had seen nothing; all its forms speak together.
    """

    tags: tuple[Scored, ...]
    by_pack: Mapping[str, tuple[Scored, ...]]


def rows(fused: Fused, first: str) -> dict[str, tuple[Scored, ...]]:
    """Return what is recorded of each pack: its own word on every tag, as sure as it is alone.

    The surest pack's row has the share of all together, so that the rows tell it; a tag that no
    pack gives alone stands in the row of ``first``.
    """
    said = {pack: {s.tag: s.confidence for s in own} for pack, own in fused.by_pack.items()}
    for scored in fused.tags:
        having = [pack for pack in said if scored.tag in said[pack]]
        surest = max(having, key=lambda pack: (said[pack][scored.tag], pack), default=first)
        said.setdefault(surest, {})[scored.tag] = scored.confidence
    return {pack: _ordered(own) for pack, own in said.items()}


class Stacking:
    """Combines votes by one calibration, over one concept graph."""

    def __init__(
        self,
        graph: Taxonomy,
        calibrated: Calibrated,
        thresholds: Mapping[TagId, float] = MappingProxyType({}),
    ) -> None:
        """``thresholds`` are those that stand in the place of the calibration's, by tag."""
        self._graph = graph
        self._thresholds = thresholds
        self._calibrated = calibrated
        self._floors = {name: log_odds(floor) for name, floor in calibrated.floors.items()}

    def fuse(self, votes: Votes) -> Fused:
        """Return the tags of a picture.

        A pack that is not installed has no entry in ``votes``; one that is installed and saw
        nothing has an empty one, which says something, too. A concept that passes brings its
        ancestors, which are at least as sure as it is.
        """
        fit = self._fit_for(votes)
        heard = self._heard(votes)
        tags = self._passed(fit, self._shares(fit, heard))
        by_pack = {}
        for pack in sorted({_pack(name) for name in heard}):
            own = {name: given for name, given in heard.items() if _pack(name) == pack}
            alone = self._with_ancestors(self._shares(fit, own))
            if said := {tag: alone[tag] for tag in tags if tag in alone}:
                by_pack[pack] = _ordered(said)
        return Fused(_ordered(tags), by_pack)

    def shares(self, votes: Votes) -> dict[TagId, float]:
        """Return the calibrated share in [0, 1] of every concept with a vote, tag or not."""
        return self._shares(self._fit_for(votes), self._heard(votes))

    def shares_with_ancestors(self, votes: Votes) -> dict[TagId, float]:
        """Return the same with every ancestor, at least as sure as what is below it."""
        return self._with_ancestors(self.shares(votes))

    def shipped(self, packs: Iterable[str], tag: TagId) -> float:
        """Return the calibration's own threshold for a concept, where these packs look."""
        fit = self._fit_for(packs)
        return fit.cut if tag in fit.lines else fit.usual_cut

    def with_thresholds(self, thresholds: Mapping[TagId, float]) -> Stacking:
        """Return the same calibration with other thresholds for some tags."""
        return Stacking(self._graph, self._calibrated, thresholds)

    def _fit_for(self, names: Iterable[str]) -> Fit:
        """Return the fit for the most of these packs; the first one where none fits."""
        packs = {_pack(name) for name in names}
        fitting = [f for f in self._calibrated.fits if f.packs <= packs]
        chosen = max(fitting, key=lambda f: len(f.packs), default=None)
        return chosen if chosen is not None else self._calibrated.fits[0]

    def _heard(self, votes: Votes) -> dict[str, dict[TagId, float]]:
        """Return how far each vote's log-odds are above the floor, where they are."""
        heard: dict[str, dict[TagId, float]] = {}
        for name in sorted(votes.keys() & self._floors.keys()):
            lifts = {
                tag: log_odds(quantised(score)) - self._floors[name]
                for tag, score in votes[name].items()
                if self._graph.name(tag) is not None
            }
            heard[name] = {tag: lift for tag, lift in lifts.items() if lift > 0.0}
        return heard

    def _shares(self, fit: Fit, heard: Mapping[str, Mapping[TagId, float]]) -> dict[TagId, float]:
        odds: dict[TagId, float] = {}
        for name, lifts in heard.items():
            for tag, lift in lifts.items():
                line = fit.lines.get(tag, fit.usual)
                odds[tag] = odds.get(tag, line.rest) + line.weights.get(name, 0.0) * lift
        return {tag: _share(value) for tag, value in odds.items()}

    def _passed(self, fit: Fit, shares: Mapping[TagId, float]) -> dict[TagId, float]:
        passed = {
            tag: share
            for tag, share in shares.items()
            if share >= self._thresholds.get(tag, fit.cut if tag in fit.lines else fit.usual_cut)
        }
        tags = self._with_ancestors(passed)
        tags = {tag: max(share, shares.get(tag, 0.0)) for tag, share in tags.items()}
        # What is not sure enough for a threshold that was raised is not brought by what is below.
        short = {t for t in tags.keys() & self._thresholds.keys() if tags[t] < self._thresholds[t]}
        if not short:
            return tags
        return {
            t: share
            for t, share in tags.items()
            if short.isdisjoint({t} | self._graph.ancestors(t))
        }

    def _with_ancestors(self, shares: Mapping[TagId, float]) -> dict[TagId, float]:
        found: dict[TagId, float] = {}
        for tag, share in shares.items():
            for implied in {tag} | self._graph.ancestors(tag):
                found[implied] = max(share, found.get(implied, 0.0))
        return found


def quantised(score: float) -> float:
    """Return a vote as its 16 bits keep it, so that kept votes give the same tags again."""
    return round(min(max(score, 0.0), 1.0) * GRAIN) / GRAIN


def log_odds(share: float) -> float:
    """Return ln(p / (1 - p)) for p kept between .005 and .995, so that no vote is all."""
    kept = min(max(share, 0.005), 0.995)
    return math.log(kept / (1 - kept))


def parse(text: str) -> Calibrated:
    """Read ``models/stacking.json``.

    Raises:
        Integrity: the text has another form, or a weight is negative.
    """
    try:
        raw = json.loads(text)
        if raw["format"] != 1:
            raise Integrity(f"The calibration has format {raw['format']}, not 1.")
        floors = {str(name): float(floor) for name, floor in raw["floors"].items()}
        fits = tuple(map(_fit, raw["fits"]))
        if not fits:
            raise ValueError("no fits")
        return Calibrated(floors, fits)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise Integrity(f"The calibration cannot be read: {error!r}.") from error


@functools.cache
def load() -> Stacking:
    """Return the combination of packs that this tagfs ships, over its concept graph."""
    text = taxonomy.shipped("stacking.json").read_text(encoding="utf-8")
    return Stacking(taxonomy.load(), parse(text))


def _fit(raw: Mapping[str, Any]) -> Fit:
    names = [str(name) for name in raw["weights"]]
    lines = {TagId(tag): _line(names, row) for tag, row in raw["concepts"].items()}
    usual = _line(names, raw["usual"])
    packs = frozenset(map(str, raw["packs"]))
    return Fit(packs, lines, usual, float(raw["cut"]), float(raw["usual_cut"]))


def _line(names: Sequence[str], row: Sequence[float]) -> Line:
    rest, *weights = map(float, row)
    if not all(map(math.isfinite, [rest, *weights])) or min(weights) < 0:
        raise ValueError("weight")
    return Line(rest, dict(zip(names, weights, strict=True)))


def _pack(name: str) -> str:
    return name.partition(":")[0]


def _share(odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(min(odds, 30.0), -30.0)))


def _ordered(scored: Mapping[TagId, float]) -> tuple[Scored, ...]:
    return tuple(Scored(t, c) for t, c in sorted(scored.items(), key=lambda s: (-s[1], s[0])))
