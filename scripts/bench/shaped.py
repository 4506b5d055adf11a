"""A line with a rate and a delay between a program and a server on this machine.

    python scripts/bench/shaped.py PORT [--mbit RATE] [--delay MILLISECONDS]

Says the port that it listens on, and relays every connection to PORT on the loopback. All
connections share one rate in each direction (0: no limit); each piece takes half of the delay on
its way, and a new connection takes all of it. A line on stdin is answered by one: the bytes that
were relayed up and down since the line before. Losses and slow starts are not imitated.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from contextlib import suppress

PIECE = 16 * 1024
IN_FLIGHT = 16
"""Pieces of one connection and direction that are on their way at most."""


class Direction:
    """What all connections share one way."""

    def __init__(self, rate: float, delay: float) -> None:
        self._rate = rate  # bytes in a second
        self._delay = delay  # seconds
        self._free_at = 0.0
        self.bytes = 0

    def take(self, size: int) -> float:
        """Send a piece; return when it arrives."""
        now = asyncio.get_running_loop().time()
        self.bytes += size
        if self._rate:
            self._free_at = max(self._free_at, now) + size / self._rate
            now = self._free_at
        return now + self._delay

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Bring everything from one end to the other."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(IN_FLIGHT)

        async def arrive() -> None:
            while True:
                at, piece = await pieces.get()
                await asyncio.sleep(at - asyncio.get_running_loop().time())
                if not piece:
                    break
                writer.write(piece)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()

        arriving = asyncio.create_task(arrive())
        with suppress(OSError):
            while piece := await reader.read(PIECE):
                await pieces.put((self.take(len(piece)), piece))
                if self._rate:  # what does not fit into the line waits at the sender
                    at = self._free_at - asyncio.get_running_loop().time()
                    await asyncio.sleep(max(0.0, at - 0.01))
        await pieces.put((0.0, b""))
        with suppress(OSError):
            await arriving


async def serve(port: int, rate: float, delay: float) -> None:
    """Relay until stdin ends."""
    up, down = Direction(rate, delay / 2), Direction(rate, delay / 2)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(delay)
        there, back = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(up.relay(reader, back), down.relay(there, writer))
        finally:
            for end in (back, writer):
                end.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    stdin = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin
    )
    while await stdin.readline():
        print(json.dumps([up.bytes, down.bytes]), flush=True)
        up.bytes = down.bytes = 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--mbit", type=float, default=0.0)
    parser.add_argument("--delay", type=float, default=0.0)
    args = parser.parse_args()
    asyncio.run(serve(args.port, args.mbit * 1e6 / 8, args.delay / 1e3))
