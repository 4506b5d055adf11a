"""The type of a file is told from its first bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recognise_data import data

from tagfs.recognise.sniff import DECODABLE, HEAD, UNKNOWN, is_media, is_photo, sniff

SAME = {  # what exiftool calls by a finer name
    "image/apng": "image/png",
    "image/x-tiff-big": "image/tiff",
    "image/heif-sequence": "image/heic",
    "application/vnd.adobe.photoshop": "image/vnd.adobe.photoshop",
}


def test_every_file_of_the_formats_set_gets_the_type_exiftool_gives_it() -> None:
    base = data("data", "formats")
    wrong = []
    for name, expected in json.loads((base / "expected.json").read_text()).items():
        mime = SAME.get(expected["mime"], expected["mime"])
        if mime.startswith(("application/", "image/svg")):
            mime = UNKNOWN
        if name.endswith(".avif"):
            mime = "image/avif"  # exiftool calls an image sequence a video
        if name == "heif/cheers_1440x960.heic":
            mime = "image/heic"  # says "mif1, compatible with heic"
        got = sniff((base / name).read_bytes()[:HEAD], name.encode())
        if got != mime:
            wrong.append((name, got, mime))
    assert wrong == []


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"", UNKNOWN),
        (b"\xff\xd8\xff\xe1", "image/jpeg"),
        (b"BMW is a maker of cars", UNKNOWN),
        (b"#!/bin/sh\n", UNKNOWN),
        (b"RIFF\x00\x00\x00\x00WAVE", UNKNOWN),
        (b"\x00\x00\x00\x14ftypisom", "video/mp4"),
        (b"\x00\x00\x00\x14ftypM4A ", "audio/mp4"),
    ],
)
def test_the_bytes_decide(head: bytes, expected: str) -> None:
    assert sniff(head) == expected


def test_a_name_alone_makes_no_photo() -> None:
    assert sniff(b"hello, world", b"holiday.jpg") == UNKNOWN
    assert sniff(b"\xff\xd8\xff\xe0", b"notes.txt") == "image/jpeg"


def test_a_raw_file_is_told_from_a_tiff_by_its_name_only() -> None:
    assert sniff(b"II*\x00\x08\x00\x00\x00", b"a.NEF") == "image/x-nikon-nef"
    assert sniff(b"II*\x00\x08\x00\x00\x00", b"a.tif") == "image/tiff"


@given(st.binary(max_size=200), st.binary(max_size=20))
def test_any_bytes_have_a_type_and_later_bytes_do_not_change_it(head: bytes, name: bytes) -> None:
    media_type = sniff(head, name)
    assert sniff(head[:HEAD], name) == media_type
    assert is_media(media_type) or not is_photo(media_type)


def test_everything_decodable_is_a_photo() -> None:
    assert all(map(is_photo, DECODABLE))
    assert not is_photo("video/mp4")
    assert is_media("video/mp4")
    assert not is_media(UNKNOWN)
