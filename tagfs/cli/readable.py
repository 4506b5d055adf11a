"""Text for a terminal: names are whatever bytes somebody chose, and must not steer it."""

from __future__ import annotations

import unicodedata

_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that make what follows read in the other direction."""


def readable(text: str) -> str:
    """Return text with everything escaped that acts on a terminal, but for the ends of lines."""
    return "".join(c if c == "\n" else _shown(c) for c in text)


def readable_line(text: str) -> str:
    """Return one line: ``readable``, with ends of lines escaped, too."""
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if unicodedata.category(character) == "Cc" or character in _TURNS:
        return character.encode("unicode_escape").decode("ascii")
    return character
