"""How rows of the catalog are named, sealed and counted.

A *row* is table number (1 byte) ‖ key. Its name in the file is the first 16 bytes of
HMAC-SHA-256(row); its value is sealed (crypto/values.py) with the additional data table ‖ name ‖
schema (u32), under the newest of the value keys, each of which has a number and a salt.

A seal shows that a value is whole, not that none is missing. So the file also has a *census*: a
keyed multiset hash (MSet-XOR-Hash of Clarke et al., "Incremental Multiset Hash Functions",
ASIACRYPT 2003) over name, key number and counter of every row. It follows each commit at the
price of the rows that change, and a walk over all rows shows whether one is lost or stale.
"""

from __future__ import annotations

import hmac
import secrets
import struct
from collections.abc import Callable
from hashlib import blake2b

from tagfs.catalog.file import damaged
from tagfs.crypto.kdf import derive
from tagfs.crypto.values import MAX_USES, ValueSealer, number_of

NAME = 16
"""Bytes of a row's name."""
SALT = 16
"""Bytes of the salt of a value key."""
CENSUS = 32
"""Bytes of a census."""
_MAX_RUN = MAX_USES // 2
_VERSION = 12  # bytes at the head of a sealed value that no other has: key number, counter


class RowSealer:
    """The keys of one opening of the catalog. Seals in one thread, opens in another."""

    def __init__(self, key: bytes, schema: int, salt_of: Callable[[int], bytes | None]) -> None:
        """``salt_of`` returns the recorded salt of a value key by number, None when it is lost."""
        self._name_key = derive(key, "catalog names")
        self._census_key = derive(key, "catalog census")
        self._secret = derive(key, "catalog values")
        self._schema = struct.pack(">I", schema)
        self._salt_of = salt_of
        self._keys: dict[int, ValueSealer] = {}
        self._newest: ValueSealer

    def begin(self, number: int) -> bytes:
        """Draw the value key to seal under from now on; return the salt, which is to be recorded.

        ``number`` must not be that of a recorded key; the salt alone makes the key a new one.
        """
        salt = secrets.token_bytes(SALT)
        self._newest = self._keys[number] = ValueSealer(self._secret, number, salt)
        return salt

    def is_used_up(self, values: int) -> bool:
        """Whether sealing so many more values needs another key first."""
        return self._newest.uses + values > _MAX_RUN

    @property
    def number(self) -> int:
        """The number of the newest value key."""
        return self._newest.number

    def name(self, row: bytes) -> bytes:
        """Return the name of a row in the file."""
        return hmac.digest(self._name_key, row, "sha256")[:NAME]

    def seal(self, row: bytes, name: bytes, value: bytes) -> bytes:
        """Return the sealed value of a row."""
        return self._newest.seal(value, row[:1] + name + self._schema)

    def open(self, row: bytes, name: bytes, sealed: bytes) -> bytes:
        """Return the value of a row; raises Integrity."""
        number = number_of(sealed)
        opener = self._keys.get(number)
        if opener is None:
            salt = self._salt_of(number)
            if salt is None or len(salt) != SALT:
                raise damaged(f"value key {number} is lost")
            opener = self._keys[number] = ValueSealer(self._secret, number, salt)
        return opener.open(sealed, row[:1] + name + self._schema)

    def mark(self, name: bytes | memoryview, sealed: bytes | memoryview) -> int:
        """Return what a row adds to the census, and, by xor again, takes from it."""
        hasher = blake2b(name, key=self._census_key, digest_size=CENSUS)
        hasher.update(sealed[:_VERSION])
        return int.from_bytes(hasher.digest(), "big")
