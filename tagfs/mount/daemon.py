"""The daemon's process: takes an order from stdin, mounts, answers calls, and ends cleanly."""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import json
import os
import resource
import sys
from collections.abc import Callable

import trio

from tagfs import __version__
from tagfs.errors import MountError, TagfsError
from tagfs.mount import control, launch, log, mountpoint, session
from tagfs.mount.invalidate import Invalidator
from tagfs.mount.launch import Order
from tagfs.mount.messages import Broken, Call, Progress, error_as_json, innermost
from tagfs.mount.service import Service, open_service
from tagfs.pipeline.state_dir import StateDir

PR_SET_DUMPABLE = 4
SWITCH_INTERVAL = 0.0005
"""Seconds after which a thread that computes lets the one that answers the kernel run."""
OLD = 500
"""Collections of younger objects for one of the old ones, in which nobody is answered: with 217,000
objects it took .14 s."""
FAREWELL = 5.0
"""Seconds that the last answers get to be sent."""

SHOWN_AT_ONCE = frozenset({"tag", "people", "undo", "trash"})
"""Calls after which the folders show what they changed."""
SHOW_SECONDS = 2.0
"""Seconds that the kernel gets for that."""


class Door:
    """Answers calls: the gallery's while it is open, the daemon's own always."""

    def __init__(self, order: Order, service: Service, invalidator: Invalidator) -> None:
        self._order = order
        self._service = service
        self._invalidator = invalidator
        self._running: set[trio.CancelScope] = set()
        self._open = trio.CancelScope()
        self._closing = False
        self._safe = trio.Event()
        self._unsent: object = None
        self._leaving = 0
        self._left = trio.Event()

    async def take_calls(self, listener: trio.SocketListener, calls: trio.Nursery) -> None:
        """Listen until ``close``; whoever comes later finds nobody and opens the vault itself."""
        with self._open:
            await control.serve(listener, self.answer, calls)

    async def answer(self, call: Call, progress: Progress) -> object:
        """Answer one call."""
        if call.name == "where":
            return {
                "mountpoint": self._order.where,
                "pid": os.getpid(),
                "version": __version__,
            }
        if call.name == "umount":
            return await self._unmount(call.flag("lazy"))
        if self._closing:
            raise _unmounted(self._order.where)
        with trio.CancelScope() as scope:
            self._running.add(scope)
            try:
                answer = await self._service.answer(call, progress)
                if call.name in SHOWN_AT_ONCE:
                    await self._until_shown()
                return answer
            finally:
                self._running.discard(scope)
        raise _unmounted(self._order.where)

    async def _until_shown(self) -> None:
        """Wait until the kernel shows what a call changed, but not for long."""
        with trio.move_on_after(SHOW_SECONDS):
            while not self._invalidator.settled:
                await trio.sleep(0.005)

    async def _unmount(self, lazy: bool) -> object:
        self._leaving += 1
        try:
            if not self._closing:
                await trio.to_thread.run_sync(mountpoint.detach, self._order.where, lazy)
            await self._safe.wait()
            return self._unsent
        finally:
            self._leaving -= 1
            self._left.set()

    def close(self) -> None:
        """The mount is gone and the gallery about to close: nothing may use it any more."""
        self._closing = True
        self._unsent = self._service.gallery.unsent()
        self._open.cancel()
        for scope in self._running:
            scope.cancel()

    async def say_farewell(self) -> None:
        """The gallery is closed: tell those who wait for that."""
        self._safe.set()
        with trio.move_on_after(FAREWELL):
            while self._leaving:
                self._left = trio.Event()
                await self._left.wait()
            await trio.sleep(0.05)  # the answers are on their way out


def _unmounted(where: str) -> TagfsError:
    return MountError(f"{where} was unmounted meanwhile; what was not done is not done.")


async def run(order: Order, ready: Callable[[], None]) -> None:
    """Open the gallery, mount it, serve, and close; returns when all is safe on disk."""
    if order.options.cache_size:
        StateDir(order.state).remember_cache_limit(order.options.cache_size)
    async with trio.open_nursery() as nursery:
        chosen = order.options
        async with open_service(
            order.state, order.secret, jobs=chosen.jobs or None, nice=chosen.nice
        ) as service:
            service.gallery.uploader.line.limit = chosen.upload_limit
            service.gallery.looker.rest.heeds_battery = not chosen.battery
            invalidator = Invalidator()
            door = Door(order, service, invalidator)
            mountpoint.prepare(order.where, order.options)
            listener = control.listen(order.state)
            nursery.start_soon(door.take_calls, listener, nursery)

            def begun() -> None:
                settle()
                ready()

            try:
                await session.serve(
                    service.tree,
                    service.gallery.sync,
                    order.where,
                    order.options,
                    begun,
                    invalidator=invalidator,
                )
            finally:
                door.close()
        await door.say_farewell()
        nursery.cancel_scope.cancel()


def harden() -> None:
    """No core dumps, no reading of this process's memory by others of the same user."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    os.umask(0o077)


def settle() -> None:
    """What was allocated until now stays: the collector need not look at it again, and rarely at
    all the rest."""
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, OLD)


def main() -> int:
    """Run the daemon; returns the exit status."""
    harden()
    order = Order.decode(_read_order())
    log.begin(order.state, order.foreground)
    faulthandler.enable(open(log.log_path(order.state), "ab"))  # noqa: SIM115
    said = False

    def ready() -> None:
        nonlocal said
        said = True
        log.log.info("Mounted.")
        if order.foreground:
            print(f"Mounted at {order.where}; Ctrl-C unmounts.", flush=True)
        else:
            _tell({"ready": True, "pid": os.getpid()})
            _be_quiet()

    error: BaseException | None = None
    try:
        trio.run(run, order, ready)
    except BaseException as raised:
        error = innermost(raised)
    if error is None:
        log.log.info("Unmounted; everything is safe on disk.")
        return 0
    if not isinstance(error, TagfsError):
        log.note("The daemon failed", error)
        error = Broken(f"tagfs failed ({type(error).__name__}); see {log.log_path(order.state)}.")
    if order.foreground:
        print(f"tagfs: {error}", file=sys.stderr)
    elif not said:
        _tell({"error": error_as_json(error)})
    else:
        log.log.error("Ended by %s", type(error).__name__)
    return error.exit_code


def _read_order() -> bytes:
    with os.fdopen(0, "rb", closefd=False) as pipe:
        text = pipe.read(launch.ORDER + 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return text


def _tell(message: dict[str, object]) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


def _be_quiet() -> None:
    """Let go of the pipes to the process that started this one."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main())
