"""Which program a request comes from, where an act cannot be understood without knowing it."""

from __future__ import annotations

MIRRORS = frozenset({b"rsync"})
"""Programs that compare attributes by themselves and make those here equal to another copy's."""


def mirrors(pid: int) -> bool:
    """Whether a process (or thread) only makes this place equal to another one."""
    try:
        with open(f"/proc/{pid}/comm", "rb") as told:
            return told.read().rstrip(b"\n") in MIRRORS
    except OSError:
        return False
