"""Sidecars: tags, date and rating as other programs read them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tagfs.views.sidecar import xmp

DC = "{http://purl.org/dc/elements/1.1/}"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"


def items(packet: bytes, name: str) -> list[str | None]:
    found = ElementTree.fromstring(packet.decode().partition("?>")[2])
    return [li.text for li in found.iterfind(f".//{name}//{RDF}li")]


def test_names_that_mean_something_to_xml_come_back_as_they_were() -> None:
    names = ['<b> & "c"', "Grüße", "tab\there"]
    assert items(xmp(names, [[n] for n in names]), DC + "subject") == names


def test_what_xml_has_no_character_for_does_not_break_the_file() -> None:
    assert items(xmp(["a\x00b", "c\udcff"], []), DC + "subject") == ["a\ufffdb", "c\ufffd"]


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is missing")
def test_exiftool_reads_tags_persons_date_and_rating(tmp_path: Path) -> None:
    packet = xmp(["animal", "dog"], [["animal", "dog"]], "2019-05", 9, ["Anna"])
    (tmp_path / "a.jpg.xmp").write_bytes(packet)
    done = subprocess.run(
        ["exiftool", "-j", "-n", tmp_path / "a.jpg.xmp"], capture_output=True, check=True
    )
    (told,) = json.loads(done.stdout)
    assert told["Subject"] == ["animal", "dog"]
    assert told["HierarchicalSubject"] == ["animal|dog", "People|Anna"]
    assert told["TagsList"] == ["animal/dog", "People/Anna"]
    assert told["PersonInImage"] == "Anna"
    assert told["DateCreated"] == "2019:05"
    assert told["Rating"] == 4.5
