"""The spool keeps sealed objects until lines let them go, and leaves the disk some room."""

import errno
import os

import pytest

from tagfs.errors import FileError, Integrity
from tagfs.model import ObjectName
from tagfs.pipeline.spool import CREDIT, Spool
from tagfs.vault.keys import KeyRing
from tagfs.vault.objects import ContentWriter

RING = KeyRing.create()


def sealed(spool, data=b"some bytes"):
    writer = ContentWriter(RING, spool.open_part, spool.close_part)
    writer.append(data)
    return writer.finish(b"a.jpg", 0, "image/jpeg")


def test_a_sealed_content_is_found_read_and_verified(tmp_path):
    spool = Spool(tmp_path / "spool", RING)
    part = sealed(spool).parts[0]
    assert spool.has(part.name)
    assert spool.sizes() == {part.name: part.stored}
    assert spool.pread(part.name, 0, 10**6) == spool.path(part.name).read_bytes()
    spool.verify(part, 0)
    again = Spool(tmp_path / "spool", RING)
    assert again.sizes() == {part.name: part.stored}


def test_what_is_missing_cut_or_flipped_does_not_verify(tmp_path):
    spool = Spool(tmp_path / "spool", RING)
    part = sealed(spool).parts[0]
    path = spool.path(part.name)
    raw = path.read_bytes()
    for mutant in (raw[:-1], raw + b"x", raw[:100] + bytes([raw[100] ^ 1]) + raw[101:], b""):
        path.write_bytes(mutant)
        with pytest.raises(Integrity, match=part.name.hex()):
            spool.verify(part, 0)
    path.unlink()
    with pytest.raises(Integrity, match="not on this machine"):
        spool.verify(part, 0)
    with pytest.raises(FileNotFoundError):
        spool.pread(part.name, 0, 1)


def test_a_peek_at_a_copy_is_no_use_of_it(tmp_path):
    spool = Spool(tmp_path / "spool", RING)
    one, two = (sealed(spool, data).parts[0] for data in (b"one", b"two"))
    assert spool.peek(one.name) == spool.path(one.name).read_bytes()
    for part in (one, two):
        spool.settle(part.name)
    spool.do_later(spool.take_later())
    assert len(spool.peek(one.name)) == one.stored
    spool.shrink(two.stored)
    assert spool.peek(one.name) is None  # the older one, though it was looked at last
    assert len(spool.peek(two.name)) == two.stored


def test_settling_and_removing_wait_until_they_are_carried_out(tmp_path):
    spool = Spool(tmp_path / "spool", RING)
    one, two = sealed(spool, b"one").parts[0], sealed(spool, b"two").parts[0]
    spool.settle(one.name)
    spool.remove_later(two.name)
    assert spool.has(one.name)
    assert spool.has(two.name)
    spool.do_later(spool.take_later())
    assert not spool.has(one.name)
    spool.verify(one, 0)  # from the cache
    assert spool.open_local(two.name) is None
    assert spool.take_later() == []


def test_the_least_recently_used_copies_go_when_the_cache_is_full(tmp_path):
    spool = Spool(tmp_path / "spool", RING)
    parts = [sealed(spool, os.urandom(900)).parts[0] for _ in range(4)]
    size = parts[0].stored
    spool = Spool(tmp_path / "spool", RING, cache_bytes=3 * size)
    for part in parts[:3]:
        spool.settle(part.name)
    spool.do_later(spool.take_later())
    spool.close(spool.open_local(parts[0].name))  # used again: the second is the oldest now
    spool.settle(parts[3].name)
    spool.do_later(spool.take_later())
    here = [p for p in parts if Spool(tmp_path / "spool", RING).open_local(p.name) is not None]
    assert here == [parts[0], parts[2], parts[3]]
    smaller = Spool(tmp_path / "spool", RING, cache_bytes=size)
    smaller.shrink()
    assert sum(smaller.open_local(p.name) is not None for p in parts) == 1


def test_a_copy_of_the_remote_is_kept_and_half_ones_are_swept(tmp_path):
    spool = Spool(tmp_path / "spool", RING)
    name = ObjectName(os.urandom(16))
    spool.keep(name, b"sealed")
    spool.keep(name, b"sealed")
    assert spool.pread(name, 0, 99) == b"sealed"
    assert not spool.has(name)
    place = tmp_path / "cache" / name.hex()[:2]
    (place / (name.hex()[2:] + ".new")).write_bytes(b"sea")
    Spool(tmp_path / "spool", RING)
    assert [p.name for p in place.iterdir()] == [name.hex()[2:]]


def test_a_descriptor_outlives_settling_and_removal(tmp_path):
    spool = Spool(tmp_path / "spool", RING)
    part = sealed(spool).parts[0]
    raw = spool.path(part.name).read_bytes()
    fd = spool.open_local(part.name)
    spool.settle(part.name)
    spool.do_later(spool.take_later())
    spool.remove_cached(part.name)
    assert os.pread(fd, 10**6, 0) == raw
    spool.close(fd)


def test_the_reserve_is_left_to_others_and_writing_goes_on_when_there_is_room(tmp_path):
    disk = [100 * 1024**3, 600 * 1024**2]
    spool = Spool(tmp_path / "spool", RING, space=lambda _: (disk[0], disk[1]))
    spool.reserve(1024)
    disk[1] = 512 * 1024**2
    spool.reserve(CREDIT)  # what was looked up before still counts
    with pytest.raises(FileError) as refused:
        spool.reserve(CREDIT)
    assert refused.value.errno == errno.ENOSPC
    with pytest.raises(FileError):
        spool.reserve(1)
    disk[1] = 513 * 1024**2
    spool.reserve(1)
    with pytest.raises(FileError):
        spool.reserve(2 * 1024**2)


def test_on_a_small_disk_the_reserve_is_a_fiftieth(tmp_path):
    free = [200_000]
    spool = Spool(tmp_path / "spool", RING, space=lambda _: (5_000_000, free[0]))
    spool.reserve(100_000)
    free[0] -= 100_000
    with pytest.raises(FileError):
        spool.reserve(1)


def test_nobody_else_may_read_what_is_there(tmp_path):
    spool = Spool(tmp_path / "spool", RING)
    part = sealed(spool).parts[0]
    assert spool.path(part.name).stat().st_mode & 0o777 == 0o600
    assert spool.path(part.name).parent.stat().st_mode & 0o777 == 0o700
    assert spool.folder.stat().st_mode & 0o777 == 0o700
