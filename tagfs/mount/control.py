"""The control socket: how the command line reaches the daemon that has a vault open.

It lies in the state directory, in a folder of its own (0700, socket 0600), is addressed through
``/proc/self/fd`` so that no path is too long for it, and serves this user's processes only.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import trio

from tagfs.errors import MountError, TagfsError, Usage
from tagfs.mount.log import note
from tagfs.mount.messages import (
    LINE,
    Answers,
    Broken,
    Call,
    Progress,
    decode_call,
    encode_call,
    encode_error,
    encode_progress,
    encode_result,
)

FOLDER = "run"
NAME = "control"
HELLO_SECONDS = 5.0
"""For how long a client may take to say what it wants."""

Answer = Callable[[Call, Progress], Awaitable[object]]


@contextlib.contextmanager
def _address(state: Path) -> Iterator[str]:
    """Yield a path of the socket that fits into 107 bytes."""
    folder = os.open(state / FOLDER, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        there = os.fstat(folder)
        if there.st_uid != os.geteuid() or stat.S_IMODE(there.st_mode) & 0o077:
            raise MountError(f"{state / FOLDER} must belong to you alone; remove it.")
        yield f"/proc/self/fd/{folder}/{NAME}"
    finally:
        os.close(folder)


def _is_mine(connection: socket.socket | trio.socket.SocketType) -> bool:
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", raw)
    return bool(uid == os.geteuid())


# -- the daemon's side ---------------------------------------------------------------------------


def listen(state: Path) -> trio.SocketListener:
    """Make the socket; the caller owns the state directory's lock, so an old one is nobody's."""
    folder = state / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    (folder / NAME).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _address(state) as path:
        listener.bind(path)
        os.chmod(path, 0o600)
    listener.listen(16)
    return trio.SocketListener(trio.socket.from_stdlib_socket(listener))


async def serve(listener: trio.SocketListener, answer: Answer, calls: trio.Nursery) -> None:
    """Take calls until cancelled, and answer them in the nursery ``calls``, which may go on
    longer. Whatever ``answer`` raises is told to the caller."""

    async def connected(stream: trio.SocketStream) -> None:
        async with stream:
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await _answer_one(stream, answer)

    await trio.serve_listeners(connected, [listener], handler_nursery=calls)


async def _answer_one(stream: trio.SocketStream, answer: Answer) -> None:
    if not _is_mine(stream.socket):
        return
    try:
        with trio.fail_after(HELLO_SECONDS):
            call = decode_call(await _read_line(stream))
    except (TagfsError, trio.TooSlowError) as error:
        await stream.send_all(encode_error(error))
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_cancel_at_hang_up, stream, nursery.cancel_scope)
        await _run(stream, call, answer)
        nursery.cancel_scope.cancel()


async def _run(stream: trio.SocketStream, call: Call, answer: Answer) -> None:
    send, receive = trio.open_memory_channel[bytes](1)

    def progress(done: int, total: int) -> None:
        with contextlib.suppress(trio.WouldBlock):  # the next one tells more
            send.send_nowait(encode_progress(done, total))

    async def tell() -> None:
        async for line in receive:
            await stream.send_all(line)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(tell)
        try:
            lines = encode_result(await answer(call, progress))
        except Exception as error:
            if not isinstance(error, TagfsError):
                note(f"The call {call.name} failed", error)
            lines = [encode_error(error)]
        send.close()
    for line in lines:
        await stream.send_all(line)


async def _cancel_at_hang_up(stream: trio.SocketStream, scope: trio.CancelScope) -> None:
    with contextlib.suppress(trio.BrokenResourceError):
        await stream.receive_some(1)
    scope.cancel()


async def _read_line(stream: trio.SocketStream) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        data = await stream.receive_some(65536)
        line += data
        if not data or len(line) > LINE:
            raise Usage("The call ended early, or is too long.")
    return bytes(line)


# -- the command line's side ---------------------------------------------------------------------


class Line:
    """One connection to the daemon of a state directory, for one call."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    @classmethod
    def to(cls, state: Path) -> Line | None:
        """Connect; None when no daemon has this state directory open."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _address(state) as path:
                connection.connect(path)
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            connection.close()
            return None
        except PermissionError:
            connection.close()
            raise MountError(f"The vault in {state} is mounted by another user.") from None
        if not _is_mine(connection):
            connection.close()
            raise MountError(f"The vault in {state} is mounted by another user.")
        return cls(connection)

    def call(self, call: Call, progress: Progress | None = None) -> object:
        """Ask and wait for the answer, however long it takes. Raises what the daemon tells."""
        answers = Answers(progress)
        with self._connection, self._connection.makefile("rb") as lines:
            try:
                self._connection.sendall(encode_call(call))
                while line := lines.readline(LINE + 1):
                    result = answers.take(line)
                    if result is not None:
                        return result[0]
            except (BrokenPipeError, ConnectionResetError):
                pass
        raise Broken("The daemon ended before it answered; its log says why.")
