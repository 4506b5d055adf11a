"""The daemon's log: ids and places in the code, never names, paths, bytes or secrets.

Messages of exceptions are left out, because Python puts file names into them.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

BYTES = 1024 * 1024
"""Length of one log file; the one before it is kept."""

log = logging.getLogger("tagfs")


def log_path(state: Path) -> Path:
    """Return where the daemon of a state directory writes its log."""
    return state / "log" / "daemon.log"


def begin(state: Path, foreground: bool = False) -> None:
    """Send this process's log to the state directory, and to stderr in the foreground."""
    path = log_path(state)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [
        logging.handlers.RotatingFileHandler(path, maxBytes=BYTES, backupCount=1)
    ]
    if foreground:
        handlers.append(logging.StreamHandler())
    for handler in handlers:
        handler.setFormatter(Discreet("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        for source in (log, logging.getLogger("pyfuse3")):
            source.addHandler(handler)
            source.setLevel(logging.INFO)
            source.propagate = False
    sys.excepthook = lambda kind, error, trace: note("Unexpected", error)
    threading.excepthook = lambda args: note("Unexpected, in a thread", args.exc_value)
    sys.unraisablehook = lambda args: note("Unexpected, while cleaning up", args.exc_value)


class Discreet(logging.Formatter):
    """A formatter that writes exceptions without their messages."""

    def formatException(self, ei: object) -> str:
        """Return the frames only."""
        error = ei[1] if isinstance(ei, tuple) else None
        return describe(error) if isinstance(error, BaseException) else ""


def note(what: str, error: BaseException | None) -> None:
    """Write a fault of tagfs into the log."""
    log.error("%s: %s", what, describe(error) if error is not None else "no exception")


def describe(error: BaseException) -> str:
    """Return an exception's kind, number and frames, and those of what caused it."""
    return "\n  because of ".join(_describe(error))


def _describe(error: BaseException | None) -> Iterator[str]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        number = getattr(error, "errno", None)
        head = type(error).__name__ + (f" (errno {number})" if isinstance(number, int) else "")
        frames = traceback.extract_tb(error.__traceback__)
        yield head + "".join(f"\n    {f.filename}:{f.lineno} {f.name}" for f in frames)
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions[:8]:
                yield from _describe(inner)
        error = error.__cause__ or error.__context__
