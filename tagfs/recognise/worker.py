"""The worker: a locked-in process that is given the bytes of pictures and answers what is in them.

Run as ``python -I -m tagfs.recognise.worker MODEL PACK`` with an empty environment. It loads
weights and decoders, locks itself in (sandbox.py) and says so; then it answers one request after
the other on stdin and stdout until stdin ends (messages.py has the form). It is given no path,
no key and no name.
"""

from __future__ import annotations

import os

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")  # before numpy is loaded

import sys
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tagfs.errors import TagfsError
from tagfs.recognise import packs, sandbox, taxonomy
from tagfs.recognise.decode import Undecodable, as_png, decode, prepare, thumbnail
from tagfs.recognise.facts import read_facts
from tagfs.recognise.interpreter import Network
from tagfs.recognise.messages import Request, Result, read_request, write_result
from tagfs.recognise.phash import perceptual_hash
from tagfs.recognise.scoring import Scorer
from tagfs.recognise.telling import shown, told

NICE = 10
SHARE = 0.875
"""Of the shorter side that the centre crop takes, as in training."""


class Eyes:
    """Weights and calibration of one pack, ready to look."""

    def __init__(self, pack: packs.Pack, model: bytes) -> None:
        graph = taxonomy.load()
        self._pack = pack
        self._network = Network(model)
        self._scorer = Scorer(graph.classes(pack.labels), graph, pack.calibration)

    def warm_up(self) -> None:
        """Run once with everything, so that nothing is left to be loaded."""
        grey = Image.new("RGB", (400, 300), (127, 127, 127))
        self.look(grey)
        thumbnail(grey)
        as_png(grey, 128)
        perceptual_hash(Image.linear_gradient("L"))
        read_facts(Image.Exif(), b"", size=None, orientation=None, now=datetime.now())

    def probabilities(self, image: Image.Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the means over the pack's crops: probabilities and embedding."""
        results = [self._network.run(crop) for crop in crops(image, self._pack)]
        first = np.stack([r[0] for r in results]).mean(axis=0)
        second = np.stack([r[1] for r in results]).mean(axis=0)
        return first, second

    def look(self, image: Image.Image) -> Result:
        """Return what is in an upright RGB picture."""
        probabilities, embedding = self.probabilities(image)
        tags, scores = self._scorer.score(probabilities)
        packed = embedding.astype("<f2").tobytes()
        return Result(tags=tags, scores=scores, embedding=packed, thumbnail=thumbnail(image))


def crops(image: Image.Image, pack: packs.Pack) -> list[NDArray[np.float32]]:
    """Return the squares that the network looks at, (side, side, 3), scaled to about ±1.

    ``centre`` is the middle square, ``first`` and ``second`` the two squares at the ends of the
    longer side, ``full`` the whole picture, squeezed.
    """
    width, height = image.size
    short = min(width, height)
    inset = short * (1 - SHARE) / 2
    boxes = {
        "centre": (
            (width - short) / 2 + inset,
            (height - short) / 2 + inset,
            (width + short) / 2 - inset,
            (height + short) / 2 - inset,
        ),
        "first": (0.0, 0.0, float(short), float(short)),
        "second": (float(width - short), float(height - short), float(width), float(height)),
        "full": (0.0, 0.0, float(width), float(height)),
    }
    squares = []
    for name in pack.crops:
        square = image.resize((pack.side, pack.side), Image.Resampling.BICUBIC, box=boxes[name])
        squares.append((np.asarray(square, dtype=np.float32) - 127.0) / 128.0)
    return squares


def answer(eyes: Eyes, request: Request) -> Result:
    """Decode one picture and look at it; what cannot be decoded is an answer, too."""
    now = datetime.fromtimestamp(request.now)
    try:
        picture = decode(request.data, request.media_type)
    except Undecodable as e:
        return Result(facts=told(request.data, request.media_type, now), unreadable=str(e))
    if request.side:
        return Result(thumbnail=as_png(picture.image, request.side))
    facts = shown(picture, request.data, request.media_type, now)
    seen = eyes.look(picture.image)
    return Result(seen.tags, seen.scores, seen.embedding, seen.thumbnail, facts, None)


def main(arguments: list[str]) -> int:
    """Serve requests until stdin ends."""
    sandbox.limit_resources()
    os.nice(NICE)
    try:
        pack = packs.load(arguments[1])
        with open(arguments[0], "rb") as file:
            model = file.read(packs.MAX_MODEL)
        prepare()
        eyes = Eyes(pack, model)
        eyes.warm_up()
        sandbox.lock_in()
    except TagfsError as e:
        write_result(sys.stdout.buffer, Result(unreadable=str(e)[:200]))
        return 1
    write_result(sys.stdout.buffer, Result())
    while (request := read_request(sys.stdin.buffer)) is not None:
        write_result(sys.stdout.buffer, answer(eyes, request))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
