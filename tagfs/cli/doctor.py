"""``tagfs doctor``: what is wrong with this machine, the vault or its remote, and what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import click

from tagfs.cli import paths
from tagfs.cli.passphrase import secret_of
from tagfs.cli.reach import ask, run
from tagfs.cli.request import Request, common
from tagfs.errors import TagfsError
from tagfs.mount import checkup as around
from tagfs.mount import options
from tagfs.mount.messages import Call
from tagfs.pipeline import checkup
from tagfs.pipeline.finding import Finding, Verdict, status_of
from tagfs.pipeline.state_dir import StateDir


@click.command()
@common()
@click.option(
    "-o", "chosen", metavar="OPTIONS", default="", help="Check what these mount options need."
)
def doctor(request: Request, chosen: str) -> int:
    """Check this machine, the vault and its remote; say what is wrong and what to do.

    Asks for nothing: without a passphrase in a file, a command or the environment, and without
    a mount, the inside of the vault is left out. Status 1 when something is wrong, or the
    status that the one wrong thing has.
    """
    found = list(_look(request, options.parse(chosen)))
    if request.json:
        told = {"ok": not status_of(found), "findings": [f.as_json() for f in found]}
        request.answer(told, "")
    for finding in found:
        if finding.verdict is Verdict.WRONG and not request.json:
            click.echo(_line(finding), err=request.quiet)
        elif request.chatty:
            click.echo(_line(finding))
    return status_of(found)


def _look(request: Request, mounting: options.MountOptions) -> Iterator[Finding]:
    state = request.vault or paths.default_state()
    yield from around.fuse(mounting)
    yield from checkup.kernel()
    yield from cast(list[Finding], run(checkup.models))
    named = request.vault is not None or "TAGFS_STATE_DIR" in os.environ
    if not StateDir(state).exists() and not named:
        yield Finding(
            "state",
            Verdict.NOTE,
            "There is no vault on this machine yet.",
            "`tagfs mount ~/Gallery` makes one; `tagfs join` brings one here.",
        )
        return
    broken = False
    for finding in checkup.state_directory(state):
        broken |= finding.verdict is Verdict.WRONG
        yield finding
    yield from around.left_mounts(paths.remembered_mounts(state))
    if not StateDir(state).exists():
        return
    yield from checkup.disk(state)
    yield from checkup.local_clock(state)
    try:
        remote = StateDir(state).settings().remote
    except TagfsError:
        return  # told above
    yield from cast(list[Finding], run(checkup.remote, remote))
    owner = around.owner(state)
    yield from owner
    if not broken and all(f.verdict is not Verdict.WRONG for f in owner):
        yield from _inside(request, state)


def _inside(request: Request, state: Path) -> Iterator[Finding]:
    """Look into the vault: through the daemon, or with a passphrase that nobody has to type."""
    try:
        text = request.source.find() if paths.served_at(state) is None else ""
        if text is None:
            yield Finding(
                "inside",
                Verdict.UNKNOWN,
                "Journal and catalog are not looked at without the passphrase.",
                "Give it with --passphrase-file, or mount first.",
            )
            return
        told = ask(state, Call("doctor", {}), lambda: secret_of(text))
        for raw in cast(Sequence[Mapping[str, object]], told):
            yield Finding.from_json(raw)
    except TagfsError as error:
        yield Finding.of_error("inside", error)


def _line(finding: Finding) -> str:
    todo = f" {finding.todo}" if finding.todo else ""
    return f"{finding.verdict.value:<8} {finding.check:<10} {finding.text}{todo}"
