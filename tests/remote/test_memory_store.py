"""The fake store fails exactly as it is told to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from tagfs.errors import Full, Limited, NotFound, Unreachable
from tagfs.remote.memory import Fault, Harm, MemoryStore, Verb


def run(test: Callable[[], Awaitable[None]]) -> None:
    trio.run(test, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_put_that_fails_before_leaves_nothing_and_one_that_fails_after_leaves_all() -> None:
    async def test() -> None:
        store = MemoryStore()
        store.inject(Fault(Verb.PUT, Harm.BEFORE), Fault(Verb.PUT, Harm.AFTER, prefix="b"))
        with pytest.raises(Unreachable):
            await store.put("a", b"x")
        assert store.objects == {}
        await store.put("a", b"x")
        with pytest.raises(Unreachable):
            await store.put("b", b"y")
        assert store.objects == {"a": b"x", "b": b"y"}
        assert store.pending_faults() == ()

    run(test)


def test_bodies_are_cut_and_flipped() -> None:
    async def test() -> None:
        store = MemoryStore()
        await store.put("a", b"abcdef")
        store.inject(Fault(Verb.GET, Harm.CUT, amount=2), Fault(Verb.GET, Harm.FLIP, amount=1))
        assert await store.get("a") == b"ab"
        assert await store.get("a", 2, 3) == bytes([ord("c"), ord("d") ^ 0xFF, ord("e")])
        assert await store.get("a") == b"abcdef"

    run(test)


def test_a_fault_happens_as_often_as_it_says_and_only_where_it_fits() -> None:
    async def test() -> None:
        store = MemoryStore()
        await store.put("o/a", b"")
        store.inject(
            Fault(Verb.GET, Harm.BEFORE, "o/", times=2, error=lambda: Limited("slow", 3.0))
        )
        with pytest.raises(NotFound):
            await store.get("h/1")
        for _ in range(2):
            with pytest.raises(Limited) as caught:
                await store.get("o/a")
            assert caught.value.retry_after == 3.0
        await store.get("o/a")

    run(test)


def test_slow_answers_take_their_time_and_hanging_ones_for_ever() -> None:
    async def test() -> None:
        store = MemoryStore()
        store.inject(Fault(Verb.LIST, Harm.SLOW, amount=30), Fault(Verb.STAT, Harm.HANG))
        began = trio.current_time()
        await store.list()
        assert trio.current_time() - began == pytest.approx(30)
        with trio.move_on_after(10_000) as scope:
            await store.stat("a")
        assert scope.cancelled_caught

    run(test)


def test_a_stale_listing_misses_the_new_and_names_the_deleted_but_get_is_exact() -> None:
    async def test() -> None:
        store = MemoryStore(stale=1)
        for name in "abc":
            await store.put(name, b"xx")
        await store.delete("a")
        assert [e.name for e in (await store.list()).entries] == ["a", "b"]
        assert await store.get("c") == b"xx"
        with pytest.raises(NotFound):
            await store.get("a")

    run(test)


def test_a_full_store_keeps_what_it_has() -> None:
    async def test() -> None:
        store = MemoryStore(capacity=10)
        await store.put("a", bytes(8))
        with pytest.raises(Full):
            await store.put("b", bytes(3))
        space = await store.space()
        assert space is not None
        assert (space.total, space.free) == (10, 2)
        await store.delete("a")
        await store.put("b", bytes(10))

    run(test)


def test_offline_is_offline_for_every_verb_and_calls_are_counted() -> None:
    async def test() -> None:
        store = MemoryStore()
        store.offline = True
        for call in (store.get, store.stat, store.delete, store.list):
            with pytest.raises(Unreachable):
                await call("a")
        with pytest.raises(Unreachable):
            await store.put("a", b"")
        assert len(store.calls) == 5
        store.offline = False
        assert (await store.list()).entries == ()

    run(test)
