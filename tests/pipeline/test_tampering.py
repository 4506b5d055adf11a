"""Whatever is done to the files of a vault: an error that names the file, and the rest works."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from gallery_kit import Folder, opened
from tampering import FILES, SMALL, Files, Made, Named, flipped, harms, make_vault

from tagfs.errors import FileError, Integrity, NotAVault, TagfsError, WrongSecret
from tagfs.pipeline import looking, uploading
from tagfs.pipeline.from_objects import recover_from_objects
from tagfs.pipeline.opening import join
from tagfs.remote.memory import MemoryStore
from tagfs.remote.url import dir_url
from tagfs.vault.memory import Memory
from tagfs.vault.objects import PartReader, verify_part
from tagfs.vault.slots import Words
from tagfs.vault.vault import Vault

SEED = 20


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uploading, "PAUSE", 0.0)
        patch.setattr(looking, "SETTLE", 0.01)
        yield trio.run(make_vault, tmp_path_factory.mktemp("vault"))


def one_of_each(made: Made, small: bool) -> list[str]:
    """Return a file of every kind, by chance and always the same ones."""

    def whatever_its_name(name: str) -> tuple[int, int, str]:
        what = made.named[name]
        return len(made.files[name]), what.seq, what.content or ""

    chosen = []
    for kind in "hdjo":
        fitting = [n for n in made.of(kind) if (len(made.files[n]) <= SMALL) == small]
        fitting.sort(key=whatever_its_name)
        chosen += random.Random(f"{SEED} {kind}").sample(fitting, min(1, len(fitting)))
    return chosen


async def noticed(made: Made, store: MemoryStore, name: str) -> bool:
    """Read a file that was changed; say whether that was noticed, by an error that names it."""
    what, vault = made.named[name], made.vault
    try:
        if what.kind == "h":
            await Vault.open(store, Words(made.words), vault.device)
        elif what.kind == "o":
            read_object(made, what, store.objects[name])
        else:
            fresh = Vault(store, vault.ring, vault.header, vault.info, vault.device, Memory())
            if what.kind == "d":
                await fresh.certificate(what.device, 1)  # type: ignore[arg-type]
            else:
                await fresh.segment(what.device, what.seq)  # type: ignore[arg-type]
    except WrongSecret:
        return what.kind == "h"  # what a slot binds cannot be told from a wrong secret
    except (Integrity, NotAVault) as e:
        is_named(e, what)
        return True
    return False


def is_named(error: TagfsError, *harmed: Named) -> None:
    assert any(what.in_(str(error)) for what in harmed), f"{error} names none of {harmed}"


def read_object(made: Made, what: Named, data: bytes) -> None:
    assert what.part is not None
    number, part = what.part
    ring, size = made.vault.ring, part.size
    reader = PartReader(ring, part, number)
    offset, length, first = reader.span(0, size)
    out = memoryview(bytearray(size))
    try:
        reader.open_into(data[offset : offset + length], first, 0, out)
    except Integrity as e:
        is_named(e, what)
    else:
        assert what.content is None or out == FILES[what.content], "wrong bytes were read"
    verify_part(ring, part, number, lambda at, n: data[at : at + n])


async def flip(made: Made, name: str, bits: range | list[int]) -> None:
    store = MemoryStore()
    store.objects.update(made.files)
    assert not await noticed(made, store, name)
    for bit in bits:
        store.objects[name] = flipped(made.files[name], bit)
        assert await noticed(made, store, name), f"bit {bit} of {name} may be flipped"


def every_bit(made: Made, names: list[str]) -> None:
    for name in names:
        trio.run(flip, made, name, range(8 * len(made.files[name])))


def test_every_bit_of_a_small_file_of_each_kind_is_noticed_and_the_file_named(made: Made) -> None:
    names = one_of_each(made, small=True)
    assert {name[0] for name in names} == set("hdjo")
    every_bit(made, names)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_every_bit_of_every_small_file_is_noticed_and_the_file_named(made: Made) -> None:
    every_bit(made, [n for n in made.files if len(made.files[n]) <= SMALL])


def test_200_bits_of_every_large_file_are_noticed_and_the_file_named(made: Made) -> None:
    names = [n for n in made.files if len(made.files[n]) > SMALL]
    assert len(names) > 2
    for name in names:
        chance = random.Random(f"{SEED} {made.named[name].content}")
        size = 8 * len(made.files[name])
        trio.run(flip, made, name, [chance.randrange(size) for _ in range(200)])


async def verified(made: Made, tmp: Path, files: Files) -> None:
    """The device that knows the vault names what was changed, nothing else, and reads the rest."""
    harmed = {n for n in {*made.files, *files} if made.files.get(n) != files.get(n)}
    harmed = {"h/00000002" if n[0] == "h" else n for n in harmed}
    async with opened(tmp) as g:
        problems = (await g.gallery.verify(1.0)).problems
        unknown = {made.named[n].device for n in harmed if n[0] == "d"}  # so are their segments
        for what in (made.named[n] for n in harmed):
            if what.kind != "j" or what.device not in unknown:
                assert any(map(what.in_, problems)), f"{what.words[0]} not in {problems}"
        for problem in problems:
            assert any(made.named[name].in_(problem) for name in harmed), problem
        await reads(made, g, harmed, list(FILES))


async def reads(made: Made, g: Folder, harmed: set[str], names: list[str]) -> None:
    """Files read right; only those whose objects were harmed may not be readable."""
    broken = {made.named[name].content for name in harmed}
    for name in names:
        try:
            assert await g.read(name) == FILES[name]
        except FileError:
            assert name in broken


async def joined(made: Made, tmp: Path, files: Files) -> None:
    """A new device is told which file it is, and gets whatever the others still tell."""
    harmed = {n for n in made.files if made.files[n] != files.get(n)}
    broken = {made.named[name].content for name in harmed}
    try:
        await join(tmp / "fresh", dir_url(tmp / "remote"), Words(made.words))
        harmed.add("h/00000002")  # which is another one now
        async with opened(tmp, "fresh") as g:
            cut = made.last not in files or "h/00000001" in files
            # Of what only the newest segment or header told, a new device cannot know.
            await reads(made, g, harmed, list(FILES)[:-1] if cut else list(FILES))
            return
    except WrongSecret:
        assert any(name[0] == "h" for name in harmed)
        return
    except (Integrity, NotAVault) as e:
        if any(name[0] == "h" for name in files):
            is_named(e, *(made.named[name] for name in {*harmed, "h/00000002"}))
        if not (tmp / "fresh" / "vault.json").exists():
            return
    async with opened(tmp, "fresh", salvage=True) as g:
        await recover_from_objects(g.gallery)
        places = ["", *(n for n in g.names() if n.startswith("Recovered-"))]
        for name in set(FILES) - broken:
            # One whose name, but not its content, stands in what is left of a journal is empty.
            found = [await g.read(f"{p}/{name}") for p in places if name in g.names(p)]
            assert FILES[name] in found
            assert set(found) <= {FILES[name], b""}


def everything(made: Made, tmp: Path, names: list[str]) -> int:
    count = 0
    for name in names:
        for what, files in harms(made, name, random.Random(SEED)):
            count += 1
            try:
                for check in (verified, joined):
                    made.lay_out(tmp, files)
                    trio.run(check, made, tmp, files)
            except BaseException as e:
                e.add_note(f"{name}: {what}")
                raise
    return count


def test_whatever_is_done_to_a_file_of_each_kind_it_is_named_and_the_rest_works(
    made: Made, tmp_path: Path
) -> None:
    names = [*one_of_each(made, small=True), *one_of_each(made, small=False), made.last]
    assert everything(made, tmp_path, names) > 80


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_whatever_is_done_to_any_file_it_is_named_and_the_rest_works(
    made: Made, tmp_path: Path
) -> None:
    assert everything(made, tmp_path, list(made.files)) > 200


def test_an_untouched_vault_has_nothing_to_be_named(made: Made, tmp_path: Path) -> None:
    async def script() -> None:
        async with opened(tmp_path) as g:
            assert not (await g.gallery.verify(1.0)).problems
            await reads(made, g, set(), list(FILES))

    made.lay_out(tmp_path, made.files)
    trio.run(script)
    assert set(made.named) == set(made.files)
    sizes = [len(data) for data in made.files.values()]
    assert min(sizes) <= SMALL < max(sizes)
