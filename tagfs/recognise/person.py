"""One person as the clustering keeps them: their faces, and which of these can be relied on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from pyroaring import BitMap64

FACES_EACH: Final = 256
"""Numbers that a photo has for its faces."""


def face_number(photo: int, index: int) -> int:
    """Return the number of a photo's face; raises ValueError beyond ``FACES_EACH``."""
    if not 0 <= index < FACES_EACH or photo < 0:
        raise ValueError(f"there is no face {index} of photo {photo}")
    return photo * FACES_EACH + index


@dataclass(slots=True)
class Person:
    """Sets of face numbers; ``faces`` holds those of the other two."""

    faces: Any = field(default_factory=BitMap64)  # all that belong to them
    good: Any = field(default_factory=BitMap64)  # those that the prototypes are made of, or,
    fair: Any = field(default_factory=BitMap64)  # where there are none, these
    named: bool = False
    apart: set[int] = field(default_factory=set)  # persons that the user said are others

    @property
    def basis(self) -> Any:
        """The faces that the prototypes are made of."""
        return self.good or self.fair

    def is_in(self, photo: int) -> bool:
        """Whether one of the faces is in a photo."""
        first = photo * FACES_EACH
        return int(self.faces.range_cardinality(first, first + FACES_EACH)) > 0

    def shares_photo(self, other: Person) -> bool:
        """Whether there is a photo with both."""
        few, many = sorted((self, other), key=lambda one: len(one.faces))
        return any(many.is_in(face // FACES_EACH) for face in few.faces)
