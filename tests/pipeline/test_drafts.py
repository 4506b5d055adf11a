"""An open file reads like an array of bytes, whatever is done to it and wherever it crashes."""

import errno
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import trio
import trio.testing
from desk import RING, Desk, file_id, octets
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tagfs.crypto import chunked
from tagfs.errors import FileError
from tagfs.model import CHUNK, Content
from tagfs.pipeline import resealing
from tagfs.pipeline.disk import RealDisk
from tagfs.pipeline.notes import DraftSaved
from tagfs.remote.memory import Fault, Harm, Verb
from tagfs.vault import writing

SMALL_PART = 4 * CHUNK
FILE = file_id(1)


@pytest.fixture
def small_parts(monkeypatch):
    """Cut contents into parts of 512 KiB, so that tests cross their ends cheaply."""
    for name, module in list(sys.modules.items()):
        if name.startswith("tagfs.") and hasattr(module, "PART"):
            monkeypatch.setattr(module, "PART", SMALL_PART)


def pattern(seed, size):
    return (seed.to_bytes(4, "big") * (size // 4 + 1))[:size]


sizes = st.sampled_from([1, 5, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 7, SMALL_PART + 3])
places = st.one_of(
    st.integers(0, 2000),
    st.sampled_from([CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, SMALL_PART - 1, SMALL_PART]),
)


class AnyUse(RuleBasedStateMachine):
    """One file against a bytearray."""

    def __init__(self):
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.desk = Desk(self.root)
        self.model = bytearray()
        self.recorded = b""  # what a crash leaves
        self.seed = 0

    def teardown(self):
        self.desk.kill()
        shutil.rmtree(self.root)

    @property
    def bytes(self):
        return self.desk.bytes_of(FILE)

    def _write(self, at, size):
        self.seed += 1
        data = pattern(self.seed, size)
        assert self.bytes.write(at, data) == size
        self.model.extend(bytes(max(0, at - len(self.model))))
        self.model[at : at + size] = data

    @precondition(lambda self: len(self.model) < 6 * SMALL_PART)
    @rule(size=sizes)
    def write_at_the_end(self, size):
        self._write(len(self.model), size)

    @precondition(lambda self: len(self.model) < 6 * SMALL_PART)
    @rule(at=places, size=sizes)
    def write_somewhere(self, at, size):
        self._write(at, size)

    @rule(size=st.one_of(st.just(0), places))
    def truncate(self, size):
        self.bytes.truncate(size)
        del self.model[size:]
        self.model.extend(bytes(size - len(self.model)))

    @rule(at=places, size=sizes)
    def read(self, at, size):
        got = self.bytes.read_now(at, size)
        assert bytes(got) == self.model[at : at + size]

    @rule()
    def read_whole(self):
        assert self.desk.read(FILE) == self.model

    @rule()
    def flush(self):
        self.desk.flush(FILE)
        assert not self.bytes.dirty
        self.recorded = bytes(self.model)

    @rule()
    def fsync(self):
        was = self.bytes.dirty
        self.desk.fsync(FILE)
        if was and self.model:
            self.recorded = bytes(self.model)

    @rule()
    def sync(self):
        self.desk.sync()

    @rule()
    def release_and_reseal(self):
        self.desk.release(FILE)
        assert not self.desk.drafts
        self.recorded = bytes(self.model)

    @rule()
    def settle(self):
        self.desk.settle()
        self.desk.sync()

    @rule()
    def kill_and_start_again(self):
        self.desk.kill()
        self.desk = Desk(self.root, store=self.desk.store)
        assert self.desk.recovery.ended is None
        assert not self.desk.recovery.damaged
        self.model = bytearray(self.recorded)
        assert self.desk.read(FILE) == self.recorded

    @rule()
    def nothing_is_left_over(self):
        """After a start, the spool holds what the lines name and nothing else."""
        self.kill_and_start_again()
        self.desk.sync()
        named = {p.name for c in self.desk.known.values() for p in c.parts}
        named |= {n for d in self.desk.drafts.values() for n in d.objects}
        assert self.desk.spooled() <= named
        assert self.desk.scratches.ids() == {d.scratch for d in self.desk.drafts.values()}

    @invariant()
    def the_size_is_right(self):
        assert self.bytes.size == len(self.model)


def test_any_use_reads_like_an_array_of_bytes(small_parts):
    run_state_machine_as_test(
        AnyUse,
        settings=settings(
            max_examples=60,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.long
def test_any_long_use_reads_like_an_array_of_bytes(small_parts):
    run_state_machine_as_test(
        AnyUse,
        settings=settings(
            max_examples=2000,
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_no_key_and_nonce_seal_twice_in_random_writing_with_crashes(
    tmp_path, small_parts, monkeypatch
):
    """Crashes are copies of the folder, taken at any time and opened later, older ones too."""
    seen = []
    monkeypatch.setattr(chunked, "observe", lambda key, nonce: seen.append((key, nonce)))
    rng = random.Random(20)
    copies = []
    desk = Desk(tmp_path / "0")
    for n in range(1, 900):
        file = file_id(rng.randrange(3))
        found = desk.bytes_of(file)
        what = rng.random()
        if what < 0.4:
            at = found.size if rng.random() < 0.7 else rng.randrange(found.size + 2 * CHUNK)
            if at < 4 * SMALL_PART:
                found.write(at, rng.randbytes(rng.choice([10, 4096, CHUNK, 3 * CHUNK + 1])))
        elif what < 0.5:
            found.truncate(rng.choice([0, 0, found.size // 2, found.size + 10]))
        elif what < 0.65:
            desk.flush(file)
        elif what < 0.75:
            desk.fsync(file)
        elif what < 0.85:
            desk.release(file)
        elif what < 0.9:
            desk.settle()
            desk.sync()
        elif what < 0.95:
            shutil.copytree(tmp_path / desk_name(desk), tmp_path / str(n))
            copies.append(n)
        elif copies:
            again = rng.choice(copies)
            shutil.copytree(tmp_path / str(again), tmp_path / f"{n}again")
            desk = Desk(tmp_path / f"{n}again", store=desk.store)
    assert len(copies) > 5
    assert len(seen) > 1000
    assert len(set(seen)) == len(seen)


def desk_name(desk):
    return desk.spool.folder.parent.name


def test_a_first_pass_is_in_final_form_when_it_is_closed(tmp_path):
    desk = Desk(tmp_path)
    found = desk.bytes_of(FILE)
    data = os.urandom(3 * CHUNK + 17)
    for at in range(0, len(data), 100_000):
        found.write(at, data[at : at + 100_000])
    result = found.finish(b"a.bin", 5, lambda head: "image/x" if head == data[:CHUNK] else "no")
    assert isinstance(result, Content)
    assert result.media_type == "image/x"
    assert desk.scratches.ids() == set()
    for number, part in enumerate(result.parts):
        desk.spool.verify(part, number)
    assert bytes(found.read_now(0, len(data))) == data
    assert found.finish(b"a.bin", 5, octets) is None


def test_a_patched_header_makes_a_draft_over_the_chunks_that_are_sealed(tmp_path):
    desk = Desk(tmp_path)
    found = desk.bytes_of(FILE)
    data = bytearray(os.urandom(3 * CHUNK + 17))
    found.write(0, bytes(data))
    found.write(4, b"size")
    data[4:8] = b"size"
    result = found.finish(b"a.bin", 5, octets)
    assert isinstance(result, DraftSaved)
    assert result.base.size == 3 * CHUNK
    assert result.length < CHUNK
    assert bytes(found.read_now(0, len(data))) == data


def test_an_fsync_in_a_first_pass_does_not_end_it(tmp_path):
    desk = Desk(tmp_path)
    found = desk.bytes_of(FILE)
    data = os.urandom(2 * CHUNK)
    for at in range(0, len(data), 50_000):
        found.write(at, data[at : at + 50_000])
        desk.fsync(FILE)
    assert isinstance(found.finish(b"a.bin", 5, octets), Content)
    assert found._scratch is None


def test_an_empty_file_has_no_bytes_to_seal(tmp_path):
    desk = Desk(tmp_path)
    found = desk.bytes_of(FILE)
    found.write(0, b"something")
    found.truncate(0)
    assert found.dirty
    assert found.finish(b"a.bin", 5, octets) is None
    assert not found.dirty
    assert desk.spooled() == set()
    assert bytes(found.read_now(0, 10)) == b""


def test_given_up_bytes_leave_nothing_behind(tmp_path):
    desk = Desk(tmp_path)
    for change in ([(0, b"x" * 300_000)], [(5, b"y")], [(0, b"x" * 300_000), (0, b"z")]):
        found = desk.bytes_of(FILE)
        for at, data in change:
            found.write(at, data)
        desk.opened.pop(FILE).abandon()
        assert desk.spooled() == set()
        assert desk.scratches.ids() == set()


class FullDisk(RealDisk):
    """Refuses everything while it is full."""

    full = False

    def pwrite(self, fd, data, offset):
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().pwrite(fd, data, offset)

    def create(self, path):
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().create(path)


@pytest.fixture
def full_disk(monkeypatch):
    """A disk that can be filled up, also for the writer of objects."""
    disk = FullDisk()
    real = os.pwrite

    def pwrite(fd, data, offset):
        if disk.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data, offset)

    monkeypatch.setattr(writing.os, "pwrite", pwrite)
    return disk


def refused(call, *arguments):
    """Say whether a call is refused because the disk is full; no other error may come."""
    try:
        call(*arguments)
    except FileError as e:
        if e.errno != errno.ENOSPC:
            raise
        return True
    return False


def test_a_disk_that_fills_up_refuses_writes_and_harms_nothing(tmp_path, full_disk, monkeypatch):
    """What was refused may be repeated when there is space; some of it may have been taken."""
    write_on_a_full_disk(tmp_path, full_disk, monkeypatch)


def test_a_disk_that_fills_up_at_the_end_of_a_part_harms_nothing(
    tmp_path, small_parts, full_disk, monkeypatch
):
    """The same where contents have many parts."""
    write_on_a_full_disk(tmp_path, full_disk, monkeypatch)


def write_on_a_full_disk(tmp_path, full_disk, monkeypatch):
    rng = random.Random(3)
    seen = []
    monkeypatch.setattr(chunked, "observe", lambda key, nonce: seen.append((key, nonce)))
    times = 0
    for n in range(60):
        full_disk.full = False
        desk = Desk(tmp_path / str(n), full_disk)
        found = desk.bytes_of(FILE)
        model = bytearray()
        for step in range(40):
            full_disk.full = rng.random() < 0.3
            if rng.random() < 0.1:
                while refused(desk.flush, FILE):
                    times += 1
                    full_disk.full = rng.random() < 0.5
            else:
                at = len(model) if rng.random() < 0.9 else rng.randrange(len(model) + 10)
                data = pattern(step, rng.choice([10, 4096, CHUNK, 2 * CHUNK + 1]))
                while refused(found.write, at, data):
                    times += 1
                    assert len(model) <= found.size <= max(len(model), at + len(data))
                    full_disk.full = rng.random() < 0.5
                model.extend(bytes(max(0, at - len(model))))
                model[at : at + len(data)] = data
            full_disk.full = False
            assert desk.read(FILE) == model
        desk.release(FILE)
        assert desk.read(FILE) == model
    assert times > 300
    assert len(set(seen)) == len(seen)


def test_a_write_that_was_refused_half_way_does_not_spoil_what_was_taken(tmp_path, full_disk):
    """cp gives up on a full disk and closes; what it had written is there then."""
    desk = Desk(tmp_path, full_disk)
    found = desk.bytes_of(FILE)
    data = os.urandom(4 * CHUNK + 1)
    found.write(0, data[:5])
    found.write(5, data[5 : CHUNK + 5])
    for begin in (found.size, found.size + CHUNK):
        full_disk.full = True
        assert refused(found.write, begin, data[begin:])
        full_disk.full = False
        taken = found.size
        assert bytes(found.read_now(0, taken)) == data[:taken]
    desk.release(FILE)
    assert desk.read(FILE) == data[:taken]
    assert Desk(tmp_path).read(FILE) == data[:taken]


def test_a_line_that_was_refused_is_tried_again_with_the_same_bytes(tmp_path):
    for change in (None, 0, 3):
        root = tmp_path / str(change)
        desk = Desk(root)
        found = desk.bytes_of(FILE)
        found.write(0, b"x" * 300_000)
        content = found.finish(b"n", 1, octets)
        found.not_recorded(content)
        assert found.dirty
        if change is None:
            assert found.finish(b"n", 1, octets) is content
            found.not_recorded(content)
        else:
            found.truncate(change)
        desk.flush(FILE)
        desk.release(FILE)
        expected = b"x" * (300_000 if change is None else change)
        assert desk.read(FILE) == expected
        assert Desk(root).read(FILE) == expected
        again = Desk(root)
        again.sync()
        assert len(again.spooled()) == (1 if expected else 0)


def test_an_edit_of_a_draft_that_is_given_up_leaves_the_draft(tmp_path):
    desk = Desk(tmp_path)
    data = os.urandom(2 * CHUNK + 5)
    desk.bytes_of(FILE).write(0, data)
    desk.fsync(FILE)
    for edit in (lambda f: f.truncate(0), lambda f: f.write(7, b"x"), lambda f: f.abandon()):
        again = Desk(tmp_path)
        edit(again.bytes_of(FILE))
        assert Desk(tmp_path).read(FILE) == data


def test_many_fsyncs_of_a_first_pass_write_each_byte_once_more_at_most(tmp_path):
    desk = Desk(tmp_path)
    found = desk.bytes_of(FILE)
    for n in range(50):
        found.write(n * 1000, b"x" * 1000)
        desk.fsync(FILE)
    assert found._scratch.length < 55_000


def test_a_read_that_waits_for_the_remote_survives_a_truncation(tmp_path):
    for edited in (False, True):
        desk = Desk(tmp_path / str(edited))
        desk.bytes_of(FILE).write(0, b"x" * 300_000)
        desk.release(FILE)
        desk.settle()
        desk.sync()
        for part in desk.recorded[FILE].parts:
            desk.spool.remove_cached(part.name)
        found = desk.bytes_of(FILE)
        if edited:
            found.write(200_000, b"yy")
        desk.store.inject(Fault(Verb.GET, Harm.SLOW, amount=5))
        assert read_while_truncating(found) == b"new"


def read_while_truncating(found):
    async def both():
        answers = []

        async def read():
            answers.append(bytes(await found.read(0, 300_000)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            assert not answers
            found.truncate(0)
            found.write(0, b"new")
        return answers[0]

    return trio.run(both, clock=trio.testing.MockClock(autojump_threshold=0.01))


def test_resealing_that_is_cancelled_leaves_nothing_behind(tmp_path):
    desk = Desk(tmp_path)
    found = desk.bytes_of(FILE)
    found.write(1, b"x" * (3 * CHUNK))
    desk.flush(FILE)
    before = desk.spooled()

    async def cancelled():
        with trio.CancelScope() as scope:
            scope.cancel()
            draft = desk.drafts[FILE]
            await resealing.reseal(desk.contents, desk.spool, RING, draft, b"n", 1, octets)
        assert scope.cancelled_caught

    trio.run(cancelled)
    assert desk.spooled() == before
    assert desk.read(FILE) == b"\0" + b"x" * (3 * CHUNK)
