"""``tagfs gc``: what nothing needs any more leaves the vault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast

import click

from tagfs.cli import passphrase, paths
from tagfs.cli.progress import bar
from tagfs.cli.reach import ask
from tagfs.cli.request import Request, common, count
from tagfs.cli.uploads import amount
from tagfs.errors import Unfinished
from tagfs.mount.messages import Call


@click.command()
@common()
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def gc(request: Request, dry_run: bool) -> None:
    """Delete from the vault what nothing needs any more.

    In two steps, so that it is run again later. What no file has, neither in a folder nor in the
    trash, and what no undo can bring back is condemned: 37 days after it was deleted at the
    earliest. What was condemned 7 days ago, by the clock of this machine, and is still not needed
    is deleted. What is copied in again meanwhile is uploaded again.

    Every journal in the vault is read for it. When one cannot be read, or is of a newer tagfs,
    nothing is deleted; what a listing of the vault lacks never matters.

    In a vault that has ever had a second device, also one that was joined again from the same
    machine, nothing is deleted yet; only --dry-run works there. Packs of thumbnails and scores
    stay in any vault.
    """
    state = request.vault or paths.default_state()
    with bar("looking", request.chatty) as progress:
        told = cast(
            Mapping[str, object],
            ask(
                state,
                Call("gc", {"dry-run": dry_run}),
                lambda: passphrase.known(request.source),
                progress,
            ),
        )
    if request.json:
        request.answer(told, "")
    for line in _lines(told):
        request.say(line)
    failed = [str(item) for item in cast(Sequence[object], told["failed"])]
    if failed:
        raise Unfinished(f"{len(failed)} could not be put right:", tuple(failed))


def _lines(told: Mapping[str, object]) -> list[str]:
    """Return what is said of a run."""
    condemned, deleted, waiting = (
        cast(Mapping[str, object], told[key]) for key in ("condemned", "deleted", "waiting")
    )
    would, lines = bool(told["dry_run"]), list[str]()
    if told["shared"]:
        lines.append(
            "This vault has had a second device, and tagfs deletes nothing in such a vault yet."
        )
    if deleted["objects"]:
        verb = "Would delete" if would else "Deleted"
        size = amount(cast(int, deleted["bytes"]))
        lines.append(f"{verb} {count(deleted['objects'], 'object')}, {size}.")
    if condemned["contents"]:
        verb = "Would condemn" if would else "Condemned"
        size = amount(cast(int, condemned["bytes"]))
        lines.append(
            f"{verb} {count(condemned['contents'], 'content')} that nothing needs, {size}."
        )
    for item in cast(Sequence[Mapping[str, int]], waiting["until"]):
        day = datetime.fromtimestamp(item["until"]).strftime("%Y-%m-%d %H:%M")
        lines.append(f"{count(item['contents'], 'content')} may be deleted from {day} on.")
    if told["revived"]:
        verb = "Would keep" if would else "Kept"
        lines.append(f"{verb} {count(told['revived'], 'content')} that is needed after all.")
    return lines or ["There is nothing to delete."]
