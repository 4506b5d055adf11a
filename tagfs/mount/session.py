"""One mount from beginning to end: pyfuse3's loop, signals, unmounting, clean exit.

pyfuse3 has one session in a process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import Callable, Iterator

import pyfuse3
import trio

from tagfs.errors import MountError
from tagfs.mount import mountpoint
from tagfs.mount.connection import Connection
from tagfs.mount.invalidate import Invalidator
from tagfs.mount.log import log
from tagfs.mount.operations import Operations
from tagfs.mount.options import MountOptions
from tagfs.mount.patience import Patience
from tagfs.mount.seam import Sync, Tree

TASKS = 500
"""Requests that may wait at the same time; above it others would wait for them."""
IDLE = 8
"""Tasks kept for the next requests."""
LEAVE = 3.0
"""Seconds that requests in flight get when the process was told to end."""
READ_AHEAD = 512
"""KiB; 128 is the kernel's default, at 1024 others wait too long behind a reader."""


async def serve(
    tree: Tree,
    sync: Sync,
    where: str,
    options: MountOptions,
    ready: Callable[[], None],
    patience: Patience | None = None,
    stop: trio.Event | None = None,
    invalidator: Invalidator | None = None,
) -> None:
    """Mount ``tree`` on the canonical path and answer until it is unmounted, ``stop`` is set, or
    SIGTERM or SIGINT arrives. When this returns, the mount is gone and every file is closed.

    Calls ``ready`` when the mount answers. Raises MountError when it cannot be made.
    """
    invalidator = invalidator or Invalidator()
    patience = patience or Patience()
    tree.on_arrival(patience.bytes_arrived)
    operations = Operations(
        tree, sync, invalidator.changed, xattrs=not options.noxattr, patience=patience
    )
    tree.on_change(invalidator.changed)
    _mount(operations, where, options)
    connection = Connection(where)
    try:
        async with trio.open_nursery() as nursery:
            loop = trio.CancelScope()
            nursery.start_soon(_end_on_signal, loop)
            if stop is not None:
                nursery.start_soon(_end_on_event, stop, loop)
            nursery.start_soon(_when_it_answers, where, invalidator, ready)
            with loop:
                await pyfuse3.main(min_tasks=IDLE, max_tasks=TASKS)
            nursery.cancel_scope.cancel()
    finally:
        _unmount(invalidator, connection, where)
        with trio.CancelScope(shield=True):
            await operations.close()


def _mount(operations: Operations, where: str, options: MountOptions) -> None:
    with _said_on_stderr() as said:
        try:
            chosen = options.for_fuse(helper=mountpoint.helper() is not None)
            pyfuse3.init(operations, where, chosen)
            return
        except RuntimeError:
            pass
    why = " ".join(said[0].split()) or "FUSE gives no reason"
    raise MountError(f"{where} could not be mounted: {why}.")


def _unmount(invalidator: Invalidator, connection: Connection, where: str) -> None:
    # The kernel may hold the thread until a request is answered, which nobody does any more.
    held = not invalidator.stop(seconds=1.0)
    if held and connection.abort():
        held = not invalidator.stop(seconds=1.0)
    if not held:
        pyfuse3.close(unmount=True)
        connection.close()
        return
    log.warning("The kernel did not take a notice in time; the mount is detached instead.")
    with contextlib.suppress(MountError):
        mountpoint.detach(where, lazy=True)


async def _when_it_answers(where: str, invalidator: Invalidator, ready: Callable[[], None]) -> None:
    """Ask the mount as any program would; from then on what the kernel negotiates is settled."""
    with contextlib.suppress(OSError):
        await trio.to_thread.run_sync(os.statvfs, where, abandon_on_cancel=True)
    invalidator.start()  # until then libfuse refuses notices
    mountpoint.read_ahead(where, READ_AHEAD)
    ready()


async def _end_on_signal(loop: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for number in signals:
            log.info("Signal %d: unmounting.", number)
            _end(loop)


async def _end_on_event(stop: trio.Event, loop: trio.CancelScope) -> None:
    await stop.wait()
    _end(loop)


def _end(loop: trio.CancelScope) -> None:
    pyfuse3.terminate()
    loop.deadline = min(loop.deadline, trio.current_time() + LEAVE)


@contextlib.contextmanager
def _said_on_stderr() -> Iterator[list[str]]:
    """Collect what libfuse and fusermount3 write to stderr, which is all they say of the reason."""
    said: list[str] = []
    kept = os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            sink.seek(0)
            said.append(sink.read(4096).decode(errors="replace"))
