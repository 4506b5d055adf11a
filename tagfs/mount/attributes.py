"""What ``stat`` shows: the tree's attributes in pyfuse3's form."""

from __future__ import annotations

import os
import stat

import pyfuse3

from tagfs.views.nodes import Attr, Kind

REMEMBERED = 5.0
"""Seconds for which the kernel may answer by itself. What changes meanwhile by other ways than
the mount is told to it (tagfs.mount.invalidate); this heals what was not told."""
ABSENT = 5.0
"""Seconds for which it may remember that a name which desktops probe for is not there."""

FORMAT = {Kind.FILE: stat.S_IFREG, Kind.DIR: stat.S_IFDIR, Kind.SYMLINK: stat.S_IFLNK}


class Shown:
    """Fills one EntryAttributes again and again.

    pyfuse3 copies it into the reply before anything else runs, so nobody sees it change; making
    a new one for each entry of a listing is what costs most there.
    """

    def __init__(self) -> None:
        self._entry = entry = pyfuse3.EntryAttributes()
        entry.generation = 0
        entry.st_uid = os.getuid()
        entry.st_gid = os.getgid()
        entry.st_rdev = 0
        entry.st_blksize = 4096
        entry.attr_timeout = REMEMBERED
        self.absent = pyfuse3.EntryAttributes()
        self.absent.st_ino = 0
        self.absent.entry_timeout = ABSENT

    def show(self, attr: Attr, volatile: bool = False) -> pyfuse3.EntryAttributes:
        """Return the attributes; valid until the next call. ``volatile``: the name is, too."""
        entry = self._entry
        entry.st_ino = attr.ino
        entry.st_mode = FORMAT[attr.kind] | attr.mode
        entry.st_nlink = attr.nlink
        size = attr.size
        entry.st_size = size
        # Also for bytes that are not on this machine: 0 would make ``tar -S`` write holes.
        entry.st_blocks = (size + 511) >> 9
        entry.st_mtime_ns = attr.mtime_ns
        entry.st_atime_ns = attr.mtime_ns
        entry.st_ctime_ns = attr.ctime_ns
        entry.entry_timeout = 0 if attr.volatile or volatile else REMEMBERED
        return entry
