"""Tags made of kept scores are those that the network's answer itself would give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tagfs.model import Scored, TagId
from tagfs.recognise import packs, taxonomy
from tagfs.recognise.rescoring import Rescorer, decoders, todays
from tagfs.recognise.scoring import Scorer
from tagfs.vault.packs import decode_details, encode_details

PACK = packs.load()
GRAPH = taxonomy.load()
CLASSES = GRAPH.classes(PACK.labels)
SCORER = Scorer(CLASSES, GRAPH, PACK.calibration)
TODAY = todays()


@given(st.dictionaries(st.integers(0, len(CLASSES) - 1), st.floats(0.01, 1.0), max_size=12))
@settings(max_examples=60, deadline=None)
def test_the_same_thresholds_give_the_same_tags_as_sure(shares: dict[int, float]) -> None:
    probabilities = np.zeros(len(CLASSES), dtype=np.float32)
    for index, share in shares.items():
        probabilities[index] = share / max(1.0, sum(shares.values()))
    tags, scores = SCORER.score(probabilities)
    kept, _ = decode_details(encode_details(scores, b""))
    again = TODAY.tags(kept, {seen.tag for seen in tags})
    before = {seen.tag: seen.confidence for seen in tags}
    assert {seen.tag for seen in again} == before.keys()
    assert all(abs(before[seen.tag] - seen.confidence) < 0.005 for seen in again)


def test_a_lower_threshold_gives_more_and_a_higher_one_fewer() -> None:
    dog = TagId("n02084071")
    kept = [Scored(dog, 0.4)]

    def tags(threshold: float) -> set[TagId]:
        calibration = replace(PACK.calibration, thresholds={}, default=threshold)
        rescorer = Rescorer(replace(PACK, calibration=calibration), GRAPH)
        return {seen.tag for seen in rescorer.tags(kept, frozenset())}

    assert dog in tags(0.3)
    assert GRAPH.ancestors(dog) < tags(0.3)
    assert tags(0.5) == set()


def test_a_concept_that_is_new_above_a_class_is_as_sure_as_the_classes_below_it() -> None:
    tabby, tiger_cat = (GRAPH.find(word) for word in ("tabby", "tiger cat"))
    assert tabby is not None
    assert tiger_cat is not None
    kept = [Scored(tabby, 0.45), Scored(tiger_cat, 0.45)]  # the graph had no cat then
    cat = GRAPH.find("cat")
    certain = {seen.tag: seen.confidence for seen in TODAY.tags(kept, frozenset())}
    alone = {seen.tag: seen.confidence for seen in TODAY.tags(kept[:1], frozenset())}
    assert cat is not None
    assert certain[cat] > alone.get(cat, 0.0)


def test_a_concept_that_the_graph_has_no_longer_is_left_out() -> None:
    assert TODAY.tags([Scored(TagId("gone"), 0.99)], {TagId("gone")}) == ()


def test_decoders_are_named_with_their_versions() -> None:
    assert "pillow 1" in decoders()
    assert decoders().startswith("readers 2, ")  # since raw files and videos tell facts
