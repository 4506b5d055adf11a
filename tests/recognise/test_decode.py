"""Pictures come out upright, small and in RGB, whatever they were; too large ones not at all."""

from __future__ import annotations

import io
import json
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image
from recognise_data import data

from tagfs.recognise import decode as decoding
from tagfs.recognise.decode import Undecodable, decode, prepare, thumbnail
from tagfs.recognise.sniff import DECODABLE, sniff

prepare()

RED, GREEN, BLUE, WHITE = (200, 0, 0), (0, 200, 0), (0, 0, 200), (250, 250, 250)


def corners(width: int = 64, height: int = 32) -> Image.Image:
    """Return a picture with another colour in each quarter."""
    image = Image.new("RGB", (width, height))
    half = (width // 2, height // 2)
    for colour, place in zip(
        (RED, GREEN, BLUE, WHITE),
        ((0, 0), (half[0], 0), (0, half[1]), half),
        strict=True,
    ):
        image.paste(colour, (*place, place[0] + half[0], place[1] + half[1]))
    return image


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def near(pixel: object, colour: tuple[int, int, int]) -> bool:
    return isinstance(pixel, tuple) and all(
        abs(a - b) < 40 for a, b in zip(pixel, colour, strict=True)
    )


@pytest.mark.parametrize(
    ("form", "media_type"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
        ("TIFF", "image/tiff"),
        ("BMP", "image/bmp"),
        ("AVIF", "image/avif"),
    ],
)
def test_every_form_shows_the_same_picture(form: str, media_type: str) -> None:
    raw = saved(corners(), form)
    assert sniff(raw[:64]) == media_type
    picture = decode(raw, media_type)
    assert picture.image.mode == "RGB"
    assert (picture.width, picture.height) == (64, 32)
    assert near(picture.image.getpixel((8, 8)), RED)
    assert near(picture.image.getpixel((56, 24)), WHITE)


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_picture_is_upright_by_its_orientation(turn: int) -> None:
    upright = corners()
    undo = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
    stored = upright
    if turn > 1:
        stored = upright.transpose(decoding._TURNS[undo[turn]])
    exif = Image.Exif()
    exif[0x0112] = turn
    picture = decode(saved(stored, "JPEG", exif=exif, quality=95), "image/jpeg")
    assert picture.orientation == turn
    assert picture.image.size == (picture.width, picture.height) == (64, 32)
    assert near(picture.image.getpixel((8, 8)), RED)
    assert near(picture.image.getpixel((56, 8)), GREEN)
    assert near(picture.image.getpixel((8, 24)), BLUE)


def test_every_orientation_of_a_real_photo_gives_the_same_picture() -> None:
    folder = data("data", "formats", "orientation")
    views = []
    for turn in range(1, 9):
        picture = decode((folder / f"Landscape_{turn}.jpg").read_bytes(), "image/jpeg")
        assert picture.width > picture.height
        views.append(np.asarray(picture.image.resize((32, 24)).convert("L"), dtype=np.float32))
    for view in views[1:]:
        assert np.abs(view - views[0]).mean() < 6


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "I;16", "F", "YCbCr", "LAB"]
)
def test_every_mode_becomes_rgb(mode: str) -> None:
    grey = corners().convert("L")
    image = grey.convert("I").convert(mode) if mode == "I;16" else None
    if mode == "LAB":
        image = Image.new("LAB", (64, 32), (150, 128, 128))
    image = image or (grey if mode in ("I", "F") else corners()).convert(mode)
    picture = decode(saved(image, "TIFF" if mode != "P" else "PNG"), _type(mode))
    assert picture.image.mode == "RGB"
    values = np.asarray(picture.image)
    assert values.max() > 100, "all black"


def _type(mode: str) -> str:
    return "image/png" if mode == "P" else "image/tiff"


def test_what_is_transparent_becomes_white() -> None:
    clear = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    assert decode(saved(clear, "PNG"), "image/png").image.getpixel((5, 5)) == (255, 255, 255)


def test_a_large_jpeg_is_decoded_at_a_smaller_scale() -> None:
    raw = saved(Image.new("RGB", (4000, 3000), RED), "JPEG")
    picture = decode(raw, "image/jpeg")
    assert (picture.width, picture.height) == (4000, 3000)
    assert decoding.WORKING_SIDE <= min(picture.image.size) < 2 * decoding.WORKING_SIDE


def test_a_thumbnail_fits_256_pixels() -> None:
    with Image.open(io.BytesIO(thumbnail(Image.new("RGB", (1000, 10))))) as small:
        assert (small.format, small.size) == ("JPEG", (256, 3))


def png_that_says(width: int, height: int) -> bytes:
    """Return a PNG whose header promises a size and whose data is nothing much."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(("width", "height"), [(12_000, 12_000), (65_535, 65_535), (70_000, 2)])
def test_more_pixels_than_allowed_are_refused_before_decoding(width: int, height: int) -> None:
    with pytest.raises(Undecodable, match="more than allowed"):
        decode(png_that_says(width, height), "image/png")


@pytest.mark.parametrize(
    ("raw", "media_type", "reason"),
    [
        (b"", "image/jpeg", "broken JPEG header"),
        (b"\xff\xd8\xff" + bytes(100), "image/jpeg", "broken JPEG"),
        (saved(corners(400, 400), "JPEG")[:900], "image/jpeg", "truncated JPEG"),
        (saved(corners(), "PNG"), "image/jpeg", "broken JPEG header"),
        (saved(corners(), "PNG"), "image/x-nikon-nef", "NIKON NEF raw is a form"),
        (saved(corners(), "PNG"), "application/pdf", "is a form that is not decoded"),
    ],
)
def test_what_cannot_be_decoded_says_why_in_one_clause(
    raw: bytes, media_type: str, reason: str
) -> None:
    with pytest.raises(Undecodable, match=reason):
        decode(raw, media_type)


def test_a_format_that_was_not_named_is_never_tried() -> None:
    """The type is sniffed; a PostScript file that calls itself JPEG meets the JPEG decoder only."""
    with pytest.raises(Undecodable, match="broken JPEG header"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "image/jpeg")


def test_pictures_of_the_formats_set_have_the_sizes_exiftool_reads() -> None:
    folder = data("data", "formats")
    checked, refused = 0, []
    for name, told in sorted(json.loads((folder / "expected.json").read_text()).items()):
        raw = (folder / name).read_bytes()
        media_type = sniff(raw[:64], name.encode())
        if media_type not in DECODABLE or "width" not in told:
            continue
        try:
            picture = decode(raw, media_type)
        except Undecodable:
            refused.append(name)
            continue
        turned = picture.orientation in (5, 6, 7, 8)
        stored = (told["width"], told["height"])
        if media_type in ("image/heic", "image/heif", "image/avif"):
            assert sorted((picture.width, picture.height)) == sorted(stored), name
        else:
            assert (picture.width, picture.height) == (stored[::-1] if turned else stored), name
        if told.get("orientation"):
            assert picture.orientation == told["orientation"], name
        checked += 1
    assert checked > 150
    assert refused == ["jpeg/ultra-hdr.jpg"]  # lacks its second half
