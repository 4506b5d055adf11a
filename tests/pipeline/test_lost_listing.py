"""A segment that is lost takes names with it, and no file whose content another one records."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import trio
from gallery_kit import make, opened, secret_of

from tagfs.pipeline import uploading
from tagfs.pipeline.from_objects import recover_from_objects
from tagfs.pipeline.opening import join
from tagfs.remote.url import dir_url
from tagfs.vault.layout import segment_path
from tagfs.vault.segments import segment_name


@pytest.mark.parametrize("after", ["kept", "deleted", "removed from the trash"])
def test_a_file_whose_name_was_in_a_lost_segment_comes_back_unless_it_was_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    monkeypatch.setattr(uploading, "PAUSE", 0.0)

    async def script() -> None:
        await make(tmp_path)
        async with opened(tmp_path) as g:
            g.tree.create(*g.split("a.bin"), 0o644)
            assert await g.gallery.wait("stored", 60)
            ring, device = g.gallery.vault.ring, g.gallery.vault.device.id
            assert g.gallery.vault.memory.heads[device].seq == 1
            await g.write("a.bin", b"written later")
            assert await g.gallery.wait("stored", 60)
            if after != "kept":
                g.tree.acting(1)
                g.rm("a.bin")
            if after == "removed from the trash":
                g.tree.acting(2)
                g.rm("trash/a.bin")
            assert await g.gallery.wait("stored", 60)
        (tmp_path / "remote" / segment_path(segment_name(ring, device, 1))).unlink()
        secret = secret_of(tmp_path / "state")
        shutil.rmtree(tmp_path / "state")
        await join(tmp_path / "state", dir_url(tmp_path / "remote"), secret)
        async with opened(tmp_path, salvage=True) as g:
            report = await recover_from_objects(g.gallery)
            assert report.failed == []
            if after != "kept":
                assert report.files == 0
                return
            assert (report.files, "a.bin" in g.names()) == (1, False)
            assert await g.read(f"{report.folder}/a.bin") == b"written later"
            assert (await recover_from_objects(g.gallery)).files == 0
            before = g.gallery.state.state_hash()
            assert not [p for p in (await g.gallery.verify(1.0)).problems if "missing" not in p]
        await join(tmp_path / "third", dir_url(tmp_path / "remote"), secret)
        async with opened(tmp_path, "third", salvage=True) as g:
            assert g.gallery.state.state_hash() == before

    trio.run(script)
