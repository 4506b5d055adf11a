"""Photos of nameless persons who may be named ones: what ``review/maybe-Anna/`` shows."""

from __future__ import annotations

from collections.abc import Iterable

import trio
from pyroaring import BitMap

from tagfs.model import TagId
from tagfs.pipeline.person_ids import PersonIds
from tagfs.recognise.clustering import Clustering
from tagfs.recognise.person import FACES_EACH


async def doubts(
    clustering: Clustering, ids: PersonIds, named: Iterable[int]
) -> dict[TagId, BitMap]:
    """Return, for each named person, the numbers of the photos that may show them, single faces
    too; a checkpoint before each."""
    found = {}
    for number in sorted(set(clustering.numbers()).intersection(named)):
        await trio.lowlevel.checkpoint()
        tag = ids.id(number)
        photos = BitMap(
            face // FACES_EACH
            for other, _ in clustering.like(number)
            for face in clustering.faces(other)
        )
        if tag is not None and photos:
            found[tag] = photos
    return found
