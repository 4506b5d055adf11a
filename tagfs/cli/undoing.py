"""``tagfs undo`` and ``tagfs trash``: having things back."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import cast

import click

from tagfs.cli import passphrase, paths
from tagfs.cli.photo import inside
from tagfs.cli.reach import ask
from tagfs.cli.request import Request, common, count
from tagfs.errors import Usage
from tagfs.mount.messages import Call

Json = Mapping[str, object]
SHOWN = 12
"""Digits of an act's id in a list."""


def _ask(request: Request, call: Call) -> object:
    state = request.vault or paths.default_state()
    return ask(state, call, lambda: passphrase.known(request.source))


@click.command()
@click.argument("ident", required=False, metavar="ID")
@common()
@click.option("--list", "listing", is_flag=True, help="List what can be taken back instead.")
@click.option(
    "--number",
    type=click.IntRange(1),
    default=30,
    show_default=True,
    metavar="N",
    help="How many acts are listed, the newest first.",
)
def undo(request: Request, ident: str | None, listing: bool, number: int) -> None:
    """Take back the last thing that was done here, or the act ID.

    What one program does without a pause of two seconds is one act: a tag removed with all its
    photos, a folder that was copied in, one `tagfs tag`. What was changed again since stays as
    it is. An undo is an act, too: undo its ID to do the act again. Acts of this device are kept
    for 37 days.
    """
    if listing:
        if ident is not None:
            raise Usage("--list lists; leave the ID out.")
        acts = cast(Sequence[Json], _ask(request, Call("acts", {"number": number})))
        request.answer(acts, "\n".join(map(_act, acts)) or "There is nothing to undo.")
        return
    done = cast(Json, _ask(request, Call("undo", {"id": ident})))
    if request.json:
        request.answer(done, "")
    request.say(f"Taken back: {_printable(done['text'])}.")


def _act(act: Json) -> str:
    undone = " (undone)" if act["undone"] else ""
    ident, when = str(act["id"])[:SHOWN], _time(act["time"])
    return f"{ident}  {when}  {_printable(act['text'])}{undone}"


def _printable(text: object) -> str:
    return click.format_filename(str(text))


def _time(seconds: object) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(cast(int, seconds)))


@click.group(invoke_without_command=True)
@common()
@click.pass_context
def trash(context: click.Context, request: Request) -> None:
    """List what was deleted, when, and where it was. It stays for 30 days."""
    if context.invoked_subcommand is not None:
        return
    lost = cast(Sequence[Json], _ask(request, Call("trash", {})))
    request.answer(lost, "\n".join(map(_lost, lost)) or "The trash is empty.")


def _lost(lost: Json) -> str:
    places = ", ".join(map(_printable, cast(Sequence[object], lost["places"])))
    return f"{_printable(lost['name'])}  deleted {_time(lost['deleted'])} from {places}"


@trash.command()
@click.argument("names", nargs=-1, metavar="NAME...")
@common()
@click.option("--all", "everything", is_flag=True, help="Bring everything back.")
def restore(request: Request, names: tuple[str, ...], everything: bool) -> None:
    """Bring files back from the trash, by their names there, to every place where they were.

    Tags, dates and marks come back with them. Where something else has the name by now, both are
    there, one as NAME~ID.
    """
    if bool(names) == everything:
        raise Usage("Name what comes back, or say --all.")
    state = request.vault or paths.default_state()
    # A path in the mount, or else a name in the trash.
    words = [path or name for name, path in zip(names, inside(names, state), strict=True)]
    told = cast(Json, _ask(request, Call("trash", {"do": "restore", "names": words})))
    if request.json:
        request.answer(told, "")
    request.say(f"Brought {count(told['files'], 'file')} back.")


@trash.command()
@common()
def empty(request: Request) -> None:
    """Take everything out of the trash; `tagfs undo` reaches it for 7 days more."""
    told = cast(Json, _ask(request, Call("trash", {"do": "empty"})))
    if request.json:
        request.answer(told, "")
    request.say(
        f"Took {count(told['files'], 'file')} out of the trash; `tagfs undo` takes it back."
    )
