"""Logging in to Dropbox: the browser's code, the sealed login, and a second one while mounted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from dropbox_server import Account, loopback

from tagfs.crypto.kdf import KdfParams
from tagfs.errors import Integrity, Refused, Revoked, Usage
from tagfs.pipeline import checkup, logins, opening
from tagfs.pipeline.finding import Verdict
from tagfs.pipeline.state_dir import StateDir
from tagfs.remote.dropbox_login import Authorization
from tagfs.remote.dropbox_session import guarded_session
from tagfs.remote.login import Login
from tagfs.vault.header import open_header
from tagfs.vault.slots import Passphrase

sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))

from gallery_kit import Folder

SECRET = Passphrase("six random words open this vault")
QUICK = KdfParams(64 * 1024, 3, 1)


@pytest.fixture
def account() -> Account:
    return loopback().account()


@pytest.fixture
def on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lead every program that is started from here to the test server, by its environment."""
    for name, value in surroundings().items():
        monkeypatch.setenv(name, value)


def surroundings() -> dict[str, str]:
    proxy = loopback().proxies["https"]
    authorities = str(loopback().authorities)
    return {
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "NO_PROXY": "",
        "no_proxy": "",
        "REQUESTS_CA_BUNDLE": authorities,
    }


def begun(account: Account) -> Authorization:
    server = loopback()
    session = guarded_session(1, server.proxies, str(server.authorities))
    return Authorization(account.app_key, session)


def test_the_code_of_the_browser_becomes_a_login_that_lasts(account: Account) -> None:
    before = account.refresh_token
    authorization = begun(account)
    login = authorization.finish(f" {account.approve(authorization.url)}\n")
    assert login == Login(account.app_key, account.refresh_token)
    assert account.refresh_token != before


def test_a_code_is_good_once_and_only_for_whoever_asked_for_it(account: Account) -> None:
    mine, other = begun(account), begun(account)
    code = account.approve(mine.url)
    for authorization, given in ((other, code), (mine, code), (mine, "made up")):
        with pytest.raises(Refused, match="tagfs remote login dropbox") as caught:
            authorization.finish(given)
        assert given not in str(caught.value)


def test_a_login_is_sealed_and_only_its_vault_opens_it(tmp_path: Path) -> None:
    async def made(name: str) -> StateDir:
        root = tmp_path / name
        await opening.create(root, f"memory://login-{name}", SECRET, QUICK)
        return StateDir(root)

    place, other = trio.run(made, "a"), trio.run(made, "b")
    login = Login("the-app-key", "the-refresh-token", "the-access-token")
    logins.keep_unlocked(place.root, SECRET, login)
    stored = place.login.read_bytes()
    for text in (login.app_key, login.refresh_token, login.access_token):
        assert text.encode() not in stored
    assert place.login.stat().st_mode & 0o777 == 0o600
    ring, _ = open_header(place.header.read_bytes(), SECRET)
    assert logins.opened(ring, stored) == login
    strange, _ = open_header(other.header.read_bytes(), SECRET)
    with pytest.raises(Integrity, match="login"):
        logins.opened(strange, stored)
    with pytest.raises(Integrity, match="login"):
        logins.opened(ring, stored[:-1] + bytes([stored[-1] ^ 1]))
    with pytest.raises(Usage):
        logins.keep(place, ring, Login("k", "t" * 5000))
    assert place.login.read_bytes() == stored


def test_a_gallery_in_dropbox_is_made_opened_and_joined_and_survives_a_new_login(
    account: Account, tmp_path: Path, on_loopback: None
) -> None:
    login = Login(account.app_key, account.refresh_token)
    url = "dropbox:///gallery"

    async def test() -> None:
        with trio.fail_after(120):
            await opening.create(tmp_path / "a", url, SECRET, QUICK, login=login)
            async with opening.open_gallery(tmp_path / "a", SECRET) as gallery:
                folder = Folder(gallery)
                for number in range(12):
                    await folder.write(f"{number}.txt", b"%d" % number * 100_000)
                assert await gallery.wait("stored", 60)
                assert {name.split("/")[0] for name in account.objects("/gallery")} > {"h", "o"}
                # The user withdraws the app in a browser, and logs in again.
                account.revoke()
                with pytest.raises(Revoked):
                    await gallery.store.list("h/")
                authorization = begun(account)
                again = authorization.finish(account.approve(authorization.url))
                await trio.to_thread.run_sync(logins.keep_unlocked, tmp_path / "a", SECRET, again)
                assert (await gallery.store.list("h/")).entries
            await opening.join(tmp_path / "b", url, SECRET, login=again)
            async with opening.open_gallery(tmp_path / "b", SECRET) as gallery:
                folder = Folder(gallery)
                for number in range(12):
                    assert await folder.read(f"{number}.txt") == b"%d" % number * 100_000

    trio.run(test)
    assert loopback().broken == []
    assert account.most_writing == 1


def test_the_doctor_says_that_the_login_is_sealed() -> None:
    (finding,) = trio.run(checkup.remote, "dropbox:///gallery")
    assert finding.verdict is Verdict.NOTE
    assert "sealed" in finding.text


def tagfs(*arguments: object) -> subprocess.Popen[str]:
    run = "from tagfs.cli.main import main; main()"
    command = [sys.executable, "-c", run, *map(str, arguments)]
    environment = os.environ | surroundings() | {"TAGFS_PASSPHRASE": SECRET.text}
    return subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def log_in(program: subprocess.Popen[str], account: Account) -> tuple[int, str]:
    """Play the user in a browser; return the exit status and all that was said."""
    assert program.stderr is not None
    heard = ""
    while "https://www.dropbox.com/oauth2" not in heard:
        line = program.stderr.readline()
        assert line, heard
        heard += line
    url = heard.split()[-1]
    out, err = program.communicate(account.approve(url) + "\n", timeout=120)
    return program.returncode, heard + out + err


def test_the_command_line_makes_a_gallery_in_dropbox_and_logs_in_again(
    account: Account, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    key = ("--app-key", account.app_key)
    status, said = log_in(
        tagfs("init", "--vault", state, "--remote", "dropbox:///mine", *key), account
    )
    assert status == 0, said
    assert any(name.startswith("h/") for name in account.objects("/mine"))
    first = account.refresh_token
    account.revoke()
    status, more = log_in(tagfs("remote", "login", "dropbox", "--vault", state, *key), account)
    assert status == 0, more
    assert account.refresh_token != first
    for secret in (first, account.refresh_token):
        assert secret not in said + more
        assert all(
            secret.encode() not in path.read_bytes()
            for path in tmp_path.rglob("*")
            if path.is_file()
        )


def test_a_login_that_makes_no_sense_says_what_would(tmp_path: Path) -> None:
    async def made() -> None:
        await opening.create(tmp_path / "d", f"dir://{tmp_path}/vault", SECRET, QUICK)

    trio.run(made)
    program = tagfs("remote", "login", "dropbox", "--vault", tmp_path / "d", "--app-key", "k")
    _, err = program.communicate(timeout=60)
    assert program.returncode == 2
    assert "needs no login" in err
    program = tagfs("init", "--vault", tmp_path / "n", "--remote", "dropbox:///x")
    _, err = program.communicate(timeout=60)
    assert program.returncode == 2
    assert "--app-key" in err
    assert not (tmp_path / "n/vault.json").exists()
