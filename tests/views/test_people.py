"""``people/``: who is in the picture, by acts on files."""

from __future__ import annotations

import errno
import shutil
import sys
from pathlib import Path

import pytest
import trio
from test_tree import ByColour, picture, refused, run

from tagfs.model import TagId, Word
from tagfs.vault.ops import Entity, Field, SetRegister, SetWord

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
from gallery_kit import Folder, make, opened


async def filled(g: Folder) -> None:
    g.mkdir("2019")
    for i in range(4):
        await g.write(f"2019/{i}.png", picture(200 + i))
    assert await g.gallery.wait("recognised", 20)


def attribute(g: Folder, path: str, name: str) -> bytes | None:
    return g.tree.marks.xattr(g.ino(path), name.encode())


def test_a_photo_is_given_a_person_by_copying_and_denied_one_by_removing(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await filled(g)
        g.mkdir("people/Anna")
        assert g.names("people") == ["Anna"]
        assert g.names("people/Anna") == []
        g.mv("2019/0.png", "people/Anna/0.png")
        assert g.names("people/Anna") == ["0.png"]
        assert "0.png" in g.names("2019")  # between kinds nothing is taken away
        await g.write("people/Anna/new.png", picture(150))
        assert await g.gallery.wait("recognised", 20)
        assert g.names("people/Anna") == ["0.png", "new.png"]
        assert "new.png" in g.names("all")
        g.rm("people/Anna/0.png")
        assert g.names("people/Anna") == ["new.png"]
        assert "0.png" in g.names("2019")
        g.rm("people/Anna/new.png")
        g.rmdir("people/Anna")
        assert g.names("people") == []

    run(tmp_path, script)


def test_renaming_names_a_person_and_onto_or_into_another_merges_the_two(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await filled(g)
        for i, name in enumerate(("unknown-01", "unknown-02", "unknown-03", "Ben")):
            g.mkdir(f"people/{name}")
            g.mv(f"2019/{i}.png", f"people/{name}/{i}.png")
        g.mv("people/unknown-01", "people/Anna")
        assert g.names("people/Anna") == ["0.png"]
        g.mv("people/unknown-02", "people/Anna")
        g.mv("people/unknown-03", "people/Anna/unknown-03")
        assert g.names("people") == ["Anna", "Ben"]
        assert g.names("people/Anna") == ["0.png", "1.png", "2.png"]
        g.mv("people/Anna/2.png", "people/Ben/2.png")  # between persons a move moves
        assert g.names("people/Anna") == ["0.png", "1.png"]
        assert g.names("people/Ben") == ["2.png", "3.png"]
        g.gallery.undoing.undo()
        g.gallery.undoing.undo()
        assert g.names("people") == ["Anna", "Ben", "unknown-03"]

    run(tmp_path, script)


def test_a_person_and_a_tag_of_one_name_are_two(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await filled(g)
        g.mkdir("people/Rose")
        g.mkdir("tags/Rose")
        g.mv("2019/0.png", "people/Rose/0.png")
        g.mv("2019/1.png", "tags/Rose/1.png")
        assert g.names("people/Rose") == ["0.png"]
        assert g.names("tags/Rose") == ["1.png"]
        assert attribute(g, "2019/0.png", "user.xdg.tags") == b"dog"
        assert attribute(g, "2019/0.png", "user.tagfs.people") == b"Rose"
        assert attribute(g, "2019/1.png", "user.tagfs.people") is None
        assert g.names("search/person:rose") == ["0.png"]
        assert g.names("search/rose") == ["1.png"]
        assert g.names("search/dog -person:Rose") == ["1.png", "2.png", "3.png"]

    run(tmp_path, script)


def test_the_tag_editor_takes_no_person_away(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await filled(g)
        g.mkdir("people/Anna")
        g.mv("2019/0.png", "people/Anna/0.png")
        ino = g.ino("2019/0.png")
        assert g.tree.marks.xattr(ino, b"user.xdg.tags") == b"dog"
        g.tree.marks.set_xattr(ino, b"user.xdg.tags", b"holiday")
        assert g.names("people/Anna") == ["0.png"]
        assert g.names("tags/holiday") == ["0.png"]

    run(tmp_path, script)


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("people/Anna/Ben", errno.EPERM),
        ("people/.Anna", errno.EPERM),
        ("people/anna", errno.EEXIST),
    ],
)
def test_what_is_no_person_is_refused(path: str, number: int, tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await filled(g)
        g.mkdir("people/Anna")
        with refused(number):
            g.mkdir(path)
        with refused(errno.EPERM):
            g.mv("2019/0.png", "people/0.png")
        g.mkdir("tags/best")
        with refused(errno.ENOENT):
            g.names("people/Anna/best")

    run(tmp_path, script)


def test_two_persons_of_one_name_are_listed_apart(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await filled(g)
        for i, letter in enumerate("ab"):
            tag = TagId("p" + letter * 32)
            content = g.tree.at(f"2019/{i}.png".encode()).content
            assert content is not None
            g.gallery.ledger.commit(
                [
                    SetRegister(Entity.TAG, tag.encode(), Field.TAG_NAME, "unknown-07"),
                    SetWord(content[0], tag, Word.YES),
                ]
            )
        assert g.names("people") == ["unknown-07", "unknown-07~bbbbbbbb"]
        assert g.names("people/unknown-07") == ["0.png"]
        assert g.names("people/unknown-07~bbbbbbbb") == ["1.png"]
        g.mv("people/unknown-07~bbbbbbbb", "people/Ben")
        assert g.names("people") == ["Ben", "unknown-07"]
        assert g.names("people/Ben") == ["1.png"]

    run(tmp_path, script)


def test_persons_are_there_again_after_a_restart_and_from_the_journals(tmp_path: Path) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=ByColour()) as g:
            await filled(g)
            g.mkdir("people/Anna")
            g.mkdir("people/Ben")
            g.mv("2019/0.png", "people/Anna/0.png")
        for lost in (False, True):
            if lost:
                shutil.rmtree(tmp_path / "state" / "catalog")
            async with opened(tmp_path) as g:
                assert g.names("people") == ["Anna", "Ben"]
                assert g.names("people/Anna") == ["0.png"]

    trio.run(main)
