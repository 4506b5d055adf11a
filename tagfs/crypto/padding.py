"""Padmé: how far a length is rounded up so that its low bits say nothing."""

from __future__ import annotations


def padme(n: int) -> int:
    """Return the Padmé length for ``n`` bytes: at most 12 % more, n itself below 2.

    A length keeps only as many leading bits as its exponent needs to be written, which leaves
    O(log log n) bits to leak (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files
    and Communication with PURBs", PoPETs 2019, section 4).
    """
    if n < 2:
        return n
    exponent = n.bit_length() - 1
    cleared = exponent - exponent.bit_length()
    mask = (1 << max(cleared, 0)) - 1
    return (n + mask) & ~mask
