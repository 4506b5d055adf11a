"""What one file says of itself, whether or not it can be shown; runs in the worker."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from PIL import Image

from tagfs.model import Facts, TagId
from tagfs.recognise.decode import (
    MAX_XMP,
    Decoded,
    open_picture,
    orientation,
    read_exif,
    read_iptc_block,
    read_software,
    read_xmp,
)
from tagfs.recognise.facts import read_facts
from tagfs.recognise.kinds import read_kinds
from tagfs.recognise.movies import read_movie
from tagfs.recognise.phash import perceptual_hash
from tagfs.recognise.raws import read_photoshop, read_raw
from tagfs.recognise.sniff import DECODABLE, MOVIES, TELLING

_BOXED = frozenset({"image/heic", "image/heif", "image/avif"})
_TURN = 0x0112


@dataclass(frozen=True, slots=True)
class Told:
    """What a file says of its picture."""

    facts: Facts
    kinds: frozenset[TagId] = frozenset()


def shown(picture: Decoded, data: bytes, media_type: str, now: datetime) -> Told:
    """Return what the file of a decoded picture says; one that fails the reader says nothing."""
    size = (picture.width, picture.height)
    turn = picture.orientation
    hashed = perceptual_hash(picture.image)
    try:
        facts = read_facts(
            picture.exif, picture.xmp, iptc=picture.iptc, size=size, orientation=turn, now=now
        )
        facts = replace(_dated(facts, data, media_type, now), phash=hashed)
    except Exception:  # EXIF is whatever somebody wrote, and every form of it may be broken
        return Told(Facts(width=size[0], height=size[1], orientation=turn, phash=hashed))
    return _with_kinds(facts, picture.exif, picture.xmp, picture.software, data)


def told(data: bytes, media_type: str, now: datetime) -> Told:
    """Return what a file says that was not decoded: a broken picture, a raw file, a movie."""
    try:
        if media_type in MOVIES:
            return Told(read_movie(data, now))
        if media_type in TELLING:
            raw = media_type != "image/vnd.adobe.photoshop"
            exif, xmp = read_raw(data, media_type) if raw else read_photoshop(data)
            xmp = xmp[:MAX_XMP]
            turn = exif.get(_TURN)
            turn = turn if isinstance(turn, int) and 1 <= turn <= 8 else None
            facts = read_facts(exif, xmp, size=None, orientation=turn, now=now)
            return _with_kinds(facts, exif, xmp, "", data)
        if media_type in DECODABLE:
            return _header(data, media_type, now)
    except Exception:  # see above
        pass
    return Told(Facts())


def beside(packet: bytes, turn: int | None, size: tuple[int, int] | None, now: datetime) -> Facts:
    """Return what a sidecar states of a picture; ``turn`` and ``size`` are those of the picture."""
    try:
        return read_facts(Image.Exif(), packet[:MAX_XMP], size=size, orientation=turn, now=now)
    except Exception:  # see above
        return Facts()


def _header(data: bytes, media_type: str, now: datetime) -> Told:
    """Return what stands before pixels that are broken; raises Undecodable for a broken header."""
    image = open_picture(data, media_type)
    exif, xmp = read_exif(image), read_xmp(image)
    facts = read_facts(
        exif,
        xmp,
        iptc=read_iptc_block(image),
        size=None,
        orientation=orientation(image, exif),
        now=now,
    )
    facts = _dated(facts, data, media_type, now)
    return _with_kinds(facts, exif, xmp, read_software(image), data)


def _with_kinds(facts: Facts, exif: Image.Exif, xmp: bytes, software: str, data: bytes) -> Told:
    try:
        kinds = read_kinds(exif, xmp, lens=facts.lens, software=software, data=data)
    except Exception:  # see above; the facts are known all the same
        kinds = frozenset()
    return Told(facts, kinds)


def _dated(facts: Facts, data: bytes, media_type: str, now: datetime) -> Facts:
    """Give a series of pictures in boxes the date of its container where it has no other."""
    if facts.date is None and media_type in _BOXED:
        movie = read_movie(data, now)
        return replace(facts, date=movie.date, offset=movie.offset)
    return facts
