"""The test server itself: held to the SDK's types, and as a process that is told what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from dropbox import Dropbox
from dropbox.exceptions import ApiError
from dropbox_server import Account, loopback, opened
from dropbox_server.account import tag
from dropbox_server.routes import ROUTES
from dropbox_server.server import _Http

from tagfs.errors import Full, Limited, Revoked, Unreachable
from tagfs.remote.dropbox import DropboxStore
from tagfs.remote.dropbox_session import guarded_session
from tagfs.remote.login import Login


@pytest.mark.parametrize("name", sorted(ROUTES))
def test_every_route_names_the_type_of_the_sdk_that_its_answer_is_held_to(name: str) -> None:
    path = ROUTES[name]
    validator = path.route.result_type
    definition = getattr(validator, "definition", None)
    assert path.type == (type(validator) if definition is None else definition).__name__
    version = "" if path.route.version == 1 else f"_v{path.route.version}"
    assert name.endswith(path.route.name + version)


def test_an_answer_that_the_sdk_would_refuse_is_noticed() -> None:
    broken: list[str] = []
    pretended = SimpleNamespace(server=SimpleNamespace(broken=broken))
    validator = ROUTES["files/get_metadata"].route.result_type
    for wrong in ({".tag": "file", "name": "x"}, tag("nothing"), {}):
        broken.clear()
        _Http._check(pretended, "files/get_metadata", validator, wrong)  # type: ignore[arg-type]
        assert len(broken) == 1


def test_a_folder_or_file_is_found_in_whatever_case(account: Account) -> None:
    account.write("/Vault/O/Aa", b"x", True)
    assert account.find("/vault/o/aA").data == b"x"
    with pytest.raises(Exception, match="conflict"):
        account.write("/VAULT/o/aa", b"y", True)
    # Without strict_conflict the same bytes are no conflict.
    assert account.write("/vault/o/aa", b"x", False).path == "/Vault/O/Aa"


def test_what_rclone_asks_is_answered_too(account: Account) -> None:
    server = loopback()
    session = guarded_session(4, server.proxies, str(server.authorities))
    sdk = Dropbox(oauth2_access_token=account.token(), session=session)
    assert sdk.files_create_folder_v2("/box").metadata.path_display == "/box"
    with pytest.raises(ApiError, match="conflict"):
        sdk.files_create_folder_v2("/box")
    account.write("/box/below/b", b"y", True)
    headers = {
        "Authorization": f"Bearer {account.token()}",
        "Dropbox-API-Arg": json.dumps({"path": "/box/a"}),
        "Content-Type": "application/octet-stream",
    }
    pieces = iter([b"x" * 70_000, b"z"])  # of no length that is known before: sent in chunks
    url = "https://content.dropboxapi.com/2/files/upload"
    assert session.post(url, data=pieces, headers=headers).status_code == 200
    listed = sdk.files_list_folder("/box").entries
    assert sorted(entry.name for entry in listed) == ["a", "below"]
    [ident] = [entry.id for entry in listed if entry.name == "a"]
    assert sdk.files_download(ident)[1].content == b"x" * 70_000 + b"z"


def test_a_second_writer_is_turned_away(account: Account) -> None:
    async def main() -> None:
        account.write_takes = 0.5
        one, other = opened(account), opened(account)
        asked: list[float | None] = []

        async def put(store: DropboxStore, name: str) -> None:
            try:
                await store.put(name, b"x")
            except Limited as error:
                asked.append(error.retry_after)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(put, one, "a")
            nursery.start_soon(put, other, "b")
        assert asked == [1]
        assert account.most_writing == 2

    trio.run(main)


def test_as_a_process_it_is_told_what_to_do() -> None:
    program = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "dropbox_server/__main__.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdin is not None
    assert program.stdout is not None
    place = json.loads(program.stdout.readline())

    def say(**line: Any) -> Any:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(json.dumps(line) + "\n")
        program.stdin.flush()
        return json.loads(program.stdout.readline())

    async def main() -> None:
        proxies = {"https": f"http://127.0.0.1:{place['port']}"}
        login = Login(place["app_key"], place["refresh_token"])
        session = guarded_session(4, proxies, place["authorities"])
        store = DropboxStore("vault", lambda: login, session)
        with trio.fail_after(60):
            await store.put("a", b"x")
            say(do="fault", route="files/get_metadata", harm="DROP_AFTER")
            with pytest.raises(Unreachable):
                await store.stat("a")
            say(do="capacity", bytes=3)
            with pytest.raises(Full):
                await store.put("b", b"xyz")
            say(do="stale", changes=1)
            assert (await store.list()).entries == ()
            say(do="expire")
            say(do="pass", seconds=86400)
            assert await store.get("a") == b"x"
            told = say(do="requests")["ok"]
            assert told["requests"][0] == "oauth2/token"
            assert told["requests"].count("oauth2/token") == 2
            assert (told["faults"], told["broken"]) == (0, [])
            say(do="revoke")
            with pytest.raises(Revoked):
                await store.get("a")
            assert "error" in say(do="dance")
            await store.close()

    try:
        trio.run(main)
    finally:
        program.communicate(timeout=20)
    assert program.returncode == 0


@pytest.fixture
def account() -> Account:
    return loopback().account()
