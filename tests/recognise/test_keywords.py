"""Keywords and stars that other programs wrote are read as they wrote them."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from recognise_data import data

from tagfs.model import Facts
from tagfs.recognise.decode import read_iptc_block, read_xmp
from tagfs.recognise.facts import Iptc, read_facts
from tagfs.recognise.telling import beside
from tagfs.vault.facts import decode_facts, encode_facts

NOW = datetime(2026, 11, 30)


def told(packet: str = "", iptc: Iptc | None = None, exif: Image.Exif | None = None) -> Facts:
    return read_facts(
        exif or Image.Exif(),
        packet.encode(),
        iptc=iptc or {},
        size=(4, 3),
        orientation=None,
        now=NOW,
    )


def subject(*items: str) -> str:
    listed = "".join(f"<rdf:li>{item}</rdf:li>" for item in items)
    return f"<dc:subject>\n <rdf:Bag>{listed}</rdf:Bag></dc:subject>"


def read(path: Path) -> Facts:
    if path.suffix == ".xmp":
        return beside(path.read_bytes(), None, None, NOW)
    with Image.open(path) as image:
        xmp, iptc = read_xmp(image), read_iptc_block(image)
        return read_facts(
            image.getexif(), xmp, iptc=iptc, size=image.size, orientation=None, now=NOW
        )


def words(stated: Any) -> list[str]:
    return stated if isinstance(stated, list) else [stated] if stated else []


NOT_READ = {
    "metadata/XMP.jpg": (),  # a packet in UTF-16
    "xmp/XMP.xmp": ("test1", "&-"),  # CDATA within a text
    "xmp/XMP2.xmp": (),  # a bag that stands elsewhere, by a nodeID
    "xmp/XMP6.xmp": (),  # the prefix of another namespace
}


def test_keywords_and_stars_of_the_formats_set_are_those_of_exiftool() -> None:
    base = data("data", "formats")
    counted = 0
    for name, stated in json.loads((base / "expected.json").read_text()).items():
        keywords = words(stated.get("subject")) or words(stated.get("keywords"))
        stars = stated.get("rating") or 0
        if not keywords and not stars:
            continue
        facts = read(base / name)
        people = {region.name for region in facts.regions}
        # ".jpg" can be no tag, and who is marked is a person.
        tags = tuple(w for w in keywords if w[0] != "." and w not in people)
        assert facts.keywords == NOT_READ.get(name, tags), name
        assert facts.rating == (2 * stars or None), name
        counted += 1
    assert counted >= 25


def test_exiftool_writes_keywords_that_are_read(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8), "blue").save(photo)
    given_words = ["Schöne Wiese", "food/drink", "Tom & Jerry", "<3"]
    for group in ("XMP-dc:Subject", "IPTC:Keywords"):
        args = [f"-{group}={word}" for word in given_words]
        subprocess.run(["exiftool", "-q", "-overwrite_original", *args, photo], check=True)
        assert list(read(photo).keywords) == given_words
        subprocess.run(["exiftool", "-q", "-overwrite_original", "-all=", photo], check=True)
        assert read(photo).keywords == ()


def test_the_keywords_of_xmp_go_before_those_of_the_iptc_block() -> None:
    iptc: Iptc = {(2, 25): [b"old", b"older"]}
    assert told(subject("new"), iptc).keywords == ("new",)
    assert told(subject(), iptc).keywords == ("old", "older")


@pytest.mark.parametrize(
    ("field", "word"),
    [
        (b"Gr\xfc\xdfe", "Grüße"),
        ("Grüße".encode(), "Grüße"),
        ("海".encode(), "海"),
        (b"two\0halves", "two"),
    ],
)
def test_the_iptc_block_is_read_in_either_encoding(field: bytes, word: str) -> None:
    assert told(iptc={(2, 25): field}).keywords == (word,)


def test_what_can_be_no_tag_is_none() -> None:
    facts = told(subject(" dog ", "Dog", "", ".jpg", "x" * 100, "y" * 101, "海" * 50, "a&#10;b"))
    assert facts.keywords == ("dog", "x" * 100, "ab")


@pytest.mark.parametrize("none", ["<dc:subject/>", "<dc:subject rdf:resource='x' />", ""])
def test_titles_are_no_keywords(none: str) -> None:
    title = "<dc:title><rdf:Alt><rdf:li>A title</rdf:li></rdf:Alt></dc:title>"
    other = "<dc:subjectCode><rdf:Bag><rdf:li>1</rdf:li></rdf:Bag></dc:subjectCode>"
    assert told(none + title + other, {(2, 25): b"one"}).keywords == ("one",)
    assert told(subject("a") + title).keywords == ("a",)
    unclosed = "<dc:subject><rdf:Bag><rdf:li>a</rdf:li></rdf:Bag>"
    assert told(unclosed + title).keywords == ()


def test_a_marked_person_is_no_keyword_in_whatever_form_the_name_is_written() -> None:
    region = (
        '<MPRI:Regions><rdf:Bag><rdf:li MPReg:Rectangle="0.1,0.2,0.3,0.4" '
        'MPReg:PersonDisplayName="Zoe\u0308"/></rdf:Bag></MPRI:Regions>'
    )
    facts = told(region + subject("zoe\u0308", "Zo\u00eb", "sea"))
    assert [r.name for r in facts.regions] == ["Zoe\u0308"]
    assert facts.keywords == ("sea",)


def test_a_thousand_keywords_are_64() -> None:
    facts = told(subject(*map(str, range(1000))))
    assert facts.keywords == tuple(map(str, range(64)))
    assert decode_facts(encode_facts(facts)) == facts


@pytest.mark.parametrize(
    ("packet", "exif", "halves"),
    [
        ('xmp:Rating="4"', None, 8),
        ("<xmp:Rating>5.0</xmp:Rating>", None, 10),
        ("<xmp:Rating>2.5</xmp:Rating>", None, 5),
        ('xap:Rating="2"', None, 4),
        ('xmp:Rating="3"', 5, 6),
        ("", 5, 10),
        ('xmp:Rating="0"', 5, None),
        ('xmp:Rating="0"', None, None),
        ('xmp:Rating="-1"', None, None),  # rejected
        ('xmp:Rating="6"', None, None),
        ('xmp:Rating="many"', None, None),
        ("", 99, None),
        ("", None, None),
    ],
)
def test_stars_are_two_halves_each(packet: str, exif: int | None, halves: int | None) -> None:
    fields = Image.Exif()
    if exif is not None:
        fields[0x4746] = exif
    assert told(packet, exif=fields).rating == halves


PIECES = st.sampled_from(
    [
        "<dc:subject",
        "</dc:subject",
        "<rdf:li>",
        "</rdf:li>",
        "<rdf:li",
        ">",
        "<",
        "a",
        "&amp;",
        "\n",
    ]
)


@given(st.lists(PIECES, max_size=60).map("".join), st.binary(max_size=40))
def test_any_packet_gives_keywords_that_can_be_kept(packet: str, field: bytes) -> None:
    facts = told(packet, {(2, 25): field})
    assert decode_facts(encode_facts(facts)).keywords == facts.keywords


def test_long_packets_take_no_time() -> None:
    began = datetime.now()
    for evil in ("<dc:subject" * 20_000, "<dc:subject>" + "<rdf:li " * 30_000, "<rdf:li>" * 30_000):
        told("<dc:subject>" + evil)
    assert (datetime.now() - began).total_seconds() < 10
