"""What ``stat`` shows: link counts, inode numbers, and when something was changed."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from tagfs.views.nodes import Attr, Kind

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from colours import ByColour, photo, picture
from gallery_kit import Folder, make, opened

SECOND = 1000 << 16
"""One second of the hybrid logical clock."""


def run(tmp_path: Path, script: Callable[[Folder], Awaitable[None]]) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=ByColour()) as folder:
            await script(folder)

    trio.run(main)


def attr(g: Folder, path: str) -> Attr:
    return g.tree.attr(g.ino(path))


def walk(g: Folder, ino: int = 1, path: str = "") -> list[tuple[str, Attr]]:
    """Return everything that ``find`` meets, but for ``recent/``."""
    found = []
    for _, name, entry in g.tree.list(ino, 0):
        there = f"{path}/{os.fsdecode(name)}"
        found.append((there, entry))
        if entry.kind is Kind.DIR and there != "/recent":
            g.tree.look_up(ino, name)
            found += walk(g, entry.ino, there)
    return found


def holds(g: Folder) -> None:
    """Every link count must be the number of entries that there are, 1 for directories."""
    found = walk(g)
    times = Counter(entry.ino for _, entry in found)
    for path, entry in found:
        wanted = 1 if entry.kind is Kind.DIR else times[entry.ino]
        assert (path, entry.nlink) == (path, wanted)


def later(g: Folder) -> None:
    """Let a second pass between two acts."""
    clock = g.gallery.ledger._clock
    clock.witness(clock.tick() + SECOND)


async def edit(g: Folder, path: str, offset: int, data: bytes) -> None:
    handle = await g.tree.open(g.ino(path), os.O_WRONLY)
    handle.write(offset, data)
    await handle.flush()
    await handle.release()


def test_link_counts_are_the_number_of_entries(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        g.mkdir("tags/holiday")
        await g.write("2019/notes.txt", b"no photo")
        await g.write("2019/red.png", picture(200))
        await g.write("2019/twin.png", picture(200))
        await g.write("all/unfiled.png", picture(20))
        await g.write("all/twin of it.png", picture(20))
        await g.write("all/notes.txt", b"no photo either")
        await g.write("tags/holiday/dated.jpg", photo(1, date="2019:05:06 07:08:09"))
        g.ln("2019/notes.txt", "2019/again.txt")
        g.ln("2019/red.png", "linked.png")
        g.tree.symlink(*g.split("2019/symlink"), b"red.png")
        assert await g.gallery.wait("recognised", 20)
        holds(g)
        assert attr(g, "2019/notes.txt").nlink == 2
        g.rm("2019/again.txt")
        g.rm("tags/dog/red.png")
        g.rm("linked.png")
        holds(g)
        assert attr(g, "2019/notes.txt").nlink == 1
        g.rm("2019/red.png")  # the twin is the oldest now
        g.ln("2019/notes.txt", "tags/holiday/notes.txt")
        holds(g)
        g.rm("all/unfiled.png")
        await g.write("2019/twin.png", picture(20, 40))
        assert await g.gallery.wait("recognised", 20)
        holds(g)

    run(tmp_path, script)

    async def again() -> None:
        async with opened(tmp_path) as g:
            holds(g)

    trio.run(again)


def test_inode_numbers_are_the_same_on_every_mount(tmp_path: Path) -> None:
    paths = ["2019", "2019/red.png", "all", "tags", "tags/dog", "tags/dog/sun", "tags/sun/dog"]
    before: list[int] = []

    async def script(g: Folder) -> None:
        g.mkdir("2019")
        g.mkdir("tags/sun")
        await g.write("2019/red.png", picture(200))
        assert await g.gallery.wait("recognised", 20)
        before.extend(g.ino(path) for path in paths)
        assert len(set(before)) == len(paths)

    run(tmp_path, script)

    async def again() -> None:
        async with opened(tmp_path) as g:
            assert [g.ino(path) for path in paths] == before

    trio.run(again)


def test_acts_of_the_user_change_ctime(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/red.png", picture(200))
        ino = g.ino("2019/red.png")
        acts: list[Callable[[], object]] = [
            lambda: g.tree.set_attr(ino, mode=0o600),
            lambda: g.tree.set_attr(ino, mtime_ns=5),
            lambda: g.mv("2019/red.png", "2019/new.png"),
            lambda: g.ln("2019/new.png", "2019/linked.png"),
            lambda: g.rm("2019/new.png"),
            lambda: g.tree.marks.set_xattr(ino, b"user.note", b"x"),
            lambda: g.tree.marks.remove_xattr(ino, b"user.note"),
            lambda: g.rm("2019/linked.png"),
        ]
        for act in acts:
            before = g.tree.attr(ino).ctime_ns
            later(g)
            act()
            assert g.tree.attr(ino).ctime_ns > before
        assert g.tree.attr(ino).mtime_ns == 5
        folder = attr(g, "2019").ctime_ns
        later(g)
        g.tree.set_attr(g.ino("2019"), mtime_ns=5)
        assert attr(g, "2019").mtime_ns == 5
        assert attr(g, "2019").ctime_ns > folder

    run(tmp_path, script)


def test_new_bytes_change_ctime_also_when_the_old_time_is_put_back(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await g.write("red.png", picture(200))
        g.tree.set_attr(g.ino("red.png"), mtime_ns=5)
        for data in (b"whole", picture(201)):
            before = attr(g, "red.png").ctime_ns
            later(g)
            handle = await g.tree.open(g.ino("red.png"), os.O_WRONLY)
            handle.write(0, data)
            g.tree.set_attr(g.ino("red.png"), mtime_ns=5)
            await handle.flush()
            await handle.release()
            assert attr(g, "red.png").mtime_ns == 5
            assert attr(g, "red.png").ctime_ns > before

    run(tmp_path, script)


def test_recognising_resealing_and_storing_leave_ctime(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        g.mkdir("2019")
        await g.write("2019/red.png", picture(200))
        later(g)
        await edit(g, "2019/red.png", len(picture(200)), b"more behind")
        await g.write("2019/dark.png", picture(20))
        before = [attr(g, f"2019/{name}").ctime_ns for name in ("red.png", "dark.png")]
        later(g)
        assert await g.gallery.wait("stored", 20)
        assert g.gallery.standing(g.gallery.state.file(_file(g, "2019/red.png"))) == "stored"
        after = [attr(g, f"2019/{name}").ctime_ns for name in ("red.png", "dark.png")]
        assert after == before

    run(tmp_path, script)


def _file(g: Folder, path: str) -> bytes:
    kind, ident = g.gallery.state.tables.inode_owner(g.ino(path))
    assert kind == 1
    return ident
