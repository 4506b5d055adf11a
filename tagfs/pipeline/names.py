"""Names that mean something by themselves: views at the root, files still being written."""

from __future__ import annotations

RESERVED = frozenset(
    b"all tags people places dates videos recent untagged favourites review search trash".split()
)
"""Names at the root that are views, now or in a later version."""


def looks_temporary(name: bytes) -> bool:
    """Whether programs give such names to files that they are still writing."""
    if name.endswith((b".part", b".crdownload", b"_exiftool_tmp", b".tmp", b".swp", b".swx", b"~")):
        return True
    if name.startswith(b"."):
        stem, dot, tail = name[1:].rpartition(b".")  # rsync: .photo.jpg.AbC123
        return bool(dot and b"." in stem and len(tail) == 6 and tail.isalnum()) or name.startswith(
            b".goutputstream-"
        )
    return name.startswith(b"sed") and len(name) == 9 and name[3:].isalnum()
