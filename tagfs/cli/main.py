"""The command ``tagfs``: its sub-commands, and the one place that maps errors to exit codes."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from tagfs import __version__
from tagfs.cli import (
    asking,
    collecting,
    doctor,
    exporting,
    importing,
    keeping,
    models,
    mounting,
    people,
    remotes,
    repairing,
    rescanning,
    tagging,
    undoing,
    uploads,
    vaults,
)
from tagfs.cli.paths import log_file
from tagfs.cli.readable import readable, readable_line
from tagfs.errors import TagfsError, Unfinished, Usage
from tagfs.mount.daemon import harden
from tagfs.mount.log import describe
from tagfs.mount.messages import innermost

LOG_BYTES = 1024 * 1024
STOPPED = 130
"""What shells say of a program that Ctrl-C has ended."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tagfs")
def tagfs() -> None:
    """A sealed photo gallery that is an ordinary folder.

    `tagfs mount ~/Gallery` is enough to begin.
    """


for command in (
    vaults.init,
    vaults.join,
    mounting.mount,
    mounting.umount,
    asking.status,
    asking.wait,
    uploads.pause,
    uploads.resume,
    importing.import_,
    exporting.export,
    asking.search,
    tagging.tag,
    people.people,
    keeping.pin,
    keeping.unpin,
    keeping.offload,
    undoing.undo,
    undoing.trash,
    asking.verify,
    repairing.repair,
    collecting.gc,
    doctor.doctor,
    rescanning.rescan,
    models.models,
    remotes.remote,
    vaults.passwd,
):
    tagfs.add_command(command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit. Keys may be in this process, too: no core dumps."""
    harden()
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status. Nothing is raised, whatever happens."""
    try:
        os.getcwd()
    except OSError:
        _say("The directory that this was started in is gone; change to another one first.")
        return 1
    try:
        done = tagfs.main(arguments, prog_name="tagfs", standalone_mode=False)
        sys.stdout.flush()
        return done if isinstance(done, int) else 0
    except BaseException as error:
        return _told(innermost(error))


def _told(error: BaseException) -> int:
    """Say on stderr what happened and return the exit status for it."""
    match error:
        case Unfinished():
            _say("\n".join([str(error), *map(readable_line, error.items)]))
            return error.exit_code
        case TagfsError():
            _say(str(error))
            return error.exit_code
        case click.ClickException():
            error.show()
            return Usage.exit_code
        case click.Abort() | KeyboardInterrupt():
            _say("Stopped.")
            return STOPPED
        case SystemExit():
            return error.code if isinstance(error.code, int) else 1
        case OSError(errno=errno.EPIPE):
            # Whoever read the output has seen enough; nothing is left to flush at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        case OSError() if error.filename is not None:
            _say(f"{os.fsdecode(error.filename)}: {error.strerror}.")
            return 1
        case MemoryError():
            _say("There is not enough memory for this.")
            return 1
        case _:
            _say(
                f"tagfs itself failed ({type(error).__name__}); {log_file()} says where. "
                "Please report it with that file, which has no names in it."
            )
            _note(error)
            return 1


def _say(text: str) -> None:
    click.echo(f"tagfs: {readable(text)}", err=True)


def _note(error: BaseException) -> None:
    """Append where it happened to the log; begin the log anew when it is long."""
    path = log_file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.exists() and path.stat().st_size > LOG_BYTES
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(fd, "a") as file:
            if fresh:
                file.truncate(0)
            file.write(describe(error) + "\n")
    except OSError:
        _say(describe(error))


if __name__ == "__main__":
    main()
