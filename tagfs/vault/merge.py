"""How writes of several devices become one state, in whatever order they arrive.

Pure functions on small values: registers, sets of dots, parents of folders, names in a folder,
merged tags. Each is commutative, associative and idempotent in the operations it is fed, which
the property tests hold it to; docs/format.md, Merging, says the same in words. The catalog applies
one operation at a time and has the rules in its own form (catalog/folders.py, photos.py); where
that does not do yet what stands here, an xfail of tests/second_decoder says so.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from tagfs.model import MAX_NAME, NEVER, ROOT, UNFILED, ContentId, DeviceId, FolderId, Stamp, TagId

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

Dot = tuple[DeviceId, int, int]
"""Who added an entry, at which clock, as which operation of its unit: unique for ever."""


# -- registers -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Register(Generic[T]):
    """A value and when it was written; the one with the greatest stamp counts.

    A device's clock never gives the same stamp twice, and one unit writes a register at most
    once; should it write it twice all the same, the first write counts.
    """

    value: T
    stamp: Stamp = NEVER


def later(one: Register[T], other: Register[T]) -> Register[T]:
    """Return the register that counts (last writer wins, by hybrid logical clock)."""
    return other if other.stamp > one.stamp else one


# -- sets of folder entries ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dots:
    """An observed-remove set element: the adds that were seen and the adds that were removed.

    It is in the set while some add was not removed (Shapiro et al., 2011, OR-Set). A removal
    may arrive before the add that it removes.
    """

    added: frozenset[Dot] = frozenset()
    removed: frozenset[Dot] = frozenset()

    @property
    def live(self) -> frozenset[Dot]:
        """The adds that hold the element in the set."""
        return self.added - self.removed

    def add(self, dot: Dot) -> Dots:
        """Return the element with one more add."""
        return Dots(self.added | {dot}, self.removed)

    def remove(self, dots: Iterable[Dot]) -> Dots:
        """Return the element without the adds that the remover had seen."""
        return Dots(self.added, self.removed | frozenset(dots))


def union(one: Dots, other: Dots) -> Dots:
    """Return what both know."""
    return Dots(one.added | other.added, one.removed | other.removed)


# -- the tree of folders -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlaceOf:
    """Where a folder's register puts it."""

    parent: FolderId
    name: bytes
    alive: bool


def without_cycles(
    next_of: Mapping[K, tuple[K, Stamp]], is_root: Callable[[K], bool] = lambda key: False
) -> dict[K, K]:
    """Return where each key leads once every cycle is broken: the latest step of it loses.

    ``next_of`` has one step for each key, with its stamp; keys that lose lead nowhere and are
    left out. Stamps within a cycle that are equal are told apart by the key.
    """
    result = {key: step[0] for key, step in next_of.items()}
    done: set[K] = set()
    for start in next_of:
        path: list[K] = []
        on_path: set[K] = set()
        at = start
        while at in next_of and at not in done and at not in on_path and not is_root(at):
            path.append(at)
            on_path.add(at)
            at = next_of[at][0]
        if at in on_path:
            cycle = path[path.index(at) :]
            loser = max(cycle, key=lambda key: (next_of[key][1], _order(key)))
            del result[loser]
        done |= on_path
    return result


def parents(
    places: Mapping[FolderId, Register[PlaceOf]],
) -> dict[FolderId, FolderId]:
    """Return the folder in which each placed folder is listed.

    In a cycle the latest move loses: that folder is listed in the root. So is a folder whose
    parent was never placed, which a later segment may still bring.
    """
    steps = {f: (r.value.parent, r.stamp) for f, r in places.items() if f not in (ROOT, UNFILED)}
    tree = without_cycles(steps)
    return {
        folder: parent if (parent := tree.get(folder)) in steps or parent == ROOT else ROOT
        for folder in steps
    }


def standing(
    places: Mapping[FolderId, Register[PlaceOf]], holding: Iterable[FolderId]
) -> frozenset[FolderId]:
    """Return the folders that are listed: alive, or above or at one that holds live entries.

    So a file that was added to a folder which another device deleted brings the folder back.
    """
    tree = parents(places)
    result: set[FolderId] = set()
    alive = [folder for folder, register in places.items() if register.value.alive]
    for folder in [*alive, *holding]:
        at = folder
        while at in tree and at not in result:
            result.add(at)
            at = tree[at]
    return frozenset(result)


# -- equal names ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class Listed:
    """One thing in a folder. Folders sort before files, smaller ids before greater."""

    is_file: bool
    id: bytes
    name: bytes


def suffixed(name: bytes, ident: bytes, digits: int = 8) -> bytes:
    """Return ``name~id.ext``, cut so that it stays a file name."""
    stem, dot, extension = name.rpartition(b".")
    tail = b"~" + ident.hex()[:digits].encode()
    if not dot or not stem or len(extension) > 16:
        return name[: MAX_NAME - len(tail)] + tail
    return stem[: MAX_NAME - len(tail) - 1 - len(extension)] + tail + dot + extension


def shown_names(entries: Iterable[Listed]) -> dict[tuple[bytes, bytes], Listed]:
    """Return under which name each entry of one folder is listed: {(name, id): entry}.

    Of those with one name, the first (a folder before a file, then the smaller id) keeps it.
    Folders of one name unite: they are listed once, as the one with the smallest id (see
    ``united``). Other files get ``name~id.ext``, with more digits of the id where that is taken.
    """
    by_name: dict[bytes, list[Listed]] = {}
    for entry in sorted(set(entries)):
        by_name.setdefault(entry.name, []).append(entry)
    taken = set(by_name)
    result = {}
    for name, same in sorted(by_name.items()):
        first, *others = same
        result[name, first.id] = first
        for entry in others:
            if not entry.is_file:
                continue
            shown = next(
                (
                    s
                    for digits in (8, 16, 2 * len(entry.id))
                    if (s := suffixed(name, entry.id, digits)) not in taken
                ),
                suffixed(name, entry.id, 2 * len(entry.id)),
            )
            taken.add(shown)
            result[shown, entry.id] = entry
    return result


def united(folders: Iterable[tuple[FolderId, FolderId, bytes]]) -> dict[FolderId, FolderId]:
    """Return for each folder the one that it is listed as, given (id, parent, name) of each.

    Folders with one parent and one name unite under the smallest id; their children then have
    one parent too, and unite in turn.
    """
    names = {ident: (parent, name) for ident, parent, name in folders}
    stands: dict[FolderId, FolderId] = {ident: ident for ident in names}
    while True:
        groups: dict[tuple[FolderId, bytes], FolderId] = {}
        for ident in sorted(names):
            parent, name = names[ident]
            groups.setdefault((stands.get(parent, parent), name), ident)
        following = {
            ident: groups[stands.get(parent, parent), name]
            for ident, (parent, name) in names.items()
        }
        if following == stands:
            return stands
        stands = following


# -- contents ------------------------------------------------------------------------------

Held = tuple[ContentId, int] | tuple[ContentId, int, ContentId] | None
"""A content register's value: (content, size[, content it replaces]), None for an empty file."""


def beside(winner: Register[Held], loser: Register[Held]) -> ContentId | None:
    """Return the content to list beside the file, when both writes replaced the same content.

    Two devices that edited one file both keep their work: the later stays in place, the other
    is listed beside it with a suffix. None when the later one knew of the other, or when they
    hold the same.
    """
    one, other = winner.value, loser.value
    if one is None or other is None or one[0] == other[0]:
        return None
    if len(one) < 3 or len(other) < 3 or one[2] != other[2]:
        return None
    return other[0]


# -- tags ----------------------------------------------------------------------------------


def canonical_tags(merged: Mapping[TagId, Register[TagId | None]]) -> dict[TagId, TagId]:
    """Return for each tag that was merged the one that stands for it.

    Merges are followed to their end; of a cycle the latest merge loses, so that the tag which
    wrote it stands for all.
    """
    steps = {t: (r.value, r.stamp) for t, r in merged.items() if r.value is not None}
    tree = without_cycles(steps)
    return {tag: _end(tag, tree) for tag in merged}


def tags_of_one_name(keys: Mapping[TagId, str]) -> dict[TagId, TagId]:
    """Return for each tag the one it unites with: of equal folded names the smallest id."""
    first: dict[str, TagId] = {}
    for tag in sorted(keys):
        first.setdefault(keys[tag], tag)
    return {tag: first[key] for tag, key in keys.items()}


def _end(tag: TagId, tree: Mapping[TagId, TagId]) -> TagId:
    at = tag
    while at in tree:
        at = tree[at]
    return at


def _order(key: Hashable) -> bytes:
    return key if isinstance(key, bytes) else str(key).encode()
