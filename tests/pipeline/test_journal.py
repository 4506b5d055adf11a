"""The local journal keeps what was appended through crashes, tears, full disks and bad sectors."""

import errno
import os
import secrets

import pytest

from tagfs.crypto import chunked
from tagfs.errors import FileError, Integrity
from tagfs.pipeline.disk import RealDisk
from tagfs.pipeline.journal import START, LocalJournal, Position
from tagfs.pipeline.lines import MARK, JournalFile

KEY = b"k" * 32


def lines(journal, after=None):
    return [(kind, payload) for _, kind, payload in journal.replay(after)]


def files(folder):
    return sorted(p.name for p in folder.iterdir())


def test_what_was_appended_is_there_when_opened_again_without_closing(tmp_path):
    journal = LocalJournal.open(tmp_path / "j", KEY)
    at = [journal.append(1, bytes([n]) * n) for n in range(5)]
    assert at == sorted(at)
    again = LocalJournal.open(tmp_path / "j", KEY)
    assert [(p, k) for p, k, _ in again.replay()] == [(p, 1) for p in at]
    assert lines(again)[4] == (1, b"\4\4\4\4")
    assert again.end == at[-1]
    assert not again.damage


def test_replay_begins_after_the_position_that_is_named(tmp_path):
    journal = LocalJournal.open(tmp_path / "j", KEY)
    at = [journal.append(1, bytes([n])) for n in range(5)]
    assert lines(journal, at[2]) == [(1, b"\3"), (1, b"\4")]
    assert lines(journal, at[4]) == []
    assert lines(journal, START) == lines(journal)


@pytest.mark.parametrize("gap", [False, True])
def test_whoever_goes_on_where_he_was_opens_few_lines_again(tmp_path, monkeypatch, gap):
    journal = LocalJournal.open(tmp_path / "j", KEY)
    at = [journal.append(1, b"%d" % n) for n in range(1000)]
    if gap:  # in the middle of the lines that are known already
        path = tmp_path / "j" / "00000001.log"
        data = bytearray(path.read_bytes())
        data[at[300].offset - 3] ^= 1
        path.write_bytes(data)
    whole = lines(journal)
    assert len(whole) == 1000 - gap
    opened = []
    read = JournalFile._read_line
    monkeypatch.setattr(JournalFile, "_read_line", lambda *told: opened.append(told) or read(*told))
    for n in (0, 5, 63, 64, 65, 500, 998, 999):
        opened.clear()
        assert lines(journal, at[n]) == [line for line in whole if int(line[1]) > n]
        assert len(opened) < 1000 - n + MARK + 3


def test_an_opening_that_appends_nothing_makes_no_file(tmp_path):
    LocalJournal.open(tmp_path / "j", KEY).append(1, b"x")
    for _ in range(3):
        LocalJournal.open(tmp_path / "j", KEY).sync()
    assert files(tmp_path / "j") == ["00000001.log"]


def test_lines_of_many_openings_are_replayed_in_order(tmp_path):
    for n in range(4):
        LocalJournal.open(tmp_path / "j", KEY).append(1, bytes([n]))
    journal = LocalJournal.open(tmp_path / "j", KEY)
    assert lines(journal) == [(1, bytes([n])) for n in range(4)]


def test_a_position_is_twelve_bytes_that_sort_like_it():
    some = [Position(0, 0), Position(1, 7), Position(1, 300), Position(2, 1), Position(300, 0)]
    encoded = [p.encode() for p in some]
    assert encoded == sorted(encoded)
    assert {len(e) for e in encoded} == {12}
    assert [Position.decode(e) for e in encoded] == some


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_torn_tail_is_left_out_and_the_journal_goes_on(tmp_path, cut):
    journal = LocalJournal.open(tmp_path / "j", KEY)
    journal.append(1, b"whole")
    at = journal.append(1, b"torn" * 20)
    path = tmp_path / "j" / "00000001.log"
    os.truncate(path, at.offset - cut)
    again = LocalJournal.open(tmp_path / "j", KEY)
    assert lines(again) == [(1, b"whole")]
    assert not again.damage
    again.append(1, b"after")
    assert lines(LocalJournal.open(tmp_path / "j", KEY)) == [(1, b"whole"), (1, b"after")]


def test_a_line_behind_a_torn_one_is_not_believed(tmp_path):
    journal = LocalJournal.open(tmp_path / "j", KEY)
    first = journal.append(1, b"first")
    journal.append(1, b"second")
    journal.append(1, b"third")
    flip(tmp_path / "j" / "00000001.log", first.offset + 20)
    again = LocalJournal.open(tmp_path / "j", KEY)
    assert lines(again) == [(1, b"first")]
    assert not again.damage  # nothing said that the second was synced
    again.append(1, b"fourth")
    assert lines(LocalJournal.open(tmp_path / "j", KEY)) == [(1, b"first"), (1, b"fourth")]


@pytest.mark.parametrize("where", [1, 20], ids=["in the length", "in the sealed bytes"])
def test_damage_before_a_mark_is_named_and_the_other_lines_are_read(tmp_path, where):
    journal = LocalJournal.open(tmp_path / "j", KEY)
    first = journal.append(1, b"first")
    journal.append(1, b"second")
    third = journal.append(1, b"third")
    journal.mark(third)
    flip(tmp_path / "j" / "00000001.log", first.offset + where)
    again = LocalJournal.open(tmp_path / "j", KEY)
    assert [p for k, p in lines(again) if k == 1] == [b"first", b"third"]
    assert "00000001.log is damaged" in str(again.damage[0])
    assert again.marked == third


def test_a_file_that_vanished_is_damage_and_the_others_are_read(tmp_path):
    for n in range(3):
        LocalJournal.open(tmp_path / "j", KEY).append(1, bytes([n]))
    (tmp_path / "j" / "00000002.log").unlink()
    journal = LocalJournal.open(tmp_path / "j", KEY)
    assert lines(journal) == [(1, b"\0"), (1, b"\2")]
    assert "00000002.log is missing" in str(journal.damage[0])


def test_another_key_opens_nothing_and_says_so(tmp_path):
    LocalJournal.open(tmp_path / "j", KEY).append(1, b"x")
    with pytest.raises(Integrity, match="another vault"):
        LocalJournal.open(tmp_path / "j", b"o" * 32)


def test_lines_cannot_be_swapped_or_moved_to_another_file(tmp_path):
    journal = LocalJournal.open(tmp_path / "j", KEY)
    start = journal.append(1, b"0000").offset
    middle = journal.append(1, b"1111").offset
    end = journal.append(1, b"2222").offset
    path = tmp_path / "j" / "00000001.log"
    raw = path.read_bytes()
    path.write_bytes(raw[:start] + raw[middle:end] + raw[start:middle])
    assert lines(LocalJournal.open(tmp_path / "j", KEY)) == [(1, b"0000")]
    path.write_bytes(raw)
    path.rename(tmp_path / "j" / "00000007.log")
    with pytest.raises(Integrity):
        LocalJournal.open(tmp_path / "j", KEY)


def test_no_payload_is_in_the_clear(tmp_path):
    journal = LocalJournal.open(tmp_path / "j", KEY)
    journal.append(1, b"a secret name.jpg")
    for path in (tmp_path / "j").iterdir():
        assert b"secret" not in path.read_bytes()


def test_after_a_cut_the_later_lines_are_dead_for_ever(tmp_path):
    journal = LocalJournal.open(tmp_path / "j", KEY)
    kept = journal.append(1, b"kept")
    dead = journal.append(1, b"dead")
    again = LocalJournal.open(tmp_path / "j", KEY)
    again.cut(kept)
    assert lines(again) == [(1, b"kept")]
    assert not again.covers(dead)
    assert again.covers(kept)
    again.append(1, b"new")
    third = LocalJournal.open(tmp_path / "j", KEY)
    assert lines(third) == [(1, b"kept"), (1, b"new")]
    assert not third.covers(dead)
    with pytest.raises(ValueError):
        again.cut(kept)


def test_a_cut_may_take_back_whole_files(tmp_path):
    first = LocalJournal.open(tmp_path / "j", KEY).append(1, b"one")
    LocalJournal.open(tmp_path / "j", KEY).append(1, b"two")
    LocalJournal.open(tmp_path / "j", KEY).append(1, b"three")
    journal = LocalJournal.open(tmp_path / "j", KEY)
    journal.cut(first)
    journal.append(1, b"four")
    again = LocalJournal.open(tmp_path / "j", KEY)
    assert lines(again) == [(1, b"one"), (1, b"four")]
    journal = LocalJournal.open(tmp_path / "j", KEY)
    journal.cut(journal.base)
    assert lines(journal) == []
    journal.append(1, b"five")
    assert lines(LocalJournal.open(tmp_path / "j", KEY)) == [(1, b"five")]


def test_a_grown_file_is_followed_by_another(tmp_path):
    journal = LocalJournal.open(tmp_path / "j", KEY, limit=1000)
    for n in range(100):
        journal.append(1, bytes([n]) * 50)
    assert len(files(tmp_path / "j")) > 5
    assert len(lines(journal)) == 100
    assert len(lines(LocalJournal.open(tmp_path / "j", KEY))) == 100


def test_retired_files_go_at_the_sync_that_makes_it_known(tmp_path):
    journal = LocalJournal.open(tmp_path / "j", KEY, limit=500)
    at = [journal.append(1, bytes([n]) * 50) for n in range(20)]
    before = files(tmp_path / "j")
    journal.retire(at[9])
    assert files(tmp_path / "j") == before
    journal.sync()
    assert len(files(tmp_path / "j")) < len(before)
    assert journal.base <= at[9]
    assert [p[0] for _, p in lines(journal, at[9])] == list(range(10, 20))
    with pytest.raises(Integrity, match="no longer has"):
        list(journal.replay(START))
    again = LocalJournal.open(tmp_path / "j", KEY)
    assert again.base == journal.base
    assert not again.damage
    assert [p[0] for _, p in lines(again, at[9])] == list(range(10, 20))


def test_retired_files_that_a_power_cut_brings_back_are_not_replayed(tmp_path):
    journal = LocalJournal.open(tmp_path / "j", KEY, limit=500)
    at = [journal.append(1, bytes([n]) * 50) for n in range(20)]
    old = {p: p.read_bytes() for p in (tmp_path / "j").iterdir()}
    journal.retire(at[9])
    journal.sync()
    back = next(p for p in sorted(old) if not p.exists())
    back.write_bytes(old[back])
    again = LocalJournal.open(tmp_path / "j", KEY)
    assert not again.damage
    assert again.base == journal.base
    assert not back.exists()


def test_a_mark_is_written_once_and_read_back(tmp_path):
    journal = LocalJournal.open(tmp_path / "j", KEY)
    at = journal.append(1, b"x")
    journal.mark(at)
    end = journal.end
    journal.mark(at)
    assert journal.end == end
    journal.append(1, b"y")
    assert LocalJournal.open(tmp_path / "j", KEY).marked == at


class FullDisk(RealDisk):
    """Takes ``room`` more bytes, then writes short and fails as a full disk does."""

    room = 10**9

    def pwrite(self, fd, data, offset):
        take = min(len(data), self.room)
        self.room -= take
        super().pwrite(fd, bytes(data[:take]), offset)
        if take < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        return take


@pytest.mark.parametrize("room", [0, 1, 3, 17, 30, 60, 75])
def test_a_full_disk_refuses_the_line_and_damages_nothing(tmp_path, room):
    disk = FullDisk()
    journal = LocalJournal.open(tmp_path / "j", KEY, disk)
    journal.append(1, b"before")
    disk.room = room
    for _ in range(3):
        with pytest.raises(FileError) as refused:
            journal.append(1, b"refused" * 10)
        assert refused.value.errno == errno.ENOSPC
    disk.room = 10**9
    journal.append(1, b"after")
    assert lines(journal) == [(1, b"before"), (1, b"after")]
    again = LocalJournal.open(tmp_path / "j", KEY)
    assert lines(again) == [(1, b"before"), (1, b"after")]
    assert not again.damage


class DyingDisk(RealDisk):
    """Cannot sync."""

    def fdatasync(self, fd):
        raise OSError(errno.EIO, "Input/output error")


def test_when_the_disk_cannot_sync_nothing_more_is_taken(tmp_path):
    journal = LocalJournal.open(tmp_path / "j", KEY, DyingDisk())
    journal.append(1, b"x")
    with pytest.raises(FileError, match="Check the disk"):
        journal.sync()
    with pytest.raises(FileError, match="Check the disk"):
        journal.append(1, b"y")


def test_no_key_and_nonce_seal_twice_whatever_copies_are_reopened(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(chunked, "observe", lambda key, nonce: seen.append((key, nonce)))
    disk = FullDisk()
    journal = LocalJournal.open(tmp_path / "j", KEY, disk, limit=2000)
    for n in range(300):
        try:
            journal.append(1, secrets.token_bytes(n % 50))
        except FileError:
            disk.room = 10**9
        if n % 7 == 0:
            journal = LocalJournal.open(tmp_path / "j", KEY, disk, limit=2000)
        if n % 11 == 0:
            disk.room = n % 90
    assert len(seen) > 300
    assert len(set(seen)) == len(seen)


def flip(path, offset):
    raw = bytearray(path.read_bytes())
    raw[offset] ^= 0x40
    path.write_bytes(raw)
