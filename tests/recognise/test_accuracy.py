"""The facts of the formats set are what exiftool reads, or it is known why not."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest
from recognise_data import ROOT, data

WE_ARE_RIGHT = {
    # Decimal commas, "52,00000,50,00000,34,01180": 52° 50' 34", not 52° 0' 50".
    ("gps/geodegrees_as_string.jpg", "position"),
    # The letter W stands in a property of its own, which exiftool does not apply.
    ("xmp/date.heic.xmp", "position"),
}
NOT_READ = {
    ("metadata/ExtendedXMP.jpg", "date"),  # when a PDF was made
    ("raw/CanonRaw.crw", "date"),
    ("raw/CanonRaw.crw", "camera"),
    ("raw/Sigma.x3f", "date"),
    ("raw/Sigma.x3f", "camera"),
}
CANNOT_BE_TRUE = {
    ("avif/colors-animated-8bpc-alpha-exif-xmp.avif", "position"),
    ("avif/paris_icc_exif_xmp.avif", "position"),
    ("camera/Samsung_GT-I9000_Galaxy_S.jpg", "position"),
    ("gps/buggy_panorama.jpg", "position"),  # latitude 213
    ("gps/image-2011.jpg", "position"),
    ("metadata/digikam.jpg", "orientation"),  # 0
    ("orientation/Landscape_0.jpg", "orientation"),
}


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("accuracy", ROOT / "scripts/bench/accuracy.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["accuracy"] = module  # where its dataclasses look for their module
    spec.loader.exec_module(module)
    return module


def test_the_facts_of_the_formats_set_are_those_of_exiftool(bench: ModuleType) -> None:
    found = list(bench.measure(data("data", "formats")))
    four = [c for c in found if c.kind in bench.FOUR]
    assert len(four) > 400
    assert {(c.file, c.kind) for c in four if c.refused} == CANNOT_BE_TRUE
    different = {(c.file, c.kind) for c in found if not c.equal and not c.refused}
    assert different == WE_ARE_RIGHT | NOT_READ
    assert bench.share(four) >= 0.98
    assert bench.share(found) >= 0.98


@pytest.mark.parametrize(
    ("stated", "read", "same"),
    [
        ("Canon Canon EOS 6D", "Canon EOS 6D", True),
        ("NIKON CORPORATION NIKON D70", "NIKON D70", True),
        ("Apple iPhone X", "Apple iPhone X", True),
        ("Apple iPhone X", "iPhone X", False),
        ("Apple iPhone X", "X", False),
        ("Apple iPhone X", None, False),
    ],
)
def test_a_camera_is_the_same_with_its_maker_said_once(
    bench: ModuleType, stated: str, read: str | None, same: bool
) -> None:
    assert bench.same_camera(stated, read) is same
