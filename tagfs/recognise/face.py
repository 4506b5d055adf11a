"""One face of a picture as a value, and by which numbers faces are judged and compared."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tagfs.errors import Integrity

FEATURES: Final = 128
Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Face:
    """One face of a picture, as it is recorded."""

    box: tuple[float, float, float, float]  # left, top, right, bottom, as shares of the sides
    score: float  # the detector's, 0 to 1
    size: float  # geometric mean of the box's sides, in pixels of the picture that was looked at
    sharpness: float  # see `alignment.sharpness`
    pose: float  # see `alignment.yaw`
    embedding: bytes  # 128 float16, little-endian, of length 1


@dataclass(frozen=True, slots=True)
class Certainty:
    """From which score of the detector on there is a face."""

    sure: float  # at the scale at which the picture fills the network's square
    hint: float  # where nothing is sure, from here on a second look is worth it
    close: float  # at half that scale, which finds a face that fills the picture


class Quality(IntEnum):
    """What a face is good for."""

    POOR = 0  # nothing: blurred and tiny faces are like each other, whoever they are
    FAIR = 1  # it may join a person
    GOOD = 2  # persons are made of such


@dataclass(frozen=True, slots=True)
class Gate:
    """From which size, sharpness and pose on a face is fair, and good."""

    fair_size: float
    good_size: float
    fair_sharpness: float
    good_sharpness: float
    good_pose: float  # at most, to either side

    def quality(self, face: Face) -> Quality:
        """Return what a face is good for."""
        if face.size < self.fair_size or face.sharpness < self.fair_sharpness:
            return Quality.POOR
        clear = face.size >= self.good_size and face.sharpness >= self.good_sharpness
        return Quality.GOOD if clear and abs(face.pose) <= self.good_pose else Quality.FAIR


@dataclass(frozen=True, slots=True)
class Limits:
    """Cosines between faces, from which on something is so."""

    same: float  # a face is of a person
    fair: float  # the same, of a face that is only fair
    unite: float  # two persons that nobody named are one
    doubtful: float  # a face may be of a person: the user may want to say
    margin: float  # by which the likest of two named persons must be ahead
    tight: float  # two faces show the same look
    handicap: float  # see `prototypes.Prototypes`


_RECORD = struct.Struct(">5H3f256s")
"""Sides of the box and score in 65535ths, size, sharpness, pose, embedding."""
RECORD: Final = _RECORD.size


def packed(faces: Iterable[Face]) -> bytes:
    """Return faces as they are kept, 278 bytes each (docs/format.md, Packs)."""
    return b"".join(
        _RECORD.pack(
            *(round(side * 65535) for side in face.box),
            round(face.score * 65535),
            face.size,
            face.sharpness,
            face.pose,
            face.embedding,
        )
        for face in faces
    )


def unpacked(data: bytes) -> tuple[Face, ...]:
    """Return kept faces; raises Integrity for what was not kept so."""
    if len(data) % RECORD:
        raise Integrity("The faces of a photo are malformed.")
    found = []
    for left, top, right, bottom, score, size, sharp, pose, embedding in _RECORD.iter_unpack(data):
        if not np.isfinite([size, sharp, pose, *np.frombuffer(embedding, "<f2")]).all():
            raise Integrity("The faces of a photo are malformed.")
        box = (left / 65535, top / 65535, right / 65535, bottom / 65535)
        found.append(Face(box, score / 65535, size, sharp, pose, embedding))
    return tuple(found)


def vector(face: Face) -> Vector:
    """Return the embedding (128,), of length 1."""
    return np.frombuffer(face.embedding, "<f2").astype(np.float32)
