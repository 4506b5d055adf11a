"""Measure the catalog: posting lists, single rows, opening. Prints one JSON line a result.

Usage: catalog.py [PHOTOS [TAGS [TAGS_A_PHOTO]]]

The defaults (100,000 photos, 5,000 tags, 10 a photo) take under a minute; the budget of the
design is for 1000000. "cold" means that the file was dropped from the page cache and the catalog
opened again.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tagfs.catalog.postings import Postings
from tagfs.catalog.schema import Table
from tagfs.catalog.store import CatalogStore

BATCH = 500  # photos between two marks


def say(what: str, **figures: float | int | str) -> None:
    """Print one result."""
    rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()}
    print(json.dumps({"bench": "catalog", "what": what, **rounded}), flush=True)


def timed(work: Callable[[], object]) -> float:
    """Return how many milliseconds it takes."""
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1000


def anonymous_memory() -> int:
    """Return RssAnon of this process in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) // 1024
    return 0


class Bench:
    """One catalog in a temporary folder, opened again and again."""

    def __init__(self, folder: Path, photos: int, tags: int, each: int) -> None:
        self.folder = folder
        self.photos = photos
        self.tags = [b"n%08d" % number for number in range(tags)]
        self.each = each
        self.key = secrets.token_bytes(32)
        self.choose = random.Random(1)
        self.open()

    def open(self) -> None:
        self.store = CatalogStore(self.folder, self.key)
        self.store.start()
        self.lists = Postings(self.store, Table.POSTING, Table.POSTING_COUNT)

    def reopen_cold(self) -> float:
        """Close, drop the file from the page cache, open; return the milliseconds of opening."""
        self.store.close()
        with open(self.folder / "data.mdb", "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return timed(self.open)

    def fill(self) -> None:
        """Tag every photo; the first two tags get every tenth, the others are skewed."""
        weights = [1 / (rank + 3) for rank in range(len(self.tags))]
        begin = time.perf_counter()
        slowest = 0.0
        for number in range(self.photos):
            chosen = set(self.choose.choices(self.tags, weights, k=self.each - 1))
            if number % 10 == 0:
                chosen |= {self.tags[0], self.tags[1]}
            before = time.perf_counter()
            for tag in chosen:
                self.lists.add(tag, number)
            self.lists.add(b"@all", number)
            self.store.put(Table.PHOTO, number.to_bytes(32, "big"), secrets.token_bytes(400))
            if number % BATCH == BATCH - 1:
                self.store.request_commit(number.to_bytes(8, "big"))
            slowest = max(slowest, time.perf_counter() - before)
        filled = time.perf_counter() - begin
        self.store.request_commit()
        self.store.sync_now()
        took = time.perf_counter() - begin
        size = (self.folder / "data.mdb").stat().st_size
        say(
            "fill",
            photos=self.photos,
            tags=len(self.tags),
            us_a_photo=filled / self.photos * 1e6,
            seconds=took,
            slowest_photo_ms=slowest * 1000,
            file_mib=size / 2**20,
            commits=self.store.statistics().commits,
            rss_anon_mib=anonymous_memory(),
        )

    def read(self) -> None:
        """Measure what a user waits for."""
        first = self.tags[0]
        opening = self.reopen_cold()
        say("open cold, closed cleanly", ms=opening)
        say("first 1000 of a tag, cold", ms=timed(lambda: self.lists.first(first, 0, 1000)))
        warm = [timed(lambda: self.lists.first(first, 0, 1000)) for _ in range(50)]
        say("first 1000 of a tag, warm", ms=statistics.median(warm))
        self.reopen_cold()
        say(
            "counts of all tags, cold",
            ms=timed(lambda: [self.lists.count(tag) for tag in self.tags]),
            tags=len(self.tags),
        )
        self.reopen_cold()
        one, other = self.tags[:2]

        def both() -> int:
            return len(self.lists.bitmap(one) & self.lists.bitmap(other))

        say("two tags intersected, cold", ms=timed(both), sizes=self.lists.count(one))
        say("two tags intersected, hot", ms=statistics.median(timed(both) for _ in range(50)))

    def tag_more(self) -> None:
        """100 acts of 10 taggings, each safe on disk before the next."""
        times = []
        for _ in range(100):
            tags = self.choose.sample(self.tags, 10)
            number = self.choose.randrange(self.photos)

            def act(tags: list[bytes] = tags, number: int = number) -> None:
                for tag in tags:
                    if not self.lists.add(tag, number):
                        self.lists.discard(tag, number)
                self.store.request_commit()
                self.store.sync_now()

            times.append(timed(act))
        say("ten taggings and a commit", ms=statistics.median(times), worst_ms=max(times))

    def single_rows(self) -> None:
        """Photo records by id, in random order: never cached by the store."""
        self.reopen_cold()
        count = min(20_000, self.photos)
        ids = [n.to_bytes(32, "big") for n in self.choose.sample(range(self.photos), count)]
        for state in ("cold", "warm"):
            took = timed(lambda: [self.store.get(Table.PHOTO, ident) for ident in ids])
            say(f"get of a photo record, {state}", us=took / count * 1000)
        took = timed(lambda: [self.store.get(Table.PHOTO, ids[0]) for _ in ids])
        say("get of a cached row", us=took / count * 1000)

    def after_a_crash(self) -> None:
        """Opening after an unclean end walks the file and counts its rows."""
        self.store.close()
        (self.folder / "clean").unlink()
        rows = self.photos
        say("open after an unclean end", ms=timed(self.open), photos=rows)
        say("memory", rss_anon_mib=anonymous_memory())


def main() -> None:
    """Run everything once."""
    photos, tags, each = [*map(int, sys.argv[1:]), *(100_000, 5_000, 10)[len(sys.argv) - 1 :]]
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), photos, tags, each)
        bench.fill()
        bench.read()
        bench.tag_more()
        bench.single_rows()
        bench.after_a_crash()
        bench.store.close()


if __name__ == "__main__":
    main()
