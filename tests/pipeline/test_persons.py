"""Persons come out of faces, keep their names, and hear the user's words."""

from __future__ import annotations

import errno
import io
import shutil
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trio
import trio.testing
from colours import Read
from gallery_kit import Folder, make, opened
from PIL import Image

from tagfs.catalog.schema import Table
from tagfs.catalog.sights import Sight
from tagfs.errors import FileError
from tagfs.model import Analysis, Facts, Scored, Seen
from tagfs.pipeline import persons
from tagfs.pipeline.persons import PACK, Persons
from tagfs.recognise.cascade import PERSON
from tagfs.recognise.face import FEATURES, Face, packed, unpacked, vector
from tagfs.vault.ops import Op, RecordAnalysis
from tagfs.views.sidecar import sidecar


def group(seed: int, *people: int) -> bytes:
    """Return a PNG that shows these people, as far as Faces below can see."""
    image = Image.new("RGB", (32, 32), (seed % 256, seed // 256, len(people)))
    for i, person in enumerate(people):
        image.putpixel((i, 1), (person, 0, 0))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def face(person: int, seed: int, sharpness: float = 0.2) -> Face:
    """Return a face of a person: each is a direction of its own, a little off each time."""
    direction = np.zeros(FEATURES, np.float32)
    direction[person] = 1
    direction += np.random.default_rng(seed).normal(0, 0.02, FEATURES).astype(np.float32)
    direction /= np.linalg.norm(direction)
    return Face((0.1, 0.1, 0.5, 0.5), 0.95, 90.0, sharpness, 0.0, direction.astype("<f2").tobytes())


class Faces:
    """A recogniser that sees who is in a group()."""

    pack = "default-1"

    async def recognise(self, read: Read, size: int, media_type: str) -> Analysis:
        image = Image.open(io.BytesIO(bytes(await read(0, size))))
        low, high, count = image.getpixel((0, 0))  # type: ignore[misc]
        people = [image.getpixel((i, 1))[0] for i in range(count)]  # type: ignore[index]
        faces = packed(face(p, low + 256 * high + i) for i, p in enumerate(people))
        votes = (Scored(PERSON, 0.95),) if people else ()
        more = (Seen("faces-1", votes, votes, faces),)
        return Analysis(self.pack, "image/png", (), (), Facts(), b"", b"", more=more)


def run(tmp_path: Path, script: Callable[[Folder], Awaitable[None]]) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=Faces()) as g:
            await script(g)

    trio.run(main)


async def photos(g: Folder, **people: tuple[int, ...]) -> None:
    """Write photos, one after the other, and have them looked at."""
    for name, who in people.items():
        await g.write(f"{name}.png", group(len(g.names()) * 7 + 1, *who))
        assert await g.gallery.wait("recognised", 20)


async def settled(g: Folder) -> None:
    await g.gallery.persons.wait_idle()


def people(g: Folder) -> dict[str, list[str]]:
    return {name: g.names(f"people/{name}") for name in g.names("people")}


def test_somebody_seen_twice_is_a_person_and_a_stranger_is_none(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await photos(g, a=(1,), b=(2,), nobody=())
        assert people(g) == {}
        await photos(g, c=(1,), d=(1, 3))
        assert people(g) == {"unknown-01": ["a.png", "c.png", "d.png"]}
        await photos(g, e=(3,), f=(2,))
        assert people(g) == {
            "unknown-01": ["a.png", "c.png", "d.png"],
            "unknown-02": ["d.png", "e.png"],
            "unknown-03": ["b.png", "f.png"],
        }
        assert "person" in g.names("tags")
        assert not any(name.startswith("unknown") for name in g.names("tags"))

    run(tmp_path, script)


def test_who_is_named_keeps_the_name_and_new_photos_come_under_it(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await photos(g, a=(1,), b=(1,))
        g.mv("people/unknown-01", "people/Anna")
        await settled(g)
        await photos(g, c=(1, 2), d=(2,))
        assert people(g) == {"Anna": ["a.png", "b.png", "c.png"], "unknown-02": ["c.png", "d.png"]}

    run(tmp_path, script)


def test_not_this_person_holds_and_a_photo_moved_to_another_goes_there(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await photos(g, a=(1,), b=(1,), c=(1,), d=(2,), e=(2,))
        g.mv("people/unknown-01", "people/Anna")
        g.mv("people/unknown-02", "people/Ben")
        await settled(g)
        g.rm("people/Anna/a.png")
        g.mv("people/Anna/b.png", "people/Ben/b.png")
        await settled(g)
        assert people(g) == {"Anna": ["c.png"], "Ben": ["b.png", "d.png", "e.png"]}
        await photos(g, f=(1,), h=(1,))
        found = people(g)
        assert "a.png" not in found["Anna"]
        assert "c.png" in found["Anna"]
        assert set(found["Ben"]) >= {"b.png", "d.png", "e.png"}

    run(tmp_path, script)


def test_a_stranger_whose_folder_was_removed_does_not_come_back(tmp_path: Path) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=Faces()) as g:
            await photos(g, a=(1,), b=(1,), c=(2,), d=(2,))
            for name in g.names("people/unknown-01"):
                g.rm(f"people/unknown-01/{name}")
                await settled(g)
            g.rmdir("people/unknown-01")
            await settled(g)
            left = people(g)
            assert list(left) == ["unknown-02"]
            await photos(g, e=(1,), f=(1,))
            assert people(g) == left
        shutil.rmtree(tmp_path / "state" / "catalog")
        async with opened(tmp_path, recogniser=Faces()) as g:
            await settled(g)
            assert people(g) == left

    trio.run(main)


def test_the_user_names_a_face_that_was_seen_once_and_more_of_it_come(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await photos(g, a=(5,))
        g.mkdir("people/Eva")
        g.mv("a.png", "people/Eva/a.png")
        await settled(g)
        await photos(g, b=(5,), c=(6,))
        assert people(g) == {"Eva": ["a.png", "b.png"]}

    run(tmp_path, script)


def test_of_two_faces_the_one_that_is_like_the_person_is_meant(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await photos(g, a=(1,), b=(1,), c=(2, 1))
        g.mv("people/unknown-01", "people/Anna")
        await settled(g)
        g.rm("people/Anna/c.png")
        await settled(g)
        g.mv("c.png", "people/Anna/c.png")  # after all
        await settled(g)
        await photos(g, d=(2,))
        assert people(g) == {
            "Anna": ["a.png", "b.png", "c.png"],
            "unknown-02": ["c.png", "d.png"],
        }

    run(tmp_path, script)


def test_persons_that_were_merged_are_one_from_then_on(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await photos(g, a=(1,), b=(1,), c=(2,), d=(2,))
        g.mv("people/unknown-01", "people/Anna")
        g.mv("people/unknown-02", "people/Anna")
        await settled(g)
        await photos(g, e=(1,), f=(2,))
        assert people(g) == {"Anna": ["a.png", "b.png", "c.png", "d.png", "e.png", "f.png"]}

    run(tmp_path, script)


def test_a_merge_that_is_undone_leaves_two_persons_again(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await photos(g, a=(1,), b=(1,), c=(2,), d=(2,))
        before = people(g)
        assert len(before) == 2
        g.mv("people/unknown-01", "people/unknown-02")
        await settled(g)
        assert people(g) == {"unknown-02": ["a.png", "b.png", "c.png", "d.png"]}
        g.gallery.undoing.undo()
        await settled(g)
        assert people(g) == before
        await photos(g, e=(1,), f=(2,))
        assert people(g) == {
            "unknown-01": [*before["unknown-01"], "e.png"],
            "unknown-02": [*before["unknown-02"], "f.png"],
        }

    run(tmp_path, script)


def test_names_and_numbers_are_the_same_after_a_restart_and_from_the_journals(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=Faces()) as g:
            await photos(g, a=(1,), b=(2,), c=(2,), d=(1, 2), e=(3,))
            g.mv("people/unknown-02", "people/Anna")
            await settled(g)
            told = people(g)
            assert told == {"unknown-01": ["b.png", "c.png", "d.png"], "Anna": ["a.png", "d.png"]}
        for lost in (False, True):
            if lost:
                shutil.rmtree(tmp_path / "state" / "catalog")
            async with opened(tmp_path, recogniser=Faces()) as g:
                await settled(g)
                assert people(g) == told
                await photos(g, **{f"again{lost:d}": (1,)})
                told["Anna"] = sorted([*told["Anna"], f"again{lost:d}.png"])
                assert people(g) == told

    trio.run(main)


def test_persons_are_the_same_after_a_kill_before_they_were_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        await make(tmp_path)
        with monkeypatch.context() as killed:
            killed.setattr(Persons, "_save", lambda self: None)
            async with opened(tmp_path, recogniser=Faces()) as g:
                await photos(g, a=(1,), b=(2,), c=(2,), d=(1, 2), e=(3,))
                g.mv("people/unknown-02", "people/Anna")
                await settled(g)
                told = people(g)
        async with opened(tmp_path, recogniser=Faces()) as g:
            await settled(g)
            assert people(g) == told
            await photos(g, f=(1,), h=(2,))
            assert people(g) == {
                "unknown-01": [*told["unknown-01"], "h.png"],
                "Anna": [*told["Anna"], "f.png"],
            }

    trio.run(main)


def test_a_stop_within_a_batch_loses_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=Faces()) as g:
            await photos(g, a=(1,), b=(1,))
            g.mv("people/unknown-01", "people/Anna")
            await settled(g)
            fetch, asked = g.gallery.persons._faces.fetch, list[int]()

            async def slow(number: int, sight: Sight) -> tuple[Face, ...]:
                asked.append(number)
                if len(asked) > 1:
                    await trio.sleep_forever()
                return await fetch(number, sight)

            g.gallery.persons._faces.fetch = slow  # type: ignore[method-assign]
            for name in ("c", "d"):
                await g.write(f"{name}.png", group(ord(name), 1))
            with trio.fail_after(20):
                while len(asked) < 2:
                    await trio.sleep(0.01)
        async with opened(tmp_path, recogniser=Faces()) as g:
            await trio.sleep(0.1)
            await settled(g)
            assert people(g) == {"Anna": ["a.png", "b.png", "c.png", "d.png"]}

    trio.run(main)


def test_what_was_said_right_before_the_end_is_heard_at_the_next_start(tmp_path: Path) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=Faces()) as g:
            await photos(g, a=(1,), b=(1,), c=(5,))
            g.mv("people/unknown-01", "people/Anna")
            await settled(g)
            g.ln("c.png", "people/Anna/c.png")
        async with opened(tmp_path, recogniser=Faces()) as g:
            await photos(g, d=(5,))
            assert people(g) == {"Anna": ["a.png", "b.png", "c.png", "d.png"]}

    trio.run(main)


def test_an_export_says_who_is_named_and_calls_nobody_a_tag(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await photos(g, a=(1, 2), b=(1, 2))
        g.mv("people/unknown-01", "people/Anna")
        await settled(g)
        record = g.gallery.state.photos.get(g.tree.at(b"a.png").content[0])  # type: ignore[index]
        assert record is not None
        assert len(record.tags) >= 3
        packet = sidecar(g.gallery.state, record)
        assert packet is not None
        told = packet.decode()
        subject, _, people = told.partition("Iptc4xmpExt:PersonInImage>")
        assert "<rdf:li>person</rdf:li>" in subject
        assert "Anna" not in subject
        assert "<rdf:li>Anna</rdf:li>" in people
        assert "<rdf:li>People|Anna</rdf:li>" in people
        assert "unknown" not in told

    run(tmp_path, script)


def saved_in(g: Folder) -> bytes | None:
    return g.gallery.persons._store.get(Table.LOCAL, b"persons")


def test_what_faces_said_is_saved_now_and_then_and_what_the_user_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(g: Folder) -> None:
        await photos(g, a=(1,), b=(1,))
        await settled(g)
        before = saved_in(g)
        await photos(g, c=(1,), d=(1,))
        await settled(g)
        assert saved_in(g) == before
        g.mv("people/unknown-01", "people/Anna")
        await settled(g)
        await trio.testing.wait_all_tasks_blocked()
        assert saved_in(g) != before
        before = saved_in(g)
        monkeypatch.setattr(persons, "SAVING", 0.05)
        await photos(g, e=(1,))
        with trio.fail_after(5):
            while saved_in(g) == before:
                await trio.sleep(0.01)

    run(tmp_path, script)


def test_strangers_are_forgotten_with_the_last_of_their_photos_and_named_persons_are_not(
    tmp_path: Path,
) -> None:
    async def known(g: Folder) -> int:
        while not hasattr(g.gallery.persons, "_clustering"):
            await trio.sleep(0.01)
        await settled(g)
        return len(g.gallery.persons._clustering.numbers())

    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=Faces()) as g:
            await g.write("a.png", group(1000, 1))
            await photos(g, b=(1,), c=(2,), d=(2,), e=(3,), f=(4,))
            g.mv("people/unknown-02", "people/Anna")
            await settled(g)
            for name in ("a", "b", "c", "d", "e", "f"):
                g.rm(f"{name}.png")
        async with opened(tmp_path, recogniser=Faces()) as g:  # nobody empties it right away
            for name in ("a", "b", "c", "d", "e"):
                g.rm(f"trash/{name}.png")
        async with opened(tmp_path, recogniser=Faces()) as g:
            assert await known(g) == 2  # Anna, and who is in the trash
            await photos(g, h=(2,))
            await g.write("a.png", group(1000, 1))
            await photos(g, i=(1,))
            assert people(g) == {"Anna": ["h.png"], "unknown-03": ["a.png", "i.png"]}

    trio.run(main)


def test_a_kill_after_strangers_were_forgotten_leaves_a_gallery_that_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=Faces()) as g:
            await photos(g, a=(1,), b=(1,), c=(1,))
            for name in ("a", "b", "c"):
                g.rm(f"{name}.png")
        async with opened(tmp_path, recogniser=Faces()) as g:
            for name in ("a", "b"):
                g.rm(f"trash/{name}.png")
        save, saves = Persons._save, list[Persons]()

        def once(persons: Persons) -> None:
            saves.append(persons)
            if len(saves) == 1:
                save(persons)

        with monkeypatch.context() as killed:
            killed.setattr(Persons, "_save", once)
            async with opened(tmp_path, recogniser=Faces()) as g:
                await photos(g, d=(2,))
                assert saves
        async with opened(tmp_path, recogniser=Faces()) as g:
            await photos(g, e=(2,), f=(1,))
            assert people(g) == {"unknown-02": ["d.png", "e.png"]}

    trio.run(main)


def test_a_stranger_is_introduced_though_their_first_photo_is_in_the_trash(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await photos(g, a=(1,))
        await settled(g)
        g.rm("a.png")
        await photos(g, other=(), b=(1,), c=(1,))
        assert people(g) == {"unknown-01": ["b.png", "c.png"]}

    run(tmp_path, script)


def test_who_was_named_is_known_as_named_after_a_rebuild(tmp_path: Path) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=Faces()) as g:
            await photos(g, a=(1,), b=(1,), c=(2,), d=(2,))
            g.mv("people/unknown-01", "people/Anna")
            g.mv("people/unknown-02", "people/Ben")
            await settled(g)
        shutil.rmtree(tmp_path / "state" / "catalog")
        async with opened(tmp_path, recogniser=Faces()) as g:
            await photos(g, e=(1,))
            assert len(g.gallery.persons._named) == 2

    trio.run(main)


def test_rows_of_persons_are_written_once(tmp_path: Path) -> None:
    async def script(g: Folder) -> None:
        await photos(g, a=(1,), b=(1,))
        ident = g.tree.at(b"a.png").content[0]  # type: ignore[index]
        photo = g.gallery.state.photos.get(ident)
        assert photo is not None
        (before,) = photo.sights[PACK].tags
        stamp = photo.sights[PACK].stamp
        g.gallery.persons.look_at(ident)
        await settled(g)
        photo = g.gallery.state.photos.get(ident)
        assert photo is not None
        assert photo.sights[PACK].tags == (before,)
        assert photo.sights[PACK].stamp == stamp

    run(tmp_path, script)


def apart(person: int, other: int, share: float, seed: int) -> Face:
    """Return a face of a person that looks a bit like another one."""
    one, two = (np.frombuffer(face(p, seed).embedding, "<f2") for p in (person, other))
    mixed = (1 - share) * one.astype(np.float32) + share * two.astype(np.float32)
    mixed /= np.linalg.norm(mixed)
    return replace(face(person, seed), embedding=mixed.astype("<f2").tobytes())


class Lookalikes(Faces):
    """Sees faces of number 9 that are a bit like those of number 1."""

    async def recognise(self, read: Read, size: int, media_type: str) -> Analysis:
        found = await super().recognise(read, size, media_type)
        (seen,) = found.more
        alike = [
            apart(9, 1, 0.35, i) if np.argmax(vector(one)) == 9 else one
            for i, one in enumerate(unpacked(seen.features))
        ]
        return replace(found, more=(replace(seen, features=packed(alike)),))


def test_doubtful_faces_of_a_named_person_are_offered_and_the_users_answer_holds(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        await make(tmp_path)
        async with opened(tmp_path, recogniser=Lookalikes()) as g:
            await photos(g, a=(1,), b=(1,), c=(9,), d=(3,))
            assert g.names("review") == ["unreadable"]
            g.mv("people/unknown-01", "people/Anna")
            await settled(g)
            assert g.names("review") == ["maybe-Anna", "unreadable"]
            assert g.names("review/maybe-Anna") == ["c.png"]
            await photos(g, e=(9, 4))
            assert g.names("review/maybe-Anna") == ["c.png", "e.png"]
            g.mv("review/maybe-Anna/c.png", "people/Anna/c.png")
            g.rm("review/maybe-Anna/e.png")
            assert g.names("review/maybe-Anna") == []
            g.rmdir("review/maybe-Anna")
            await settled(g)
            assert g.names("people/Anna") == ["a.png", "b.png", "c.png"]
            assert g.names("review") == ["unreadable"]
            assert {"c.png", "e.png"} <= set(g.names("all"))

    trio.run(main)


def test_what_the_disk_had_no_room_for_is_told_when_there_is_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persons, "RETRY", 0.01)

    async def script(g: Folder) -> None:
        await photos(g, a=(1,), x=(4,))
        commit, refused = g.gallery.persons._ledger.commit, list[int]()

        def full(ops: Iterable[Op], *rest: object, **more: object) -> object:
            ops = list(ops)
            if any(isinstance(op, RecordAnalysis) and op.pack == PACK for op in ops):
                refused.append(1)
                if len(refused) < 4:
                    raise FileError(errno.ENOSPC)
            return commit(ops, *rest, **more)  # type: ignore[arg-type]

        monkeypatch.setattr(g.gallery.persons._ledger, "commit", full)
        await photos(g, b=(1,))
        assert len(refused) == 4
        assert people(g) == {"unknown-01": ["a.png", "b.png"]}

    run(tmp_path, script)
