"""A file that cannot be shown still tells its date, its camera and its place."""

from __future__ import annotations

import io
import struct
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tagfs.model import Facts, Place
from tagfs.recognise.decode import Undecodable, decode, prepare
from tagfs.recognise.sniff import MOVIES, TELLING
from tagfs.recognise.telling import Told, told

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # what broken EXIF is said to be
prepare()
NOW = datetime(2026, 11, 24, 12, 0, 0)
SAID = Facts(
    orientation=6,
    date="2020-03-05T11:28:10",
    offset="+02:00",
    camera="Apple iPhone XS",
    place=Place(-34.6, -58.37),
)


def exif() -> Image.Exif:
    """Return EXIF that says all of ``SAID``."""
    exif = Image.Exif()
    exif.endian = "<"
    exif.update({0x010F: "Apple", 0x0110: "iPhone XS", 0x0112: 6})
    exif.get_ifd(0x8769).update({0x9003: "2020:03:05 11:28:10", 0x9011: "+02:00"})
    exif.get_ifd(0x8825).update(
        {1: "S", 2: (34.0, 36.0, 0.0), 3: "W", 4: (58.0, 22.0, 12.0)},
    )
    return exif


def tiff(exif: Image.Exif) -> bytes:
    return exif.tobytes().removeprefix(b"Exif\0\0")


def directory(values: dict[int, object]) -> bytes:
    """Return one directory as a TIFF of its own, as CR3 keeps them."""
    alone = Image.Exif()
    alone.update(values)
    return tiff(alone)


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def jpeg() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((400, 400), 90).save(out, "JPEG", exif=exif())
    return out.getvalue()


def canon() -> bytes:
    whole = exif()
    uuid = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")
    parts = (
        box(b"CMT1", directory(dict(whole))),
        box(b"CMT2", directory(whole.get_ifd(0x8769))),
        box(b"CMT4", directory(whole.get_ifd(0x8825))),
    )
    return box(b"ftyp", b"crx ") + box(b"moov", box(b"uuid", uuid, *parts))


def fujifilm() -> bytes:
    picture = jpeg()
    head = b"FUJIFILMCCD-RAW ".ljust(84, b"\0") + struct.pack(">II", 148, len(picture))
    return head.ljust(148, b"\0") + picture


def minolta() -> bytes:
    def block(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack(">I", len(body)) + body

    return block(b"\0MRM", block(b"\0PRD", bytes(24)) + block(b"\0TTW", tiff(exif())))


def photoshop() -> bytes:
    body = tiff(exif())
    resource = b"8BIM" + struct.pack(">HHI", 1058, 0, len(body)) + body + bytes(len(body) % 2)
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 2, 2, 8, 3)
    return head + bytes(4) + struct.pack(">I", len(resource)) + resource + bytes(4) + bytes(14)


FILES = {
    "image/x-adobe-dng": lambda: tiff(exif()),
    "image/x-panasonic-rw2": lambda: b"IIU\0" + tiff(exif())[4:],
    "image/x-olympus-orf": lambda: b"IIRO" + tiff(exif())[4:],
    "image/x-canon-cr3": canon,
    "image/x-fujifilm-raf": fujifilm,
    "image/x-minolta-mrw": minolta,
    "image/vnd.adobe.photoshop": photoshop,
}


@pytest.mark.parametrize("media_type", FILES)
def test_a_raw_file_tells_what_its_camera_wrote(media_type: str) -> None:
    assert told(FILES[media_type](), media_type, NOW).facts == SAID


def test_a_truncated_photo_tells_what_stands_before_the_pixels() -> None:
    cut = jpeg()[:2000]
    with pytest.raises(Undecodable):
        decode(cut, "image/jpeg")
    assert told(cut, "image/jpeg", NOW).facts == SAID


@pytest.mark.parametrize("media_type", sorted({*TELLING, *MOVIES, "image/jpeg", "text/plain"}))
def test_a_broken_file_tells_nothing(media_type: str) -> None:
    for broken in (b"", b"II*\0", b"II*\0" + bytes(3), b"\xff" * 200, bytes(200)):
        assert told(broken, media_type, NOW) == Told(Facts())


@given(st.sampled_from(sorted(FILES)), st.data())
def test_wrong_bytes_never_make_the_reader_fail(media_type: str, draw: st.DataObject) -> None:
    whole = bytearray(FILES[media_type]()[:4000])
    for at in draw.draw(st.lists(st.integers(0, min(len(whole), 700) - 1), max_size=5)):
        whole[at] = draw.draw(st.integers(0, 255))
    told(bytes(whole), media_type, NOW)
