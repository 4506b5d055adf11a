"""Tell the media type of a file from its first bytes; pure, bounded, safe in the daemon.

Nothing is parsed: fixed places are compared with fixed bytes. The name is asked in one case only,
where the bytes cannot tell: most camera raw forms are TIFF files.
"""

from __future__ import annotations

HEAD = 64
"""As many first bytes as ``sniff`` ever looks at."""

UNKNOWN = "application/octet-stream"

_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\xff\x0a", "image/jxl"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"8BPS\x00\x01", "image/vnd.adobe.photoshop"),
    (b"II\x1a\x00\x00\x00HEAPCCDR", "image/x-canon-crw"),
    (b"FUJIFILMCCD-RAW ", "image/x-fujifilm-raf"),
    (b"\x00MRM", "image/x-minolta-mrw"),
    (b"IIU\x00", "image/x-panasonic-rw2"),
    (b"IIRO", "image/x-olympus-orf"),
    (b"IIRS", "image/x-olympus-orf"),
    (b"MMOR", "image/x-olympus-orf"),
    (b"FOVb", "image/x-sigma-x3f"),
    (b"OggS", "video/ogg"),
    (b"FLV\x01", "video/x-flv"),
    (b"\x00\x00\x01\xba", "video/mpeg"),
    (b"\x00\x00\x01\xb3", "video/mpeg"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-wmv"),
)
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_RAW_NAMES = {
    b".dng": "image/x-adobe-dng",
    b".nef": "image/x-nikon-nef",
    b".nrw": "image/x-nikon-nef",
    b".arw": "image/x-sony-arw",
    b".sr2": "image/x-sony-arw",
    b".pef": "image/x-pentax-pef",
    b".srw": "image/x-samsung-srw",
    b".kdc": "image/x-kodak-kdc",
    b".dcr": "image/x-kodak-kdc",
    b".3fr": "image/x-hasselblad-3fr",
    b".erf": "image/x-epson-erf",
    b".iiq": "image/x-phaseone-iiq",
    b".rwl": "image/x-panasonic-rw2",
}
_NAMES = (
    b"jpg jpeg jpe heic heif avif png webp tif tiff gif cr2 cr3 raf orf rw2 mrw x3f psd mp4 mov"
)
EXTENSIONS = (*(b"." + name for name in _NAMES.split()), *_RAW_NAMES)
"""What names of photos and videos end in, in small letters."""
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"heim": "image/heic",
    b"heis": "image/heic",
    b"hevc": "image/heic",
    b"hevx": "image/heic",
    b"mif1": "image/heif",
    b"msf1": "image/heif",
    b"crx ": "image/x-canon-cr3",
    b"qt  ": "video/quicktime",
    b"3gp4": "video/3gpp",
    b"3gp5": "video/3gpp",
    b"3gp6": "video/3gpp",
    b"3g2a": "video/3gpp2",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
}

DECODABLE = frozenset(
    {
        "image/jpeg",
        "image/png",
        "image/webp",
        "image/gif",
        "image/tiff",
        "image/bmp",
        "image/heic",
        "image/heif",
        "image/avif",
    }
)
"""What the worker decodes; other pictures are kept, backed up and listed as unreadable."""

MOVIES = frozenset({"video/mp4", "video/quicktime", "video/3gpp", "video/3gpp2"})
"""Made of boxes whose description the worker reads; their frames are not looked at."""
TELLING = frozenset(
    {
        "image/x-adobe-dng",
        "image/x-canon-cr2",
        "image/x-canon-cr3",
        "image/x-epson-erf",
        "image/x-fujifilm-raf",
        "image/x-hasselblad-3fr",
        "image/x-kodak-kdc",
        "image/x-minolta-mrw",
        "image/x-nikon-nef",
        "image/x-olympus-orf",
        "image/x-panasonic-rw2",
        "image/x-pentax-pef",
        "image/x-phaseone-iiq",
        "image/x-samsung-srw",
        "image/x-sony-arw",
        "image/vnd.adobe.photoshop",
    }
)
"""Pictures whose metadata the worker reads without showing them: camera raw forms, and one more."""


def is_photo(media_type: str) -> bool:
    """Say whether the type is a picture, decodable or not."""
    return media_type.startswith("image/")


def is_media(media_type: str) -> bool:
    """Say whether the type is a photo or a video, so that the views list it."""
    return media_type.startswith(("image/", "video/"))


def _boxed(head: bytes) -> str:
    """Return the type of an ISO base media file by its brands (ISO/IEC 14496-12)."""
    major = head[8:12]
    size = min(int.from_bytes(head[:4], "big"), HEAD)
    compatible = {head[i : i + 4] for i in range(16, max(size, 16), 4)}
    if major in (b"mif1", b"msf1", b"miaf"):
        if compatible & {b"avif", b"avis"}:
            return "image/avif"
        if compatible & {b"heic", b"heix", b"hevc", b"hevx"}:
            return "image/heic"
        return "image/heif"
    return _BRANDS.get(major, "video/mp4")


def _tiff(head: bytes, name: bytes) -> str:
    if head[8:10] == b"CR":
        return "image/x-canon-cr2"
    dot = name.rfind(b".")
    return _RAW_NAMES.get(name[dot:].lower(), "image/tiff") if dot >= 0 else "image/tiff"


def sniff(head: bytes, name: bytes = b"") -> str:
    """Return the media type by the first ``HEAD`` bytes, ``UNKNOWN`` for what is no media.

    ``name`` tells camera raw forms from other TIFF files; everything else is told by bytes.
    """
    head = bytes(head[:HEAD])
    for magic, media_type in _MAGIC:
        if head.startswith(magic):
            return media_type
    if head[:4] in _TIFF:
        return _tiff(head, name)
    if head[4:8] == b"ftyp":
        return _boxed(head)
    if head[4:8] in (b"moov", b"mdat", b"wide") and len(head) >= 16:
        return "video/quicktime"
    if head[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"AVI ": "video/x-msvideo"}.get(head[8:12], UNKNOWN)
    if head[:4] == b"\x1aE\xdf\xa3":
        return "video/webm" if b"webm" in head else "video/x-matroska"
    # "BM" alone starts many a text: the header's size field has few values.
    if head[:2] == b"BM" and head[14:18] in _BMP_HEADERS:
        return "image/bmp"
    if len(head) > 4 and head[0] == 0x47 and name.lower().endswith((b".ts", b".mts", b".m2ts")):
        return "video/mp2t"
    return UNKNOWN


_BMP_HEADERS = frozenset(n.to_bytes(4, "little") for n in (12, 16, 40, 52, 56, 64, 108, 124))
