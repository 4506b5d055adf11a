"""Who a file's own metadata names, as the user's word: they marked the faces in another program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from tagfs.catalog.records import PhotoRecord
from tagfs.catalog.state import State
from tagfs.model import ContentId, Facts, TagId, Word
from tagfs.pipeline.person_ids import is_nameless
from tagfs.recognise.face import Face
from tagfs.recognise.regions import Box
from tagfs.vault.facts import MAX_REGIONS
from tagfs.vault.ops import Entity, Field, Op, SetRegister, SetWord

MARKED: Final = 0.2
"""From which overlap on (intersection over union) a face is one that was marked in
another program: some mark the whole head, some from the brows down."""


def named_in_file(
    state: State, name_person: Callable[[str], TagId], photo: ContentId, facts: Facts
) -> list[Op]:
    """Return what says that these people are in a photo, to be said before the facts are recorded.

    It is said once: not of a face that was marked when the photo was looked at before, whose person
    may have another name today, and not of a person of whom the user has said anything here.
    """
    known = state.photos.get(photo)
    before = known.sight.facts.regions if known is not None and known.sight is not None else ()
    marked = {region.name for region in before}
    spoken = {state.photos.canonical(tag) for tag in (known.words if known is not None else ())}
    ops: list[Op] = []
    for name in (region.name for region in facts.regions if region.name not in marked):
        if name.startswith(".") or is_nameless(name):
            continue
        tag = state.photos.person(name)
        if tag is None:
            tag = name_person(name)
            ops.append(SetRegister(Entity.TAG, tag.encode(), Field.TAG_NAME, name))
        if tag not in spoken:
            ops.append(SetWord(photo, tag, Word.YES))
    return ops


def with_marked_before(photo: PhotoRecord | None, facts: Facts) -> Facts:
    """Return facts with the faces that were marked when the photo was looked at before: those of a
    sidecar, which a new look at the photo does not find."""
    before = photo.sight.facts.regions if photo is not None and photo.sight is not None else ()
    names = {region.name for region in facts.regions}
    more = tuple(region for region in before if region.name not in names)
    return replace(facts, regions=(*facts.regions, *more)[:MAX_REGIONS]) if more else facts


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
