"""What scripts/bench/filesystem.py compares: tagfs, gocryptfs and a plain folder, mounted alike."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PASSPHRASE = "measure the sealed gallery\n"
LONG = 600
"""Seconds after which a command that does not end counts as hanging."""


def run(arguments: list[str], env: Mapping[str, str] | None = None) -> None:
    """Run a command; CalledProcessError with what it said when it fails."""
    done = subprocess.run(
        arguments, env=env, timeout=LONG, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        done.check_returncode()


class Peer:
    """One file system in a folder of its own; here the plain folder, the ceiling."""

    name = "plain"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "mnt"
        self.root.mkdir(parents=True)
        self.secret = folder / "passphrase"
        self.secret.touch(mode=0o600)
        self.secret.write_text(PASSPHRASE)

    @property
    def backing(self) -> list[Path]:
        """Where its bytes lie on the disk."""
        return [self.root]

    @contextmanager
    def mounted(self) -> Iterator[Path]:
        """Mount it afresh and yield the mountpoint; it is unmounted afterwards."""
        self.mount()
        try:
            yield self.root
        finally:
            self.unmount()

    def mount(self) -> None:
        """Mount."""

    def unmount(self) -> None:
        """Unmount."""

    def settle(self) -> None:
        """Wait until nothing is done in the background."""


class Gocryptfs(Peer):
    """gocryptfs with its defaults."""

    name = "gocryptfs"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._sealed = folder / "sealed"
        self._sealed.mkdir()
        run(["gocryptfs", "-q", "-init", "-passfile", str(self.secret), str(self._sealed)])

    @property
    def backing(self) -> list[Path]:
        return [self._sealed]

    def mount(self) -> None:
        run(
            ["gocryptfs", "-q", "-passfile", str(self.secret), str(self._sealed), str(self.root)],
        )

    def unmount(self) -> None:
        run([shutil.which("fusermount3") or "fusermount", "-u", str(self.root)])


class Tagfs(Peer):
    """tagfs over a directory as its remote."""

    name = "tagfs"

    def __init__(self, folder: Path, *, recognise: bool = False) -> None:
        super().__init__(folder)
        self._options = ""
        home = folder / "home"
        self._env = {
            **os.environ,
            "XDG_STATE_HOME": str(home),
            "PYTHONPATH": str(Path(__file__).resolve().parent.parent.parent),
        }
        if not recognise:
            self._env["TAGFS_MODELS"] = str(home / "none")
        remote = (folder / "remote").absolute().as_uri().replace("file://", "dir://")
        self._tagfs("init", "--remote", remote, "--passphrase-file", str(self.secret))

    @property
    def backing(self) -> list[Path]:
        return [self.folder / "state", self.folder / "remote"]

    def without_xattrs(self) -> Tagfs:
        """Return the same vault, to be mounted with -o noxattr."""
        other = object.__new__(Tagfs)
        other.__dict__.update(self.__dict__)
        other.name = "tagfs -o noxattr"
        other._options = "noxattr"
        return other

    def mount(self) -> None:
        options = ["-o", self._options] if self._options else []
        self._tagfs("mount", "--passphrase-file", str(self.secret), *options, str(self.root))

    def unmount(self) -> None:
        self._tagfs("umount", str(self.root))

    def settle(self) -> None:
        self.wait("stored")

    def wait(self, what: str) -> None:
        """Wait until everything is ``recognised`` or ``stored``."""
        self._tagfs("wait", "--for", what, "--timeout", str(LONG), str(self.root))

    def has_models(self) -> bool:
        """Return whether there is anything to recognise photos with."""
        listed = subprocess.check_output(self._command("models", "--json"), env=self._env)
        return all(pack["installed"] for pack in json.loads(listed))

    def _command(self, word: str, *arguments: str) -> list[str]:
        vault = ["--vault", str(self.folder / "state")]
        return [sys.executable, "-m", "tagfs.cli.main", word, *vault, *arguments]

    def _tagfs(self, word: str, *arguments: str) -> None:
        run(self._command(word, *arguments), self._env)
