"""A scratch log laid over a base reads like the file that was written, also when reopened."""

import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagfs.crypto import chunked
from tagfs.errors import Integrity
from tagfs.model import CHUNK
from tagfs.pipeline.scratch import HEADER, Scratches

KEY = b"k" * 32
BASE = bytes(range(1, 251)) * 2

changes = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 900), st.binary(min_size=1, max_size=300)),
        st.tuples(st.just("truncate"), st.integers(0, 900), st.just(b"")),
    ),
    max_size=12,
)


def contents(scratch, base=BASE):
    out = bytearray(scratch.size)
    for piece in scratch.pieces(0, scratch.size):
        target = memoryview(out)[piece.start : piece.end]
        if piece.extent is not None:
            scratch.read_extent(piece, target)
        elif piece.base:
            target[:] = base[piece.start : piece.end]
    return bytes(out)


def apply(scratch, model, change):
    what, at, data = change
    if what == "write":
        assert scratch.write(at, data) == len(data)
        model.extend(bytes(max(0, at - len(model))))
        model[at : at + len(data)] = data
    else:
        scratch.truncate(at)
        del model[at:]
        model.extend(bytes(at - len(model)))


@settings(max_examples=150, deadline=None)
@given(changes, st.integers(0, 12))
def test_it_reads_like_the_file_that_was_written(tmp_path_factory, some, reopen_at):
    scratches = Scratches(tmp_path_factory.mktemp("s") / "scratch", KEY)
    scratch = scratches.create(len(BASE))
    model = bytearray(BASE)
    for n, change in enumerate(some):
        if n == reopen_at:
            scratch.close()
            scratch = scratches.open(scratch.id, scratch.length, len(BASE))
        apply(scratch, model, change)
        assert contents(scratch) == model
    again = scratches.open(scratch.id, scratch.length, len(BASE))
    assert again.size == len(model)
    assert contents(again) == model
    scratch.close()
    again.close()


def test_every_range_has_the_bytes_of_the_whole(tmp_path):
    scratch = Scratches(tmp_path / "scratch", KEY).create(len(BASE))
    model = bytearray(BASE)
    for change in [("write", 100, b"a" * 50), ("write", 120, b"b" * 10), ("write", 700, b"c")]:
        apply(scratch, model, change)
    for start in range(0, 701, 13):
        for size in (1, 7, 60, 900):
            out = bytearray(max(0, min(size, len(model) - start)))
            for piece in scratch.pieces(start, size):
                target = memoryview(out)[piece.start - start : piece.end - start]
                if piece.extent is not None:
                    scratch.read_extent(piece, target)
                elif piece.base:
                    target[:] = BASE[piece.start : piece.end]
            assert out == model[start : start + size]


def test_a_big_write_is_cut_into_chunks(tmp_path):
    scratches = Scratches(tmp_path / "scratch", KEY)
    scratch = scratches.create(0)
    data = os.urandom(3 * CHUNK + 5)
    assert scratch.write(7, data) == len(data)
    assert len(list(scratch.pieces(7, len(data)))) == 4
    again = scratches.open(scratch.id, scratch.length, 0)
    assert contents(again) == bytes(7) + data


def test_an_earlier_length_shows_the_earlier_file_and_may_go_on_from_there(tmp_path):
    scratches = Scratches(tmp_path / "scratch", KEY)
    scratch = scratches.create(0)
    scratch.write(0, b"early")
    length = scratch.length
    scratch.write(0, b"later and longer")
    scratch.close()
    again = scratches.open(scratch.id, length, 0)
    assert contents(again) == b"early"
    again.write(5, b" bird")
    assert contents(scratches.open(again.id, again.length, 0)) == b"early bird"


def test_a_log_that_is_cut_flipped_or_swapped_is_named(tmp_path):
    scratches = Scratches(tmp_path / "scratch", KEY)
    one, two = scratches.create(0), scratches.create(0)
    for scratch in (one, two):
        scratch.write(0, b"x" * 40)
        scratch.write(40, b"y" * 40)
    path = tmp_path / "scratch" / one.id.hex()
    raw = path.read_bytes()
    record = (len(raw) - HEADER) // 2
    swapped = raw[:HEADER] + raw[HEADER + record :] + raw[HEADER : HEADER + record]
    other = (tmp_path / "scratch" / two.id.hex()).read_bytes()
    mutants = [raw[:cut] for cut in range(0, len(raw), 7)] + [swapped, other, raw[:HEADER] + other]
    mutants += [raw[:n] + bytes([raw[n] ^ 1]) + raw[n + 1 :] for n in range(len(raw))]
    for mutant in mutants:
        path.write_bytes(mutant)
        with pytest.raises(Integrity, match=one.id.hex()):
            scratches.open(one.id, len(raw), 0)
    path.write_bytes(raw)
    assert contents(scratches.open(one.id, len(raw), 0)) == b"x" * 40 + b"y" * 40
    with pytest.raises(Integrity, match="not of this vault"):
        Scratches(tmp_path / "scratch", b"o" * 32).open(one.id, len(raw), 0)


def test_a_missing_log_is_named(tmp_path):
    with pytest.raises(Integrity, match="6d" * 16):
        Scratches(tmp_path / "scratch", KEY).open(b"m" * 16, 100, 0)


def test_dropped_logs_stay_until_they_are_taken(tmp_path):
    scratches = Scratches(tmp_path / "scratch", KEY)
    scratch = scratches.create(0)
    scratches.drop(scratch.id)
    assert scratches.ids() == {scratch.id}
    assert scratches.take_dropped() == [scratch.id]
    assert scratches.take_dropped() == []
    scratches.remove(scratch.id)
    assert scratches.ids() == set()
    scratches.sync()


def test_nothing_is_in_the_clear(tmp_path):
    scratch = Scratches(tmp_path / "scratch", KEY).create(0)
    scratch.write(0, b"plain pixels" * 100)
    assert b"pixels" not in (tmp_path / "scratch" / scratch.id.hex()).read_bytes()


def test_no_key_and_nonce_seal_twice_when_a_log_is_reopened_at_any_length(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(chunked, "observe", lambda key, nonce: seen.append((key, nonce)))
    scratches = Scratches(tmp_path / "scratch", KEY)
    rng = random.Random(6)
    scratch = scratches.create(0)
    lengths = [scratch.length]
    for _ in range(300):
        scratch.write(rng.randrange(500), b"z" * rng.randrange(1, 50))
        lengths.append(scratch.length)
        if rng.random() < 0.2:
            scratch.close()
            cut = rng.randrange(len(lengths))
            lengths = lengths[: cut + 1]
            scratch = scratches.open(scratch.id, lengths[-1], 0)
    assert len(seen) == 301
    assert len(set(seen)) == len(seen)
