"""Photos that were written under one name in several views: who has it, and that it stays so."""

from __future__ import annotations

import sys
from pathlib import Path

import trio

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from colours import ByColour, photo
from gallery_kit import Folder, make, opened

NAMES = [f"IMG_{number}.jpg" for number in range(12)]
"""As many as make every order of ids, which are hashes, appear."""


def test_a_name_goes_on_resolving_where_it_was_written_and_the_older_photo_keeps_it(
    tmp_path: Path,
) -> None:
    async def script() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=ByColour()) as g:
            g.mkdir("tags/x")
            for number, name in enumerate(NAMES):
                await g.write(f"all/{name}", photo(number))
                await g.write(f"tags/x/{name}", photo(100 + number))
                await g.write(f"tags/x/{name}", photo(200 + number))
            shown = {path: g.names(path) for path in ("all", "tags/x")}
            await check(g)
            assert await g.gallery.wait("recognised", 60)
            await check(g)
            assert shown == {path: g.names(path) for path in ("all", "tags/x")}
        async with opened(tmp_path, recogniser=ByColour()) as g:
            await check(g)
            assert shown == {path: g.names(path) for path in ("all", "tags/x")}

    trio.run(script)


async def check(g: Folder) -> None:
    assert len(g.names("all")) == 3 * len(NAMES)
    assert len(g.names("tags/x")) == 2 * len(NAMES)
    for number, name in enumerate(NAMES):
        assert await g.read(f"all/{name}") == photo(number)
        assert await g.read(f"tags/x/{name}") == photo(200 + number)
