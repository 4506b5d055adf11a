"""A program that saves several files by way of one temporary name: each stays what it is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from colours import ByColour, photo
from gallery_kit import make, opened


def text(number: int) -> bytes:
    return f"note {number}\n".encode() * 100


@pytest.mark.parametrize("make_bytes", [photo, text])
@pytest.mark.parametrize("where", ["tags/x", "all", "2019"])
def test_what_is_saved_by_way_of_one_temporary_name_stays_apart(
    tmp_path: Path, where: str, make_bytes: Callable[[int], bytes]
) -> None:
    async def script() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=ByColour()) as g:
            g.mkdir("tags/x")
            g.mkdir("2019")
            wanted = {}
            for number in range(6):
                name = "abc"[number % 3] + ".jpg"
                wanted[name] = make_bytes(number)
                await g.write(f"{where}/new.jpg", wanted[name])
                g.mv(f"{where}/new.jpg", f"{where}/{name}")
            for _ in range(2):
                for name, data in wanted.items():
                    assert await g.read(f"{where}/{name}") == data, name
                assert await g.gallery.wait("recognised", 60)

    trio.run(script)
