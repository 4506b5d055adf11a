"""The ``-o`` options of ``tagfs mount``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tagfs.errors import Usage

IGNORED = frozenset(
    {"rw", "defaults", "auto", "noauto", "user", "nouser", "users", "nofail", "_netdev", "async"}
    | {"suid", "nosuid", "dev", "nodev", "exec"}
    | {"atime", "noatime", "relatime", "diratime", "nodiratime"}
)
"""What mount(8) and fstab say to everybody; the kernel does the safe thing in any case."""


@dataclass(frozen=True, slots=True)
class MountOptions:
    """How to mount. Field names are the options' names."""

    ro: bool = False
    noxattr: bool = False
    allow_other: bool = False
    nonempty: bool = False
    auto_unmount: bool = True
    upload_limit: int = 0  # bytes in a second; 0 for none
    cache_size: int = 0  # bytes; 0 for what it was
    jobs: int = 0  # workers that look at photos; 0 for half of the processors
    nice: int = 10  # how much lower than others their priority is
    battery: bool = False  # whether they work on battery power, too

    def for_fuse(self, helper: bool) -> set[str]:
        """Return libfuse's options; ``helper``: fusermount3 is there to unmount after a crash."""
        chosen = {"fsname=tagfs", "subtype=tagfs", "default_permissions"}
        chosen |= {name for name in ("ro", "allow_other") if getattr(self, name)}
        if self.auto_unmount and helper:
            chosen.add("auto_unmount")
        return chosen


HELP = {
    "ro": "nothing can be changed through the mount",
    "noxattr": "no extended attributes: listing and writing are faster, "
    "but there is no tag editor, and copies lose their attributes",
    "allow_other": "other users may look in, as modes allow",
    "nonempty": "mount over a directory that has something in it",
    "no_auto_unmount": "leave the mountpoint behind when tagfs is killed",
    "cache_size=SIZE": "keep local copies of so many bytes at most, from now on: 500M, 50G; "
    "10G at first",
    "upload_limit=RATE": "send so many bytes in a second on average: 500K, 2M",
    "jobs=N": "look at so many photos at a time; half as many as there are processors at first",
    "nice=N": "from 0 to 19, how far other programs go before recognition; 10 at first",
    "battery": "look at photos while the machine runs on its battery, too",
}
"""Options with what they are for; those with a value as ``name=VALUE``."""
_FLAGS = frozenset(name for name in HELP if "=" not in name) | {"auto_unmount"}
_SIZE = re.compile(r"(\d{1,12})([KMGT]?)")


def parse(text: str) -> MountOptions:
    """Read a comma-separated list; Usage for an option that there is not."""
    chosen: dict[str, Any] = {}
    for word in filter(None, (w.strip() for w in text.split(","))):
        name, is_valued, value = word.partition("=")
        if word == "no_auto_unmount":
            chosen["auto_unmount"] = False
        elif word in _FLAGS:
            chosen[word] = True
        elif is_valued and name in _VALUES:
            chosen[name] = _VALUES[name](value)
        elif word not in IGNORED and not word.startswith("x-"):
            known = ", ".join(HELP)
            raise Usage(f"There is no mount option {word!r}; there are {known}.")
    return MountOptions(**chosen)


def size(text: str) -> int:
    """Read a number of bytes: ``4096``, ``500K``, ``2M``, ``10G``, powers of 1024."""
    found = _SIZE.fullmatch(text.strip().upper())
    if found is None or not int(found[1]):
        raise Usage(f"{text!r} is no number of bytes; write 500K, 2M or 10G.")
    return int(found[1]) << 10 * "KMGT".find(found[2] or "?") + 10


def jobs(text: str) -> int:
    """Read how many workers look at photos, from 1 to 64."""
    return _number(text, 1, 64)


def nice(text: str) -> int:
    """Read by how much a priority is lowered, from 0 to 19."""
    return _number(text, 0, 19)


def _number(text: str, least: int, most: int) -> int:
    if not re.fullmatch(r"\d{1,3}", text, re.ASCII) or not least <= int(text) <= most:
        raise Usage(f"{text!r} is no number from {least} to {most}.")
    return int(text)


_VALUES = {"upload_limit": size, "cache_size": size, "jobs": jobs, "nice": nice}
