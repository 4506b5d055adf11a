"""A process beside the daemon that cuts the mount off when the daemon dies without unmounting.

Run by ``tagfs.mount.connection`` with the daemon's process id as argument and the connection's
``abort`` file as stdin. It has no keys and imports nothing of tagfs.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
DIED = signal.SIGUSR1


def main() -> None:
    """Wait for the death of the daemon's main thread, then abort the connection."""
    daemon = int(sys.argv[1])
    # A service manager tells every process to end, and the daemon still has files to close.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {DIED})
    # Of the thread, not of the process: that one does not end while the kernel holds a thread.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, DIED, 0, 0, 0)
    if is_alive(daemon):
        signal.sigwait({DIED})
    os.write(0, b"1\n")


def is_alive(process: int) -> bool:
    """Whether a process' main thread runs: a zombie's does not, though others of it may."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            state = file.read().rpartition(b")")[2].split()[0]
    except OSError:  # /proc may hide who it is about (hidepid), or it is gone
        return os.getppid() == process
    return state not in (b"Z", b"X") and os.getppid() == process


if __name__ == "__main__":
    main()
