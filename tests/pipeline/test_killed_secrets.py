"""A kill while a vault is made or its passphrase changed: it opens, and nothing is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from colours import ByColour, picture
from every_call import EveryCall, Moment, quick_argon2id
from gallery_kit import Folder, hurry

from tagfs.crypto import kdf
from tagfs.errors import TagfsError, Usage, WrongSecret
from tagfs.mount.messages import Call
from tagfs.mount.service import Service
from tagfs.pipeline import looking, uploading
from tagfs.pipeline.opening import create, join, open_gallery
from tagfs.pipeline.state_dir import StateDir
from tagfs.remote.dir import DirStore
from tagfs.remote.url import dir_url
from tagfs.vault.device import DeviceKeys
from tagfs.vault.layout import header_path
from tagfs.vault.slots import Passphrase, Words
from tagfs.vault.vault import Vault

OLD, NEW, NEWER = (Passphrase(text) for text in ("the old one", "the new one", "a newer one"))
FILES = {"dog.png": picture(200), "letter.txt": b"Dear all,", "long.bin": bytes(300_000)}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derive keys, publish and look at photos without waiting."""
    monkeypatch.setattr(kdf, "argon2id", quick_argon2id)
    monkeypatch.setattr(uploading, "PAUSE", 0.0)
    monkeypatch.setattr(looking, "SETTLE", 0.01)


@asynccontextmanager
async def at(state: Path, secret: Passphrase | Words) -> AsyncIterator[Folder]:
    async with open_gallery(state, secret, recogniser=ByColour()) as gallery:
        hurry(gallery)
        yield Folder(gallery)


async def stored(g: Folder, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        await g.write(name, data)
    assert await g.gallery.wait("stored", 60)


async def opener(state: Path, secrets: list[Passphrase]) -> Passphrase:
    """Return the one of the secrets that opens a state directory."""
    opening = []
    for secret in secrets:
        try:
            async with at(state, secret):
                opening.append(secret)
        except WrongSecret:
            pass
    (one,) = opening
    return one


async def opener_of_remote(
    remote: Path, device: DeviceKeys, secrets: list[Passphrase]
) -> Passphrase:
    """Return the one of the secrets that opens the remote."""
    opening = []
    for secret in secrets:
        try:
            await Vault.open(DirStore(remote, create=False), secret, device)
            opening.append(secret)
        except WrongSecret:
            pass
    (one,) = opening
    return one


async def is_whole(g: Folder, files: dict[str, bytes]) -> None:
    """Every file reads right, from here and from the remote."""
    for name, data in files.items():
        assert await g.read(name) == data
    assert not (await g.gallery.verify(1.0)).problems


def test_killed_at_any_step_of_init_a_vault_is_made_or_opens_with_its_passphrase(
    tmp_path: Path,
) -> None:
    state, url = tmp_path / "state", dir_url(tmp_path / "remote")
    header = tmp_path / "remote" / header_path(1)
    ways: list[str] = []

    async def start_again(moment: Moment) -> None:
        if StateDir(state).exists():
            ways.append("there")
            with pytest.raises(Usage, match="has a vault already"):
                await create(state, url, OLD)
        elif header.exists():
            ways.append("joined")
            with pytest.raises(TagfsError, match="tagfs join"):
                await create(state, url, OLD)
            await join(state, url, OLD)
        else:
            ways.append("made")
            await create(state, url, OLD)
        with pytest.raises(WrongSecret):
            async with at(state, NEW):
                pass
        async with at(state, OLD) as g:
            await stored(g, FILES)
            await is_whole(g, FILES)
            assert g.gallery.status().as_json()["remote"]["state"] == "ok"  # type: ignore[index]

    calls = EveryCall(tmp_path, "state", "remote")
    with calls.watching():
        words = trio.run(create, state, url, OLD)
    calls.each(lambda moment: trio.run(start_again, moment))
    assert ways == sorted(ways, key=["made", "joined", "there"].index)
    assert set(ways) == {"made", "joined", "there"}
    assert StateDir(state).exists()
    trio.run(opened_with_words, state, words)
    assert len(calls.moments) > 20


async def opened_with_words(state: Path, words: str) -> None:
    async with at(state, Words(words)) as g:
        await is_whole(g, FILES)


def test_killed_at_any_step_of_passwd_the_vault_opens_with_the_old_or_the_new_one(
    tmp_path: Path,
) -> None:
    state, remote = tmp_path / "state", tmp_path / "remote"
    calls = EveryCall(tmp_path, "state", "remote")

    async def change(secret: Passphrase, new: Passphrase) -> None:
        async with at(state, secret) as g:
            await Service(state, g.gallery).answer(Call("passwd", {"new": new.text}), progress)

    async def prepare() -> tuple[str, DeviceKeys]:
        words = await create(state, dir_url(remote), OLD)
        async with at(state, OLD) as g:
            await stored(g, FILES)
            return words, g.gallery.vault.device

    async def run() -> None:
        async with at(state, OLD) as g:
            await g.gallery.sync()
            with calls.watching():
                service = Service(state, g.gallery)
                await service.answer(Call("passwd", {"new": NEW.text}), progress)

    words, device = trio.run(prepare)
    trio.run(run)
    here: list[str] = []
    there: list[str] = []

    async def start_again(moment: Moment) -> None:
        here.append((await opener(state, [OLD, NEW])).text)
        there.append((await opener_of_remote(remote, device, [OLD, NEW])).text)
        await Vault.open(DirStore(remote, create=False), Words(words), device)
        async with at(state, Passphrase(here[-1])) as g:
            await is_whole(g, FILES)
        await change(Passphrase(here[-1]), NEWER)
        assert await opener(state, [OLD, NEW, NEWER]) == NEWER
        assert await opener_of_remote(remote, device, [OLD, NEW, NEWER]) == NEWER
        headers = [p for p in (remote / "h").iterdir() if p.is_file()]
        assert len(headers) == 1
        async with at(state, Words(words)) as g:
            await is_whole(g, FILES)

    calls.each(lambda moment: trio.run(start_again, moment))
    for side in (here, there):
        assert side == sorted(side, reverse=True)  # the old one first, then the new one
        assert set(side) == {OLD.text, NEW.text}
    assert len(calls.moments) > 5


def progress(done: int, total: int) -> None:
    """Nobody looks."""
