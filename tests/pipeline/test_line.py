"""The line to the remote: how many objects are under way, how fast, how long still, and rests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

import trio
import trio.testing

from tagfs.pipeline.line import GENTLE, MINUTE, QUIET, Line
from tagfs.vault.layout import MAX_STORED


def run(test: Callable[[], Awaitable[None]]) -> None:
    trio.run(test, clock=trio.testing.MockClock(autojump_threshold=0))


class Road:
    """Carries objects of given sizes, each of which takes ``seconds``; sees how full it gets."""

    def __init__(self, line: Line, seconds: float = 1.0) -> None:
        self.line = line
        self.seconds = seconds
        self.now = 0
        self.most = 0
        self.bytes = 0
        self.most_bytes = 0
        self.began: list[tuple[float, int]] = []

    async def carry(self, size: int) -> None:
        async with self.line.carrying(size):
            self.began.append((trio.current_time(), size))
            self.now += 1
            self.bytes += size
            self.most = max(self.most, self.now)
            self.most_bytes = max(self.most_bytes, self.bytes)
            await trio.sleep(self.seconds)
            self.now -= 1
            self.bytes -= size

    async def all(self, sizes: list[int]) -> float:
        """Carry all at once; return the seconds that it took."""
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for size in sizes:
                nursery.start_soon(self.carry, size)
                await trio.testing.wait_all_tasks_blocked()  # so that they come in this order
        return trio.current_time() - began


def test_so_many_objects_and_so_many_bytes_are_under_way_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        road = Road(Line(tmp_path / "paused", objects=4, most=1000))
        assert await road.all([10] * 8) == 2.0
        assert road.most == 4
        road = Road(Line(tmp_path / "paused", objects=4, most=1000))
        assert await road.all([400] * 6) == 3.0
        assert (road.most, road.most_bytes) == (2, 800)

    run(test)


def test_four_parts_of_a_large_file_are_under_way_at_once_and_small_objects_beside_them(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        road = Road(Line(tmp_path / "paused"))
        assert await road.all([MAX_STORED] * 4 + [1_000_000] * 6) == 1.0
        assert road.most == 10
        assert await road.all([MAX_STORED] * 8) == 2.0

    run(test)


def test_objects_go_one_by_one_while_somebody_changes_files_and_all_at_once_after_it(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        line = Line(tmp_path / "paused")
        road = Road(line)

        async def copy() -> None:
            for _ in range(30):
                line.give_way()
                await trio.sleep(0.1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(copy)
            nursery.start_soon(road.all, [10] * 100)
        over = 2.9 + QUIET  # the last change, and the silence after it
        began = [at for at, _ in road.began]
        slowly = [at for at in began if at < over]
        assert all(b - a >= GENTLE - 1e-6 for a, b in pairwise(slowly))
        assert len(slowly) >= 0.8 * over / GENTLE
        assert began[-1] < over + GENTLE

    run(test)


def test_an_object_larger_than_the_bound_goes_alone_and_is_not_overtaken(tmp_path: Path) -> None:
    async def test() -> None:
        road = Road(Line(tmp_path / "paused", objects=4, most=1000))

        async def large() -> None:
            await trio.testing.wait_all_tasks_blocked()
            await road.carry(5000)

        async def small() -> None:
            await trio.sleep(0.5)
            await road.carry(1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(road.carry, 10)
            nursery.start_soon(large)
            nursery.start_soon(small)
        assert [size for _, size in road.began] == [10, 5000, 1]
        assert road.most == 1

    run(test)


def test_with_a_limit_no_more_is_sent_than_it_allows(tmp_path: Path) -> None:
    async def test() -> None:
        line = Line(tmp_path / "paused")
        line.limit = 100
        road = Road(line, seconds=0.0)
        began = trio.current_time()
        await road.all([100, 300, 50, 10])
        assert [(at - began, size) for at, size in road.began] == [
            (0.0, 100),
            (1.0, 300),
            (4.0, 50),
            (4.5, 10),
        ]
        await trio.sleep(1000)  # what was not used is not saved up
        began = trio.current_time()
        await road.all([100, 100])
        assert [at - began for at, _ in road.began[4:]] == [0.0, 1.0]
        line.limit = 0
        assert await road.all([10**6] * 8) == 0.0

    run(test)


def test_nothing_new_goes_while_uploading_rests_and_a_restart_does_not_end_that(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        line = Line(tmp_path / "paused", objects=1)
        road = Road(line, seconds=10.0)
        async with trio.open_nursery() as nursery:
            for size in (1, 2, 3):
                nursery.start_soon(road.carry, size)
            await trio.testing.wait_all_tasks_blocked()
            await line.pause()
            await trio.sleep(100)
            assert len(road.began) == 1
            assert road.now == 0  # what was under way was finished
            assert line.paused
            assert Line(tmp_path / "paused").paused
            await line.resume()
            await line.resume()
        assert len(road.began) == 3
        assert not line.paused
        assert not Line(tmp_path / "paused").paused

    run(test)


def test_rate_and_time_left_are_those_of_the_last_minute(tmp_path: Path) -> None:
    async def test() -> None:
        line = Line(tmp_path / "paused", objects=2)
        assert line.rate == 0.0
        assert line.seconds_for(100) is None
        road = Road(line, seconds=10.0)
        await road.all([500] * 8)  # two at a time: 100 bytes a second
        assert line.rate == 100.0
        assert line.seconds_for(2500) == 25.0
        await line.pause()
        assert line.seconds_for(2500) is None
        await line.resume()
        await trio.sleep(2 * MINUTE)
        assert line.rate == 0.0
        await road.all([1000] * 2)  # the pause before counts for nothing
        assert line.rate == 200.0

    run(test)


def test_an_object_that_failed_makes_room_and_counts_for_no_rate(tmp_path: Path) -> None:
    async def test() -> None:
        line = Line(tmp_path / "paused", objects=1)
        try:
            async with line.carrying(10):
                raise OSError
        except OSError:
            pass
        assert line.rate == 0.0
        assert await Road(line).all([1]) == 1.0

    run(test)
