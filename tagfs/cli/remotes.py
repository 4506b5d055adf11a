"""``tagfs remote``: logging in to where the vault lies."""

from __future__ import annotations

from urllib.parse import urlsplit

import click

from tagfs.cli import passphrase
from tagfs.cli.paths import default_state
from tagfs.cli.request import Request, common
from tagfs.errors import Usage
from tagfs.pipeline import logins
from tagfs.pipeline.state_dir import StateDir
from tagfs.remote.login import Login

APP_KEY = "TAGFS_DROPBOX_APP_KEY"


app_key_option = click.option(
    "--app-key", metavar="KEY", envvar=APP_KEY, help="Key of your own app at Dropbox."
)


@click.group()
def remote() -> None:
    """Look after the login at the provider that keeps the vault."""


@remote.command()
@click.argument("provider", type=click.Choice(["dropbox"]))
@common()
@app_key_option
def login(request: Request, provider: str, app_key: str | None) -> None:
    """Log in again, where the provider no longer accepts the login or another app is to be used.

    Works while the gallery is mounted.
    """
    state = request.vault or default_state()
    settings = StateDir(state).settings()
    if not needs_login(settings.remote):
        raise Usage(f"The vault of {state} lies in {settings.remote}, which needs no login.")
    secret = passphrase.known(request.source)
    logins.keep_unlocked(state, secret, log_in(app_key))
    request.answer(
        {"provider": provider, "logged_in": True}, "Logged in; the login is sealed on this machine."
    )


def needs_login(url: str) -> bool:
    """Say whether a remote is at a provider who wants to know who asks."""
    return urlsplit(url).scheme == "dropbox"


def login_for(url: str, app_key: str | None) -> Login | None:
    """Return the login for a remote that is used for the first time, None where it needs none."""
    return log_in(app_key) if needs_login(url) else None


def log_in(app_key: str | None) -> Login:
    """Have the user allow the app in a browser; asks for the code that is shown there."""
    if not app_key:
        raise Usage(
            "Dropbox wants the key of an app: make one with access to its own folder at "
            f"https://www.dropbox.com/developers/apps and give its key with --app-key or {APP_KEY}."
        )
    from tagfs.remote.url import dropbox_authorization

    authorization = dropbox_authorization(app_key)
    click.echo(
        f"Open this page in a browser, allow the app, and copy the code that is shown:\n\n"
        f"    {authorization.url}\n",
        err=True,
    )
    code = click.prompt("Code", hide_input=True, err=True)
    return authorization.finish(str(code))
