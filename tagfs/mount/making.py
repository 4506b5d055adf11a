"""Telling a ``mkdir`` from other look-ups, for folders that are there once somebody asks.

Before it makes a directory the kernel looks the name up, and where that resolves it answers EEXIST
by itself. ``mkdir search/dog``, which keeps a query, would never arrive: every query resolves. The
protocol does not say what a look-up is for, but the process that waits for it says in which system
call it is.
"""

from __future__ import annotations

import os

_CALLS = {"x86_64": {83, 258}, "aarch64": {34}, "riscv64": {34}}
_MKDIR = _CALLS.get(os.uname().machine, set())
"""Numbers of mkdir and mkdirat on this machine."""


def is_making_directory(pid: int) -> bool:
    """Whether a thread is waiting in mkdir.

    Where the kernel does not tell one process of another (Yama), only the program mkdir is known.
    """
    if not pid:
        return False
    try:
        with open(f"/proc/{pid}/syscall", "rb") as file:
            number = file.read(16).split(b" ")[0]
        return number.isdigit() and int(number) in _MKDIR
    except OSError:
        pass
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return file.read() == b"mkdir\n"
    except OSError:
        return False
