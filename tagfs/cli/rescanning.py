"""``tagfs rescan``: tags and places once more, by what today's tagfs knows of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import click

from tagfs.cli import passphrase, paths
from tagfs.cli.progress import bar
from tagfs.cli.reach import ask
from tagfs.cli.request import Request, common, count
from tagfs.errors import Unfinished, Usage
from tagfs.mount.messages import Call


@click.command()
@common()
@click.option("--where", metavar="QUERY", help="Only the photos that this query finds.")
@click.option("--all", "everything", is_flag=True, help="Look at the originals of all of them.")
@click.option("--wait", is_flag=True, help="Return when it has ended.")
@click.option("--stop", is_flag=True, help="End the one that is under way; what it did stays.")
def rescan(request: Request, where: str | None, everything: bool, wait: bool, stop: bool) -> None:
    """Make every photo's tags anew from what was seen in it, after an update of tagfs.

    What a model saw is kept, so that new thresholds and concepts need no original, nor do new
    names of places; only photos
    that an older model saw, or that could not be decoded by older decoders, are looked at again.
    What you said stays. While the gallery is mounted it goes on in the background, also after a
    restart; `tagfs status` says how far it is. Status 8 when some could not be looked at.
    """
    if stop and (where is not None or everything or wait):
        raise Usage("--stop ends a rescan; leave the other options out.")
    state = request.vault or paths.default_state()
    alone = paths.served_at(state) is None
    call = Call(
        "rescan",
        {"where": where, "all": everything, "stop": stop, "wait": wait or alone, "hurry": alone},
    )
    with bar("rescanning", request.chatty and (wait or alone)) as progress:
        told = cast(
            Mapping[str, object],
            ask(state, call, lambda: passphrase.known(request.source), progress, not stop),
        )
    for hint in cast(Sequence[object], told["hints"]):
        click.echo(str(hint), err=True)
    if request.json:
        request.answer(told, "")
    if stop:
        request.say("The rescan is stopped." if told["stopped"] else "No rescan was under way.")
        return
    if not told["ended"]:
        request.say(
            f"Going through {count(told['total'], 'photo')} in the background; `tagfs status` says "
            "how far it is."
        )
        return
    request.say(
        f"Other tags now: {told['changed']} of {count(told['total'], 'photo')}; another place: "
        f"{told['placed']}; looked at again: {told['looked_again']}."
    )
    if told["failed"]:
        raise Unfinished(
            f"{count(told['failed'], 'photo')} could not be looked at, because the bytes or the "
            "recogniser are not to be had now; `tagfs doctor` says why, then run it again."
        )
