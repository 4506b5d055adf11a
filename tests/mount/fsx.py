"""Random reads, writes, truncations and mapped access on one file, held against a model.

After the idea of Apple's fsx. Run it on any file system: ``fsx.py PATH [--seed N] [--ops N]``.
Every difference ends it with the operations that led there.
"""

from __future__ import annotations

import argparse
import mmap
import os
import random
import sys
from collections import deque

MAX_SIZE = 1_500_000
MAX_LENGTH = 200_000


class Difference(AssertionError):
    """The file does not hold what was written to it."""


class Exerciser:
    """One file, its model, and what was done to both."""

    def __init__(self, path: str, seed: int, max_size: int = MAX_SIZE) -> None:
        self.path = path
        self.random = random.Random(seed)
        self.model = bytearray()
        self.max_size = max_size
        self.done: deque[str] = deque(maxlen=30)
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        self.actions = [
            (self.read, 20),
            (self.write, 20),
            (self.append, 6),
            (self.append_through_another, 4),
            (self.map_read, 10),
            (self.map_write, 10),
            (self.cut, 6),
            (self.cut_by_path, 4),
            (self.extend, 4),
            (self.reopen, 5),
            (self.reopen_empty, 1),
            (self.sync, 3),
            (self.stat, 6),
            (self.second_reader, 5),
        ]

    def run(self, operations: int) -> None:
        """Do so many random operations, then compare the whole file after closing it."""
        actions = [a for a, _ in self.actions]
        weights = [w for _, w in self.actions]
        for number in range(operations):
            action = self.random.choices(actions, weights)[0]
            self.done.append(f"{number}: {action.__name__}")
            action()
        os.close(self.fd)
        with open(self.path, "rb") as file:
            self._compare(file.read(), 0, len(self.model))

    def read(self) -> None:
        offset, length = self._span()
        self._compare(os.pread(self.fd, length, offset), offset, length)

    def write(self) -> None:
        offset = self.random.randrange(len(self.model) + 5000)
        data = self._data(self.max_size - offset)
        self._note(offset, len(data))
        self._whole(os.pwrite(self.fd, data, offset), data)
        self._put(offset, data)

    def append(self) -> None:
        self._append(self.fd)

    def append_through_another(self) -> None:
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            data = self._data(self.max_size - len(self.model))
            self._whole(os.write(fd, data), data)
            self._put(len(self.model), data)
        finally:
            os.close(fd)

    def map_read(self) -> None:
        if not self.model:
            return
        offset, length = self._span()
        with mmap.mmap(self.fd, len(self.model), prot=mmap.PROT_READ) as area:
            self._compare(area[offset : offset + length], offset, length)

    def map_write(self) -> None:
        if not self.model:
            return
        offset, length = self._span()
        data = self.random.randbytes(min(length, len(self.model) - offset))
        self._note(offset, len(data))
        with mmap.mmap(self.fd, len(self.model)) as area:
            area[offset : offset + len(data)] = data
            if self.random.random() < 0.5:
                area.flush()
        self._put(offset, data)

    def cut(self) -> None:
        self._resize(lambda size: os.ftruncate(self.fd, size), len(self.model))

    def cut_by_path(self) -> None:
        self._resize(lambda size: os.truncate(self.path, size), len(self.model))

    def extend(self) -> None:
        self._resize(lambda size: os.ftruncate(self.fd, size), self.max_size)

    def reopen(self) -> None:
        os.close(self.fd)
        self.fd = os.open(self.path, os.O_RDWR)

    def reopen_empty(self) -> None:
        os.close(self.fd)
        self.fd = os.open(self.path, os.O_RDWR | os.O_TRUNC)
        self.model.clear()

    def sync(self) -> None:
        os.fsync(self.fd)

    def stat(self) -> None:
        for size in (os.fstat(self.fd).st_size, os.stat(self.path).st_size):
            if size != len(self.model):
                raise self._difference(f"the size is {size}, not {len(self.model)}")

    def second_reader(self) -> None:
        offset, length = self._span()
        with open(self.path, "rb") as file:
            file.seek(offset)
            self._compare(file.read(length), offset, length)

    def _append(self, fd: int) -> None:
        data = self._data(self.max_size - len(self.model))
        self._whole(os.pwrite(fd, data, len(self.model)), data)
        self._put(len(self.model), data)

    def _resize(self, call, limit: int) -> None:
        size = self.random.randrange(limit + 1)
        self._note(size, 0)
        call(size)
        del self.model[size:]
        self.model.extend(bytes(size - len(self.model)))

    def _put(self, offset: int, data: bytes) -> None:
        if len(self.model) < offset:
            self.model.extend(bytes(offset - len(self.model)))
        self.model[offset : offset + len(data)] = data

    def _data(self, room: int) -> bytes:
        return self.random.randbytes(max(0, min(room, self._length())))

    def _length(self) -> int:
        # Small ones often; the edges of pages and of sealed chunks now and then.
        if self.random.random() < 0.3:
            return self.random.choice((1, 511, 4095, 4096, 4097, 131071, 131072, 131073))
        return int(self.random.random() ** 3 * MAX_LENGTH) + 1

    def _span(self) -> tuple[int, int]:
        offset = self.random.randrange(len(self.model) + 1)
        return offset, self._length()

    def _note(self, offset: int, length: int) -> None:
        self.done[-1] += f" at {offset}, {length} bytes of {len(self.model)}"

    def _whole(self, written: int, data: bytes) -> None:
        if written != len(data):
            raise self._difference(f"only {written} of {len(data)} bytes were written")

    def _compare(self, found: bytes, offset: int, length: int) -> None:
        wanted = bytes(self.model[offset : offset + length])
        if found == wanted:
            return
        if len(found) != len(wanted):
            raise self._difference(f"{len(found)} bytes instead of {len(wanted)} at {offset}")
        at = next(i for i, (a, b) in enumerate(zip(found, wanted, strict=True)) if a != b)
        raise self._difference(f"byte {offset + at} is {found[at]}, not {wanted[at]}")

    def _difference(self, what: str) -> Difference:
        return Difference("\n".join([*self.done, what]))


def exercise(path: str, seed: int, operations: int) -> None:
    """Run the program; Difference when the file system loses or changes a byte."""
    Exerciser(path, seed).run(operations)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ops", type=int, default=2000)
    args = parser.parse_args()
    try:
        exercise(args.path, args.seed, args.ops)
    except Difference as difference:
        sys.exit(str(difference))
    print(f"{args.ops} operations, no difference")
