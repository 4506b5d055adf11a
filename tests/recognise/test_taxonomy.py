"""The concept graph speaks the words people use."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.errors import Integrity
from tagfs.model import TagId
from tagfs.recognise import taxonomy
from tagfs.recognise.taxonomy import Concept, ConceptGraph

GRAPH = taxonomy.load()


def tag(word: str) -> TagId:
    """Return the concept of a word that must exist."""
    found = GRAPH.find(word)
    assert found is not None, f"no concept is called {word!r}"
    return found


@pytest.mark.parametrize("word", ["dog", "car", "fruit", "vehicle", "animal", "cat", "person"])
def test_everyday_words_are_names_of_concepts(word: str) -> None:
    assert GRAPH.name(tag(word)) == word


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("tabby", "tabby cat"),
        ("Automobile", "car"),
        ("cellphone", "mobile phone"),
        ("couch", "sofa"),
        ("seashore", "beach"),
        ("TV", "television"),
        ("aeroplane", "airplane"),
        ("lorry", "truck"),
    ],
)
def test_synonyms_lead_to_the_plain_name(word: str, name: str) -> None:
    assert GRAPH.name(tag(word)) == name


@pytest.mark.parametrize(
    ("word", "above"),
    [
        ("golden retriever", {"retriever", "dog", "canine", "mammal", "animal"}),
        ("fire engine", {"truck", "motor vehicle", "vehicle"}),
        ("banana", {"fruit", "produce", "food"}),
        ("monarch butterfly", {"butterfly", "insect", "animal"}),
        ("church", {"place of worship", "building", "structure"}),
        ("pizza", {"food"}),
    ],
)
def test_a_photo_of_a_thing_is_a_photo_of_what_is_above_it(word: str, above: set[str]) -> None:
    names = {GRAPH.name(a) for a in GRAPH.ancestors(tag(word))}
    assert above <= names
    assert word not in names


@pytest.mark.parametrize("word", ["entity", "artifact", "whole", "organism", "placental"])
def test_words_too_abstract_for_a_tag_are_left_out(word: str) -> None:
    assert GRAPH.find(word) is None


def test_a_word_with_another_everyday_meaning_is_no_synonym() -> None:
    assert GRAPH.find("painter") is None  # WordNet: a puma
    assert GRAPH.find("kite") is None  # ImageNet: the bird
    assert GRAPH.name(tag("crane")) == "crane"
    assert tag("animal") not in GRAPH.ancestors(tag("crane"))


def test_every_class_of_imagenet_is_a_concept_once() -> None:
    classes = GRAPH.classes("imagenet")
    assert len(classes) == len(set(classes)) == 1000
    assert list(classes) == sorted(classes)
    assert all(c in GRAPH for c in classes)
    assert GRAPH.name(classes[281]) == "tabby cat"
    assert GRAPH.name(classes[999]) == "toilet paper"


def test_names_and_synonyms_never_collide() -> None:
    words = [taxonomy.fold(w) for t in GRAPH.all() for w in (GRAPH.name(t) or "",)]
    words += [taxonomy.fold(w) for t in GRAPH.all() for w in GRAPH.synonyms(t)]
    assert len(words) == len(set(words))
    assert len(GRAPH) == len(GRAPH.all()) > 1400


def test_names_can_be_names_of_folders() -> None:
    for concept in GRAPH.all():
        name = GRAPH.name(concept)
        assert name
        assert "/" not in name
        assert "," not in name
        assert not name.startswith(".")
        assert name == name.strip()


def test_children_and_parents_agree() -> None:
    for concept in GRAPH.all():
        for child in GRAPH.children(concept):
            assert concept in GRAPH.parents(child)
            assert concept in GRAPH.ancestors(child)


def test_an_unknown_tag_has_no_name_and_nothing_above() -> None:
    unknown = TagId("u" + "0" * 32)
    assert GRAPH.name(unknown) is None
    assert GRAPH.ancestors(unknown) == frozenset()
    assert GRAPH.synonyms(unknown) == ()
    assert unknown not in GRAPH


@given(st.sampled_from(GRAPH.all()), st.booleans())
def test_a_name_is_found_in_whatever_case_it_is_written(concept: TagId, upper: bool) -> None:
    name = GRAPH.name(concept) or ""
    assert GRAPH.find(name.upper() if upper else name.title()) == concept


A, B = TagId("a"), TagId("b")


@pytest.mark.parametrize(
    "concepts",
    [
        [Concept(A, "one", (), (B,)), Concept(B, "two", (), (A,))],
        [Concept(A, "one", (), (A,))],
        [Concept(A, "one", (), (B,))],
        [Concept(A, "one", (), ()), Concept(B, "ONE", (), ())],
        [Concept(A, "one", ("two",), ()), Concept(B, "two", (), ())],
    ],
    ids=["cycle", "self", "orphan", "same name", "synonym is a name"],
)
def test_a_broken_graph_is_refused(concepts: list[Concept]) -> None:
    with pytest.raises(Integrity):
        ConceptGraph(concepts)


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"format": 2}), '{"format": 1}'])
def test_a_graph_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(Integrity):
        taxonomy.parse(text)
