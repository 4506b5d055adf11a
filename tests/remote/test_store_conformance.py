"""What every store promises: one suite over all of them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import trio
from dropbox_server import loopback, opened

from tagfs.errors import BadName, Exists, NotFound, Refused
from tagfs.remote import store as store_module
from tagfs.remote.dir import DirStore
from tagfs.remote.dropbox import DropboxStore
from tagfs.remote.login import Login
from tagfs.remote.memory import MemoryStore
from tagfs.remote.retry import RetryStore
from tagfs.remote.store import Store

Test = Callable[[Store], Awaitable[None]]
Check = Callable[[Test], None]


def _dir(folder: Path) -> Store:
    return DirStore(folder / "vault", create=True)


def _memory(folder: Path) -> Store:
    return MemoryStore()


def _retried(folder: Path) -> Store:
    return RetryStore(MemoryStore())


def _dropbox(folder: Path) -> Store:
    return opened(loopback().account())


def _dropbox_retried(folder: Path) -> Store:
    return RetryStore(_dropbox(folder))


def _dropbox_itself(folder: Path) -> Store:
    token = os.environ.get("TAGFS_DROPBOX_TOKEN")
    if not token:
        pytest.skip("the real Dropbox: set TAGFS_DROPBOX_TOKEN to the token of a test account")
    app_key = os.environ.get("TAGFS_DROPBOX_APP_KEY", "")
    # A refresh token comes with the key of its app; an access token stands for itself.
    login = Login(app_key, refresh_token=token) if app_key else Login(access_token=token)
    return RetryStore(DropboxStore(f"tagfs-test-{secrets.token_hex(8)}", lambda: login))


STORES = {
    "dir": _dir,
    "dropbox": _dropbox,
    "dropbox-itself": _dropbox_itself,
    "dropbox-retry": _dropbox_retried,
    "memory": _memory,
    "retry": _retried,
}


@pytest.fixture(params=sorted(STORES))
def on_store(request: pytest.FixtureRequest, tmp_path: Path) -> Check:
    """Give a function that runs a test on a new store of each kind."""

    def check(test: Test) -> None:
        async def main() -> None:
            store = STORES[request.param](tmp_path)
            with trio.fail_after(60 if request.param != "dropbox-itself" else 580):
                await test(store)
                if request.param == "dropbox-itself":
                    for name in await names(store):
                        await store.delete(name)
                await store.close()

        trio.run(main)
        assert loopback().broken == []  # what the SDK's validators had to say to the test server

    return check


async def names(store: Store, prefix: str = "") -> list[str]:
    """Return every name that a listing gives, page after page, sorted."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await store.list(prefix, cursor)
        assert len(page.entries) <= store_module.PAGE
        found += [entry.name for entry in page.entries]
        cursor = page.cursor
        if cursor is None:
            return sorted(found)


def test_what_was_put_is_returned(on_store: Check) -> None:
    async def test(store: Store) -> None:
        for name, data in (("h/00000001", b"header"), ("o/ab/cd", bytes(300_000)), ("e", b"")):
            await store.put(name, data)
            assert await store.get(name) == data
            assert (await store.stat(name)).size == len(data)

    on_store(test)


def test_any_kind_of_bytes_can_be_put(on_store: Check) -> None:
    async def test(store: Store) -> None:
        data = bytearray(b"changed later")
        await store.put("a", data)
        data[:] = b"x" * len(data)
        await store.put("b", memoryview(b"a piece of more")[2:7])
        assert await store.get("a") == b"changed later"
        assert await store.get("b") == b"piece"

    on_store(test)


def test_a_range_is_short_only_at_the_end(on_store: Check) -> None:
    async def test(store: Store) -> None:
        await store.put("o/r", bytes(range(100)))
        assert await store.get("o/r", 10, 5) == bytes(range(10, 15))
        assert await store.get("o/r", 90) == bytes(range(90, 100))
        assert await store.get("o/r", 90, 50) == bytes(range(90, 100))
        assert await store.get("o/r", 100, 5) == b""
        assert await store.get("o/r", 5000, 5) == b""
        assert await store.get("o/r", 5000) == b""
        assert await store.get("o/r", 3, 0) == b""

    on_store(test)


def test_a_range_that_makes_no_sense_is_a_bug(on_store: Check) -> None:
    async def test(store: Store) -> None:
        await store.put("a", b"abc")
        with pytest.raises(ValueError, match="range"):
            await store.get("a", -1)
        with pytest.raises(ValueError, match="range"):
            await store.get("a", 0, -1)

    on_store(test)


def test_a_second_put_leaves_the_first(on_store: Check) -> None:
    async def test(store: Store) -> None:
        await store.put("h/1", b"first")
        with pytest.raises(Exists):
            await store.put("h/1", b"second, longer")
        with pytest.raises(Exists):
            await store.put("h/1", b"first")
        assert await store.get("h/1") == b"first"

    on_store(test)


def test_of_racing_puts_one_wins_and_its_bytes_stay(on_store: Check) -> None:
    async def test(store: Store) -> None:
        won: list[int] = []
        lost: list[int] = []

        async def race(number: int) -> None:
            try:
                await store.put("h/00000002", bytes([number]) * 10_000)
            except Exists:
                lost.append(number)
            else:
                won.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(race, number)
        assert len(won) == 1
        assert len(lost) == 7
        assert await store.get("h/00000002") == bytes(won) * 10_000

    on_store(test)


def test_a_file_is_put_like_bytes(on_store: Check, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 9000)

    async def test(store: Store) -> None:
        await store.put_file("o/f", source)
        assert await store.get("o/f") == source.read_bytes()
        with pytest.raises(Exists):
            await store.put_file("o/f", source)
        with pytest.raises(FileNotFoundError):
            await store.put_file("o/g", tmp_path / "missing")
        assert await names(store) == ["o/f"]
        source.write_bytes(b"changed afterwards")
        assert await store.get("o/f", 0, 3) == bytes(range(3))

    on_store(test)


def test_a_hash_that_is_told_is_that_of_the_bytes(on_store: Check) -> None:
    async def test(store: Store) -> None:
        data = os.urandom(5_000_000)  # more than Dropbox takes one hash of
        await store.put("o/a", data)
        told = (await store.stat("o/a")).hash
        assert told == await store.hash_of(data) == await store.hash_of(memoryview(data))
        assert told is None or told != await store.hash_of(data[:-1] + bytes(1))
        assert (told is None) == (store.kind != "dropbox")

    on_store(test)


def test_what_is_not_there_is_said_so(on_store: Check) -> None:
    async def test(store: Store) -> None:
        for _ in range(2):
            with pytest.raises(NotFound):
                await store.get("o/none")
            with pytest.raises(NotFound):
                await store.stat("o/none")
            with pytest.raises(NotFound):
                await store.get("o/some/below")
            assert store.local_path("o/none") is None
            assert await names(store, "none") == []
            if await names(store) == []:
                await store.put("o/some", b"")

    on_store(test)


def test_an_object_is_not_a_folder_too(on_store: Check) -> None:
    async def test(store: Store) -> None:
        await store.put("o/some", b"x")
        with pytest.raises(Refused):
            await store.put("o/some/below", b"x")
        with pytest.raises(Refused):
            await store.put("o", b"x")
        with pytest.raises(NotFound):
            await store.get("o")
        await store.delete("o")
        assert await names(store) == ["o/some"]

    on_store(test)


def test_a_deleted_object_is_gone_and_its_name_is_free(on_store: Check) -> None:
    async def test(store: Store) -> None:
        await store.put("o/d", b"old")
        await store.delete("o/d")
        await store.delete("o/d")
        await store.delete("never/was")
        with pytest.raises(NotFound):
            await store.get("o/d")
        assert await names(store) == []
        await store.put("o/d", b"new")
        assert await store.get("o/d") == b"new"

    on_store(test)


def test_a_listing_names_what_begins_with_the_prefix(on_store: Check) -> None:
    async def test(store: Store) -> None:
        there = ["a", "j/00/a", "j/00/b", "j/01/a", "j-x", "j.x", "ja", "o/00"]
        for name in there:
            await store.put(name, name.encode())
        assert await names(store) == sorted(there)
        assert await names(store, "j/") == ["j/00/a", "j/00/b", "j/01/a"]
        assert await names(store, "j/0") == ["j/00/a", "j/00/b", "j/01/a"]
        assert await names(store, "j/00/") == ["j/00/a", "j/00/b"]
        assert await names(store, "j") == ["j-x", "j.x", "j/00/a", "j/00/b", "j/01/a", "ja"]
        assert await names(store, "j/00/a") == ["j/00/a"]
        page = await store.list("o/")
        assert [(entry.name, entry.size) for entry in page.entries] == [("o/00", 4)]

    on_store(test)


@pytest.mark.parametrize("page", [1, 2, 3, 7])
def test_pages_name_everything_once(
    on_store: Check, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    for module in ("store", "dir", "memory"):
        monkeypatch.setattr(f"tagfs.remote.{module}.PAGE", page)
    there = [f"o/{a}/{b}" for a in ("0", "0-", "0.x", "00", "1") for b in "ab"]
    there += ["a", "o-a", "z/z/z"]

    async def test(store: Store) -> None:
        for name in there:
            await store.put(name, b"")
        assert await names(store) == sorted(there)
        assert await names(store, "o/0") == sorted(n for n in there if n.startswith("o/0"))

    on_store(test)


def test_a_deletion_between_two_pages_hides_nothing_else(
    on_store: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("store", "dir", "memory"):
        monkeypatch.setattr(f"tagfs.remote.{module}.PAGE", 3)

    async def test(store: Store) -> None:
        for number in range(10):
            await store.put(f"o/{number}", b"")
        page = await store.list("o/")
        for entry in page.entries:
            await store.delete(entry.name)
        gone = {entry.name for entry in page.entries}
        rest: list[str] = []
        while page.cursor is not None:
            page = await store.list("o/", page.cursor)
            rest += [entry.name for entry in page.entries]
        assert 0 < len(gone) <= 3
        assert sorted(rest) == sorted({f"o/{number}" for number in range(10)} - gone)

    on_store(test)


BAD = [
    "",
    "/",
    "a/",
    "/a",
    "a//b",
    "..",
    "a/../b",
    ".",
    "a/.b",
    "a.",
    "A",
    "ä",
    "a b",
    "a\n",
    "a\0",
]


@pytest.mark.parametrize("name", [*BAD, "a" * 101, "a/" * 50 + "a"])
def test_a_name_that_some_store_cannot_keep_is_refused_by_all(on_store: Check, name: str) -> None:
    async def test(store: Store) -> None:
        for call in (store.get, store.stat, store.delete, partial(store.put, data=b"")):
            with pytest.raises(BadName):
                await call(name)
        with pytest.raises(BadName):
            await store.put_file(name, Path(__file__))
        assert await names(store) == []

    on_store(test)


@pytest.mark.parametrize("prefix", ["/", "..", "a/..", "a//", "A", "a" * 101])
def test_a_prefix_that_no_name_has_is_refused(on_store: Check, prefix: str) -> None:
    async def test(store: Store) -> None:
        with pytest.raises(BadName):
            await store.list(prefix)

    on_store(test)


def test_a_name_of_100_bytes_can_be_kept(on_store: Check) -> None:
    async def test(store: Store) -> None:
        name = "o/" + "a" * 98
        await store.put(name, b"x")
        assert await names(store, name) == [name]

    on_store(test)


def test_an_object_past_the_limit_is_refused(
    on_store: Check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(store_module, "MAX_OBJECT", 1000)
    source = tmp_path / "source"
    source.write_bytes(bytes(1001))

    async def test(store: Store) -> None:
        await store.put("a", bytes(1000))
        with pytest.raises(Refused):
            await store.put("b", bytes(1001))
        with pytest.raises(Refused):
            await store.put_file("b", source)
        assert await names(store) == ["a"]

    on_store(test)


def test_the_place_is_told(on_store: Check) -> None:
    async def test(store: Store) -> None:
        assert store.kind in STORES
        assert store.where
        space = await store.space()
        assert space is None or 0 <= space.free <= space.total

    on_store(test)


def test_a_local_path_holds_the_object(on_store: Check) -> None:
    async def test(store: Store) -> None:
        await store.put("o/ab/c", b"bytes")
        path = store.local_path("o/ab/c")
        assert store.local_path("o/ab") is None
        assert (path is not None) == (store.kind == "dir")
        assert path is None or path.read_bytes() == b"bytes"

    on_store(test)


def test_a_cancelled_put_is_there_whole_or_not_at_all(on_store: Check) -> None:
    async def test(store: Store) -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.put("o/c", bytes(100_000))
        assert scope.cancelled_caught
        for entry in (await store.list()).entries:
            assert (entry.name, entry.size) == ("o/c", 100_000)

    on_store(test)
