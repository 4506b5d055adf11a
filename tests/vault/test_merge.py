"""The same writes make the same state in any order, any number of times."""

from __future__ import annotations

import functools
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tagfs.model import NEVER, ROOT, ContentId, DeviceId, FolderId, Stamp, TagId
from tagfs.vault.merge import (
    Dots,
    Listed,
    PlaceOf,
    Register,
    beside,
    canonical_tags,
    later,
    parents,
    shown_names,
    standing,
    suffixed,
    tags_of_one_name,
    union,
    united,
    without_cycles,
)


def folder(n: int) -> FolderId:
    return FolderId(bytes([n + 2]) * 16)


def device(n: int) -> DeviceId:
    return DeviceId(bytes([n]) * 16)


stamps = st.builds(Stamp, st.integers(1, 6), st.integers(1, 3).map(device))
folders = st.integers(0, 5).map(folder)
dots = st.tuples(st.integers(1, 3).map(device), st.integers(1, 4), st.integers(0, 2))
orders = st.randoms(use_true_random=False)


def shuffled(items: list[Any], order: random.Random) -> list[Any]:
    """Return the items in another order, some of them twice."""
    again = [*items, *(i for i in items if order.random() < 0.3)]
    order.shuffle(again)
    return again


def unique_by_stamp(writes: list[tuple[Any, Register[Any]]]) -> list[tuple[Any, Register[Any]]]:
    """Drop writes that no clock gives: two to one register at one stamp."""
    seen = {(key, register.stamp): (key, register) for key, register in writes}
    return list(seen.values())


def last_writes(writes: list[tuple[Any, Register[Any]]]) -> dict[Any, Register[Any]]:
    state: dict[Any, Register[Any]] = {}
    for key, register in writes:
        state[key] = later(state.get(key, Register(None, NEVER)), register)
    return state


@given(st.lists(st.builds(Register, st.integers(), stamps), min_size=1), orders)
def test_a_register_ends_with_the_last_writer(writes, order) -> None:
    writes = [w for _, w in unique_by_stamp([("x", w) for w in writes])]
    results = {
        functools.reduce(later, shuffled(writes, order), Register(None, NEVER)) for _ in range(3)
    }
    assert results == {max(writes, key=lambda w: w.stamp)}


def test_of_two_writes_with_one_stamp_the_first_counts() -> None:
    stamp = Stamp(1, device(1))
    assert later(Register("a", stamp), Register("b", stamp)).value == "a"


changes = st.one_of(
    dots.map(lambda d: ("add", d)),
    st.lists(dots, max_size=3).map(lambda d: ("remove", tuple(d))),
)


@given(st.lists(changes), orders)
def test_entries_come_out_the_same_in_any_order(listed, order) -> None:
    def apply(changes) -> Dots:
        state = Dots()
        for what, arg in changes:
            state = state.add(arg) if what == "add" else state.remove(arg)
        return state

    assert apply(listed) == apply(shuffled(listed, order))


@given(st.lists(changes), st.lists(changes), st.lists(changes))
def test_union_is_commutative_associative_and_idempotent(one, two, three) -> None:
    a, b, c = (
        functools.reduce(
            lambda s, ch: s.add(ch[1]) if ch[0] == "add" else s.remove(ch[1]), listed, Dots()
        )
        for listed in (one, two, three)
    )
    assert union(a, b) == union(b, a)
    assert union(a, union(b, c)) == union(union(a, b), c)
    assert union(a, a) == a


def test_a_removal_takes_only_the_adds_that_it_saw() -> None:
    seen, unseen = (device(1), 1, 0), (device(2), 1, 0)
    assert Dots().add(seen).remove([seen]).add(unseen).live == {unseen}
    assert Dots().remove([seen]).add(seen).live == frozenset()


moves = st.lists(
    st.tuples(
        folders,
        st.builds(
            Register,
            st.builds(
                PlaceOf, folders | st.just(ROOT), st.sampled_from([b"a", b"b"]), st.booleans()
            ),
            stamps,
        ),
    )
)


@given(moves, orders)
def test_folders_form_one_tree_whatever_the_order_of_moves(writes, order) -> None:
    writes = unique_by_stamp(writes)
    places = last_writes(writes)
    tree = parents(places)
    assert tree == parents(last_writes(shuffled(writes, order)))
    assert set(tree) == set(places)
    for start in tree:
        at, steps = start, 0
        while at != ROOT:
            at, steps = tree[at], steps + 1
            assert steps <= len(tree), "a folder is below itself"
    for ident, parent in tree.items():
        assert parent in (places[ident].value.parent, ROOT)


def place(parent: FolderId, hlc: int, alive: bool = True) -> Register[PlaceOf]:
    return Register(PlaceOf(parent, b"n", alive), Stamp(hlc, device(1)))


def test_of_two_moves_into_each_other_the_later_loses() -> None:
    a, b = folder(0), folder(1)
    assert parents({a: place(b, 1), b: place(a, 2)}) == {a: b, b: ROOT}
    assert parents({a: place(b, 3), b: place(a, 2)}) == {b: a, a: ROOT}


def test_a_folder_above_a_cycle_stays_where_it_was_put() -> None:
    a, b, c = folder(0), folder(1), folder(2)
    assert parents({a: place(b, 1), b: place(a, 2), c: place(a, 9)}) == {a: b, b: ROOT, c: a}


def test_a_folder_under_one_that_is_not_known_yet_is_listed_in_the_root() -> None:
    assert parents({folder(0): place(folder(1), 1)}) == {folder(0): ROOT}


@given(st.dictionaries(st.integers(0, 8), st.tuples(st.integers(0, 8), stamps)))
def test_breaking_cycles_takes_one_step_out_of_each_cycle(steps) -> None:
    tree = without_cycles(steps)
    lost = set(steps) - set(tree)
    for loser in lost:
        cycle, at = {loser}, steps[loser][0]
        while at != loser:
            cycle.add(at)
            at = steps[at][0]
        assert steps[loser][1] == max(steps[k][1] for k in cycle)
        assert cycle & lost == {loser}


@given(moves, st.lists(folders), orders)
def test_a_file_in_a_deleted_folder_brings_it_and_what_is_above_back(
    writes, holding, order
) -> None:
    writes = unique_by_stamp(writes)
    places = last_writes(writes)
    stand = standing(places, holding)
    assert stand == standing(last_writes(shuffled(writes, order)), shuffled(holding, order))
    tree = parents(places)
    for ident in tree:
        if places[ident].value.alive or ident in holding:
            assert ident in stand
        if ident in stand and tree[ident] != ROOT:
            assert tree[ident] in stand


def test_a_deleted_empty_folder_is_gone() -> None:
    a, b = folder(0), folder(1)
    places = {a: place(ROOT, 1, alive=False), b: place(a, 1, alive=False)}
    assert standing(places, []) == frozenset()
    assert standing(places, [b]) == {a, b}


entries = st.lists(
    st.builds(
        Listed,
        st.booleans(),
        st.integers(1, 9).map(lambda n: bytes([n]) * 16),
        st.sampled_from([b"a.jpg", b"b", b"a~03030303.jpg", b".x", b"x" * 255]),
    )
)


@given(entries, orders)
def test_every_file_is_listed_under_one_name_that_no_other_has(listed, order) -> None:
    shown = shown_names(listed)
    assert shown == shown_names(shuffled(listed, order))
    names = [name for name, _ in shown]
    assert len(set(names)) == len(names)
    assert all(0 < len(n) <= 255 for n in names)
    assert {e for e in listed if e.is_file} == {e for e in shown.values() if e.is_file}


def test_the_smaller_id_keeps_the_name_and_a_folder_before_any_file() -> None:
    one, two = (Listed(True, bytes([n]) * 16, b"a.jpg") for n in (1, 2))
    assert shown_names([two, one]) == {
        (b"a.jpg", one.id): one,
        (b"a~02020202.jpg", two.id): two,
    }
    above = Listed(False, b"\xff" * 16, b"a.jpg")
    assert shown_names([one, above])[b"a.jpg", above.id] == above


def test_a_suffix_keeps_the_extension_and_the_length() -> None:
    assert suffixed(b"a.jpg", b"\xab" * 16) == b"a~abababab.jpg"
    assert suffixed(b".hidden", b"\xab" * 16) == b".hidden~abababab"
    assert len(suffixed(b"x" * 251 + b".jpg", b"\xab" * 16)) == 255


@given(
    st.lists(
        st.tuples(folders, folders | st.just(ROOT), st.sampled_from([b"a", b"b"])),
        unique_by=lambda f: f[0],
    ),
    orders,
)
def test_folders_of_one_name_unite_with_all_below_them(listed, order) -> None:
    writes = {i: Register(PlaceOf(p, n, True), Stamp(1, device(1))) for i, p, n in listed}
    tree = parents(writes)
    listed = [(i, tree[i], n) for i, _, n in listed]
    stands = united(listed)
    assert stands == united(shuffled(listed, order))
    seen: dict[tuple[FolderId, bytes], FolderId] = {}
    for ident, parent, name in listed:
        key = stands.get(parent, parent), name
        assert seen.setdefault(key, stands[ident]) == stands[ident]
        assert stands[stands[ident]] == stands[ident]


def content(n: int) -> ContentId:
    return ContentId(bytes([n]) * 32)


def test_two_edits_of_one_content_both_stay() -> None:
    first = Register((content(2), 5, content(1)), Stamp(1, device(1)))
    second = Register((content(3), 5, content(1)), Stamp(2, device(2)))
    assert beside(later(first, second), first) == content(2)
    knew = Register((content(3), 5, content(2)), Stamp(2, device(2)))
    assert beside(knew, first) is None
    assert beside(Register(None, Stamp(9, device(1))), first) is None
    same = Register((content(2), 5, content(1)), Stamp(2, device(2)))
    assert beside(same, first) is None


tags = st.sampled_from([TagId(t) for t in "abcd"])


@given(
    st.lists(st.tuples(tags, st.builds(Register, st.none() | tags, stamps))),
    orders,
)
def test_merged_tags_end_at_one_that_stands(writes, order) -> None:
    writes = unique_by_stamp(writes)
    merged = last_writes(writes)
    stands = canonical_tags(merged)
    assert stands == canonical_tags(last_writes(shuffled(writes, order)))
    for tag, end in stands.items():
        assert stands.get(end, end) == end
        if merged[tag].value is None:
            assert end == tag


def test_of_two_merges_into_each_other_the_later_loses() -> None:
    a, b = TagId("a"), TagId("b")
    merged = {
        a: Register(b, Stamp(1, device(1))),
        b: Register(a, Stamp(2, device(1))),
    }
    assert canonical_tags(merged) == {a: b, b: b}


def test_tags_of_one_name_unite_under_the_smallest_id() -> None:
    keys = {TagId("u2"): "dog", TagId("n1"): "dog", TagId("u3"): "cat"}
    assert tags_of_one_name(keys) == {"u2": "n1", "n1": "n1", "u3": "u3"}
