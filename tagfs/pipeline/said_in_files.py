"""What a file's own metadata says as the user's word: tags and faces named in other programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from tagfs.catalog.records import PhotoRecord
from tagfs.catalog.shelves import WRITTEN_OVER
from tagfs.catalog.state import State
from tagfs.model import NEVER, ContentId, Facts, TagId, Word, is_person
from tagfs.pipeline.person_ids import is_nameless
from tagfs.recognise.face import Face
from tagfs.recognise.regions import Box
from tagfs.vault.facts import MAX_KEYWORDS, MAX_REGIONS
from tagfs.vault.ops import Entity, Field, Op, SetRegister, SetWord

MARKED: Final = 0.2
"""From which overlap on (intersection over union) a face is one that was marked in
another program: some mark the whole head, some from the brows down."""


class NameMaker(Protocol):
    """Gives ids to new tags and persons: the ledger."""

    def name_tag(self, name: str) -> TagId:
        """Return the id of a new tag."""

    def name_person(self, name: str) -> TagId:
        """Return the id of a new person."""


def said_in_file(
    state: State, ids: NameMaker, photo: ContentId, facts: Facts, before: Facts | None = None
) -> list[Op]:
    """Return what a file says in the user's words, to be said before the facts are recorded.

    It is said once: nothing that stood there ``before``, which may be called otherwise or be taken
    back today, and no tag or person of which the user has said anything here. Before is when the
    photo was looked at last, or what the picture was before an edit. Nothing is said of what was
    written over another photo until the two are compared (`edits.Edits`).
    """
    known = state.photos.get(photo)
    edited = before is not None and before.rating is not None
    if before is None:
        if known is not None and _is_to_be_compared(state, known):
            return []
        before = known.sight.facts if known is not None and known.sight is not None else Facts()
    spoken = {state.photos.canonical(tag) for tag in (known.words if known is not None else ())}
    ops: list[Op] = []

    def say(name: str, tag: TagId | None, new: Callable[[str], TagId]) -> None:
        if tag is None:
            tag = new(name)
            ops.append(SetRegister(Entity.TAG, tag.encode(), Field.TAG_NAME, name))
        if tag not in spoken:
            ops.append(SetWord(photo, tag, Word.YES))
            spoken.add(tag)

    marked = {region.name for region in before.regions}
    for name in (region.name for region in facts.regions if region.name not in marked):
        if not name.startswith(".") and not is_nameless(name):
            say(name, state.photos.person(name), ids.name_person)
    for name in facts.keywords:
        if name not in before.keywords and not is_nameless(name):
            say(name, state.photos.tag(name), ids.name_tag)
    rated = known is not None and known.regs.stamp(Field.RATING) != NEVER
    if facts.rating not in (None, before.rating) and (edited or not rated):
        ops.append(SetRegister(Entity.PHOTO, photo, Field.RATING, facts.rating))
    return ops


def _is_to_be_compared(state: State, photo: PhotoRecord) -> bool:
    files = map(state.file, photo.files)
    return any(file is not None and WRITTEN_OVER in file.slots for file in files)


def with_said_before(photo: PhotoRecord | None, facts: Facts) -> Facts:
    """Return facts with what the file said when the photo was looked at before: it may have been
    a sidecar that did, which a new look at the photo does not find."""
    if photo is None or photo.sight is None:
        return facts
    before = photo.sight.facts
    names = {region.name for region in facts.regions}
    regions = tuple(region for region in before.regions if region.name not in names)
    keywords = tuple(word for word in before.keywords if word not in facts.keywords)
    return replace(
        facts,
        regions=(*facts.regions, *regions)[:MAX_REGIONS],
        keywords=(*facts.keywords, *keywords)[:MAX_KEYWORDS],
        rating=facts.rating or before.rating,
    )


def is_named_in_file(state: State, photo: PhotoRecord, tag: TagId) -> bool:
    """Whether the file of a photo has a tag among its keywords, or a person among its faces."""
    facts = photo.sight.facts if photo.sight is not None else Facts()
    if is_person(tag):
        return any(state.photos.person(region.name) == tag for region in facts.regions)
    return any(state.photos.tag(word) == tag for word in facts.keywords)


def may_be_of(state: State, photo: PhotoRecord, tag: TagId, faces: Sequence[Face]) -> Sequence[int]:
    """Return which faces of a photo a person's may be: the one that the file marks as theirs, or
    none where nothing was found there; all where it marks none."""
    regions = photo.sight.facts.regions if photo.sight is not None else ()
    box = next((r.box for r in regions if state.photos.person(r.name) == tag), None)
    if box is None:
        return range(len(faces))
    overlaps = [(_overlap(box, face.box), index) for index, face in enumerate(faces)]
    most, best = max(overlaps, default=(0.0, 0))
    return [best] if most >= MARKED else []


def _overlap(one: Box, other: Box) -> float:
    """Return the intersection over the union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    common = max(0.0, width) * max(0.0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return common / (sum(areas) - common) if common else 0.0
