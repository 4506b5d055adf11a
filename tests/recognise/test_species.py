"""The scripts that make the concept graph place species by what their names mean."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts/train"
WORDNET = Path("/usr/share/wordnet")


@pytest.fixture(scope="module")
def species() -> Iterator[ModuleType]:
    sys.path.insert(0, str(SCRIPTS))
    try:
        import species  # type: ignore[import-not-found]

        yield species
    finally:
        sys.path.remove(str(SCRIPTS))


def test_a_label_is_a_scientific_name_with_a_common_one(
    species: ModuleType, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text(
        "Pica hudsonia (Black-billed Magpie)\nEuphoria basalis ()\n"
        "Malus \\xd7domestica (Apple)\nDiaethria anna (Anna\\u2019s Eighty-eight)\n"
        "Colaptes auratus (Northern Flicker (American))\nbackground\n"
    )
    found = species.read_labels(labels)
    assert [s and (s.scientific, s.common) for s in found] == [
        ("Pica hudsonia", "Black-billed Magpie"),
        ("Euphoria basalis", ""),
        ("Malus ×domestica", "Apple"),
        ("Diaethria anna", "Anna's Eighty-eight"),
        ("Colaptes auratus", "Northern Flicker (American)"),
        None,
    ]
    assert found[2].id == "s.malus-x-domestica"


def test_a_line_that_is_no_label_is_named(species: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("Black-billed Magpie\n")
    with pytest.raises(ValueError, match="'Black-billed Magpie' is no scientific name"):
        species.read_labels(tmp_path / "labels.txt")


def test_names_are_small_save_for_people_and_places(species: ModuleType) -> None:
    rules = species.Rules(small={"lady"}, phrases=["New Zealand"])
    small = {"black", "finch", "new", "slipper", "bluet"}
    names = ["Black Finch", "Cassin's Finch", "New Zealand Finch", "Lady's Slipper", "Kiowa Tityra"]
    assert species.written_everyday(names, small, rules) == {
        "Black Finch": "black finch",
        "Cassin's Finch": "Cassin's finch",
        "New Zealand Finch": "New Zealand finch",
        "Lady's Slipper": "lady's slipper",
        "Kiowa Tityra": "Kiowa tityra",
    }


@pytest.mark.parametrize("line", ["kinds 1 a", "group 02: Argia\ngroup 03: Argia"])
def test_a_rule_that_cannot_be_meant_is_refused(
    species: ModuleType, tmp_path: Path, line: str
) -> None:
    (tmp_path / "species.txt").write_text(f"root insects 01\n{line}\n")
    with pytest.raises(ValueError, match=r"species.txt:[23]: "):
        species.read_rules(tmp_path / "species.txt")


@pytest.mark.skipif(not WORDNET.exists(), reason="needs wordnet-base in /usr/share/wordnet")
def test_the_graph_that_is_shipped_is_the_one_that_the_script_makes(
    test_data: Path, tmp_path: Path
) -> None:
    made = tmp_path / "concepts.json"
    script = [sys.executable, SCRIPTS / "make_concepts.py", "--out", made]
    subprocess.run(
        [*script, "--labels", test_data / "models"],
        check=True,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)},
    )
    assert made.read_bytes() == (ROOT / "models/concepts.json").read_bytes()


def test_an_id_that_galleries_may_have_is_never_lost(species: ModuleType, tmp_path: Path) -> None:
    import make_concepts  # type: ignore[import-not-found]

    shipped = tmp_path / "concepts.json"
    make_concepts.check_ids(shipped, {}, set())
    shipped.write_text('{"concepts": [["n1", "dog", [], []]], "labels": {"left": ["n1", null]}}')
    make_concepts.check_ids(shipped, {"left": ["n1", None]}, {"n1", "n2"})
    with pytest.raises(ValueError, match=r"ids never change: \['n1'\]"):
        make_concepts.check_ids(shipped, {"left": ["n1", None]}, {"n2"})
    with pytest.raises(ValueError, match=r"labels \['left'\]"):
        make_concepts.check_ids(shipped, {"left": [None, "n1"]}, {"n1"})
