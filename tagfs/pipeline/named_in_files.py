"""Who a file's own metadata names, as the user's word: they marked the faces in another program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from tagfs.catalog.records import PhotoRecord
from tagfs.catalog.state import State
from tagfs.model import NEVER, ContentId, Facts, TagId, Word
from tagfs.pipeline.person_ids import is_nameless
from tagfs.recognise.face import Face
from tagfs.recognise.regions import Box
from tagfs.vault.ops import Entity, Field, Op, SetRegister, SetWord

MARKED: Final = 0.2
"""From which overlap on (intersection over union) a face is one that was marked in
another program: some mark the whole head, some from the brows down."""


def named_in_file(
    state: State, name_person: Callable[[str], TagId], photo: ContentId, facts: Facts
) -> list[Op]:
    """Return what says that these people are in a photo.

    What was ever said of one of them on this photo stays, also that nothing is said any more.
    """
    ops: list[Op] = []
    for region in facts.regions:
        if region.name.startswith(".") or is_nameless(region.name):
            continue
        tag = state.photos.person(region.name)
        if tag is None:
            tag = name_person(region.name)
            ops.append(SetRegister(Entity.TAG, tag.encode(), Field.TAG_NAME, region.name))
        if state.word(photo, tag)[1] == NEVER:
            ops.append(SetWord(photo, tag, Word.YES))
    return ops


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
