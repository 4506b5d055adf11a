"""``people/``: by who is in the picture; naming, merging and correcting are acts on files."""

from __future__ import annotations

from collections.abc import Iterator

from tagfs.catalog.state import Change, NarrowingChanged
from tagfs.errors import not_permitted
from tagfs.model import TagId, is_person
from tagfs.vault.ops import Op
from tagfs.views.nodes import Spot
from tagfs.views.tags import Tags


class People(Tags):
    """The view by person. Copying in says that somebody is in it, removing that they are not.

    A person is a tag of its own kind: renaming one names it, onto or into another merges the two.
    There is nothing below a person but photos.
    """

    name = "people"
    noun = "person"
    depth = 1

    def make_dir(self, path: tuple[str, ...], name: bytes) -> list[Op]:
        """Make a person, who stays listed while nobody has seen them."""
        if path:
            raise not_permitted("A person's folder has photos in it and no folders.")
        return super().make_dir(path, name)

    def touched(self, change: Change) -> Iterator[tuple[Spot, bytes | None]]:
        """Names below the persons that a photo gained or lost, and the persons' own folders."""
        if not isinstance(change, NarrowingChanged):
            yield from super().touched(change)

    def _all(self) -> Iterator[tuple[int, TagId, str, int]]:
        for slot, tag, name, count in self._state.photos.persons():
            yield slot, tag, self._label(tag, name), count

    def _label(self, tag: TagId, name: str) -> str:
        """Return the name, with digits of the id where somebody else's id stands for the name."""
        return name if self._state.photos.person(name) == tag else f"{name}~{tag[1:9]}"

    def _called(self, name: str) -> TagId | None:
        found = self._state.photos.person(name)
        if found is None and "~" in name:
            same = (tag for _, tag, label, _ in self._all() if label == name)
            return next(same, None)
        return found

    def _is_mine(self, tag: TagId) -> bool:
        return is_person(tag)
