"""``tagfs tag``: saying what is in photos, and asking why they have their tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import click

from tagfs.cli import passphrase, paths
from tagfs.cli.photo import named
from tagfs.cli.reach import ask
from tagfs.cli.readable import readable_line
from tagfs.cli.request import Request, common, count
from tagfs.errors import Unfinished, Usage
from tagfs.model import METADATA, pack_name
from tagfs.mount.messages import Call

Json = Mapping[str, object]
NEARLY = 5
"""Tags that were not given for which the scores are shown."""


@click.command()
@click.argument("photos", nargs=-1, metavar="PHOTO...")
@common()
@click.option("--add", multiple=True, metavar="T", help="Say that this is in it.")
@click.option("--remove", multiple=True, metavar="T", help="Say that this is not in it.")
@click.option("--forget", multiple=True, metavar="T", help="Take back what you said about this.")
@click.option("--favourite/--no-favourite", default=None, help="Mark as a favourite, or no longer.")
@click.option("--date", metavar="DATE", help="Say when it was taken: 2019, 2019-05, 2019-05-12.")
@click.option("--no-date", is_flag=True, help="Take back your date; that of the file counts.")
@click.option("--where", metavar="QUERY", help="Mean every photo that this query finds.")
@click.option("--why", is_flag=True, help="Tell who gave each tag, how surely, and what denied it.")
def tag(
    request: Request,
    photos: tuple[str, ...],
    add: tuple[str, ...],
    remove: tuple[str, ...],
    forget: tuple[str, ...],
    favourite: bool | None,
    date: str | None,
    no_date: bool,
    where: str | None,
    why: bool,
) -> None:
    """Tag photos, untag them, date or mark them; what one command says is undone as one.

    PHOTO is a path in the gallery, the name of a photo in all/, or the first digits of its id.
    What you say wins over every recogniser: a tag brings those above it, and taking one away
    takes those below it, too. Status 8 when something could not be said of some.
    """
    says = bool(add or remove or forget or date or no_date) or favourite is not None
    if why == says:
        raise Usage("Say what is to change (--add, --remove, …), or ask with --why.")
    if bool(photos) == (where is not None):
        raise Usage("Name photos, or find them with --where.")
    if date is not None and no_date:
        raise Usage("--date and --no-date exclude each other.")
    state = request.vault or paths.default_state()
    if why:
        if where is not None:
            raise Usage("--why tells of photos that are named.")
        call = Call("why", named(photos, state))
        told = cast(Sequence[Json], ask(state, call, lambda: passphrase.known(request.source)))
        request.answer(told, "\n\n".join(map(_reasons, told)))
        return
    saying: dict[str, object] = {
        "add": list(add),
        "remove": list(remove),
        "forget": list(forget),
        "favourite": favourite is True,
        "no_favourite": favourite is False,
        "date": date,
        "no_date": no_date,
    }
    meaning = {"where": where} if where is not None else named(photos, state)
    call = Call("tag", {**saying, **meaning})
    report = cast(Json, ask(state, call, lambda: passphrase.known(request.source)))
    _tell(request, report)


def _tell(request: Request, report: Json) -> None:
    for hint in cast(Sequence[object], report["hints"]):
        click.echo(readable_line(str(hint)), err=True)
    if request.json:
        request.answer(report, "")
    request.say(f"Changed {report['changed']} of {count(report['photos'], 'photo')}.")
    failed = cast(Sequence[Mapping[str, str]], report["failed"])
    if failed:
        raise Unfinished(
            f"Of {len(failed)} it could not be said:",
            tuple(f"{f['path']}: {f['reason']}" for f in failed),
        )


def _reasons(told: Json) -> str:
    """Return why a photo has its tags, a line each."""
    tags = cast(Sequence[Json], told["tags"])
    lines = [f"{click.format_filename(str(told['name']))} ({str(told['id'])[:16]})"]
    if told["unreadable"]:
        lines.append(f"  It could not be decoded ({told['unreadable']}).")
    elif told["pack"] is None:
        lines.append("  It was not looked at yet.")
    date = cast(Mapping[str, str | None], told["date"])
    if date["you"]:
        lines.append(f"  Taken {date['you']}: you said so.")
    lines += _where(cast(Json | None, told["place"]))
    if told["favourite"]:
        lines.append("  A favourite of yours.")
    standing = [tag for tag in tags if tag["in_force"] or tag["denied_by"] or tag["word"]]
    lines += [_reason(tag) for tag in standing]
    nearly = [tag for tag in tags if tag not in standing][:NEARLY]
    lines += [_reason(tag) for tag in nearly]
    if told["scores_missing"]:
        lines.append(f"  Scores are left out: {told['scores_missing']}")
    return "\n".join(lines)


def _where(place: Json | None) -> list[str]:
    """Return where a photo was taken, as its position says; nothing when it says nothing."""
    if place is None:
        return []
    names = filter(None, (place["town"], place["region"], place["country"]))
    named = ", ".join(map(str, names)) or "no town is near"
    return [f"  Taken at {place['latitude']}, {place['longitude']}: {readable_line(named)}."]


def _reason(tag: Json) -> str:
    parts = []
    if tag["word"]:
        in_file = tag["in_file"] and tag["word"] == "yes"
        parts.append("the file names it" if in_file else f"you said {tag['word']}")
    denied = cast(Sequence[str], tag["denied_by"])
    if denied and tag["word"] != "no":
        parts.append(f"denied by your no to {', '.join(denied)}")
    because = cast(Sequence[str], tag["because_of"])
    if because:
        parts.append(f"above {', '.join(because[:3])}")
    parts += [_seen(seen) for seen in cast(Sequence[Json], tag["seen"])]
    if tag["threshold"] is not None:
        parts.append(f"{tag['threshold']:.0%} are asked for after your corrections")
    return f"  {'+' if tag['in_force'] else '-'} {tag['name']}: {'; '.join(parts)}"


def _seen(seen: Json) -> str:
    sure = cast(float | None, seen["confidence"])
    score = cast(float | None, seen["score"])
    if pack_name(str(seen["pack"])) == pack_name(METADATA):
        return "its own metadata says so"
    what = (
        f"{seen['pack']} is {sure:.0%} sure"
        if sure is not None
        else f"not enough for {seen['pack']}"
    )
    return what if score is None else f"{what} (score {score:.2f})"
