"""Measure the gallery beside rclone over one stand-in for Dropbox. Prints one JSON line a result.

    python scripts/bench/rclone.py [--rounds N] [--mib N] [--photos N]
                                   [--write-back TIME] [--folder FOLDER]

Both run as a user has them: real mounts, each with its own client of Dropbox, over TLS to the
server of tests/remote, which is in this process. rclone is ``rclone mount`` of a crypt over its
dropbox backend with ``--vfs-cache-mode full``; HTTPS_PROXY and --ca-cert lead it to the server, and
nothing of it is changed. They do the same work in turn, round by round, each with a fresh mount;
a line has the medians in MB/s, and ratios that are above 1 where tagfs is faster. ``wire`` is the
ceiling: curl moves the same bytes to and from the server, eight requests at a time, sealing and
committing nothing.

writing     a large file, then photos, copied in: until the server has committed the last of it.
            rclone begins with a file ``--write-back`` after it is closed (0s here, 5s by itself)
reading     both again, in order, through a mount whose caches are empty: a second machine's

Photos come from data/tagging-dev in the folder that TAGFS_TEST_DATA names (default: ``shared``
beside the repository). tagfs runs without a recogniser.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filesystem import MIB, clocked, data_folder, fill, photos, rounded, run_quietly
from remote import Line, Machine

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "tests" / "remote"))

from dropbox_server import Account, Server  # type: ignore[import-not-found, unused-ignore]

LONG = 300.0
PART, AT_ONCE = 32 * MIB, 8  # bytes in one request of curl, at most, and requests
CONTENT = "https://content.dropboxapi.com/2/files/"

Figures = dict[str, list[float]]


class Direct(Line):
    """No line at all: straight to the server."""

    def __init__(self, server: Server) -> None:
        self.port = server.port


class Changes(list[dict[str, Any]]):
    """An account's changes, which know when the last of them was made."""

    at = 0.0

    def append(self, change: dict[str, Any]) -> None:
        self.at = time.perf_counter()
        super().append(change)


class Peer:
    """One client of Dropbox with an account of its own."""

    name = ""

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder = folder
        self.server = server
        self.account: Account = server.account(1 << 40)
        self.changes = Changes()
        self.account.changes = self.changes
        self.mounts = 0

    def write(self, source: Path) -> float:
        """Copy a file or a folder in; return the seconds until the server had it."""
        with self.mounted(fresh=False) as root:
            before = self.stored()
            begin = time.perf_counter()
            run_quietly("cp", "-r", source, root)
            self.settle(source, before)
            return self.changes.at - begin

    def read(self, source: Path) -> float:
        """Return the seconds to read its copy, of which nothing is on this machine."""
        with self.mounted(fresh=True) as root:
            copies = [root / file.relative_to(source.parent) for file in files(source)]
            took = clocked(lambda: run_quietly("cat", *copies))
            for file, copy in zip(files(source), copies, strict=True):
                if not filecmp.cmp(file, copy, shallow=False):
                    sys.exit(f"rclone.py: {self.name} does not give the bytes of {copy}")
        return took

    def stored(self) -> int:
        """Return how many bytes the server has."""
        return sum(map(len, self.account.objects().values()))

    @contextmanager
    def mounted(self, fresh: bool) -> Iterator[Path]:
        """Mount it; ``fresh``: with nothing in its caches."""
        raise NotImplementedError
        yield Path()

    def settle(self, source: Path, before: int) -> None:
        """Wait until the server has a copy of this, besides so many bytes before."""
        raise NotImplementedError


class Tagfs(Peer):
    """tagfs. A second machine joins to read, and writes next: the server knows one login a user."""

    name = "tagfs"

    @contextmanager
    def mounted(self, fresh: bool) -> Iterator[Path]:
        if fresh or not self.mounts:
            home = self.folder / str(self.mounts)
            self._machine = Machine(home, self.server, self.account, Direct(self.server))
            self._machine.log_in("join" if self.mounts else "init")
        self.mounts += 1
        with self._machine.mounted() as root:
            yield root

    def settle(self, source: Path, before: int) -> None:
        self._machine.wait("stored")


class Rclone(Peer):
    """rclone's mount of a crypt; each mount has a cache of its own."""

    name = "rclone"

    def __init__(self, folder: Path, server: Server, write_back: str) -> None:
        super().__init__(folder, server)
        self._root = folder / "mnt"
        self._root.mkdir(parents=True)
        password = subprocess.check_output(["rclone", "obscure", "measure"], text=True).strip()
        token = {"access_token": self.account.token(), "token_type": "bearer"}
        token["expiry"] = "2099-01-01T00:00:00Z"
        config = folder / "rclone.conf"
        config.write_text(
            f"[box]\ntype = dropbox\ntoken = {json.dumps(token)}\n\n"
            f"[sealed]\ntype = crypt\nremote = box:vault\npassword = {password}\n"
        )
        self._command = ["rclone", "mount", "sealed:", str(self._root), "--config", str(config)]
        self._command += ["--ca-cert", str(server.authorities), "--vfs-cache-mode", "full"]
        self._command += ["--vfs-write-back", write_back, "--log-file", str(folder / "log")]
        self._env = {**os.environ, "HTTPS_PROXY": server.proxies["https"], "NO_PROXY": ""}

    @contextmanager
    def mounted(self, fresh: bool) -> Iterator[Path]:
        self.mounts += 1
        own = ["--cache-dir", str(self.folder / f"cache-{self.mounts}")]
        program = subprocess.Popen([*self._command, *own], env=self._env)
        try:
            wait_until(lambda: os.path.ismount(self._root) or program.poll() is not None)
            yield self._root
        finally:
            run_quietly("fusermount3", "-u", self._root)
            program.wait(LONG)

    def settle(self, source: Path, before: int) -> None:
        sizes = [file.stat().st_size for file in files(source)]
        sealed = sum(32 + size + 16 * -(-size // 65536) for size in sizes)
        wait_until(lambda: self.stored() == before + sealed)


class Wire(Peer):
    """curl: what the server and TLS allow."""

    name = "wire"

    def write(self, source: Path) -> float:
        self.folder.mkdir(exist_ok=True)
        self.account.nodes.clear()
        self._requests, asked = [], []
        pieces = [file.read_bytes() for file in files(source)]
        pieces = [p[at : at + PART] for p in pieces for at in range(0, len(p), PART)]
        for number, piece in enumerate(pieces):
            (path := self.folder / str(number)).write_bytes(piece)
            self.account.write(f"/{number}", piece, strict=True)
            asked.append(("upload_session/start", {"close": True}, f'data-binary = "@{path}"'))
            self._requests.append(("download", {"path": f"/{number}"}, 'request = "POST"'))
        took = self._curl(asked)
        if len(self.account.uploads) != len(asked):
            sys.exit("rclone.py: curl did not upload everything")
        self.account.uploads.clear()
        return took

    def read(self, source: Path) -> float:
        return self._curl(self._requests)

    def _curl(self, requests: list[tuple[str, dict[str, Any], str]]) -> float:
        proxy, authorities = self.server.proxies["https"], self.server.authorities
        asked = []
        for route, argument, more in requests:
            told = json.dumps(argument).replace('"', '\\"')
            asked.append(
                f'url = "{CONTENT}{route}"\nproxy = "{proxy}"\ncacert = "{authorities}"\nfail\n'
                f'header = "Authorization: Bearer {self.account.token()}"\nheader = "Expect:"\n'
                f'header = "Dropbox-API-Arg: {told}"\noutput = "/dev/null"\n'
                f'header = "Content-Type: application/octet-stream"\n{more}\n'
            )
        config = self.folder / "config"
        config.write_text("next\n".join(asked))
        command = ["curl", "--no-progress-meter", "-Z", "--parallel-max", str(AT_ONCE), "-K"]
        return clocked(lambda: run_quietly(*command, config))


def files(source: Path) -> list[Path]:
    """Return the file, or those in the folder."""
    return sorted(source.iterdir()) if source.is_dir() else [source]


def wait_until(done: Callable[[], bool]) -> None:
    """Wait, and fail after very long."""
    end = time.monotonic() + LONG
    while not done():
        if time.monotonic() > end:
            sys.exit("rclone.py: rclone does not come to an end")
        time.sleep(0.01)


def say(what: str, figures: Figures, **more: object) -> None:
    """Print one result."""
    medians = {name: statistics.median(values) for name, values in figures.items()}
    line: dict[str, object] = {"bench": "rclone", "what": what, "unit": "MB/s"}
    line |= {name: rounded(value) for name, value in medians.items()}
    line["ratio"] = rounded(medians["tagfs"] / medians["rclone"])
    line["ratio_of_wire"] = rounded(medians["tagfs"] / medians["wire"])
    line["all"] = {name: [rounded(v) for v in values] for name, values in figures.items()}
    print(json.dumps(line | more), flush=True)


def measure(folder: Path, server: Server, chosen: argparse.Namespace) -> None:
    """Let the peers take turns, and print what came out."""
    rclone = Rclone(folder / "rclone", server, chosen.write_back)
    peers = [Tagfs(folder / "tagfs", server), rclone, Wire(folder / "wire", server)]

    def big() -> Path:
        fill(path := folder / f"big-{time.monotonic_ns()}.bin", chosen.mib * MIB)
        return path

    works = {f"one file of {chosen.mib} MiB": big} if chosen.mib else {}
    if chosen.photos and data_folder().is_dir():
        works[f"{chosen.photos} photos"] = lambda: photos(folder, chosen.photos)
    elif chosen.photos:
        skip("photos", "there are no photos; set TAGFS_TEST_DATA")
    for what, make in works.items():
        wrote, read = Figures(), Figures()
        for _ in range(chosen.rounds):
            source = make()
            size = sum(file.stat().st_size for file in files(source)) / 1e6
            for peer in peers:
                wrote.setdefault(peer.name, []).append(size / peer.write(source))
            for peer in peers:
                read.setdefault(peer.name, []).append(size / peer.read(source))
            peers = peers[1:] + peers[:1]
        say(f"write {what}", wrote, mb=rounded(size), write_back=chosen.write_back)
        say(f"read {what}, cold", read, mb=rounded(size))


def skip(name: str, why: str) -> None:
    """Say loudly that something was not measured."""
    print(f"SKIPPED {name}: {why}", file=sys.stderr)
    print(json.dumps({"bench": "rclone", "what": name, "skipped": why}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mib", type=int, default=256, help="size of the large file; 0: none")
    parser.add_argument("--photos", type=int, default=200, help="how many; 0: none")
    parser.add_argument("--write-back", default="0s", help="rclone's --vfs-write-back")
    parser.add_argument("--folder", type=Path, help="where to work: a disk, not memory")
    chosen = parser.parse_args()
    if lacking := [p for p in ("rclone", "curl", "fusermount3") if shutil.which(p) is None]:
        skip("everything", f"not installed: {', '.join(lacking)}")
        return
    server = Server()
    try:
        with tempfile.TemporaryDirectory(prefix="tagfs-bench-", dir=chosen.folder) as folder:
            os.environ["TAGFS_MODELS"] = str(Path(folder) / "none")
            measure(Path(folder), server, chosen)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
