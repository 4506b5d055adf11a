"""An error says which file of the vault it is about."""

from __future__ import annotations

import pytest
import trio
from fixtures_vault import counted_random

from tagfs.crypto.kdf import KdfParams
from tagfs.errors import Integrity, NewerVault, NotAVault
from tagfs.remote.memory import MemoryStore
from tagfs.vault.header import open_header
from tagfs.vault.layout import header_path, segment_path
from tagfs.vault.segments import segment_name
from tagfs.vault.slots import Passphrase, Words
from tagfs.vault.vault import Vault


async def made() -> tuple[MemoryStore, Vault, str]:
    store, cheap = MemoryStore(), KdfParams(64 * 1024, 3, 1)
    random = counted_random("named")
    vault, words = await Vault.create(store, Passphrase("x"), cheap, "one", random, 1)
    for unit in (b"a", b"b", b"c"):
        await vault.publish([unit])
    return store, vault, words


def test_a_header_that_is_none_or_of_a_later_format_is_named() -> None:
    store, _, words = trio.run(made)
    data = store.objects[header_path(1)]
    for bad, error in [
        (b"", NotAVault),
        (b"T" + data[1:], NotAVault),
        (data[:9] + b"\0" + data[10:], NotAVault),
        (data[:9] + b"\2" + data[10:], NewerVault),
    ]:
        with pytest.raises(error, match="h/00000007"):
            open_header(bad, Words(words), 7)


@pytest.mark.parametrize("head", [b"", b"\0\0\0", b"\0\0\0\0", b"\x01\0\0\1", b"\0\0\0\2"])
def test_a_segment_that_is_cut_or_of_an_unknown_epoch_is_named(head: bytes) -> None:
    async def script() -> None:
        store, vault, _ = await made()
        path = segment_path(segment_name(vault.ring, vault.device.id, 2))
        store.objects[path] = head if len(head) < 4 else head + store.objects[path][4:]
        with pytest.raises(Integrity, match=f"segment 2 of device {vault.device.id.hex()}"):
            await vault.read_device(vault.device.id, None)

    trio.run(script)


def test_a_segment_is_named_also_when_the_header_that_might_explain_it_is_damaged() -> None:
    async def script() -> None:
        store, vault, _ = await made()
        path = segment_path(segment_name(vault.ring, vault.device.id, 2))
        store.objects[path], store.objects[header_path(1)] = store.objects[header_path(1)], b"none"
        with pytest.raises(Integrity, match=f"segment 2 of device {vault.device.id.hex()}"):
            await vault.read_device(vault.device.id, None)

    trio.run(script)
