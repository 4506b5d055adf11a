"""Two ways to act on a gallery as a program does: in this process with held clocks, and mounted."""

from __future__ import annotations

import errno
import functools
import json
import multiprocessing
import os
import queue
import random
import secrets
import shutil
import socket
import stat
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol
from unittest import mock

import outcome
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
sys.path.insert(0, str(Path(__file__).parent.parent / "mount"))
import hands
import model_server
from eyes import ByByte, FewWords
from gallery_kit import QUICK, SECRET, Folder, make
from mounted import PATIENCE, unmount_by_force

from tagfs.errors import FileError
from tagfs.pipeline.gallery import Gallery
from tagfs.pipeline.opening import create, open_gallery
from tagfs.remote.memory import MemoryStore
from tagfs.vault.slots import Words
from tagfs.views.nodes import Attr, Kind

MEMORY = Path("/dev/shm")
FORKS = multiprocessing.get_context("forkserver")
"""Servers are forked from a process that has imported everything and holds no keys."""
FORKS.set_forkserver_preload(["pytest", "hands", "model_server"])
TAGS = "user.xdg.tags"
START = 1_700_000_000 * 10**9


@dataclass(frozen=True)
class Seen:
    """What ``stat`` says."""

    ino: int
    kind: str  # "file", "dir" or "link"
    size: int
    links: int


class Desk(Protocol):
    """A gallery as programs see it; paths are relative to its root. Raises OSError."""

    mounted: bool
    begun: int  # how often the gallery was begun

    def list(self, path: str) -> list[tuple[str, int]]:
        """Return names and inode numbers in the order of the listing."""

    def stat(self, path: str) -> Seen:
        """Look a path up; nothing is followed."""

    def read(self, path: str) -> bytes: ...
    def write(self, path: str, data: bytes) -> None:
        """What ``cp`` does."""

    def append(self, path: str, data: bytes) -> None: ...
    def truncate(self, path: str, size: int) -> None: ...
    def rename(self, old: str, new: str) -> None: ...
    def link(self, old: str, new: str) -> None: ...
    def unlink(self, path: str) -> None: ...
    def mkdir(self, path: str) -> None: ...
    def rmdir(self, path: str) -> None: ...
    def symlink(self, target: str, path: str) -> None: ...
    def read_link(self, path: str) -> str: ...
    def tags(self, path: str) -> set[str]:
        """Read ``user.xdg.tags``."""

    def set_tags(self, path: str, tags: set[str]) -> None: ...
    def recognise(self) -> None:
        """Return when everything was recognised."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""

    def monotonic(self) -> float: ...
    def reopen(self, how: str) -> None:
        """End and begin again: "clean", "rebuilt" or "killed"."""

    def hash(self) -> str: ...
    def close(self) -> None: ...


class HeldDesk:
    """The tree in this process, on a store in memory; time passes only when it is told to.

    Trio runs as a guest (trio.lowlevel.start_guest_run): its tasks go on only within ``_call``,
    so that the same acts give the same gallery.
    """

    mounted = False
    _template: ClassVar[tuple[Path, dict[str, bytes], str] | None] = None

    def __init__(self) -> None:
        place, objects, self._words = self._made()
        # Of two photos with one name the smaller id keeps it: the same acts shall end the same.
        self._ids = mock.patch.object(secrets, "token_bytes", self._random)
        self._chance = random.Random(0)
        self._ids.start()
        self._home = Path(tempfile.mkdtemp(prefix="tagfs-model-", dir=_memory()))
        shutil.copytree(place, self._home / "state")
        self._store = MemoryStore()
        self._store.objects.update(objects)
        self._now = START
        self._passed = 0.0
        self._caller = 0
        self.begun = 0
        self._begin()

    @classmethod
    def _made(cls) -> tuple[Path, dict[str, bytes], str]:
        """Return a vault to copy, made once: deriving a key takes longer than a whole run."""
        if cls._template is None:
            place = Path(tempfile.mkdtemp(prefix="tagfs-model-", dir=_memory())) / "state"
            store = MemoryStore()
            making = functools.partial(
                create, place, "memory://", SECRET, QUICK, open_remote=lambda url, new: store
            )
            cls._template = place, store.objects, trio.run(making)
        return cls._template

    @classmethod
    def forget_template(cls) -> None:
        """Remove the vault that was made to be copied."""
        if cls._template is not None:
            shutil.rmtree(cls._template[0].parent)
            cls._template = None

    def _random(self, size: int | None = None) -> bytes:
        """Give the same ids in every run; what threads seal in the background is none."""
        if threading.current_thread() is threading.main_thread():
            return self._chance.randbytes(size or 32)
        return os.urandom(size or 32)

    # -- running -----------------------------------------------------------------------------

    def _open(self) -> AbstractAsyncContextManager[Gallery]:
        return open_gallery(
            self._home / "state",
            Words(self._words),
            recogniser=ByByte(),
            words=FewWords(),
            open_remote=lambda url, new: self._store,
            now_ns=lambda: self._now,
        )

    def _begin(self) -> None:
        self.begun += 1
        self._clock = MockClock()
        self._ticks: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._wanted: Callable[[], Awaitable[Any]] | None = None
        self._looking = False  # what is wanted sets nothing going
        self._directories: dict[str, int] = {}  # inodes, since the last act
        self.__dict__.pop("_asked", None)
        self._answer: outcome.Outcome[Any] | None = None
        self._ended: outcome.Outcome[None] | None = None
        trio.lowlevel.start_guest_run(
            self._main,
            run_sync_soon_threadsafe=self._ticks.put,
            done_callback=self._end,
            clock=self._clock,
            restrict_keyboard_interrupt_to_checkpoints=True,
        )
        self._pump(lambda: hasattr(self, "_asked"))

    def _end(self, result: outcome.Outcome[None]) -> None:
        self._ended = result

    async def _main(self) -> None:
        async with self._open() as gallery:
            self.folder = Folder(gallery, self.monotonic)
            self.gallery = gallery
            self._asked = trio.Event()
            while True:
                if self._wanted is None:
                    await self._asked.wait()
                    self._asked = trio.Event()
                if self._wanted is None:
                    return
                wanted, self._wanted = self._wanted, None
                answer = await outcome.acapture(wanted)
                if not self._looking:
                    await self._settle()
                self._answer = answer

    async def _settle(self) -> None:
        """Let what a close has set going come to its end."""
        await wait_all_tasks_blocked()
        while self.gallery.status().sealed > self.gallery.looker.waiting:
            await trio.sleep(0)

    def _pump(self, until: Callable[[], bool]) -> None:
        while not until():
            self._ticks.get(timeout=60)()
            if self._ended is not None and not until():
                self._ended.unwrap()
                raise AssertionError("the gallery ended by itself")

    def _call(self, wanted: Callable[..., Awaitable[Any]], *args: object) -> Any:
        if not self._looking:
            self._directories.clear()
        self._now += 1_000_000
        self._caller += 1  # every act is another program's
        self.folder.tree.acting(self._caller)
        self._answer = None
        self._wanted = functools.partial(wanted, *args)
        self._wake()
        self._pump(lambda: self._answer is not None)
        assert self._answer is not None
        self.folder.tree.acting(0)
        try:
            return self._answer.unwrap()
        except FileError as e:
            raise OSError(e.errno, str(e)) from None

    def _wake(self) -> None:
        if hasattr(self, "_asked"):
            self._ticks.put(self._asked.set)

    def _do(self, act: Callable[..., object], *args: object) -> Any:
        async def wanted() -> object:
            return act(*args)

        return self._call(wanted)

    # -- what programs do --------------------------------------------------------------------

    def list(self, path: str) -> list[tuple[str, int]]:
        lines = list(_plainly(self.folder.tree.list, self._directory(path), 0))
        cookies = [cookie for cookie, _, _ in lines]
        assert cookies == sorted(set(cookies)), f"cookies of {path} do not grow: {cookies}"
        return [(os.fsdecode(name), attr.ino) for _, name, attr in lines]

    def stat(self, path: str) -> Seen:
        above, _, name = path.rpartition("/")
        attr: Attr = _plainly(self.folder.tree.look_up, self._directory(above), os.fsencode(name))
        kind = {Kind.FILE: "file", Kind.DIR: "dir", Kind.SYMLINK: "link"}[attr.kind]
        return Seen(attr.ino, kind, attr.size, attr.nlink)

    def _directory(self, path: str) -> int:
        if path not in self._directories:
            self._directories[path] = _plainly(self.folder.ino, path)
        return self._directories[path]

    def read(self, path: str) -> bytes:
        self._looking = True
        try:
            return bytes(self._call(self.folder.read, path))
        finally:
            self._looking = False

    def write(self, path: str, data: bytes) -> None:
        self._call(self.folder.write, path, data)

    def append(self, path: str, data: bytes) -> None:
        async def wanted() -> None:
            handle = await self.folder.open(path, os.O_WRONLY)
            try:
                handle.write(self.folder.tree.attr(handle.ino).size, data)
                await handle.flush()
            finally:
                await handle.release()

        self._call(wanted)

    def truncate(self, path: str, size: int) -> None:
        async def wanted() -> None:
            try:
                await self.folder.tree.truncate(self.folder.ino(path), size)
            except FileError as e:
                if e.errno != errno.ESTALE:
                    raise
                await self.folder.tree.truncate(self.folder.ino(path), size)  # the kernel does

        self._call(wanted)

    def rename(self, old: str, new: str) -> None:
        self._do(self.folder.mv, old, new)

    def link(self, old: str, new: str) -> None:
        self._do(self.folder.ln, old, new)

    def unlink(self, path: str) -> None:
        self._do(self.folder.rm, path)

    def mkdir(self, path: str) -> None:
        try:
            there = self.stat(path).kind
        except FileNotFoundError:
            there = ""
        if there in ("file", "link"):
            raise FileExistsError(errno.EEXIST, path)  # as the kernel answers by itself
        self._do(self.folder.mkdir, path)

    def rmdir(self, path: str) -> None:
        self._do(self.folder.rmdir, path)

    def symlink(self, target: str, path: str) -> None:
        self._do(lambda: self.folder.tree.symlink(*self.folder.split(path), os.fsencode(target)))

    def read_link(self, path: str) -> str:
        return os.fsdecode(_plainly(self.folder.tree.read_link, _plainly(self.folder.ino, path)))

    def tags(self, path: str) -> set[str]:
        ino = _plainly(self.folder.ino, path)
        return _split(_plainly(self.folder.tree.marks.xattr, ino, TAGS.encode()))

    def set_tags(self, path: str, tags: set[str]) -> None:
        marks, ino = self.folder.tree.marks, _plainly(self.folder.ino, path)
        self._do(marks.set_xattr, ino, TAGS.encode(), ",".join(sorted(tags)).encode())

    def recognise(self) -> None:
        async def wanted() -> None:
            self._clock.autojump_threshold = 0
            assert await self.gallery.wait("recognised", 3600)
            self._clock.autojump_threshold = float("inf")

        self._call(wanted)

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass; negative ones only set the wall clock back."""
        self._now += int(seconds * 1e9)
        self._passed += max(0.0, seconds)
        self._call(trio.lowlevel.checkpoint)

    def monotonic(self) -> float:
        return self._passed

    def reopen(self, how: str) -> None:
        self._finish()
        if how == "rebuilt":
            shutil.rmtree(self._home / "state" / "catalog")
        self._begin()

    def hash(self) -> str:
        return self.gallery.state.state_hash().hex()

    def _finish(self) -> None:
        self._wanted = None
        self._wake()
        self._pump(lambda: self._ended is not None)
        assert self._ended is not None
        self._ended.unwrap()

    def close(self) -> None:
        try:
            if self._ended is None:
                self._finish()
        finally:
            self._ids.stop()
            shutil.rmtree(self._home)


class MountedDesk:
    """A mount of its own process, as programs see it; every act is done by another process."""

    mounted = True
    _template: ClassVar[tuple[Path, str] | None] = None

    def __init__(self) -> None:
        place, self._words = self._made()
        self._home = Path(tempfile.mkdtemp(prefix="tagfs-model-", dir=_memory()))
        shutil.copytree(place, self._home / "vault")
        self._path = self._home / "Gallery"
        self._path.mkdir()
        self._passed = self._back = 0.0
        self.kill_next = False
        self.begun = 0
        ours, theirs = socket.socketpair()
        self._helper = FORKS.Process(target=hands.begin, args=(theirs,), daemon=True)
        self._helper.start()
        theirs.close()
        ours.settimeout(PATIENCE)
        self._hands = ours.makefile("rw", buffering=1)
        ours.close()
        self._begin()

    @classmethod
    def _made(cls) -> tuple[Path, str]:
        if cls._template is None:
            place = Path(tempfile.mkdtemp(prefix="tagfs-model-", dir=_memory())) / "vault"
            place.mkdir()
            cls._template = place, trio.run(make, place)
        return cls._template

    @classmethod
    def forget_template(cls) -> None:
        """Remove the vault that was made to be copied."""
        if cls._template is not None:
            shutil.rmtree(cls._template[0].parent)
            cls._template = None

    def _begin(self) -> None:
        self.begun += 1
        ours, theirs = socket.socketpair()
        clocks = self._passed, self._back
        arguments = theirs, str(self._path), self._home / "vault", self._words, *clocks
        self._server = FORKS.Process(target=model_server.begin, args=arguments, daemon=True)
        self._server.start()
        theirs.close()
        ours.settimeout(PATIENCE)
        self._line = ours.makefile("rw", buffering=1)
        ours.close()
        assert self._line.readline() == "ready\n", "the server did not mount"

    def _say(self, line: str) -> Any:
        self._line.write(line + "\n")
        answer = self._line.readline()
        assert answer, "the server ended by itself"
        return json.loads(answer)

    def _act(self, name: str, *arguments: str | int) -> None:
        """Do something in a process of its own; then what it set going comes to its end."""
        self._hands.write(json.dumps([name, *arguments]) + "\n")
        number = int(self._hands.readline())
        if self.kill_next:
            self.kill_next = False
            self.reopen("killed")  # whatever that process had asked for is answered
        self._say("settle")
        if number:
            raise OSError(number, f"{name} {arguments}")

    def _at(self, path: str) -> str:
        return os.path.join(self._path, path) if path else str(self._path)

    def list(self, path: str) -> list[tuple[str, int]]:
        with os.scandir(self._at(path)) as entries:
            return [(entry.name, entry.inode()) for entry in entries]

    def stat(self, path: str) -> Seen:
        found = os.lstat(self._at(path))
        kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}
        return Seen(found.st_ino, kinds[stat.S_IFMT(found.st_mode)], found.st_size, found.st_nlink)

    def read(self, path: str) -> bytes:
        return Path(self._at(path)).read_bytes()

    def write(self, path: str, data: bytes) -> None:
        self._act("write", self._at(path), os.O_CREAT | os.O_TRUNC, data.decode("latin-1"))

    def append(self, path: str, data: bytes) -> None:
        self._act("write", self._at(path), os.O_APPEND, data.decode("latin-1"))

    def truncate(self, path: str, size: int) -> None:
        self._act("truncate", self._at(path), size)

    def rename(self, old: str, new: str) -> None:
        self._act("rename", self._at(old), self._at(new))

    def link(self, old: str, new: str) -> None:
        self._act("link", self._at(old), self._at(new))

    def unlink(self, path: str) -> None:
        self._act("unlink", self._at(path))

    def mkdir(self, path: str) -> None:
        self._act("mkdir", self._at(path))

    def rmdir(self, path: str) -> None:
        self._act("rmdir", self._at(path))

    def symlink(self, target: str, path: str) -> None:
        self._act("symlink", target, self._at(path))

    def read_link(self, path: str) -> str:
        return os.readlink(self._at(path))

    def tags(self, path: str) -> set[str]:
        try:
            return _split(os.getxattr(self._at(path), TAGS, follow_symlinks=False))
        except OSError as e:
            if e.errno != errno.ENODATA:
                raise
            return set()

    def set_tags(self, path: str, tags: set[str]) -> None:
        self._act("setxattr", self._at(path), TAGS, ",".join(sorted(tags)))

    def recognise(self) -> None:
        assert self._say("recognise") is True

    def sleep(self, seconds: float) -> None:
        self._say(f"sleep {seconds}")
        self._passed += max(0.0, seconds)
        self._back -= min(0.0, seconds)

    def reopen(self, how: str) -> None:
        self._end(how == "killed")
        if how == "rebuilt":
            shutil.rmtree(self._home / "vault" / "state" / "catalog")
        self._begin()

    def hash(self) -> str:
        return str(self._say("hash"))

    def _end(self, kill: bool) -> None:
        if kill:
            self._server.kill()
        else:
            self._server.terminate()
        self._server.join(PATIENCE)
        unmount_by_force(self._path)
        assert kill or self._server.exitcode == 0, f"the server ended with {self._server.exitcode}"
        self._line.close()

    def close(self) -> None:
        self._hands.close()
        self._helper.join(PATIENCE)
        self._end(kill=True)
        shutil.rmtree(self._home)


def _split(value: bytes | None) -> set[str]:
    return set((value or b"").decode().split(",")) - {""}


def _plainly(question: Callable[..., Any], *args: object) -> Any:
    """Ask the tree something outside of trio."""
    try:
        return question(*args)
    except FileError as e:
        raise OSError(e.errno, str(e)) from None


def _memory() -> Path | None:
    return MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else None
