"""Writing out of a gallery: byte for byte, going on after a stop, over nothing that is there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from gallery_kit import Folder, ReadOnly, make, opened, secret_of

from tagfs.errors import TagfsError, Unreachable, Usage
from tagfs.pipeline import copy_out, exporting
from tagfs.pipeline.exporting import ExportReport, export
from tagfs.pipeline.opening import open_gallery
from tagfs.remote.store import Store
from tagfs.remote.url import open_store
from tagfs.views import exports

PNG = b"\x89PNG\r\n\x1a\n"


def run(tmp_path: Path, script: Callable[[Folder], Awaitable[None]]) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path) as folder:
            await script(folder)

    trio.run(main)


async def whole(g: Folder, dest: Path, sidecars: bool = False) -> ExportReport:
    plan = await exports.everything(g.gallery.state, sidecars)
    return await export(g.gallery, plan, dest)


def tree(root: Path) -> dict[bytes, bytes | None]:
    """Every path below a folder with its bytes, None for a folder or link."""
    return {
        os.fsencode(path.relative_to(root)): (
            None if path.is_dir() or path.is_symlink() else path.read_bytes()
        )
        for path in root.rglob("*")
    }


def test_the_own_folders_come_out_as_they_are(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        big = PNG + os.urandom(3_000_000)
        g.mkdir("2019")
        g.mkdir("2019/empty")
        await g.write("2019/big.png", big)
        await g.write("2019/notes \udcff.txt", b"odd")
        await g.write("2019/nothing", b"")
        g.tree.symlink(g.ino("2019"), b"link", b"../elsewhere")
        g.tree.set_attr(g.ino("2019/big.png"), mode=0o640, mtime_ns=1_500_000_000_123_456_789)
        g.tree.set_attr(g.ino("2019/empty"), mode=0o500, mtime_ns=1_400_000_000_000_000_000)
        await g.write("all/unfiled.png", PNG + b"1")
        dest = tmp_path / "out"
        report = await whole(g, dest)
        assert (report.files, report.present, report.failed) == (5, 0, [])
        assert tree(dest) == {
            b"2019": None,
            b"2019/empty": None,
            b"2019/big.png": big,
            b"2019/link": None,
            b"2019/notes \xff.txt": b"odd",
            b"2019/nothing": b"",
            b"all": None,
            b"all/unfiled.png": PNG + b"1",
        }
        assert os.readlink(dest / "2019/link") == "../elsewhere"
        photo = (dest / "2019/big.png").stat()
        assert (photo.st_mode & 0o777, photo.st_mtime_ns) == (0o640, 1_500_000_000_123_456_789)
        folder = (dest / "2019/empty").stat()
        assert (folder.st_mode & 0o777, folder.st_mtime_ns) == (0o500, 1_400_000_000_000_000_000)

    run(tmp_path, script)


def test_hard_links_come_out_as_hard_links(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("a.txt", b"one file")
        g.ln("a.txt", "b.txt")
        await whole(g, tmp_path / "out")
        assert os.path.samefile(tmp_path / "out/a.txt", tmp_path / "out/b.txt")

    run(tmp_path, script)


def test_the_same_again_writes_nothing_and_a_stopped_one_goes_on(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        for i in range(4):
            await g.write(f"{i}.png", PNG + os.urandom(200_000))
        dest = tmp_path / "out"
        await whole(g, dest)
        (dest / "1.png").unlink()
        (dest / ".tagfs-export").write_bytes(b"half of something")
        report = await whole(g, dest)
        assert (report.files, report.present) == (1, 3)
        assert sorted(os.listdir(dest)) == ["0.png", "1.png", "2.png", "3.png"]
        (dest / ".tagfs-export").write_bytes(b"half of something")
        assert (await whole(g, dest)).files == 0
        assert not (dest / ".tagfs-export").exists()

    run(tmp_path, script)


def test_nothing_that_is_there_is_replaced(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("a.png", PNG + b"mine")
        dest = tmp_path / "out"
        dest.mkdir()
        (dest / "a.png").write_bytes(PNG + b"else")  # the same size
        report = await whole(g, dest)
        assert report.files == 1
        photo = g.gallery.state.file(g.tree._resolver.file(g.ino("a.png")).id)
        assert photo is not None
        assert photo.content is not None
        other = dest / f"a~{photo.content[0][:4].hex()}.png"
        assert other.read_bytes() == PNG + b"mine"
        assert (dest / "a.png").read_bytes() == PNG + b"else"
        assert (await whole(g, dest)).present == 1
        other.write_bytes(b"somebody's")
        failed = (await whole(g, dest)).failed
        assert [path for path, _ in failed] == ["a.png"]

    run(tmp_path, script)


def test_two_exports_into_one_folder_do_not_mix_their_bytes(tmp_path: Path) -> None:
    one, other = (copy_out.Target(os.fsencode(tmp_path), b"k" * 32) for _ in range(2))
    one.begin()
    other.begin()
    fd = one.open((b"a",))
    with pytest.raises(BlockingIOError, match="Another export"):
        other.open((b"b",))
    other.end([])
    one.write(fd, b"one")
    one.finish((b"a",), fd, 0o644, 0)
    fd = other.open((b"b",))
    other.write(fd, b"other")
    other.finish((b"b",), fd, 0o644, 0)
    assert tree(tmp_path) == {b"a": b"one", b"b": b"other"}


def test_links_in_the_destination_lead_nowhere(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/a.png", PNG)
        dest, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
        dest.mkdir()
        elsewhere.mkdir()
        (dest / "2019").symlink_to(elsewhere)
        report = await whole(g, dest)
        assert ("2019/a.png", "Not a directory") in report.failed
        assert list(elsewhere.iterdir()) == []

    run(tmp_path, script)


def test_a_query_writes_what_it_finds_flat_by_view_names(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("x")
        g.mkdir("y")
        await g.write("x/a.png", PNG + b"x")
        await g.write("y/a.png", PNG + b"y")
        await g.write("y/b.txt", b"no photo")
        plan = await exports.found(g.gallery.state, "name:a.png", False)
        report = await export(g.gallery, plan, tmp_path / "out")
        names = {os.fsdecode(name) for name in os.listdir(tmp_path / "out")}
        assert names == {name for name in g.names("all") if name.startswith("a")}
        assert {(tmp_path / "out" / name).read_bytes() for name in names} == {
            PNG + b"x",
            PNG + b"y",
        }
        assert report.files == 2
        assert (await exports.found(g.gallery.state, "zzgl", False)).hints

    run(tmp_path, script)


def test_a_full_destination_ends_it_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(g: Folder) -> None:
        await g.write("a.png", PNG)

        def full(self: object, fd: int, data: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(copy_out.Target, "write", full)
        with pytest.raises(TagfsError, match="make room"):
            await whole(g, tmp_path / "out")
        assert not (tmp_path / "out/a.png").exists()
        assert ".tagfs-export" not in os.listdir(tmp_path / "out")

    run(tmp_path, script)


def test_a_destination_that_is_a_file_is_wrong_usage(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        (tmp_path / "out").write_bytes(b"")
        with pytest.raises(Usage):
            await whole(g, tmp_path / "out")

    run(tmp_path, script)


def test_what_is_being_edited_is_listed_and_the_rest_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "DRAFTS", 0.3)

    async def script(g: Folder) -> None:
        await g.write("a.png", PNG)
        await g.write("b.png", PNG + b"b")
        handle = await g.tree.open(g.ino("a.png"), os.O_RDWR)
        handle.write(2, b"edit")
        await handle.flush()
        report = await whole(g, tmp_path / "out")
        assert [path for path, _ in report.failed] == ["a.png"]
        assert (tmp_path / "out/b.png").read_bytes() == PNG + b"b"
        await handle.release()

    run(tmp_path, script)


class Far(ReadOnly):
    """A store whose objects are not files of this machine."""

    def local_path(self, name: str) -> Path | None:
        return None


class Gone(Far):
    """One that does not answer."""

    async def get(self, name: str, offset: int = 0, size: int | None = None) -> bytes:
        raise Unreachable("The remote does not answer.")


@pytest.mark.parametrize("store", [Far, Gone])
def test_absent_bytes_are_fetched_or_missed(
    tmp_path: Path, store: type[Far], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "GIVE_UP", 1)
    data = {f"{i}.png": PNG + os.urandom(300_000) for i in range(5)}

    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path) as g:
            for name, value in data.items():
                await g.write(name, value)
            assert await g.gallery.wait("stored", 60)
        for place in ("spool", "cache"):
            shutil.rmtree(tmp_path / "state" / place)

        def remote(url: str, create: bool) -> Store:
            return store(open_store(url, create=create))

        async with open_gallery(
            tmp_path / "state", secret_of(tmp_path / "state"), open_remote=remote
        ) as gallery:
            plan = await exports.everything(gallery.state, False)
            await export(gallery, plan, tmp_path / "out")

    if store is Gone:
        with pytest.raises(Unreachable, match="Run the same command again"):
            trio.run(main)
        assert not [p for p in (tmp_path / "out").iterdir() if p.is_file()]
    else:
        trio.run(main)
        assert {name: (tmp_path / "out" / name).read_bytes() for name in data} == data
