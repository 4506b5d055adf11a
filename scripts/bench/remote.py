"""Measure the gallery over a line to a stand-in for Dropbox. Prints one JSON line a result.

    python scripts/bench/remote.py [--only NAME ...] [--photos N] [--gib N] [--index N]

Everything is done by the commands that a user has, over real mounts, the official SDK and TLS; the
server is that of tests/remote, in this process, and shaped.py is the line.

upload      N photos, recognised before, over 20 Mbit/s with 50 ms: the time until all is stored
            beside the time that their objects' bytes take on the wire alone, and requests a photo
thumbnails  a second machine reads all their thumbnails and no photo: bytes moved
random      128 KiB at random places of a large file that is not here: requests and bytes a read
rebuild     a machine joins and mounts a vault of N photos that have tags: seconds until the mount
            answers, and the most memory that the daemon had

Photos come from data/tagging-dev in the folder that TAGFS_TEST_DATA names (default: ``shared``
beside the repository), each made another one by some bytes behind its end.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import random
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

sys.path.insert(0, str(Path(__file__).parent.parent.parent / "tests" / "remote"))
sys.path.insert(0, str(Path(__file__).parent.parent.parent / "tests" / "pipeline"))

from dropbox_server import Account, Server
from gallery_kit import SECRET
from many import Many

from tagfs.crypto.kdf import KdfParams
from tagfs.model import Facts, Scored, TagId
from tagfs.pipeline.gallery import Gallery
from tagfs.pipeline.opening import create, open_gallery
from tagfs.remote.url import dir_url
from tagfs.vault.ops import Op, RecordAnalysis

ROOT = Path(__file__).resolve().parent.parent.parent
MBIT, DELAY = 20.0, 50.0
READ = 128 * 1024
READS = 40
LONG = 1800.0
TAGS, TAGS_EACH = 5000, 10


def say(what: str, **figures: object) -> None:
    """Print one result."""
    rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}
    print(json.dumps({"bench": "remote", "what": what, **rounded}), flush=True)


class Line:
    """The way to a server: a process that relays, and counts."""

    def __init__(self, port: int, mbit: float = 0.0, delay: float = 0.0) -> None:
        command = [sys.executable, str(ROOT / "scripts" / "bench" / "shaped.py"), str(port)]
        command += ["--mbit", str(mbit), "--delay", str(delay)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def moved(self) -> int:
        """Return the bytes of both directions since the last call."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(sum(json.loads(self._process.stdout.readline())))

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class Machine:
    """A home with one state directory, whose network leads to the server."""

    def __init__(self, home: Path, server: Server, account: Account, line: Line) -> None:
        self.root = home / "Gallery"
        self._home = home
        self._account = account
        (home / "run").mkdir(mode=0o700, parents=True)
        self.root.mkdir()
        (home / "passphrase").write_text("measure the sealed gallery\n")
        models = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local/share"))
        proxy = f"http://127.0.0.1:{line.port}"
        self._env = {
            "TAGFS_MODELS": str(models / "tagfs" / "models"),
            **os.environ,
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(home / "run"),
            "XDG_STATE_HOME": str(home / "state"),
            "HTTPS_PROXY": proxy,
            "https_proxy": proxy,
            "NO_PROXY": "",
            "no_proxy": "",
            "REQUESTS_CA_BUNDLE": str(server.authorities),
            "TAGFS_DROPBOX_APP_KEY": account.app_key,
            "PYTHONPATH": str(ROOT),
        }

    def _start(self, word: str, *more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tagfs.cli.main", word, *more]
        if word in ("init", "join", "mount"):
            command += ["--passphrase-file", str(self._home / "passphrase")]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, env=self._env, text=True, stdin=pipe, stdout=pipe, stderr=pipe
        )

    def tagfs(self, word: str, *more: str) -> None:
        """Run a command; a RuntimeError with what it said when it fails."""
        program = self._start(word, *more)
        out, err = program.communicate(timeout=LONG)
        if program.returncode:
            raise RuntimeError(f"tagfs {word}: {program.returncode}: {out}{err}")

    def log_in(self, word: str) -> None:
        """Run ``init`` or ``join``, and answer for the browser."""
        program = self._start(word, "--remote", "dropbox:///gallery")
        assert program.stderr is not None
        heard = ""
        while "https://www.dropbox.com/oauth2" not in heard:
            line = program.stderr.readline()
            if not line:
                raise RuntimeError(f"tagfs {word}: {heard}")
            heard += line
        code = self._account.approve(heard.split()[-1])
        out, err = program.communicate(code + "\n", timeout=LONG)
        if program.returncode:
            raise RuntimeError(f"tagfs {word}: {program.returncode}: {heard}{out}{err}")

    def daemon(self) -> int:
        """Return the process that serves the mount."""
        for entry in Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                env = (entry / "environ").read_bytes()
            except OSError:
                continue  # no process, or it ended
            if b"tagfs.mount.daemon" in words and os.fsencode(f"HOME={self._home}") in env:
                return int(entry.name)
        raise RuntimeError("there is no daemon")

    def wait(self, what: str) -> None:
        """Wait until everything is ``recognised`` or ``stored``."""
        self.tagfs("wait", "--for", what, "--timeout", str(int(LONG)), str(self.root))

    @contextmanager
    def mounted(self) -> Iterator[Path]:
        """Mount, and unmount in the end."""
        self.tagfs("mount", str(self.root))
        try:
            yield self.root
        finally:
            self.tagfs("umount", str(self.root))


class Bench:
    """A server, and what is measured with it."""

    def __init__(self, folder: Path, photos: int, gib: float, index: int) -> None:
        self.folder = folder
        self.photos, self.gib, self.index = photos, gib, index
        self.server = Server()

    def upload(self) -> None:
        """Upload photos over a slow line."""
        account = self.server.account()
        line = Line(self.server.port, MBIT, DELAY)
        machine = Machine(self.folder / "first", self.server, account, line)
        machine.log_in("init")
        with machine.mounted() as root:
            machine.tagfs("pause", str(root))
            (root / "photos").mkdir()
            for name, data in photos(self.photos):
                (root / "photos" / name).write_bytes(data)
            machine.wait("recognised")
            before, account.requests[:] = account.used(), []
            line.moved()
            began = time.monotonic()
            machine.tagfs("resume", str(root))
            machine.wait("stored")
            seconds = time.monotonic() - began
            moved = line.moved()
        sealed = account.used() - before
        wire = sealed * 8 / (MBIT * 1e6)
        say(
            "upload",
            photos=self.photos,
            objects_bytes=sealed,
            moved_bytes=moved,
            seconds=seconds,
            wire_seconds=wire,
            ratio=seconds / wire,
            requests=len(account.requests),
            requests_a_photo=len(account.requests) / self.photos,
            routes=dict(Counter(account.requests)),
        )
        line.close()
        self._thumbnails(account)

    def _thumbnails(self, account: Account) -> None:
        line = Line(self.server.port)
        machine = Machine(self.folder / "second", self.server, account, line)
        machine.log_in("join")
        with machine.mounted() as root:
            names = os.listdir(root / "photos")
            account.requests[:] = []
            line.moved()
            began = time.monotonic()
            shown = 0
            for name in names:
                digest = hashlib.md5(os.fsencode("./" + name), usedforsecurity=False).hexdigest()
                shown += bool(
                    (root / "photos" / ".sh_thumbnails" / "large" / f"{digest}.png").read_bytes()
                )
            seconds = time.monotonic() - began
            downloads = account.requests.count("files/download")
            say(
                "thumbnails",
                photos=shown,
                moved_bytes=line.moved(),
                downloads=downloads,
                seconds=seconds,
            )
        line.close()

    def random(self) -> None:
        """Read at random from a large file that is not here."""
        account = self.server.account(capacity=16 << 30)
        line = Line(self.server.port)
        machine = Machine(self.folder / "third", self.server, account, line)
        machine.log_in("init")
        size = int(self.gib * (1 << 30))
        with machine.mounted() as root:
            block = secrets.token_bytes(1 << 20)
            with open(root / "large.bin", "wb") as file:
                for _ in range(size >> 20):
                    file.write(block)
            machine.wait("stored")
        other = Machine(self.folder / "fourth", self.server, account, line)
        other.log_in("join")
        choose = random.Random(1)
        requests, moved, times = [], [], []
        with other.mounted() as root:
            fd = os.open(root / "large.bin", os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
            for _ in range(READS):
                at = choose.randrange(size - READ)
                account.requests[:] = []
                line.moved()
                began = time.monotonic()
                if len(os.pread(fd, READ, at)) != READ:
                    raise RuntimeError("a short read")
                times.append(time.monotonic() - began)
                requests.append(len(account.requests))
                moved.append(line.moved())
            os.close(fd)
        say(
            "random",
            bytes=size,
            reads=READS,
            requests_median=statistics.median(requests),
            requests_most=max(requests),
            moved_median=statistics.median(moved),
            moved_most=max(moved),
            seconds_median=statistics.median(times),
        )
        line.close()

    def rebuild(self) -> None:
        """Join a vault with very many photos."""
        place = self.folder / "large"
        place.mkdir()
        trio.run(self._fill, place)
        account = self.server.account()
        for path in sorted((place / "remote").rglob("*")):
            if path.is_file():
                name = path.relative_to(place / "remote")
                account.write(f"/gallery/{name}", path.read_bytes(), strict=True)
        line = Line(self.server.port)
        machine = Machine(self.folder / "fifth", self.server, account, line)
        (machine.root.parent / "passphrase").write_text(SECRET.text + "\n")
        began = time.monotonic()
        machine.log_in("join")
        with machine.mounted() as root:
            seconds = time.monotonic() - began
            shown = len(os.listdir(root / "tags" / "many"))
            daemon = machine.daemon()
            memory = Path(f"/proc/{daemon}/status").read_text().split("VmHWM:")[1].split()[0]
        say(
            "rebuild",
            photos=shown,
            seconds=seconds,
            resident_mib=int(memory) // 1024,
            moved_bytes=line.moved(),
        )
        line.close()

    async def _fill(self, place: Path) -> None:
        quick = KdfParams(64 * 1024, 3, 1)
        await create(place / "state", dir_url(place / "remote"), SECRET, quick)
        choose = random.Random(1)
        async with open_gallery(place / "state", SECRET) as gallery:
            many = Tagged(gallery, b"many", "many", choose)
            for at in range(0, self.index, 1000):
                many.add([b"%07d.jpg" % n for n in range(at, min(self.index, at + 1000))])
                await gallery.sync()
            await gallery.wait("stored", LONG)


class Tagged(Many):
    """Photos without bytes that a recogniser has looked at."""

    def __init__(self, gallery: Gallery, folder: bytes, tag: str, choose: random.Random) -> None:
        super().__init__(gallery, folder, tag)
        self._choose = choose

    def _photo(self, name: bytes) -> list[Op]:
        ops = super()._photo(name)
        seen = self._choose.sample(range(TAGS), TAGS_EACH)
        tags = tuple(Scored(TagId(f"n{n:08}"), 0.9) for n in seen)
        day = self._choose.randrange(1, 29)
        facts = Facts(4000, 3000, 1, f"20{day:02}-05-{day:02}T10:00:00", None, "Camera", None, day)
        ident = ops[0].content.id
        row = RecordAnalysis(ident, "default-1", "image/jpeg", tags, facts, None, None, None)
        return [ops[0], row, *ops[1:]]


def photos(count: int) -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes of different photos."""
    folder = Path(os.environ.get("TAGFS_TEST_DATA", ROOT.parent / "shared")) / "data"
    there = sorted(p for p in (folder / "tagging-dev").rglob("*.jpg"))
    if not there:
        sys.exit("remote.py: there are no photos; set TAGFS_TEST_DATA")
    for number, path in zip(range(count), itertools.cycle(there), strict=False):
        yield f"{number:05}.jpg", path.read_bytes() + secrets.token_bytes(16)


def main() -> None:
    names = ["upload", "random", "rebuild"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--gib", type=float, default=4.0, help="size of the large file")
    parser.add_argument("--index", type=int, default=100_000, help="photos to rebuild")
    parser.add_argument("--folder", type=Path, help="where to work: a disk, not memory")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tagfs-bench-", dir=chosen.folder) as folder:
        bench = Bench(Path(folder), chosen.photos, chosen.gib, chosen.index)
        try:
            for name in chosen.only:
                getattr(bench, name)()
        finally:
            bench.server.stop()


if __name__ == "__main__":
    main()
