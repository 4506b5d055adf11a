"""From the bytes of a picture to upright RGB pixels at a reduced scale; runs in the worker.

JPEG is decoded at 1/2, 1/4 or 1/8 where that is enough (libjpeg's scaled DCT). How many bytes of
pixels a decoder will produce is known from the header, and too many are refused before it runs.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageCms, IptcImagePlugin, UnidentifiedImageError

from tagfs.errors import TagfsError
from tagfs.recognise.facts import Iptc, plain_text
from tagfs.recognise.sniff import DECODABLE

MAX_DECODED: Final = 400 * 1024 * 1024
"""Bytes of pixels that a decoder may produce: 139 megapixels of RGB."""
MAX_SIDE: Final = 65_500
"""Pixels along one side."""
WORKING_SIDE: Final = 480
"""The shorter side of what ``decode`` returns, at least, where the picture has as many pixels."""
MAX_WORKING: Final = 4096
"""The longer side of what ``decode`` returns, at most."""
THUMBNAIL_SIDE: Final = 256
MAX_XMP: Final = 256 * 1024
"""Bytes of an XMP packet that are looked at."""

_FORMATS: Final = {
    "image/jpeg": ("JPEG",),  # a stereo pair (MPO), too
    "image/png": ("PNG",),
    "image/webp": ("WEBP",),
    "image/gif": ("GIF",),
    "image/tiff": ("TIFF",),
    "image/bmp": ("BMP",),
    "image/heic": ("HEIF",),
    "image/heif": ("HEIF",),
    "image/avif": ("AVIF",),
}
_RAW_AS_TIFF: Final = ("image/x-adobe-dng", "image/x-nikon-nef", "image/x-sony-arw")
_SHORT_NAMES: Final = {"image/webp": "WebP", "image/vnd.adobe.photoshop": "Photoshop file"}
_BYTES: Final = {"1": 1, "L": 1, "P": 1, "LA": 2, "I;16": 2, "I;16B": 2, "I;16L": 2, "RGB": 3}
_ORIENTATION = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Undecodable(TagfsError):
    """The picture cannot be decoded; the message is one clause, such as "truncated JPEG"."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture as the recogniser needs it."""

    image: Image.Image  # RGB, upright, reduced
    width: int  # pixels of the whole picture, upright
    height: int
    orientation: int | None  # EXIF 1..8 as stored, None when absent
    exif: Image.Exif
    xmp: bytes
    iptc: Iptc
    software: str  # what a PNG says made it


def prepare() -> None:
    """Load every decoder, before the sandbox forbids opening files."""
    Image.init()
    Image.MAX_IMAGE_PIXELS = None  # the limits here are stricter
    warnings.simplefilter("ignore")
    with contextlib.suppress(ImportError):
        from PIL import AvifImagePlugin

        AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # a worker has one core
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.options.DECODE_THREADS = 1
        pillow_heif.register_heif_opener(thumbnails=False)


def short_name(media_type: str) -> str:
    """Return what people call the format: "JPEG"."""
    plain = media_type.rpartition("/")[2]
    if plain.startswith("x-"):
        return plain[2:].replace("-", " ").upper() + " raw"
    return _SHORT_NAMES.get(media_type, plain.upper())


def open_picture(data: bytes, media_type: str) -> Image.Image:
    """Read the header with the decoders of that type only.

    Raises:
        Undecodable: no decoder, another content, or more pixels than allowed.
    """
    formats = _FORMATS.get(media_type)
    if formats is None and media_type in _RAW_AS_TIFF:
        formats = ("TIFF",)
    if formats is None:
        raise Undecodable(f"{short_name(media_type)} is a form that is not decoded")
    if not any(f in Image.OPEN for f in formats):
        raise Undecodable(f"the decoder for {short_name(media_type)} is not installed")
    try:
        image = Image.open(io.BytesIO(data), formats=formats)
    except UnidentifiedImageError:
        raise Undecodable(f"broken {short_name(media_type)} header") from None
    except Exception as error:  # decoders raise whatever a broken file makes them raise
        raise Undecodable(_reason(error, media_type)) from error
    if not (0 < image.width <= MAX_SIDE and 0 < image.height <= MAX_SIDE):
        raise Undecodable(f"{image.width} x {image.height} pixels are more than allowed")
    return image


def _reason(error: Exception, media_type: str) -> str:
    """Return one clause that names no content of the file."""
    text = str(error).lower()
    for word in ("truncated", "unexpected end", "premature"):
        if word in text:
            return f"truncated {short_name(media_type)}"
    if isinstance(error, MemoryError) or "decompression bomb" in text:
        return f"{short_name(media_type)} needs more memory than allowed"
    return f"broken {short_name(media_type)} data"


def _draft(image: Image.Image) -> None:
    """Ask a JPEG for a smaller scale, never below the working size."""
    scale = max(WORKING_SIDE / min(image.size), THUMBNAIL_SIDE / max(image.size))
    if scale < 1 and image.format in ("JPEG", "MPO"):
        image.draft(None, (round(image.width * scale), round(image.height * scale)))


def _reduce(image: Image.Image) -> Image.Image:
    """Shrink by whole numbers, averaging, to not far above the working size."""
    if image.mode not in ("L", "RGB", "RGBA", "LA", "CMYK", "RGBX", "YCbCr", "LAB"):
        return image
    factor = min(image.size) // WORKING_SIDE
    factor = max(factor, -(-max(image.size) // MAX_WORKING))
    return image.reduce(factor) if factor > 1 else image


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Return the picture in sRGB by its own colour profile; as it is when that is broken."""
    if not profile or image.mode not in ("RGB", "CMYK", "L"):
        return image
    with contextlib.suppress(Exception):  # lcms refuses in many ways; colours are no reason to fail
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
        if converted is not None:
            return converted
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return any mode as RGB; what is transparent becomes white."""
    if image.mode.startswith("I;16"):
        image = image.convert("I")
    if image.mode in ("I", "F"):
        low, high = image.getextrema()
        span = float(high) - float(low) or 1.0  # type: ignore[arg-type]
        values = image.convert("F").point(lambda v: v * (255.0 / span) - float(low) * 255.0 / span)  # type: ignore[arg-type]
        return values.convert("L").convert("RGB")
    if "transparency" in image.info or image.mode in ("LA", "PA", "RGBA", "La", "RGBa"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    if image.mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        converted = ImageCms.profileToProfile(
            image, lab, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
        return converted if converted is not None else image.convert("L").convert("RGB")
    return image.convert("RGB")


def orientation(image: Image.Image, exif: Image.Exif) -> int | None:
    """Return the EXIF orientation 1..8; None for any other value."""
    try:
        value = image.info.get("original_orientation") or exif.get(_ORIENTATION)
    except Exception:  # a broken directory
        return None
    return value if isinstance(value, int) and 1 <= value <= 8 else None


def read_exif(image: Image.Image) -> Image.Exif:
    """Return the EXIF data, empty where there is none that can be read."""
    try:
        return image.getexif()
    except Exception:  # Pillow raises many kinds on broken EXIF
        return Image.Exif()


def read_xmp(image: Image.Image) -> bytes:
    """Return the XMP packet, at most ``MAX_XMP`` of it; empty where there is none."""
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    if not packet and image.format == "TIFF":
        packet = getattr(image, "tag_v2", {}).get(700, b"")
    if isinstance(packet, str):
        packet = packet.encode("utf-8", "replace")
    return packet[:MAX_XMP] if isinstance(packet, bytes) else b""


def read_iptc_block(image: Image.Image) -> Iptc:
    """Return the fields of the IPTC block, empty where there is none that can be read."""
    try:
        return IptcImagePlugin.getiptcinfo(image) or {}  # type: ignore[arg-type]
    except Exception:  # Pillow raises many kinds on broken blocks
        return {}


def read_software(image: Image.Image) -> str:
    """Return the text "Software" of a PNG, empty where there is none."""
    return plain_text(image.info.get("Software")) if image.format == "PNG" else ""


def decode(data: bytes, media_type: str) -> Decoded:
    """Return the first frame upright, in RGB, reduced to about ``WORKING_SIDE``.

    Raises:
        Undecodable: broken, truncated, too large or of a form that is not decoded.
    """
    if media_type not in DECODABLE:
        raise Undecodable(f"{short_name(media_type)} is a form that is not decoded")
    image = open_picture(data, media_type)
    size = image.size
    exif = read_exif(image)
    turn = orientation(image, exif)
    # HEIF stores the turn in the container, and its decoder has applied it.
    upright = None if image.format == "HEIF" else _TURNS.get(turn or 1)
    try:
        _draft(image)
        if image.width * image.height * _BYTES.get(image.mode, 4) > MAX_DECODED:
            raise Undecodable(f"{size[0]} x {size[1]} pixels are more than allowed")
        image.load()
        xmp, iptc, software = read_xmp(image), read_iptc_block(image), read_software(image)
        profile = image.info.get("icc_profile") or b""
        colours = _to_srgb(_reduce(image), profile if isinstance(profile, bytes) else b"")
        working = _reduce(_to_rgb(colours))  # again, for modes that reduce only as RGB
        if upright is not None:
            working = working.transpose(upright)
    except Undecodable:
        raise
    except Exception as error:  # decoders raise whatever a broken file makes them raise
        raise Undecodable(_reason(error, media_type)) from error
    width, height = size[::-1] if upright is not None and turn in (5, 6, 7, 8) else size
    return Decoded(working, width, height, turn, exif, xmp, iptc, software)


def thumbnail(image: Image.Image) -> bytes:
    """Return a JPEG of at most 256 x 256 pixels of an upright RGB picture."""
    small = image.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=82, optimize=False)
    return out.getvalue()


def as_png(image: Image.Image, side: int) -> bytes:
    """Return a PNG of at most ``side`` x ``side`` pixels of an upright RGB picture."""
    small = image.copy()
    small.thumbnail((side, side), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    small.save(out, "PNG", compress_level=1)
    return out.getvalue()
