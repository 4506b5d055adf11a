"""A read over a slow line: answered while bytes are flowing, refused in time when none come."""

from __future__ import annotations

import errno
import random
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from tagfs.errors import FileError
from tagfs.model import CHUNK
from tagfs.mount.patience import Patience
from tagfs.pipeline.absent import MOST
from tagfs.pipeline.contents import ContentReader, Contents
from tagfs.pipeline.disk import REAL
from tagfs.pipeline.pace import MOMENT, Pace
from tagfs.pipeline.scratch import Scratches
from tagfs.pipeline.spool import Spool
from tagfs.remote.memory import MemoryStore
from tagfs.remote.retry import HURRIED, RetryStore
from tagfs.vault.objects import object_path

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from desk import RING

DATA = random.Random(1).randbytes(40 * CHUNK)


class Line(MemoryStore):
    """A store behind a line of so many bytes a second; None: it hangs."""

    def __init__(self, rate: float | None) -> None:
        super().__init__("line")
        self.rate = rate
        self.asked: list[int] = []

    async def get(self, name: str, offset: int = 0, size: int | None = None) -> bytes:
        data = await super().get(name, offset, size)
        self.asked.append(len(data))
        if self.rate is None:
            await trio.sleep_forever()
        await trio.sleep(len(data) / self.rate)  # type: ignore[operator]
        return data


def over(line: Line, folder: Path, script: Callable[[Patience, ContentReader], Awaitable[None]]):
    """Run a script with a reader of DATA, which is behind the line only, on a clock that jumps."""

    async def main() -> None:
        spool = Spool(folder / "spool", RING)
        scratches = Scratches(folder / "scratch", RING.local_key(), REAL)
        contents = Contents(spool, scratches, RetryStore(line).with_patience(HURRIED), RING)
        content = contents.seal(DATA, b"a.jpg", 7, "image/jpeg")
        for part in content.parts:
            line.objects[object_path(part.name)] = spool.path(part.name).read_bytes()
            spool.remove(part.name)
        patience = Patience()
        contents.pace.on_arrival(patience.bytes_arrived)
        await script(patience, contents.reader(content))

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_read_that_takes_longer_than_ten_seconds_is_answered_while_bytes_flow(
    tmp_path: Path,
) -> None:
    async def script(patience: Patience, reader: ContentReader) -> None:
        began, size = trio.current_time(), 8 * CHUNK
        assert await patience.wait_for_bytes(reader.read(0, size)) == DATA[:size]
        assert 30 < trio.current_time() - began < 35

    over(Line(rate=CHUNK / 4), tmp_path, script)


def test_a_read_that_would_take_longer_than_a_minute_is_refused_after_a_minute(
    tmp_path: Path,
) -> None:
    async def script(patience: Patience, reader: ContentReader) -> None:
        began = trio.current_time()
        with pytest.raises(FileError) as caught:
            await patience.wait_for_bytes(reader.read(0, len(DATA)))
        assert caught.value.errno == errno.ENETUNREACH
        assert trio.current_time() - began == pytest.approx(60)

    over(Line(rate=CHUNK / 4), tmp_path, script)


def test_a_line_that_gives_nothing_is_given_up_within_ten_seconds(tmp_path: Path) -> None:
    async def script(patience: Patience, reader: ContentReader) -> None:
        began = trio.current_time()
        with pytest.raises(FileError) as caught:
            await patience.wait_for_bytes(reader.read(0, CHUNK))
        assert caught.value.errno == errno.ENETUNREACH
        assert trio.current_time() - began <= 10

    over(Line(rate=None), tmp_path, script)


def test_a_line_that_falls_silent_is_given_up_ten_seconds_after_the_last_byte(
    tmp_path: Path,
) -> None:
    line = Line(rate=CHUNK / 4)

    async def script(patience: Patience, reader: ContentReader) -> None:
        async def fall_silent() -> None:
            await trio.sleep(9)
            line.rate = None

        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fall_silent)
            with pytest.raises(FileError) as caught:
                await patience.wait_for_bytes(reader.read(0, 10 * CHUNK))
        assert caught.value.errno == errno.ENETUNREACH
        assert 12 < trio.current_time() - began <= 22

    over(line, tmp_path, script)


def test_a_quick_line_is_asked_for_much_at_once_and_a_slow_one_for_little(tmp_path: Path) -> None:
    asked = {}
    for rate in (20 * CHUNK, CHUNK / 3):

        async def script(patience: Patience, reader: ContentReader) -> None:
            for at in range(0, len(DATA), CHUNK):
                assert await patience.wait_for_bytes(reader.read(at, CHUNK))

        line = Line(rate)
        (tmp_path / str(rate)).mkdir()
        over(line, tmp_path / str(rate), script)
        asked[rate] = line.asked
    assert len(asked[20 * CHUNK]) <= 5
    assert max(asked[CHUNK / 3]) < 2 * CHUNK


@pytest.mark.parametrize(
    ("size", "seconds", "then"),
    [
        (CHUNK, 0.0, MOST),
        (CHUNK, MOMENT, CHUNK),
        (100, 1.0, CHUNK),  # a short answer of a far remote: nothing is known yet
        (4 * CHUNK, 1.0, 8 * CHUNK),
    ],
)
def test_as_much_is_asked_for_as_came_in_within_a_moment(
    size: int, seconds: float, then: int
) -> None:
    pace = Pace(MOST)
    pace.came(size, seconds)
    assert pace.at_once == then


def test_an_answer_that_took_long_or_failed_makes_the_next_question_smaller() -> None:
    pace = Pace(MOST)
    pace.came(MOST, 1.0)
    pace.came(100, 0.5)
    assert pace.at_once == MOST  # a small question says nothing about a large one
    pace.came(MOST, 16.0)
    assert pace.at_once == MOST // 8
    pace.failed()
    assert pace.at_once == CHUNK
