"""``tagfs import``: copying in without going through the mount."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import cast

import click

from tagfs.cli import passphrase, paths
from tagfs.cli.progress import bar
from tagfs.cli.reach import ask
from tagfs.cli.request import Request, common
from tagfs.errors import Unfinished, Usage
from tagfs.mount import mountpoint as mounts
from tagfs.mount.messages import Call


@click.command("import")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@common()
@click.option("--into", metavar="FOLDER", help="Folder of the gallery; its root without.")
@click.option("--tag", "tags", multiple=True, metavar="T", help="Give every photo this tag.")
def import_(
    request: Request, sources: tuple[str, ...], into: str | None, tags: tuple[str, ...]
) -> None:
    """Copy files and folders into the gallery; returns when they survive a power cut.

    The names of the views (all, tags, people, places, dates, videos, recent, untagged,
    favourites, review, search, trash) are taken at the root: import folders of your own that
    are called so with --into. Status 8 when some could not be read; they are listed.
    """
    state = request.vault or paths.default_state()
    served = paths.served_at(state)
    for source in sources:
        if served is not None and mounts.is_inside(source, served):
            raise Usage(f"{source} is in the gallery already.")
    call = Call(
        "import",
        {"sources": [os.path.abspath(s) for s in sources], "into": into, "tags": list(tags)},
    )
    with bar("importing", request.chatty) as progress:
        told = cast(
            Mapping[str, object],
            ask(state, call, lambda: passphrase.known(request.source), progress),
        )
    failed = cast(Sequence[Mapping[str, str]], told.get("failed", []))
    if request.json:
        request.answer(told, "")
    present = f", {told['present']} were there already" if told.get("present") else ""
    request.say(f"{told['files']} files are in the gallery{present}.")
    if failed:
        raise Unfinished(
            f"{len(failed)} could not be imported:",
            tuple(f"{f['path']}: {f['reason']}" for f in failed),
        )
