"""Files that are made to harm who reads them, and photos that were spoilt on the way."""

from __future__ import annotations

import random
from pathlib import Path

from tagfs.recognise.sniff import DECODABLE, sniff


def hostile(test_data: object) -> list[Path]:
    folder: Path = test_data / "data/hostile"  # type: ignore[operator]
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".md", ".json"))


def mutated(test_data: object, folder: Path, number: int) -> list[Path]:
    """Make photos with bytes changed, cut out, put in, or cut off: a few or many."""
    chance = random.Random(11)
    originals = [
        p.read_bytes()
        for p in sorted((test_data / "data/formats").rglob("*"))  # type: ignore[operator]
        if p.is_file() and p.stat().st_size < 300_000 and sniff(p.read_bytes()[:64]) in DECODABLE
    ]
    made = []
    for i in range(number):
        data = bytearray(chance.choice(originals))
        for _ in range(chance.choice((1, 3, 10, 100))):
            at = chance.randrange(16, len(data) - 16) if len(data) > 64 else 0
            match chance.randrange(4):
                case 0:
                    data[at] ^= 1 << chance.randrange(8)
                case 1:
                    data[at : at + chance.randrange(1, 16)] = b""
                case 2:
                    data[at:at] = chance.randbytes(chance.randrange(1, 16))
                case _:
                    data[at : at + 4] = b"\xff\xff\xff\xff"
        if chance.random() < 0.2:
            del data[chance.randrange(len(data)) :]
        made.append(folder / f"{i}.jpg")
        made[-1].write_bytes(data)
    return made
