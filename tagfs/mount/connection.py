"""The kernel's end of a mount, which can be cut off so that nobody waits for a dead daemon.

A notice (tagfs.mount.invalidate) waits in the kernel for the lock of a directory, and no signal
ends that. If the daemon is killed while a request that holds the lock is unanswered, the waiting
thread keeps /dev/fuse open, so the kernel goes on waiting for the answer, and the programs that
asked cannot even be killed. Only aborting the connection frees them (Linux,
Documentation/filesystems/fuse.rst, "Aborting a filesystem connection").
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from tagfs.mount import guard
from tagfs.mount.log import log
from tagfs.mount.mountpoint import mounted_at

CONTROL = Path("/sys/fs/fuse/connections")
"""Where systems with systemd mount fusectl; containers often do not."""


def can_be_cut_off() -> bool:
    """Whether this system lets the owner of a mount abort its connection."""
    return os.path.ismount(CONTROL)


class Connection:
    """One mount's connection, and the guard that aborts it when this process dies.

    Made and closed in the main thread, whose end is what the guard is told of.
    """

    def __init__(self, where: str) -> None:
        self._abort: int | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        there = mounted_at(where)
        if there is None:
            return
        minor = there.device.partition(":")[2]
        with contextlib.suppress(OSError):
            # Kept open: the number may belong to another mount later, the open file does not.
            self._abort = os.open(CONTROL / minor / "abort", os.O_WRONLY | os.O_CLOEXEC)
            self._guard = self._start_guard(self._abort)
        if self._guard is None:
            log.info("fusectl cannot be used; were tagfs killed, others might wait for ever.")

    @staticmethod
    def _start_guard(abort: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            # -I -S: quick to start, and nothing of the user's runs in it.
            [sys.executable, "-I", "-S", guard.__file__, str(os.getpid())],
            stdin=abort,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
        )

    def abort(self) -> bool:
        """Fail every request in flight and to come; False where that cannot be done."""
        if self._abort is None:
            return False
        try:
            os.write(self._abort, b"1\n")
        except OSError:
            return False
        return True

    def close(self) -> None:
        """End the guard: nothing waits for an answer any more."""
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
        if self._abort is not None:
            os.close(self._abort)
        self._guard = self._abort = None
