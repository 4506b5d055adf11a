"""What is missing on the remote comes back bit for bit, what is there is never changed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import trio
from gallery_kit import Folder, make, opened

from tagfs.pipeline.putting_back import RepairReport, put_back
from tagfs.remote.dir import DirStore

FILES = {"a.bin": b"a" * 3000, "b.bin": b"b" * 300_000, "c.bin": os.urandom(34_000_000)}


async def filled(tmp_path: Path) -> None:
    await make(tmp_path)
    async with opened(tmp_path) as g:
        for name, data in FILES.items():
            await g.write(name, data)
        assert await g.gallery.wait("stored", 60)
    shutil.copytree(tmp_path / "remote", tmp_path / "copy")


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def lose(tmp_path: Path, kind: str) -> None:
    for path in (tmp_path / "remote" / kind).rglob("*"):
        if path.is_file():
            path.unlink()


async def repaired(g: Folder, copy: Path | None = None) -> RepairReport:
    return await put_back(g.gallery, None if copy is None else DirStore(copy, create=False))


def test_missing_objects_come_back_from_this_machine_bit_for_bit(tmp_path: Path) -> None:
    async def script() -> None:
        await filled(tmp_path)
        lose(tmp_path, "o")
        async with opened(tmp_path) as g:
            report = await repaired(g)
            assert (report.put, report.failed) == (4, [])
            assert not (await g.gallery.verify(1.0)).problems
            assert (await repaired(g)).put == 0
        assert everything(tmp_path / "remote") == everything(tmp_path / "copy")

    trio.run(script)


def test_objects_and_journals_come_back_from_a_second_copy(tmp_path: Path) -> None:
    async def script() -> None:
        await filled(tmp_path)
        lose(tmp_path, "o")
        lose(tmp_path, "j")
        shutil.rmtree(tmp_path / "state" / "cache")
        async with opened(tmp_path) as g:
            report = await repaired(g, tmp_path / "copy")
            assert (report.put, report.failed) == (4, [])
            assert report.segments > 0
            problems = (await g.gallery.verify(1.0)).problems
            assert not problems
        assert everything(tmp_path / "remote") == everything(tmp_path / "copy")

    trio.run(script)


def test_a_damaged_copy_is_never_put_and_a_damaged_object_never_changed(tmp_path: Path) -> None:
    async def script() -> None:
        await filled(tmp_path)
        shutil.rmtree(tmp_path / "state" / "cache")
        objects = [p for p in (tmp_path / "remote" / "o").rglob("*") if p.is_file()]
        small, middle = sorted(objects, key=lambda p: p.stat().st_size)[:2]
        bad = tmp_path / "copy" / small.relative_to(tmp_path / "remote")
        os.chmod(bad, 0o600)
        bad.write_bytes(bad.read_bytes()[:-1] + b"\0")
        small.unlink()
        os.chmod(middle, 0o600)
        middle.write_bytes(b"cut")
        async with opened(tmp_path) as g:
            report = await repaired(g, tmp_path / "copy")
            assert report.put == 0
            assert len(report.failed) == 2
            for name in ("a.bin", "b.bin"):
                assert any(name in text for text in report.failed)
        assert not small.exists()
        assert middle.read_bytes() == b"cut"

    trio.run(script)
