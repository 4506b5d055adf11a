"""Contents are read back by any range, from this machine or the remote, and nothing false is."""

import errno
import os
import random

import pytest
import trio
import trio.testing
from desk import RING

from tagfs.errors import FileError
from tagfs.model import CHUNK, PART, Content
from tagfs.pipeline.buffers import BufferPool
from tagfs.pipeline.contents import WINDOW, Contents
from tagfs.pipeline.disk import REAL
from tagfs.pipeline.scratch import Scratches
from tagfs.pipeline.spool import Spool
from tagfs.remote.dir import DirStore
from tagfs.remote.memory import Fault, Harm, MemoryStore, Verb
from tagfs.vault.objects import object_path


class CountingStore(MemoryStore):
    """Remembers what was asked of it."""

    def __init__(self):
        super().__init__("contents")
        self.asked = []

    async def get(self, name, offset=0, size=None):
        self.asked.append((offset, size))
        return await super().get(name, offset, size)


class Here:
    """Contents over a fresh folder."""

    def __init__(self, root, store=None):
        self.store = store or CountingStore()
        self.spool = Spool(root / "spool", RING)
        scratches = Scratches(root / "scratch", RING.local_key(), REAL)
        self.contents = Contents(self.spool, scratches, self.store, RING)

    def seal(self, data):
        return self.contents.seal(data, b"a.bin", 7, "application/octet-stream")

    def away(self, content):
        """Leave a content on the remote only."""
        for part in content.parts:
            path = self.spool.path(part.name)
            self.store.objects[object_path(part.name)] = path.read_bytes()
            self.spool.remove(part.name)

    def settled(self, content):
        """Leave a content on the remote and in the cache."""
        for part in content.parts:
            path = self.spool.path(part.name)
            self.store.objects[object_path(part.name)] = path.read_bytes()
            self.spool.settle(part.name)
        self.spool.do_later(self.spool.take_later())


@pytest.fixture
def here(tmp_path):
    return Here(tmp_path)


def read(reader, offset, size):
    async def main():
        return bytes(await reader.read(offset, size))

    return trio.run(main)


def error(reader, offset, size):
    with pytest.raises(FileError) as refused:
        read(reader, offset, size)
    return errno.errorcode[refused.value.errno]


DATA = random.Random(1).randbytes(3 * WINDOW + 12345)


def test_local_bytes_are_read_in_any_order_without_waiting(here):
    reader = here.contents.reader(here.seal(DATA))
    rng = random.Random(2)
    at = 0
    for _ in range(500):
        if rng.random() < 0.3:
            at = rng.randrange(len(DATA) + 10)
        size = rng.choice([1, 4096, CHUNK, 100_000, WINDOW, WINDOW + 4096, len(DATA)])
        assert reader.read_now(at, size) == DATA[at : at + size]
        at += size
    assert here.store.asked == []


def test_a_content_of_several_parts_is_read_across_their_ends(here):
    data = random.Random(3).randbytes(PART + 5000)
    reader = here.contents.reader(here.seal(data))
    for at in (PART - 5000, PART - 1, PART, PART - CHUNK + 3):
        assert reader.read_now(at, 4000) == data[at : at + 4000]
    assert (
        reader.read_now(PART - WINDOW - 7, WINDOW + 5000)
        == data[PART - WINDOW - 7 :][: WINDOW + 5000]
    )
    assert reader.read_now(len(data), 1) == b""


def test_what_a_reader_returned_stays_as_it_was_while_it_is_held(here):
    readers = [here.contents.reader(here.seal(DATA)) for _ in range(3)]
    held = []
    for at in range(0, len(DATA), CHUNK):
        held += [(at, reader.read_now(at, CHUNK)) for reader in readers]
    for at, view in held:
        assert view == DATA[at : at + CHUNK]


def test_buffers_are_used_again_when_nobody_looks_at_them():
    pool = BufferPool(100, 2)
    first = pool.take()
    second = pool.take()[:50]
    assert first.obj is not second.obj
    kept, obj = first[10:20], first.obj
    del first
    assert pool.take().obj is not obj  # a view of it lives
    del kept
    assert pool.take().obj is obj
    assert len(obj) == 100


def test_absent_bytes_are_not_read_now_and_are_fetched_only_as_far_as_they_are_read(here):
    content = here.seal(DATA)
    here.away(content)
    reader = here.contents.reader(content)
    assert reader.read_now(WINDOW, 100) is None
    assert read(reader, WINDOW + 5, 100) == DATA[WINDOW + 5 : WINDOW + 105]
    ((_, size),) = here.store.asked
    assert size <= CHUNK + 16
    assert reader.read_now(WINDOW, 4096) == DATA[WINDOW : WINDOW + 4096]  # of the same chunk


def test_reading_on_and_on_fetches_more_at_a_time(here):
    content = here.seal(DATA)
    here.away(content)
    reader = here.contents.reader(content)
    got = b""
    for at in range(0, len(DATA), CHUNK):
        now = reader.read_now(at, CHUNK)
        got += bytes(now) if now is not None else read(reader, at, CHUNK)
    assert got == DATA
    assert len(here.store.asked) <= 4


class Gated(CountingStore):
    """Answers no question before it may."""

    def __init__(self):
        super().__init__()
        self.may = trio.Event()

    async def get(self, name, offset=0, size=None):
        data = await super().get(name, offset, size)
        await self.may.wait()
        return data


def in_background(test):
    async def main():
        async with trio.open_nursery() as nursery:
            await test(nursery)
            nursery.cancel_scope.cancel()

    trio.run(main)


LONG = random.Random(9).randbytes(20 * WINDOW + 777)


def test_what_a_sequential_reader_asks_for_next_is_fetched_while_it_looks_at_what_it_has(here):
    content = here.seal(LONG)
    here.away(content)
    reader = here.contents.reader(content)

    async def test(nursery):
        here.contents.spawn = nursery.start_soon
        waited = 0
        for at in range(0, len(LONG), CHUNK):
            now = reader.read_now(at, CHUNK)
            if now is None:
                asked = len(here.store.asked)
                now = await reader.read(at, CHUNK)
                waited += at > 8 * WINDOW and len(here.store.asked) > asked
            assert now == LONG[at : at + CHUNK]
            await trio.testing.wait_all_tasks_blocked()
        assert waited == 0

    in_background(test)
    offsets = [offset for offset, _ in here.store.asked]
    assert len(set(offsets)) == len(offsets)
    assert sum(size for _, size in here.store.asked) < len(LONG) * 1.01 + CHUNK


def test_a_reader_that_jumps_about_has_nothing_fetched_ahead(here):
    content = here.seal(LONG)
    here.away(content)
    reader = here.contents.reader(content)

    async def test(nursery):
        here.contents.spawn = nursery.start_soon
        for at in (0, 7, 3, 15, 1):
            await reader.read(at * WINDOW, 100)
            await trio.testing.wait_all_tasks_blocked()

    in_background(test)
    assert [size for _, size in here.store.asked] == [CHUNK + 16] * 5


def test_what_is_on_its_way_is_not_asked_for_again(tmp_path):
    here = Here(tmp_path, Gated())
    content = here.seal(LONG)
    here.away(content)
    reader = here.contents.reader(content)
    got = {}

    async def read(at):
        got[at] = bytes(await reader.read(at, CHUNK))

    async def test(nursery):
        here.store.may.set()
        await read(0)  # learns that the line is quick
        here.store.may = trio.Event()
        async with trio.open_nursery() as readers:
            for at in range(CHUNK, 5 * CHUNK, CHUNK):
                readers.start_soon(read, at)
                await trio.testing.wait_all_tasks_blocked()
            asked = len(here.store.asked)
            here.store.may.set()
        assert asked == 2

    in_background(test)
    assert got == {at: LONG[at : at + CHUNK] for at in range(0, 5 * CHUNK, CHUNK)}


def test_who_waits_for_what_somebody_else_gave_up_asks_for_it(tmp_path):
    here = Here(tmp_path, Gated())
    content = here.seal(LONG)
    here.away(content)
    reader = here.contents.reader(content)
    given_up = trio.CancelScope()
    got = []

    async def first():
        with given_up:
            await reader.read(0, CHUNK)

    async def second():
        got.append(bytes(await reader.read(10, 100)))

    async def test(nursery):
        async with trio.open_nursery() as readers:
            readers.start_soon(first)
            await trio.testing.wait_all_tasks_blocked()
            readers.start_soon(second)
            await trio.testing.wait_all_tasks_blocked()
            given_up.cancel()
            await trio.testing.wait_all_tasks_blocked()
            here.store.may.set()

    in_background(test)
    assert got == [LONG[10:110]]
    assert len(here.store.asked) == 2


def test_what_cannot_be_fetched_ahead_is_told_to_who_comes_there(here):
    content = here.seal(LONG)
    here.away(content)
    reader = here.contents.reader(content)

    async def test(nursery):
        here.contents.spawn = nursery.start_soon
        at = 0
        while True:
            if reader.read_now(at, CHUNK) is None:
                if len(here.store.asked) == 3:
                    here.store.objects.clear()  # what is fetched ahead from now on is gone
                    break
                await reader.read(at, CHUNK)
            at += CHUNK

        async def go_on():
            for further in range(at, len(LONG), CHUNK):
                await reader.read(further, CHUNK)
                await trio.testing.wait_all_tasks_blocked()

        with pytest.raises(FileError) as refused:
            await go_on()
        assert refused.value.errno == errno.EIO

    in_background(test)


def test_two_tasks_may_read_one_absent_content_at_a_time(here):
    content = here.seal(DATA)
    here.away(content)
    reader = here.contents.reader(content)

    async def run(seed):
        rng = random.Random(seed)
        for _ in range(40):
            at, size = rng.randrange(len(DATA)), rng.choice([10, CHUNK, WINDOW + 5])
            assert bytes(await reader.read(at, size)) == DATA[at : at + size]

    async def main():
        async with trio.open_nursery() as nursery:
            for seed in range(4):
                nursery.start_soon(run, seed)

    trio.run(main)


def test_a_remote_that_does_not_answer_is_told_apart_from_damage(here):
    content = here.seal(DATA)
    here.away(content)
    reader = here.contents.reader(content)
    (name,) = here.store.objects
    here.store.inject(Fault(Verb.GET, Harm.BEFORE))
    assert error(reader, 0, 100) == "ENETUNREACH"
    here.store.inject(Fault(Verb.GET, Harm.CUT, amount=1000))
    assert error(reader, 0, 100) == "EIO"
    here.store.inject(Fault(Verb.GET, Harm.FLIP, amount=1000))
    assert error(reader, 0, 100) == "EIO"
    assert read(reader, 0, 100) == DATA[:100]
    del here.store.objects[name]
    assert error(reader, WINDOW, 100) == "EIO"


def test_damage_is_logged_by_object_id_and_without_a_name(here, caplog):
    content = here.seal(DATA)
    path = here.spool.path(content.parts[0].name)
    raw = bytearray(path.read_bytes())
    raw[5000] ^= 1
    path.write_bytes(raw)
    reader = here.contents.reader(content)
    assert error(reader, 0, 100) == "EIO"
    assert content.parts[0].name.hex() in caplog.text
    assert "a.bin" not in caplog.text
    assert read(here.contents.reader(content), WINDOW, 100) == DATA[WINDOW : WINDOW + 100]


def test_a_damaged_copy_in_the_cache_is_replaced_by_the_remotes(here):
    content = here.seal(DATA)
    here.settled(content)
    reader = here.contents.reader(content)
    assert reader.read_now(0, 100) == DATA[:100]
    name = content.parts[0].name
    path = here.spool.cache / name.hex()[:2] / name.hex()[2:]
    path.write_bytes(bytes(path.stat().st_size))
    reader = here.contents.reader(content)
    assert reader.read_now(0, 100) is None
    assert read(reader, 0, len(DATA)) == DATA
    assert not path.exists()


def test_objects_of_a_local_folder_store_are_read_inline(tmp_path):
    store = DirStore(tmp_path / "store", create=True)
    here = Here(tmp_path, store)
    content = here.seal(DATA)
    (part,) = content.parts
    trio.run(store.put, object_path(part.name), here.spool.path(part.name).read_bytes())
    here.spool.remove(part.name)
    reader = here.contents.reader(content)
    assert reader.read_now(100, CHUNK) == DATA[100 : 100 + CHUNK]
    stored = store.local_path(object_path(part.name))
    os.chmod(stored, 0o600)
    stored.write_bytes(bytes(stored.stat().st_size))
    with pytest.raises(FileError) as refused:
        here.contents.reader(content).read_now(100, CHUNK)
    assert refused.value.errno == errno.EIO


def test_what_is_fetched_is_verified_and_read_without_waiting_from_then_on(here):
    content = here.seal(DATA)
    here.away(content)
    here.store.inject(Fault(Verb.GET, Harm.FLIP, amount=len(DATA)))
    with pytest.raises(FileError):
        trio.run(here.contents.fetch, content)
    assert here.contents.reader(content).read_now(0, 100) is None
    trio.run(here.contents.fetch, content)
    assert here.contents.reader(content).read_now(0, len(DATA)) == DATA
    asked = len(here.store.asked)
    trio.run(here.contents.fetch, content)
    assert len(here.store.asked) == asked


def test_a_cancelled_read_leaves_the_reader_usable(here):
    content = here.seal(DATA)
    here.away(content)
    reader = here.contents.reader(content)
    here.store.inject(Fault(Verb.GET, Harm.HANG))

    async def main():
        with trio.move_on_after(1) as scope:
            await reader.read(0, 100)
        assert scope.cancelled_caught
        return bytes(await reader.read(0, 100))

    clock = trio.testing.MockClock(autojump_threshold=0)
    assert trio.run(main, clock=clock) == DATA[:100]


def test_a_malformed_record_is_refused(here):
    content = here.seal(DATA)
    twice = Content(content.id, content.size * 2, content.media_type, content.parts * 2)
    with pytest.raises(FileError, match=content.id.hex()):
        here.contents.reader(twice)


def test_sealing_on_a_full_disk_leaves_nothing_behind(here, monkeypatch):
    def pwrite(fd, data, offset):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", pwrite)
    with pytest.raises(FileError) as refused:
        here.seal(DATA)
    assert refused.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert here.spool.sizes() == {}


def test_a_reader_that_is_closed_opens_again(here):
    reader = here.contents.reader(here.seal(DATA))
    assert reader.read_now(0, 10) == DATA[:10]
    reader.close()
    assert reader.read_now(5, 10) == DATA[5:15]
    reader.close()
