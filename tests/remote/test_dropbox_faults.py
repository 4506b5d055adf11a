"""Random troubles over random work on the Dropbox store: what it acknowledged is there."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
import trio
from dropbox_server import Fault, Harm, loopback, opened
from dropbox_server.account import tag
from dropbox_server.faults import captive_portal, limited_json, limited_text

from tagfs.errors import Exists, NotFound
from tagfs.remote import dropbox_upload
from tagfs.remote import store as store_module
from tagfs.remote.retry import Condition, Patience, RetryStore
from tagfs.remote.store import Store

PATIENT = Patience(total=None, first_pause=0.005, longest_pause=0.05)

ROUTES = (
    "",
    "files/",
    "files/upload_session/start",
    "files/upload_session/append_v2",
    "files/upload_session/finish_batch_v2",
    "files/upload_session/finish_batch_v2",
    "files/download",
    "files/get_metadata",
    "files/list_folder",
    "files/delete",
    "oauth2/token",
)


def random_fault(rng: random.Random) -> Fault:
    route, times = rng.choice(ROUTES), rng.choice((1, 1, 1, 2, 5))
    match rng.randrange(12):
        case 0:
            return Fault(route, Harm.DROP_BEFORE, times)
        case 1 | 2:
            return Fault(route, Harm.DROP_AFTER, times)
        case 3:
            return Fault(route, Harm.ANSWER, times, status=rng.choice((500, 502, 503, 511)))
        case 4:
            return Fault(route, Harm.ANSWER_AFTER, times, status=rng.choice((500, 504)))
        case 5:
            return Fault(route, Harm.CUT, times, amount=rng.choice((0, 1, 30, 300, 3000)))
        case 6:
            return captive_portal(route, times)
        case 7:
            return limited_text(route, rng.choice((None, "0", "0.02", "soon", "-1")), times)
        case 8:
            return limited_json(route, 0, times)
        case 9:
            return Fault("files/download", Harm.WHOLE, times)
        case 10:
            return Fault("files/list_folder/continue", Harm.RESET, times)
        case _:
            failure = rng.choice(
                (
                    tag("too_many_write_operations"),
                    tag("path", "too_many_write_operations"),
                    tag("lookup_failed", "not_found"),
                )
            )
            return Fault(
                "files/upload_session/finish_batch_v2",
                Harm.ENTRIES,
                times,
                amount=rng.choice((1, 2, 3)),
                body=failure,
            )


@dataclass
class Work:
    """What several workers did, as they were told."""

    rng: random.Random
    there: dict[str, bytes] = field(default_factory=dict)  # acknowledged, not deleted
    ever: set[str] = field(default_factory=set)  # names that were ever to be written
    gone: set[str] = field(default_factory=set)  # acknowledged to be deleted
    won: dict[str, list[bytes]] = field(default_factory=dict)  # contested names

    async def worker(self, store: Store, number: int) -> None:
        rng = random.Random(self.rng.random())
        for step in range(8):
            name = f"o/{number}/{step}"
            match rng.randrange(8):
                case 0 | 1 | 2 | 3:
                    data = rng.randbytes(rng.choice((0, 10, 900, 2500, 5000)))
                    self.ever.add(name)
                    await store.put(name, data)
                    self.there[name] = data
                case 4:
                    contested = f"h/{step}"
                    self.ever.add(contested)
                    data = b"%d" % number + rng.randbytes(rng.choice((5, 1500)))
                    try:
                        await store.put(contested, data)
                        self.won.setdefault(contested, []).append(data)
                    except Exists:
                        pass
                case 5 if self._mine(number):
                    name = rng.choice(self._mine(number))
                    data = self.there[name]
                    offset, size = rng.randrange(len(data) + 2), rng.choice((None, 1, 500))
                    end = None if size is None else offset + size
                    assert await store.get(name, offset, size) == data[offset:end]
                    assert (await store.stat(name)).size == len(data)
                case 6 if self._mine(number):
                    name = rng.choice(self._mine(number))
                    del self.there[name]
                    await store.delete(name)
                    self.gone.add(name)
                    with pytest.raises(NotFound):
                        await store.stat(name)
                case 7:
                    before = dict(self.there)
                    found: list[str] = []
                    page = await store.list("o/")
                    while True:
                        found += [entry.name for entry in page.entries]
                        if page.cursor is None:
                            break
                        page = await store.list("o/", page.cursor)
                    assert len(found) == len(set(found))
                    assert set(found) <= self.ever
                    assert {n for n in before if n in self.there} <= set(found)

    def _mine(self, number: int) -> list[str]:
        return [name for name in self.there if name.startswith(f"o/{number}/")]


def run_scripts(seeds: range, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run scripts beside each other, each with an account of its own: they mostly wait."""
    monkeypatch.setattr(dropbox_upload, "STEP", 1000)
    monkeypatch.setattr(store_module, "PAGE", 7)

    async def one(seed: int) -> None:
        try:
            await run_script(seed)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for seed in seeds:
                nursery.start_soon(one, seed)

    trio.run(main)
    assert loopback().broken == []


async def run_script(seed: int) -> None:
    rng = random.Random(seed)
    account = loopback().account()
    account.delete_later = rng.random() < 0.3
    account.write_takes = rng.choice((0.0, 0.0, 0.01))
    account.faults += [random_fault(rng) for _ in range(rng.randrange(4, 25))]
    work = Work(rng)

    async def expiring() -> None:
        while True:
            await trio.sleep(rng.choice((0.05, 0.3, 1.0)))
            account.expire()

    store = RetryStore(opened(account), PATIENT)
    with trio.fail_after(90):
        async with trio.open_nursery() as clock:
            if rng.random() < 0.5:
                clock.start_soon(expiring)
            async with trio.open_nursery() as nursery:
                for number in range(rng.randrange(1, 8)):
                    nursery.start_soon(work.worker, store, number)
            clock.cancel_scope.cancel()
        account.faults.clear()
        # The trouble has ended: every answer is the true one, and everything is there.
        for name, data in work.there.items():
            assert await store.get(name) == data
        assert store.health.condition is Condition.OK or not work.there
    stored = account.objects("/vault")
    for name, data in work.there.items():
        assert stored.pop(name) == data
    for name, winners in work.won.items():
        assert winners == [stored.pop(name)]
    assert {name for name in stored if name.startswith("o/")} == set()
    assert account.most_writing <= 1
    assert all(commit["client_modified"] is None for commit in account.commits)


@pytest.mark.parametrize("block", range(25))
def test_nothing_acknowledged_is_lost_in_two_hundred_runs_whatever_goes_wrong(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_scripts(range(8 * block, 8 * block + 8), monkeypatch)


@pytest.mark.long
@pytest.mark.parametrize("block", range(200))
def test_nothing_acknowledged_is_lost_in_two_thousand_runs(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_scripts(range(1000 + 10 * block, 1010 + 10 * block), monkeypatch)


def test_the_random_troubles_meet_every_route_and_every_harm() -> None:
    rng = random.Random(1)
    faults = [random_fault(rng) for _ in range(2000)]
    assert {fault.route for fault in faults} >= set(ROUTES)
    unused = {Harm.FLIP, Harm.SLOW, Harm.TRICKLE}
    assert {fault.harm for fault in faults} == set(Harm) - unused
