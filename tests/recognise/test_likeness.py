"""Copies of one photo are the same picture, whatever was done to them; two photos are not."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from recognise_data import data

from tagfs.model import Facts
from tagfs.recognise.decode import decode, prepare
from tagfs.recognise.likeness import BACKED, SURE, distance, same_picture
from tagfs.recognise.phash import perceptual_hash
from tagfs.recognise.sniff import sniff

prepare()

CAMERA = Facts(camera="ACME 1", date="2026-11-24T20:15:00")


def hashed(raw: bytes) -> int | None:
    return perceptual_hash(decode(raw, sniff(raw[:64])).image)


def saved(image: Image.Image, form: str = "JPEG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


@cache
def photos() -> list[bytes]:
    folder: Path = data("data", "tagging-dev", "photos")
    return [path.read_bytes() for path in sorted(folder.iterdir())]


@cache
def hashes() -> list[int | None]:
    return [hashed(raw) for raw in photos()]


def with_camera(raw: bytes) -> bytes:
    """Return a JPEG with another EXIF block and the same picture data."""
    exif = Image.Exif()
    exif[0x0110] = "ACME 1"
    block = exif.tobytes()
    return raw[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + raw[2:]


def of_photo(change: Callable[[Image.Image], bytes]) -> Callable[[bytes], bytes]:
    return lambda raw: change(Image.open(io.BytesIO(raw)).convert("RGB"))


@pytest.mark.parametrize(
    "copied",
    [
        pytest.param(with_camera, id="its EXIF edited"),
        pytest.param(of_photo(lambda p: saved(p, quality=40)), id="encoded again"),
        pytest.param(of_photo(lambda p: saved(p, "WEBP", quality=60)), id="as WebP"),
        pytest.param(of_photo(lambda p: saved(p.resize((200, 150)))), id="small, sides changed"),
        pytest.param(of_photo(lambda p: saved(p.convert("L"))), id="in grey"),
        pytest.param(
            of_photo(lambda p: saved(p.point(lambda v: min(255, v * 5 // 4)))), id="light"
        ),
    ],
)
def test_a_copy_is_the_same_picture(copied: Callable[[bytes], bytes]) -> None:
    for raw, phash in list(zip(photos(), hashes(), strict=True))[::12]:
        assert phash is not None
        assert same_picture(Facts(phash=phash), Facts(phash=hashed(copied(raw))))


@pytest.mark.parametrize(
    "edited",
    [
        pytest.param(lambda p: p.crop((p.width // 40, 0, p.width, p.height)), id="cropped"),
        pytest.param(lambda p: p.rotate(2), id="straightened"),
        pytest.param(lambda p: p.transpose(Image.Transpose.ROTATE_90), id="turned left"),
        pytest.param(lambda p: p.transpose(Image.Transpose.ROTATE_180), id="turned upside down"),
        pytest.param(lambda p: p.transpose(Image.Transpose.ROTATE_270), id="turned right"),
    ],
)
def test_an_edit_with_camera_and_second_is_the_same_picture(
    edited: Callable[[Image.Image], Image.Image],
) -> None:
    for raw, phash in list(zip(photos(), hashes(), strict=True))[::12]:
        photo = Image.open(io.BytesIO(raw)).convert("RGB")
        other = hashed(saved(edited(photo)))
        assert same_picture(replace(CAMERA, phash=phash), replace(CAMERA, phash=other))


def test_no_two_different_photos_are_the_same_picture() -> None:
    """83,028 pairs: none within 6 bits, and about one in a thousand within 18."""
    found = [h for h in hashes() if h is not None]
    apart = [distance(a, b) for a, b in combinations(found, 2)]
    assert len(found) == len(photos()) == 408
    assert sum(d <= SURE for d in apart) == 0
    assert min(apart) > 2 * SURE
    assert sum(d <= BACKED for d in apart) < 0.002 * len(apart)
    assert not any(
        same_picture(replace(CAMERA, phash=a), Facts(phash=b, camera="ACME 1"))
        for a, b in combinations(found[:60], 2)
    )


def test_one_second_of_one_camera_is_not_enough_for_two_motifs() -> None:
    found = hashes()[:40]
    alike = [
        same_picture(replace(CAMERA, phash=a), replace(CAMERA, phash=b))
        for a, b in combinations(found, 2)
    ]
    assert sum(alike) <= 0.02 * len(alike)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        (Facts(phash=0), Facts(phash=0b111111), True),
        (Facts(phash=0), Facts(phash=0b1111111), False),
        (CAMERA, CAMERA, True),
        (CAMERA, replace(CAMERA, phash=5), True),
        (CAMERA, replace(CAMERA, date="2026-11-24T20:15:01"), False),
        (CAMERA, replace(CAMERA, camera="ACME 2"), False),
        (replace(CAMERA, camera=None), replace(CAMERA, camera=None), False),
        (replace(CAMERA, date=None), replace(CAMERA, date=None), False),
        (replace(CAMERA, phash=0), replace(CAMERA, phash=(1 << 18) - 1), True),
        (replace(CAMERA, phash=0), replace(CAMERA, phash=(1 << 25) - 1), False),
        (Facts(), Facts(), False),
    ],
)
def test_what_is_known_decides(a: Facts, b: Facts, same: bool) -> None:
    assert same_picture(a, b) is same
    assert same_picture(b, a) is same


def test_a_picture_without_shapes_has_no_hash() -> None:
    assert perceptual_hash(Image.new("RGB", (400, 300), (9, 9, 9))) is None
    half = Image.new("RGB", (400, 300))
    ImageDraw.Draw(half).rectangle((0, 0, 199, 299), fill=(255, 255, 255))
    assert perceptual_hash(half) is not None


def test_the_bits_stand_in_the_order_that_the_format_says() -> None:
    """Of a step, odd frequencies alternate: along the first row when its left is bright."""
    left = Image.new("L", (32, 32))
    left.paste(255, (0, 0, 16, 32))
    across = perceptual_hash(left)
    down = perceptual_hash(left.transpose(Image.Transpose.TRANSPOSE))
    assert across is not None
    assert down is not None
    first_row = across.to_bytes(8, "big")[0]
    first_column = [row >> 7 for row in down.to_bytes(8, "big")]
    assert first_row & 0b11010101 == 0b11000100
    assert (first_column[0], *first_column[1::2]) == (1, 1, 0, 1, 0)
