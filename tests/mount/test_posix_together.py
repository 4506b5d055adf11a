"""Several programs at the same files of an own folder: nobody gets an error that is not due."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytestmark = pytest.mark.mount

NAMES = ("a.jpg", "b.jpg")
SIZES = (10, 5000, 200_000)


class Program:
    """Writes, reads, cuts and replaces files that are always there."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder = folder
        self.number = number
        self.random = random.Random(number)

    def run(self, acts: int) -> list[str]:
        """Return the errors that came."""
        errors = []
        for _ in range(acts):
            act: Callable[[Path], object] = self.random.choice(
                [self.write, self.write, self.replace, self.read, self.cut, self.patch]
            )
            path = self.folder / self.random.choice(NAMES)
            try:
                act(path)
            except OSError as error:
                errors.append(f"{act.__name__} {path.name}: {error.strerror}")
        return errors

    def data(self) -> bytes:
        return bytes([self.number]) * self.random.choice(SIZES)

    def write(self, path: Path) -> None:
        path.write_bytes(self.data())

    def replace(self, path: Path) -> None:
        own = self.folder / f"temporary-{self.number}"
        own.write_bytes(self.data())
        own.rename(path)

    def read(self, path: Path) -> None:
        path.read_bytes()

    def cut(self, path: Path) -> None:
        with open(path, "r+b") as file:
            file.truncate(self.random.choice((0, 100, 150_000)))

    def patch(self, path: Path) -> None:
        with open(path, "r+b") as file:
            file.seek(1000)
            file.write(self.data())


def test_programs_that_write_and_replace_the_same_files_get_no_errors(own: Path) -> None:
    for name in NAMES:
        (own / name).write_bytes(b"begin")
    programs = [Program(own, number) for number in range(6)]
    with ThreadPoolExecutor(len(programs)) as pool:
        errors = [e for found in pool.map(lambda p: p.run(80), programs) for e in found]
    assert errors == []
    for name in NAMES:
        assert len((own / name).read_bytes()) == (own / name).stat().st_size
