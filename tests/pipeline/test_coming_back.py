"""From the remote alone everything comes back; what was tampered with is named, the rest works."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from gallery_kit import SECRET, Folder, make, opened

from tagfs.errors import Exists, FileError, Integrity, NotAVault, TagfsError, WrongSecret
from tagfs.pipeline.opening import join
from tagfs.remote.url import dir_url
from tagfs.vault.slots import Passphrase, Words

FILES = {
    "a/one.bin": b"1" * 10,
    "a/two.bin": random.Random(1).randbytes(300_000),
    "a/b/three.bin": random.Random(2).randbytes(40_000_000),
    "four.bin": b"",
}


async def fill(g: Folder) -> None:
    g.mkdir("a")
    g.mkdir("a/b")
    g.mkdir("a/empty")
    g.mkdir("tags/kept")
    for path, data in FILES.items():
        if data:
            await g.write(path, data)
        else:
            g.tree.create(*g.split(path), 0o640)
    g.ln("a/two.bin", "tags/kept/2.bin")
    g.tree.symlink(*g.split("a/link"), b"two.bin")
    g.rm("a/one.bin")
    await g.write("a/one.bin", b"again")
    assert await g.gallery.wait("stored", 60)


async def filled(tmp_path: Path) -> tuple[str, bytes]:
    """Make and fill a vault; return its recovery words and state hash."""
    words = await make(tmp_path)
    async with opened(tmp_path) as g:
        await fill(g)
        return words, g.gallery.state.state_hash()


async def check(g: Folder) -> None:
    assert await g.read("a/one.bin") == b"again"
    assert await g.read("a/two.bin") == FILES["a/two.bin"]
    assert await g.read("a/b/three.bin") == FILES["a/b/three.bin"]
    assert g.names("a") == ["b", "empty", "link", "one.bin", "two.bin"]
    assert g.names("tags/kept") == ["2.bin"] or g.names("tags/kept") == ["two.bin"]
    assert g.tree.read_link(g.ino("a/link")) == b"two.bin"
    assert g.tree.attr(g.ino("four.bin")).mode == 0o640


@pytest.mark.parametrize("by", ["passphrase", "words"])
def test_a_lost_state_directory_comes_back_from_the_remote(tmp_path: Path, by: str) -> None:
    async def script() -> None:
        words, before = await filled(tmp_path)
        shutil.rmtree(tmp_path / "state")
        secret = SECRET if by == "passphrase" else Words(words)
        await join(tmp_path / "state", dir_url(tmp_path / "remote"), secret)
        async with opened(tmp_path) as g:
            assert g.gallery.state.state_hash() == before
            await check(g)
            assert not (await g.gallery.verify(1.0)).problems

    trio.run(script)


def test_a_lost_catalog_is_rebuilt_from_vault_and_journal(tmp_path: Path) -> None:
    async def script() -> None:
        await filled(tmp_path)
        async with opened(tmp_path, offline=True) as g:
            await g.write("later.bin", b"not published")
            before = g.gallery.state.state_hash()
        shutil.rmtree(tmp_path / "state" / "catalog")
        async with opened(tmp_path) as g:
            assert g.gallery.state.state_hash() == before
            await check(g)
            assert await g.read("later.bin") == b"not published"

    trio.run(script)


def test_a_damaged_catalog_is_rebuilt_and_never_served(tmp_path: Path) -> None:
    async def script() -> None:
        _, before = await filled(tmp_path)
        for file in (tmp_path / "state" / "catalog").glob("*.mdb"):
            data = bytearray(file.read_bytes())
            for at in range(5000, len(data), 997):
                data[at] ^= 0xFF
            file.write_bytes(data)
        async with opened(tmp_path) as g:
            assert g.gallery.state.state_hash() == before
            await check(g)

    trio.run(script)


def test_two_devices_that_took_turns_see_the_same(tmp_path: Path) -> None:
    async def script() -> None:
        await filled(tmp_path)
        await join(tmp_path / "other", dir_url(tmp_path / "remote"), SECRET)
        async with opened(tmp_path, "other") as g:
            await g.write("from-other.bin", b"other")
            assert await g.gallery.wait("stored", 60)
            before = g.gallery.state.state_hash()
        await join(tmp_path / "third", dir_url(tmp_path / "remote"), SECRET)
        async with opened(tmp_path, "third") as g:
            assert g.gallery.state.state_hash() == before
            assert await g.read("from-other.bin") == b"other"
            await check(g)

    trio.run(script)


@pytest.mark.parametrize(
    ("secret", "error"),
    [(Passphrase("wrong"), WrongSecret), (Words("abandon " * 23 + "art"), WrongSecret)],
)
def test_a_wrong_secret_is_said_to_be_wrong(
    tmp_path: Path, secret: Passphrase | Words, error: type[TagfsError]
) -> None:
    async def script() -> None:
        await make(tmp_path)
        with pytest.raises(error):
            await join(tmp_path / "other", dir_url(tmp_path / "remote"), secret)

    trio.run(script)


def test_a_folder_without_a_vault_is_no_vault(tmp_path: Path) -> None:
    async def script() -> None:
        (tmp_path / "remote").mkdir()
        (tmp_path / "remote" / "x").write_bytes(b"x")
        with pytest.raises(NotAVault):
            await join(tmp_path / "other", dir_url(tmp_path / "remote"), SECRET)

    trio.run(script)


def test_a_second_vault_on_the_same_remote_is_refused(tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path)
        shutil.rmtree(tmp_path / "state")
        with pytest.raises(TagfsError) as caught:
            await make(tmp_path, fresh=True)
        assert not isinstance(caught.value, Exists)

    trio.run(script)


def objects(tmp_path: Path) -> list[Path]:
    return sorted(p for p in (tmp_path / "remote" / "o").rglob("*") if p.is_file())


def cut(path: Path, tmp_path: Path) -> None:
    path.write_bytes(path.read_bytes()[:200_000])


def flip(path: Path, tmp_path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


def swap(path: Path, tmp_path: Path) -> None:
    other = next(p for p in objects(tmp_path) if p != path)
    first, second = path.read_bytes(), other.read_bytes()
    path.write_bytes(second)
    other.write_bytes(first)


def foreign(path: Path, tmp_path: Path) -> None:
    async def script() -> None:
        await make(tmp_path / "foreign", fresh=True)
        async with opened(tmp_path / "foreign") as g:
            await g.write("x.bin", FILES["a/two.bin"])
            assert await g.gallery.wait("stored", 60)

    trio.run(script)
    path.write_bytes(objects(tmp_path / "foreign")[0].read_bytes())


def lose(path: Path, tmp_path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("harm", [cut, flip, swap, foreign, lose])
def test_a_tampered_object_is_named_and_the_rest_works(
    tmp_path: Path, harm: Callable[[Path, Path], None]
) -> None:
    trio.run(filled, tmp_path)
    shutil.rmtree(tmp_path / "state")
    wanted = FILES["a/two.bin"]
    # The object of a/two.bin is the only one between 300 kB and 1 MB.
    victim = next(p for p in objects(tmp_path) if 300_000 < p.stat().st_size < 1_000_000)
    for path in objects(tmp_path):
        os.chmod(path, 0o600)
    harm(victim, tmp_path)

    async def script() -> None:
        await join(tmp_path / "state", dir_url(tmp_path / "remote"), SECRET)
        async with opened(tmp_path) as g:
            with pytest.raises(FileError) as caught:
                assert await g.read("a/two.bin") != wanted, "wrong bytes were served as right"
            assert caught.value.errno == errno.EIO
            report = await g.gallery.verify(1.0)
            name = victim.relative_to(tmp_path / "remote").as_posix()
            told = [p for p in report.problems if name in p or victim.name in p.replace("/", "")]
            hexadecimal = name[2:].replace("/", "")
            assert told or any(hexadecimal in p for p in report.problems), report.problems
            if harm is not swap:  # which takes another object with it
                assert await g.read("a/one.bin") == b"again"
                assert await g.read("a/b/three.bin") == FILES["a/b/three.bin"]

    trio.run(script)


def segments(tmp_path: Path) -> list[Path]:
    return sorted(p for p in (tmp_path / "remote" / "j").rglob("*") if p.is_file())


def test_a_tampered_segment_is_an_integrity_error_that_names_it(tmp_path: Path) -> None:
    trio.run(filled, tmp_path)
    victim = segments(tmp_path)[0]
    os.chmod(victim, 0o600)
    flip(victim, tmp_path)

    async def script() -> None:
        await join(tmp_path / "other", dir_url(tmp_path / "remote"), SECRET)
        with pytest.raises(Integrity):
            async with opened(tmp_path, "other"):
                pass

    outcome: Callable[[], Awaitable[None]] = script
    trio.run(outcome)
