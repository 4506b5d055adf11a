"""The retry layer: what is repeated, how long, and what a caller is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import pytest
import trio
import trio.testing

from tagfs.errors import (
    BadName,
    Exists,
    Full,
    Integrity,
    Limited,
    NotFound,
    Refused,
    RemoteError,
    Revoked,
    Unreachable,
)
from tagfs.remote.memory import Fault, Harm, MemoryStore, Verb
from tagfs.remote.retry import HURRIED, Condition, Patience, RetryStore


def run(test: Callable[[], Awaitable[None]]) -> None:
    trio.run(test, clock=trio.testing.MockClock(autojump_threshold=0))


def patient(inner: MemoryStore) -> RetryStore:
    return RetryStore(inner, jitter=lambda: 1.0)


def calls(inner: MemoryStore, verb: Verb) -> int:
    return sum(1 for seen, _ in inner.calls if seen is verb)


def test_a_patient_caller_gets_an_answer_however_long_the_store_is_away() -> None:
    async def test() -> None:
        inner = MemoryStore()
        await inner.put("a", b"x")
        inner.inject(Fault(Verb.GET, Harm.BEFORE, times=20))
        store = patient(inner)
        assert await store.get("a", 0, 1) == b"x"
        # 0.5 + 1 + 2 + … + 32, then 60 s each time.
        assert trio.current_time() == pytest.approx(63.5 + 13 * 60)

    run(test)


def test_pauses_are_spread_by_the_jitter() -> None:
    async def test() -> None:
        inner = MemoryStore()
        inner.inject(Fault(Verb.STAT, Harm.BEFORE, times=2))
        draws = iter([0.25, 0.5])
        store = RetryStore(inner, jitter=lambda: next(draws))
        with pytest.raises(NotFound):
            await store.stat("a")
        assert trio.current_time() == pytest.approx(0.5 * 0.25 + 1.0 * 0.5)

    run(test)


@pytest.mark.parametrize("error", [Unreachable("down"), Limited("slow down"), Limited("now", 0.0)])
def test_from_the_third_failure_on_a_caller_asks_at_most_once_a_second(error: RemoteError) -> None:
    async def test() -> None:
        inner = MemoryStore()
        tries: list[float] = []

        def failure() -> RemoteError:
            tries.append(trio.current_time())
            return error

        inner.inject(Fault(Verb.STAT, Harm.BEFORE, times=10, error=failure))
        with pytest.raises(NotFound):
            await RetryStore(inner, jitter=lambda: 0.0).stat("a")
        assert len(tries) == 10
        assert all(later - earlier >= 1.0 for earlier, later in pairwise(tries[2:]))

    run(test)


def test_a_hurried_caller_is_told_within_ten_seconds_that_the_store_is_away() -> None:
    async def test() -> None:
        inner = MemoryStore()
        store = patient(inner).with_patience(HURRIED)
        inner.offline = True
        with pytest.raises(Unreachable):
            await store.get("a", 0, 128 * 1024)
        assert trio.current_time() < 10
        inner.offline = False
        await trio.sleep(3)
        began = trio.current_time()
        inner.inject(Fault(Verb.GET, Harm.HANG, times=99))
        with pytest.raises(Unreachable, match="no answer"):
            await store.get("a", 0, 128 * 1024)
        assert trio.current_time() - began < 10

    run(test)


def test_who_is_in_a_hurry_does_not_wait_anew_for_what_another_just_waited_for() -> None:
    async def test() -> None:
        inner = MemoryStore()
        await inner.put("a", b"x")
        store = patient(inner).with_patience(HURRIED)
        inner.offline = True
        with pytest.raises(Unreachable):
            await store.get("a", 0, 1)
        told = trio.current_time()
        for _ in range(100):
            with pytest.raises(Unreachable, match="offline"):
                await store.with_patience(HURRIED).get("a", 0, 1)
        assert trio.current_time() == told
        inner.offline = False
        await trio.sleep(2)
        assert await store.get("a", 0, 1) == b"x"

    run(test)


def test_one_answer_is_enough_to_believe_in_the_store_again() -> None:
    async def test() -> None:
        inner = MemoryStore()
        await inner.put("a", b"x")
        store = patient(inner)
        inner.offline = True
        with pytest.raises(Unreachable):
            await store.with_patience(HURRIED).get("a", 0, 1)
        inner.offline = False
        assert await store.get("a", 0, 1) == b"x"  # somebody patient is not held back
        assert await store.with_patience(HURRIED).get("a", 0, 1) == b"x"

    run(test)


def test_no_try_goes_without_a_time_limit_and_big_bodies_get_more() -> None:
    async def test() -> None:
        inner = MemoryStore()
        await inner.put("a", bytes(1000))
        store = RetryStore(inner, Patience(total=0, answer=10, slowest=100))
        inner.inject(Fault(Verb.GET, Harm.SLOW, amount=19))
        assert len(await store.get("a", 0, 1000)) == 1000
        inner.inject(Fault(Verb.GET, Harm.SLOW, amount=21))
        with pytest.raises(Unreachable):
            await store.get("a", 0, 1000)
        await trio.sleep(3)
        inner.inject(Fault(Verb.GET, Harm.SLOW, amount=19))
        assert len(await store.get("a")) == 1000
        inner.inject(Fault(Verb.PUT, Harm.SLOW, amount=19))
        await store.put("b", bytes(1000))

    run(test)


def test_the_time_that_a_provider_names_is_waited_by_all_callers() -> None:
    async def test() -> None:
        inner = MemoryStore()
        await inner.put("a", b"x")
        inner.inject(Fault(Verb.GET, Harm.BEFORE, error=lambda: Limited("slow down", 30.0)))
        store = patient(inner)

        async def later() -> None:
            await trio.sleep(1)
            await store.get("a", 0, 1)
            assert trio.current_time() >= 30

        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.get, "a", 0, 1)
            nursery.start_soon(later)
            await trio.sleep(2)
            assert calls(inner, Verb.GET) == 1
            assert store.health.condition is Condition.LIMITED
            with pytest.raises(Limited) as caught:
                await store.with_patience(HURRIED).get("a", 0, 1)
            assert caught.value.retry_after == pytest.approx(28)
            assert calls(inner, Verb.GET) == 1
        assert trio.current_time() == pytest.approx(30.5)
        assert store.health.condition is Condition.OK

    run(test)


@pytest.mark.parametrize("asked", [-5.0, 1e9])
def test_a_senseless_retry_after_neither_hurries_nor_stops_for_days(asked: float) -> None:
    async def test() -> None:
        inner = MemoryStore()
        inner.inject(Fault(Verb.STAT, Harm.BEFORE, error=lambda: Limited("slow", asked)))
        with pytest.raises(NotFound):
            await patient(inner).stat("a")
        assert 0.5 <= trio.current_time() <= 3601

    run(test)


@pytest.mark.parametrize(
    ("error", "condition"),
    [
        (Refused, Condition.REFUSED),
        (Full, Condition.FULL),
        (Revoked, Condition.REVOKED),
        (NotFound, Condition.OK),
        (Exists, Condition.OK),
    ],
)
def test_answers_are_passed_on_at_once_and_told_apart(
    error: type[RemoteError], condition: Condition
) -> None:
    async def test() -> None:
        inner = MemoryStore()
        inner.inject(Fault(Verb.PUT, Harm.BEFORE, error=lambda: error("no")))
        store = patient(inner)
        with pytest.raises(error):
            await store.put("a", b"x")
        assert calls(inner, Verb.PUT) == 1
        assert trio.current_time() == 0
        assert store.health.condition is condition
        await store.put("a", b"x")
        assert store.health.condition is Condition.OK

    run(test)


def test_errors_that_are_not_the_remotes_do_not_touch_its_health() -> None:
    async def test() -> None:
        store = patient(MemoryStore())
        with pytest.raises(BadName):
            await store.get("..")
        with pytest.raises(ValueError, match="range"):
            await store.get("a", -1, 0)
        assert store.health.condition is Condition.OK

    run(test)


def test_health_says_since_when_and_how_often() -> None:
    async def test() -> None:
        inner = MemoryStore()
        store = patient(inner)
        await trio.sleep(5)
        inner.offline = True
        with trio.move_on_after(100):
            await store.stat("a")
        health = store.with_patience(HURRIED).health
        assert health.condition is Condition.OFFLINE
        assert health.since == pytest.approx(5)
        assert health.failures == 8
        assert "offline" in health.why

    run(test)


@pytest.mark.parametrize("from_file", [False, True])
def test_a_put_that_was_carried_out_but_not_answered_has_succeeded(
    from_file: bool, tmp_path: Path
) -> None:
    data = bytes(range(256)) * 20_000  # more than one step of the comparison

    async def test() -> None:
        inner = MemoryStore()
        inner.inject(Fault(Verb.PUT, Harm.AFTER, times=2))
        store = patient(inner)
        if from_file:
            (tmp_path / "source").write_bytes(data)
            await store.put_file("o/a", tmp_path / "source")
        else:
            await store.put("o/a", data)
        assert inner.objects == {"o/a": data}

    trio.run(test)  # reads a file in a thread: the real clock


@pytest.mark.parametrize("from_file", [False, True])
@pytest.mark.parametrize("other", [b"others", b"sam_"])
def test_a_repeated_put_does_not_take_somebody_elses_object_for_its_own(
    from_file: bool, other: bytes, tmp_path: Path
) -> None:
    async def test() -> None:
        inner = MemoryStore()
        inner.inject(Fault(Verb.PUT, Harm.BEFORE))
        inner.objects["h/2"] = other
        store = patient(inner)
        source = tmp_path / "source"
        source.write_bytes(b"same")
        with pytest.raises(Exists):
            await (store.put_file("h/2", source) if from_file else store.put("h/2", b"same"))
        assert inner.objects["h/2"] == other

    trio.run(test)


def test_a_first_put_that_exists_is_not_compared() -> None:
    async def test() -> None:
        inner = MemoryStore()
        inner.objects["h/2"] = b"same"
        with pytest.raises(Exists):
            await patient(inner).put("h/2", b"same")
        assert calls(inner, Verb.GET) == 0

    run(test)


def test_waiting_can_be_cancelled_at_any_moment() -> None:
    async def test() -> None:
        inner = MemoryStore()
        inner.offline = True
        for seconds in (0.1, 0.7, 40.0, 1000.0):
            began = trio.current_time()
            with trio.move_on_after(seconds) as scope:
                await patient(inner).get("a", 0, 1)
            assert scope.cancelled_caught
            assert trio.current_time() - began == pytest.approx(seconds)

    run(test)


def test_what_does_not_verify_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        inner = MemoryStore()
        await inner.put("a", bytes(100))
        monkeypatch.setattr("tagfs.remote.memory.MAX_OBJECT", 10)
        with pytest.raises(Integrity):
            await patient(inner).get("a")
        assert calls(inner, Verb.GET) == 1

    run(test)
