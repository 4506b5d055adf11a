"""Logging in to Dropbox: the user allows this app in a browser and brings back a code (PKCE)."""

from __future__ import annotations

import requests
from dropbox import DropboxOAuth2FlowNoRedirect

from tagfs.errors import Refused, Unreachable
from tagfs.remote.dropbox_session import SOCKET_TIMEOUT, Call, guarded_session, running
from tagfs.remote.login import Login

SCOPES = [
    "account_info.read",
    "files.content.read",
    "files.content.write",
    "files.metadata.read",
    "files.metadata.write",
]
"""What the store calls: its space, its files; nothing of the user's profile, nobody's shares."""

_SECONDS = 60.0


class Authorization:
    """One login under way: show ``url``, then `finish` with the code that the user is shown."""

    def __init__(self, app_key: str, session: requests.Session | None = None) -> None:
        self._app_key = app_key
        self._flow = DropboxOAuth2FlowNoRedirect(
            app_key,
            use_pkce=True,
            token_access_type="offline",  # without it the login would end after four hours
            scope=SCOPES,
            timeout=SOCKET_TIMEOUT,
        )
        self._flow.requests_session = session or guarded_session(1)
        self.url: str = self._flow.start()

    def finish(self, code: str) -> Login:
        """Return the login that the code stands for. Blocks.

        Raises:
            Refused: Dropbox does not accept the code, or the key of the app.
            Unreachable: Dropbox cannot be reached.
        """
        try:
            with running(Call(_SECONDS)):
                result = self._flow.finish(code.strip())
        except requests.HTTPError:
            raise Refused(
                "Dropbox does not accept this code; begin again with `tagfs remote login dropbox`."
            ) from None  # its text would carry the request
        except requests.RequestException as error:
            raise Unreachable(f"Cannot reach Dropbox ({type(error).__name__}).") from None
        except (KeyError, ValueError):
            raise Unreachable("The answer of Dropbox was not understood; try again.") from None
        return Login(self._app_key, result.refresh_token)
