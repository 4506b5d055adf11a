"""The worker: a locked-in process that is given the bytes of pictures and answers what is in them.

Run as ``python -I -m tagfs.recognise.worker NICE PACK MODEL …`` with an empty environment. It loads
weights, decoders and the table of places, locks itself in (sandbox.py) and says so; then it
answers one request after the other on stdin and stdout until stdin ends (messages.py has the
form). It is given no path of the user's, no key and no name.
"""

from __future__ import annotations

import os

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")  # before numpy is loaded

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from PIL import Image

from tagfs.errors import TagfsError
from tagfs.model import Place, Seen
from tagfs.recognise import packs, sandbox, stacking, taxonomy
from tagfs.recognise.cascade import Cascade, eye
from tagfs.recognise.decode import Undecodable, as_png, decode, prepare, thumbnail
from tagfs.recognise.facts import read_facts
from tagfs.recognise.gazetteer import Gazetteer
from tagfs.recognise.gazetteer import load as load_gazetteer
from tagfs.recognise.kinds import rows
from tagfs.recognise.messages import (
    PLACES,
    SIDECAR,
    Request,
    Result,
    read_places,
    read_request,
    read_sidecar,
    write_result,
)
from tagfs.recognise.phash import perceptual_hash
from tagfs.recognise.scoring import by_form, ordered
from tagfs.recognise.telling import beside, shown, told


class Eyes:
    """The networks of some packs and what is made of their votes, ready to look."""

    def __init__(self, models: Mapping[str, Sequence[bytes]]) -> None:
        """``models`` has the weights of each pack by its name."""
        graph = taxonomy.load()
        self._cascade = Cascade(eye(name, each, graph) for name, each in models.items())
        self._stacking = stacking.load()

    def warm_up(self) -> None:
        """Run once with everything, so that nothing is left to be loaded."""
        grey = Image.new("RGB", (400, 300), (127, 127, 127))
        self._cascade.try_all(grey)
        self.look(grey)
        thumbnail(grey)
        as_png(grey, 128)
        perceptual_hash(Image.linear_gradient("L"))
        read_facts(Image.Exif(), b"", size=None, orientation=None, now=datetime.now())

    def look(self, image: Image.Image) -> Result:
        """Return what is in an upright RGB picture."""
        looks = self._cascade.look(image)
        votes = by_form({name: look.votes for name, look in looks.items()})
        given = stacking.rows(self._stacking.fuse(votes), packs.DEFAULT)
        first = looks.pop(packs.DEFAULT)
        return Result(
            given.get(packs.DEFAULT, ()),
            ordered(first.votes),
            first.features,
            thumbnail(image),
            more=tuple(
                Seen(
                    self._cascade.ids[name],
                    given.get(name, ()),
                    ordered(look.votes),
                    look.features,
                )
                for name, look in looks.items()
            ),
        )


def answer(eyes: Eyes, gazetteer: Gazetteer, request: Request) -> Result:
    """Decode one picture and look at it; what cannot be decoded is an answer, too."""
    if request.media_type == PLACES:
        return Result(located=tuple(map(gazetteer.locate, read_places(request.data))))
    now = datetime.fromtimestamp(request.now)
    if request.media_type == SIDECAR:
        return Result(facts=gazetteer.located(beside(*read_sidecar(request.data), now)))
    try:
        picture = decode(request.data, request.media_type)
    except Undecodable as e:
        said = told(request.data, request.media_type, now)
        facts = gazetteer.located(said.facts)
        return Result(facts=facts, unreadable=str(e), more=rows(said.kinds))
    if request.side:
        return Result(thumbnail=as_png(picture.image, request.side))
    said = shown(picture, request.data, request.media_type, now)
    seen = eyes.look(picture.image)
    more = (*seen.more, *rows(said.kinds))
    return replace(seen, facts=gazetteer.located(said.facts), more=more)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(packs.MAX_MODEL)


def main(arguments: list[str]) -> int:
    """Serve requests until stdin ends."""
    sandbox.limit_resources()
    os.nice(int(arguments[0]))
    try:
        models: dict[str, list[bytes]] = {}
        for name, path in zip(arguments[1::2], arguments[2::2], strict=True):
            models.setdefault(name, []).append(_read(path))
        prepare()
        eyes = Eyes(models)
        eyes.warm_up()
        gazetteer = load_gazetteer()
        gazetteer.locate(Place(1.0, 1.0))
        sandbox.lock_in()
    except TagfsError as e:
        write_result(sys.stdout.buffer, Result(unreadable=str(e)[:200]))
        return 1
    write_result(sys.stdout.buffer, Result())
    while (request := read_request(sys.stdin.buffer)) is not None:
        write_result(sys.stdout.buffer, answer(eyes, gazetteer, request))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
