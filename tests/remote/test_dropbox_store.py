"""The Dropbox store beyond the common contract: troubles, batches, resumed uploads."""

from __future__ import annotations

import logging
import netrc
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import requests
import trio
from dropbox_server import Account, Fault, Harm, loopback, opened
from dropbox_server.account import content_hash, tag
from dropbox_server.faults import captive_portal, limited_json, limited_text

from tagfs.errors import (
    BadName,
    Exists,
    Full,
    Integrity,
    Limited,
    NotFound,
    Refused,
    RemoteError,
    Revoked,
    Unreachable,
    Usage,
)
from tagfs.remote import dropbox as dropbox_module
from tagfs.remote import dropbox_session, dropbox_upload
from tagfs.remote import store as store_module
from tagfs.remote.dropbox import DropboxStore
from tagfs.remote.dropbox_session import guarded_session
from tagfs.remote.login import Login, not_logged_in
from tagfs.remote.retry import Condition, Patience, RetryStore

FINISH = "files/upload_session/finish_batch_v2"
APPEND = "files/upload_session/append_v2"
START = "files/upload_session/start"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def account() -> Account:
    return loopback().account()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        with trio.fail_after(60):
            await test()

    trio.run(main)
    assert loopback().broken == []


def quick(store: DropboxStore) -> RetryStore:
    return RetryStore(store, Patience(total=20, first_pause=0.01, longest_pause=0.05))


# What each trouble means


def conflict(route: str, union: dict[str, object]) -> Fault:
    body = {"error_summary": "x/.", "error": union}
    return Fault(route, Harm.ANSWER, status=409, headers=JSON, body=body)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("files/", Harm.DROP_BEFORE), Unreachable),
        (Fault("files/", Harm.DROP_AFTER), Unreachable),
        (Fault("files/", Harm.ANSWER, status=500), Unreachable),
        (Fault("files/", Harm.ANSWER, status=503), Unreachable),
        (Fault("files/", Harm.ANSWER, status=503, headers={"Retry-After": "3"}), Limited),
        (Fault("files/", Harm.CUT, amount=20), Unreachable),
        (captive_portal("files/"), Unreachable),
        (Fault("files/", Harm.ANSWER, status=302, headers={"Location": "/hotel"}), Unreachable),
        (Fault("files/", Harm.ANSWER, status=511), Unreachable),
        (Fault("files/", Harm.ANSWER, status=200, headers=JSON, body=b"[1, 2"), Unreachable),
        (Fault("files/", Harm.ANSWER, status=200, headers=JSON, body={"a": 1}), Unreachable),
        (Fault("files/", Harm.ANSWER, status=400, body=b"Error in call"), Refused),
        (limited_text("files/"), Limited),
        (limited_json("files/"), Limited),
        (conflict("files/", tag("path", "not_found")), NotFound),
        (conflict("files/", tag("path", "restricted_content")), Refused),
        (conflict("files/", tag("path", "locked")), Unreachable),
        (conflict("files/", tag("path", "malformed_path")), BadName),
        (conflict("files/", {".tag": "path", "path": {".tag": "not_known_yet"}}), Refused),
    ],
    ids=lambda p: p.__name__ if isinstance(p, type) else f"{p.harm.name}-{p.status}",
)
def test_a_trouble_of_a_look_has_its_meaning(
    account: Account, fault: Fault, error: type[RemoteError]
) -> None:
    async def test() -> None:
        store = opened(account)
        await store.put("o/a", b"x")
        before = len(account.requests)
        account.faults.append(fault)
        with pytest.raises(error):
            await store.stat("o/a")
        assert len(account.requests) == before + 1  # nobody but the retry layer tries again
        assert (await store.stat("o/a")).size == 1

    run(test)


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (tag("path", "conflict", "file"), Exists),
        (tag("path", "conflict", "folder"), Refused),
        (tag("path", "conflict", "file_ancestor"), Refused),
        (tag("path", "insufficient_space"), Full),
        (tag("path", "team_folder_insufficient_space"), Full),
        (tag("path", "no_write_permission"), Refused),
        (tag("path", "disallowed_name"), BadName),
        (tag("path", "too_many_write_operations"), Limited),
        (tag("too_many_write_operations"), Limited),
        (tag("path", "upload_traffic_limit_reached"), Limited),
        (tag("lookup_failed", "not_found"), Unreachable),
        (tag("lookup_failed", "incorrect_offset", correct_offset=3), Unreachable),
        (tag("content_hash_mismatch"), Unreachable),
        (tag("payload_too_large"), Refused),
    ],
    ids=lambda p: p.__name__ if isinstance(p, type) else str(p[".tag"]),
)
def test_a_failed_entry_of_a_batch_has_its_meaning(
    account: Account, failure: dict[str, object], error: type[RemoteError]
) -> None:
    async def test() -> None:
        store = opened(account)
        account.faults.append(Fault(FINISH, Harm.ENTRIES, amount=1, body=failure))
        with pytest.raises(error):
            await store.put("o/a", b"x")

    run(test)


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (limited_text("", "7"), 7),
        (limited_text("", "1.5"), 1.5),
        (limited_text("", None), None),
        (limited_text("", "soon"), None),
        (limited_json("", 12), 12),
        (Fault("", Harm.ANSWER, status=429, headers=JSON, body=b"{"), None),
    ],
    ids=["whole", "fraction", "unsaid", "senseless", "json", "broken json"],
)
def test_the_time_that_dropbox_asks_to_wait_is_passed_on(
    account: Account, fault: Fault, seconds: float | None
) -> None:
    async def test() -> None:
        store = opened(account)
        await store.put("o/a", b"x")
        account.faults.append(fault)
        with pytest.raises(Limited) as caught:
            await store.get("o/a")
        assert caught.value.retry_after == seconds

    run(test)


def test_the_time_to_wait_may_be_a_date() -> None:
    response = requests.Response()
    response.headers["Retry-After"] = "Fri, 01 Jan 2100 00:00:00 GMT"
    wait = dropbox_session._retry_after(response)
    assert wait is not None
    assert wait > 1e8


def test_a_full_account_is_full_and_tells_its_space() -> None:
    async def test() -> None:
        account = loopback().account(capacity=1000)
        store = opened(account)
        await store.put("o/a", bytes(600))
        with pytest.raises(Full, match="o/b"):
            await store.put("o/b", bytes(600))
        space = await store.space()
        assert space is not None
        assert (space.total, space.free) == (1000, 400)
        await store.put("o/c", bytes(400))

    run(test)


def test_a_host_that_cannot_be_reached_or_is_not_dropbox_is_unreachable(account: Account) -> None:
    async def test() -> None:
        login = Login(account.app_key, account.refresh_token)
        authorities = str(loopback().authorities)
        nowhere = guarded_session(2, {"https": "http://127.0.0.1:9"}, authorities)
        with pytest.raises(Unreachable):
            await DropboxStore("v", lambda: login, nowhere).stat("a")
        # Its certificate is not signed by anybody whom the system knows.
        stranger = guarded_session(2, loopback().proxies)
        with pytest.raises(Unreachable):
            await DropboxStore("v", lambda: login, stranger).stat("a")
        assert account.requests == []

    run(test)


# Tokens


def test_an_expired_token_is_renewed_and_nobody_notices(account: Account) -> None:
    async def test() -> None:
        store = opened(account)
        await store.put("o/a", b"x")
        assert account.refreshed == 1
        account.expire()
        assert await store.get("o/a") == b"x"
        await store.put("o/b", b"y")
        assert account.refreshed == 2

    run(test)


def test_a_token_that_expires_again_at_once_is_no_revocation(account: Account) -> None:
    """A machine that slept between two requests, or whose clock is wrong."""

    async def test() -> None:
        inner = opened(account)
        await inner.put("o/a", b"x")
        body = {"error_summary": "expired/.", "error": tag("expired_access_token")}
        account.faults.append(Fault("files/", Harm.ANSWER, 2, status=401, headers=JSON, body=body))
        with pytest.raises(Unreachable):
            await inner.get("o/a")
        assert await quick(inner).get("o/a") == b"x"

    run(test)


def test_an_expired_token_without_means_to_renew_it_is_revoked(account: Account) -> None:
    async def test() -> None:
        store = opened(account, login=Login(access_token=account.token()))
        await store.put("o/a", b"x")
        account.expire()
        with pytest.raises(Revoked, match="tagfs remote login dropbox"):
            await store.get("o/a")

    run(test)


def test_a_withdrawn_permission_is_revoked_for_every_verb_also_in_mid_batch(
    account: Account,
) -> None:
    async def test() -> None:
        store = opened(account)
        await store.put("o/a", b"x")
        account.write_takes = 0.2
        outcomes: list[object] = []

        async def put(number: int) -> None:
            try:
                await store.put(f"o/n{number}", bytes(100))
                outcomes.append(None)
            except Revoked as error:
                outcomes.append(error)

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(put, number)
                await trio.sleep(0.01)
            account.revoke()
        written = set(account.objects("/vault")) - {"o/a"}
        assert len(outcomes) == 20
        assert outcomes.count(None) == len(written)
        assert any(isinstance(outcome, Revoked) for outcome in outcomes)
        for call in (store.stat, store.get, store.delete):
            with pytest.raises(Revoked):
                await call("o/a")
        with pytest.raises(Revoked):
            await store.list()
        with pytest.raises(Revoked):
            await store.space()
        with pytest.raises(Revoked):  # and a new start does not get in
            await opened(account).stat("o/a")

    run(test)


def test_a_login_is_told_to_nobody(account: Account, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        caplog.set_level(logging.DEBUG)
        login = Login(account.app_key, account.refresh_token, account.token())
        store = opened(account, login=login)
        await store.put("o/a", b"x")
        account.revoke()
        with pytest.raises(Revoked) as caught:
            await store.get("o/a")
        for secret in (login.refresh_token, login.access_token, *account.access):
            assert secret not in repr(login) + repr(store) + repr(caught.value) + caplog.text

    run(test)


def test_a_default_line_of_netrc_does_not_stand_in_for_the_token(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("default login me password mine\n")
    assert netrc.netrc(str(tmp_path / ".netrc")).authenticators("api.dropboxapi.com")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(loopback().authorities))
    for variable in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(variable, loopback().proxies["https"])

    async def test() -> None:
        server = loopback()
        session = guarded_session(2, server.proxies, str(server.authorities))
        session.trust_env = True
        login = Login(account.app_key, account.refresh_token)
        store = DropboxStore("v", lambda: login, session)
        await store.put("o/a", b"x")

    run(test)


# Commits


def test_concurrent_puts_are_committed_together_and_never_two_batches_at_a_time(
    account: Account,
) -> None:
    async def test() -> None:
        account.write_takes = 0.02
        store = opened(account)
        async with trio.open_nursery() as nursery:
            for number in range(60):
                nursery.start_soon(store.put, f"o/{number:02}", bytes([number]) * 100)
        assert account.objects("/vault") == {f"o/{n:02}": bytes([n]) * 100 for n in range(60)}
        assert sum(account.batches) == 60
        assert len(account.batches) <= 12
        assert account.most_writing == 1
        assert account.requests.count(START) == 60

    run(test)


def test_a_batch_has_at_most_as_many_entries_as_dropbox_takes(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagfs.remote.dropbox_commit.BATCH", 4)

    async def test() -> None:
        account.write_takes = 0.05
        store = opened(account)
        async with trio.open_nursery() as nursery:
            for number in range(14):
                nursery.start_soon(store.put, f"o/{number}", b"")
        assert max(account.batches) == 4
        assert sum(account.batches) == 14

    run(test)


def test_a_lonely_put_waits_for_nobody(account: Account) -> None:
    async def test() -> None:
        store = opened(account)
        await store.put("o/a", b"x")
        account.requests.clear()
        await store.put("o/b", b"x")
        assert account.requests == [START, FINISH]

    run(test)


def test_a_batch_that_fails_in_part_fails_for_those_only(account: Account) -> None:
    async def test() -> None:
        store = opened(account)
        account.write("/vault/o/07", b"others", True)
        outcomes: dict[int, bool] = {}

        async def put(number: int) -> None:
            try:
                await store.put(f"o/{number:02}", b"mine")
                outcomes[number] = True
            except Exists:
                outcomes[number] = False

        async with trio.open_nursery() as nursery:
            for number in range(12):
                nursery.start_soon(put, number)
        assert outcomes == {number: number != 7 for number in range(12)}
        assert account.objects("/vault")["o/07"] == b"others"

    run(test)


@pytest.mark.parametrize("harm", [Harm.DROP_AFTER, Harm.ANSWER_AFTER, Harm.CUT])
def test_a_commit_whose_answer_was_lost_is_found_without_downloading_it(
    account: Account, harm: Harm
) -> None:
    async def test() -> None:
        inner = opened(account)
        account.faults.append(Fault(FINISH, harm, amount=5))
        await quick(inner).put("o/a", b"mine")
        assert account.objects("/vault") == {"o/a": b"mine"}
        assert account.batches == [1]
        assert "files/download" not in account.requests

    run(test)


def test_a_commit_that_is_carried_out_late_is_still_ones_own(account: Account) -> None:
    """The line breaks, the repetition finds nothing there yet, and only then it appears."""

    async def test() -> None:
        inner = opened(account)
        account.faults.append(Fault(FINISH, Harm.DROP_BEFORE))
        with pytest.raises(Unreachable):
            await inner.put("o/a", b"mine")
        account.faults.append(Fault(FINISH, Harm.SLOW, amount=0.3))

        async def late() -> None:
            await trio.sleep(0.15)
            account.write("/vault/o/a", b"mine", True)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(late)
            await inner.put("o/a", b"mine")
        assert account.objects("/vault") == {"o/a": b"mine"}

    run(test)


def test_after_a_lost_answer_somebody_elses_object_is_not_ones_own(account: Account) -> None:
    async def test() -> None:
        inner = opened(account)
        account.faults.append(Fault(FINISH, Harm.DROP_BEFORE))
        account.write("/vault/h/1", b"others", True)
        with pytest.raises(Exists):
            await quick(inner).put("h/1", b"mine")
        # The same bytes, at the first try: there was no answer to lose.
        with pytest.raises(Exists):
            await inner.put("h/1", b"others")

    run(test)


def test_a_cancelled_put_that_was_not_sent_yet_is_not_sent(account: Account) -> None:
    async def test() -> None:
        store = opened(account)
        await store.put("o/first", b"x")
        account.write_takes = 1.5
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.put, "o/slow", b"x")
            while not account.writing:  # until its batch is under way
                await trio.sleep(0.01)
            with trio.move_on_after(0.1) as scope:
                await store.put("o/never", b"x")
        assert scope.cancelled_caught
        await trio.sleep(0.2)
        assert sorted(account.objects("/vault")) == ["o/first", "o/slow"]

    run(test)


def test_bytes_that_changed_on_their_way_are_taken_back(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        store = opened(account)
        upload = dropbox_upload.Sessions.upload

        def wrong(self: object, name: str, content: str, source: object, call: object) -> str:
            return upload(self, name, content, dropbox_upload.of_bytes(b"yours"), call)  # type: ignore[arg-type]

        monkeypatch.setattr(dropbox_upload.Sessions, "upload", wrong)
        with pytest.raises(Unreachable, match="changed on its way"):
            await store.put("o/a", b"mine!")
        assert account.objects("/vault") == {}

    run(test)


def test_no_commit_says_when_a_photo_was_taken_or_wakes_the_users_desktop(account: Account) -> None:
    async def test() -> None:
        await opened(account).put("o/a", b"x")
        assert account.commits == [
            {"path": "/vault/o/a", "client_modified": None, "mute": True},
        ]

    run(test)


# Uploads in pieces


def test_an_upload_goes_on_where_the_line_broke(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropbox_upload, "STEP", 1000)
    data = bytes(range(256)) * 40

    async def test() -> None:
        inner = opened(account)
        account.faults += [
            Fault(APPEND, Harm.DROP_BEFORE),
            Fault(APPEND, Harm.DROP_AFTER),  # then Dropbox is further than we know
            Fault(APPEND, Harm.ANSWER, status=503, times=2),
        ]
        await quick(inner).put("o/a", data)
        assert account.objects("/vault") == {"o/a": data}
        assert account.requests.count(START) == 1
        # 11 pieces, 4 of them sent twice.
        assert account.requests.count(APPEND) == 10 + 4

    run(test)


def test_the_last_piece_of_an_upload_may_go_unanswered(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropbox_upload, "STEP", 1000)

    async def test() -> None:
        inner = opened(account)
        account.faults.append(Fault(APPEND, Harm.DROP_AFTER))
        await quick(inner).put("o/a", bytes(1500))
        assert account.objects("/vault") == {"o/a": bytes(1500)}
        assert account.requests.count(START) == 1

    run(test)


def test_an_upload_that_dropbox_has_forgotten_begins_anew(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropbox_upload, "STEP", 1000)

    async def test() -> None:
        inner = opened(account)
        account.faults.append(Fault(APPEND, Harm.DROP_BEFORE))
        with pytest.raises(Unreachable):
            await inner.put("o/a", bytes(2500))
        account.uploads.clear()
        await quick(inner).put("o/a", bytes(2500))
        assert account.objects("/vault") == {"o/a": bytes(2500)}

    run(test)


def test_a_session_that_is_gone_at_the_commit_is_made_again(account: Account) -> None:
    async def test() -> None:
        gone = tag("lookup_failed", "not_found")
        inner = opened(account)
        account.faults.append(Fault(FINISH, Harm.ENTRIES, amount=1, body=gone))
        with pytest.raises(Unreachable):
            await inner.put("o/a", b"x")
        account.uploads.clear()
        await quick(inner).put("o/a", b"x")
        assert account.objects("/vault") == {"o/a": b"x"}

    run(test)


def test_a_file_is_sent_in_pieces_and_its_hash_is_dropboxs(
    account: Account, tmp_path: Path
) -> None:
    data = bytes(range(251)) * 40_000  # three blocks of 4 MiB, two pieces
    (tmp_path / "f").write_bytes(data)

    async def test() -> None:
        store = opened(account)
        await store.put_file("o/f", tmp_path / "f")
        assert account.objects("/vault") == {"o/f": data}
        assert (account.requests.count(START), account.requests.count(APPEND)) == (1, 1)
        assert account.find("/vault/o/f").json()["content_hash"] == content_hash(data)

    run(test)


# Downloads


def test_a_cut_download_is_never_taken_for_a_short_object(account: Account) -> None:
    async def test() -> None:
        store = opened(account)
        data = bytes(range(256)) * 4000
        await store.put("o/a", data)
        for amount in (0, 1, 500_000, len(data) - 1):
            account.faults.append(Fault("files/download", Harm.CUT, amount=amount))
            with pytest.raises(Unreachable):
                await store.get("o/a")
        assert await store.get("o/a") == data

    run(test)


def test_a_line_that_ignores_ranges_gives_the_right_bytes_all_the_same(account: Account) -> None:
    async def test() -> None:
        store = opened(account)
        data = bytes(range(256)) * 4000
        await store.put("o/a", data)
        for offset, size in ((10, 5), (700_001, 100), (len(data) - 3, 10), (len(data) + 5, 10)):
            account.faults.append(Fault("files/download", Harm.WHOLE))
            assert await store.get("o/a", offset, size) == data[offset : offset + size]

    run(test)


def test_an_object_that_is_too_long_for_tagfs_is_not_read_into_memory(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropbox_module, "MAX_OBJECT", 1000)

    async def test() -> None:
        account.write("/vault/o/huge", bytes(5000), True)
        store = opened(account)
        with pytest.raises(Integrity, match="o/huge"):
            await store.get("o/huge")
        assert await store.get("o/huge", 4000, 1000) == bytes(1000)

    run(test)


def test_a_body_that_trickles_ends_with_its_time(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dropbox_module, "_ANSWER", 0.5)

    async def test() -> None:
        store = opened(account)
        await store.put("o/a", bytes(10_000))
        account.faults.append(Fault("files/download", Harm.TRICKLE, amount=0.02))
        with trio.fail_after(20), pytest.raises(Unreachable, match="too long"):
            await store.get("o/a", 0, 5000)
        account.faults.append(Fault("files/get_metadata", Harm.TRICKLE, amount=0.02))
        with trio.fail_after(20), pytest.raises(Unreachable, match="too long"):
            await store.stat("o/a")

    monkeypatch.setattr("tagfs.remote.dropbox_session.PIECE", 1)
    monkeypatch.setattr(dropbox_module, "PIECE", 1)
    run(test)


def test_a_cancelled_download_ends_its_thread(account: Account) -> None:
    async def test() -> None:
        store = opened(account)
        await store.put("o/a", bytes(100_000))
        account.faults.append(Fault("files/download", Harm.SLOW, amount=0.3))
        with trio.move_on_after(0.1) as scope:
            await store.get("o/a")
        assert scope.cancelled_caught
        with trio.fail_after(5):
            while store._readers.borrowed_tokens:
                await trio.sleep(0.02)

    run(test)


# Listings and deletions


def test_a_cursor_that_is_reset_neither_hides_nor_repeats_anything(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "PAGE", 3)

    async def test() -> None:
        store = opened(account)
        there = [f"o/{number}" for number in range(12)]
        for name in there:
            account.write(f"/vault/{name}", b"x", True)
        for times in range(4):
            found: list[str] = []
            page = await store.list("o/")
            while True:
                found += [entry.name for entry in page.entries]
                if page.cursor is None:
                    break
                if times and len(found) > 2 * times:
                    account.faults.append(Fault("files/list_folder/continue", Harm.RESET))
                    times -= 1
                again = await store.list("o/", page.cursor)
                page = again
            assert sorted(found) == sorted(there)

    run(test)


def test_a_page_may_be_asked_for_twice(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "PAGE", 4)

    async def test() -> None:
        store = opened(account)
        for number in range(9):
            account.write(f"/vault/o/{number}", b"x", True)
        first = await store.list("o/")
        assert first.cursor is not None
        second = await store.list("o/", first.cursor)
        assert (await store.list("o/", first.cursor)).entries == second.entries

    run(test)


def test_a_stale_listing_changes_nothing_that_is_asked_for_by_name(account: Account) -> None:
    async def test() -> None:
        store = opened(account)
        await store.put("o/old", b"old")
        await store.put("o/new", b"new")
        account.stale = 1
        assert [entry.name for entry in (await store.list()).entries] == ["o/old"]
        assert await store.get("o/new") == b"new"
        with pytest.raises(Exists):
            await store.put("o/new", b"other")

    run(test)


def test_what_other_programs_write_into_the_folder_is_left_out(account: Account) -> None:
    async def test() -> None:
        for path in ("/vault/o/a", "/vault/Holiday Photo.JPG", "/vault-b/o/c", "/vault/.x"):
            account.write(path, b"x", True)
        store = opened(account)
        assert [entry.name for entry in (await store.list()).entries] == ["o/a"]
        # Dropbox folds case: somebody has renamed it in a browser.
        account.write("/vault/O/B", b"y", True)
        assert await store.get("o/b") == b"y"
        assert sorted(e.name for e in (await store.list()).entries) == ["o/a", "o/b"]

    run(test)


@pytest.mark.parametrize("later", [False, True])
def test_deletions_are_gathered_and_take_only_what_was_meant(account: Account, later: bool) -> None:
    async def test() -> None:
        account.delete_later = later
        account.write_takes = 0.1
        store = opened(account)
        for number in range(30):
            account.write(f"/vault/o/{number}", b"x", True)
        async with trio.open_nursery() as nursery:
            for number in range(29):
                nursery.start_soon(store.delete, f"o/{number}")
            nursery.start_soon(store.delete, "o")  # a folder
            nursery.start_soon(store.delete, "o/none")
        assert sorted(account.objects("/vault")) == ["o/29"]
        assert account.most_writing == 1
        assert account.requests.count("files/delete_batch") >= 1
        assert account.requests.count("files/delete_v2") <= 2

    run(test)


def test_a_file_that_was_replaced_between_look_and_delete_stays(account: Account) -> None:
    async def test() -> None:
        store = opened(account)
        account.write("/vault/o/a", b"old", True)
        account.faults.append(Fault("files/delete_v2", Harm.SLOW, amount=0.3))
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                with pytest.raises(RemoteError):
                    await store.delete("o/a")

            await trio.sleep(0.15)
            account.remove("/vault/o/a", None)
            account.write("/vault/o/a", b"new", True)
        assert account.objects("/vault") == {"o/a": b"new"}

    run(test)


def test_a_write_by_anybody_wakes_whoever_waits(account: Account) -> None:
    async def test() -> None:
        store = opened(account)
        assert await store.changed()  # where it stands: whatever there is
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def _() -> None:
                await trio.sleep(0.2)
                account.write("/vault/s/1", b"x", True)

            began = trio.current_time()
            assert await store.changed(30)
            assert trio.current_time() - began < 10
        account.faults.append(Fault("files/list_folder/longpoll", Harm.RESET))
        assert await store.changed(30)
        account.faults.append(
            Fault(
                "files/list_folder/longpoll",
                Harm.ANSWER,
                status=200,
                headers=JSON,
                body={"changes": False, "backoff": 1},
            )
        )
        began = trio.current_time()
        assert not await store.changed(30)
        assert trio.current_time() - began >= 1

    run(test)


# The retry layer over it


def test_the_retry_layer_tells_the_troubles_apart(account: Account) -> None:
    async def test() -> None:
        inner = opened(account)
        await inner.put("o/a", b"x")
        for fault, condition in (
            (Fault("files/", Harm.DROP_BEFORE, times=9), Condition.OFFLINE),
            (captive_portal("files/", times=9), Condition.OFFLINE),
            (limited_text("files/", times=9), Condition.LIMITED),
            (Fault("files/", Harm.ANSWER, status=400, times=9), Condition.REFUSED),
        ):
            store = RetryStore(inner, Patience(total=0))
            account.faults[:] = [fault]
            with pytest.raises(RemoteError):
                await store.stat("o/a")
            assert store.health.condition is condition
        account.faults.clear()
        account.revoke()
        store = RetryStore(inner, Patience(total=0))
        with pytest.raises(Revoked):
            await store.stat("o/a")
        assert store.health.condition is Condition.REVOKED

    run(test)


@pytest.mark.parametrize("folder", ["Big", "a b", "../x", "a/", "ä"])
def test_a_folder_that_dropbox_would_not_keep_as_it_is_written_is_wrong_usage(folder: str) -> None:
    with pytest.raises(Usage, match="dropbox:///gallery"):
        DropboxStore(folder, not_logged_in)
