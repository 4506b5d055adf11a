"""Sealed parts: what is written can be read back, and nothing else is ever accepted."""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fixtures_vault import counted_random, ring
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tagfs.crypto import chunked
from tagfs.crypto.contentid import content_id
from tagfs.errors import Integrity
from tagfs.model import CHUNK, PART, Content, ContentId, ObjectName, Part
from tagfs.vault import layout, writing
from tagfs.vault.keys import KeyRing
from tagfs.vault.objects import (
    HEAD,
    SEALED_TRAILER,
    ContentWriter,
    PartReader,
    PartWriter,
    Trailer,
    object_name,
    object_path,
    read_trailer,
    stored_size,
    verify_part,
)

RING = ring()


class Files:
    """Parts as files in a directory, as the spool keeps them; counts descriptors."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.open_now = 0

    def open_part(self, name: ObjectName) -> int:
        self.open_now += 1
        return os.open(self.place / name.hex(), os.O_RDWR | os.O_CREAT)

    def close_part(self, name: ObjectName, fd: int) -> None:
        self.open_now -= 1
        os.close(fd)

    def bytes_of(self, part: Part) -> bytes:
        return (self.place / part.name.hex()).read_bytes()

    def reader_at(self, part: Part) -> Callable[[int, int], bytes]:
        data = self.bytes_of(part)
        return lambda offset, size: data[offset : offset + size]


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    files = Files(tmp_path)
    yield files
    assert files.open_now == 0, "a descriptor was left open"


def some_bytes(size: int) -> bytes:
    return counted_random("content")(size)


def seal(files: Files, data: bytes, step: int = 1 << 20, name: bytes = b"a.jpg") -> Content:
    writer = ContentWriter(RING, files.open_part, files.close_part)
    for start in range(0, len(data), step):
        writer.append(data[start : start + step])
    return writer.finish(name, 1234, "image/jpeg")


def read_back(files: Files, content: Content, offset: int = 0, size: int | None = None) -> bytes:
    out = bytearray()
    end = content.size if size is None else offset + size
    while offset < end:
        number, start = divmod(offset, PART)
        part = content.parts[number]
        step = min(end - offset, part.size - start)
        reader = PartReader(RING, part, number)
        at, length, first = reader.span(start, step)
        piece = bytearray(step)
        stored = files.bytes_of(part)[at : at + length]
        reader.open_into(stored, first, start, memoryview(piece))
        out += piece
        offset += step
    return bytes(out)


@pytest.mark.parametrize(
    "size",
    [0, 1, 1023, 1025, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 10 * CHUNK + 77, PART],
)
def test_a_content_of_any_size_comes_back(files: Files, size: int) -> None:
    data = some_bytes(size)
    content = seal(files, data)
    assert content.size == size
    assert content.id == content_id(RING.content_key, data)
    assert read_back(files, content) == data
    for number, part in enumerate(content.parts):
        assert len(files.bytes_of(part)) == part.stored == stored_size(part.size)
        trailer = verify_part(RING, part, number, files.reader_at(part))
        assert trailer == Trailer(
            b"a.jpg", 1234, "image/jpeg", number, 1, part.size, size, content.id
        )


@pytest.mark.parametrize("extra", [0, 1, CHUNK + 5])
def test_a_content_of_several_parts_comes_back(files: Files, extra: int) -> None:
    data = some_bytes(2 * PART + extra)
    content = seal(files, data, step=3 * (1 << 20) + 1)
    assert [p.size for p in content.parts] == [PART, PART, extra][: 2 + bool(extra)]
    assert content.id == content_id(RING.content_key, data)
    assert read_back(files, content) == data
    for number, part in enumerate(content.parts):
        trailer = verify_part(RING, part, number, files.reader_at(part))
        assert (trailer.count, trailer.content_size) == (len(content.parts), len(data))


PIECES = st.tuples(
    st.sampled_from([1, 4096, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 999]),
    st.sampled_from([bytes, bytearray, memoryview]),
    st.integers(0, 4 * CHUNK),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(PIECES, max_size=8))
def test_pieces_of_any_length_and_kind_give_the_same_content(files: Files, pieces) -> None:
    content = some_bytes(4 * CHUNK + 100)
    writer = ContentWriter(RING, files.open_part, files.close_part)
    at = 0
    for size, kind, start in [*pieces, (len(content), bytes, 0)]:
        piece = kind(content[at : at + size])
        at += len(piece)
        writer.append(piece)
        if isinstance(piece, bytearray):
            piece[:] = bytes(len(piece))  # the caller's buffer is used again
        out = bytearray(200)
        n = writer.read_into(start, memoryview(out))
        assert bytes(out[:n]) == content[start : max(start, min(at, start + 200))]
    sealed = writer.finish(b"x", 0, "a/b")
    assert read_back(files, sealed) == content


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 3 * CHUNK + 99), st.integers(1, 3 * CHUNK))
def test_any_range_reads_only_the_chunks_that_hold_it(files: Files, start: int, size: int) -> None:
    data = some_bytes(3 * CHUNK + 100)
    content = seal(files, data)
    size = min(size, len(data) - start)
    assert read_back(files, content, start, size) == data[start : start + size]
    _, length, _ = PartReader(RING, content.parts[0], 0).span(start, size)
    chunks = (start + size - 1) // CHUNK - start // CHUNK + 1
    assert length <= chunks * (CHUNK + 16)


def test_reading_back_works_across_parts_while_writing(files: Files) -> None:
    data = some_bytes(PART + 2 * CHUNK + 10)
    writer = ContentWriter(RING, files.open_part, files.close_part)
    writer.append(data)
    out = bytearray(100)
    assert writer.read_into(PART - 50, memoryview(out)) == 100
    assert out == data[PART - 50 : PART + 50]
    assert bytes(writer.tail()) == data[PART + 2 * CHUNK :]
    assert len(writer.names()) == 2
    writer.abandon()
    with pytest.raises(ValueError):
        writer.append(b"more")


def test_sizes_on_the_remote_are_padded_and_full_parts_exact() -> None:
    assert stored_size(0) == stored_size(1024) == HEAD + 1024 + 16 + SEALED_TRAILER
    assert len({stored_size(n) for n in range(1_000_000, 1_010_000)}) <= 2
    assert stored_size(PART) == layout.MAX_STORED


def test_a_full_disk_loses_nothing_that_was_taken(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = some_bytes(5 * CHUNK + 10)
    space = 2 * CHUNK
    real = writing._write_at

    def limited(fd: int, piece: bytes, offset: int) -> None:
        real(fd, memoryview(piece)[: max(0, space - offset)], offset)
        if offset + len(piece) > space:
            raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(writing, "_write_at", limited)
    writer = ContentWriter(RING, files.open_part, files.close_part)
    failures = 0
    while writer.size < len(data):
        try:
            writer.append(data[writer.size :])
        except OSError:
            failures += 1
            out = bytearray(writer.size)
            assert writer.read_into(0, memoryview(out)) == writer.size
            assert out == data[: writer.size]
            space += CHUNK // 2
    while True:
        try:
            content = writer.finish(b"n", 1, "a/b")
            break
        except OSError:
            failures += 1
            space += CHUNK // 2
    assert failures > 3
    assert read_back(files, content) == data
    verify_part(RING, content.parts[0], 0, files.reader_at(content.parts[0]))


def test_no_key_and_nonce_seal_twice_even_when_writes_fail(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr(chunked, "observe", lambda key, nonce: seen.append((key, nonce)))
    test_a_full_disk_loses_nothing_that_was_taken(files, monkeypatch)
    assert len(seen) > 6
    assert len(set(seen)) == len(seen)


def test_a_part_has_one_trailer(files: Files) -> None:
    name = ObjectName(bytes(16))
    fd = files.open_part(name)
    writer = PartWriter(fd, RING, name, 0)
    writer.append(b"abc")
    trailer = Trailer(b"n", 1, "a/b", 0, 1, 3, 3, ContentId(bytes(32)))
    assert writer.finish(trailer) == writer.finish(trailer)
    with pytest.raises(ValueError):
        writer.finish(dataclasses.replace(trailer, name=b"m"))
    files.close_part(name, fd)


@pytest.fixture
def sealed(files: Files) -> tuple[Content, bytes]:
    content = seal(files, some_bytes(CHUNK + 1000))
    return content, files.bytes_of(content.parts[0])


def accepts(part: Part, number: int, stored: bytes, ring: KeyRing = RING) -> None:
    verify_part(ring, part, number, lambda offset, size: stored[offset : offset + size])


def test_every_flipped_bit_is_noticed_and_the_object_named(sealed: tuple[Content, bytes]) -> None:
    content, stored = sealed
    part = content.parts[0]
    accepts(part, 0, stored)
    everywhere = range(0, len(stored) * 8, 4001)
    edges = [*range(HEAD * 8), *range((len(stored) - 16) * 8, len(stored) * 8)]
    for bit in [*everywhere, *edges]:
        bad = bytearray(stored)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Integrity, match=part.name.hex()):
            accepts(part, 0, bytes(bad))


def test_every_truncation_and_addition_is_noticed(sealed: tuple[Content, bytes]) -> None:
    content, stored = sealed
    lengths = [0, 1, 59, 60, HEAD + 16, HEAD + CHUNK + 16, len(stored) - 528, len(stored) - 1]
    for bad in [*(stored[:n] for n in lengths), stored + b"\0", b"\0" + stored]:
        with pytest.raises(Integrity, match=content.parts[0].name.hex()):
            accepts(content.parts[0], 0, bad)


def test_a_part_is_refused_under_another_name_number_or_vault(
    sealed: tuple[Content, bytes],
) -> None:
    content, stored = sealed
    part = content.parts[0]
    for name, number, owner in [
        (ObjectName(b"x" * 16), 0, RING),
        (part.name, 1, RING),
        (part.name, 0, ring("a foreign vault")),
    ]:
        with pytest.raises(Integrity):
            accepts(dataclasses.replace(part, name=name), number, stored, owner)


def test_a_swapped_object_is_noticed(files: Files) -> None:
    one, two = (seal(files, some_bytes(n)).parts[0] for n in (500, 501))
    assert one.stored == two.stored
    with pytest.raises(Integrity, match=one.name.hex()):
        accepts(one, 0, files.bytes_of(two))


@pytest.mark.parametrize(
    "change",
    [
        {"commitment": bytes(32)},
        {"salt": bytes(24)},
        {"epoch": 2},
        {"epoch": 0},
        {"size": 10**9},
        {"stored": 2**31},
        {"stored": 0},
        {"stored": 1},
    ],
)
def test_a_record_that_no_part_has_is_refused_before_anything_is_opened(
    sealed: tuple[Content, bytes], change: dict[str, object]
) -> None:
    part = dataclasses.replace(sealed[0].parts[0], **change)
    with pytest.raises(Integrity):
        PartReader(RING, part, 0)


def test_a_photo_comes_back_with_every_journal_gone(sealed: tuple[Content, bytes]) -> None:
    content, stored = sealed
    name = content.parts[0].name
    trailer, part = read_trailer(RING, name, stored[-528:], stored[:60], len(stored))
    assert part == content.parts[0]
    assert (trailer.name, trailer.mtime_ns, trailer.content) == (b"a.jpg", 1234, content.id)
    for bit in range(0, len(stored[-528:]) * 8, 13):
        bad = bytearray(stored[-528:])
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Integrity, match=name.hex()):
            read_trailer(RING, name, bytes(bad), stored[:60], len(stored))


def test_a_short_read_is_an_error_and_not_a_short_picture(sealed: tuple[Content, bytes]) -> None:
    content, stored = sealed
    reader = PartReader(RING, content.parts[0], 0)
    at, length, first = reader.span(0, content.size)
    with pytest.raises(Integrity, match="cut short"):
        reader.open_into(
            stored[at : at + length - 1], first, 0, memoryview(bytearray(content.size))
        )


@pytest.mark.parametrize("bad", [b"x" * 256, b"a/b", b"a\0b", b".."])
def test_a_trailer_takes_only_what_can_be_a_file_name(bad: bytes) -> None:
    with pytest.raises(ValueError):
        layout.encode_trailer(Trailer(bad, 0, "a/b", 0, 1, 1, 1, ContentId(bytes(32))))


@pytest.mark.parametrize(
    ("number", "count", "size", "total"),
    [(1, 1, 1, 1), (0, 2, 1, 1), (0, 1, 2, 1), (0, 1, PART + 1, PART + 1), (1, 2, PART, PART + 1)],
)
def test_a_trailer_that_contradicts_itself_is_refused(
    number: int, count: int, size: int, total: int
) -> None:
    made = layout.encode_trailer(
        Trailer(b"n", 0, "a/b", number, count, size, total, ContentId(bytes(32)))
    )
    with pytest.raises(Integrity):
        layout.decode_trailer(made)


def test_remote_names_of_parts_are_invertible() -> None:
    name = ObjectName(bytes(range(16)))
    assert object_path(name) == "o/00/0102030405060708090a0b0c0d0e0f"
    assert object_name(object_path(name)) == name
    for bad in ["o/00/01", "j/00/" + "0" * 30, "o/0G/" + "0" * 30, "o/0A/" + "0" * 30]:
        assert object_name(bad) is None


def test_secrets_are_never_printed() -> None:
    text = repr(RING) + repr(RING.newest)
    RING.object_key(1)
    for secret in (RING.newest.secret, RING.newest.signing_seed, RING.content_key):
        assert repr(secret)[2:-1] not in text + repr(RING)
