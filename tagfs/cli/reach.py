"""Reaching a vault: through the daemon that has it open, or by opening it in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import trio

from tagfs.mount.control import Line
from tagfs.mount.messages import Call, Progress, innermost
from tagfs.mount.service import open_service
from tagfs.pipeline.state_dir import StateDir
from tagfs.vault.slots import Passphrase, Words


def ask(
    state: Path,
    call: Call,
    secret: Callable[[], Passphrase | Words],
    progress: Progress = lambda done, total: None,
    recognising: bool = False,
    salvage: bool = False,
) -> object:
    """Return the answer to a call. ``secret`` is asked for only when no daemon runs;
    ``recognising``: in this process, too, new photos are looked at meanwhile; ``salvage``: it
    opens with what damaged journals still tell."""
    line = Line.to(state)
    if line is not None:
        return line.call(call, progress)
    StateDir(state).settings()  # says what is missing before anybody types a passphrase
    return run(_here, state, secret(), call, progress, recognising, salvage)


async def _here(
    state: Path,
    secret: Passphrase | Words,
    call: Call,
    progress: Progress,
    recognising: bool,
    salvage: bool,
) -> object:
    async with open_service(state, secret, recognising, salvage) as service:
        return await service.answer(call, progress)


def run(function: Callable[..., object], *arguments: object) -> object:
    """Run an async function; nurseries' groups around a single exception are taken off."""
    try:
        return trio.run(function, *arguments)  # type: ignore[arg-type]
    except BaseExceptionGroup as group:
        raise innermost(group) from None
