"""A new device notices that segments are missing, where the others still tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from gallery_kit import make, opened, secret_of

from tagfs.errors import Integrity
from tagfs.pipeline import uploading
from tagfs.pipeline.from_objects import recover_from_objects
from tagfs.pipeline.opening import join
from tagfs.remote.url import dir_url
from tagfs.vault.layout import segment_path
from tagfs.vault.segments import segment_name


async def store(tmp_path: Path, state: str, names: Sequence[str]) -> list[Path]:
    """Store files from one device; return where its segments lie."""
    async with opened(tmp_path, state) as g:
        for name in names:
            await g.write(name, name.encode() * 1000)
            assert await g.gallery.wait("stored", 60)
        vault = g.gallery.vault
        device = vault.device.id
        count = vault.memory.heads[device].seq
        paths = [segment_path(segment_name(vault.ring, device, n + 1)) for n in range(count)]
        return [tmp_path / "remote" / path for path in paths]


@pytest.mark.parametrize("lost", ["the first", "a middle one", "the last", "all"])
def test_a_journal_that_lacks_what_others_tell_of_is_not_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.setattr(uploading, "PAUSE", 0.0)

    async def script() -> None:
        await make(tmp_path)
        secret, url = secret_of(tmp_path / "state"), dir_url(tmp_path / "remote")
        segments = await store(tmp_path, "state", "abc")
        await join(tmp_path / "other", url, secret)
        await store(tmp_path, "other", "d")
        chosen = {
            "the first": segments[:1],
            "a middle one": segments[1:2],
            "the last": segments[-1:],
            "all": segments,
        }[lost]
        for path in chosen:
            path.unlink()
        await join(tmp_path / "new", url, secret)
        with pytest.raises(Integrity, match=r"egment .* of device .* missing.*repair --from-obj"):
            async with opened(tmp_path, "new"):
                pass
        async with opened(tmp_path, "new", salvage=True) as g:
            report = await recover_from_objects(g.gallery)
            places = ["", report.folder] if report.folder else [""]
            for name in "abcd":
                found = [await g.read(f"{p}/{name}") for p in places if name in g.names(p)]
                assert name.encode() * 1000 in found

    trio.run(script)
