"""What file managers leave behind in views: kept in memory, never a file, gone at unmount.

Finder and Dolphin keep a folder's look in a file beside its content, office programs a lock. A
view is no place for such files, but they are annoyed when they cannot write them. So they get
them back by name, and nobody else meets them: they are not listed, so that ``cp -r tags/dog``
does not carry them out.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass, field

from tagfs.errors import FileError, not_permitted
from tagfs.views.desktop import is_junk
from tagfs.views.nodes import Attr, Directory, Kind, Scrap, Spot

LARGEST = 1024 * 1024
"""Bytes of one file."""
TOGETHER = 16 * 1024 * 1024
"""Bytes of all of them; each counts as a block at least."""
BLOCK = 4096

Bytes = bytes | bytearray | memoryview


@dataclass(slots=True)
class _Body:
    mode: int
    mtime_ns: int
    ctime_ns: int
    data: bytearray = field(default_factory=bytearray)
    listed: bool = True
    opened: int = 0

    @property
    def room(self) -> int:
        return max(BLOCK, len(self.data))


class Junk:
    """The junk of every view directory, by name."""

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._names: dict[tuple[Spot, bytes], Scrap] = {}
        self._bodies: dict[Scrap, _Body] = {}
        self._last = 0
        self._room = 0

    def find(self, where: Spot, name: bytes) -> Scrap | None:
        """Return what was left under a name."""
        return self._names.get((where, name)) if self._names else None

    def create(self, where: Spot, name: bytes, mode: int) -> Scrap:
        """Make an empty file; raises FileError(ENOSPC) when there are too many."""
        if where.view.startswith("."):
            raise not_permitted(f"Nothing can be changed inside {where.view}/.")
        self._last += 1
        scrap, now = Scrap(self._last), self._now_ns()
        self._take(BLOCK)
        self._bodies[scrap] = _Body(mode & 0o7777, now, now)
        self._names[where, name] = scrap
        return scrap

    def remove(self, where: Spot, name: bytes) -> None:
        """Remove a file; who has it open keeps it."""
        scrap = self._names.pop((where, name))
        self._bodies[scrap].listed = False
        self._let_go(scrap)

    def move(self, where: Spot, name: bytes, target: Directory, new_name: bytes) -> None:
        """Rename a file to another name of the kind, over what has it."""
        if not isinstance(target, Spot) or not is_junk(new_name):
            raise not_permitted("What file managers leave in a view is kept in memory only.")
        if (where, name) == (target, new_name):
            return
        if (target, new_name) in self._names:
            self.remove(target, new_name)
        self._names[target, new_name] = self._names.pop((where, name))

    def clear(self, where: Spot) -> None:
        """Forget what was left in a directory that is gone."""
        for spot, name in [key for key in self._names if key[0] == where]:
            self.remove(spot, name)

    def attr(self, scrap: Scrap) -> Attr:
        """Return what ``stat`` shows."""
        body = self._body(scrap)
        return Attr(
            scrap.ino,
            Kind.FILE,
            len(body.data),
            body.mode,
            body.mtime_ns,
            body.ctime_ns,
            1 if body.listed else 0,
            volatile=True,
        )

    def set_attr(self, scrap: Scrap, mode: int | None, mtime_ns: int | None) -> None:
        """Change mode or modification time."""
        body = self._body(scrap)
        body.mode = body.mode if mode is None else mode & 0o7777
        body.mtime_ns = body.mtime_ns if mtime_ns is None else mtime_ns
        body.ctime_ns = self._now_ns()

    def open(self, scrap: Scrap) -> OpenedScrap:
        """Open a file."""
        self._body(scrap).opened += 1
        return OpenedScrap(self, scrap)

    def read(self, scrap: Scrap, offset: int, size: int) -> bytes:
        """Return bytes."""
        return bytes(self._body(scrap).data[offset : offset + size])

    def write(self, scrap: Scrap, offset: int, data: Bytes) -> None:
        """Write bytes; raises FileError(ENOSPC)."""
        body = self._body(scrap)
        self._resize(body, max(len(body.data), offset + len(data)))
        body.data[offset : offset + len(data)] = data
        body.mtime_ns = body.ctime_ns = self._now_ns()

    def truncate(self, scrap: Scrap, size: int) -> None:
        """Cut a file or extend it by zeros; raises FileError(ENOSPC)."""
        body = self._body(scrap)
        self._resize(body, size)
        body.mtime_ns = body.ctime_ns = self._now_ns()

    def closed(self, scrap: Scrap) -> None:
        """A handle is gone."""
        self._body(scrap).opened -= 1
        self._let_go(scrap)

    def _body(self, scrap: Scrap) -> _Body:
        body = self._bodies.get(scrap)
        if body is None:
            raise FileError(errno.ESTALE)
        return body

    def _resize(self, body: _Body, size: int) -> None:
        if size > LARGEST:
            raise FileError(errno.ENOSPC)
        self._take(max(BLOCK, size) - body.room)
        if size < len(body.data):
            del body.data[size:]
        else:
            body.data.extend(bytes(size - len(body.data)))

    def _take(self, room: int) -> None:
        if room > 0 and self._room + room > TOGETHER:
            raise FileError(errno.ENOSPC)
        self._room += room

    def _let_go(self, scrap: Scrap) -> None:
        body = self._bodies[scrap]
        if not body.listed and not body.opened:
            self._room -= body.room
            del self._bodies[scrap]


class OpenedScrap:
    """One open file of this kind, from ``open`` to ``release`` (tagfs/mount/seam.py)."""

    keep_cache = False

    def __init__(self, junk: Junk, scrap: Scrap) -> None:
        self.ino = scrap.ino
        self._junk = junk
        self._scrap = scrap

    def read_now(self, offset: int, size: int) -> bytes:
        """Return bytes, which are always here."""
        return self._junk.read(self._scrap, offset, size)

    async def read(self, offset: int, size: int) -> bytes:
        """Return bytes."""
        return self._junk.read(self._scrap, offset, size)

    def write(self, offset: int, data: Bytes) -> int:
        """Take all of ``data``."""
        self._junk.write(self._scrap, offset, data)
        return len(data)

    def truncate(self, size: int) -> None:
        """Cut the file or extend it by zeros."""
        self._junk.truncate(self._scrap, size)

    async def flush(self) -> None:
        """Nothing outlives this process."""

    async def fsync(self) -> None:
        """Nothing outlives this process."""

    async def release(self) -> None:
        """Let go of the file."""
        self._junk.closed(self._scrap)
