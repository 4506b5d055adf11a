"""Who has a whole gallery fetched file by file is named once; who looks at a few never."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from pathlib import Path

import pytest
import trio

from tagfs.model import FileId
from tagfs.pipeline.opening import open_gallery
from tagfs.remote.url import dir_url, open_store
from tagfs.views import readers
from tagfs.views.callers import process
from tagfs.views.readers import GAP, MANY, Readers

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from far_store import Far
from gallery_kit import Folder, make, secret_of


class Desk:
    def __init__(self) -> None:
        self.now = 0.0
        self.told: list[str] = []
        self.readers = Readers(
            self.told.append,
            lambda pid: (pid // 10, f"program-{pid // 10}"),
            lambda: self.now,
        )

    def read(self, pid: int, count: int, first: int = 0, pause: float = 1.0) -> None:
        for i in range(first, first + count):
            self.readers.fetching(pid, FileId(i.to_bytes(16, "big")))
            self.now += pause


def test_a_process_that_reads_hundreds_of_absent_files_is_named_once() -> None:
    desk = Desk()
    desk.read(70, MANY - 1)
    assert desk.told == []
    desk.read(71, 3 * MANY, first=MANY)  # another thread of it
    assert len(desk.told) == 1
    assert desk.told[0].startswith(f"program-7 (process 7) has read {MANY} files")
    desk.now += 10 * GAP
    desk.read(70, 2 * MANY)
    assert len(desk.told) == 1
    desk.read(80, MANY)
    assert len(desk.told) == 2


def test_a_few_files_or_many_with_pauses_or_one_again_and_again_are_nothing() -> None:
    desk = Desk()
    desk.read(70, MANY - 1)
    desk.now += GAP
    desk.read(70, MANY - 1)
    for _ in range(5 * MANY):
        desk.read(90, 2)
    desk.read(100, 2 * MANY, pause=GAP)
    for pid in range(1000, 1000 + 20 * MANY, 10):
        desk.read(pid, 1, first=pid)
    desk.read(0, 2 * MANY)  # nobody in particular
    assert desk.told == []


def test_a_thread_belongs_to_its_process() -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(process(threading.get_native_id())))
    thread.start()
    thread.join()
    mine = (os.getpid(), Path("/proc/self/comm").read_text().rstrip())
    assert found == [process(os.getpid())] == [mine]
    assert process(2**22 + 1) == (2**22 + 1, "a program")


def test_only_bytes_that_are_not_on_this_machine_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "MANY", 3)

    async def main() -> None:
        await make(tmp_path)
        for _ in range(2):
            store = Far(open_store(dir_url(tmp_path / "remote"), create=False))
            async with open_gallery(
                tmp_path / "state",
                secret_of(tmp_path / "state"),
                open_remote=lambda url, create, store=store: store,
            ) as gallery:
                g = Folder(gallery)
                g.tree.acting(os.getpid())
                if "0.bin" not in g.names():
                    for i in range(5):
                        await g.write(f"{i}.bin", b"%d" % i * 1000)
                    assert await gallery.wait("stored", 60)
                    for i in range(5):
                        await g.read(f"{i}.bin")
                    assert "in a row" not in (await g.read(".tagfs/events")).decode()
                else:
                    for i in range(5):
                        assert await g.read(f"{i}.bin") == b"%d" % i * 1000
                    said = (await g.read(".tagfs/events")).decode()
                    assert said.count("in a row") == 1
                    assert f"(process {os.getpid()}) has read 3 files" in said
            shutil.rmtree(tmp_path / "state" / "cache")

    trio.run(main)
