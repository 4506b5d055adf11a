"""``tagfs people`` from the command line, without a mount."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_kit import Result

Tagfs = Callable[..., Result]


@pytest.fixture
def filled(tagfs: Tagfs, vault: Path, passphrase: Path, pictures: Path) -> tuple[object, ...]:
    """The options that open a vault into which ``pictures`` were imported."""
    common = ("--vault", vault, "--passphrase-file", passphrase)
    assert tagfs("import", pictures, *common).status == 0
    return common


def people(result: Result) -> dict[str, int]:
    assert result.status == 0, result.err
    return {person["name"]: person["photos"] for person in result.json}


def test_people_are_made_named_merged_and_corrected(
    tagfs: Tagfs, filled: tuple[object, ...]
) -> None:
    assert tagfs("people", *filled).out == "Nobody was seen twice, and nobody was named.\n"
    told = tagfs("people", "add", "Ana", "2019/photo 0.jpg", "photo 1.jpg", *filled, "--json")
    assert people(told) == {"Ana": 2}
    told = tagfs("people", "name", "Ana", "Anna Maria", *filled)
    assert told.out == "Anna Maria: 2 photos\n"
    told = tagfs("people", "add", "Ben", "photo 2.jpg", *filled, "--json")
    assert people(told) == {"Anna Maria": 2, "Ben": 1}
    told = tagfs("people", "name", "ben", "anna maria", *filled, "--json")
    assert people(told) == {"Anna Maria": 3}
    told = tagfs("people", "remove", "Anna Maria", "photo 1.jpg", *filled, "--json")
    assert people(told) == {"Anna Maria": 2}
    hits = tagfs("search", 'person:"anna maria"', *filled, "--json").json
    assert sorted(hit["name"] for hit in hits) == ["photo 0.jpg", "photo 2.jpg"]


@pytest.mark.parametrize(
    "words",
    [
        ("people", "name", "nobody", "Anna"),
        ("people", "remove", "nobody", "photo 0.jpg"),
        ("people", "add", "Anna"),
        ("people", "add", "Anna", "no such photo"),
        ("people", "dance"),
    ],
)
def test_nonsense_is_wrong_usage_and_says_nothing_of_anybody(
    words: tuple[str, ...], tagfs: Tagfs, filled: tuple[object, ...]
) -> None:
    result = tagfs(*words, *(filled if words[1] != "dance" else ()))
    assert result.status in (1, 2)
    assert result.err
    assert people(tagfs("people", *filled, "--json")) == {}
