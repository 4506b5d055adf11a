"""What every command is told: which vault, how to answer, where the passphrase is."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from tagfs.cli.passphrase import Source
from tagfs.cli.readable import readable

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Request:
    """The common options of one command."""

    vault: Path | None
    json: bool
    quiet: bool
    source: Source

    @property
    def chatty(self) -> bool:
        """Whether a person reads along."""
        return not (self.json or self.quiet)

    def say(self, text: str) -> None:
        """Tell a person how it went."""
        if self.chatty:
            click.echo(readable(text))

    def answer(self, value: object, text: str) -> None:
        """Give what was asked for: as JSON, or as text."""
        click.echo(json.dumps(value, indent=1) if self.json else readable(text))


def common(unlocks: bool = True) -> Callable[[F], F]:
    """Add the common options to a command, which gets them as a Request; ``unlocks``: also those
    that say where the passphrase is."""

    def decorate(command: F) -> F:
        @functools.wraps(command)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            source = Source(
                kwargs.pop("passphrase_file", None), kwargs.pop("passphrase_command", None)
            )
            vault = kwargs.pop("vault")
            request = Request(
                Path(vault).absolute() if vault else None,
                kwargs.pop("json"),
                kwargs.pop("quiet"),
                source,
            )
            return command(*args, request, **kwargs)

        options = [
            click.option("--vault", metavar="DIR", help="State directory of the vault."),
            click.option("--json", is_flag=True, help="Answer in JSON."),
            click.option("--quiet", is_flag=True, help="Say nothing but errors."),
        ]
        if unlocks:
            options += passphrase_options("--passphrase", "passphrase")
        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped  # type: ignore[return-value]  # click's decorators keep what they are given

    return decorate


def count(number: object, noun: str) -> str:
    """Return ``1 photo`` or ``2 photos``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def passphrase_options(prefix: str, what: str) -> list[Callable[[Any], Any]]:
    """Return the options that say where a passphrase is."""
    return [
        click.option(
            f"{prefix}-file", metavar="FILE", help=f"Read the {what} from FILE's first line."
        ),
        click.option(
            f"{prefix}-command", metavar="COMMAND", help=f"Run COMMAND, which prints the {what}."
        ),
    ]
