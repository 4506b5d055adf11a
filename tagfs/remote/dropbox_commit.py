"""The one writer of a Dropbox account: gathers what is to be committed or deleted at a time.

Dropbox locks a whole account for each write, and turns away whoever writes beside it. So one thread
commits finished upload sessions, and deletes, in batches; while one batch is under way the next one
gathers.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import trio
from dropbox import files

from tagfs.errors import Limited, NotFound, Unreachable
from tagfs.remote.dropbox_access import Access
from tagfs.remote.dropbox_errors import meaning, tags
from tagfs.remote.dropbox_session import Call

BATCH = 1000
"""Entries in one batch, at most: Dropbox takes no more."""
LINGER = 0.5
"""Seconds that a batch waits for uploads which are still under way; none are: none."""

_IDLE = 10.0  # seconds after which the thread ends; the next write starts another
_SECONDS = 300.0  # for one batch of BATCH entries, answered or polled for
_ONE_ANSWER = 120.0  # seconds of silence while Dropbox commits a batch, which takes it a while
_POLLS = (0.1, 2.0)  # seconds between two looks at a job of Dropbox: the first, the longest


@dataclass(eq=False, slots=True)
class Write:
    """One entry on its way. ``size`` None: a deletion of the revision ``mark``.

    Else a commit of ``size`` bytes of the closed upload session ``mark`` with the content hash
    ``content``.
    """

    name: str
    path: str
    mark: str
    size: int | None = None
    content: str = ""
    error: BaseException | None = None
    withdrawn: bool = False
    settled: Callable[[], None] = field(default=lambda: None)


class Committer:
    """Commits and deletes through one thread, which runs only while there is something to do."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._changed = threading.Condition()
        self._queue: deque[Write] = deque()
        self._running = False
        self._uploading = 0

    def uploading(self, more: int) -> None:
        """Say that ``more`` uploads have begun (+1) or ended (-1), which a batch may wait for."""
        with self._changed:
            self._uploading += more
            self._changed.notify_all()

    async def carry_out(self, write: Write) -> None:
        """Return when a write is done; raise what Dropbox says to it.

        A cancelled write that has not been sent yet is not sent.
        """
        done = trio.Event()
        token = trio.lowlevel.current_trio_token()

        def settled() -> None:
            try:
                token.run_sync_soon(done.set)
            except trio.RunFinishedError:
                pass  # nobody waits any more

        write.settled = settled
        with self._changed:
            self._queue.append(write)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="dropbox-commit", daemon=True).start()
            self._changed.notify_all()
        try:
            await done.wait()
        finally:
            write.withdrawn = True
        if write.error is not None:
            raise write.error

    def _run(self) -> None:
        while batch := self._next():
            try:
                if batch[0].size is None:
                    self._delete(batch)
                else:
                    self._commit(batch)
            except BaseException as error:
                for write in batch:
                    write.error = write.error or error
            for write in batch:
                write.settled()

    def _next(self) -> list[Write]:
        """Wait for writes; return those of the next batch, none when the thread may end."""
        with self._changed:
            while True:
                if not self._queue and not self._changed.wait_for(lambda: self._queue, _IDLE):
                    self._running = False
                    return []
                until = time.monotonic() + LINGER
                while self._uploading > 0 and len(self._queue) < BATCH:
                    left = until - time.monotonic()
                    if left <= 0 or not self._changed.wait(left):
                        break
                if batch := self._take():
                    return batch

    def _take(self) -> list[Write]:
        """Take the oldest writes of one kind; of two for one path the later waits."""
        batch: list[Write] = []
        later: deque[Write] = deque()
        paths: set[str] = set()
        while self._queue:
            write = self._queue.popleft()
            if write.withdrawn:
                continue
            fits = not batch or (write.size is None) == (batch[0].size is None)
            if fits and len(batch) < BATCH and write.path not in paths:
                batch.append(write)
            else:
                later.append(write)
            paths.add(write.path)
        self._queue = later
        return batch

    def _commit(self, batch: Sequence[Write]) -> None:
        entries = [
            files.UploadSessionFinishArg(
                cursor=files.UploadSessionCursor(write.mark, write.size),
                commit=files.CommitInfo(
                    path=write.path,
                    mode=files.WriteMode.add,
                    autorename=False,
                    mute=True,
                    strict_conflict=True,  # also where the same bytes are there already
                ),
            )
            for write in batch
        ]
        with self._access.during(Call(_SECONDS), _what(batch)):
            # The method of the same name takes no time limit of its own.
            results = self._access.sdk.request(
                files.upload_session_finish_batch_v2,
                "files",
                files.UploadSessionFinishBatchArg(entries),
                None,
                timeout=_ONE_ANSWER,
            ).entries
        for write, result in _pairs(batch, results):
            if result.is_failure():
                write.error = meaning(result.get_failure(), f"object {write.name}")
            elif result.get_success().content_hash != write.content:
                self._take_back(write, result.get_success().rev)

    def _take_back(self, write: Write, rev: str) -> None:
        """Remove what was committed with other bytes than were meant; nobody has read it yet."""
        write.error = Unreachable(f"Object {write.name} was changed on its way to Dropbox.")
        with self._access.during(Call(_SECONDS), f"object {write.name}"):
            self._access.sdk.files_delete_v2(write.path, parent_rev=rev)

    def _delete(self, batch: Sequence[Write]) -> None:
        if len(batch) == 1:
            self._delete_one(batch[0])
            return
        with self._access.during(Call(_SECONDS), _what(batch)):
            results = self._deleted([files.DeleteArg(w.path, w.mark) for w in batch])
        for write, result in _pairs(batch, results):
            if result.is_failure():
                error = meaning(result.get_failure(), f"object {write.name}")
                write.error = None if isinstance(error, NotFound) else error

    def _delete_one(self, write: Write) -> None:
        with suppress(NotFound), self._access.during(Call(_SECONDS), f"object {write.name}"):
            self._access.sdk.files_delete_v2(write.path, parent_rev=write.mark)

    def _deleted(self, entries: list[files.DeleteArg]) -> Sequence[Any]:
        """Delete a batch, also where Dropbox does it later; return what became of each entry."""
        launch = self._access.sdk.files_delete_batch(entries)
        if launch.is_complete():
            return list(launch.get_complete().entries)
        if not launch.is_async_job_id():
            raise Unreachable("Dropbox does not say whether it deletes.")
        job = launch.get_async_job_id()
        pause, longest = _POLLS
        until = time.monotonic() + _SECONDS
        while time.monotonic() < until:
            time.sleep(pause)
            pause = min(longest, pause * 2)
            status = self._access.sdk.files_delete_batch_check(job)
            if status.is_complete():
                return list(status.get_complete().entries)
            if status.is_failed():
                said = "/".join(tags(status.get_failed()))
                raise Limited(f"Dropbox did not delete all of it ({said}).")
        raise Unreachable("Dropbox has not deleted all of it in time.")


def _what(batch: Sequence[Write]) -> str:
    return f"object {batch[0].name}" if len(batch) == 1 else f"{len(batch)} objects"


def _pairs(batch: Sequence[Write], results: Sequence[Any]) -> list[tuple[Write, Any]]:
    if len(results) != len(batch):
        raise Unreachable("Dropbox answered for another number of objects than it was asked for.")
    return list(zip(batch, results, strict=True))
