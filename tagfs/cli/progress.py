"""One interface for how far long work is: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

import click


@contextlib.contextmanager
def bar(label: str, shown: bool) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that is called with (done, total)."""
    if not (shown and sys.stderr.isatty()):
        yield lambda done, total: None
        return
    with click.progressbar(length=1, label=label, file=sys.stderr) as drawn:

        def advance(done: int, total: int) -> None:
            drawn.length = max(total, 1)
            drawn.update(done - drawn.pos)

        yield advance
