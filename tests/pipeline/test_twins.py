"""A second file with bytes that are stored already: its own sealing goes, who has it open stays."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
import trio
from gallery_kit import Folder, make, opened

from tagfs.views.opened import Opened

DATA = random.Random(1).randbytes(300_000)


async def written_and_open(g: Folder, name: str) -> Opened:
    """Write DATA to a new file, as far as a first close, and leave it open."""
    ino = g.tree.create(*g.split(name), 0o644).ino
    handle = await g.tree.open(ino, os.O_RDWR)
    for at in range(0, len(DATA), 131072):
        handle.write(at, DATA[at : at + 131072])
    await handle.flush()
    # What is dropped goes once the journal is on stable storage.
    await g.gallery.sync()
    await trio.sleep(0.5)
    return handle


@pytest.mark.parametrize("stored", [False, True])
def test_a_second_copy_that_stays_open_is_read_and_edited(tmp_path: Path, stored: bool) -> None:
    async def script() -> None:
        await make(tmp_path)
        async with opened(tmp_path) as g:
            await g.write("first.bin", DATA)
            if stored:
                assert await g.gallery.wait("stored", 60)
            handle = await written_and_open(g, "second.bin")
            assert bytes(await handle.read(200_000, 100)) == DATA[200_000:200_100]
            handle.write(150_000, b"edited")
            await handle.flush()
            await handle.release()
            assert await g.gallery.wait("stored", 60)
            edited = DATA[:150_000] + b"edited" + DATA[150_006:]
            assert await g.read("second.bin") == edited
            assert await g.read("first.bin") == DATA
            report = await g.gallery.verify(1.0)
            assert not report.problems
        async with opened(tmp_path) as g:
            assert await g.read("second.bin") == edited

    trio.run(script)
