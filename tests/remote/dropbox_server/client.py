"""The store under test, led to the test server."""

from __future__ import annotations

from dropbox_server.account import Account
from dropbox_server.server import loopback
from tagfs.remote.dropbox import DropboxStore
from tagfs.remote.dropbox_session import guarded_session
from tagfs.remote.login import Login


def opened(account: Account, folder: str = "vault", login: Login | None = None) -> DropboxStore:
    """Return a store over an account, by its refresh token where no other login is given."""
    server = loopback()
    session = guarded_session(17, server.proxies, str(server.authorities))
    known = login or Login(account.app_key, account.refresh_token)
    return DropboxStore(folder, lambda: known, session)
