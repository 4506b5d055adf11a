"""The faces of photos, kept on this device in the form that the clustering of persons asks for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from tagfs.catalog.schema import Table
from tagfs.catalog.sights import Sight
from tagfs.catalog.tables import KeyValue
from tagfs.errors import FileError, Integrity
from tagfs.pipeline.details import Details
from tagfs.recognise.clustering import Seen
from tagfs.recognise.face import Face, Gate, Vector, unpacked, vector
from tagfs.recognise.person import FACES_EACH, face_number

log = logging.getLogger(__name__)

_FACES: Final = b"faces of "


class KeptFaces:
    """The faces of every photo that was considered, by the photo's number."""

    def __init__(self, store: KeyValue, details: Details, gate: Gate) -> None:
        """``details`` is asked for the faces of photos that are new here."""
        self._store = store
        self._details = details
        self._gate = gate

    async def fetch(self, number: int, sight: Sight) -> tuple[Face, ...]:
        """Return the faces of a photo and keep them; none for what cannot be read now."""
        kept = self._store.get(Table.LOCAL, _key(number))
        if kept is None:
            try:
                found = await self._details.of(sight)
                kept = b"" if found is None else found[1]
                unpacked(kept)
            except (FileError, Integrity) as error:
                log.warning("faces of photo %d: %s", number, error)
                return ()
            self._store.put(Table.LOCAL, _key(number), kept)
        return unpacked(kept)[:FACES_EACH]

    def forget(self, number: int) -> None:
        """Keep the faces of a photo no longer."""
        self._store.delete(Table.LOCAL, _key(number))

    def vector(self, face: int) -> Vector:
        """Return the vector of a face that is kept."""
        return vector(self._kept(face // FACES_EACH)[face % FACES_EACH])

    def one(self, face: int) -> Seen:
        """Return a face that is kept as the clustering takes it."""
        kept = self._kept(face // FACES_EACH)[face % FACES_EACH]
        return Seen(face, vector(kept), self._gate.quality(kept))

    def numbers(self, number: int) -> list[int]:
        """Return the numbers of a photo's faces; none for one whose faces are not kept."""
        return [face_number(number, index) for index in range(len(self._kept(number)))]

    def seen(self, number: int, faces: Sequence[Face]) -> list[Seen]:
        """Return all faces of a photo as the clustering takes them."""
        return [
            Seen(face_number(number, index), vector(face), self._gate.quality(face))
            for index, face in enumerate(faces)
        ]

    def _kept(self, number: int) -> tuple[Face, ...]:
        kept = self._store.get(Table.LOCAL, _key(number))
        return () if kept is None else unpacked(kept)[:FACES_EACH]


def _key(number: int) -> bytes:
    return _FACES + number.to_bytes(8, "big")
