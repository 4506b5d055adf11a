"""How photos are named on the command line: by paths in the mount, names, or ids."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tagfs.cli import paths
from tagfs.mount import mountpoint as mounts


def named(words: Sequence[str], state: Path) -> dict[str, list[str]]:
    """Return the arguments of a call that name photos: as they were typed, and the paths within
    the gallery that they have where it is mounted."""
    return {"photos": list(words), "paths": inside(words, state)}


def inside(words: Sequence[str], state: Path) -> list[str]:
    """Return for each word the path from the root of the gallery, where it is one into the mount
    of this vault; an empty text for others."""
    served = paths.served_at(state)
    return [_inside(word, served) for word in words]


def _inside(word: str, served: str | None) -> str:
    if served is None or not mounts.is_inside(word, served):
        return ""
    return "/" + os.path.relpath(mounts.canonical(word), served)
