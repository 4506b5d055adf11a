"""What tests with people's programs share: a mounted gallery, and running a program on it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tagfs.pipeline.names import RESERVED

sys.path.insert(0, str(Path(__file__).parent.parent / "mount"))
sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from mounted import HERE as MOUNT_TESTS
from mounted import PATIENCE, Server, drop_pages, unmount_by_force, why_no_mounts

__all__ = ["PATIENCE", "Done", "Gallery", "drop_pages", "why_no_mounts"]


@dataclass(frozen=True)
class Done:
    """A program that has ended: its status, what it said, what it complained about."""

    status: int
    out: str
    err: str


class Gallery:
    """A vault in a folder of its own, mounted; the recogniser goes by colour (colours.py)."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self.path = home.resolve() / "Gallery"
        self.path.mkdir()
        self._options = options
        self._server: Server | None = None

    def __truediv__(self, relative: str) -> Path:
        return self.path / relative

    def mount(self) -> None:
        """Mount; with a state that was removed, as a new device that has no photo's bytes."""
        command = [sys.executable, str(MOUNT_TESTS / "vault_server.py")]
        command += [str(self.path), str(self.home), "--by-colour", *self._options]
        self._server = Server(self.path, command)
        assert self._server.hear() == "ready"

    def unmount(self) -> None:
        """Unmount and check that the server ended as it should and has complained of nothing."""
        assert self._server is not None
        server, self._server = self._server, None
        try:
            # Those that were just killed may have something open for a moment.
            assert soon(lambda: run("fusermount3", "-u", self.path, expect=None).status == 0)
            assert server.hear() == "clean"
            assert server.process.wait(PATIENCE) == 0
            assert "Traceback" not in (complaints := server.errors()), complaints
        finally:
            server.close()

    def kill(self) -> None:
        """Leave nothing behind, whatever happened."""
        if self._server is not None:
            self._server.close()
        unmount_by_force(self.path)

    def become_a_new_device(self) -> None:
        """Join the vault anew: every byte is on the remote alone."""
        self.say("wait stored")
        self.unmount()
        shutil.rmtree(self.home / "state")
        self.mount()

    def say(self, line: str) -> Any:
        """Tell the server something (vault_server.py)."""
        assert self._server is not None
        return self._server.say(line)

    def recognised(self) -> None:
        """Return when everything was looked at."""
        assert self.say("wait recognised")

    def events(self) -> str:
        """Return what happened that a user should know."""
        return (self.path / ".tagfs" / "events").read_text()

    def names(self, relative: str = "") -> set[str]:
        """Return what a folder lists."""
        return set(os.listdir(self.path / relative))

    def contents(self, relative: str = "") -> set[bytes]:
        """Return the bytes of every file in a folder of any depth."""
        found = set()
        for folder, _, names in os.walk(self.path / relative):
            found |= {Path(folder, name).read_bytes() for name in names}
        return found

    def everything(self) -> set[bytes]:
        """Return the contents that exist: in the user's folders, all/ or the trash."""
        found = self.contents("all") | self.contents("trash")
        for name in self.names() - {os.fsdecode(view) for view in RESERVED}:
            path = self.path / name
            found |= self.contents(name) if path.is_dir() else {path.read_bytes()}
        return found


def run(*command: str | Path, expect: int | None = 0, **more: Any) -> Done:
    """Run a program; its exit status must be ``expect`` (None: any)."""
    more.setdefault("timeout", 2 * PATIENCE)
    done = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"} | more.pop("env", {}),
        **more,
    )
    out, err = (os.fsdecode(said) for said in (done.stdout, done.stderr))
    if expect is not None:
        assert done.returncode == expect, f"{command}: {done.returncode}: {out}{err}"
    return Done(done.returncode, out, err)


def need(*programs: str) -> None:
    """Skip, and say which program is missing."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: what it does to a gallery is not tested")


def soon(condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    """Wait for what another program is about to do."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)  # it has processes of its own to wait for; nothing here can hold its clock
    return condition()


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program that was started in a session of its own, with all that it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            pass  # it is killed next
