"""``tagfs status``, ``wait``, ``search`` and ``verify``: what a gallery knows and how it stands."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import cast

import click

from tagfs.cli import keeping, passphrase, paths, uploads
from tagfs.cli.progress import bar
from tagfs.cli.reach import ask
from tagfs.cli.readable import readable_line
from tagfs.cli.request import Request, common
from tagfs.errors import Integrity, Unfinished, Usage
from tagfs.mount.messages import Call

Json = Mapping[str, object]


@click.command()
@click.argument("mountpoint", required=False)
@common()
def status(request: Request, mountpoint: str | None) -> None:
    """Say how many photos there are and what is still to be done."""
    state = paths.find_state(mountpoint, request.vault)
    told = cast(Json, ask(state, Call("status", {}), lambda: passphrase.known(request.source)))
    request.answer(told, _status_text(told))


def _status_text(told: Json) -> str:
    queue = cast(Mapping[str, int], told["queue"])
    remote = cast(Mapping[str, str], told["remote"])
    state = remote["state"]
    rescan = cast(Json | None, told.get("rescan"))
    return "\n".join(
        [
            f"{told['photos']} photos",
            f"waiting: {queue['sealed']} to be looked at, {uploads.waiting(told)}",
            *([f"uploading: {speed}"] if (speed := uploads.speed(told)) else []),
            f"unreadable: {told['unreadable']} (kept and backed up)",
            f"remote: {remote.get('where', '')} " + ("ok" if state == "ok" else f"({state})"),
            keeping.cache_text(told),
            f"recogniser: {told.get('recogniser', '')}"
            + ("" if uploads.goes(told) == "goes on" else f", {uploads.goes(told)}"),
            *([f"rescan: {rescan['done']} of {rescan['total']} photos"] if rescan else []),
        ]
    )


@click.command()
@click.argument("mountpoint", required=False)
@common()
@click.option(
    "--for",
    "target",
    type=click.Choice(["recognised", "stored"]),
    default="stored",
    show_default=True,
    help="What is waited for.",
)
@click.option("--timeout", type=click.FloatRange(0), metavar="S", help="Seconds to wait at most.")
def wait(request: Request, mountpoint: str | None, target: str, timeout: float | None) -> None:
    """Wait until every photo is recognised, or stored in the vault; status 8 on time-out."""
    state = paths.find_state(mountpoint, request.vault)
    call = Call("wait", {"for": target, "timeout": timeout})
    done = ask(state, call, lambda: passphrase.known(request.source), recognising=True)
    if request.json:
        request.answer({"done": bool(done)}, "")
    if not done:
        raise Unfinished(
            f"Not everything is {target} after {timeout:g} s; `tagfs status` says what is left."
        )
    request.say(f"Everything is {target}.")


@click.command(
    # A word that begins with a minus is one to leave out, -h too.
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]}
)
@click.argument("query", nargs=-1, required=True, metavar="QUERY")
@common()
def search(request: Request, query: tuple[str, ...]) -> None:
    """Find photos: `dog beach -person date:2024..2025`."""
    for word in query:
        if word.startswith("--"):
            raise click.NoSuchOption(word)
    state = request.vault or paths.default_state()
    call = Call("search", {"query": " ".join(query)})
    told = cast(Sequence[Json], ask(state, call, lambda: passphrase.known(request.source)))
    for item in told:
        if "hint" in item:
            click.echo(readable_line(str(item["hint"])), err=True)
    hits = [item for item in told if "hint" not in item]
    base = None if request.json else paths.served_at(state)
    request.answer(hits, "\n".join(_hit_text(hit, base) for hit in hits) or "Nothing found.")


def _hit_text(hit: Json, base: str | None) -> str:
    """Return the first path, absolute where it is mounted, and the surest tags."""
    where = [str(path) for path in cast(Sequence[object], hit["paths"])][:1] or [str(hit["name"])]
    path = where[0] if base is None else os.path.join(base, where[0])
    tags = sorted(cast(Sequence[Json], hit["tags"]), key=_confidence, reverse=True)
    shown = ", ".join(str(tag["name"]) for tag in tags[:5])
    return readable_line(click.format_filename(path)) + (f"  ({shown})" if shown else "")


def _confidence(tag: Json) -> float:
    return cast(float, tag["confidence"])


@click.command()
@common()
@click.option("--all", "everything", is_flag=True, help="Read every object and check every byte.")
@click.option("--sample", metavar="P%", help="Read so much of the objects, chosen at random; 5%.")
def verify(request: Request, everything: bool, sample: str | None) -> None:
    """Check the vault: journals entire, objects by presence and size, or by their bytes.

    Where the provider tells hashes of what it has, as Dropbox does, objects are also compared
    with the copies on this machine, without being fetched. Status 6 when something is damaged;
    it is named.
    """
    if everything and sample:
        raise Usage("--all and --sample exclude each other.")
    state = request.vault or paths.default_state()
    share = 1.0 if everything else None if sample is None else _share(sample)
    call = Call("verify", {"sample": share})
    with bar("verifying", request.chatty) as progress:
        told = cast(Json, ask(state, call, lambda: passphrase.known(request.source), progress))
    problems = [str(item) for item in cast(Sequence[object], told["problems"])]
    if request.json:
        request.answer(told, "")
    if problems:
        raise Integrity("\n".join(["This does not verify:", *problems]))
    waiting = f"; {told['waiting']} contents wait to be stored" if told["waiting"] else ""
    compared = f"{told['compared']} like the copies here, " if told["compared"] else ""
    request.say(
        f"{told['objects']} objects are there, {compared}{told['opened']} of them read and "
        f"verified, and {told['segments']} journal segments{waiting}."
    )


def _share(text: str) -> float:
    """Read ``5%`` or ``5`` as 0.05."""
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise Usage(f"{text!r} is no share of the objects; write a percentage, 5%.")
    return share
