"""The trash empties itself after 30 days, and undo reaches as far as the bytes do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import trio
from gallery_kit import Folder, make, opened

from tagfs.errors import TagfsError
from tagfs.pipeline.retention import DAY_MS, expire


def later(g: Folder, days: float, monkeypatch: pytest.MonkeyPatch) -> None:
    now = g.gallery.ledger.now_ns()
    monkeypatch.setattr(g.gallery.ledger, "now_ns", lambda: now + int(days * DAY_MS) * 1_000_000)


def test_a_file_leaves_the_trash_after_thirty_days_and_undo_still_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path) as g:
            g.mkdir("2019")
            await g.write("2019/a.txt", b"words")
            g.tree.acting(7)
            g.rm("2019/a.txt")
            later(g, 29.9, monkeypatch)
            assert expire(g.gallery.ledger) == 0
            assert g.names("trash") == ["a.txt"]
            later(g, 0.2, monkeypatch)
            assert expire(g.gallery.ledger) == 1
            assert g.names("trash") == []
            g.gallery.undoing.undo()
            assert await g.read("2019/a.txt") == b"words"
            g.rm("2019/a.txt")
            assert g.names("trash") == ["a.txt"]

    trio.run(main)


def test_an_act_that_is_too_old_stays_so_in_a_log_that_is_built_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path) as g:
            await g.write("a.txt", b"words")
            g.tree.acting(7)
            g.rm("a.txt")
            assert await g.gallery.wait("stored", 60)
        shutil.rmtree(tmp_path / "state" / "catalog")
        async with opened(tmp_path) as g:
            assert list(g.gallery.undoing.acts())
            later(g, 37.1, monkeypatch)
            assert not list(g.gallery.undoing.acts())
            act = next(g.gallery.state.undo.acts())
            for ident in (None, act.id):
                with pytest.raises(TagfsError):
                    g.gallery.undoing.undo(ident)
            assert "a.txt" not in g.names()

    trio.run(main)


def test_an_act_is_forgotten_when_its_grace_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path) as g:
            g.mkdir("2019")
            later(g, 36.9, monkeypatch)
            expire(g.gallery.ledger)
            assert len(list(g.gallery.undoing.acts())) == 1
            later(g, 0.2, monkeypatch)
            expire(g.gallery.ledger)
            with pytest.raises(TagfsError):
                g.gallery.undoing.undo()
            assert g.names("2019") == []

    trio.run(main)
