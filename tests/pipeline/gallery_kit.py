"""A real gallery in a temporary directory, driven through the tree without a mount."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tagfs.crypto.kdf import KdfParams
from tagfs.errors import FileError, Unreachable
from tagfs.pipeline.disk import REAL, Disk
from tagfs.pipeline.gallery import Gallery
from tagfs.pipeline.looking import Looks
from tagfs.pipeline.names import RESERVED
from tagfs.pipeline.opening import create, open_gallery
from tagfs.pipeline.state_dir import Settings, StateDir
from tagfs.remote.store import Page, Stat, Store
from tagfs.remote.url import dir_url, open_store
from tagfs.vault.slots import Passphrase, Words
from tagfs.views.nodes import ROOT_INODE
from tagfs.views.opened import Opened
from tagfs.views.tree import Tree

SECRET = Passphrase("correct horse battery staple")
VIEWS = {name.decode() for name in RESERVED}
"""Names at the root that are no folders of the user's."""
QUICK = KdfParams(64 * 1024, 3, 1)


class Folder:
    """Paths on a tree, as a program would use them."""

    def __init__(self, gallery: Gallery, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.gallery = gallery
        self.tree = Tree(gallery, monotonic)

    def ino(self, path: str) -> int:
        ino = ROOT_INODE
        for name in path.split("/"):
            if name:
                ino = self.tree.look_up(ino, os.fsencode(name)).ino
        return ino

    def split(self, path: str) -> tuple[int, bytes]:
        above, _, name = path.rpartition("/")
        return self.ino(above), os.fsencode(name)

    def names(self, path: str = "") -> list[str]:
        return sorted(os.fsdecode(name) for _, name, _ in self.tree.list(self.ino(path), 0))

    async def open(self, path: str, flags: int) -> Opened:
        """Open as the kernel does: a name that is stale is looked up once more."""
        parent, name = self.split(path)
        for last in (False, True):
            try:
                ino = self.tree.look_up(parent, name).ino
            except FileError as e:
                if e.errno != errno.ENOENT or not flags & os.O_CREAT:
                    raise
                ino = self.tree.create(parent, name, 0o644).ino
            try:
                return await self.tree.open(ino, flags)
            except FileError as e:
                if e.errno != errno.ESTALE or last:
                    raise
        raise AssertionError

    async def write(self, path: str, data: bytes) -> None:
        handle = await self.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for at in range(0, len(data), 131072):
            handle.write(at, data[at : at + 131072])
        await handle.flush()
        await handle.release()

    async def read(self, path: str) -> bytes:
        ino = self.ino(path)
        handle = await self.tree.open(ino, os.O_RDONLY)
        out = b""
        while True:
            piece = handle.read_now(len(out), 131072)
            if piece is None:
                piece = await handle.read(len(out), 131072)
            if not piece:
                break
            out += bytes(piece)
        await handle.release()
        return out

    def mkdir(self, path: str) -> None:
        self.tree.mkdir(*self.split(path), 0o755)

    def rm(self, path: str) -> None:
        self.tree.unlink(*self.split(path))

    def rmdir(self, path: str) -> None:
        self.tree.rmdir(*self.split(path))

    def mv(self, old: str, new: str, no_replace: bool = False) -> None:
        self.tree.rename(*self.split(old), *self.split(new), no_replace)

    def ln(self, old: str, new: str) -> None:
        self.tree.link(self.ino(old), *self.split(new))


async def make(tmp: Path, fresh: bool = False) -> str:
    """Make a vault in ``tmp/remote`` with its state in ``tmp/state``; return the words.

    It is a copy of one that is made once a run, because to derive a key takes longer than most
    tests; ``fresh`` makes one with other keys.
    """
    template = _template()
    if fresh or template is None:
        return await create(tmp / "state", dir_url(tmp / "remote"), SECRET, QUICK)
    if not template.exists():
        making = Path(tempfile.mkdtemp(dir=template.parent))
        words = await make(making, fresh=True)
        (making / "words").write_text(words)
        with suppress(OSError):  # another process was quicker
            making.rename(template)
    for part in ("state", "remote"):
        shutil.copytree(template / part, tmp / part)
    place = StateDir(tmp / "state")
    place.write_settings(Settings(dir_url(tmp / "remote"), place.settings().vault))
    return (template / "words").read_text()


def secret_of(state: Path) -> Passphrase | Words:
    """Return what opens a state directory, the quickest way."""
    template = _template()
    if template is None or not template.exists():
        return SECRET
    same = StateDir(template / "state").settings().vault == StateDir(state).settings().vault
    return Words((template / "words").read_text()) if same else SECRET


def _template() -> Path | None:
    home = os.environ.get("TAGFS_TEST_HOME")
    return Path(home) / "template" if home else None


def hurry(gallery: Gallery) -> None:
    """Look at photos at once: nobody waits for a person here."""
    gallery.looker.settle = gallery.looker.batch_wait = 0.01


@asynccontextmanager
async def opened(
    tmp: Path,
    state: str = "state",
    recogniser: Looks | None = None,
    disk: Disk = REAL,
    offline: bool = False,
    salvage: bool = False,
) -> AsyncIterator[Folder]:
    """Open the gallery of ``make``. ``offline``: nothing reaches the remote."""

    def remote(url: str, create: bool) -> Store:
        return (
            ReadOnly(open_store(url, create=create)) if offline else open_store(url, create=create)
        )

    async with open_gallery(
        tmp / state,
        secret_of(tmp / state),
        recogniser=recogniser,
        disk=disk,
        open_remote=remote,
        salvage=salvage,
    ) as gallery:
        hurry(gallery)
        yield Folder(gallery)


class ReadOnly(Store):
    """A store that answers but takes nothing."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.kind = inner.kind
        self.where = inner.where

    async def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        raise Unreachable("The remote takes nothing at the moment.")

    async def put_file(self, name: str, path: Path) -> None:
        raise Unreachable("The remote takes nothing at the moment.")

    async def get(self, name: str, offset: int = 0, size: int | None = None) -> bytes:
        return await self._inner.get(name, offset, size)

    async def stat(self, name: str) -> Stat:
        return await self._inner.stat(name)

    async def list(self, prefix: str = "", cursor: str | None = None) -> Page:
        return await self._inner.list(prefix, cursor)

    async def delete(self, name: str) -> None:
        raise Unreachable("The remote takes nothing at the moment.")
