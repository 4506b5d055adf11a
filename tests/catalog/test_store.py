"""The catalog on disk: sealed rows, and what kills, full disks and damage leave of them."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tagfs.catalog import file as catalog_file
from tagfs.catalog import store as store_module
from tagfs.catalog.schema import Table
from tagfs.catalog.sealing import RowSealer
from tagfs.catalog.store import CatalogStore
from tagfs.crypto import chunked
from tagfs.errors import FileError, Integrity, MountError

KEY = b"k" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "catalog"


@pytest.fixture
def store(folder: Path) -> Iterator[CatalogStore]:
    store = CatalogStore(folder, KEY)
    yield store
    store.close()


def reopened(store: CatalogStore, folder: Path, **options: Any) -> CatalogStore:
    store.close()
    return CatalogStore(folder, KEY, **options)


def run_child(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter, so that a crash of it fails a test instead of pytest."""
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'tests' / 'catalog'}"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_row_is_read_at_once_and_after_reopening(folder: Path) -> None:
    store = CatalogStore(folder, KEY)
    store.put(Table.FILE, b"a", b"1")
    store.put(Table.TAG, b"a", b"2")
    store.put(Table.FILE, b"big", bytes(100_000))
    assert store.get(Table.FILE, b"a") == b"1"
    assert store.get(Table.TAG, b"a") == b"2"
    assert store.get(Table.FOLDER, b"a") is None
    store.request_commit(b"p")
    store = reopened(store, folder)
    assert store.get(Table.FILE, b"a") == b"1"
    assert store.get(Table.TAG, b"a") == b"2"
    assert store.get(Table.FILE, b"big") == bytes(100_000)
    assert store.get(Table.FOLDER, b"a") is None
    store.close()


def test_a_deleted_row_is_gone_at_once_and_after_reopening(folder: Path) -> None:
    store = CatalogStore(folder, KEY)
    store.put(Table.FILE, b"a", b"1")
    store.request_commit()
    store.commit()
    store.delete(Table.FILE, b"a")
    store.delete(Table.FILE, b"never there")
    assert store.get(Table.FILE, b"a") is None
    store.request_commit()
    assert store.get(Table.FILE, b"a") is None
    store = reopened(store, folder)
    assert store.get(Table.FILE, b"a") is None
    store.close()


def test_what_was_not_marked_is_not_committed(folder: Path) -> None:
    store = CatalogStore(folder, KEY)
    assert store.position() is None
    store.put(Table.FILE, b"a", b"whole")
    store.request_commit(b"one")
    store.put(Table.FILE, b"a", b"half a unit")
    store.sync_now()
    assert store.position() == b"one"
    assert store.get(Table.FILE, b"a") == b"half a unit"
    store = reopened(store, folder)
    assert store.position() == b"one"
    assert store.get(Table.FILE, b"a") == b"whole"
    store.close()


def test_a_mark_without_a_position_keeps_the_former_one(store: CatalogStore) -> None:
    store.request_commit(b"one")
    store.put(Table.FILE, b"a", b"1")
    store.request_commit()
    store.sync_now()
    assert store.position() == b"one"


def test_a_commit_with_nothing_marked_does_nothing(store: CatalogStore) -> None:
    store.put(Table.FILE, b"a", b"1")
    assert store.commit() is False
    store.request_commit()
    assert store.commit() is True
    assert store.commit() is False
    assert store.pending_bytes == 0


def test_another_key_does_not_open_the_catalog(store: CatalogStore, folder: Path) -> None:
    store.close()
    with pytest.raises(Integrity):
        CatalogStore(folder, b"x" * 32)
    store.__init__(folder, KEY)  # type: ignore[misc]  # and leaves it as it was


def test_another_schema_does_not_open_the_catalog(store: CatalogStore, folder: Path) -> None:
    store.close()
    with pytest.raises(Integrity, match="another version"):
        CatalogStore(folder, KEY, schema=99)
    store.__init__(folder, KEY)  # type: ignore[misc]


def test_a_wiped_catalog_is_empty(folder: Path) -> None:
    store = CatalogStore(folder, KEY)
    store.put(Table.FILE, b"a", b"1")
    store.request_commit(b"p")
    store.close()
    CatalogStore.wipe(folder)
    store = CatalogStore(folder, b"x" * 32)
    assert store.position() is None
    assert store.get(Table.FILE, b"a") is None
    store.close()


def test_a_second_owner_is_refused(store: CatalogStore, folder: Path) -> None:
    with pytest.raises(MountError):
        CatalogStore(folder, KEY)
    with pytest.raises(MountError):
        CatalogStore.wipe(folder)


def test_only_the_user_may_open_what_is_on_disk(store: CatalogStore, folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "data.mdb").stat().st_mode) == 0o600


def test_no_key_and_no_value_is_readable_in_the_file(folder: Path) -> None:
    store = CatalogStore(folder, KEY)
    for number in range(500):
        store.put(Table.NAME, b"planted-name-%d" % number, b"planted-value-%d" % number)
        store.put(Table.TAG, b"dog", b"planted-big " * 1000)
    store.request_commit(b"planted-position")
    store.close()
    for path in folder.iterdir():
        data = path.read_bytes()
        assert b"planted" not in data
        assert b"dog" not in data


def test_equal_rows_of_two_vaults_have_nothing_in_common(tmp_path: Path) -> None:
    raw: list[set[bytes]] = []
    for key in (b"1" * 32, b"2" * 32):
        store = CatalogStore(tmp_path / key.decode(), key)
        store.put(Table.FILE, b"a", b"same value")
        store.request_commit()
        store.close()
        raw.append({part for row in raw_rows(tmp_path / key.decode()).items() for part in row})
    assert not raw[0] & raw[1]


def test_a_value_opens_in_its_own_row_table_and_schema_only() -> None:
    sealer = RowSealer(KEY, 1, lambda number: None)
    salt = sealer.begin(0)
    a, b = b"\x01a", b"\x01b"
    sealed = sealer.seal(a, sealer.name(a), b"value")
    assert sealer.open(a, sealer.name(a), sealed) == b"value"
    with pytest.raises(Integrity):
        sealer.open(b, sealer.name(b), sealed)
    with pytest.raises(Integrity):
        sealer.open(b"\x02a", sealer.name(a), sealed)
    assert RowSealer(KEY, 1, lambda number: salt).open(a, sealer.name(a), sealed) == b"value"
    with pytest.raises(Integrity):
        RowSealer(KEY, 2, lambda number: salt).open(a, sealer.name(a), sealed)
    with pytest.raises(Integrity):
        RowSealer(KEY, 1, lambda number: None).open(a, sealer.name(a), sealed)


def test_a_big_value_is_not_answered_by_an_older_small_one(
    store: CatalogStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_CACHED_ROWS", 2)
    for age in range(4):  # in the young generation, in the old one, forgotten
        store.put(Table.FILE, b"a", b"small")
        for number in range(age):
            store.get(Table.TAG, b"%d" % number)
        store.put(Table.FILE, b"a", bytes(5000))
        assert store.get(Table.FILE, b"a") == bytes(5000)
        store.request_commit()
        store.commit()
        assert store.get(Table.FILE, b"a") == bytes(5000)


def raw_rows(folder: Path) -> dict[bytes, bytes]:
    with lmdb.open(str(folder), max_dbs=2) as env:
        points = env.open_db(b"points")
        with env.begin() as txn:
            return dict(txn.cursor(points))


def set_raw_row(folder: Path, name: bytes, value: bytes | None) -> None:
    with lmdb.open(str(folder), max_dbs=2) as env:
        points = env.open_db(b"points")
        with env.begin(write=True, db=points) as txn:
            if value is None:
                txn.delete(name)
            else:
                txn.put(name, value)


def test_a_row_that_went_missing_is_noticed_at_the_next_opening(folder: Path) -> None:
    store = CatalogStore(folder, KEY)
    for number in range(5):
        store.put(Table.FILE, b"%d" % number, b"v")
    store.request_commit()
    store.close()
    for name, value in raw_rows(folder).items():
        set_raw_row(folder, name, None)
        with pytest.raises(Integrity):
            CatalogStore(folder, KEY)
        set_raw_row(folder, name, value)
        CatalogStore(folder, KEY).close()


def test_a_row_that_went_back_to_an_older_value_is_noticed_at_the_next_opening(
    folder: Path,
) -> None:
    store = CatalogStore(folder, KEY)
    store.put(Table.FILE, b"a", b"old")
    store.request_commit()
    store.close()
    old = raw_rows(folder)
    store = CatalogStore(folder, KEY)
    store.put(Table.FILE, b"a", b"new")
    store.request_commit()
    store.close()
    new = raw_rows(folder)
    changed = [name for name in old if old[name] != new[name]]
    assert len(changed) == 2  # the row and the census
    for name in changed:
        set_raw_row(folder, name, old[name])
        with pytest.raises(Integrity):
            CatalogStore(folder, KEY)
        set_raw_row(folder, name, new[name])
        CatalogStore(folder, KEY).close()


# -- the writer thread -------------------------------------------------------------------------


def test_the_map_grows_while_rows_are_read(folder: Path) -> None:
    store = CatalogStore(folder, KEY, map_size=1 << 20, interval=0)
    store.start()
    before = store.statistics().map_size
    values = {number: random.Random(number).randbytes(3000) for number in range(3000)}
    for number, value in values.items():
        store.put(Table.FILE, number.to_bytes(4, "big"), value)
        store.request_commit(number.to_bytes(4, "big"))
        for other in (number, number // 2, number // 3, 0):
            assert store.get(Table.FILE, other.to_bytes(4, "big")) == values[other]
        if number == 1500:
            store.sync_now()  # a writer that gets no turn would write everything at once
    store.sync_now()
    assert store.statistics().map_size > before
    assert store.statistics().commits > 1
    store = reopened(store, folder)
    for number, value in values.items():
        assert store.get(Table.FILE, number.to_bytes(4, "big")) == value
    store.close()


def test_a_failing_writer_is_told_to_those_who_wait(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CatalogStore(folder, KEY, interval=0)

    def fail(*_: object) -> None:
        raise lmdb.CorruptedError("page", -30796)

    monkeypatch.setattr(store._file, "write", fail)
    store.start()
    store.put(Table.FILE, b"a", b"1")
    store.request_commit()
    with pytest.raises(Integrity):
        store.sync_now()
    with pytest.raises(Integrity):
        store.request_commit()
    store.close()
    assert not (folder / "clean").exists()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_a_writer_that_died(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = CatalogStore(folder, KEY, interval=0)

    def fail(*_: object) -> None:
        raise ValueError("a mistake of ours")

    monkeypatch.setattr(store._file, "write", fail)
    store.start()
    store.put(Table.FILE, b"a", b"1")
    store.request_commit()
    with pytest.raises(Integrity):
        store.sync_now()
    store.close()


def test_two_threads_may_wait_for_one_commit(folder: Path) -> None:
    store = CatalogStore(folder, KEY, interval=60)  # only those who wait make it commit
    store.start()
    store.put(Table.FILE, b"a", b"1")
    store.request_commit(b"p")
    others = [threading.Thread(target=store.sync_now) for _ in range(4)]
    for other in others:
        other.start()
    store.sync_now()
    for other in others:
        other.join()
    assert store.position() == b"p"
    assert store.statistics().commits == 1
    store.close()


# -- kills -------------------------------------------------------------------------------------

KILLED = """
import os, random, signal, sys, threading, time
from pathlib import Path
from test_store import KEY, apply_unit
from tagfs.catalog.store import CatalogStore
from tagfs.crypto import chunked

folder, seed = Path(sys.argv[1]), int(sys.argv[2])
log = os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
chunked.observe = lambda key, nonce: os.write(log, key + nonce)
choose = random.Random(seed)
store = CatalogStore(folder, KEY, map_size=1 << 20, interval=0)
store.start()
after = int.from_bytes(store.position() or b"", "big")

before = store.position()

def kill(delay):
    # Every third child lives until something new is committed, however busy the machine is.
    while seed % 3 == 0 and store.position() == before:
        time.sleep(0.001)
    time.sleep(delay)  # a kill comes whenever it comes
    os.kill(os.getpid(), signal.SIGKILL)

threading.Thread(target=kill, args=(choose.random() * 0.15,), daemon=True).start()
while True:
    after += 1
    apply_unit(store, after)
    store.request_commit(after.to_bytes(8, "big"))
"""
ROWS = 400


def apply_unit(store: Any, unit: int) -> None:
    """Write what unit number ``unit`` writes: a few rows, small and big ones, some deletions."""
    choose = random.Random(unit)
    for _ in range(choose.randrange(1, 12)):
        row = choose.randrange(ROWS).to_bytes(2, "big")
        if choose.random() < 0.25:
            store.delete(Table.FILE, row)
        else:
            store.put(Table.FILE, row, choose.randbytes(choose.choice((10, 300, 9000))))


class Model(dict[bytes, bytes]):
    def put(self, table: Table, key: bytes, value: bytes) -> None:
        self[key] = value

    def delete(self, table: Table, key: bytes) -> None:
        self.pop(key, None)


def state_after(units: int) -> Model:
    model = Model()
    for unit in range(1, units + 1):
        apply_unit(model, unit)
    return model


def kill_and_look(tmp_path: Path, rounds: int) -> None:
    folder, log = tmp_path / "catalog", tmp_path / "nonces"
    reached, model = 0, Model()
    for seed in range(rounds):
        ended = run_child(KILLED, str(folder), str(seed), str(log))
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        store = CatalogStore(folder, KEY)
        units = int.from_bytes(store.position() or b"", "big")
        assert units >= reached
        for unit in range(reached + 1, units + 1):
            apply_unit(model, unit)
        reached = units
        for row in range(ROWS):
            key = row.to_bytes(2, "big")
            assert store.get(Table.FILE, key) == model.get(key), f"round {seed}, unit {units}"
        store.close()
    assert reached > 0
    record = log.read_bytes()
    pairs = [record[at : at + 44] for at in range(0, len(record) - 43, 44)]
    assert len(pairs) > rounds
    assert len(set(pairs)) == len(pairs), "a key and nonce sealed twice"


def test_after_a_kill_the_file_is_exactly_the_state_at_its_position(tmp_path: Path) -> None:
    kill_and_look(tmp_path, 12)


@pytest.mark.long
def test_after_many_kills_the_file_is_exactly_the_state_at_its_position(tmp_path: Path) -> None:
    kill_and_look(tmp_path, 200)


def test_no_key_and_nonce_is_used_twice_when_commits_fail(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr(chunked, "observe", lambda key, nonce: seen.append((key, nonce)))
    for opening in range(8):
        store = CatalogStore(folder, KEY)
        whole = store._file._env
        for attempt in range(3):
            store.put(Table.FILE, b"a", b"%d %d" % (opening, attempt))
            store.request_commit()
            if attempt < opening % 4:  # in every fourth opening nothing at all is committed
                monkeypatch.setattr(store._file, "_env", _FullDisk())
                with pytest.raises(FileError):
                    store.commit()
                monkeypatch.setattr(store._file, "_env", whole)
            else:
                store.commit()
        store._file.close()  # as a kill leaves it
    assert len(seen) == len(set(seen)) > 12


class _FullDisk:
    """An environment in which no transaction begins."""

    def begin(self, **_: object) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")


# -- disks that refuse -------------------------------------------------------------------------

LIMITED = """
import resource, sys
from pathlib import Path
from test_store import KEY
from tagfs.catalog.schema import Table
from tagfs.catalog.store import CatalogStore
from tagfs.errors import FileError

store = CatalogStore(Path(sys.argv[1]), KEY)
store.put(Table.FILE, b"first", b"1")
store.request_commit(b"one")
store.sync_now()
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
for number in range(200):
    store.put(Table.FILE, b"%d" % number, bytes(4000))
store.request_commit(b"two")
for _ in range(3):
    try:
        store.sync_now()
    except FileError as error:
        kept = store.get(Table.FILE, b"7") == bytes(4000)
        print("refused", store.position(), store.pending_bytes > 800_000, kept)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.sync_now()
print("done", store.position(), store.pending_bytes, store.get(Table.FILE, b"7") == bytes(4000))
store.close()
"""


def test_a_file_that_may_not_grow_loses_nothing_and_goes_on_later(folder: Path) -> None:
    ended = run_child(LIMITED, str(folder))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["refused b'one' True True"] * 3 + ["done b'two' 0 True"]
    store = CatalogStore(folder, KEY)
    assert store.position() == b"two"
    assert all(store.get(Table.FILE, b"%d" % number) == bytes(4000) for number in range(200))
    store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs (for a full disk) needs root")
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True
    )
    if made.returncode != 0:
        pytest.skip("this machine does not let root mount a small tmpfs (for a full disk)")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_loses_nothing_and_goes_on_when_there_is_space(small_disk: Path) -> None:
    folder = small_disk / "catalog"
    store = CatalogStore(folder, KEY, interval=100)  # no attempt of its own while the disk grows
    store.start()
    store.put(Table.FILE, b"first", b"1")
    store.request_commit(b"one")
    store.sync_now()
    for number in range(400):
        store.put(Table.FILE, b"%d" % number, bytes(4000))
    store.request_commit(b"two")
    with pytest.raises(FileError) as caught:
        store.sync_now()
    assert caught.value.errno == errno.ENOSPC
    assert store.statistics().failure is not None
    assert store.position() == b"one"
    assert store.get(Table.FILE, b"first") == b"1"
    assert store.get(Table.FILE, b"399") == bytes(4000)
    subprocess.run(["mount", "-o", "remount,size=32m", str(small_disk)], check=True)
    store.sync_now()
    assert store.statistics().failure is None
    store = reopened(store, folder)
    assert store.position() == b"two"
    assert all(store.get(Table.FILE, b"%d" % number) == bytes(4000) for number in range(400))
    store.close()


def test_a_full_disk_at_the_end_leaves_the_last_state(small_disk: Path) -> None:
    folder = small_disk / "catalog"
    store = CatalogStore(folder, KEY)
    store.put(Table.FILE, b"a", b"1")
    store.request_commit(b"one")
    store.sync_now()
    store.put(Table.FILE, b"a", bytes(2_000_000))
    store.request_commit(b"two")
    store.close()
    store = CatalogStore(folder, KEY)
    assert store.position() == b"one"
    assert store.get(Table.FILE, b"a") == b"1"
    store.close()


# -- damage ------------------------------------------------------------------------------------

DAMAGED = """
import random, shutil, sys
from pathlib import Path
from test_store import KEY, ROWS, state_after
from tagfs.catalog.schema import Table
from tagfs.catalog.store import CatalogStore
from tagfs.errors import Integrity

whole, broken, rounds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
choose = random.Random(6)
data = whole.joinpath("data.mdb").read_bytes()
pages = len(data) // 4096
models = {}
outcomes = {"right": 0, "integrity": 0}
for number in range(rounds):
    hurt = bytearray(data)
    kind = number % 5
    if kind == 0:  # a bit anywhere
        hurt[choose.randrange(len(hurt))] ^= 1 << choose.randrange(8)
    elif kind == 1:  # where LMDB keeps its offsets
        hurt[choose.randrange(pages) * 4096 + choose.randrange(64)] = choose.randrange(256)
    elif kind == 2:  # a lost page
        at = choose.randrange(pages) * 4096
        hurt[at : at + 4096] = bytes(4096)
    elif kind == 3:  # a page in another's place
        a, b = choose.randrange(pages) * 4096, choose.randrange(pages) * 4096
        hurt[a : a + 4096] = data[b : b + 4096]
    else:
        del hurt[choose.randrange(len(hurt)) :]
    broken.mkdir(exist_ok=True)
    broken.joinpath("data.mdb").write_bytes(hurt)
    try:
        store = CatalogStore(broken, KEY)
        try:
            units = int.from_bytes(store.position() or b"", "big")
            model = models.setdefault(units, state_after(units))
            for row in range(ROWS):
                key = row.to_bytes(2, "big")
                if store.get(Table.FILE, key) != model.get(key):
                    sys.exit(f"round {number}: row {row} is wrong at unit {units}")
        finally:
            store.close()
        outcomes["right"] += 1
    except Integrity:
        outcomes["integrity"] += 1
    shutil.rmtree(broken)
print(outcomes["right"], outcomes["integrity"])
"""


def damage(tmp_path: Path, rounds: int) -> None:
    whole = tmp_path / "whole"
    store = CatalogStore(whole, KEY)
    for unit in range(1, 61):
        apply_unit(store, unit)
        store.request_commit(unit.to_bytes(8, "big"))
        if unit % 10 == 0:
            store.commit()
    store.close()
    ended = run_child(DAMAGED, str(whole), str(tmp_path / "broken"), str(rounds))
    assert ended.returncode == 0, f"{ended.returncode}: {ended.stderr}"
    right, integrity = map(int, ended.stdout.split())
    assert right + integrity == rounds
    assert integrity > rounds // 3


def test_a_damaged_file_is_never_served_wrong_and_never_kills(tmp_path: Path) -> None:
    damage(tmp_path, 250)


@pytest.mark.long
def test_a_file_damaged_in_many_ways_is_never_served_wrong(tmp_path: Path) -> None:
    damage(tmp_path, 10_000)


def test_a_file_that_is_no_catalog_is_named(folder: Path) -> None:
    folder.mkdir()
    (folder / "data.mdb").write_bytes(random.Random(1).randbytes(100_000))
    with pytest.raises(Integrity, match="built again"):
        CatalogStore(folder, KEY)


def test_a_big_file_is_walked_only_when_it_was_not_left_as_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_file, "TRUSTED_SIZE", 0)
    CatalogStore(folder, KEY).close()
    walked: list[str] = []

    def walk(path: str) -> list[str]:
        walked.append(path)
        return []

    monkeypatch.setattr(catalog_file, "_verify", walk)
    CatalogStore(folder, KEY).close()
    assert not walked  # closed cleanly
    CatalogStore(folder, KEY)._file.close()  # as a kill leaves it
    CatalogStore(folder, KEY).close()
    assert len(walked) == 1
    os.utime(folder / "data.mdb", ns=(1, 1))
    CatalogStore(folder, KEY).close()
    assert len(walked) == 2


# -- any order of calls ------------------------------------------------------------------------

keys = st.integers(0, 9).map(lambda number: b"%d" % number)
values = st.binary(max_size=40) | st.integers(1000, 3000).map(bytes)


class StoreMachine(RuleBasedStateMachine):
    """Whatever is called in whatever order: reads answer as a dictionary would."""

    @initialize()
    def open(self) -> None:
        import tempfile

        self.folder = Path(tempfile.mkdtemp())
        self.store = CatalogStore(self.folder, KEY)
        self.now: dict[tuple[Table, bytes], bytes] = {}
        self.marked = dict(self.now)

    @rule(table=st.sampled_from([Table.FILE, Table.TAG]), key=keys, value=values)
    def put(self, table: Table, key: bytes, value: bytes) -> None:
        self.store.put(table, key, value)
        self.now[table, key] = value

    @rule(table=st.sampled_from([Table.FILE, Table.TAG]), key=keys)
    def delete(self, table: Table, key: bytes) -> None:
        self.store.delete(table, key)
        self.now.pop((table, key), None)

    @rule()
    def mark(self) -> None:
        self.store.request_commit()
        self.marked = dict(self.now)

    @rule()
    def commit(self) -> None:
        self.store.commit()

    @rule()
    def forget_cached_rows(self) -> None:
        self.store._young, self.store._old = {}, {}

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = CatalogStore(self.folder, KEY)
        self.now = dict(self.marked)

    @invariant()
    def reads_are_right(self) -> None:
        for table in (Table.FILE, Table.TAG):
            for number in range(10):
                key = b"%d" % number
                assert self.store.get(table, key) == self.now.get((table, key))

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.folder)


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
