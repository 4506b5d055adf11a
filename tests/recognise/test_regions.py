"""Faces that other programs marked are read as they wrote them, and nothing else is."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tagfs.model import Facts
from tagfs.recognise.decode import read_xmp
from tagfs.recognise.facts import read_facts
from tagfs.recognise.regions import Box, regions
from tagfs.vault.facts import decode_facts, encode_facts

NOW = datetime(2026, 11, 30)
SIZE = (400, 300)
"""Pixels of the upright picture."""

MWG = """<mwg-rs:Regions rdf:parseType="Resource">
 <mwg-rs:AppliedToDimensions stDim:w="{w}" stDim:h="{h}" stDim:unit="pixel"/>
 <mwg-rs:RegionList><rdf:Bag>
  <rdf:li><rdf:Description mwg-rs:Name="Anna" mwg-rs:Type="Face">
   <mwg-rs:Area stArea:x="0.25" stArea:y="0.5" stArea:w="0.1" stArea:h="0.2"
     stArea:unit="normalized"/></rdf:Description></rdf:li>
  <rdf:li rdf:parseType="Resource">
   <mwg-rs:Name>Mr &amp; Mrs O'Neil</mwg-rs:Name><mwg-rs:Type>Face</mwg-rs:Type>
   <mwg-rs:Area rdf:parseType="Resource"><stArea:x>.75</stArea:x><stArea:y>5e-1</stArea:y>
    <stArea:w>0.1</stArea:w><stArea:h>0.2</stArea:h></mwg-rs:Area></rdf:li>
  <rdf:li mwg-rs:Name="Rex" mwg-rs:Type="Pet"><mwg-rs:Area stArea:x="0.5" stArea:y="0.5"
     stArea:w="0.1" stArea:h="0.1"/></rdf:li>
  <rdf:li mwg-rs:Name="" mwg-rs:Type="Face"><mwg-rs:Area stArea:x="0.5" stArea:y="0.5"
     stArea:w="0.1" stArea:h="0.1"/></rdf:li>
  <rdf:li mwg-rs:Name="Nobody" mwg-rs:Type="Face"><mwg-rs:Area stArea:x="0.5"/></rdf:li>
 </rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>"""

MICROSOFT = """<MP:RegionInfo rdf:parseType="Resource"><MPRI:Regions><rdf:Bag>
  <rdf:li MPReg:Rectangle="0.2, 0.4, 0.1, 0.2" MPReg:PersonDisplayName="Anna"/>
  <rdf:li MPReg:Rectangle="0.7, 0.4, 0.1" MPReg:PersonDisplayName="Cut"/>
 </rdf:Bag></MPRI:Regions></MP:RegionInfo>"""


def rounded(found: Mapping[str, Box]) -> dict[str, Box]:
    return {
        n: (round(a, 3), round(b, 3), round(c, 3), round(d, 3)) for n, (a, b, c, d) in found.items()
    }


def read(packet: str, orientation: int | None = None) -> dict[str, Box]:
    return rounded(dict(regions(packet, orientation, SIZE)))


def test_faces_are_read_as_attributes_and_as_elements() -> None:
    assert read(MWG.format(w=400, h=300)) == {
        "Anna": (0.2, 0.4, 0.3, 0.6),
        "Mr & Mrs O'Neil": (0.7, 0.4, 0.8, 0.6),
    }
    assert read(MICROSOFT) == {"Anna": (0.2, 0.4, 0.3, 0.6)}


def test_the_regions_of_the_working_group_go_before_those_of_microsoft() -> None:
    both = MWG.format(w=400, h=300) + MICROSOFT.replace("Anna", "Ann")
    assert sorted(read(both)) == ["Anna", "Mr & Mrs O'Neil"]


@pytest.mark.parametrize(
    ("orientation", "box"),
    [
        (None, (0.2, 0.4, 0.3, 0.6)),
        (1, (0.2, 0.4, 0.3, 0.6)),
        (2, (0.7, 0.4, 0.8, 0.6)),
        (3, (0.7, 0.4, 0.8, 0.6)),
        (4, (0.2, 0.4, 0.3, 0.6)),
        (5, (0.4, 0.2, 0.6, 0.3)),
        (6, (0.4, 0.2, 0.6, 0.3)),
        (7, (0.4, 0.7, 0.6, 0.8)),
        (8, (0.4, 0.7, 0.6, 0.8)),
    ],
)
def test_boxes_turn_with_the_picture(orientation: int | None, box: Box) -> None:
    stored = (300, 400) if (orientation or 1) > 4 else (400, 300)
    assert read(MWG.format(w=stored[0], h=stored[1]), orientation)["Anna"] == box
    assert read(MICROSOFT, orientation)["Anna"] == box


def test_a_turn_is_that_of_the_pixels() -> None:
    """A dot in the stored picture and its box come to lie in one place."""
    for orientation, operation in (
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (4, Image.Transpose.FLIP_TOP_BOTTOM),
        (5, Image.Transpose.TRANSPOSE),
        (6, Image.Transpose.ROTATE_270),
        (7, Image.Transpose.TRANSVERSE),
        (8, Image.Transpose.ROTATE_90),
    ):
        stored = Image.new("L", (40, 30))
        stored.paste(255, (8, 3, 12, 6))
        upright = stored.transpose(operation)
        packet = MICROSOFT.replace("0.2, 0.4, 0.1, 0.2", "0.2, 0.1, 0.1, 0.1")
        ((_, box),) = regions(packet, orientation, upright.size)
        w, h = upright.size
        assert upright.getbbox() == tuple(
            round(side) for side in (box[0] * w, box[1] * h, box[2] * w, box[3] * h)
        )


def test_a_program_that_measured_the_upright_picture_is_believed() -> None:
    assert read(MWG.format(w=400, h=300), 6)["Anna"] == (0.2, 0.4, 0.3, 0.6)


def test_what_exiftool_writes_is_read(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    Image.new("RGB", (64, 48), "blue").save(photo)
    region = (
        "{AppliedToDimensions={W=64,H=48,Unit=pixel},RegionList=["
        "{Area={X=0.25,Y=0.5,W=0.1,H=0.2,Unit=normalized},Name=Ärpád <3 & O'Neil,Type=Face},"
        "{Area={X=0.75,Y=0.5,W=0.1,H=0.2,Unit=normalized},Name=Rex,Type=Pet}]}"
    )
    subprocess.run(["exiftool", "-q", f"-XMP-mwg-rs:RegionInfo={region}", photo], check=True)
    with Image.open(photo) as image:
        told = read_facts(
            image.getexif(), read_xmp(image), size=(64, 48), orientation=None, now=NOW
        )
    assert rounded({r.name: r.box for r in told.regions}) == {
        "Ärpád <3 & O'Neil": (0.2, 0.4, 0.3, 0.6)
    }
    assert decode_facts(encode_facts(told)) == told


def told(packet: bytes) -> Facts:
    return read_facts(Image.Exif(), packet, size=SIZE, orientation=None, now=NOW)


def test_of_two_faces_with_one_name_the_first_counts() -> None:
    packet = MWG.format(w=400, h=300).replace("Mr &amp; Mrs O'Neil", "Anna").encode()
    assert [r.name for r in told(packet).regions] == ["Anna"]
    assert told(packet).regions[0].box[0] < 0.5


def test_names_are_one_printable_line() -> None:
    packet = MICROSOFT.replace("Anna", "An&#10;na&#x202e;  B").encode()
    assert [r.name for r in told(packet).regions] == ["Anna B"]


def test_a_thousand_faces_are_64() -> None:
    item = '<rdf:li MPReg:Rectangle="0.2,0.4,0.1,0.2" MPReg:PersonDisplayName="{}"/>'
    packet = "<MPRI:Regions>" + "".join(map(item.format, range(1000))) + "</MPRI:Regions>"
    assert len(told(packet.encode()).regions) == 64


PIECES = st.sampled_from(
    [
        *MWG.format(w=4, h=3).split("\n"),
        *MICROSOFT.split("\n"),
        "<rdf:li ",
        "nan",
        "1e-99",
        "-1",
        "stArea:x>e-5<",
    ]
)


@given(st.lists(PIECES | st.text(max_size=8), max_size=30).map("".join), st.integers(0, 8))
def test_whatever_stands_there_the_answer_can_be_kept(packet: str, orientation: int) -> None:
    found = read_facts(
        Image.Exif(),
        packet.encode("utf-8", "replace"),
        size=SIZE,
        orientation=orientation or None,
        now=NOW,
    )
    assert decode_facts(encode_facts(found)) == found


def test_no_packet_takes_long() -> None:
    began = datetime.now()
    for evil in (
        "<mwg-rs:RegionList" * 50_000,
        '<rdf:li mwg-rs:Name="' * 50_000,
        "stArea:x>" * 99_999,
    ):
        told(("<mwg-rs:RegionList>" + evil).encode())
        told(io.BytesIO(evil.encode()).read())
    assert (datetime.now() - began).total_seconds() < 10


def test_the_curies_are_marked_alike_however_their_picture_is_stored(test_data: object) -> None:
    base = test_data / "data/formats/metadata"  # type: ignore[operator]
    found = []
    for name, orientation in (("portrait.jpg", None), ("portrait-orientation-6.jpg", 6)):
        with Image.open(base / name) as image:
            packet = read_xmp(image).decode()
        found.append(rounded(dict(regions(packet, orientation, (840, 700)))))
    assert found[0] == found[1]
    assert found[0]["Marie Curie"] == (0.312, 0.209, 0.425, 0.407)
    assert found[0]["Pierre Curie"] == (0.639, 0.119, 0.736, 0.36)
