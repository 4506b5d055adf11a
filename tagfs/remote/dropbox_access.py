"""The SDK's client of one account: made with the login that is kept, and anew with a new one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import requests
from dropbox import Dropbox

from tagfs.errors import Revoked
from tagfs.remote.dropbox_errors import translated
from tagfs.remote.dropbox_session import SOCKET_TIMEOUT, Call, running
from tagfs.remote.login import AskLogin


class Access:
    """The way to one account, shared by all threads."""

    def __init__(self, ask: AskLogin, session: requests.Session) -> None:
        self._ask = ask
        self._session = session
        self._sdk: Dropbox | None = None
        self._renews = False
        self._lock = Lock()

    @property
    def sdk(self) -> Dropbox:
        """The client; blocks, and raises what asking for the login does."""
        with self._lock:
            if self._sdk is None:
                login = self._ask()
                self._renews = bool(login.refresh_token)
                self._sdk = Dropbox(
                    oauth2_access_token=login.access_token or None,
                    oauth2_refresh_token=login.refresh_token or None,
                    app_key=login.app_key or None,
                    max_retries_on_error=0,
                    max_retries_on_rate_limit=0,  # None would be for ever
                    user_agent="tagfs",
                    session=self._session,
                    timeout=SOCKET_TIMEOUT,
                )
            return self._sdk

    @contextmanager
    def during(self, call: Call, what: str) -> Iterator[None]:
        """Carry out a call in this thread; what the SDK raises becomes what a store raises."""
        try:
            with running(call), translated(what, lambda: self._renews):
                yield
        except Revoked:
            with self._lock:
                self._sdk = None  # the user may log in again while this runs
            raise

    def close(self) -> None:
        """Let go of connections."""
        self._session.close()
