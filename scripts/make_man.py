"""Writes man/tagfs.1 from the command line's own parser: ``scripts/make_man.py [FILE]``.

``tests/cli/test_man.py`` fails when the page that is checked in is not what this writes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from tagfs.cli.main import tagfs
from tagfs.mount.options import HELP

PAGE = Path(__file__).resolve().parent.parent / "man" / "tagfs.1"

STATUSES = (
    (0, "done"),
    (1, "failed; what and why is on standard error, with what to do"),
    (2, "wrong usage"),
    (3, "wrong passphrase or recovery words"),
    (4, "not a vault, or a vault of a newer tagfs"),
    (5, "remote unreachable or refused"),
    (6, "integrity: something does not verify; it is named"),
    (7, "not mounted, already mounted, mountpoint unusable, or no FUSE"),
    (8, "finished with some items left; they are listed"),
)
VARIABLES = (
    ("TAGFS_PASSPHRASE", "The passphrase. The daemon is started without it."),
    ("TAGFS_STATE_DIR", "State directory of the vault that is meant without --vault."),
    ("TAGFS_MODELS", "Where model packs are installed."),
    ("XDG_STATE_HOME", "State directories are in its folder tagfs; ~/.local/state when unset."),
    (
        "XDG_DATA_HOME",
        "A vault made without --remote is in its folder tagfs/vault; ~/.local/share when unset.",
    ),
)


def quoted(text: str) -> str:
    """Return text as roff shows it as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))


def commands(
    group: click.Group, above: tuple[str, ...] = ()
) -> Iterator[tuple[str, click.Command]]:
    """Yield every command that does something, with its name below ``tagfs``."""
    for name, command in sorted(group.commands.items()):
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield " ".join((*above, name)), command
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))


def synopsis(name: str, command: click.Command) -> str:
    """Return how a command is called, in roff."""
    words = [f"tagfs {name}"]
    parts = [f'.B "{quoted(words[0])}"']
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            shown = parameter.metavar or parameter.name.upper()
            parts.append(quoted(shown if parameter.required else f"[{shown}]"))
    parts.append(quoted("[OPTIONS]"))
    return "\n".join(parts)


def option(parameter: click.Option) -> str:
    """Return an option with what it does, in roff."""
    names = ", ".join(parameter.opts)
    if not parameter.is_flag:
        if isinstance(parameter.type, click.Choice):
            names += " " + "|".join(parameter.type.choices)
        else:
            names += f" {parameter.metavar or 'VALUE'}"
    default = f" Default: {parameter.default}." if parameter.show_default else ""
    return f".TP\n.B {quoted(names)}\n{quoted((parameter.help or '') + default)}"


def page() -> str:
    """Return the manual page."""
    common: dict[str, click.Option] = {}
    shared = {"vault", "json", "quiet", "passphrase_file", "passphrase_command"}
    sections = []
    for name, command in commands(tagfs):
        own = []
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                if parameter.name in shared:
                    common[str(parameter.name)] = parameter
                else:
                    own.append(parameter)
        text = "\n.PP\n".join(
            quoted(" ".join(paragraph.split())) for paragraph in (command.help or "").split("\n\n")
        )
        sections.append(
            "\n".join([f'.SS "{quoted(name)}"', synopsis(name, command), ".PP", text])
            + "".join("\n" + option(o) for o in own)
        )
    options = [f".TP\n.B {quoted(k)}\n{quoted(v)}" for k, v in HELP.items()]
    statuses = [f".TP\n.B {number}\n{quoted(text)}" for number, text in STATUSES]
    variables = [f".TP\n.B {quoted(name)}\n{quoted(text)}" for name, text in VARIABLES]
    return "\n".join(
        [
            '.\\" Written by scripts/make_man.py from the parser; do not edit.',
            '.TH TAGFS 1 "" "tagfs" "User Commands"',
            ".SH NAME",
            "tagfs \\- a sealed photo gallery that is an ordinary folder",
            ".SH SYNOPSIS",
            ".B tagfs",
            "COMMAND [ARGUMENTS] [OPTIONS]",
            ".SH DESCRIPTION",
            quoted(
                "tagfs shows photos by what is in them, as folders, and keeps them sealed in a "
                "store of the user's choice. What is copied into the mounted gallery is "
                "recognised on this machine, sealed, and backed up."
            ),
            ".PP",
            ".B tagfs mount \\(ti/Gallery",
            quoted("is enough to begin: it makes a vault when there is none."),
            ".PP",
            quoted(
                "Commands go through the daemon of the mounted gallery where there is one, and "
                "need no passphrase then."
            ),
            ".SH COMMANDS",
            *sections,
            ".SH COMMON OPTIONS",
            *[option(common[name]) for name in sorted(common)],
            ".PP",
            quoted(
                "Without one of these the passphrase is taken from TAGFS_PASSPHRASE, or asked "
                "for. The 24 recovery words do wherever a passphrase of a vault that exists does."
            ),
            ".SH MOUNT OPTIONS",
            *options,
            ".PP",
            quoted("What mount(8) and fstab(5) say to every file system is accepted, too."),
            ".SH ENVIRONMENT",
            *variables,
            ".SH EXIT STATUS",
            *statuses,
            ".SH FILES",
            ".TP",
            ".I \\(ti/.local/state/tagfs/default",
            quoted("State directory: local journal, catalog, cache, and the log log/daemon.log."),
            ".TP",
            ".I \\(ti/.local/share/tagfs/vault",
            quoted("The sealed vault, unless init was given another --remote."),
            "",
        ]
    )


if __name__ == "__main__":
    (Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE).write_text(page())
