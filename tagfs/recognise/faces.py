"""The faces in a picture: where they are, how well they can be seen, and an embedding of each.

Runs in the worker. YuNet finds faces, each is turned upright by its five points, and SFace
(Zhong et al., 2021) makes of it, and of its mirror image, a vector whose angle to that of another
face tells whether they are the same person.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tagfs.recognise.alignment import aligned, sharpness, yaw
from tagfs.recognise.face import FEATURES, Certainty, Face
from tagfs.recognise.face_detector import Detection, ImageNetwork, look

Array = NDArray[Any]


class FaceFinder:
    """Finds and embeds faces with two networks."""

    def __init__(
        self, detector: ImageNetwork, embedder: ImageNetwork, certainty: Certainty
    ) -> None:
        """Take YuNet and SFace, as `face_pack` makes them, and what counts as a face."""
        self._detector = detector
        self._embedder = embedder
        self._certainty = certainty

    def find(self, image: Image.Image) -> tuple[Face, ...]:
        """Return the faces of an upright RGB picture, the surest first."""
        found = (self._face(image, one) for one in self.detect(image))
        return tuple(face for face in found if face is not None)

    def detect(self, image: Image.Image) -> list[Detection]:
        """Return where faces are, in pixels of the picture.

        A face that fills the picture is less than certain to a network that was trained on
        smaller ones. Where there is a hint and nothing more, the picture is looked at once
        again, at half the size.
        """
        fitting = self._detector.side / max(image.size)
        least = min(self._certainty.hint, self._certainty.sure)
        seen = look(self._detector, image, fitting, least)
        sure = [one for one in seen if one.score >= self._certainty.sure]
        if sure or not seen:
            return sure
        return look(self._detector, image, fitting / 2, self._certainty.close)

    def _face(self, image: Image.Image, one: Detection) -> Face | None:
        points = np.array(one.points)
        try:
            square = aligned(image, points)
        except ValueError:
            return None
        embedding = self.embed(square)
        if embedding is None:
            return None
        left, top, right, bottom = one.box
        width, height = image.size
        box = (
            min(max(left / width, 0.0), 1.0),
            min(max(top / height, 0.0), 1.0),
            min(max(right / width, 0.0), 1.0),
            min(max(bottom / height, 0.0), 1.0),
        )
        size = float(np.sqrt(max(right - left, 0.0) * max(bottom - top, 0.0)))
        return Face(box, one.score, size, sharpness(square), yaw(points), embedding)

    def embed(self, square: Image.Image) -> bytes | None:
        """Return the embedding of an aligned face; None where the network has no answer."""
        pixels = np.asarray(square, np.float32)
        total = np.zeros(FEATURES, np.float32)
        for seen in (pixels, np.ascontiguousarray(pixels[:, ::-1])):
            (features,) = self._embedder.run(seen)
            total += features
        length = float(np.linalg.norm(total))
        if not np.isfinite(length) or length == 0.0:
            return None
        return (total / length).astype("<f2").tobytes()
