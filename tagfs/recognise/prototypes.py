"""Every person's prototypes in one matrix: which of them a face is like, in one product.

A prototype is a sum of faces of one person, kept as a direction and a length. Each person has a
*centre*, the sum of all, and *looks*: sums of faces that are like each other and less like the
centre (with and without glasses, as a child). A direction is rounded to float16 whenever it
changes, so that what is written and read again is the same to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tagfs.recognise.face import FEATURES, Vector

MAX_LOOKS: Final = 6
"""Of one person, besides the centre."""
_NOBODY: Final = -1


@dataclass(frozen=True, slots=True)
class Row:
    """One prototype, as it is written down."""

    direction: bytes  # 128 float16, little-endian
    length: float  # of the sum: the number of faces, were they all the same
    is_look: bool


class Prototypes:
    """The prototypes of all persons."""

    def __init__(self, tight: float, handicap: float) -> None:
        """Make an empty matrix.

        Args:
            tight: the cosine from which on a face and a prototype show the same look.
            handicap: what a cosine to a look counts less than one to a centre, because fewer
                faces speak for it.
        """
        self._tight = tight
        self._handicap = handicap
        self._rows = np.zeros((64, FEATURES), np.float32)
        self._lengths = np.zeros(64, np.float32)
        self._owners = np.full(64, _NOBODY, np.int64)
        self._minus = np.zeros(64, np.float32)
        self._of: dict[int, list[int]] = {}  # a person's rows, the centre first
        self._free: list[int] = list(range(63, -1, -1))

    def absorb(self, person: int, face: Vector) -> None:
        """Let a face of a person change its prototypes; a new person begins with it."""
        mine = self._of.setdefault(person, [])
        if not mine:
            mine.append(self._new(person, face, 1.0, is_look=False))
            return
        centre, looks = mine[0], mine[1:]
        near = float(self._rows[centre] @ face)
        self._add(centre, face, 1.0)
        likes = self._rows[looks] @ face
        best = int(likes.argmax()) if looks else 0
        if looks and (likes[best] >= self._tight or len(looks) >= MAX_LOOKS):
            self._add(looks[best], face, 1.0)
        elif near < self._tight:
            mine.append(self._new(person, face, 1.0, is_look=True))

    def unite(self, person: int, other: int, takes: bool = True, keeps: bool = True) -> None:
        """Give a person the prototypes of another, whose centre becomes a look.

        ``takes`` says whether those of the other are wanted at all, ``keeps`` the person's own.
        """
        if not keeps:
            self.forget(person)
        if not takes or other not in self._of:
            self.forget(other)
            return
        if person not in self._of:
            self._of[person] = self._of.pop(other)
            self._owners[self._of[person]] = person
            return
        mine, theirs = self._of[person], self._of.pop(other)
        centre, their_centre = mine[0], theirs[0]
        if self._rows[centre] @ self._rows[their_centre] < self._tight:
            first, length = self._rows[their_centre].copy(), float(self._lengths[their_centre])
            theirs.append(self._new(other, first, length, is_look=True))
        self._add(centre, self._rows[their_centre], float(self._lengths[their_centre]))
        self._drop(their_centre)
        for row in theirs[1:]:
            self._owners[row] = person
        mine += theirs[1:]
        while len(mine) > MAX_LOOKS + 1:
            self._join_nearest(mine)

    def forget(self, person: int) -> None:
        """Drop a person's prototypes."""
        for row in self._of.pop(person, ()):
            self._drop(row)

    def likeness(self, faces: Iterable[Vector]) -> NDArray[np.float32]:
        """Return how much each prototype is like each face (rows, faces); see ``owner``."""
        found: NDArray[np.float32] = np.matmul(self._rows, np.stack(list(faces)).T)
        found -= self._minus[:, None]
        return found

    def ranked(self, likeness: NDArray[np.float32], least: float) -> list[tuple[int, float]]:
        """Return the persons with a prototype at least so like one face, the likest first."""
        found: dict[int, float] = {}
        rows = np.flatnonzero(likeness >= least)
        for row in rows[np.argsort(-likeness[rows], kind="stable")]:
            owner = int(self._owners[row])
            if owner != _NOBODY and owner not in found:
                found[owner] = float(likeness[row])
        return list(found.items())

    def likeness_of(self, person: int, looks: bool) -> NDArray[np.float32]:
        """Return how much each prototype is like a person's centre, or the likest of theirs."""
        mine = self._of[person][: None if looks else 1]
        found = self.likeness(self._rows[mine]) - self._minus[mine][None, :]
        return np.asarray(found.max(axis=1), np.float32)

    def centre(self, person: int) -> Vector:
        """Return the direction of a person's centre."""
        return np.array(self._rows[self._of[person][0]], np.float32)

    def rows(self, person: int) -> list[Row]:
        """Return a person's prototypes, the centre first."""
        return [
            Row(
                self._rows[row].astype("<f2").tobytes(),
                float(self._lengths[row]),
                bool(self._minus[row]),
            )
            for row in self._of.get(person, ())
        ]

    def restore(self, person: int, rows: Sequence[Row]) -> None:
        """Give a person the prototypes that were written down; raises ValueError for others."""
        for row in rows:
            direction = np.frombuffer(row.direction, "<f2").astype(np.float32)
            if direction.shape != (FEATURES,) or not np.isfinite(direction).all():
                raise ValueError("a prototype of another size")
            made = self._new(person, direction, row.length, row.is_look)
            self._of.setdefault(person, []).append(made)

    def _new(self, person: int, direction: Vector, length: float, is_look: bool) -> int:
        if not self._free:
            size = len(self._owners)
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
            self._lengths = np.concatenate([self._lengths, np.zeros_like(self._lengths)])
            self._minus = np.concatenate([self._minus, np.zeros_like(self._minus)])
            self._owners = np.concatenate([self._owners, np.full(size, _NOBODY, np.int64)])
            self._free = list(range(2 * size - 1, size - 1, -1))
        row = self._free.pop()
        self._rows[row] = direction
        self._lengths[row] = length
        self._owners[row] = person
        self._minus[row] = self._handicap if is_look else 0.0
        self._round(row)
        return row

    def _add(self, row: int, direction: Vector, length: float) -> None:
        total = self._rows[row] * self._lengths[row] + direction * length
        size = float(np.linalg.norm(total))
        if size > 1e-6:  # opposite faces leave what was there
            self._rows[row], self._lengths[row] = total / size, size
            self._round(row)

    def _round(self, row: int) -> None:
        self._rows[row] = self._rows[row].astype("<f2").astype(np.float32)

    def _drop(self, row: int) -> None:
        self._rows[row] = 0
        self._owners[row] = _NOBODY
        self._free.append(row)

    def _join_nearest(self, mine: list[int]) -> None:
        """Make one of the two looks of a person that are most like each other."""
        looks = mine[1:]
        like = self._rows[looks] @ self._rows[looks].T - 3 * np.eye(len(looks), dtype=np.float32)
        first, second = sorted(divmod(int(like.argmax()), len(looks)))
        self._add(looks[first], self._rows[looks[second]], float(self._lengths[looks[second]]))
        self._drop(looks[second])
        mine.remove(looks[second])
