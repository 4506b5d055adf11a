"""``tagfs init``, ``join`` and ``passwd``: vaults and the secrets that open them."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click

from tagfs.cli import passphrase
from tagfs.cli.passphrase import Source
from tagfs.cli.paths import default_remote, default_state, served_at
from tagfs.cli.reach import ask, run
from tagfs.cli.remotes import app_key_option, login_for
from tagfs.cli.request import Request, common, passphrase_options
from tagfs.errors import Usage
from tagfs.mount.messages import Call
from tagfs.remote.login import Login
from tagfs.vault.slots import Passphrase, Words
from tagfs.vault.words import new_entropy, to_words

WORDS_IN_A_ROW = 6


@click.command()
@common()
@click.option(
    "--remote", metavar="URL", help="Where the sealed vault goes, dir:///path or dropbox:///folder."
)
@app_key_option
def init(request: Request, remote: str | None, app_key: str | None) -> None:
    """Make a new vault and show its recovery words, once."""
    state = request.vault or default_state()
    secret = passphrase.new(request.source)
    login = login_for(remote or default_remote(), app_key)
    words = make_vault(state, remote or default_remote(), secret, login)
    where = remote or default_remote()
    if request.json:
        request.answer({"vault": str(state), "remote": where, "recovery_words": words.split()}, "")
        return
    click.echo(recovery_text(words))
    request.say(f"The vault in {where} is ready; mount it with `{mount_line(request)}`.")
    request.say(same_disk_text(where))


@click.command()
@common()
@click.option(
    "--remote",
    metavar="URL",
    required=True,
    help="Where the vault lies, dir:///path or dropbox:///folder.",
)
@app_key_option
def join(request: Request, remote: str, app_key: str | None) -> None:
    """Bring a vault that exists to this machine, with its passphrase or recovery words."""
    from tagfs.pipeline import opening

    state = request.vault or default_state()
    secret = passphrase.known(request.source)
    run(partial(opening.join, login=login_for(remote, app_key)), state, remote, secret)
    request.answer(
        {"vault": str(state), "remote": remote},
        f"This machine has joined the vault in {remote}; mount it with `{mount_line(request)}`.",
    )


@click.command()
@common()
@passphrase_options("--new-passphrase", "new passphrase")[0]
@passphrase_options("--new-passphrase", "new passphrase")[1]
@click.option("--new-words", is_flag=True, help="Make new recovery words; the passphrase stays.")
def passwd(
    request: Request,
    new_passphrase_file: str | None,
    new_passphrase_command: str | None,
    new_words: bool,
) -> None:
    """Change the passphrase, or with --new-words the recovery words. The other stays as it is.

    Needs the old passphrase, or the recovery words where it was forgotten, unless the vault is
    mounted.

    New recovery words are shown before the old ones end, so that none are lost: they hold once the
    command says so.
    """
    state = request.vault or default_state()
    if new_words and (new_passphrase_file or new_passphrase_command):
        raise Usage("--new-words leaves the passphrase as it is; change it by a second command.")
    # The old one first, as passwd(1) asks; a daemon has the vault open already.
    old = passphrase.known(request.source) if served_at(state) is None else None
    if new_words:
        _change_words(request, state, old)
        return
    new = passphrase.new(Source(new_passphrase_file, new_passphrase_command, None))
    call = Call("passwd", {"new": new.text})
    ask(state, call, lambda: old or passphrase.known(request.source))
    request.answer(
        {"changed": True},
        "The passphrase is changed. Copies of the vault that were made before still open with "
        "the old one.",
    )


def _change_words(request: Request, state: Path, old: Passphrase | Words | None) -> None:
    words = to_words(new_entropy())
    if not request.json:
        click.echo(recovery_text(words))
        request.say("They hold when this command says so; until then the old ones do.")
    ask(state, Call("new-words", {"new": words}), lambda: old or passphrase.known(request.source))
    request.answer(
        {"recovery_words": words.split()},
        "These recovery words hold from now on. Copies of the vault that were made before still "
        "open with the old ones.",
    )


def make_vault(state: Path, remote: str, secret: Passphrase, login: Login | None = None) -> str:
    """Make a vault and its state directory; return the recovery words."""
    from tagfs.pipeline import opening

    return str(run(partial(opening.create, login=login), state, remote, secret))


def mount_line(request: Request) -> str:
    """Return the command that mounts the vault that was asked for."""
    chosen = "" if request.vault is None else f" --vault {shlex.quote(str(request.vault))}"
    return f"tagfs mount ~/Gallery{chosen}"


def recovery_text(words: str) -> str:
    """Return the recovery words as they are shown."""
    numbered = [f"{i:2} {word:<9}" for i, word in enumerate(words.split(), 1)]
    rows = [
        "  ".join(numbered[i : i + WORDS_IN_A_ROW]).rstrip()
        for i in range(0, len(numbered), WORDS_IN_A_ROW)
    ]
    return "\n".join(
        [
            "Recovery words. Write them down now: they open the vault when the passphrase is",
            "forgotten, and are not shown again.",
            "",
            *("    " + row for row in rows),
            "",
        ]
    )


def remote_folder(url: str) -> Path | None:
    """Return the folder of a dir remote, None for what lies elsewhere."""
    parts = urlsplit(url)
    return Path(unquote(parts.path, errors="surrogateescape")) if parts.scheme == "dir" else None


def same_disk_text(url: str) -> str:
    """Return what must be said of a vault that lies on this machine."""
    if remote_folder(url) is None:
        return "The vault lies outside this machine: what is stored survives its loss."
    return (
        "The vault lies on this machine: it is a backup only once it, or a copy of it, lies on "
        "another disk."
    )
