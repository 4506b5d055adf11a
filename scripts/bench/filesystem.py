"""Measure the mounted file system beside gocryptfs. Prints one JSON line a result.

    python scripts/bench/filesystem.py [--quick] [--only NAME ...] [--rounds N] [--folder FOLDER]

The peers do the same work in turn, round by round, each on a fresh mount; a line has the median
of each and the ratio of gocryptfs and tagfs, which is above 1 where tagfs is faster. ``plain`` is
a folder of the disk below, the ceiling. Photos come from data/tagging-dev in the folder that
TAGFS_TEST_DATA names (default: ``shared`` beside the repository). tagfs runs without a
recogniser, except in ``recognition``, which needs the models installed (``tagfs models install``).

--quick reads 256 MiB instead of 1 GiB, three rounds instead of five. It takes a few minutes.

Take a file system that was made for it, such as a loop device: ext4 steps over each inode that was
deleted in the last minutes, so that after an earlier run making a file takes 0.5 ms instead of
0.02, and tagfs makes two for each that gocryptfs makes. The first line says what it takes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from peers import Gocryptfs, Peer, Tagfs

MIB = 1 << 20
PHOTOS = 500
PHONE_PHOTOS, PHONE_SIZE = 100, 3 * 10**6
LISTED = 10_000
RANDOM_READS = 400
MADE = 1000
SLOW_TO_MAKE = 0.1
"""Milliseconds to make a file from which the disk below is no ground to compare on."""
EXPIRED = 6.0
"""Seconds after which neither kernel cache answers any more: tagfs allows 5, gocryptfs 1."""

Figures = dict[str, list[float]]


class Bench:
    """The peers, what is measured on them, and the results."""

    def __init__(self, folder: Path, *, rounds: int, big: int) -> None:
        self.folder = folder
        self.rounds = rounds
        self.big = big
        self.tagfs = Tagfs(folder / "tagfs")
        self.peers: list[Peer] = [self.tagfs, Gocryptfs(folder / "gocryptfs")]
        self.plain = Peer(folder / "plain")
        self._choose = random.Random(1)

    def turns(self, peers: Iterable[Peer]) -> Iterable[Peer]:
        """Yield each peer once a round, in an order that turns."""
        order = list(peers)
        for _ in range(self.rounds):
            yield from order
            order = order[1:] + order[:1]

    def disk(self) -> None:
        """What making a file costs below the peers, which they all pay."""
        made = self.folder / "made"
        made.mkdir()

        def make() -> None:
            for number in range(MADE):
                (made / str(number)).touch()

        took = clocked(make) / MADE * 1000
        say("make an empty file on the disk below", "ms", {"plain": [took]})
        if took > SLOW_TO_MAKE:
            print(
                "filesystem.py: making a file is slow here: take a fresh file system",
                file=sys.stderr,
            )

    # -- what is measured --------------------------------------------------------------------

    def reading(self) -> None:
        """One big file in order and at random."""
        name, everybody = "big.bin", [*self.peers, self.plain]
        source = self.folder / name
        fill(source, self.big)
        copied: Figures = {}
        for peer in everybody:
            with peer.mounted() as root:
                took = clocked(lambda root=root: copy_and_sync(source, root / name))  # type: ignore[misc]
                note(copied, peer, self.big / took / 1e6)
                peer.settle()
        size = f"{self.big // MIB} MiB"
        say(f"copy one file of {size} in and sync", "MB/s", copied, more_is_better=True)
        source.unlink()
        cold: Figures = {}
        warm: Figures = {}
        ordinary: Figures = {}
        big_random: Figures = {}
        small_random: Figures = {}
        for peer in self.turns(everybody):
            with peer.mounted() as root:
                path = root / name
                drop(path)
                for folder in peer.backing:
                    drop(folder)
                note(cold, peer, self.big / clocked(lambda path=path: read_all(path)) / 1e6)  # type: ignore[misc]
                drop(path)
                note(warm, peer, self.big / clocked(lambda path=path: read_all(path)) / 1e6)  # type: ignore[misc]
                if peer in self.peers and give_read_ahead(root, 128):
                    drop(path)
                    note(ordinary, peer, self.big / clocked(lambda path=path: read_all(path)) / 1e6)  # type: ignore[misc]
                note(big_random, peer, self._random(path, 128 * 1024))
                note(small_random, peer, self._random(path, 4096))
        say(f"read {size} in order, disk cold", "MB/s", cold, more_is_better=True)
        say(f"read {size} in order, disk warm", "MB/s", warm, more_is_better=True)
        if ordinary:
            what = f"read {size} in order, disk warm, read-ahead of an ordinary user's mount"
            say(what, "MB/s", ordinary, more_is_better=True)
        say("read 128 KiB at random, disk warm", "ms", big_random)
        say("read 4 KiB at random, disk warm", "ms", small_random)
        for peer in everybody:
            with peer.mounted() as root:
                (root / name).unlink()
                peer.settle()

    def _random(self, path: Path, size: int) -> float:
        """Return the median of reads at places the kernel does not know yet, in ms."""
        drop(path)
        places = self._choose.sample(range(self.big // MIB), min(RANDOM_READS, self.big // MIB))
        times = []
        fd = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
            for place in places:
                times.append(clocked(lambda place=place: os.pread(fd, size, place * MIB)))  # type: ignore[misc]
        finally:
            os.close(fd)
        return statistics.median(times) * 1000

    def copying(self) -> None:
        """Photos with cp -r, then sync: as small as those of the test data, and as from a phone."""
        self._copy(PHOTOS, 0)
        self._copy(PHONE_PHOTOS, PHONE_SIZE)

    def _copy(self, count: int, size: int) -> None:
        copied: Figures = {}
        synced: Figures = {}
        stored: Figures = {}
        total = 0
        for peer in self.turns([*self.peers, self.plain]):
            source = photos(self.folder, count, size)
            total = sum(f.stat().st_size for f in source.iterdir())
            with peer.mounted() as root:
                os.sync()
                begin = time.perf_counter()
                run_quietly("cp", "-r", source, root)
                note(copied, peer, time.perf_counter() - begin)
                os.sync()
                note(synced, peer, time.perf_counter() - begin)
                peer.settle()
                if isinstance(peer, Tagfs):
                    note(stored, peer, time.perf_counter() - begin)
        what = f"cp -r of {count} photos ({total / 1e6:.0f} MB)"
        say(what, "s", copied)
        say(f"{what} and sync", "s", synced)
        say(f"{what} until stored in the vault", "s", stored)

    def listing(self) -> None:
        """10,000 files in one folder, by the programs that list."""
        noxattr = self.tagfs.without_xattrs()
        everybody = [*self.peers, noxattr]
        self._make_many()
        commands = {
            f"ls -l of {LISTED:,}": ["ls", "-l"],
            f"ls -f of {LISTED:,}": ["ls", "-f"],
            f"find of {LISTED:,}": ["find"],
            f"du -s of {LISTED:,}": ["du", "-s"],
        }
        first: dict[str, Figures] = {what: {} for what in commands}
        later: Figures = {}
        for peer in self.turns(everybody):
            for what, command in commands.items():
                with peer.mounted() as root:
                    note(first[what], peer, timed(*command, root / "many"))
                    if "-l" in command:
                        time.sleep(EXPIRED)
                        note(later, peer, timed(*command, root / "many"))
        for what, figures in first.items():
            say(what + ", first after mounting", "s", figures)
        say(f"ls -l of {LISTED:,}, again after {EXPIRED:.0f} s", "s", later)

    def _make_many(self) -> None:
        """Give every peer the folder ``many``."""
        made: Figures = {}
        source = self.folder / "many"
        if not source.exists():
            source.mkdir()
            for number in range(LISTED):
                (source / f"IMG_{number:05}.jpg").write_bytes(secrets.token_bytes(1024))
        for peer in self.peers:
            if (peer.folder / "has-many").exists():
                continue
            with peer.mounted() as root:
                begin = time.perf_counter()
                run_quietly("cp", "-r", source, root / "many")
                os.sync()
                note(made, peer, time.perf_counter() - begin)
                peer.settle()
            (peer.folder / "has-many").touch()
        if made:
            say(f"cp -r of {LISTED:,} files of 1 KiB and sync", "s", made)

    def waiting(self) -> None:
        """How long ``stat`` takes, idle and while photos are copied in."""
        self._make_many()
        idle: Figures = {}
        middle: Figures = {}
        slowest: Figures = {}
        for peer in self.turns(self.peers):
            source = photos(self.folder)
            with peer.mounted() as root:
                names = [root / "many" / f"IMG_{n:05}.jpg" for n in range(LISTED)]
                self._choose.shuffle(names)
                note(idle, peer, statistics.median(stats(names[:1000], lambda: True)))
                copy = subprocess.Popen(["cp", "-r", source, root])
                times = stats(names[1000:], lambda copy=copy: copy.poll() is None)  # type: ignore[misc]
                if copy.wait():
                    sys.exit("cp failed")
                note(middle, peer, statistics.median(times))
                note(slowest, peer, statistics.quantiles(times, n=100)[98])
                peer.settle()
        say("stat, idle, median", "ms", idle)
        say(f"stat while {PHOTOS} photos are copied in, median", "ms", middle)
        say(f"stat while {PHOTOS} photos are copied in, 99th of 100", "ms", slowest)

    def recognition(self) -> None:
        """The same copy with recognition running."""
        peer = Tagfs(self.folder / "recognising", recognise=True)
        if not peer.has_models():
            skip("recognition", "the models are not installed: `tagfs models install`")
            return
        source = photos(self.folder)
        with peer.mounted() as root:
            os.sync()
            begin = time.perf_counter()
            run_quietly("cp", "-r", source, root / "photos")
            os.sync()
            synced = time.perf_counter() - begin
            names = [root / "photos" / f.name for f in source.iterdir()]
            done = threading.Event()
            times: list[float] = []

            def watch() -> None:
                time.sleep(EXPIRED)  # until now the kernel answers by itself
                times.extend(stats(names, lambda: not done.is_set(), pause=0.02))

            watcher = threading.Thread(target=watch)
            watcher.start()
            peer.wait("recognised")
            recognised = time.perf_counter() - begin
            done.set()
            watcher.join()
        say(f"recognition: cp -r of {PHOTOS} photos and sync", "s", {peer.name: [synced]})
        say(f"recognition: {PHOTOS} photos recognised", "s", {peer.name: [recognised]})
        if len(times) > 100:
            slowest = statistics.quantiles(times, n=100)[98]
            say("recognition: stat meanwhile, 99th of 100", "ms", {peer.name: [slowest]})


# -- work --------------------------------------------------------------------------------------


def clocked(work: Callable[[], object]) -> float:
    """Return how many seconds it takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def timed(*command: str | Path) -> float:
    """Return how many seconds a command takes."""
    return clocked(lambda: run_quietly(*command))


def run_quietly(*command: str | Path) -> None:
    """Run a command whose output nobody reads; it must not fail."""
    env = {**os.environ, "LC_ALL": "C"}
    subprocess.run([*command], stdout=subprocess.DEVNULL, env=env, check=True)


def stats(paths: Iterable[Path], go_on: Callable[[], bool], pause: float = 0.001) -> list[float]:
    """Return how many ms the first stat of each took, with pauses, while ``go_on`` says so."""
    times = []
    for path in paths:
        if not go_on():
            break
        times.append(clocked(lambda path=path: os.stat(path)) * 1000)  # type: ignore[misc]
        time.sleep(pause)
    return times


def read_all(path: Path) -> None:
    """Read a file from its beginning to its end, as cat does."""
    buffer = bytearray(128 * 1024)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def copy_and_sync(source: Path, target: Path) -> None:
    """Copy a file and bring it to the disk."""
    run_quietly("cp", source, target)
    os.sync()


def drop(path: Path) -> None:
    """Have the kernel forget the pages of a file, or of every file below a folder."""
    for file in [path] if path.is_file() else filter(Path.is_file, path.rglob("*")):
        fd = os.open(file, os.O_RDONLY)
        try:
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(fd)


def give_read_ahead(root: Path, kib: int) -> bool:
    """Have the kernel read this far ahead on a mount; False where that is not allowed.

    tagfs asks for more than the kernel's 128 KiB, which root alone is given.
    """
    device = os.stat(root).st_dev
    path = Path(f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb")
    try:
        path.write_text(str(kib))
    except OSError:
        return False
    return True


def fill(path: Path, size: int) -> None:
    """Write a file of random bytes."""
    with open(path, "wb") as file:
        for _ in range(size // MIB):
            file.write(secrets.token_bytes(MIB))


def photos(parent: Path, count: int = PHOTOS, size: int = 0) -> Path:
    """Return a fresh folder with photos that no vault has seen yet, in the page cache.

    They are real ones with random bytes behind their end: a few, because tagfs keeps what it
    has once, or as many as make ``size``. Nothing is removed before the end, because ext4 makes
    files slowly for half a minute after many were deleted.
    """
    folder = parent / f"photos-{secrets.token_hex(4)}"
    folder.mkdir()
    originals = sorted(data_folder().iterdir())
    for number in range(count):
        original = originals[number % len(originals)]
        data = original.read_bytes()
        data += secrets.token_bytes(max(8, size - len(data)))
        (folder / f"{number:04}{original.suffix}").write_bytes(data)
    return folder


def data_folder() -> Path:
    """Return the folder of test photos, which may not be there."""
    repository = Path(__file__).resolve().parent.parent.parent
    data = Path(os.environ.get("TAGFS_TEST_DATA") or repository.parent / "shared")
    return data / "data" / "tagging-dev" / "photos"


# -- results -----------------------------------------------------------------------------------


def note(figures: Figures, peer: Peer, value: float) -> None:
    """Keep one value of one peer."""
    figures.setdefault(peer.name, []).append(value)


def say(what: str, unit: str, figures: Figures, more_is_better: bool = False) -> None:
    """Print one result."""
    line: dict[str, object] = {"bench": "filesystem", "what": what, "unit": unit}
    medians = {name: statistics.median(values) for name, values in figures.items()}
    line |= {name: rounded(value) for name, value in medians.items()}
    peer = medians.get(Gocryptfs.name)
    for name in ("tagfs", "tagfs -o noxattr"):
        if peer and name in medians:
            ratio = medians[name] / peer if more_is_better else peer / medians[name]
            line["ratio" + name.removeprefix("tagfs")] = rounded(ratio)
    line["runs"] = max(map(len, figures.values()))
    line["all"] = {name: [rounded(v) for v in values] for name, values in figures.items()}
    print(json.dumps(line), flush=True)


def rounded(value: float) -> float:
    """Return three digits that count."""
    return float(f"{value:.3g}")


def skip(name: str, why: str) -> None:
    """Say loudly that something was not measured."""
    print(f"SKIPPED {name}: {why}", file=sys.stderr)
    print(json.dumps({"bench": "filesystem", "what": name, "skipped": why}), flush=True)


def main() -> None:
    names = ["reading", "copying", "listing", "waiting", "recognition"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="smaller and fewer")
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--folder", type=Path, help="where to work: a disk, not memory")
    chosen = parser.parse_args()
    if shutil.which("gocryptfs") is None:
        sys.exit("filesystem.py: gocryptfs is not installed, and there is nothing to compare with.")
    rounds = chosen.rounds or (3 if chosen.quick else 5)
    with tempfile.TemporaryDirectory(prefix="tagfs-bench-", dir=chosen.folder) as folder:
        bench = Bench(Path(folder), rounds=rounds, big=256 * MIB if chosen.quick else 1024 * MIB)
        bench.disk()
        for name in chosen.only:
            if name in ("copying", "waiting", "recognition") and not data_folder().is_dir():
                skip(name, "there are no photos; set TAGFS_TEST_DATA")
                continue
            getattr(bench, name)()


if __name__ == "__main__":
    main()
