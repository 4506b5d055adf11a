"""A small vault of two devices on a folder, and what a provider could do to each of its files."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from colours import ByColour, photo
from gallery_kit import Folder, make, opened

from tagfs.model import Part
from tagfs.pipeline.opening import join
from tagfs.pipeline.state_dir import Settings, StateDir
from tagfs.remote.url import dir_url
from tagfs.vault.device import certificate_name
from tagfs.vault.layout import certificate_path, object_path, segment_path
from tagfs.vault.segments import segment_name
from tagfs.vault.slots import Words
from tagfs.vault.vault import Vault

FILES = {
    "dog.jpg": photo(1),
    "letter.txt": b"Dear all,",
    "long.bin": random.Random(3).randbytes(300_000),
    "cat.jpg": photo(2, red=10),
    "note.txt": b"to do",
}
"""Each is stored by itself, so that there are several segments; the last one by a second device."""
SMALL = 2048

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Named:
    """What a file of the remote is, and by which of these words an error may name it."""

    kind: str  # "h", "d", "j", "o"
    words: tuple[str, ...]
    device: bytes = b""
    seq: int = 0
    part: tuple[int, Part] | None = None
    content: str | None = None  # the file of FILES that it holds

    def in_(self, text: str) -> bool:
        return any(word in text for word in self.words)


@dataclass(frozen=True, repr=False)
class Made:
    """The vault, closed; its second device has seen everything."""

    root: Path  # with ``remote`` and ``state``
    words: str
    vault: Vault  # its store is not used
    files: Files
    named: Mapping[str, Named]
    older: bytes  # header of the generation before
    foreign: Files  # of another vault

    def of(self, kind: str) -> list[str]:
        return [name for name in self.files if name[0] == kind]

    @property
    def last(self) -> str:
        """The newest segment of all, which no other one names."""
        device = self.vault.device.id
        mine = [n for n in self.of("j") if self.named[n].device == device]
        return max(mine, key=lambda name: self.named[name].seq)

    def lay_out(self, tmp: Path, files: Files) -> None:
        """Put the remote and the state directory of the second device there, without copies."""
        for folder in ("remote", "state", "fresh"):
            shutil.rmtree(tmp / folder, ignore_errors=True)
        for name, data in files.items():
            path = tmp / "remote" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        spared = shutil.ignore_patterns("cache", "kept-heads")
        shutil.copytree(self.root / "state", tmp / "state", ignore=spared)
        settings = StateDir(tmp / "state").settings()
        StateDir(tmp / "state").write_settings(Settings(dir_url(tmp / "remote"), settings.vault))


def read(remote: Path) -> Files:
    found = (p for p in sorted(remote.rglob("*")) if p.is_file())
    return {str(p.relative_to(remote)): p.read_bytes() for p in found}


async def stored(g: Folder, *names: str) -> None:
    for name in names:
        await g.write(name, FILES[name])
        assert await g.gallery.wait("stored", 60)


async def make_vault(root: Path) -> Made:
    words = await make(root)
    *first, last = FILES
    async with opened(root, recogniser=ByColour()) as g:
        await stored(g, *first)
    older = read(root / "remote")["h/00000001"]
    shutil.rmtree(root / "state")
    await join(root / "state", dir_url(root / "remote"), Words(words))
    async with opened(root, recogniser=ByColour()) as g:
        await stored(g, last)
        files = read(root / "remote")
        vault, named = g.gallery.vault, dict(names(g))
    (root / "foreign").mkdir()
    await make(root / "foreign", fresh=True)
    async with opened(root / "foreign", recogniser=ByColour()) as g:
        await stored(g, *FILES)
    return Made(root, words, vault, files, named, older, read(root / "foreign" / "remote"))


def names(g: Folder) -> Iterator[tuple[str, Named]]:
    """Yield what lies under which name of the remote."""
    vault, photos = g.gallery.vault, g.gallery.state.photos
    yield vault.info.path, Named("h", ("h/0000000",))
    for device, head in vault.memory.heads.items():
        path = certificate_path(certificate_name(vault.ring, device, 1))
        yield path, Named("d", (path, f"certificate of device {device.hex()}"), device)
        for seq in range(1, head.seq + 1):
            path = segment_path(segment_name(vault.ring, device, seq))
            what = f"egment {seq} of device {device.hex()}"
            cut = f"journal of device {device.hex()[:8]} was seen up to segment {seq},"
            forked = f"Segment {seq} of device {device.hex()[:8]} is not the one"
            yield path, Named("j", (what, cut, forked), device, seq)
    held = {g.tree.at(name.encode()).content[0]: name for name in FILES}  # type: ignore[index]
    for ident in photos.contents():
        content = photos.content(ident)
        assert content is not None
        for number, part in enumerate(content.parts):
            path = object_path(part.name)
            words = (path, part.name.hex())
            yield path, Named("o", words, b"", 0, (number, part), held.get(ident))


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def harms(made: Made, name: str, chance: random.Random) -> Iterator[tuple[str, Files]]:
    """Yield what may be done to a file: its name, and the remote's files after it."""
    data, kind = made.files[name], name[0]

    def with_(changed: Mapping[str, bytes]) -> Files:
        return {**made.files, **changed}

    def swapped(other: str) -> Files:
        return with_({name: made.files[other], other: data})

    yield "a flipped bit", with_({name: flipped(data, chance.randrange(len(data) * 8))})
    for size in sorted({0, 1, 3, 4, 59, 60, 76, len(data) // 2, len(data) - 529, len(data) - 1}):
        yield f"cut to {size}", with_({name: data[:size]})
    yield "a byte more", with_({name: data + b"\0"})
    yield "lost", {n: d for n, d in made.files.items() if n != name}
    for of in "hdjo":
        others = [n for n in made.of(of) if n != name]
        if others:
            yield f"swapped with another {of}", swapped(chance.choice(others))
        theirs = chance.choice([n for n in made.foreign if n[0] == of])
        yield f"another vault's {of}", with_({name: made.foreign[theirs]})
    if kind == "h":
        yield "an older one", with_({name: made.older})
        yield (
            "rolled back",
            {**{n: d for n, d in made.files.items() if n != name}, "h/00000001": made.older},
        )
        theirs = made.foreign["h/00000001"]
        for what, planted in {"nothing": b"", "an old": made.older, "another's": theirs}.items():
            yield f"{what} put after it", with_({"h/00000003": planted})
    if kind == "j":
        same = [n for n in made.of("j") if made.named[n].device == made.named[name].device]
        for other in same:
            if made.named[other].seq == made.named[name].seq - 1:
                yield "the one before again", with_({name: made.files[other]})
