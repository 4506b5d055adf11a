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


def process(pid: int) -> tuple[int, str]:
    """Return the process that a process or thread id belongs to, and the name of its program.

    What has ended is itself, by the name of "a program".
    """
    number, name = pid, b"a program"
    try:
        with open(f"/proc/{pid}/status", "rb") as told:
            for line in told:
                if line.startswith(b"Tgid:"):
                    number = int(line[5:])
                    break
        with open(f"/proc/{number}/comm", "rb") as told:
            name = told.read().rstrip(b"\n")
    except (OSError, ValueError):
        pass
    return number, "".join(c for c in name.decode("utf-8", "replace") if c.isprintable())
