"""What a query is once it is read: a tree of terms, and the set algebra that answers it.

Pure: which photos a term has is for the caller to say (`evaluate`).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date

from pyroaring import BitMap


class Flag(enum.Enum):
    """What ``is:`` asks for."""

    FAVOURITE = "favourite"
    BLURRY = "blurry"
    DUPLICATE = "duplicate"
    UNTAGGED = "untagged"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Conf:
    """Recognised with a confidence for which ``confidence op value`` holds; value in [0, 1]."""

    op: str  # ">", ">=", "<", "<=", "="
    value: float

    def holds(self, confidence: float) -> bool:
        """Whether a confidence passes."""
        return {
            ">": confidence > self.value,
            ">=": confidence >= self.value,
            "<": confidence < self.value,
            "<=": confidence <= self.value,
            "=": confidence == self.value,
        }[self.op]


@dataclass(frozen=True, slots=True)
class Tag:
    """Has this tag; a name or a synonym, as it was written."""

    word: str
    confs: tuple[Conf, ...] = ()  # only in what `evaluate` asks for: the conf: terms beside it


@dataclass(frozen=True, slots=True)
class Person:
    """This person is in it."""

    name: str


@dataclass(frozen=True, slots=True)
class PlaceIs:
    """Taken in this country, region or town."""

    name: str


@dataclass(frozen=True, slots=True)
class DateIn:
    """Captured from the first day to the last, both included; None is an open end."""

    first: date | None
    last: date | None


@dataclass(frozen=True, slots=True)
class Type:
    """``video``, ``photo``, or the second half of a media type such as ``heic``; lower case."""

    kind: str


@dataclass(frozen=True, slots=True)
class Camera:
    """The camera's name contains this."""

    name: str


@dataclass(frozen=True, slots=True)
class Lens:
    """The lens's name contains this."""

    name: str


@dataclass(frozen=True, slots=True)
class NameGlob:
    """The view name matches this shell pattern."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Is:
    """Has this property."""

    flag: Flag


@dataclass(frozen=True, slots=True)
class Like:
    """Looks like the photo with this name or id."""

    photo: str


@dataclass(frozen=True, slots=True)
class Not:
    """What ``item`` does not find."""

    item: Query


@dataclass(frozen=True, slots=True)
class And:
    """What every item finds; at least two, none of them an And."""

    items: tuple[Query, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """What any item finds; at least two, none of them an Or."""

    items: tuple[Query, ...]


Leaf = Tag | Person | PlaceIs | DateIn | Type | Camera | Lens | NameGlob | Conf | Is | Like
Query = And | Or | Not | Leaf


def leaves(query: Query) -> Iterator[Leaf]:
    """Yield what a query asks for, from left to right, negated or not."""
    match query:
        case And(items) | Or(items):
            for item in items:
                yield from leaves(item)
        case Not(item):
            yield from leaves(item)
        case _:
            yield query


def tags_of(query: Query) -> tuple[str, ...]:
    """Return the words that have to be tags or synonyms, each once, in the order written."""
    return tuple(dict.fromkeys(leaf.word for leaf in leaves(query) if isinstance(leaf, Tag)))


def evaluate(
    query: Query, leaf: Callable[[Leaf], BitMap], everything: Callable[[], BitMap]
) -> BitMap:
    """Return the numbers that a query finds, by set algebra.

    ``leaf`` returns the numbers of one term, ``everything`` those a negation starts from;
    what they return is not changed. A Conf beside tags is handed over within them (`Tag.confs`),
    but not within those that are negated: ``dog -cat conf:>0.8`` wants no cat at all. One that
    has no tag beside it is asked for as a term: any tag of such a confidence.
    """
    return _evaluate(query, (), leaf, everything)


def _has_tag(query: Query) -> bool:
    match query:
        case And(items) | Or(items):
            return any(_has_tag(item) for item in items)
        case Tag():
            return True
        case _:
            return False


def _evaluate(
    query: Query,
    confs: tuple[Conf, ...],
    leaf: Callable[[Leaf], BitMap],
    everything: Callable[[], BitMap],
) -> BitMap:
    match query:
        case Or(items):
            return BitMap.union(*(_evaluate(item, confs, leaf, everything) for item in items))
        case Not(item):
            return everything() - _evaluate(item, (), leaf, everything)
        case And(items):
            if any(_has_tag(item) for item in items):
                confs += tuple(item for item in items if isinstance(item, Conf))
                items = tuple(item for item in items if not isinstance(item, Conf))
            result: BitMap | None = None
            for item in items:
                if not isinstance(item, Not):
                    found = _evaluate(item, confs, leaf, everything)
                    result = found if result is None else result & found
                    if not result:
                        return BitMap()
            if result is None:
                result = everything()
            for item in items:
                if isinstance(item, Not):
                    result = result - _evaluate(item.item, (), leaf, everything)
            return result
        case Tag():
            return leaf(replace(query, confs=query.confs + confs))
        case _:
            return leaf(query)
