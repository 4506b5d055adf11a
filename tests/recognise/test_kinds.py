"""Panoramas, screenshots, selfies and bursts are told where metadata says so, and only there."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from recognise_data import data

from tagfs.model import METADATA, Scored, Seen, TagId
from tagfs.recognise.decode import Undecodable, decode, prepare
from tagfs.recognise.kinds import BURST, PANORAMA, SCREENSHOT, SELFIE, comment, read_kinds, rows
from tagfs.recognise.makers import burst_of_apple, trailer_of_samsung
from tagfs.recognise.sniff import sniff
from tagfs.recognise.taxonomy import load
from tagfs.recognise.telling import Told, shown, told

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # what broken EXIF is said to be
prepare()
NOW = datetime(2026, 11, 24, 12, 0, 0)
BURST_ID = "E5F1C2D8-8E4F-4C5B-9A6D-0123456789AB"


def look(raw: bytes) -> Told:
    kind = sniff(raw[:64])
    return shown(decode(raw, kind), raw, kind, NOW)


def grey(form: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 24), (90, 90, 90)).save(out, form)
    return out.getvalue()


def written(tmp_path: Path, raw: bytes, *arguments: str) -> bytes:
    """Return a picture with what exiftool wrote into it."""
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed")
    path = tmp_path / f"x.{sniff(raw[:64]).rpartition('/')[2]}"
    path.write_bytes(raw)
    done = subprocess.run(
        ["exiftool", "-q", "-overwrite_original", *arguments, str(path)],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return path.read_bytes()


SAYING = [
    ("JPEG", ["-CustomRendered#=6"], {PANORAMA}),
    ("JPEG", ["-XMP-GPano:ProjectionType=equirectangular"], {PANORAMA}),
    ("JPEG", ["-XMP-GPano:UsePanoramaViewer=True"], {PANORAMA}),
    ("WEBP", ["-XMP-GPano:ProjectionType=cylindrical"], {PANORAMA}),
    ("JPEG", ["-EXIF:UserComment=Screenshot"], {SCREENSHOT}),
    ("PNG", ["-EXIF:UserComment=Screenshot"], {SCREENSHOT}),
    ("PNG", ["-XMP-exif:UserComment=Screenshot"], {SCREENSHOT}),
    ("PNG", ["-PNG:Software=gnome-screenshot"], {SCREENSHOT}),
    ("PNG", ["-PNG:Software=mate-screenshot"], {SCREENSHOT}),
    ("JPEG", ["-LensModel=iPhone 7 front camera 2.87mm f/2.2"], {SELFIE}),
    ("JPEG", ["-LensModel=iPhone X front TrueDepth camera 2.87mm f/2.2"], {SELFIE}),
    ("JPEG", ["-LensModel=iPhone 15 Pro front TrueDepth camera 2.69mm f/1.9"], {SELFIE}),
    ("TIFF", ["-LensMake=Google", "-LensModel=Pixel 4a front camera 2.51mm f/2.0"], {SELFIE}),
    ("JPEG", ["-XMP-aux:Lens=HUAWEI P30 Front Main Camera"], {SELFIE}),
    ("JPEG", ["-XMP-GCamera:BurstID=0b9c7b51-1d6a"], {BURST}),
    ("JPEG", ["-XMP-GCreations:CameraBurstID=0b9c7b51-1d6a"], {BURST}),
    (
        "JPEG",
        ["-CustomRendered#=6", "-LensModel=iPhone 7 front camera", "-XMP-GCamera:BurstID=1"],
        {PANORAMA, SELFIE, BURST},
    ),
]


@pytest.mark.parametrize(("form", "arguments", "kinds"), SAYING)
def test_a_file_says_what_kind_of_picture_it_is(
    tmp_path: Path, form: str, arguments: list[str], kinds: set[TagId]
) -> None:
    assert look(written(tmp_path, grey(form), *arguments)).kinds == kinds


@pytest.mark.parametrize(
    ("form", "arguments"),
    [
        ("JPEG", ["-CustomRendered#=1"]),
        ("JPEG", ["-CustomRendered#=8"]),
        ("JPEG", ["-XMP-GPano:UsePanoramaViewer=False"]),
        ("JPEG", ["-EXIF:UserComment=Screenshot of the dog"]),
        ("JPEG", ["-XMP-exif:UserComment=no Screenshot"]),
        ("JPEG", ["-EXIF:Software=gnome-screenshot"]),
        ("PNG", ["-PNG:Software=GIMP 2.10"]),
        ("PNG", ["-PNG:Title=Screenshot"]),
        ("JPEG", ["-LensModel=iPhone X back dual camera 4mm f/1.8"]),
        ("JPEG", ["-LensModel=Frontier 50mm"]),
        ("JPEG", ["-ImageDescription=panorama, selfie, burst, screenshot"]),
        ("JPEG", ["-XMP-dc:Subject=panorama"]),
    ],
)
def test_what_says_something_else_is_none_of_them(
    tmp_path: Path, form: str, arguments: list[str]
) -> None:
    assert look(written(tmp_path, grey(form), *arguments)).kinds == set()


def test_of_the_files_of_real_cameras_and_screens_only_these_say_so() -> None:
    base = data("data", "formats")
    found = {}
    for path in filter(Path.is_file, sorted(base.rglob("*"))):
        raw = path.read_bytes()
        if kinds := told(raw, sniff(raw[:64], path.name.encode()), NOW).kinds:
            found[str(path.relative_to(base))] = kinds
    assert found == {
        "gps/buggy_panorama.jpg": {PANORAMA},
        "gps/geodegrees_as_string.jpg": {PANORAMA},
        "gps/panorama360.jpg": {PANORAMA},
        "png/screenshot.png": {SCREENSHOT},
    }


def test_what_is_not_decoded_says_it_as_well(tmp_path: Path) -> None:
    raw = written(tmp_path, grey("JPEG"), "-XMP-GPano:ProjectionType=equirectangular")
    cut = raw[: raw.index(b"\xff\xda")]
    with pytest.raises(Undecodable):
        decode(cut, "image/jpeg")
    assert told(cut, "image/jpeg", NOW).kinds == {PANORAMA}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"ASCII\0\0\0Screenshot", "Screenshot"),
        (b"ASCII\0\0\0Screenshot\0\0\0", "Screenshot"),
        (bytes(8) + b"Screenshot", "Screenshot"),
        (b"UNICODE\0" + "Screenshot".encode("utf-16-le"), "Screenshot"),
        (b"UNICODE\0" + "Screenshot".encode("utf-16-be"), "Screenshot"),
        (b"UNICODE\0" + "Screenshot".encode("utf-16"), "Screenshot"),
        (b"Screenshot", "Screenshot"),  # of programs that leave the code out
        ("Screenshot", "Screenshot"),
        (b"ASCII\0\0\0", ""),
        (b"ASCII\0\0\0\0Screenshot", ""),
        (b"ASC", "ASC"),
        (b"", ""),
        (6, ""),
        ((1, 2), ""),
        (None, ""),
    ],
)
def test_a_comment_is_read_behind_the_code_of_its_characters(value: object, text: str) -> None:
    assert comment(value) == text


def note(*entries: tuple[int, int, int, bytes], order: str = ">", behind: bytes = b"") -> bytes:
    """Return a maker note as Apple writes it: (tag, form, length, the four bytes)."""
    head = b"Apple iOS\0\0\1" + (b"MM" if order == ">" else b"II")
    body = b"".join(struct.pack(order + "HHI", *entry[:3]) + entry[3] for entry in entries)
    return head + struct.pack(order + "H", len(entries)) + body + bytes(4) + behind


def at(offset: int, order: str = ">") -> bytes:
    return struct.pack(order + "I", offset)


def burst(order: str = ">") -> bytes:
    text = BURST_ID.encode() + b"\0"
    other = (0x0001, 9, 1, at(14, order))
    return note(other, (0x000B, 2, len(text), at(44, order)), order=order, behind=text)


def of_apple(note: bytes) -> bytes:
    """Return a JPEG with this maker note."""
    exif = Image.Exif()
    exif[0x010F] = "Apple"
    exif.get_ifd(0x8769)[0x927C] = note
    out = io.BytesIO()
    Image.new("RGB", (32, 24), (90, 90, 90)).save(out, "JPEG", exif=exif)
    return out.getvalue()


def test_the_picture_of_apples_burst_is_told_by_its_maker_note() -> None:
    assert look(of_apple(burst())).kinds == {BURST}
    assert look(of_apple(note((0x0001, 9, 1, at(14))))).kinds == set()


def test_exiftool_reads_the_same_burst(tmp_path: Path) -> None:
    written(tmp_path, of_apple(burst()), "-Artist=anna")
    told = subprocess.run(
        ["exiftool", "-b", "-Apple:BurstUUID", str(tmp_path / "x.jpeg")],
        capture_output=True,
        check=True,
    )
    assert told.stdout.decode() == BURST_ID
    assert look((tmp_path / "x.jpeg").read_bytes()).kinds == {BURST}


@pytest.mark.parametrize("order", [">", "<"])
def test_a_burst_is_found_among_other_entries(order: str) -> None:
    assert burst(order).index(BURST_ID.encode()) == 44
    assert burst_of_apple(burst(order)) == BURST_ID
    assert burst_of_apple(note((0x000B, 2, 3, b"ab\0\0"), order=order)) == "ab"


@pytest.mark.parametrize(
    "broken",
    [
        None,
        "Apple iOS",
        (1, 2),
        b"",
        b"Apple iOS\0",
        b"Apple iOS\0\0\1MM",
        b"Apple iOS\0\0\1XX\0\1" + bytes(12),
        b"Apple iOS\0\0\1MM\xff\xff",
        b"Nikon\0\2\x10\0\0MM\0\x2a\0\0\0\x08\0\1" + bytes(20),
        note((0x000B, 2, 37, at(0xFFFFFFFF))),
        note((0x000B, 2, 0xFFFFFFFF, at(30))),
        note((0x000B, 2, 0, at(0))),
        note((0x000B, 2, 3, b"\0ab\0")),
        note((0x000B, 9, 1, at(7))),
        note((0x000B, 2, 37, at(34)), behind=bytes(37)),
    ],
)
def test_a_broken_maker_note_tells_of_no_burst(broken: object) -> None:
    assert burst_of_apple(broken) == ""


@given(st.binary(max_size=300))
def test_any_maker_note_is_read_without_an_error(tail: bytes) -> None:
    assert len(burst_of_apple(b"Apple iOS\0\0\1MM" + tail)) <= 64


def trailer(*names: bytes, count: int | None = None, back: int = 0) -> bytes:
    """Return blocks of these names as Samsung's programs append them."""
    blocks, entries = b"", b""
    size = sum(len(name) + 9 for name in names)
    for number, name in enumerate(names):
        head = struct.pack("<HH", 0, 0x0C51 + number)
        block = head + struct.pack("<I", len(name)) + name + b"1"
        entries += head + struct.pack("<II", back or size - len(blocks), len(block))
        blocks += block
    total = len(names) if count is None else count
    directory = b"SEFH" + struct.pack("<II", 107, total) + entries
    return blocks + directory + struct.pack("<I", len(directory)) + b"SEFT"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (b"Panorama_Shot_Info", PANORAMA),
        (b"Samsung_Capture_Info", SCREENSHOT),
        (b"Front_Cam_Selfie_Info", SELFIE),
        (b"Burst_Shot_Info", BURST),
    ],
)
def test_samsungs_trailer_says_what_kind_of_picture_it_is(name: bytes, kind: TagId) -> None:
    assert look(grey("JPEG") + trailer(b"Image_UTC_Data", name)).kinds == {kind}
    assert look(grey("JPEG") + trailer(b"Image_UTC_Data")).kinds == set()
    assert look(grey("JPEG") + trailer(name) + b"more").kinds == set()


def test_the_trailer_of_a_real_phone_is_read() -> None:
    raw = data("data", "formats", "motion", "samsung-one-ui-6.heic").read_bytes()
    assert trailer_of_samsung(raw) == {
        "Image_UTC_Data",
        "MCC_Data",
        "Camera_Capture_Mode_Info",
        "MotionPhoto_Data",
    }


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"SEFT",
        bytes(30) + b"SEFT",
        bytes(30) + b"\xff" * 4 + b"SEFT",
        trailer(b"Burst_Shot_Info", back=0xFFFFFFFF),
        trailer(b"Burst_Shot_Info", back=1),
        trailer(b"Burst_Shot_Info")[24:],
        trailer(b"Burst_Shot_Info" * 100_000),
        trailer(b"\0Burst_Shot_Info"),
        trailer(count=0xFFFFFFFF),
    ],
)
def test_a_broken_trailer_tells_nothing(broken: bytes) -> None:
    assert look(grey("JPEG") + broken).kinds == set()


def test_a_trailer_that_claims_too_many_blocks_is_read_as_far_as_it_goes() -> None:
    claimed = trailer(b"Burst_Shot_Info", count=0xFFFFFFFF)
    assert trailer_of_samsung(claimed) == {"Burst_Shot_Info"}


@given(st.binary(max_size=200))
def test_any_trailer_is_read_without_an_error(tail: bytes) -> None:
    for size in (len(tail), 24, 0):
        directory = tail + b"SEFH" + tail + struct.pack("<I", size) + b"SEFT"
        assert all(len(name) <= 64 for name in trailer_of_samsung(directory))


@given(
    st.dictionaries(
        st.sampled_from([0x927C, 0x9286, 0xA401]),
        st.none() | st.integers() | st.floats() | st.text() | st.binary() | st.tuples(st.text()),
    ),
    st.text(),
)
def test_values_of_any_type_are_read_without_an_error(
    values: dict[int, object], packet: str
) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update(values)
    xmp = f"<exif:UserComment>{packet} GPano:ProjectionType='{packet}'".encode()
    found = read_kinds(exif, xmp, lens=packet, software=packet, data=xmp)
    assert found <= {PANORAMA, SCREENSHOT, SELFIE, BURST}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    said = [argument for _, arguments, _ in SAYING for argument in arguments]
    said = [argument for argument in said if not argument.startswith("-PNG")]
    folder = tmp_path_factory.mktemp("kinds")
    return written(folder, of_apple(burst()), *said) + trailer(b"Burst_Shot_Info")


@given(st.data())
def test_a_file_with_wrong_bytes_never_makes_the_reader_fail(
    everything: bytes, draw: st.DataObject
) -> None:
    whole = bytearray(everything[:12_000] + everything[-100:])
    for where in draw.draw(st.lists(st.integers(0, len(whole) - 1), max_size=8)):
        whole[where] = draw.draw(st.integers(0, 255))
    told(bytes(whole), "image/jpeg", NOW)


def test_all_of_it_is_said_by_one_file(everything: bytes) -> None:
    assert look(everything).kinds == {PANORAMA, SCREENSHOT, SELFIE, BURST}


def test_the_row_has_what_is_above_a_kind_and_no_votes() -> None:
    (row,) = rows([PANORAMA])
    assert row == Seen(METADATA, (Scored(PANORAMA, 1.0),), ())
    (row,) = rows([SELFIE])
    assert {s.tag for s in row.tags} == {SELFIE} | load().ancestors(SELFIE)
    assert {s.confidence for s in row.tags} == {1.0}
    assert rows([]) == ()


def test_every_kind_is_a_concept_that_people_find_by_its_name() -> None:
    graph = load()
    words = {"panorama": PANORAMA, "screenshot": SCREENSHOT, "selfie": SELFIE, "burst": BURST}
    assert {word: graph.find(word) for word in words} == words
