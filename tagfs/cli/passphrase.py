"""Where the passphrase comes from: a file, a command, the environment, or a prompt."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click

from tagfs.errors import TagfsError, Usage, WrongSecret
from tagfs.vault.slots import Passphrase, Words
from tagfs.vault.words import ENOUGH_BITS, WORDS, from_words, offer_passphrase, strength_bits

LONGEST = 4096
"""Bytes of a passphrase, at most."""
VARIABLE = "TAGFS_PASSPHRASE"


@dataclass(frozen=True, slots=True)
class Source:
    """Where to look for a passphrase before anybody is asked."""

    file: str | None = None
    command: str | None = None
    variable: str | None = VARIABLE

    def find(self) -> str | None:
        """Return the passphrase, None when it must be asked for. Usage for an empty one."""
        if self.file is not None:
            return _checked(_first_line(_read(self.file)), f"The file {self.file}")
        if self.command is not None:
            return _checked(_first_line(_run(self.command)), "The passphrase command's output")
        if self.variable is not None:
            # Taken out, so that nothing that is started from here has it.
            value = os.environb.pop(self.variable.encode(), None)
            if value is not None:
                return _checked(value, self.variable)
        return None


def known(source: Source) -> Passphrase | Words:
    """Return the secret of a vault that exists; 24 recovery words do as well as the passphrase."""
    text = source.find()
    if text is None:
        _need_terminal()
        text = _checked(_ask("Passphrase"), "The passphrase")
    return secret_of(text)


def secret_of(text: str) -> Passphrase | Words:
    """Tell recovery words from a passphrase: by their number and checksum."""
    if len(text.split()) == WORDS:
        try:
            from_words(text)
        except WrongSecret:
            return Passphrase(text)
        return Words(text)
    return Passphrase(text)


def new(source: Source) -> Passphrase:
    """Return a passphrase for a vault that is made or changed; asked for twice."""
    text = source.find()
    if text is None:
        _need_terminal()
        text = _ask_new()
    if strength_bits(text) < ENOUGH_BITS:
        click.echo(
            "This passphrase may be guessed by somebody who has the vault; longer ones, or six "
            "random words, cannot. `tagfs passwd` changes it.",
            err=True,
        )
    return Passphrase(text)


def _ask_new() -> str:
    offered = offer_passphrase()
    click.echo(
        "A new vault needs a passphrase. Six random words are easy to keep in mind:", err=True
    )
    click.echo(f"\n    {offered}\n", err=True)
    while True:
        text = _ask("New passphrase (Enter alone takes the six words)")
        if not text:
            again = _ask("The six words, once more")
            if " ".join(again.split()) == offered:
                return offered
        elif text == _ask("The same once more"):
            return _checked(text, "The passphrase")
        click.echo("The two are not the same; try again.", err=True)


def _ask(what: str) -> str:
    answer = click.prompt(what, hide_input=True, default="", show_default=False, err=True)
    return str(answer)


def _need_terminal() -> None:
    if not sys.stdin.isatty():
        raise Usage(
            "There is no terminal to ask for the passphrase; give it with --passphrase-file, "
            f"--passphrase-command or {VARIABLE}."
        )


def _read(path: str) -> bytes:
    try:
        if path == "-":
            return sys.stdin.buffer.read(LONGEST + 1)
        with Path(path).open("rb") as file:
            return file.read(LONGEST + 1)
    except OSError as error:
        raise Usage(f"The passphrase file {path} cannot be read: {error.strerror}.") from None


def _run(command: str) -> bytes:
    done = subprocess.run(command, shell=True, stdout=subprocess.PIPE)
    if done.returncode:
        raise TagfsError(f"The passphrase command failed with status {done.returncode}.")
    return done.stdout


def _first_line(data: bytes) -> bytes:
    return data.split(b"\n", 1)[0].removesuffix(b"\r")


def _checked(found: str | bytes, what: str) -> str:
    data = found.encode("utf-8", "surrogateescape") if isinstance(found, str) else found
    if len(data) > LONGEST:
        raise Usage(f"{what} is longer than {LONGEST} bytes.")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Usage(f"{what} is no UTF-8 text.") from None
    if not text.strip():
        raise Usage(f"{what} is empty.")
    return text
