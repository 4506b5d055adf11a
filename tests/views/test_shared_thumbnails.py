"""File managers find thumbnails where the specification says, and they cost no network."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import random
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from PIL import Image

from tagfs.errors import FileError
from tagfs.pipeline.opening import open_gallery
from tagfs.recognise.decode import as_png
from tagfs.remote.url import dir_url, open_store
from tagfs.views import shared_thumbnails
from tagfs.views.shared_thumbnails import SIZES, shared_hashes, with_texts

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from colours import ByColour, WithThumbnails, photo, picture
from far_store import Far
from gallery_kit import Folder, hurry, make, secret_of

Script = Callable[[Folder, Far], Awaitable[None]]


@asynccontextmanager
async def opened(
    tmp: Path, recogniser: ByColour | None = None
) -> AsyncIterator[tuple[Folder, Far]]:
    store = Far(open_store(dir_url(tmp / "remote"), create=False))
    async with open_gallery(
        tmp / "state",
        secret_of(tmp / "state"),
        recogniser=recogniser or WithThumbnails(),
        open_remote=lambda url, create: store,
    ) as gallery:
        hurry(gallery)
        yield Folder(gallery), store


def run(tmp_path: Path, *scripts: Script) -> None:
    """Run scripts, the vault opened anew for each with no copy left on this machine."""

    async def main() -> None:
        await make(tmp_path)
        for script in scripts:
            async with opened(tmp_path) as (g, store):
                await script(g, store)
                assert await g.gallery.wait("stored", 60)
            shutil.rmtree(tmp_path / "state" / "cache")

    trio.run(main)


def entry(name: str, size: str = "normal") -> str:
    return f".sh_thumbnails/{size}/{hashlib.md5(b'./' + name.encode()).hexdigest()}.png"


async def looked(g: Folder, path: str, size: str = "normal") -> Image.Image:
    """Read the thumbnail of a path as a file manager would, and check what it checks."""
    folder, slash, name = path.rpartition("/")
    where = folder + slash + entry(name, size)
    raw = await g.read(where)
    assert len(raw) == g.tree.attr(g.ino(where)).size
    image = Image.open(io.BytesIO(raw))
    image.load()
    assert image.format == "PNG"
    mtime = g.tree.attr(g.ino(path)).mtime_ns
    assert float(image.text["Thumb::MTime"]) == mtime // 10**9 + 1e-6 * (mtime // 1000 % 10**6)
    assert image.text["Thumb::URI"] == "./" + name
    return image


def refused(number: int) -> pytest.RaisesExc[FileError]:
    return pytest.RaisesExc(FileError, check=lambda e: e.errno == number)


def test_every_directory_has_thumbnails_of_what_is_in_it(tmp_path: Path) -> None:
    async def script(g: Folder, store: Far) -> None:
        g.mkdir("2019")
        await g.write("2019/IMG_1.jpg", photo(1))
        await g.write("at-root.jpg", photo(2))
        assert await g.gallery.wait("recognised", 20)
        for path in ("2019/IMG_1.jpg", "at-root.jpg", "all/IMG_1.jpg", "tags/dog/at-root.jpg"):
            assert (await looked(g, path)).size == (128, 96)
            assert (await looked(g, path, "large")).size == (256, 192)
        first = await looked(g, "2019/IMG_1.jpg", "large")
        wanted = Image.open(io.BytesIO(photo(1))).convert("RGB").resize((256, 192))
        apart = [abs(a - b) for a, b in zip(first.tobytes(), wanted.tobytes(), strict=True)]
        assert sum(apart) / len(apart) < 10

    run(tmp_path, script)


def test_thumbnails_are_found_and_not_listed(tmp_path: Path) -> None:
    async def script(g: Folder, store: Far) -> None:
        g.mkdir("2019")
        await g.write("2019/IMG_1.jpg", photo(1))
        assert await g.gallery.wait("recognised", 20)
        assert g.names("2019") == ["IMG_1.jpg"]
        assert g.names("all") == ["IMG_1.jpg"]
        assert g.names("2019/.sh_thumbnails") == ["large", "normal"]
        assert g.names("2019/.sh_thumbnails/normal") == []
        assert g.tree.parent(g.ino("2019/.sh_thumbnails")) == g.ino("2019")
        assert g.tree.parent(g.ino("2019/.sh_thumbnails/large")) == g.ino("2019/.sh_thumbnails")
        assert g.tree.parent(g.ino("tags/dog/.sh_thumbnails")) == g.ino("tags/dog")
        for path in (
            entry("IMG_2.jpg"),
            entry("IMG_1.jpg", "x-large"),
            entry("IMG_1.jpg").upper().replace(".SH_THUMBNAILS/NORMAL", ".sh_thumbnails/normal"),
            ".sh_thumbnails/normal/x.png",
            ".sh_thumbnails/.sh_thumbnails",
            ".sh_thumbnails/normal/.sh_thumbnails",
        ):
            with refused(errno.ENOENT):
                g.ino("2019/" + path)
        with refused(errno.ENOENT):
            g.ino(".tagfs/.sh_thumbnails")

    run(tmp_path, script)


def test_nothing_can_be_written_among_thumbnails(tmp_path: Path) -> None:
    async def script(g: Folder, store: Far) -> None:
        g.mkdir("2019")
        await g.write("2019/IMG_1.jpg", photo(1))
        assert await g.gallery.wait("recognised", 20)
        made = "2019/" + entry("IMG_1.jpg")
        with refused(errno.EEXIST):
            g.mkdir("2019/.sh_thumbnails")
        for act in (
            lambda: g.mkdir("2019/.sh_thumbnails/fail"),
            lambda: g.mkdir("2019/.sh_thumbnails/normal/x"),
            lambda: g.tree.create(*g.split("2019/.sh_thumbnails/normal/x.png"), 0o600),
            lambda: g.rm(made),
            lambda: g.ln(made, "2019/copy.png"),
            lambda: g.ln("2019/IMG_1.jpg", "2019/.sh_thumbnails/normal/x.png"),
            lambda: g.rmdir("2019/.sh_thumbnails/normal"),
            lambda: g.rmdir("2019/.sh_thumbnails"),
            lambda: g.mv(made, "2019/moved.png"),
            lambda: g.tree.set_attr(g.ino(made), mtime_ns=5),
        ):
            with refused(errno.EPERM):
                act()
        with refused(errno.EPERM):
            await g.tree.open(g.ino(made), os.O_WRONLY)
        assert g.names("2019") == ["IMG_1.jpg"]

    run(tmp_path, script)


def test_a_thumbnail_follows_name_time_and_content(tmp_path: Path) -> None:
    async def script(g: Folder, store: Far) -> None:
        await g.write("one.jpg", photo(1))
        await g.write("notes.txt", b"no picture")
        assert await g.gallery.wait("recognised", 20)
        before = await looked(g, "one.jpg")
        g.tree.set_attr(g.ino("one.jpg"), mtime_ns=1_700_000_000_123_456_789)
        assert (await looked(g, "one.jpg")).text["Thumb::MTime"] == "1700000000.123456"
        g.tree.set_attr(g.ino("one.jpg"), mtime_ns=1_700_000_000 * 10**9)
        assert (await looked(g, "one.jpg")).text["Thumb::MTime"] == "1700000000"
        g.mv("one.jpg", "two.jpg")
        assert (await looked(g, "two.jpg")).tobytes() == before.tobytes()
        with refused(errno.ENOENT):
            g.ino(entry("one.jpg"))
        with refused(errno.ENOENT):
            g.ino(entry("notes.txt"))
        await g.write("two.jpg", photo(2))
        with refused(errno.ENOENT):
            g.ino(entry("two.jpg"))  # not looked at yet, and the old one would be wrong
        assert await g.gallery.wait("recognised", 20)
        assert (await looked(g, "two.jpg")).tobytes() != before.tobytes()

    run(tmp_path, script)


def test_thumbnails_of_absent_photos_need_no_remote_once_their_packs_are_here(
    tmp_path: Path,
) -> None:
    async def write(g: Folder, store: Far) -> None:
        for i in range(5):
            await g.write(f"{i}.jpg", photo(i))

    async def look_offline(g: Folder, store: Far) -> None:
        store.gone = True
        with refused(errno.ENETUNREACH):
            await looked(g, "0.jpg")
        store.gone = False

    async def look(g: Folder, store: Far) -> None:
        for i in range(5):
            await looked(g, f"{i}.jpg")
        asked = store.gets
        store.gone = True
        g.gallery.spool.shrink(0)  # packs of thumbnails stay
        for i in range(5):
            await looked(g, f"{i}.jpg", "large")
        assert store.gets == asked
        with refused(errno.ENETUNREACH):
            await g.read("0.jpg")
        store.gone = False

    run(tmp_path, write, look_offline, look)


def test_without_a_recogniser_there_are_no_thumbnails(tmp_path: Path) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path) as (g, _):
            await g.write("one.jpg", photo(1))
            assert await g.gallery.wait("recognised", 20)
        async with opened(tmp_path, ByColour()) as (g, _):
            with refused(errno.ENOENT):
                g.ino(entry("one.jpg"))

    trio.run(main)


def test_a_damaged_thumbnail_is_an_error_and_not_a_picture(tmp_path: Path) -> None:
    class Broken(WithThumbnails):
        async def png(self, jpeg: bytes, side: int) -> bytes | None:
            return None if side == 128 else b"\x89PNG\r\n\x1a\nno"

    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, Broken()) as (g, _):
            await g.write("one.jpg", photo(1))
            assert await g.gallery.wait("recognised", 20)
            for size in ("normal", "large"):
                with refused(errno.EIO):
                    await g.read(entry("one.jpg", size))

    trio.run(main)


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        (b"IMG_1.jpg", b"IMG_1.jpg"),
        (b"my photo (1).jpg", b"my%20photo%20(1).jpg"),
        ("Größe.jpg".encode(), b"Gr%C3%B6%C3%9Fe.jpg"),
        (b"100%.jpg", b"100%25.jpg"),
        (b"a;b.jpg", b"a%3Bb.jpg"),
        (b"a;b.jpg", b"a;b.jpg"),
        (b"odd\xff.jpg", b"odd%FF.jpg"),
    ],
)
def test_a_name_is_found_by_itself_and_as_it_stands_in_a_uri(name: bytes, uri: bytes) -> None:
    forms = (name, uri, b"./" + name, b"./" + uri)
    wanted = {hashlib.md5(form).hexdigest().encode() for form in forms}
    assert wanted <= shared_hashes(name)


@pytest.mark.parametrize("size", SIZES)
def test_pixels_that_do_not_compress_fit_with_the_longest_name(size: str) -> None:
    side, length = SIZES[size]
    noise = Image.frombytes("RGB", (side, side), random.Random(1).randbytes(side * side * 3))
    raw = with_texts(as_png(noise, side), b"\xff" * 255, -(10**18) + 1, length)
    assert len(raw) == length
    image = Image.open(io.BytesIO(raw))
    assert image.convert("RGB").tobytes() == noise.tobytes()
    assert image.text["Thumb::URI"] == "./" + "%FF" * 255


def test_a_directory_is_hashed_again_only_so_often(tmp_path: Path) -> None:
    """A miss costs a walk through the directory, so misses in a row may not cost one each."""
    times = [0.0]
    walks = []

    async def script(g: Folder, store: Far) -> None:
        for i in range(3):
            await g.write(f"{i}.jpg", picture(200 + i))
        assert await g.gallery.wait("recognised", 20)
        view = g.tree._thumbnails
        view._now = lambda: times[0]
        listed = view._listed

        def walk(where: shared_thumbnails.Directory) -> list[bytes]:
            walks.append(where)
            times[0] += 0.5
            return list(listed(where))

        view._listed = walk
        for _ in range(10):
            with refused(errno.ENOENT):
                g.ino(entry("absent.jpg"))
        assert len(walks) == 1
        await looked(g, "0.jpg")
        await g.write("3.jpg", picture(203))
        assert await g.gallery.wait("recognised", 20)
        with refused(errno.ENOENT):
            g.ino(entry("3.jpg"))
        times[0] += 11
        await looked(g, "3.jpg")
        assert len(walks) == 2

    run(tmp_path, script)
