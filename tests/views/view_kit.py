"""What tests of views share: a gallery with photos of known dates, driven without a mount."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from tagfs.errors import FileError

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from colours import ByColour, photo, picture
from gallery_kit import SECRET, Folder, make, opened

__all__ = ["SECRET", "Folder", "opened", "photo", "picture", "refused", "removed", "run"]

MAY = "2019:05:12 10:00:00"
JUNE = "2019:06:01 10:00:00"


def run(tmp_path: Path, script: Callable[[Folder], Awaitable[None]]) -> None:
    """Run a script on a new gallery; red pictures are dogs, dark ones cats."""

    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=ByColour()) as folder:
            await script(folder)

    trio.run(main)


def refused(number: int) -> pytest.RaisesExc[FileError]:
    """Expect an errno."""
    return pytest.RaisesExc(FileError, check=lambda e: e.errno == number)


def removed(g: Folder, path: str) -> None:
    """Remove a directory of a view recursively, as ``rm -r`` does."""
    for _, name, attr in list(g.tree.list(g.ino(path), 0)):
        below = f"{path}/{name.decode()}"
        if attr.kind.value == "dir":
            removed(g, below)
        else:
            g.rm(below)
    g.rmdir(path)
