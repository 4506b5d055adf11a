"""A head has the metadata of a file and not its pixels, whatever the file says of itself."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from recognise_data import data

from tagfs.recognise.decode import prepare
from tagfs.recognise.heads import LEAST, MAX_HEAD, PAGE, head_size
from tagfs.recognise.sniff import sniff

prepare()


def noise(form: str, **options: Any) -> bytes:
    """Return a picture of some 500 KB."""
    out = io.BytesIO()
    Image.effect_noise((700, 700), 90).convert("RGB").save(out, form, **options)
    return out.getvalue()


def with_comment(form: str, size: int) -> bytes:
    """Return a picture with a comment of so many bytes before its pixels."""
    if form == "JPEG":
        return noise(form, comment=b"x" * size)
    if form == "WEBP":
        return noise(form, icc_profile=b"x" * size)
    said = PngImagePlugin.PngInfo()
    said.add_text("Comment", "x" * size)
    return noise(form, pnginfo=said)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_head_goes_up_to_the_pixels(form: str) -> None:
    for comment in (0, 20_000, 40_000):
        raw = with_comment(form, comment)
        head = head_size(raw[:MAX_HEAD], sniff(raw[:64]))
        assert max(LEAST, comment) <= head <= max(LEAST, comment + 2 * PAGE)
        assert head % PAGE == 0


def test_a_head_has_at_most_64_kib() -> None:
    raw = with_comment("PNG", 100_000)
    assert head_size(raw[:MAX_HEAD], "image/png") == MAX_HEAD
    assert head_size(bytes(MAX_HEAD), "image/heic") == MAX_HEAD
    assert head_size(bytes(MAX_HEAD), "video/mp4") == MAX_HEAD


def test_of_other_files_what_tells_their_type_is_enough() -> None:
    assert head_size(bytes(MAX_HEAD), "application/pdf") == LEAST
    assert head_size(b"short", "application/pdf") == 5


@given(
    st.binary(max_size=300),
    st.sampled_from(["image/jpeg", "image/png", "image/webp", "image/gif", "text/plain"]),
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b""]),
)
def test_any_bytes_have_a_head(noise: bytes, media_type: str, magic: bytes) -> None:
    for raw in (magic + noise, magic + noise * 300):
        first = raw[:MAX_HEAD]
        assert min(LEAST, len(first)) <= head_size(first, media_type) <= len(first)


def exif_of(raw: bytes) -> dict[int, Any]:
    with Image.open(io.BytesIO(raw)) as image:
        exif = image.getexif()
        return {**exif, **exif.get_ifd(0x8769), **exif.get_ifd(0x8825)}


def jpegs() -> list[Path]:
    folders = [data("data", "formats", kind) for kind in ("camera", "gps", "orientation", "jpeg")]
    return [
        p for f in folders for p in sorted(f.iterdir()) if p.suffix.lower() in (".jpg", ".jpeg")
    ]


def test_the_heads_of_cameras_photos_have_the_whole_exif_data() -> None:
    photos = jpegs()
    assert len(photos) > 50
    for path in photos:
        raw = path.read_bytes()
        size = head_size(raw[:MAX_HEAD], "image/jpeg")
        try:
            wanted = exif_of(raw)
        except Exception:  # broken ones are there, too
            continue
        if size < MAX_HEAD:
            assert str(exif_of(raw[:size])) == str(wanted), path.name
