"""A vault that is older than what was seen of it is told at the next opening, without asking."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import trio
from gallery_kit import SECRET, Folder, make, opened

from tagfs.pipeline.opening import join
from tagfs.remote.url import dir_url
from tagfs.vault.slots import Words
from tagfs.vault.words import new_entropy, to_words


async def told(g: Folder) -> list[str]:
    """Return what the opening said, after it has looked."""
    await g.gallery.rollback.look()
    return [str(event["text"]) for event in g.gallery.ledger.events()]


async def store(g: Folder, name: str) -> None:
    await g.write(name, name.encode())
    assert await g.gallery.wait("stored", 60)


def test_a_journal_that_was_rolled_back_is_told_at_opening_and_in_the_status(
    tmp_path: Path,
) -> None:
    async def script() -> None:
        await make(tmp_path)
        async with opened(tmp_path) as g:
            await store(g, "a.txt")
        shutil.copytree(tmp_path / "remote", tmp_path / "older")
        async with opened(tmp_path) as g:
            await store(g, "b.txt")
            assert await told(g) == []
        newer = {p for p in (tmp_path / "remote" / "j").rglob("*") if p.is_file()}
        for path in newer:
            if not (tmp_path / "older" / path.relative_to(tmp_path / "remote")).exists():
                path.unlink()
        async with opened(tmp_path) as g:
            with trio.fail_after(30):
                while g.gallery.rollback.problem is None:
                    await trio.sleep(0.05)
            events = [str(event["text"]) for event in g.gallery.ledger.events()]
            assert any("rolled back or cut" in text for text in events)
            assert "rolled back or cut" in g.gallery.status().remote_state
            assert await g.read("a.txt") == b"a.txt"

    trio.run(script)


def test_an_older_header_is_told_at_opening(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        first = tmp_path / "remote" / "h" / "00000001"
        older = first.read_bytes()
        async with opened(tmp_path) as g:
            await g.gallery.vault.change_words(Words(to_words(new_entropy())))
            await store(g, "a.txt")
        for path in first.parent.iterdir():
            os.chmod(path, 0o600)
            path.unlink()
        first.write_bytes(older)
        async with opened(tmp_path) as g:
            assert any("h/" in text or "header" in text for text in await told(g))
            assert g.gallery.status().remote_state != "ok"

    trio.run(script)


def test_devices_that_take_turns_are_no_alarm(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        async with opened(tmp_path) as g:
            await store(g, "a.txt")
        await join(tmp_path / "other", dir_url(tmp_path / "remote"), SECRET)
        for turn in range(2):
            for state in ("other", "state"):
                async with opened(tmp_path, state) as g:
                    await store(g, f"{state}-{turn}.txt")
                    assert await told(g) == []
                    assert g.gallery.status().remote_state == "ok"

    trio.run(script)
