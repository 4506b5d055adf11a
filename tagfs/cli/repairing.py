"""``tagfs repair``: bringing back what a damaged vault still holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import click

from tagfs.cli import passphrase, paths
from tagfs.cli.progress import bar
from tagfs.cli.reach import ask
from tagfs.cli.readable import readable_line
from tagfs.cli.request import Request, common, count
from tagfs.errors import Unfinished, Usage
from tagfs.mount.messages import Call


@click.command()
@common()
@click.option(
    "--from", "second", metavar="URL", help="A second copy of the vault, dir:///path, to take from."
)
@click.option(
    "--from-objects", is_flag=True, help="Bring back what no journal names, by the objects alone."
)
def repair(request: Request, second: str | None, from_objects: bool) -> None:
    """Put back what the vault has lost, from this machine or from a second copy of the vault.

    Every object that should be in the vault is asked for. One that is missing is put back when
    spool, cache or the second copy have it whole; the second copy gives missing journal segments
    too. What is there is never changed, damaged or not: `tagfs verify` names it.

    With --from-objects photos come back whose journals are lost or damaged; on a new machine,
    after `tagfs join`. Every object of the vault says which photo it belongs to. What no journal
    names is read, verified and listed in a folder Recovered-DATE under the name and time that it
    was copied in with; folders and tags are gone with the journals, and photos are looked at
    anew.

    Nothing is ever deleted, and the command can be repeated. Status 8 when something did not
    come back; it is named.
    """
    if second is not None and from_objects:
        raise Usage("--from and --from-objects exclude each other.")
    state = request.vault or paths.default_state()
    if from_objects:
        _from_objects(request, state)
        return
    call = Call("repair", {"from": second})
    with bar("repairing", request.chatty) as progress:
        told = cast(
            Mapping[str, object],
            ask(state, call, lambda: passphrase.known(request.source), progress),
        )
    if request.json:
        request.answer(told, "")
    segments = f" and {count(told['segments'], 'journal segment')}" if told["segments"] else ""
    request.say(
        f"Of {count(told['objects'], 'object')} {told['put']} were missing and are back{segments}."
    )
    failed = [str(item) for item in cast(Sequence[object], told["failed"])]
    if failed:
        raise Unfinished(f"{len(failed)} could not be repaired:", tuple(failed))


def _from_objects(request: Request, state: Path) -> None:
    with bar("recovering", request.chatty) as progress:
        told = cast(
            Mapping[str, object],
            ask(
                state,
                Call("from-objects", {}),
                lambda: passphrase.known(request.source),
                progress,
                salvage=True,
            ),
        )
    for text in cast(Sequence[object], told["journals"]):
        click.echo(readable_line(str(text)), err=True)
    if request.json:
        request.answer(told, "")
    request.say(_text(told))
    failed = cast(Sequence[Mapping[str, str]], told["failed"])
    if failed:
        raise Unfinished(
            f"{len(failed)} did not come back:",
            tuple(f"{f['path']}: {f['reason']}" for f in failed),
        )


def _text(told: Mapping[str, object]) -> str:
    if not told["objects"]:
        return (
            "The remote names no objects. That deletes nothing; if there should be some, try "
            "again when it is entire."
        )
    if not told["files"]:
        return f"Of {count(told['objects'], 'object')} none holds a photo that is not listed yet."
    later = (
        ""
        if told["published"]
        else " They are noted on this machine; `tagfs wait` brings that to the vault."
    )
    return f"{count(told['files'], 'file')} came back and are in {told['folder']}.{later}"
