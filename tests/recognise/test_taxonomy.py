"""The concept graph speaks the words people use."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.errors import Integrity
from tagfs.model import TagId
from tagfs.recognise import taxonomy
from tagfs.recognise.taxonomy import Concept, ConceptGraph

GRAPH = taxonomy.load()
A, B, D = TagId("a"), TagId("b"), TagId("d")


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
    assert tag("animal") not in GRAPH.ancestors(tag("kite"))  # ImageNet's is the bird
    assert GRAPH.name(tag("crane")) == "crane"
    assert tag("animal") not in GRAPH.ancestors(tag("crane"))


def test_every_class_of_imagenet_is_a_concept_once() -> None:
    classes = GRAPH.classes("imagenet")
    assert len(classes) == len(set(classes)) == 1000
    assert list(classes) == sorted(classes)
    assert all(c in GRAPH for c in classes)
    assert GRAPH.name(classes[281]) == "tabby cat"
    assert GRAPH.name(classes[999]) == "toilet paper"


@pytest.mark.parametrize(
    ("labels", "outputs"),
    [("coco", 90), ("birds", 965), ("insects", 1022), ("plants", 2102)],
)
def test_every_output_of_a_network_is_a_concept_or_nothing(labels: str, outputs: int) -> None:
    classes = GRAPH.classes(labels)
    named = [c for c in classes if c is not None]
    assert len(classes) == outputs
    assert len(named) == len(set(named)) == {"coco": 80}.get(labels, outputs - 1)
    assert labels == "coco" or classes[-1] is None  # the background


def test_a_label_that_two_networks_have_is_one_concept() -> None:
    imagenet = set(GRAPH.classes("imagenet"))
    assert {tag("zebra"), tag("pizza"), tag("traffic light")} <= imagenet & {*GRAPH.classes("coco")}
    assert {tag("limpkin"), tag("bald eagle")} <= imagenet & {*GRAPH.classes("birds")}
    assert tag("monarch butterfly") in imagenet & {*GRAPH.classes("insects")}
    assert GRAPH.find("Danaus plexippus") == tag("monarch butterfly")


def test_an_unknown_label_set_is_refused() -> None:
    with pytest.raises(Integrity, match="no label set 'fish'"):
        GRAPH.classes("fish")
    with pytest.raises(Integrity, match="no label set 'fish'"):
        GRAPH.reached(["imagenet", "fish"])


def test_label_sets_reach_their_classes_and_all_above_them_once() -> None:
    small = ConceptGraph(
        [Concept(A, "one", (), ()), Concept(B, "two", (), (A,)), Concept(D, "four", (), ())],
        {"left": (B, None), "right": (A,), "none": (None,)},
    )
    assert small.reached(["left"]) == small.reached(["left", "right"]) == 2
    assert small.reached(["right"]) == 1
    assert small.reached(["none"]) == small.reached([]) == 0


def test_all_networks_together_reach_more_than_five_thousand_concepts() -> None:
    assert GRAPH.reached(["imagenet", "coco", "birds", "insects", "plants"]) > 5000


def test_the_documentation_counts_what_label_sets_reach() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/accuracy.md").read_text("utf-8")
    sets = ["imagenet", "coco", "birds", "insects", "plants"]
    for rows, labels in (("`imagenet`", 1), ("and `coco`", 2), ("`insects`", 4), ("`plants`", 5)):
        assert f"{rows} | {GRAPH.reached(sets[:labels]):,} |" in text
    assert f"{len(GRAPH):,} in\nall" in text


@pytest.mark.parametrize(
    ("species", "name", "above"),
    [
        ("Haemorhous cassinii", "Cassin's finch", {"finch", "songbird", "bird"}),
        ("Halyomorpha halys", "brown marmorated stink bug", {"stink bug", "bug", "insect"}),
        ("Dasymutilla occidentalis", "red velvet ant", {"velvet ant", "wasp", "insect"}),
        ("Danaus eresimus", "soldier butterfly", {"butterfly", "insect"}),
        ("Papilio glaucus", "eastern tiger swallowtail", {"swallowtail butterfly", "butterfly"}),
        ("Anax junius", "common green darner", {"dragonfly", "insect"}),
        ("Quercus fusiformis", "Texas live oak", {"oak", "tree", "plant"}),
        ("Toxicodendron diversilobum", "Pacific poison oak", {"plant"}),
        ("Erodium texanum", "Texas stork's bill", {"plant"}),
    ],
)
def test_a_species_hangs_where_people_look_for_it(species: str, name: str, above: set[str]) -> None:
    concept = tag(species)
    names = {GRAPH.name(a) or "" for a in GRAPH.ancestors(concept)}
    assert GRAPH.name(concept) == name
    assert above <= names


@pytest.mark.parametrize(
    ("labels", "kind", "never"),
    [
        ("insects", "insect", {"mammal", "bird", "plant", "person", "vehicle"}),
        ("birds", "bird", {"mammal", "insect", "plant", "food"}),
        ("plants", "plant", {"animal", "food", "person"}),
    ],
)
def test_no_playful_name_takes_a_species_out_of_its_kingdom(
    labels: str, kind: str, never: set[str]
) -> None:
    for concept in GRAPH.classes(labels):
        if concept is not None:
            above = {GRAPH.name(a) for a in GRAPH.ancestors(concept)}
            assert kind in above
            assert not never & above


def test_no_oak_of_another_genus_is_an_oak() -> None:
    for concept in GRAPH.classes("plants"):
        if concept is not None and tag("oak") in GRAPH.ancestors(concept):
            words = (GRAPH.name(concept) or "", *GRAPH.synonyms(concept))
            assert any("Quercus" in word for word in words)


def test_ids_are_short_and_say_where_they_come_from() -> None:
    for concept in GRAPH.all():
        assert re.fullmatch(r"n[0-9]{8}|[hs]\.[a-z0-9-]+", concept)
        assert len(concept) <= 64


@pytest.mark.parametrize(
    ("word", "above"),
    [("sunset", "sky"), ("palm tree", "tree"), ("bride", "person"), ("street", "road")],
)
def test_what_a_picture_shows_as_a_whole_is_a_concept(word: str, above: str) -> None:
    assert above in {GRAPH.name(a) for a in GRAPH.ancestors(tag(word))}


def test_every_label_of_the_labelled_photos_is_found(test_data: Path) -> None:
    labels = json.loads((test_data / "data/tagging-dev/labels.json").read_text("utf-8"))
    words = {
        word
        for photo in labels.values()
        for word in [*photo.get("concepts", ()), *photo.get("complete_over", ())]
    }
    assert sorted(word for word in words if GRAPH.find(word) is None) == []


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


def test_a_label_set_with_an_unknown_concept_is_refused() -> None:
    with pytest.raises(Integrity, match="unknown concepts"):
        ConceptGraph([Concept(A, "one", (), ())], {"left": (A, B)})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 2}',
        '{"format": 1}',
        '{"format": 1, "concepts": [], "labels": []}',
        '{"format": 1, "concepts": [["a", "one", []]], "labels": {}}',
        '{"format": 1, "concepts": [["a", "one", [], []]], "labels": {"left": ["b"]}}',
    ],
)
def test_a_graph_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(Integrity):
        taxonomy.parse(text)
