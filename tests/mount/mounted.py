"""What tests of real mounts share: a server process, and leaving nothing mounted."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PATIENCE = 30.0
"""Seconds that a server gets to say what it is expected to say."""


def why_no_mounts() -> str | None:
    """Return what this machine lacks for a FUSE mount, None when it lacks nothing."""
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        return f"/dev/fuse cannot be opened ({error.strerror}): real mounts are not tested"
    return None


def environment() -> dict[str, str]:
    """Return an environment in which a fresh Python finds tagfs."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "PYTHONUNBUFFERED": "1",
    }


def is_mounted(path: Path) -> bool:
    """Ask the kernel's list, not the mount, which may be dead."""
    return f" {path} " in Path("/proc/self/mountinfo").read_text()


def unmount_by_force(path: Path) -> None:
    """Remove whatever is mounted on a path, dead or alive."""
    for _ in range(10):
        if not is_mounted(path):
            return
        # May fail because the helper of auto_unmount was quicker.
        subprocess.run(["fusermount3", "-u", "-z", str(path)], capture_output=True)
    assert not is_mounted(path)


def drop_pages(path: Path) -> None:
    """Make the kernel forget the bytes of a file, so that the next read asks the server."""
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


class Server:
    """A process that mounts something and says ``ready``."""

    def __init__(self, mountpoint: Path, command: list[str]) -> None:
        self.path = mountpoint
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            text=True,
            bufsize=1,
        )

    def say(self, line: str) -> Any:
        """Send a line to the server and return its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        return json.loads(self.hear())

    def hear(self) -> str:
        """Return the server's next line."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            raise AssertionError(f"the server said nothing more; on stderr: {self.errors()}")
        return line.rstrip("\n")

    def end(self, number: signal.Signals) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def errors(self) -> str:
        """Return what an ended server wrote to stderr."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def close(self) -> None:
        """Leave nothing behind, whatever happened."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        unmount_by_force(self.path)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
