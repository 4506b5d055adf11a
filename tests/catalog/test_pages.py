from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from plain_store import PlainStore

from tagfs.catalog import pages as pages_module
from tagfs.catalog.pages import PAGE, Pages
from tagfs.catalog.schema import Table
from tagfs.catalog.store import CatalogStore

OWNERS = (b"", b"a", b"ab")


def test_slots_are_given_in_order_and_never_again() -> None:
    pages = Pages(PlainStore(), Table.TAG_PAGE)
    assert [pages.append(b"a", b"x") for _ in range(3)] == [0, 1, 2]
    pages.clear(b"a", 2)
    assert pages.append(b"a", b"y") == 3
    assert list(pages.scan(b"a")) == [(0, b"x"), (1, b"x"), (3, b"y")]
    assert pages.count(b"a") == 3


def test_a_list_that_was_emptied_begins_where_it_ended() -> None:
    store = PlainStore()
    pages = Pages(store, Table.TAG_PAGE)
    for number in range(PAGE + 1):
        pages.append(b"a", b"%d" % number)
    for number in range(PAGE + 1):
        pages.clear(b"a", number)
    assert list(pages.scan(b"a")) == []
    assert pages.count(b"a") == 0
    assert len(store.rows) == 1  # empty pages have no row
    assert Pages(store, Table.TAG_PAGE).append(b"a", b"x") == PAGE + 1


def test_clearing_twice_counts_once() -> None:
    pages = Pages(PlainStore(), Table.TAG_PAGE)
    pages.append(b"a", b"x")
    pages.append(b"a", b"y")
    pages.clear(b"a", 0)
    pages.clear(b"a", 0)
    pages.clear(b"a", 77)
    assert pages.count(b"a") == 1


def test_only_a_slot_with_an_item_can_be_set() -> None:
    pages = Pages(PlainStore(), Table.TAG_PAGE)
    slot = pages.append(b"a", b"x")
    pages.set(b"a", slot, b"y")
    assert pages.get(b"a", slot) == b"y"
    pages.clear(b"a", slot)
    with pytest.raises(KeyError):
        pages.set(b"a", slot, b"z")
    assert pages.get(b"a", slot) is None


def test_owners_whose_ids_begin_alike_do_not_mix() -> None:
    pages = Pages(PlainStore(), Table.TAG_PAGE)
    for owner in (b"", b"h", b"p", b"p" + bytes(8), bytes(8)):
        pages.append(owner, b"of " + owner)
    for owner in (b"", b"h", b"p", b"p" + bytes(8), bytes(8)):
        assert list(pages.scan(owner)) == [(0, b"of " + owner)]


def test_a_list_may_change_while_it_is_read() -> None:
    pages = Pages(PlainStore(), Table.TAG_PAGE)
    for number in range(PAGE + 5):
        pages.append(b"a", b"%d" % number)
    scan = pages.scan(b"a")
    seen = [next(scan)[0] for _ in range(3)]
    pages.clear(b"a", 0)
    pages.clear(b"a", PAGE + 1)
    pages.append(b"a", b"new")
    seen += [slot for slot, _ in scan]
    assert seen == [slot for slot in range(PAGE + 6) if slot != PAGE + 1]


def test_a_long_list_is_the_same_after_reopening(tmp_path: Path) -> None:
    store = CatalogStore(tmp_path, b"k" * 32)
    pages = Pages(store, Table.FOLDER_PAGE)
    for number in range(1000):
        pages.append(b"folder", b"%d" % number)
    for number in range(0, 1000, 3):
        pages.clear(b"folder", number)
    expected = list(pages.scan(b"folder"))
    store.request_commit()
    store.close()
    store = CatalogStore(tmp_path, b"k" * 32)
    assert list(Pages(store, Table.FOLDER_PAGE).scan(b"folder")) == expected
    assert Pages(store, Table.FOLDER_PAGE).count(b"folder") == len(expected) == 666
    store.close()


class Scan:
    """A listing being read, and what it must and may give."""

    def __init__(self, owner: bytes, start: int, items: dict[int, bytes], it: Iterator[object]):
        self.owner = owner
        self.iterator = it
        self.must = {slot for slot in items if slot >= start}  # less what changes meanwhile
        self.seen: list[int] = []


class PagesMachine(RuleBasedStateMachine):
    """Lists behave as dictionaries, and scans give each item that stays exactly once."""

    @initialize(keep=st.sampled_from([2, 100]))
    def begin(self, keep: int) -> None:
        # Pages of 4, few of them cached: what matters happens at their edges.
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(pages_module, "PAGE", 4)
        self.patch.setattr(pages_module, "KEEP", keep)
        self.store = PlainStore()
        self.pages = Pages(self.store, Table.TAG_PAGE)
        self.model: dict[bytes, dict[int, bytes]] = {owner: {} for owner in OWNERS}
        self.next = dict.fromkeys(OWNERS, 0)
        self.scans: list[Scan] = []

    @rule(owner=st.sampled_from(OWNERS), item=st.binary(max_size=3), times=st.integers(1, 6))
    def append(self, owner: bytes, item: bytes, times: int) -> None:
        for _ in range(times):
            slot = self.pages.append(owner, item)
            assert slot == self.next[owner]
            self.next[owner] += 1
            self.model[owner][slot] = item

    @rule(owner=st.sampled_from(OWNERS), slot=st.integers(0, 30))
    def clear(self, owner: bytes, slot: int) -> None:
        self.pages.clear(owner, slot)
        self.model[owner].pop(slot, None)
        for scan in self.scans:
            if scan.owner == owner:
                scan.must.discard(slot)

    @rule(owner=st.sampled_from(OWNERS), slot=st.integers(0, 30), item=st.binary(max_size=3))
    def set(self, owner: bytes, slot: int, item: bytes) -> None:
        if slot in self.model[owner]:
            self.pages.set(owner, slot, item)
            self.model[owner][slot] = item
        else:
            with pytest.raises(KeyError):
                self.pages.set(owner, slot, item)

    @rule(owner=st.sampled_from(OWNERS), start=st.integers(0, 20))
    def start_a_scan(self, owner: bytes, start: int) -> None:
        items = self.model[owner]
        self.scans.append(Scan(owner, start, items, self.pages.scan(owner, start)))

    @precondition(lambda self: self.scans)
    @rule(which=st.integers(0, 99), steps=st.integers(1, 6))
    def go_on_with_a_scan(self, which: int, steps: int) -> None:
        scan = self.scans[which % len(self.scans)]
        for _ in range(steps):
            found = next(scan.iterator, None)
            if found is None:
                assert scan.must <= set(scan.seen)
                self.scans.remove(scan)
                return
            assert isinstance(found, tuple)
            assert not scan.seen or found[0] > scan.seen[-1]  # ascending, so none twice
            scan.seen.append(found[0])

    @rule()
    def open_again(self) -> None:
        if not self.scans:
            self.pages = Pages(self.store, Table.TAG_PAGE)

    @invariant()
    def lists_are_right(self) -> None:
        for owner in OWNERS:
            assert dict(self.pages.scan(owner)) == self.model[owner]
            assert self.pages.count(owner) == len(self.model[owner])

    def teardown(self) -> None:
        if hasattr(self, "patch"):
            for scan in self.scans:
                for found in scan.iterator:
                    assert isinstance(found, tuple)
                    assert not scan.seen or found[0] > scan.seen[-1]
                    scan.seen.append(found[0])
                assert scan.must <= set(scan.seen)
            self.patch.undo()


TestPagesMachine = PagesMachine.TestCase
TestPagesMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
