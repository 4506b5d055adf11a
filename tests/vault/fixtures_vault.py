"""Deterministic rings and randomness for the tests of the vault."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from tagfs.vault.keys import KeyRing


def counted_random(seed: str) -> Callable[[int], bytes]:
    """Return a source of bytes that gives the same for the same seed; never for real keys."""
    calls = 0

    def random(n: int) -> bytes:
        nonlocal calls
        calls += 1
        return hashlib.shake_256(f"{seed} {calls}".encode()).digest(n)

    return random


def ring(seed: str = "ring") -> KeyRing:
    """Return the same ring for the same seed."""
    return KeyRing.create(counted_random(seed))
