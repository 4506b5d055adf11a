"""Tags made of kept votes are those that the networks' answers themselves would give."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tagfs.model import Scored, TagId
from tagfs.recognise import packs, stacking, taxonomy
from tagfs.recognise.rescoring import Rescorer, decoders, todays
from tagfs.recognise.scoring import Scorer, ordered
from tagfs.vault.packs import decode_details, encode_details

PACK = packs.load()
GRAPH = taxonomy.load()
CLASSES = GRAPH.classes(PACK.labels)
SCORER = Scorer(CLASSES, GRAPH, PACK.evidence)
TODAY = todays()


@given(st.dictionaries(st.integers(0, len(CLASSES) - 1), st.floats(0.01, 1.0), max_size=12))
@settings(max_examples=60, deadline=None)
def test_kept_votes_give_the_very_tags_that_fresh_ones_gave(shares: dict[int, float]) -> None:
    probabilities = np.zeros(len(CLASSES), dtype=np.float32)
    for index, share in shares.items():
        probabilities[index] = share / max(1.0, sum(shares.values()))
    votes = SCORER.votes(probabilities)
    kept, _ = decode_details(encode_details(ordered(votes), b""))
    fused = stacking.load().fuse({"default": votes})
    assert TODAY.tags({"default": kept}) == stacking.rows(fused, "default")


def test_a_concept_that_is_new_above_a_class_is_as_sure_as_the_classes_below_it() -> None:
    tabby, tiger_cat = (GRAPH.find(word) for word in ("tabby", "tiger cat"))
    assert tabby is not None
    assert tiger_cat is not None
    kept = [Scored(tabby, 0.45), Scored(tiger_cat, 0.45)]  # the graph had no cat then
    cat = GRAPH.find("cat")
    certain = {s.tag: s.confidence for s in TODAY.tags({"default": kept})["default"]}
    alone = {s.tag: s.confidence for s in TODAY.tags({"default": kept[:1]})["default"]}
    assert cat is not None
    assert certain[cat] > alone.get(cat, 0.0)


def test_a_concept_that_the_graph_has_no_longer_is_left_out() -> None:
    assert not TODAY.tags({"default": [Scored(TagId("gone"), 0.99)]})


def test_a_pack_lacks_a_look_where_its_gate_is_open_and_it_has_not_looked() -> None:
    birds, objects = packs.load("birds"), packs.load("objects")
    rescorer = Rescorer(
        PACK, GRAPH, stacking.load(), {"birds": birds.gates, "objects": objects.gates}
    )
    bird = [Scored(birds.gates[0].tag, 0.9)]
    assert rescorer.lacks({"default": []})  # objects has no gate
    assert not rescorer.lacks({"default": [], "objects": []})
    assert rescorer.lacks({"default": bird, "objects": []})
    assert not rescorer.lacks({"default": bird, "objects": [], "birds": []})
    assert not todays().lacks({name: [] for name in (*packs.names(), "faces")})


def test_decoders_are_named_with_their_versions() -> None:
    assert "pillow 1" in decoders()
    assert decoders().startswith("readers 4, ")  # since keywords and stars are read
