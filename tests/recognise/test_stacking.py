"""Tags from the votes of several packs: they add up, and more of a vote never takes a tag away."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagfs.errors import Integrity
from tagfs.model import TagId
from tagfs.recognise import taxonomy
from tagfs.recognise.stacking import (
    GRAIN,
    Calibrated,
    Fit,
    Fused,
    Line,
    Stacking,
    load,
    parse,
    quantised,
)

NAMES = ("beagle", "dog", "animal", "sea", "surfboard", "sky")


class Graph:
    above: ClassVar = {"beagle": {"dog", "animal"}, "dog": {"animal"}}

    def name(self, tag: TagId) -> str | None:
        return tag if tag in NAMES else None

    def ancestors(self, tag: TagId) -> frozenset[TagId]:
        return frozenset(TagId(t) for t in self.above.get(tag, ()))

    def find(self, word: str) -> TagId | None:
        return TagId(word)


def line(rest: float, **weights: float) -> Line:
    return Line(rest, weights)


USUAL = line(-4.0, default=1.0, objects=1.0)
ALONE = Fit(
    frozenset({"default"}),
    {TagId("sea"): line(-4.0, default=1.0), TagId("sky"): line(-3.0, default=0.5)},
    USUAL,
    0.5,
    0.5,
)
BOTH = Fit(
    frozenset({"default", "objects"}),
    {
        TagId("sea"): line(-4.5, default=0.8),
        TagId("surfboard"): Line(-4.0, {"default": 0.7, "objects": 1.2, "objects:large": 0.5}),
    },
    USUAL,
    0.5,
    0.5,
)
FLOORS = {"default": 0.02, "objects": 0.02, "objects:large": 0.02}
FUSION = Stacking(Graph(), Calibrated(FLOORS, (ALONE, BOTH)))


def fuse(**votes: dict[str, float]) -> Fused:
    return FUSION.fuse({p: {TagId(t): s for t, s in v.items()} for p, v in votes.items()})


def confidences(fused: Fused) -> dict[str, float]:
    return {s.tag: s.confidence for s in fused.tags}


def test_two_packs_that_are_unsure_alone_are_sure_together() -> None:
    assert not fuse(default={"surfboard": 0.2}, objects={}).tags
    assert not fuse(default={}, objects={"surfboard": 0.3}).tags
    both = fuse(default={"surfboard": 0.2}, objects={"surfboard": 0.3})
    assert "surfboard" in confidences(both)


def test_an_unsure_breed_and_a_sure_dog_give_the_dog() -> None:
    assert set(confidences(fuse(default={"beagle": 0.3, "dog": 0.9}))) == {"dog", "animal"}


def test_a_tag_brings_its_ancestors_which_are_at_least_as_sure() -> None:
    found = confidences(fuse(default={"beagle": 0.9, "dog": 0.6}))
    assert set(found) == {"beagle", "dog", "animal"}
    assert found["animal"] >= found["dog"] >= found["beagle"] > 0.5


def test_two_forms_of_a_packs_votes_add_up_and_are_one_word() -> None:
    votes = {"default": {}, "objects": {"surfboard": 0.3}, "objects:large": {"surfboard": 0.3}}
    fused = fuse(**votes)
    assert set(fused.by_pack) == {"objects"}
    (said,) = fused.by_pack["objects"]
    assert said.confidence == pytest.approx(confidences(fused)["surfboard"])
    assert not fuse(default={}, objects={"surfboard": 0.3}).tags


def test_packs_that_see_nothing_give_no_tag() -> None:
    assert not fuse(default={}, objects={}).tags


def test_each_pack_has_its_own_word_on_a_tag() -> None:
    fused = fuse(default={"surfboard": 0.2}, objects={"surfboard": 0.6})
    alone = {pack: said[0].confidence for pack, said in fused.by_pack.items()}
    assert set(alone) == {"default", "objects"}
    assert alone["default"] < alone["objects"] < confidences(fused)["surfboard"]


def test_a_pack_that_saw_nothing_of_a_tag_has_no_word_on_it() -> None:
    fused = fuse(default={"dog": 0.9}, objects={"surfboard": 0.05})
    assert set(fused.by_pack) == {"default"}
    assert {s.tag for s in fused.by_pack["default"]} == {"dog", "animal"}


def test_the_fit_is_that_of_the_packs_that_looked() -> None:
    alone = FUSION.shares({"default": {TagId("sea"): 0.5}})
    both = FUSION.shares({"default": {TagId("sea"): 0.5}, "objects": {}})
    assert alone[TagId("sea")] > both[TagId("sea")]


def test_a_pack_that_no_fit_knows_changes_nothing() -> None:
    known = {TagId("dog"): 0.9}
    other = FUSION.fuse({"default": known, "newer": {TagId("dog"): 1.0}})
    assert other.tags == FUSION.fuse({"default": known}).tags


def test_a_concept_that_the_graph_does_not_know_is_no_tag() -> None:
    assert not fuse(default={"withdrawn": 0.99}).tags


def test_kept_votes_give_the_same_tags_as_new_ones() -> None:
    exact = {TagId("dog"): 0.876543219, TagId("sea"): 0.333333333}
    kept = {tag: round(score * GRAIN) / GRAIN for tag, score in exact.items()}
    assert FUSION.fuse({"default": exact}) == FUSION.fuse({"default": kept})
    assert quantised(1.7) == 1.0
    assert quantised(-0.1) == 0.0


scores = st.dictionaries(st.sampled_from([TagId(n) for n in NAMES]), st.floats(0, 1), max_size=6)


@given(st.dictionaries(st.sampled_from(["default", "objects"]), scores), st.data())
def test_a_higher_vote_never_takes_a_tag_away(
    votes: dict[str, dict[TagId, float]], data: st.DataObject
) -> None:
    votes.setdefault("default", {})
    pack = data.draw(st.sampled_from(sorted(votes)))
    tag = data.draw(st.sampled_from([TagId(n) for n in NAMES]))
    higher = data.draw(st.floats(votes[pack].get(tag, 0.0), 1.0))
    before = confidences(FUSION.fuse(votes))
    after = confidences(FUSION.fuse({**votes, pack: {**votes[pack], tag: higher}}))
    assert all(after.get(t, -1.0) >= share for t, share in before.items())


@given(st.dictionaries(st.sampled_from(["default", "objects"]), scores))
def test_confidences_are_shares_and_come_surest_first(
    votes: dict[str, dict[TagId, float]],
) -> None:
    fused = FUSION.fuse(votes)
    values = [s.confidence for s in fused.tags]
    assert values == sorted(values, reverse=True)
    assert all(0.0 <= v <= 1.0 for v in values)
    assert all(FUSION.fuse(votes) == fused for _ in range(2))


def written(**changes: object) -> str:
    fit = {
        "packs": ["default"],
        "weights": ["default", "heads"],
        "usual": [-4.0, 1.0, 0.0],
        "concepts": {"sea": [-4.0, 1.0, 0.5]},
        "cut": 0.5,
        "usual_cut": 0.6,
    }
    whole = {"format": 1, "floors": {"default": 0.02}, "fits": [fit]}
    return json.dumps(whole | changes)


def test_a_calibration_is_read_as_it_is_written() -> None:
    read = parse(written())
    assert read.fits[0].lines[TagId("sea")] == line(-4.0, default=1.0, heads=0.5)
    assert replace(read.fits[0], lines={}).usual_cut == 0.6


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        written(format=2),
        written(fits=[]),
        written(fits=[{"packs": ["default"]}]),
        written().replace("0.5]", "-0.5]"),
        written().replace("0.5]", "NaN]"),
    ],
)
def test_a_calibration_of_another_form_or_with_a_negative_weight_is_refused(text: str) -> None:
    with pytest.raises(Integrity):
        parse(text)


def test_the_shipped_calibration_knows_every_set_of_packs_and_gives_the_breed_its_dog() -> None:
    stacking = load()
    graph = taxonomy.load()
    beagle, dog = graph.find("beagle"), graph.find("dog")
    assert beagle is not None
    assert dog is not None
    for packs in ((), ("heads",), ("heads", "objects"), ("heads", "objects", "faces")):
        votes = {"default": {beagle: 0.9, dog: 0.97}} | {name: {} for name in packs}
        if "objects" in packs:
            votes |= {"objects": {dog: 0.7}, "objects:large": {dog: 0.7}}
        tags = {s.tag: s.confidence for s in stacking.fuse(votes).tags}
        assert tags[dog] >= tags[beagle] > 0.5
        assert not stacking.fuse({name: {} for name in votes}).tags


def test_the_shipped_heads_and_faces_are_heard() -> None:
    graph = taxonomy.load()
    sky, person = graph.find("sky"), graph.find("person")
    assert sky is not None
    assert person is not None
    nothing = {"default": {}, "heads": {}, "objects": {}, "objects:large": {}, "faces": {}}
    by_pack = load().fuse(nothing | {"heads": {sky: 0.99}, "objects": {person: 0.75}}).by_pack
    assert {s.tag for s in by_pack["heads"]} == {sky}
    certain = load().shares(nothing | {"faces": {person: 0.95}, "objects": {person: 0.5}})
    unsure = load().shares(nothing | {"objects": {person: 0.5}})
    assert certain[person] > unsure[person]


def test_a_raised_threshold_hides_the_concept_and_what_is_below_it() -> None:
    votes = {"default": {TagId("beagle"): 0.9, TagId("sea"): 0.9}}
    before = confidences(FUSION.fuse(votes))
    assert {"beagle", "dog", "animal"} <= before.keys()
    raised = FUSION.with_thresholds({TagId("dog"): before["dog"] + 0.001})
    after = confidences(raised.fuse(votes))
    assert after == {t: c for t, c in before.items() if t not in ("beagle", "dog")} | (
        {"animal": before["animal"]}
    )
    assert confidences(FUSION.with_thresholds({TagId("dog"): before["dog"]}).fuse(votes)) == before


def test_a_lowered_threshold_shows_the_concept_with_what_is_above_it() -> None:
    votes = {"default": {TagId("beagle"): 0.3}}
    assert not FUSION.fuse(votes).tags
    share = FUSION.shares(votes)[TagId("beagle")]
    lowered = confidences(FUSION.with_thresholds({TagId("beagle"): share}).fuse(votes))
    assert lowered == {"beagle": share, "dog": share, "animal": share}
