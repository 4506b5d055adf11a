"""Dates, cameras, lenses and places are read where they can be believed, and only there."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tagfs.model import Facts, Place
from tagfs.recognise.facts import (
    camera,
    lens,
    read_date,
    read_facts,
    read_iptc,
    read_offset,
    read_place,
)
from tagfs.vault.facts import decode_facts, encode_facts

NOW = datetime(2026, 11, 24, 12, 0, 0)


def facts(exif: Image.Exif, xmp: bytes = b"") -> Facts:
    return read_facts(exif, xmp, size=(4, 3), orientation=None, now=NOW)


def written(**directories: dict[int, Any]) -> Image.Exif:
    """Return EXIF as a file would hold it: written into a JPEG and read again."""
    exif = Image.Exif()
    exif.update(directories.get("main", {}))
    for number, name in ((0x8769, "details"), (0x8825, "gps")):
        if name in directories:
            exif.get_ifd(number).update(directories[name])
    out = io.BytesIO()
    Image.new("L", (1, 1)).save(out, "JPEG", exif=exif)
    return Image.open(io.BytesIO(out.getvalue())).getexif()


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2024:05:06 07:08:09", "2024-05-06T07:08:09"),
        ("2024-05-06T07:08:09.123", "2024-05-06T07:08:09"),
        ("2024:05:06 07:08", "2024-05-06T07:08:00"),
        ("1840:01:01 00:00:00", "1840-01-01T00:00:00"),
        ("2026:11:25 11:00:00", "2026-11-25T11:00:00"),  # a time zone ahead
        ("2026:11:26 00:00:00", None),
        ("1825:12:31 23:59:59", None),
        ("0000:00:00 00:00:00", None),
        ("2024:13:06 07:08:09", None),
        ("2023:02:29 07:08:09", None),
        ("2024:05:06 24:08:09", None),
        ("    :  :     :  :  ", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_date_is_believed_from_the_first_photo_to_tomorrow(text: str, date: str | None) -> None:
    assert read_date(text, NOW) == date


@given(st.text(max_size=40))
def test_any_text_is_a_date_or_none(text: str) -> None:
    date = read_date(text, NOW)
    assert date is None or datetime.fromisoformat(date).year >= 1826


@pytest.mark.parametrize(
    ("text", "offset"),
    [("+02:00", "+02:00"), ("-0930", "-09:30"), ("Z", "+00:00"), ("+99:00", None), ("", None)],
)
def test_offsets(text: str, offset: str | None) -> None:
    assert read_offset(text) == offset


@pytest.mark.parametrize(
    ("make", "model", "name"),
    [
        ("Canon", "Canon EOS 40D", "Canon EOS 40D"),
        ("NIKON CORPORATION", "NIKON D70", "NIKON D70"),
        ("Apple", "iPhone XS", "Apple iPhone XS"),
        ("", "iPhone XS", "iPhone XS"),
        ("HTC", "", "HTC"),
        ("", "", None),
    ],
)
def test_a_camera_does_not_say_its_maker_twice(make: str, model: str, name: str | None) -> None:
    assert camera(make, model) == name


def test_everything_is_read_from_a_jpeg() -> None:
    exif = written(
        main={0x010F: "Apple", 0x0110: "iPhone XS"},
        details={0x9003: "2020:03:05 11:28:10", 0x9011: "+02:00"},
        gps={1: "S", 2: (34.0, 36.0, 0.0), 3: "W", 4: (58.0, 22.0, 12.0), 5: b"\x01", 6: 12.5},
    )
    assert facts(exif) == Facts(
        width=4,
        height=3,
        orientation=None,
        date="2020-03-05T11:28:10",
        offset="+02:00",
        camera="Apple iPhone XS",
        place=Place(-34.6, -58.37, -12.5),
    )


def test_the_date_of_digitising_stands_in_for_an_impossible_one() -> None:
    exif = written(details={0x9003: "0000:00:00 00:00:00", 0x9004: "1999:01:02 03:04:05"})
    assert facts(exif).date == "1999-01-02T03:04:05"


def test_xmp_tells_what_exif_does_not() -> None:
    xmp = b"""<rdf:Description xmp:CreateDate="2013-10-14T21:37:18-07:00" tiff:Make='Leica'
        exif:GPSLatitude="48,8.51N"><exif:GPSLongitude>16,20,30.0E</exif:GPSLongitude>"""
    found = facts(Image.Exif(), xmp)
    assert (found.date, found.offset, found.camera) == ("2013-10-14T21:37:18", "-07:00", "Leica")
    assert found.place is not None
    assert found.place.latitude == pytest.approx(48.1418333)
    assert found.place.longitude == pytest.approx(16.3416667)


def test_a_place_that_is_shown_is_not_where_the_camera_stood() -> None:
    xmp = b"<Iptc4xmpExt:LocationShown exif:GPSLatitude='48,8.5N' exif:GPSLongitude='16,2.0E'>"
    assert facts(Image.Exif(), xmp).place is None


@pytest.mark.parametrize(
    ("latitude", "longitude", "more", "place"),
    [
        ("52.5", "13.25", "", Place(52.5, 13.25)),
        ("-52.5", "-13.25", "", Place(-52.5, -13.25)),
        ("47.5", "122.25", "exif:GPSLatitudeRef>S<exif:GPSLongitudeRef>W<", Place(-47.5, -122.25)),
        ("47.5", "1.5", "exif:GPSLatitudeRef='E'", None),
        ("1,30N", "1,30W", "exif:GPSAltitude='1489/10'", Place(1.5, -1.5, 148.9)),
        ("1,30N", "1,30W", "exif:GPSAltitude='3' exif:GPSAltitudeRef='1'", Place(1.5, -1.5, -3.0)),
        ("1,30N", "1,30W", "exif:GPSAltitude='3/0'", Place(1.5, -1.5)),
        ("0,0N", "0,0E", "", None),
        ("213.64", "103.48", "", None),
    ],
)
def test_positions_of_xmp(latitude: str, longitude: str, more: str, place: Place | None) -> None:
    xmp = f"exif:GPSLatitude='{latitude}' exif:GPSLongitude='{longitude}' {more}"
    assert facts(Image.Exif(), xmp.encode()).place == place


@pytest.mark.parametrize(("text", "turn"), [("6", 6), ("0", None), ("9", None), ("66", None)])
def test_a_sidecar_says_which_way_up(text: str, turn: int | None) -> None:
    assert facts(Image.Exif(), f"<tiff:Orientation>{text}<".encode()).orientation == turn


@pytest.mark.parametrize(
    ("day", "time", "date", "offset"),
    [
        (b"20061029", b"062751-0500", "2006-10-29T06:27:51", "-05:00"),
        (b"20061029", b"062751", "2006-10-29T06:27:51", None),
        (b"20040226", None, "2004-02-26T00:00:00", None),
        (b"20061029", b"noon", "2006-10-29T00:00:00", None),
        (b"00000000", b"062751-0500", None, None),
        (b"18251231", None, None, None),
        (b"20300101", None, None, None),
        (b"today", b"062751", None, None),
    ],
)
def test_dates_of_an_iptc_block(
    day: bytes, time: bytes | None, date: str | None, offset: str | None
) -> None:
    block = {(2, 55): day} | ({(2, 60): time} if time else {})
    assert read_iptc(block, NOW) == (date, offset)


def test_exif_is_believed_before_xmp_and_xmp_before_the_mere_day_of_iptc() -> None:
    def date(exif: Image.Exif, xmp: bytes, iptc: dict[tuple[int, int], bytes]) -> str | None:
        found = read_facts(exif, xmp, iptc=iptc, size=None, orientation=None, now=NOW)
        return found.date and found.date[:4]

    exif = written(details={0x9003: "2001:01:02 03:04:05"})
    taken = b"exif:DateTimeOriginal='2002-01-02T03:04:05'"
    made = b"xmp:CreateDate='2004-01-02T03:04:05'"
    day = {(2, 55): b"20030102"}
    timed = {**day, (2, 60): b"030405"}
    assert date(exif, taken + made, timed) == "2001"
    assert date(Image.Exif(), taken + made, timed) == "2002"
    assert date(Image.Exif(), made, timed) == "2003"
    assert date(Image.Exif(), made, day) == "2004"
    assert date(Image.Exif(), b"", day) == "2003"


def test_a_camera_written_one_level_too_low_is_found() -> None:
    exif = written(details={0x010F: "HTC", 0x0110: "HTC One_M8"})
    assert facts(exif).camera == "HTC One_M8"


@pytest.mark.parametrize(
    ("make", "model", "name"),
    [
        ("", "EF24-105mm f/4L IS USM", "EF24-105mm f/4L IS USM"),
        ("Canon", "Canon EF 24-105mm f/4L", "Canon EF 24-105mm f/4L"),
        ("Apple", "iPhone SE back camera 4.15mm f/2.2", "Apple iPhone SE back camera 4.15mm f/2.2"),
        ("OLYMPUS", "", None),
        ("", "----", None),
        ("", "0.0 mm f/0.0", None),
        ("Panasonic", "    ", None),
        ("", "50mm", "50mm"),
    ],
)
def test_a_lens_does_not_say_its_maker_twice_and_none_is_none(
    make: str, model: str, name: str | None
) -> None:
    assert lens(make, model) == name


@pytest.mark.parametrize(
    ("details", "xmp", "name"),
    [
        ({0xA433: "Zeiss", 0xA434: "Loxia 2/50"}, b"aux:Lens='other'", "Zeiss Loxia 2/50"),
        ({0xA434: "EF50mm f/1.8 II\0\0\0"}, b"", "EF50mm f/1.8 II"),
        ({0xA434: "----"}, b"aux:Lens='18.0-55.0 mm'", "18.0-55.0 mm"),
        ({0xA434: "\0" * 60}, b"<aux:Lens>EF50mm f/1.8 II</aux:Lens>", "EF50mm f/1.8 II"),
        ({}, b"exifEX:LensMake='Zeiss' exifEX:LensModel='Loxia 2/50'", "Zeiss Loxia 2/50"),
        ({}, b"exif:LensModel='EF50mm' aux:LensInfo='50/1 50/1'", "EF50mm"),
        ({}, b"aux:LensID='137' aux:LensInfo='50/1 50/1'", None),
        ({0xA434: "x" * 5000}, b"", "x" * 100),
        ({0xA434: 50, 0xA433: (1, 2)}, b"", None),
        ({}, b"aux:Lens='", None),
    ],
)
def test_the_lens_is_told_by_exif_and_else_by_xmp(
    details: dict[int, Any], xmp: bytes, name: str | None
) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update(details)
    assert facts(exif, xmp).lens == name
    if all(isinstance(value, str) for value in details.values()):
        assert facts(written(details=details), xmp).lens == name


GOOD = {1: "N", 2: (50.0, 26.0, 23.1), 3: "E", 4: (30.0, 30.0, 7.4)}


@pytest.mark.parametrize(
    "broken",
    [
        {2: (213.64, 0.0, 0.0)},
        {4: (181.0, 0.0, 0.0)},
        {2: (float("nan"), 0.0, 0.0)},
        {2: ()},
        {2: None},
        {2: "north"},
        {1: ""},
        {1: "X"},
        {3: None},
        {2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)},
    ],
    ids=str,
)
def test_a_broken_position_is_no_position(broken: dict[int, Any]) -> None:
    assert read_place(GOOD) is not None
    assert read_place(GOOD | broken) is None


@pytest.mark.parametrize("altitude", [float("nan"), float("inf"), 4294967284.0, "high", b""])
def test_a_broken_height_spoils_no_position(altitude: Any) -> None:
    place = read_place(GOOD | {6: altitude})
    assert place is not None
    assert place.altitude is None


@given(st.dictionaries(st.integers(0, 31), st.one_of(st.text(), st.floats(), st.binary())))
def test_any_gps_directory_gives_a_place_on_the_globe_or_none(gps: dict[int, Any]) -> None:
    place = read_place(gps)
    assert place is None or (abs(place.latitude) <= 90 and abs(place.longitude) <= 180)


@given(st.binary(max_size=2000))
def test_any_xmp_is_read_without_an_error(xmp: bytes) -> None:
    assert facts(Image.Exif(), xmp).width == 4


def test_names_of_cameras_and_lenses_are_as_long_as_is_kept() -> None:
    exif = written(
        main={0x010F: "m" * 100, 0x0110: "\u00e9" * 100},
        details={0xA433: "l" * 100, 0xA434: "\u00e9" * 100},
    )
    told = facts(exif)
    assert decode_facts(encode_facts(told)) == told
    assert camera("m" * 100, "\u00e9" * 100) == "m" * 100 + " " + "\u00e9" * 77
