"""The directory store beyond the common contract: durability, planted links, missing disks."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from tagfs.errors import Exists, Full, Integrity, NotFound, Refused, TagfsError, Unreachable
from tagfs.remote import folder as folder_module
from tagfs.remote import store as store_module
from tagfs.remote.dir import DirStore


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        with trio.fail_after(60):
            await test()

    trio.run(main)


class Recorder:
    """Watches the calls that matter for a power cut, in their order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[tuple[str, str]] = []
        self._watch(monkeypatch, "fsync", lambda fd: os.readlink(f"/proc/self/fd/{fd}"))
        self._watch(monkeypatch, "link", lambda old, new, **_: new)
        self._watch(monkeypatch, "mkdir", lambda name, *_, **__: name)

    def _watch(self, monkeypatch: pytest.MonkeyPatch, call: str, about: Any) -> None:
        real = getattr(os, call)

        def watched(*args: Any, **kwargs: Any) -> Any:
            self.seen.append((call, os.path.basename(str(about(*args, **kwargs)))))
            return real(*args, **kwargs)

        monkeypatch.setattr(folder_module.os, call, watched)


def test_bytes_are_on_disk_before_their_name_and_the_name_before_put_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        store = DirStore(tmp_path / "vault", create=True)
        recorder = Recorder(monkeypatch)
        await store.put("o/ab/cd", b"x")
        calls = recorder.seen
        link = calls.index(("link", "cd"))
        synced_before = [name for call, name in calls[:link] if call == "fsync"]
        assert len(synced_before[-1]) == 32  # the temporary file
        assert calls[link + 1 :] == [("fsync", "ab")]
        # Each new folder's entry is fsynced in the folder above before anything lands in it.
        for made, above in (("o", "vault"), ("ab", "o")):
            at = calls.index(("mkdir", made))
            assert ("fsync", above) in calls[at:link]
        assert ("fsync", tmp_path.name) in calls[:link]

    run(test)


def test_exists_is_said_only_once_the_other_object_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        await DirStore(tmp_path, create=True).put("o/a", b"x")
        recorder = Recorder(monkeypatch)
        with pytest.raises(Exists):
            await DirStore(tmp_path, create=False).put("o/a", b"x")
        assert recorder.seen[-1] == ("fsync", "o")

    run(test)


def test_nothing_is_left_behind_when_a_put_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def full(fd: int, data: bytes) -> int:
        if os.fstat(fd).st_size >= 4096:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, memoryview(data)[:4096])

    async def test() -> None:
        store = DirStore(tmp_path, create=True)
        monkeypatch.setattr(folder_module.os, "write", full)
        with pytest.raises(Full, match="o/big"):
            await store.put("o/big", bytes(10_000))
        assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
        monkeypatch.undo()
        await store.put("o/big", bytes(10_000))

    run(test)


def test_objects_and_folders_are_for_their_owner_only(tmp_path: Path) -> None:
    async def test() -> None:
        await DirStore(tmp_path / "v", create=True).put("o/a", b"x")
        assert (tmp_path / "v").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "v/o").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "v/o/a").stat().st_mode & 0o777 == 0o600

    run(test)


@pytest.mark.parametrize("renameat2_is_there", [True, False])
def test_only_new_holds_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renameat2_is_there: bool
) -> None:
    def no_links(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    class Libc:
        @staticmethod
        def renameat2(*_: Any) -> int:
            folder_module.ctypes.set_errno(errno.ENOSYS)
            return -1

    async def test() -> None:
        store = DirStore(tmp_path, create=True)
        monkeypatch.setattr(folder_module.os, "link", no_links)
        if not renameat2_is_there:
            monkeypatch.setattr(folder_module.ctypes, "CDLL", lambda *_, **__: Libc)
            with pytest.raises(Refused):
                await store.put("h/1", b"first")
            return
        await store.put("h/1", b"first")
        # Past the early look: the rename itself has to refuse.
        monkeypatch.setattr(folder_module.Folder, "_is_there", staticmethod(lambda *_: False))
        with pytest.raises(Exists):
            await store.put("h/1", b"second")
        assert await store.get("h/1") == b"first"
        assert os.listdir(tmp_path / ".tmp") == []

    run(test)


def test_a_planted_link_leads_nothing_out_of_the_store(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"mine")

    async def test() -> None:
        root = tmp_path / "vault"
        store = DirStore(root, create=True)
        await store.put("o/a", b"x")
        (root / "p").symlink_to(outside)
        (root / "o/secret").symlink_to(outside / "secret")
        for name in ("p/secret", "o/secret"):
            for call in (store.get, store.stat):
                with pytest.raises(Refused):
                    await call(name)
            assert store.local_path(name) is None
            with pytest.raises(Refused):
                await store.delete(name)
            with pytest.raises(Refused):
                await store.put(name, b"overwritten")
        with pytest.raises(Refused):
            await store.put("p/new", b"x")
        assert (outside / "secret").read_bytes() == b"mine"
        assert os.listdir(outside) == ["secret"]
        assert [e.name for e in (await store.list()).entries] == ["o/a"]

    run(test)


def test_what_is_no_plain_file_is_no_object_and_never_blocks(tmp_path: Path) -> None:
    async def test() -> None:
        store = DirStore(tmp_path, create=True)
        await store.put("o/a", b"x")
        os.mkfifo(tmp_path / "o/pipe")
        (tmp_path / "o/Upper Case").write_bytes(b"x")
        with pytest.raises(NotFound):
            await store.get("o/pipe")
        assert store.local_path("o/pipe") is None
        assert [e.name for e in (await store.list()).entries] == ["o/a"]

    run(test)


def test_a_root_that_is_a_link_is_fine(tmp_path: Path) -> None:
    async def test() -> None:
        (tmp_path / "disk").mkdir()
        (tmp_path / "vault").symlink_to(tmp_path / "disk")
        store = DirStore(tmp_path / "vault", create=True)
        await store.put("o/a", b"x")
        assert (tmp_path / "disk/o/a").read_bytes() == b"x"

    run(test)


def test_a_new_store_is_made_only_by_the_first_put(tmp_path: Path) -> None:
    async def test() -> None:
        root = tmp_path / "deep/down/vault"
        store = DirStore(root, create=True)
        with pytest.raises(NotFound):
            await store.get("h/1")
        assert (await store.list()).entries == ()
        assert await store.space() is None
        await store.delete("h/1")
        assert not (tmp_path / "deep").exists()
        await store.put("h/1", b"x")
        assert await DirStore(root, create=False).get("h/1") == b"x"

    run(test)


@pytest.mark.parametrize("left", ["nothing", "an empty folder", "a file"])
def test_a_disk_that_is_not_connected_is_unreachable_and_nothing_is_written_to_its_place(
    tmp_path: Path, left: str
) -> None:
    async def test() -> None:
        root = tmp_path / "media"
        used = DirStore(root, create=True)
        await used.put("h/1", b"x")
        root.rename(tmp_path / "unplugged")
        if left == "an empty folder":
            root.mkdir()
        elif left == "a file":
            root.write_bytes(b"")
        for store in (used, DirStore(root, create=False)):
            for call in (
                lambda s: s.get("h/1"),
                lambda s: s.stat("h/1"),
                lambda s: s.list(),
                lambda s: s.delete("h/1"),
                lambda s: s.put("h/2", b"x"),
                lambda s: s.space(),
            ):
                with pytest.raises(Unreachable, match="Connect the disk"):
                    await call(store)
            assert store.local_path("h/1") is None
        assert not root.exists() or not root.is_dir() or os.listdir(root) == []
        if left == "an empty folder":
            root.rmdir()
        elif left == "a file":
            root.unlink()
        (tmp_path / "unplugged").rename(root)
        assert await used.get("h/1") == b"x"
        await used.put("h/2", b"y")

    run(test)


def test_a_store_that_was_replaced_while_open_is_written_whole(tmp_path: Path) -> None:
    """Somebody restores the folder from a backup under a running daemon."""

    async def test() -> None:
        root = tmp_path / "vault"
        store = DirStore(root, create=True)
        await store.put("o/ab/1", b"x")
        shutil.copytree(root, tmp_path / "copy")
        shutil.rmtree(tmp_path / "copy/o/ab")
        root.rename(tmp_path / "old")
        (tmp_path / "copy").rename(root)
        await store.put("o/ab/2", b"y")
        assert await store.get("o/ab/2") == b"y"
        shutil.rmtree(root / "o")  # under the same root, behind its back
        await store.put("o/ab/3", b"z")
        assert await store.get("o/ab/3") == b"z"

    run(test)


def test_only_old_temporary_files_are_swept(tmp_path: Path) -> None:
    async def test() -> None:
        store = DirStore(tmp_path, create=True)
        temps = tmp_path / ".tmp"
        temps.mkdir()
        for name, age in (("old", 2 * 86400), ("young", 3600)):
            (temps / name).write_bytes(b"x")
            then = (temps / name).stat().st_mtime - age
            os.utime(temps / name, (then, then))
        await store.put("o/a", b"x")
        assert os.listdir(temps) == ["young"]

    run(test)


def test_an_object_that_is_too_long_for_tagfs_is_not_read_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "MAX_OBJECT", 1000)

    async def test() -> None:
        store = DirStore(tmp_path, create=True)
        (tmp_path / "o").mkdir()
        with open(tmp_path / "o/huge", "wb") as file:
            file.truncate(1 << 40)
        with pytest.raises(Integrity, match="o/huge"):
            await store.get("o/huge")
        with pytest.raises(Integrity, match="o/huge"):
            await store.get("o/huge", 5, 1 << 30)
        assert await store.get("o/huge", 1 << 39, 1000) == bytes(1000)

    run(test)


def test_a_file_is_copied_whole_also_where_the_kernel_cannot_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.copy_file_range
    given = [300_000]

    def stops_early(source: int, target: int, count: int, offset_src: int) -> int:
        if not given:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return real(source, target, min(count, given.pop()), offset_src)

    source = tmp_path / "source"
    source.write_bytes(os.urandom(3_000_000))
    monkeypatch.setattr(folder_module.os, "copy_file_range", stops_early)

    async def test() -> None:
        store = DirStore(tmp_path / "vault", create=True)
        await store.put_file("o/a", source)
        assert await store.get("o/a") == source.read_bytes()

    run(test)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (errno.EACCES, Refused),
        (errno.EROFS, Refused),
        (errno.EIO, Unreachable),
        (errno.ESTALE, Unreachable),
        (errno.EDQUOT, Full),
    ],
)
def test_what_the_file_system_says_keeps_its_meaning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, error: type[TagfsError]
) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    async def test() -> None:
        store = DirStore(tmp_path, create=True)
        await store.put("o/a", b"x")
        monkeypatch.setattr(folder_module.os, "fsync", failing)
        with pytest.raises(error, match=os.strerror(code)):
            await store.put("o/b", b"x")

    run(test)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    async def test() -> None:
        store = DirStore(tmp_path, create=True)
        await store.put("o/ab/a", b"x")
        before = len(os.listdir("/proc/self/fd"))
        for number in range(20):
            await store.put(f"o/{number:02}/a", b"x")
            await store.get("o/ab/a")
            await store.list("o/")
            with pytest.raises(Exists):
                await store.put("o/ab/a", b"x")
            with pytest.raises(NotFound):
                await store.get("o/ab/none")
            await store.delete(f"o/{number:02}/a")
        assert len(os.listdir("/proc/self/fd")) == before

    run(test)


def test_open_limits_hold_for_constants_that_other_storeys_rely_on() -> None:
    assert store_module.MAX_OBJECT >= 40 * 1024 * 1024  # a padded part of 32 MiB
