"""``tagfs pin``, ``unpin`` and ``offload``: which photos' bytes are on this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import click

from tagfs.cli import passphrase, paths
from tagfs.cli.photo import named
from tagfs.cli.reach import ask
from tagfs.cli.readable import readable_line
from tagfs.cli.request import Request, common, count
from tagfs.cli.uploads import amount
from tagfs.errors import Unfinished, Usage
from tagfs.mount.messages import Call

Json = Mapping[str, object]


def _photos(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the ways to name photos."""
    where = click.option("--where", metavar="QUERY", help="Mean every photo that this query finds.")
    return click.argument("photos", nargs=-1, metavar="PHOTO...")(common()(where(command)))


@click.command()
@_photos
def pin(request: Request, photos: tuple[str, ...], where: str | None) -> None:
    """Keep photos on this machine: fetched in the background, and never dropped from the cache.

    Pins are this machine's own. All pinned photos have to fit into the cache (`-o cache_size`).
    """
    told = _ask(request, "pin", photos, where)
    request.answer(told, "") if request.json else request.say(
        f"Pinned: {count(told['changed'], 'photo')}; what is not here yet is fetched."
    )


@click.command()
@_photos
def unpin(request: Request, photos: tuple[str, ...], where: str | None) -> None:
    """Let photos that were pinned go like others when the cache is full."""
    told = _ask(request, "unpin", photos, where)
    request.answer(told, "") if request.json else request.say(
        f"Not pinned any more: {count(told['changed'], 'photo')}."
    )


@click.command()
@_photos
def offload(request: Request, photos: tuple[str, ...], where: str | None) -> None:
    """Remove this machine's copies of photos that are stored on the remote.

    Status 8 when some stay: what is not stored yet, is pinned, or is open.
    """
    told = _ask(request, "offload", photos, where)
    if request.json:
        request.answer(told, "")
    request.say(f"{amount(cast(int, told['bytes']))} are free now.")
    left = cast(Sequence[Mapping[str, str]], told["left"])
    if left:
        raise Unfinished(
            f"{count(len(left), 'photo')} stayed:",
            tuple(f"{item['path']}: {item['reason']}" for item in left),
        )


def _ask(request: Request, name: str, photos: tuple[str, ...], where: str | None) -> Json:
    if bool(photos) == (where is not None):
        raise Usage("Name photos, or find them with --where.")
    state = request.vault or paths.default_state()
    meaning = {"where": where} if where is not None else named(photos, state)
    call = Call(name, dict(meaning))
    told = cast(Json, ask(state, call, lambda: passphrase.known(request.source)))
    for hint in cast(Sequence[object], told["hints"]):
        click.echo(readable_line(str(hint)), err=True)
    return told


def cache_text(told: Json) -> str:
    """Return how full the cache of a status is."""
    cache = cast(Mapping[str, int], told["cache"])
    text = f"cache: {amount(cache['bytes'])} of {amount(cache['limit'])}"
    if cache["pinned"]:
        text += f", {count(cache['pinned'], 'photo')} pinned"
    return text + (f" ({cache['failure']})" if cache["failure"] else "")
