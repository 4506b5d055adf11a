"""Print a gallery as a tree, the way the README shows it: show_tree.py MOUNTPOINT."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

MOST = 12  # entries shown of one folder
DEEPEST = 3


def lines(folder: Path, depth: int = 1, indent: str = "") -> Iterator[str]:
    """Yield one line for each entry, folders first."""
    with os.scandir(folder) as listing:
        entries = sorted(listing, key=lambda e: (not e.is_dir(follow_symlinks=False), e.name))
    for number, entry in enumerate(entries):
        last = number == len(entries) - 1
        if number == MOST and not last:
            yield f"{indent}└── … {len(entries) - MOST} more"
            return
        is_folder = entry.is_dir(follow_symlinks=False)
        yield f"{indent}{'└── ' if last else '├── '}{entry.name}{'/' if is_folder else ''}"
        if is_folder and depth < DEEPEST:
            yield from lines(Path(entry.path), depth + 1, indent + ("    " if last else "│   "))


def main() -> int:
    """Print the tree."""
    print("Gallery/")
    for line in lines(Path(sys.argv[1])):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
