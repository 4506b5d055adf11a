"""After a power cut at any moment: a prefix of what was done, everything synced, nothing half."""

import os
import random
import shutil

import pytest
from desk import DEVICE, Desk, file_id
from powercut import Recorder, rebuild

from tagfs.errors import FileError
from tagfs.model import CHUNK, UnitId
from tagfs.pipeline.disk import RealDisk
from tagfs.pipeline.journal import SYNCED
from tagfs.pipeline.notes import DraftDropped, Kind, Published, Sealed, Uploaded
from tagfs.vault.ops import RecordContent, Unit, encode_unit

FILES = [file_id(n) for n in range(3)]


class Watched:
    """A desk on a recorded disk that remembers what was true after each journal line."""

    def __init__(self, root):
        root.mkdir()
        self.disk = Recorder(root)
        self.desk = Desk(root, self.disk)
        self.model = dict.fromkeys(FILES, b"")
        self.states = [(self.desk.journal.base, dict(self.model))]
        self.synced = [(0, self.desk.journal.base)]  # (events, what survives a cut from there on)

    def say(self, file=None, data=None):
        """After an act that was journalled: this is what a start must show."""
        if file is not None:
            self.model[file] = data
        self.states.append((self.desk.journal.end, dict(self.model)))

    def sync(self):
        end = self.desk.journal.end
        self.desk.sync()
        self.synced.append((self.disk.mark(), end))

    def kill(self):
        """Start again on the same disk, with everything that was written in the page cache."""
        self.desk.kill()
        self.desk = Desk(self.disk.root, self.disk, store=self.desk.store)
        assert self.desk.recovery.ended is None

    def survives(self, events):
        """Return the position that a cut after so many events may not go behind."""
        return max(position for mark, position in self.synced if mark <= events)


def scenario(watched, rng, steps):
    for _ in range(steps):
        desk = watched.desk
        file = rng.choice(FILES)
        found = desk.bytes_of(file)
        what = rng.random()
        if what < 0.45:
            at = found.size if rng.random() < 0.7 else rng.randrange(found.size + 1000)
            found.write(at, rng.randbytes(rng.choice([3, 700, 5000, CHUNK + 5, 3 * CHUNK])))
        elif what < 0.5:
            found.truncate(rng.choice([0, found.size // 2]))
        elif what < 0.7:
            desk.flush(file)
            watched.say(file, desk.read(file))
        elif what < 0.78:
            if found.dirty and found.size:
                desk._save(found.checkpoint())
                watched.say(file, desk.read(file))
            watched.sync()
        elif what < 0.84:
            desk.flush(file)
            data = desk.read(file)
            watched.say(file, data)
            desk.release(file)
            watched.say(file, data)
        elif what < 0.88:
            desk.settle()
            watched.say()
        elif what < 0.92:
            watched.kill()
        else:
            watched.sync()


def cut_and_start(watched, where, events, rng, target):
    """Rebuild a state after so many events, start on it, and hold it to the promise."""
    rebuild(watched.disk.events[:events], target, rng)
    desk = Desk(target, store=watched.desk.store)
    end = desk.recovery.end
    least = watched.survives(events)
    shown = {file: desk.read(file) for file in FILES}
    assert not desk.recovery.damaged, where
    assert not desk.journal.damage, where
    assert end >= least, f"{where}: what was synced is gone"
    before = [state for position, state in watched.states if position <= end][-1]
    assert shown == before, f"{where}: not what was true after the last line that is believed"
    desk.bytes_of(FILES[0]).write(0, b"goes on")
    desk.flush(FILES[0])
    desk.sync()
    again = Desk(target, store=watched.desk.store)
    assert again.recovery.ended is None, where
    assert again.read(FILES[0])[:7] == b"goes on"
    assert {f: again.read(f) for f in FILES[1:]} == {f: shown[f] for f in FILES[1:]}, where
    for one in (desk, again):
        one.kill()
    return end < watched.desk.journal.end


def cuts(tmp_path, seeds, each):
    shorter = 0
    for seed in seeds:
        rng = random.Random(seed)
        watched = Watched(tmp_path / f"run{seed}")
        scenario(watched, rng, 60)
        total = watched.disk.mark()
        for n in range(each):
            events = rng.randrange(total + 1)
            target = tmp_path / f"cut{seed}-{n}"
            shorter += cut_and_start(watched, f"seed {seed}, cut {n}", events, rng, target)
            shutil.rmtree(target)
        watched.desk.kill()
        shutil.rmtree(tmp_path / f"run{seed}")
    return shorter


def test_a_power_cut_leaves_a_prefix_with_everything_synced_and_nothing_half(tmp_path):
    assert cuts(tmp_path, range(12), 12) > 20


@pytest.mark.long
def test_many_power_cuts_leave_a_prefix_with_everything_synced_and_nothing_half(tmp_path):
    assert cuts(tmp_path, range(100, 300), 25) > 500


def test_a_line_whose_object_is_torn_ends_the_journal_there(tmp_path):
    desk = Desk(tmp_path)
    desk.bytes_of(FILES[0]).write(0, b"first")
    desk.release(FILES[0])
    desk.bytes_of(FILES[1]).write(0, b"second")
    desk.release(FILES[1])
    desk.bytes_of(FILES[2]).write(0, b"third")
    desk.release(FILES[2])
    (part,) = desk.recorded[FILES[1]].parts
    with open(desk.spool.path(part.name), "r+b") as torn:
        torn.truncate(500)
    again = Desk(tmp_path)
    assert [again.read(f) for f in FILES] == [b"first", b"", b""]
    assert part.name.hex() in str(again.recovery.ended)
    again.sync()
    assert len(again.spooled()) == 1
    third = Desk(tmp_path)
    assert third.recovery.ended is None or third.recovery.end == again.recovery.end
    assert [third.read(f) for f in FILES] == [b"first", b"", b""]


def test_bytes_that_were_synced_and_are_gone_are_named_and_the_rest_is_there(tmp_path):
    desk = Desk(tmp_path)
    for n, file in enumerate(FILES):
        desk.bytes_of(file).write(0, bytes([n + 1]) * 10)
        desk.release(file)
    desk.sync()
    (part,) = desk.recorded[FILES[1]].parts
    desk.spool.path(part.name).unlink()
    again = Desk(tmp_path)
    assert again.recovery.ended is None
    (damage,) = again.recovery.damaged
    assert damage.content == desk.recorded[FILES[1]].id
    assert part.name.hex() in str(damage.error)
    assert again.read(FILES[2]) == b"\3" * 10
    with pytest.raises(FileError):
        again.read(FILES[1])


def test_a_torn_object_that_was_uploaded_is_read_from_the_remote_and_its_copy_goes(tmp_path):
    desk = Desk(tmp_path)
    desk.bytes_of(FILES[0]).write(0, b"x" * 2000)
    desk.release(FILES[0])
    desk.settle()
    (part,) = desk.recorded[FILES[0]].parts
    with open(desk.spool.path(part.name), "r+b") as torn:
        torn.truncate(500)
    again = Desk(tmp_path, store=desk.store)
    assert again.recovery.ended is None
    assert not again.recovery.damaged
    assert again.read(FILES[0]) == b"x" * 2000
    again.sync()
    assert again.spooled() == set()
    assert again.spool.open_local(part.name) is None


def test_a_pass_interrupted_by_a_crash_leaves_no_object(tmp_path):
    desk = Desk(tmp_path)
    desk.bytes_of(FILES[0]).write(0, os.urandom(3 * CHUNK))
    desk.bytes_of(FILES[1]).write(5, b"x")
    assert desk.spooled()
    assert desk.scratches.ids()
    again = Desk(tmp_path)
    again.sync()
    assert again.spooled() == set()
    assert again.scratches.ids() == set()


def test_what_is_dropped_stays_until_the_line_that_says_so_is_synced(tmp_path):
    desk = Desk(tmp_path)
    desk.bytes_of(FILES[0]).write(5, b"x" * 2000)
    desk.flush(FILES[0])
    desk.sync()
    (scratch,) = desk.scratches.ids()
    desk.release(FILES[0])
    assert scratch in desk.scratches.ids()
    desk.sync()
    assert desk.scratches.ids() == set()


def test_the_line_that_gives_a_file_its_content_ends_its_draft(tmp_path):
    desk = Desk(tmp_path)
    desk.bytes_of(FILES[0]).write(0, b"x" * 2000)
    desk.fsync(FILES[0])
    assert desk.drafts
    desk.bytes_of(FILES[0]).write(2000, b"and more")
    desk.flush(FILES[0])
    again = Desk(tmp_path)
    assert not again.drafts
    assert again.read(FILES[0]) == b"x" * 2000 + b"and more"


def test_settled_objects_move_to_the_cache_even_when_a_crash_came_between(tmp_path):
    desk = Desk(tmp_path)
    desk.bytes_of(FILES[0]).write(0, b"x" * 2000)
    desk.release(FILES[0])
    desk.settle()
    again = Desk(tmp_path, store=desk.store)
    assert len(again.spooled()) == 1
    again.sync()
    assert again.spooled() == set()
    assert Desk(tmp_path, store=desk.store).read(FILES[0]) == b"x" * 2000


def recorded_again(desk, data):
    """Record bytes that are known already in objects of their own, as if they were new."""
    content = desk.contents.seal(data, b"again.bin", 1, "text/plain")
    unit = Unit(UnitId(b"v" * 16), 2, DEVICE, (RecordContent(content),))
    desk.journal.append(Kind.UNIT, encode_unit(unit))
    return content


@pytest.mark.parametrize("uploaded", [False, True])
@pytest.mark.parametrize("published", [False, True])
def test_a_second_sealing_of_stored_bytes_stays_until_it_is_stored_itself(
    tmp_path, uploaded, published
):
    desk = Desk(tmp_path)
    desk.bytes_of(FILES[0]).write(0, b"x" * 2000)
    desk.release(FILES[0])
    desk.settle()
    stored = desk.recorded[FILES[0]]
    content = recorded_again(desk, b"x" * 2000)
    assert content.id == stored.id
    (part,) = content.parts
    if uploaded:
        desk.note(Uploaded((part.name,)))
    if published:
        desk.note(Published(DEVICE, 2, b"h" * 32, desk.journal.end))
    desk.sync()
    again = Desk(tmp_path, store=desk.store)
    again.sync()
    assert not again.spool.has(stored.parts[0].name)
    assert again.spool.has(part.name) == (not (uploaded and published))
    assert again.spool.is_here(part.name)


def test_what_was_published_before_it_was_recorded_again_settles_nothing_of_it(tmp_path):
    desk = Desk(tmp_path)
    content = recorded_again(desk, b"x" * 2000)
    end = desk.journal.end
    second = recorded_again(desk, b"x" * 2000)
    for each in (content, second):
        desk.note(Uploaded((each.parts[0].name,)))
    desk.note(Published(DEVICE, 1, b"h" * 32, end))
    desk.sync()
    again = Desk(tmp_path, store=desk.store)
    again.sync()
    assert again.spooled() == {second.parts[0].name}


def test_an_idle_gallery_writes_nothing(tmp_path):
    desk = Desk(tmp_path)
    desk.note(Sealed(b"c" * 32))
    desk.sync()
    size = (tmp_path / "journal" / "00000001.log").stat().st_size
    for _ in range(5):
        desk.sync()
    assert (tmp_path / "journal" / "00000001.log").stat().st_size == size
    kinds = [kind for _, kind, _ in desk.journal.replay()]
    assert kinds[-1] == SYNCED


class DyingDisk(RealDisk):
    """Cannot sync from a certain moment on."""

    dead = False

    def fdatasync(self, fd):
        if self.dead:
            raise OSError(5, "Input/output error")


def test_a_dying_disk_stops_the_journal_and_drops_nothing(tmp_path):
    disk = DyingDisk()
    desk = Desk(tmp_path, disk)
    desk.bytes_of(FILES[0]).write(5, b"x")
    desk.flush(FILES[0])
    desk.sync()
    draft = desk.drafts[FILES[0]]
    desk.note(DraftDropped(FILES[0]))
    desk.contents.drop_draft(draft)
    disk.dead = True
    desk.bytes_of(FILES[1]).write(0, b"y")
    desk.flush(FILES[1])
    with pytest.raises(FileError):
        desk.sync()
    disk.dead = False
    with pytest.raises(FileError, match="fails"):
        desk.sync()
    with pytest.raises(FileError, match="fails"):
        desk.note(Sealed(b"c" * 32))
    assert draft.scratch in desk.scratches.ids()
