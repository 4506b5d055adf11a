"""The daemon's side of recognition: a few workers, a time limit each, one retry for each photo."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from tagfs.errors import Integrity
from tagfs.model import METADATA, Analysis, Facts, Located, Place
from tagfs.recognise import face_pack, own_heads, packs
from tagfs.recognise.boxes import HEADER, MAX_BOXES, box_at
from tagfs.recognise.messages import (
    MAX_PICTURE,
    PLACES,
    SIDECAR,
    Result,
    answer_length,
    pack_places,
    pack_sidecar,
    read_answer,
    request_head,
)
from tagfs.recognise.packs import PackMissing
from tagfs.recognise.sniff import DECODABLE, MOVIES, TELLING

Weights = Sequence[tuple[str, Path]]
"""Names of packs, each with a file of weights; the files of one pack in their order."""
Read = Callable[[int, int], Awaitable[bytes | bytearray | memoryview]]

NICE = 10
"""How much lower than others the priority of workers is, where nobody says otherwise."""
START_SECONDS = 60.0
"""A worker that is not ready by then is given up."""
PHOTO_SECONDS = 30.0
"""Wall-clock time for one photo, its bytes already sent; also for taking in each piece of them."""
PHOTOS_EACH = 500
"""After so many a worker is replaced: whatever decoders leak stays bounded."""
STEP = 1024 * 1024
MAX_MOVIE = 32 * 1024 * 1024
"""Bytes of the description of a movie: the tables of ten hours of film have 10 MiB."""


class _Failed(Exception):
    """The worker died, hung or talked nonsense."""


class _Worker:
    """One worker process."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self.photos = 0

    @classmethod
    async def start(cls, weights: Weights, nice: int) -> _Worker:
        """Start a worker and wait until it is locked in; raises PackMissing when it does not."""
        command = [sys.executable, "-I", "-m", "tagfs.recognise.worker", str(nice)]
        for name, path in weights:
            command += [name, str(path)]
        try:
            process = await trio.lowlevel.open_process(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as e:
            raise PackMissing(f"Photos are not recognised: no worker starts ({e}).") from e
        worker = cls(process)
        why = (
            "Photos are not recognised: no worker gets ready; install tagfs and its packages anew."
        )
        try:
            with trio.move_on_after(START_SECONDS):
                ready = await worker._answer()
                if ready.unreadable is None:
                    return worker
                why = f"Photos are not recognised: {ready.unreadable}"
        except _Failed:
            pass
        except BaseException:  # cancelled
            await worker.end()
            raise
        await worker.end()
        raise PackMissing(why)

    async def look(self, read: Read, size: int, media_type: str, side: int = 0) -> Result:
        """Send one picture and return the answer; raises _Failed, and what ``read`` raises."""
        self.photos += 1
        try:
            await self._send(request_head(media_type, size, time.time(), side))
            done = 0
            while done < size:
                data = await read(done, min(STEP, size - done))
                if not data:
                    raise _Failed
                await self._send(data)
                done += len(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise _Failed from None
        with trio.move_on_after(PHOTO_SECONDS):
            return await self._answer()
        raise _Failed

    async def _send(self, data: bytes | bytearray | memoryview) -> None:
        assert self._process.stdin is not None
        with trio.move_on_after(PHOTO_SECONDS):  # a worker that is stopped reads nothing
            return await self._process.stdin.send_all(data)
        raise _Failed

    async def end(self) -> None:
        """Kill the process and reap it."""
        with trio.CancelScope(shield=True):
            self._process.kill()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    await trio.aclose_forcefully(pipe)
            await self._process.wait()

    async def _answer(self) -> Result:
        try:
            return read_answer(await self._exactly(answer_length(await self._exactly(4))))
        except Integrity:
            raise _Failed from None

    async def _exactly(self, size: int) -> bytes:
        assert self._process.stdout is not None
        data = b""
        while len(data) < size:
            try:
                piece = await self._process.stdout.receive_some(size - len(data))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                piece = b""
            if not piece:
                raise _Failed
            data += piece
        return data


async def material(read: Read, size: int, media_type: str) -> tuple[int, int] | None:
    """Return (offset, length) of what a worker is sent of a file, None when that is nothing.

    All of a picture; of a movie the box that describes it, which may lie behind hours of film.
    Raises what ``read`` raises.
    """
    if media_type not in MOVIES:
        return (0, size) if media_type in DECODABLE | TELLING else None
    at = 0
    for _ in range(MAX_BOXES):
        if at >= size:
            break
        box = box_at(bytes(await read(at, min(HEADER, size - at))), at, size)
        if box is None:
            break
        if box.kind == b"moov":
            return (at, box.end - at) if box.end - at <= MAX_MOVIE else None
        at = box.end
    return None


class Recogniser:
    """Looks at pictures with the default pack and others. Make it with ``recogniser``."""

    def __init__(self, weights: Weights, jobs: int, nice: int = NICE) -> None:
        self._weights = weights
        self._nice = nice
        self.pack = packs.load().id
        self._rows = {METADATA, own_heads.ID, *map(_id, {name for name, _ in weights})}
        self.jobs = jobs
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._slots = trio.CapacityLimiter(jobs)

    async def recognise(self, read: Read, size: int, media_type: str) -> Analysis:
        """Return what is in a picture of ``size`` bytes that ``read(offset, size)`` gives.

        What cannot be decoded, crashes a worker twice or takes too long is ``unreadable``.
        Raises what ``read`` raises, and PackMissing when no worker starts any more: the photo
        is not to blame then.
        """
        sent = await material(read, size, media_type)
        if sent is None:
            return self._unreadable(media_type, f"{media_type} is a form that is not decoded")
        start, length = sent
        if length > MAX_PICTURE:
            return self._unreadable(media_type, "larger than 256 MiB")

        async def read_sent(offset: int, size: int) -> bytes | bytearray | memoryview:
            return await read(start + offset, size)

        async with self._slots:
            for _ in range(2):
                try:
                    result = await self._once(read_sent, length, media_type)
                    return self._analysis(media_type, result)
                except _Failed:
                    continue
        return self._unreadable(media_type, "it made the decoder fail")

    async def png(self, jpeg: bytes, side: int) -> bytes | None:
        """Return a JPEG as a PNG of at most ``side`` x ``side`` pixels; None when it is broken.

        Raises PackMissing.
        """

        async def read(offset: int, size: int) -> bytes:
            return jpeg[offset : offset + size]

        async with self._slots:
            try:
                return (await self._once(read, len(jpeg), "image/jpeg", side)).thumbnail or None
            except _Failed:
                return None

    async def locate(self, places: Sequence[Place]) -> tuple[Located | None, ...] | None:
        """Return where each of at most MAX_PLACES positions lies; None when nobody answers.

        Raises PackMissing.
        """
        packed = pack_places(places)

        async def read(offset: int, size: int) -> bytes:
            return packed[offset : offset + size]

        async with self._slots:
            try:
                found = (await self._once(read, len(packed), PLACES)).located
            except _Failed:
                return None
        return found if len(found) == len(places) else None

    async def read_sidecar(self, packet: bytes, facts: Facts) -> Facts | None:
        """Return what an XMP packet states beside a picture of these facts; None when nobody
        answers. Raises PackMissing.
        """
        packed = pack_sidecar(packet, facts)

        async def read(offset: int, size: int) -> bytes:
            return packed[offset : offset + size]

        async with self._slots:
            try:
                return (await self._once(read, len(packed), SIDECAR)).facts
            except _Failed:
                return None

    async def _once(self, read: Read, size: int, media_type: str, side: int = 0) -> Result:
        worker = self._idle.pop() if self._idle else await self._start()
        try:
            result = await worker.look(read, size, media_type, side)
            if not self._rows >= {seen.pack for seen in result.more}:
                raise _Failed  # a worker says what its packs saw, and nothing in others' names
        except BaseException:
            # It may be in the middle of a request; nothing can be said to it any more.
            self._all.discard(worker)
            await worker.end()
            raise
        if worker.photos >= PHOTOS_EACH:
            self._all.discard(worker)
            await worker.end()
        else:
            self._idle.append(worker)
        return result

    async def begin(self) -> None:
        """Start the first worker; raises PackMissing when there can be none."""
        self._idle.append(await self._start())

    async def _start(self) -> _Worker:
        worker = await _Worker.start(self._weights, self._nice)
        self._all.add(worker)
        return worker

    async def close(self) -> None:
        """End every worker."""
        for worker in self._all:
            await worker.end()
        self._all.clear()
        self._idle.clear()

    def _analysis(self, media_type: str, result: Result) -> Analysis:
        return Analysis(
            self.pack,
            media_type,
            result.tags,
            result.scores,
            result.facts,
            result.embedding,
            result.thumbnail,
            result.unreadable,
            result.more,
        )

    def _unreadable(self, media_type: str, reason: str) -> Analysis:
        return Analysis(self.pack, media_type, (), (), Facts(), b"", b"", reason)


@asynccontextmanager
async def recogniser(jobs: int | None = None, nice: int = NICE) -> AsyncIterator[Recogniser]:
    """Open a recogniser with the default pack and all others that are installed.

    Its first worker is ready. Raises PackMissing when the weights of the default pack are not
    installed, or no worker can be had: no interpreter, no sandbox. Raises Integrity when they are
    damaged; another pack that is damaged is left out.
    """
    weights = await trio.to_thread.run_sync(_installed)
    found = Recogniser(weights, jobs or max(1, math.ceil((os.cpu_count() or 1) / 2)), nice)
    try:
        await found.begin()
        yield found
    finally:
        await found.close()


def _id(name: str) -> str:
    return face_pack.load().id if name == face_pack.NAME else packs.load(name).id


def _installed() -> Weights:
    """Return what is installed and right; raises what is wrong with the default pack."""
    packs.read_model(packs.load())
    found = [(pack.name, packs.model_path(pack)) for pack in packs.installed()]
    faces = face_pack.load()
    with contextlib.suppress(PackMissing, Integrity):
        face_pack.read_models(faces)
        found += [(face_pack.NAME, path) for path in face_pack.model_paths(faces)]
    return found
