from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from plain_store import PlainStore
from pyroaring import BitMap

from tagfs.catalog import postings as postings_module
from tagfs.catalog.postings import Postings
from tagfs.catalog.schema import Table
from tagfs.catalog.store import CatalogStore

LISTS = (b"", b"dog", b"dogs")
NUMBERS = (0, 1, 5, 65535, 65536, 65537, 131072, 200_000, 2**24)


def postings(store: PlainStore | CatalogStore) -> Postings:
    return Postings(store, Table.POSTING, Table.POSTING_COUNT)


def test_an_update_rewrites_one_block_and_one_count() -> None:
    store = PlainStore()
    lists = postings(store)
    for number in (1, 2, 70_000, 140_000):
        lists.add(b"dog", number)
    before = dict(store.rows)
    lists.add(b"dog", 70_001)
    changed = {key for key, value in store.rows.items() if before.get(key) != value}
    assert sorted(table for table, _ in changed) == [Table.POSTING, Table.POSTING_COUNT]


def test_a_list_that_was_emptied_has_no_blocks() -> None:
    store = PlainStore()
    lists = postings(store)
    lists.add(b"dog", 70_000)
    lists.discard(b"dog", 70_000)
    assert not [key for table, key in store.rows if table == Table.POSTING]
    assert lists.count(b"dog") == 0
    assert list(lists.bitmap(b"dog")) == []


def test_what_a_caller_does_to_a_bitmap_stays_with_the_caller() -> None:
    lists = postings(PlainStore())
    lists.add(b"dog", 1)
    for _ in range(2):  # read from blocks, then hot
        found = lists.bitmap(b"dog")
        found.add(99)
        assert list(lists.bitmap(b"dog")) == [1]


def test_the_beginning_of_a_list_is_read_without_the_rest() -> None:
    class Counting(PlainStore):
        blocks = 0

        def get(self, table: Table, key: bytes) -> bytes | None:
            self.blocks += table == Table.POSTING
            return super().get(table, key)

    store = Counting()
    lists = postings(store)
    for block in range(20):
        for number in range(10):
            lists.add(b"all", block * 65536 + number)
    store.blocks = 0
    assert lists.first(b"all", 0, 10) == list(range(10))
    assert lists.first(b"all", 65536 + 8, 3) == [65544, 65545, 131072]
    assert store.blocks <= 4


def test_lists_are_the_same_after_reopening(tmp_path: Path) -> None:
    store = CatalogStore(tmp_path, b"k" * 32)
    for number in range(0, 300_000, 7001):
        postings(store).add(b"dog", number)
    store.request_commit()
    store.close()
    store = CatalogStore(tmp_path, b"k" * 32)
    assert list(postings(store).bitmap(b"dog")) == list(range(0, 300_000, 7001))
    assert postings(store).count(b"dog") == 43
    store.close()


class PostingsMachine(RuleBasedStateMachine):
    """Lists behave as sets, hot or not."""

    @initialize()
    def begin(self) -> None:
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(postings_module, "HOT", 1)
        self.store = PlainStore()
        self.lists = postings(self.store)
        self.model: dict[bytes, set[int]] = {name: set() for name in LISTS}

    @rule(name=st.sampled_from(LISTS), number=st.sampled_from(NUMBERS) | st.integers(0, 300_000))
    def add(self, name: bytes, number: int) -> None:
        assert self.lists.add(name, number) is (number not in self.model[name])
        self.model[name].add(number)

    @rule(name=st.sampled_from(LISTS), number=st.sampled_from(NUMBERS))
    def discard(self, name: bytes, number: int) -> None:
        assert self.lists.discard(name, number) is (number in self.model[name])
        self.model[name].discard(number)

    @rule(name=st.sampled_from(LISTS))
    def read_all(self, name: bytes) -> None:
        assert self.lists.bitmap(name) == BitMap(self.model[name])

    @rule(
        name=st.sampled_from(LISTS),
        start=st.sampled_from(NUMBERS) | st.integers(0, 300_000),
        limit=st.integers(0, 5),
    )
    def read_some(self, name: bytes, start: int, limit: int) -> None:
        expected = sorted(number for number in self.model[name] if number >= start)[:limit]
        assert self.lists.first(name, start, limit) == expected

    @rule()
    def open_again(self) -> None:
        self.lists = postings(self.store)

    @invariant()
    def counts_and_members_are_right(self) -> None:
        for name in LISTS:
            assert self.lists.count(name) == len(self.model[name])
            for number in (0, 65535, 65536):
                assert self.lists.contains(name, number) is (number in self.model[name])

    def teardown(self) -> None:
        if hasattr(self, "patch"):
            for name in LISTS:
                assert postings(self.store).bitmap(name) == BitMap(self.model[name])
            self.patch.undo()


TestPostingsMachine = PostingsMachine.TestCase
TestPostingsMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
