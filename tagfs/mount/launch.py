"""Starting the daemon: afresh, with the secret through a pipe, and heard until it is ready."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, NoReturn

import tagfs
from tagfs.errors import Usage
from tagfs.mount.log import log_path
from tagfs.mount.messages import LINE, Broken, error_from_json
from tagfs.mount.options import MountOptions
from tagfs.vault.slots import Passphrase, Words

ORDER = 60_000
"""Bytes of an order, at most: a pipe takes so much at once."""
UNWANTED = frozenset({"TAGFS_PASSPHRASE"})
"""Variables that the daemon is started without."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the daemon is to mount, and the secret that opens it."""

    state: Path
    where: str  # canonical mountpoint
    options: MountOptions
    secret: Passphrase | Words = field(repr=False)
    foreground: bool = False

    def encode(self) -> bytes:
        """Return the order as JSON."""
        text = json.dumps(
            {
                "state": os.fspath(self.state),
                "where": self.where,
                "options": asdict(self.options),
                "words": isinstance(self.secret, Words),
                "secret": self.secret.text,
                "foreground": self.foreground,
            }
        ).encode()
        if len(text) > ORDER:
            raise Usage("The passphrase is too long.")
        return text

    @classmethod
    def decode(cls, text: bytes) -> Order:
        """Read an order of the same version of tagfs."""
        raw = json.loads(text)
        return cls(
            Path(raw["state"]),
            raw["where"],
            MountOptions(**raw["options"]),
            (Words if raw["words"] else Passphrase)(raw["secret"]),
            raw["foreground"],
        )


def in_background(order: Order) -> int:
    """Start the daemon and return its process id when the mount answers.

    Raises what the daemon says kept it from mounting.
    """
    daemon = subprocess.Popen(
        command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        env=environment(),
        start_new_session=True,
    )
    assert daemon.stdin is not None
    assert daemon.stdout is not None
    assert daemon.stderr is not None
    try:
        with daemon.stdin as pipe:
            pipe.write(order.encode())
        _hear(daemon.stdout, daemon.stderr, order.state)
    except BrokenPipeError:
        _hear(daemon.stdout, daemon.stderr, order.state)
    except BaseException:
        daemon.terminate()
        daemon.wait()
        raise
    finally:
        daemon.stdout.close()
        daemon.stderr.close()
    # It outlives this process, which is what it is for.
    daemon.returncode = 0
    return daemon.pid


def in_foreground(order: Order) -> NoReturn:
    """Become the daemon. A fresh process image has neither the old environment nor its memory."""
    reading, writing = os.pipe()
    os.write(writing, order.encode())
    os.close(writing)
    os.dup2(reading, 0)
    os.close(reading)
    sys.stdout.flush()
    sys.stderr.flush()
    arguments = command()
    os.execve(arguments[0], arguments, environment())


def command() -> list[str]:
    """Return the daemon's command line, which says nothing."""
    # -P: the folder that this was started in is no place to import from.
    return [sys.executable, "-P", "-m", "tagfs.mount.daemon"]


def environment() -> dict[str, str]:
    """Return this environment without secrets, in which the same tagfs is found."""
    kept = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    here = os.fspath(Path(tagfs.__file__).resolve().parent.parent)
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [here, kept.get("PYTHONPATH")]))
    return kept


def _hear(stdout: IO[bytes], stderr: IO[bytes], state: Path) -> None:
    """Return when the daemon is ready; raise what it says otherwise."""
    line = stdout.readline(LINE)
    try:
        said = json.loads(line) if line else {}
    except ValueError:
        said = {}
    if said.get("ready") is True:
        return
    if "error" in said:
        raise error_from_json(said["error"])
    last = stderr.read(65536).decode(errors="replace").strip().splitlines()
    why = f" ({last[-1]})" if last else ""
    raise Broken(f"The daemon ended before it was ready{why}; see {log_path(state)}.")
