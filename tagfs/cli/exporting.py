"""``tagfs export``: photos as plain files again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import click

from tagfs.cli import passphrase, paths
from tagfs.cli.progress import bar
from tagfs.cli.reach import ask
from tagfs.cli.readable import readable_line
from tagfs.cli.request import Request, common, count
from tagfs.cli.vaults import remote_folder
from tagfs.errors import Unfinished, Usage
from tagfs.mount import mountpoint as mounts
from tagfs.mount.messages import Call
from tagfs.pipeline.state_dir import StateDir


@click.command(
    # A word that begins with a minus is one to leave out, -h too.
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]}
)
@click.argument("words", nargs=-1, required=True, metavar="[QUERY] DEST")
@common()
@click.option("--folders", is_flag=True, help="Write everything, in the folders that it lies in.")
@click.option(
    "--sidecars", is_flag=True, help="Write the tags beside each photo as well, in NAME.xmp."
)
def export(request: Request, words: tuple[str, ...], folders: bool, sidecars: bool) -> None:
    """Write the photos that a query finds into the folder DEST, as they were copied in.

    With --folders, or an empty query, everything is written: your folders as they are, and what
    is in none of them in all/. Nothing that is in DEST is replaced: of equal names the later is
    NAME~ID. What is there already with the same bytes is skipped, so the same command goes on
    after it was stopped. Status 8 when some could not be written; they are listed.
    """
    *query, dest = words
    for word in words:
        if word.startswith("--"):
            raise click.NoSuchOption(word)
    if folders and query:
        raise Usage("--folders writes everything; leave the query out, or --folders.")
    if not folders and not query:
        raise Usage(
            f"Say what goes to {dest}: `tagfs export QUERY {dest}`, or --folders for everything."
        )
    state = request.vault or paths.default_state()
    _check(dest, state)
    call = Call(
        "export",
        {"query": " ".join(query).strip(), "dest": os.path.abspath(dest), "sidecars": sidecars},
    )
    with bar("exporting", request.chatty) as progress:
        told = cast(
            Mapping[str, object],
            ask(state, call, lambda: passphrase.known(request.source), progress),
        )
    for hint in cast(Sequence[object], told["hints"]):
        click.echo(readable_line(str(hint)), err=True)
    failed = cast(Sequence[Mapping[str, str]], told["failed"])
    if request.json:
        request.answer(told, "")
    present = f"; already there: {told['present']}" if told["present"] else ""
    request.say(f"Wrote {count(told['files'], 'file')} to {click.format_filename(dest)}{present}.")
    if failed:
        raise Unfinished(
            f"{len(failed)} could not be exported:",
            tuple(f"{f['path']}: {f['reason']}" for f in failed),
        )


def _check(dest: str, state: Path) -> None:
    """Refuse a destination where plain photos must not lie or cannot be written."""
    served = paths.served_at(state)
    if served is not None and mounts.is_inside(dest, served):
        raise Usage(f"{dest} is in the gallery itself; name a folder outside.")
    if mounts.is_inside(dest, mounts.canonical(state)):
        raise Usage(f"{dest} is in the state directory of the vault; name a folder elsewhere.")
    remote = remote_folder(StateDir(state).settings().remote)
    if remote is not None and mounts.is_inside(dest, mounts.canonical(remote)):
        raise Usage(f"{dest} is in the vault, which has sealed files only; name another folder.")
