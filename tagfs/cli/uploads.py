"""``tagfs pause`` and ``resume``, and how far uploads are, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import click

from tagfs.cli import passphrase, paths
from tagfs.cli.reach import ask
from tagfs.cli.request import Request, common, count
from tagfs.mount.messages import Call

Json = Mapping[str, object]
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


@click.command()
@click.argument("mountpoint", required=False)
@common()
@click.option("--recognition", is_flag=True, help="Let recognition rest, rather than uploading.")
def pause(request: Request, mountpoint: str | None, recognition: bool) -> None:
    """Let uploading rest until `tagfs resume`, over unmounting and restarts, too.

    What is under way is finished. Everything that is written stays safe on this disk meanwhile,
    and is not on the remote. With --recognition no photo is looked at until then.
    """
    told = _ask(request, mountpoint, "pause", recognition)
    text = f"Uploading rests; {waiting(told)}. `tagfs resume` lets it go on."
    if recognition:
        text = f"Recognition rests; {unseen(told)}. `tagfs resume --recognition` lets it go on."
    request.answer(told, "") if request.json else request.say(text)


@click.command()
@click.argument("mountpoint", required=False)
@common()
@click.option("--recognition", is_flag=True, help="Let recognition go on, rather than uploading.")
def resume(request: Request, mountpoint: str | None, recognition: bool) -> None:
    """Let uploading, or with --recognition recognition, go on after `tagfs pause`."""
    told = _ask(request, mountpoint, "resume", recognition)
    text = f"Uploading goes on; {waiting(told)}."
    if recognition:
        text = f"Recognition {goes(told)}; {unseen(told)}."
    request.answer(told, "") if request.json else request.say(text)


def _ask(request: Request, mountpoint: str | None, name: str, recognition: bool) -> Json:
    state = paths.find_state(mountpoint, request.vault)
    call = Call(name, {"recognition": recognition})
    return cast(Json, ask(state, call, lambda: passphrase.known(request.source)))


def unseen(told: Json) -> str:
    """Return how many photos of a status nobody has looked at."""
    number = cast(Mapping[str, int], told["queue"])["sealed"]
    return f"{count(number, 'photo')} to be looked at"


def goes(told: Json) -> str:
    """Return whether recognition works, or why it rests."""
    said = str(told["recognition"])
    return "goes on" if said == "works" else said


def waiting(told: Json) -> str:
    """Return how much of a status is still to be uploaded."""
    number = cast(Mapping[str, int], told["queue"])["uploading"]
    upload = cast(Mapping[str, int], told["upload"])
    return f"{count(number, 'photo')} ({amount(upload['bytes'])}) to be stored"


def speed(told: Json) -> str:
    """Return how uploading goes: at which rate, for how long, within which limit."""
    upload = cast(Mapping[str, int | None], told["upload"])
    said = []
    if upload["paused"]:
        said.append("rests; `tagfs resume` lets it go on")
    elif upload["bytes"] and upload["rate"]:
        said.append(f"{amount(upload['rate'])} a second")
        if upload["seconds"] is not None:
            said.append(f"about {duration(upload['seconds'])} left")
    if upload["limit"]:
        said.append(f"at most {amount(upload['limit'])} a second")
    return ", ".join(said)


def left_behind(unsent: Json) -> str:
    """Return a sentence about what an unmounted gallery has not stored, empty when nothing."""
    if unsent["stored"]:
        return ""
    number = cast(int, unsent["contents"])
    if not number:
        return " The last changes are not stored yet; the next mount does it."
    verb = "is" if number == 1 else "are"
    return (
        f" {count(number, 'photo')} ({amount(cast(int, unsent['bytes']))}) {verb} only here so "
        "far; the next mount stores them."
    )


def amount(size: int) -> str:
    """Return a number of bytes for people: ``3.4 MiB``."""
    number, unit = float(size), 0
    while number >= 1000 and unit < len(UNITS) - 1:
        number, unit = number / 1024, unit + 1
    return f"{number:.1f} {UNITS[unit]}" if unit else f"{size} bytes"


def duration(seconds: int) -> str:
    """Return a time for people: ``40 s``, ``7 min``, ``3 h 20 min``, ``2 days``."""
    if seconds < 60:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 2 * 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // (24 * 60)} days"
