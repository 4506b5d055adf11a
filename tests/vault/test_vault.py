"""A vault on a store: made, joined, published to, rotated, and wary of what comes back."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable

import pytest
import trio
from fixtures_vault import counted_random, ring

from tagfs.crypto import kdf
from tagfs.crypto.kdf import KdfParams
from tagfs.errors import (
    Integrity,
    NotAVault,
    TagfsError,
    Unreachable,
    WrongSecret,
)
from tagfs.remote.memory import Fault, Harm, MemoryStore, Verb
from tagfs.vault.chains import Trouble
from tagfs.vault.device import DeviceKeys
from tagfs.vault.header import without_devices
from tagfs.vault.layout import header_path, segment_path
from tagfs.vault.memory import Memory
from tagfs.vault.segments import segment_name
from tagfs.vault.slots import Passphrase, Words
from tagfs.vault.vault import Diverged, Vault
from tagfs.vault.words import new_entropy, to_words

CHEAP = KdfParams(64 * 1024, 3, 1)
PASSPHRASE = Passphrase("a passphrase")
REAL = kdf.argon2id
MEMO: dict[object, bytes] = {}


@pytest.fixture(autouse=True)
def remembered_kdf(monkeypatch: pytest.MonkeyPatch) -> None:
    def remembered(*key: object) -> bytes:
        if key not in MEMO:
            MEMO[key] = REAL(*key)  # type: ignore[arg-type]
        return MEMO[key]

    monkeypatch.setattr(kdf, "argon2id", remembered)


_seeds = itertools.count()


async def create(store: MemoryStore) -> tuple[Vault, str]:
    return await Vault.create(store, PASSPHRASE, CHEAP, "one", counted_random("vault"), 1)


async def join(store: MemoryStore, secret: Passphrase | Words = PASSPHRASE) -> Vault:
    return await Vault.join(store, secret, "two", counted_random(f"join {next(_seeds)}"), 2)


def in_trio(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    def wrapped(store: MemoryStore) -> None:
        trio.run(test, store)

    wrapped.__name__ = test.__name__
    return wrapped


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@in_trio
async def test_a_vault_opens_again_with_passphrase_and_words(store: MemoryStore) -> None:
    vault, words = await create(store)
    assert len(words.split()) == 24
    for secret in (PASSPHRASE, Words(words)):
        again = await Vault.open(store, secret, vault.device)
        assert again.ring == vault.ring
    with pytest.raises(WrongSecret):
        await Vault.open(store, Passphrase("another"), vault.device)


@in_trio
async def test_names_on_the_store_say_nothing(store: MemoryStore) -> None:
    vault, _ = await create(store)
    await vault.publish([b"unit"])
    kinds = sorted(name.split("/")[0] for name in store.objects)
    assert kinds == ["d", "h", "j"]
    everything = b"".join([*store.objects.values(), *(n.encode() for n in store.objects)])
    assert b"one" not in everything
    assert vault.device.id.hex().encode() not in everything


@in_trio
async def test_an_empty_store_is_no_vault_and_a_full_one_is_not_made_again(
    store: MemoryStore,
) -> None:
    with pytest.raises(NotAVault, match="init"):
        await join(store)
    await create(store)
    with pytest.raises(TagfsError, match="already"):
        await create(store)


@in_trio
async def test_a_vault_half_made_is_made_again(store: MemoryStore) -> None:
    store.inject(Fault(Verb.PUT, Harm.BEFORE, prefix="h/"))
    with pytest.raises(Unreachable):
        await create(store)
    await create(store)
    await join(store)


@in_trio
async def test_two_devices_read_each_other(store: MemoryStore) -> None:
    one, _ = await create(store)
    first = await one.publish([b"a", b"b"])
    await one.publish([b"c"])
    two = await join(store)
    assert {c.label for c in await two.devices()} == {"one", "two"}
    segments = await two.read_device(one.device.id, None)
    assert [s.units for s in segments] == [(b"a", b"b"), (b"c",)]
    assert await two.read_device(one.device.id, first) == segments[1:]
    for segment in segments:
        two.memory.note(segment.head)
    await two.publish([b"d"])
    (seen,) = await one.read_device(two.device.id, None)
    assert seen.heads == (segments[1].head,)
    assert await one.check() == await two.check() == []


@in_trio
async def test_an_earlier_attempt_whose_answer_was_lost_is_taken_over(store: MemoryStore) -> None:
    vault, _ = await create(store)
    store.inject(Fault(Verb.PUT, Harm.AFTER, prefix="j/"))
    with pytest.raises(Unreachable):
        await vault.publish([b"a", b"b"])
    head = await vault.publish([b"a", b"b", b"c"])
    assert head.seq == 2
    segments = await vault.read_device(vault.device.id, None)
    assert [s.units for s in segments] == [(b"a", b"b"), (b"c",)]


@in_trio
async def test_a_cloned_device_notices_and_goes_on_under_a_new_id(store: MemoryStore) -> None:
    vault, _ = await create(store)
    await vault.publish([b"a"])
    memory = Memory.open(vault.ring, vault.memory.seal(vault.ring))
    await vault.publish([b"b"])
    clone = await Vault.open(store, PASSPHRASE, vault.device, memory)
    with pytest.raises(Diverged, match="cloned"):
        await clone.publish([b"other"])
    await clone.enrol(DeviceKeys.create(), "clone", 3)
    assert (await clone.publish([b"other"])).seq == 1
    assert len(await clone.devices()) == 2
    await vault.refresh()
    assert (await vault.read_device(clone.device.id, None))[0].units == (b"other",)


@in_trio
async def test_a_rolled_back_journal_is_noticed(store: MemoryStore) -> None:
    vault, _ = await create(store)
    for unit in (b"a", b"b", b"c"):
        head = await vault.publish([unit])
    for seq in (2, 3):
        del store.objects[segment_path(segment_name(vault.ring, vault.device.id, seq))]
    (alarm,) = await vault.check()
    assert (alarm.trouble, alarm.seen) == (Trouble.MISSING, head)
    assert alarm.found is not None
    assert alarm.found.seq == 1


@in_trio
async def test_a_forked_journal_is_noticed(store: MemoryStore) -> None:
    vault, _ = await create(store)
    await vault.publish([b"a"])
    path = segment_path(segment_name(vault.ring, vault.device.id, 1))
    del store.objects[path]
    other = await Vault.open(store, PASSPHRASE, vault.device)
    await other.publish([b"another history"])
    (alarm,) = await vault.check()
    assert alarm.trouble is Trouble.FORKED


@in_trio
async def test_swapped_and_damaged_segments_are_named(store: MemoryStore) -> None:
    vault, _ = await create(store)
    for unit in (b"a", b"b"):
        await vault.publish([unit])
    one, two = (segment_path(segment_name(vault.ring, vault.device.id, seq)) for seq in (1, 2))
    good = dict(store.objects)
    store.objects[one], store.objects[two] = good[two], good[one]
    with pytest.raises(Integrity, match="segment 1"):
        await vault.read_device(vault.device.id, None)
    store.objects[one], store.objects[two] = good[one], good[two][:-1]
    with pytest.raises(Integrity, match="segment 2"):
        await vault.read_device(vault.device.id, None)


@in_trio
async def test_a_new_passphrase_is_a_new_generation_and_the_old_one_goes(
    store: MemoryStore,
) -> None:
    vault, words = await create(store)
    await vault.change_passphrase(Passphrase("new"), CHEAP)
    assert [n for n in store.objects if n.startswith("h/")] == [header_path(2)]
    assert vault.memory.generation == 2
    await Vault.open(store, Passphrase("new"), vault.device)
    await Vault.open(store, Words(words), vault.device)
    with pytest.raises(WrongSecret):
        await Vault.open(store, PASSPHRASE, vault.device)
    new_words = Words(to_words(new_entropy()))
    await vault.change_words(new_words)
    await Vault.open(store, new_words, vault.device)
    with pytest.raises(WrongSecret):
        await Vault.open(store, Words(words), vault.device)


@in_trio
async def test_the_old_header_stays_until_the_new_one_was_read_back(store: MemoryStore) -> None:
    vault, _ = await create(store)
    store.inject(Fault(Verb.GET, Harm.FLIP, prefix="h/", amount=100))
    with pytest.raises(Integrity, match="read back"):
        await vault.change_passphrase(Passphrase("new"), CHEAP)
    assert header_path(1) in store.objects


@in_trio
async def test_a_lost_answer_to_a_header_does_not_stop_the_change(store: MemoryStore) -> None:
    vault, _ = await create(store)
    store.inject(Fault(Verb.PUT, Harm.AFTER, prefix="h/"))
    with pytest.raises(Unreachable):
        await vault.change_passphrase(Passphrase("new"), CHEAP)
    await vault.change_passphrase(Passphrase("newer"), CHEAP)
    assert vault.info.generation == 3
    await Vault.open(store, Passphrase("newer"), vault.device)


@in_trio
async def test_two_devices_that_change_the_header_at_once_both_get_through(
    store: MemoryStore,
) -> None:
    one, _ = await create(store)
    two = await join(store)
    await one.change_passphrase(Passphrase("from one"), CHEAP)
    words = Words(to_words(new_entropy()))
    await two.change_words(words)
    await Vault.open(store, Passphrase("from one"), one.device)
    await Vault.open(store, words, one.device)


@in_trio
async def test_a_rolled_back_header_is_noticed(store: MemoryStore) -> None:
    vault, _ = await create(store)
    old = store.objects[header_path(1)]
    await vault.change_passphrase(Passphrase("new"), CHEAP)
    del store.objects[header_path(2)]
    store.objects[header_path(1)] = old
    with pytest.raises(Integrity, match="rolled back"):
        await vault.refresh()
    with pytest.raises(Integrity, match="rolled back"):
        await Vault.open(store, PASSPHRASE, vault.device, vault.memory)
    store.objects.clear()
    with pytest.raises(NotAVault, match="gone"):
        await vault.refresh()


@in_trio
async def test_a_stale_listing_does_not_hide_the_newest_header(store: MemoryStore) -> None:
    vault, _ = await create(store)
    store.stale = 20
    for n in range(3):
        await vault.change_passphrase(Passphrase(str(n)), CHEAP)
    await Vault.open(store, Passphrase("2"), vault.device)


@in_trio
async def test_the_state_directory_opens_without_the_store(store: MemoryStore) -> None:
    vault, words = await create(store)
    await vault.publish([b"a"])
    files = vault.header, vault.device.seal(vault.ring), vault.memory.seal(vault.ring)
    store.offline = True
    again = Vault.resume(store, files[0], Words(words), files[1], files[2])
    assert (again.ring, again.device) == (vault.ring, vault.device)
    assert again.memory == vault.memory
    store.offline = False
    assert not await again.refresh()
    assert (await again.publish([b"b"])).seq == 2


@in_trio
async def test_a_rotation_reaches_everybody_and_old_segments_stay_readable(
    store: MemoryStore,
) -> None:
    one, words = await create(store)
    two = await join(store)
    await one.publish([b"before"])
    await one.rotate(now_ms=3)
    head = await one.publish([b"after"])
    assert head.seq == 2
    segments = await two.read_device(one.device.id, None)
    assert [(s.epoch, s.units) for s in segments] == [(1, (b"before",)), (2, (b"after",))]
    assert two.ring == one.ring
    assert {c.label for c in await two.devices()} == {"one", "two"}
    assert (await two.publish([b"mine"])).seq == 1
    assert (await one.read_device(two.device.id, None))[0].epoch == 2
    for secret in (PASSPHRASE, Words(words)):
        assert (await Vault.open(store, secret, one.device)).ring == one.ring
    three = await join(store)
    assert len(await three.read_device(one.device.id, None)) == 2


@in_trio
async def test_a_rotation_shuts_a_device_out(store: MemoryStore) -> None:
    one, _ = await create(store)
    two = await join(store)
    await one.rotate(lambda info: without_devices(info, [two.device.id]), 3)
    assert [c.label for c in await one.devices()] == ["one"]
    with pytest.raises(WrongSecret, match="no longer"):
        await two.refresh()


@in_trio
async def test_of_two_rotations_at_once_both_count(store: MemoryStore) -> None:
    one, _ = await create(store)
    two = await join(store)
    await one.refresh()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.rotate)
        nursery.start_soon(two.rotate)
    await one.refresh()
    await two.refresh()
    assert one.ring == two.ring
    assert one.ring.newest.number == 3
    await one.publish([b"a"])
    assert (await two.read_device(one.device.id, None))[0].units == (b"a",)


@in_trio
async def test_a_segment_in_an_epoch_that_is_unknown_is_refused(store: MemoryStore) -> None:
    vault, _ = await create(store)
    await vault.publish([b"a"])
    path = segment_path(segment_name(vault.ring, vault.device.id, 1))
    store.objects[path] = b"\0\0\0\7" + store.objects[path][4:]
    with pytest.raises(Integrity, match="epoch 7"):
        await vault.read_device(vault.device.id, None)


@in_trio
async def test_a_missing_certificate_is_named(store: MemoryStore) -> None:
    vault, _ = await create(store)
    await vault.publish([b"a"])
    for name in [n for n in store.objects if n.startswith("d/")]:
        del store.objects[name]
    again = await Vault.open(store, PASSPHRASE, vault.device)
    with pytest.raises(Integrity, match="no certificate"):
        await again.read_device(vault.device.id, None)


@in_trio
async def test_the_objects_of_a_foreign_vault_are_refused(store: MemoryStore) -> None:
    vault, _ = await create(store)
    await vault.publish([b"a"])
    foreign_store = MemoryStore()
    foreign, _ = await Vault.create(
        foreign_store, PASSPHRASE, CHEAP, "x", counted_random("foreign"), 1
    )
    await foreign.publish([b"a"])
    path = segment_path(segment_name(vault.ring, vault.device.id, 1))
    store.objects[path] = foreign_store.objects[
        segment_path(segment_name(foreign.ring, foreign.device.id, 1))
    ]
    with pytest.raises(Integrity, match="segment 1"):
        await vault.read_device(vault.device.id, None)


@in_trio
async def test_too_much_for_one_segment_is_refused(store: MemoryStore) -> None:
    vault, _ = await create(store)
    with pytest.raises(ValueError):
        await vault.publish([bytes(1 << 20)] * 33)
    with pytest.raises(ValueError):
        await vault.publish([])


def test_a_damaged_memory_file_is_named() -> None:
    owner = ring()
    stored = Memory(3).seal(owner)
    assert Memory.open(owner, stored) == Memory(3)
    for bad in (b"", stored[:-1], b"x" + stored[1:], stored[:100] + b"!" + stored[101:]):
        with pytest.raises(Integrity, match="heads seen"):
            Memory.open(owner, bad)


@in_trio
async def test_an_epoch_that_goes_back_is_noticed_over_several_reads(store: MemoryStore) -> None:
    one, _ = await create(store)
    reader = await join(store)
    await one.refresh()
    old = one.ring
    await one.rotate(now_ms=3)
    await one.publish([b"new epoch"])
    (segment,) = await reader.read_device(one.device.id, None)
    one.ring = old
    await one.publish([b"old epoch"])
    with pytest.raises(Integrity, match="epoch 1"):
        await reader.read_device(one.device.id, segment.head)
