"""What a provider knows the user by, whichever provider it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tagfs.errors import Revoked


@dataclass(frozen=True, slots=True)
class Login:
    """A login at a provider. Never in a log: no token is in its `repr`.

    With ``refresh_token`` and ``app_key`` access tokens are fetched as they are needed;
    ``access_token`` alone lives a few hours.
    """

    app_key: str = ""
    refresh_token: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)


AskLogin = Callable[[], Login]
"""Gives the login of this moment, or raises Revoked or Integrity; from any thread."""


def not_logged_in() -> Login:
    """Refuse: there is no login on this machine."""
    raise Revoked("This machine is not logged in to Dropbox. Run `tagfs remote login dropbox`.")
