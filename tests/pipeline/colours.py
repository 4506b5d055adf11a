"""Pictures that are made up, and a recogniser whose answer to them is known; needs no models."""

from __future__ import annotations

import io
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime

from PIL import Image

from tagfs.model import Analysis, Located, Place, Scored, TagId
from tagfs.recognise import gazetteer
from tagfs.recognise.decode import as_png, thumbnail
from tagfs.recognise.facts import read_facts
from tagfs.recognise.phash import perceptual_hash

Read = Callable[[int, int], Awaitable[bytes | bytearray | memoryview]]

DOG, CAT = TagId("n02084071"), TagId("n02121620")


def picture(red: int, size: int = 32) -> bytes:
    """Return a PNG of one colour; ``red`` above 100 is a dog."""
    out = io.BytesIO()
    Image.new("RGB", (size, size), (red, 10, 10)).save(out, "PNG")
    return out.getvalue()


def photo(
    seed: int,
    red: int = 200,
    date: str | None = None,
    position: tuple[float, float] | None = None,
) -> bytes:
    """Return a JPEG of patches that no other seed has, as if taken at ``date`` (EXIF's way) and
    at ``position`` (degrees of latitude and longitude).

    The patch in the corner says what is in it: ``red`` above 100 is a dog.
    """
    chance = random.Random(seed)
    small = Image.new("RGB", (16, 12))
    small.putdata([tuple(chance.randrange(256) for _ in range(3)) for _ in range(16 * 12)])
    small.putpixel((0, 0), (red, 10, 10))
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Tagfs", "Made-up"
    if date is not None:
        exif.get_ifd(0x8769)[0x9003] = date
    if position is not None:
        degrees = {2 * i + 2: (abs(angle), 0.0, 0.0) for i, angle in enumerate(position)}
        signs = {1: "NS"[position[0] < 0], 3: "EW"[position[1] < 0]}
        exif.get_ifd(0x8825).update({**signs, **degrees})
    out = io.BytesIO()
    large = small.resize((320, 240), Image.Resampling.NEAREST)
    large.save(out, "JPEG", quality=90, exif=exif)
    return out.getvalue()


def of_colour(colour: tuple[int, int, int], seed: int) -> bytes:
    """Return a JPEG that is one colour but for a corner that no other seed has."""
    large = Image.new("RGB", (320, 240), colour)
    large.paste(Image.open(io.BytesIO(photo(seed))).crop((0, 0, 40, 40)), (280, 200))
    out = io.BytesIO()
    large.save(out, "JPEG", quality=90)
    return out.getvalue()


class ByColour:
    """A recogniser whose answer is known: red pictures are dogs, dark ones cats."""

    pack = "colour-1"

    async def recognise(self, read: Read, size: int, media_type: str) -> Analysis:
        data = bytes(await read(0, size))
        image = Image.open(io.BytesIO(data))
        red = image.getpixel((0, 0))[0]  # type: ignore[index]
        tags = (Scored(DOG if red > 100 else CAT, 0.9),)
        now = datetime.now()
        facts = read_facts(image.getexif(), b"", size=image.size, orientation=None, now=now)
        facts = replace(facts, phash=perceptual_hash(image))
        kind = f"image/{(image.format or '').lower()}"
        return Analysis(self.pack, kind, tags, tags, facts, b"", b"")


class WithPlaces(ByColour):
    """The same with the names of places, found as the worker finds them but in this process."""

    def __init__(self) -> None:
        self._gazetteer = gazetteer.load()

    async def recognise(self, read: Read, size: int, media_type: str) -> Analysis:
        found = await super().recognise(read, size, media_type)
        return replace(found, facts=self._gazetteer.located(found.facts))

    async def locate(self, places: Sequence[Place]) -> tuple[Located | None, ...]:
        return tuple(map(self._gazetteer.locate, places))


class WithThumbnails(ByColour):
    """The same with thumbnails, made as the worker makes them but in this process."""

    async def recognise(self, read: Read, size: int, media_type: str) -> Analysis:
        found = await super().recognise(read, size, media_type)
        image = Image.open(io.BytesIO(bytes(await read(0, size)))).convert("RGB")
        return replace(found, thumbnail=thumbnail(image))

    async def png(self, jpeg: bytes, side: int) -> bytes | None:
        return as_png(Image.open(io.BytesIO(jpeg)), side)


class WithEverything(WithPlaces, WithThumbnails):
    """The same with thumbnails and the names of places."""
