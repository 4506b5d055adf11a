"""What model packs saw on a photo: the machine's rows, apart from every user's word."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tagfs.model import ContentId, Facts, Scored, Stamp, TagId, pack_name
from tagfs.vault.facts import decode_facts, encode_facts


@dataclass(slots=True)
class Sight:
    """What one pack saw on one photo."""

    stamp: Stamp
    media_type: str
    tags: tuple[Scored, ...]
    facts: Facts
    details: tuple[ContentId, int, int] | None
    thumbnail: tuple[ContentId, int, int] | None
    unreadable: str | None

    def raw(self) -> list[Any]:
        """Return the form that the table keeps."""
        return [
            self.stamp.hlc,
            self.stamp.device,
            self.media_type,
            [[s.tag, s.confidence] for s in self.tags],
            encode_facts(self.facts),
            self.details,
            self.thumbnail,
            self.unreadable,
        ]

    @classmethod
    def load(cls, raw: list[Any]) -> Sight:
        """Read what raw() gave."""
        return cls(
            Stamp(raw[0], raw[1]),
            raw[2],
            tuple(Scored(TagId(t), c) for t, c in raw[3]),
            decode_facts(raw[4]),
            None if raw[5] is None else (ContentId(raw[5][0]), raw[5][1], raw[5][2]),
            None if raw[6] is None else (ContentId(raw[6][0]), raw[6][1], raw[6][2]),
            raw[7],
        )


def newest(sights: dict[str, Sight]) -> Sight | None:
    """Return the newest of the rows by pack; what one look gave several packs is told alike."""
    if len(sights) < 2:  # nearly always: spares a comparison in every rebuild
        return next(iter(sights.values()), None)
    return max(sights.items(), key=lambda row: (row[1].stamp, row[0]))[1]


def counting(sights: dict[str, Sight]) -> dict[str, Sight]:
    """Return the rows that count, by pack: of the versions of each pack the newest."""
    if len(sights) < 2:
        return sights
    chosen: dict[str, str] = {}
    for pack in sorted(sights, key=lambda p: (sights[p].stamp, p)):
        chosen[pack_name(pack)] = pack
    return {pack: sights[pack] for pack in sorted(chosen.values())}


def seen_together(sights: Iterable[Sight]) -> dict[TagId, float]:
    """Return every tag of some rows, as sure as the surest row is of it."""
    found: dict[TagId, float] = {}
    for sight in sights:
        for scored in sight.tags:
            found[scored.tag] = max(scored.confidence, found.get(scored.tag, 0.0))
    return found
