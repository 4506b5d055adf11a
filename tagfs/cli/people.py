"""``tagfs people``: who is in the photos, by the commands that the folders stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import click

from tagfs.cli import passphrase, paths
from tagfs.cli.photo import named
from tagfs.cli.reach import ask
from tagfs.cli.readable import readable_line
from tagfs.cli.request import Request, common, count
from tagfs.mount.messages import Call

Told = Sequence[Mapping[str, object]]


@click.group(invoke_without_command=True)
@common()
@click.pass_context
def people(context: click.Context, request: Request) -> None:
    """List everybody who was seen twice, named or made, with how many photos have them.

    What the other commands do, the folders in people/ do, too: renaming one names a person.
    """
    if context.invoked_subcommand is None:
        _answer(request, _ask(request, {"do": "ls"}))


@people.command()
@click.argument("old")
@click.argument("new")
@common()
def name(request: Request, old: str, new: str) -> None:
    """Call the person OLD by the name NEW; where NEW is somebody else's, the two are one."""
    _answer(request, _ask(request, {"do": "name", "old": old, "new": new}))


@people.command()
@click.argument("who", metavar="NAME")
@click.argument("photos", nargs=-1, metavar="PHOTO...", required=True)
@common()
def add(request: Request, who: str, photos: tuple[str, ...]) -> None:
    """Say that NAME is in photos; somebody of that name is made where there is nobody."""
    _say(request, "add", who, photos)


@people.command()
@click.argument("who", metavar="NAME")
@click.argument("photos", nargs=-1, metavar="PHOTO...", required=True)
@common()
def remove(request: Request, who: str, photos: tuple[str, ...]) -> None:
    """Say that NAME is not in photos: the faces are somebody else's."""
    _say(request, "remove", who, photos)


def _say(request: Request, what: str, who: str, photos: tuple[str, ...]) -> None:
    state = request.vault or paths.default_state()
    _answer(request, _ask(request, {"do": what, "name": who, **named(photos, state)}))


def _ask(request: Request, arguments: Mapping[str, object]) -> Told:
    state = request.vault or paths.default_state()
    call = Call("people", dict(arguments))
    return cast(Told, ask(state, call, lambda: passphrase.known(request.source)))


def _answer(request: Request, told: Told) -> None:
    lines = [
        f"{readable_line(str(person['name']))}: {count(cast(int, person['photos']), 'photo')}"
        for person in told
    ]
    request.answer(told, "\n".join(lines) or "Nobody was seen twice, and nobody was named.")
