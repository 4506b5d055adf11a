"""What the header of a movie says is read, wherever it lies, and nothing broken is believed."""

from __future__ import annotations

import struct
from datetime import datetime

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tagfs.model import Facts, Place
from tagfs.recognise import recogniser as recogniser_module
from tagfs.recognise.boxes import boxes
from tagfs.recognise.movies import read_iso_6709, read_movie
from tagfs.recognise.recogniser import material

NOW = datetime(2026, 11, 24, 12, 0, 0)
IN_2021 = 3_708_580_211  # seconds from 1904 to 2021-07-08 09:10:11


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def movie_header(seconds: int) -> bytes:
    return box(b"mvhd", bytes(4), struct.pack(">I", seconds), bytes(92))


def track(turn: tuple[int, int, int, int], width: int = 320) -> bytes:
    a, b, c, d = (v << 16 if v >= 0 else (v << 16) & 0xFFFFFFFF for v in turn)
    matrix = struct.pack(">9I", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return box(b"trak", box(b"tkhd", bytes(40), matrix, struct.pack(">2I", width << 16, 240 << 16)))


def items(full: bool = False, **told: str) -> bytes:
    """Return ``meta`` as QuickTime has it, or as MP4 does, with version and flags first."""
    names = b"".join(box(b"mdta", b"com.apple.quicktime." + n.encode()) for n in told)
    values = (
        box(struct.pack(">I", i + 1), box(b"data", bytes(8), v.encode()))
        for i, v in enumerate(told.values())
    )
    keys = box(b"keys", bytes(4), struct.pack(">I", len(told)), names)
    return box(
        b"meta", bytes(4) if full else b"", box(b"hdlr", bytes(24)), keys, box(b"ilst", *values)
    )


def user_data(kind: bytes, text: str) -> bytes:
    return box(b"udta", box(kind, struct.pack(">HH", len(text), 0x15C7), text.encode()))


def said(*parts: bytes) -> Facts:
    return read_movie(box(b"moov", *parts), NOW)


PHONE = {
    "creationdate": "2021-07-08T19:10:11+1000",
    "make": "Apple",
    "model": "iPhone 12",
    "location.ISO6709": "-33.8568+151.2153+010.000/",
}


@pytest.mark.parametrize("full", [False, True], ids=["QuickTime", "MP4"])
def test_a_phones_movie_tells_when_where_and_with_what(full: bool) -> None:
    facts = said(
        movie_header(IN_2021),
        track((1, 0, 0, 1), width=0),  # sound
        track((0, 1, -1, 0)),
        items(full, **PHONE),
    )
    assert facts == Facts(
        orientation=6,
        date="2021-07-08T19:10:11",
        offset="+10:00",
        camera="Apple iPhone 12",
        place=Place(-33.8568, 151.2153, 10.0),
    )


def test_the_movies_own_time_is_in_utc() -> None:
    facts = said(movie_header(IN_2021))
    assert (facts.date, facts.offset) == ("2021-07-08T09:10:11", "+00:00")


@pytest.mark.parametrize("seconds", [0, 1, 2_000_000_000, 2**32 - 1])
def test_a_clock_that_was_not_set_tells_no_date(seconds: int) -> None:
    facts = said(movie_header(seconds))
    assert (facts.date, facts.offset) == (None, None)


def test_android_tells_the_place_in_user_data() -> None:
    assert said(user_data(b"\xa9xyz", "+51.4169-000.0806/")).place == Place(51.4169, -0.0806)


@pytest.mark.parametrize(
    ("turn", "orientation"),
    [((1, 0, 0, 1), 1), ((0, 1, -1, 0), 6), ((-1, 0, 0, -1), 3), ((0, -1, 1, 0), 8)],
)
def test_a_movie_is_turned_as_its_first_track_with_pixels(
    turn: tuple[int, int, int, int], orientation: int
) -> None:
    assert said(track((1, 0, 0, 1), width=0), track(turn)).orientation == orientation


def test_a_skewed_movie_is_in_no_known_way_up() -> None:
    assert said(track((1, 1, 0, 1))).orientation is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("+32.0929+034.8620+028.516/", Place(32.0929, 34.862, 28.52)),
        ("+51.5-000.25/", Place(51.5, -0.25)),
        ("-3351.6+15112.6/", Place(-33.86, 151.21)),
        ("+405955.2-0040000/", Place(40.9986667, -4.0)),
        ("+00.0000+000.0000/", None),
        ("+91.0000+000.0000/", None),
        ("+51.5/", None),
        ("51.5,0.2", None),
        ("", None),
    ],
)
def test_positions_of_iso_6709(text: str, place: Place | None) -> None:
    assert read_iso_6709(text) == place


@given(st.binary(max_size=300))
def test_any_bytes_are_a_movie_that_says_something_or_nothing(noise: bytes) -> None:
    assert said(noise).width is None
    assert read_movie(noise, NOW).width is None


@given(st.data())
def test_a_movie_with_wrong_bytes_harms_nothing(draw: st.DataObject) -> None:
    whole = bytearray(box(b"moov", movie_header(IN_2021), track((0, 1, -1, 0)), items(**PHONE)))
    for at in draw.draw(st.lists(st.integers(0, len(whole) - 1), max_size=8)):
        whole[at] = draw.draw(st.integers(0, 255))
    read_movie(bytes(whole), NOW)


def test_a_box_that_says_a_wrong_length_ends_the_walk() -> None:
    assert list(boxes(struct.pack(">I4s", 7, b"free") + box(b"free"), 0, 16)) == []
    (box_,) = boxes(struct.pack(">I4s", 0, b"free") + bytes(8), 0, 16)
    assert (box_.start, box_.end) == (8, 16)
    (box_,) = boxes(struct.pack(">I4s", 2**31, b"free") + bytes(8), 0, 16)
    assert box_.end == 16


def sent(data: bytes, media_type: str = "video/mp4") -> tuple[tuple[int, int] | None, int]:
    """Return what a worker is sent, and how many bytes were read to find that out."""
    read_bytes = 0

    async def read(offset: int, size: int) -> bytes:
        nonlocal read_bytes
        assert size > 0
        read_bytes += size
        return data[offset : offset + size]

    return trio.run(material, read, len(data), media_type), read_bytes


def test_of_a_movie_only_its_description_is_sent_to_a_worker() -> None:
    film, header = box(b"mdat", bytes(5_000_000)), box(b"moov", movie_header(IN_2021))
    place, read_bytes = sent(box(b"ftyp", b"mp42") + film + header + box(b"free"))
    assert place == (12 + len(film), len(header))
    assert read_bytes < 100


def test_a_large_film_has_its_length_in_64_bits() -> None:
    film = struct.pack(">I4sQ", 1, b"mdat", 16 + 1000) + bytes(1000)
    assert sent(film + box(b"moov"))[0] == (1016, 8)


def test_nothing_is_sent_of_a_movie_without_a_description_or_with_one_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert sent(b"")[0] is None
    assert sent(box(b"ftyp", b"mp42") + box(b"mdat", bytes(100)))[0] is None
    assert sent(bytes(100))[0] is None
    assert sent(box(b"moov", bytes(100)), "video/webm")[0] is None
    monkeypatch.setattr(recogniser_module, "MAX_MOVIE", 50)
    assert sent(box(b"moov", bytes(100)))[0] is None
