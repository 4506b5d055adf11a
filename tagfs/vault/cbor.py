"""Bounded CBOR: decodes what others wrote and hands out only values of the expected kind.

Whatever is wrong raises Malformed, a ValueError; callers turn it into Integrity that names the
thing. Unknown keys of maps are left alone, so that later versions may add some.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cbor2

MAX_DEPTH = 16
"""Containers inside containers, at most."""


class Malformed(ValueError):
    """The bytes are not the structure that was expected."""


def encode(value: Any) -> bytes:
    """Return the CBOR of a value; shortest heads, definite lengths, maps in insertion order."""
    return cbor2.dumps(value)


def decode(data: bytes | bytearray | memoryview) -> Any:
    """Return the decoded value; raises Malformed for any reason that decoding may fail."""
    try:
        return cbor2.loads(
            bytes(data), max_depth=MAX_DEPTH, allow_indefinite=False, allow_duplicate_keys=False
        )
    except Exception as e:
        # Tags make the decoder build dates, decimals and the like from hostile input: whatever
        # it raises means the same.
        raise Malformed(f"not CBOR ({type(e).__name__})") from None


class Fields:
    """A decoded map with small integer keys, read field by field."""

    __slots__ = ("_raw",)

    def __init__(self, raw: Any) -> None:
        if not isinstance(raw, dict):
            raise Malformed("a map is missing")
        self._raw = raw

    def bytes(self, key: int, *lengths: int, most: int = 0) -> bytes:
        """Return a byte string of one of the lengths, or of at most ``most`` bytes."""
        return check_bytes(self._raw.get(key), *lengths, most=most)

    def number(self, key: int, limit: int, least: int = 0) -> int:
        """Return an integer from ``least`` to below ``limit``."""
        return check_number(self._raw.get(key), limit, least)

    def text(self, key: int, most: int) -> str:
        """Return a text of at most ``most`` UTF-8 bytes."""
        value = self._raw.get(key)
        if not isinstance(value, str) or len(value.encode()) > most:
            raise Malformed(f"field {key} is no text of at most {most} bytes")
        return value

    def items(self, key: int, most: int) -> list[Any]:
        """Return an array of at most ``most`` items."""
        return check_items(self._raw.get(key), most)

    def maps(self, key: int, most: int) -> Iterator[Fields]:
        """Yield the maps of an array of at most ``most``."""
        return map(Fields, self.items(key, most))

    def unknown(self, last: int) -> bool:
        """Whether there are keys besides 1 … ``last``."""
        return not self._raw.keys() <= set(range(1, last + 1))

    def __contains__(self, key: int) -> bool:
        return key in self._raw


def check_bytes(value: Any, *lengths: int, most: int = 0) -> bytes:
    """Return a byte string of one of the lengths, or of at most ``most`` bytes."""
    if not isinstance(value, bytes) or not (len(value) in lengths or len(value) <= most):
        raise Malformed("a byte string of a certain length is missing")
    return value


def check_number(value: Any, limit: int, least: int = 0) -> int:
    """Return an integer from ``least`` to below ``limit``."""
    if type(value) is not int or not least <= value < limit:
        raise Malformed("a number is missing or out of bounds")
    return value


def check_items(value: Any, most: int) -> list[Any]:
    """Return an array of at most ``most`` items."""
    if not isinstance(value, list) or len(value) > most:
        raise Malformed("an array is missing or too long")
    return value
