"""The facts of one file, whether or not it can be shown; runs in the worker."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from tagfs.model import Facts
from tagfs.recognise.decode import (
    MAX_XMP,
    Decoded,
    open_picture,
    orientation,
    read_exif,
    read_iptc_block,
    read_xmp,
)
from tagfs.recognise.facts import read_facts
from tagfs.recognise.movies import read_movie
from tagfs.recognise.phash import perceptual_hash
from tagfs.recognise.raws import read_photoshop, read_raw
from tagfs.recognise.sniff import DECODABLE, MOVIES, TELLING

_BOXED = frozenset({"image/heic", "image/heif", "image/avif"})
_TURN = 0x0112


def shown(picture: Decoded, data: bytes, media_type: str, now: datetime) -> Facts:
    """Return the facts of a picture that was decoded; a file that fails the reader says nothing."""
    size = (picture.width, picture.height)
    turn = picture.orientation
    hashed = perceptual_hash(picture.image)
    try:
        facts = read_facts(
            picture.exif, picture.xmp, iptc=picture.iptc, size=size, orientation=turn, now=now
        )
        return replace(_dated(facts, data, media_type, now), phash=hashed)
    except Exception:  # EXIF is whatever somebody wrote, and every form of it may be broken
        return Facts(width=size[0], height=size[1], orientation=turn, phash=hashed)


def told(data: bytes, media_type: str, now: datetime) -> Facts:
    """Return the facts of what was not decoded: a broken picture, a raw file, a movie."""
    try:
        if media_type in MOVIES:
            return read_movie(data, now)
        if media_type in TELLING:
            raw = media_type != "image/vnd.adobe.photoshop"
            exif, xmp = read_raw(data, media_type) if raw else read_photoshop(data)
            turn = exif.get(_TURN)
            turn = turn if isinstance(turn, int) and 1 <= turn <= 8 else None
            return read_facts(exif, xmp[:MAX_XMP], size=None, orientation=turn, now=now)
        if media_type in DECODABLE:
            return _header(data, media_type, now)
    except Exception:  # see above
        pass
    return Facts()


def _header(data: bytes, media_type: str, now: datetime) -> Facts:
    """Return what stands before pixels that are broken; raises Undecodable for a broken header."""
    image = open_picture(data, media_type)
    exif = read_exif(image)
    facts = read_facts(
        exif,
        read_xmp(image),
        iptc=read_iptc_block(image),
        size=None,
        orientation=orientation(image, exif),
        now=now,
    )
    return _dated(facts, data, media_type, now)


def _dated(facts: Facts, data: bytes, media_type: str, now: datetime) -> Facts:
    """Give a series of pictures in boxes the date of its container where it has no other."""
    if facts.date is None and media_type in _BOXED:
        movie = read_movie(data, now)
        return replace(facts, date=movie.date, offset=movie.offset)
    return facts
