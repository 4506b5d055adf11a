"""The Dropbox store: objects are files of the app's own folder in the user's Dropbox.

The official SDK blocks, so its calls run in threads of their own; a cancelled call leaves its
thread, which ends at the next piece. The SDK's own retries are off.

An object comes in two requests. Its bytes go into an upload session, many at a time; then
`tagfs.remote.dropbox_commit` gives it its name, together with whatever else is ready. When the
answer to a commit was lost, the next `put` of the same bytes looks at what is there first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import requests
import trio
from dropbox import exceptions, files

from tagfs.errors import (
    Exists,
    Limited,
    NotFound,
    RemoteError,
    Unreachable,
    Usage,
)
from tagfs.remote.dropbox_access import Access
from tagfs.remote.dropbox_commit import Committer, Write
from tagfs.remote.dropbox_errors import UploadLost
from tagfs.remote.dropbox_list import Listing
from tagfs.remote.dropbox_session import PIECE, Call, check, guarded_session
from tagfs.remote.dropbox_upload import Sessions, Source, of_bytes, of_file
from tagfs.remote.login import AskLogin
from tagfs.remote.store import (
    MAX_OBJECT,
    Bytes,
    Page,
    Space,
    Stat,
    Store,
    check_name,
    check_prefix,
    check_range,
    check_size,
    is_name,
    too_long,
)

_T = TypeVar("_T")

_THREADS = 8  # for uploads, and as many for everything else
_ANSWER = 60.0  # seconds for one call without the bytes that it moves
_SLOWEST = 16 * 1024  # bytes in a second, at least, that a call is given time for
_LONGPOLL_MORE = 90.0  # seconds that Dropbox adds to the time of a longpoll
_DOUBTS = 10_000  # puts whose answer was lost, remembered at a time


class DropboxStore(Store):
    """Keeps objects in ``folder`` of the app folder; "" for the app folder itself.

    ``ask`` gives the login. ``session`` is one of `guarded_session`, which may lead elsewhere.
    """

    kind = "dropbox"

    def __init__(self, folder: str, ask: AskLogin, session: requests.Session | None = None) -> None:
        if folder and not is_name(folder):
            raise Usage(
                f"{folder!r} cannot be the folder of a gallery in Dropbox: use lower-case letters "
                "a to z, digits and hyphens, such as dropbox:///gallery."
            )
        self.where = f"dropbox:///{folder}"
        self._root = f"/{folder}" if folder else ""
        self._access = Access(ask, session or guarded_session(2 * _THREADS + 1))
        self._writers = trio.CapacityLimiter(_THREADS)
        self._readers = trio.CapacityLimiter(_THREADS)
        self._waiters = trio.CapacityLimiter(1)
        self._seen: str | None = None  # a cursor
        self._committer = Committer(self._access)
        self._sessions = Sessions(self._access)
        self._listing = Listing(self._access, self._root)
        self._doubts: OrderedDict[str, str] = OrderedDict()  # content hashes by name

    async def put(self, name: str, data: Bytes) -> None:
        check_name(name)
        source = of_bytes(data)
        check_size(name, source.size)
        await self._put(name, source)

    async def put_file(self, name: str, path: Path) -> None:
        check_name(name)
        source = await trio.to_thread.run_sync(of_file, path)
        check_size(name, source.size)
        await self._put(name, source)

    async def get(self, name: str, offset: int = 0, size: int | None = None) -> bytes:
        check_name(name)
        check_range(offset, size)
        if size == 0:
            await self.stat(name)  # there is no range of no bytes, but there may be no object
            return b""
        moved = MAX_OBJECT if size is None else size
        try:
            return await self._call(name, lambda: self._download(name, offset, size), moved)
        except _PastTheEnd:
            if offset < (await self.stat(name)).size:
                raise Unreachable(f"Dropbox does not give a part of object {name}.") from None
            return b""

    async def stat(self, name: str) -> Stat:
        check_name(name)
        found = await self._call(name, lambda: self._look(name))
        return Stat(int(found.size), found.content_hash)

    async def hash_of(self, data: Bytes) -> str | None:
        call = Call(_ANSWER)
        return await trio.to_thread.run_sync(of_bytes(data).content_hash, call)

    async def list(self, prefix: str = "", cursor: str | None = None) -> Page:
        check_prefix(prefix)
        return await self._call(prefix, lambda: self._listing.page(prefix, cursor))

    async def delete(self, name: str) -> None:
        check_name(name)
        try:
            found = await self._call(name, lambda: self._look(name))
        except NotFound:
            return
        # With the revision, Dropbox deletes this very file and never a folder with all it holds.
        await self._committer.carry_out(Write(name, self._path(name), found.rev))

    async def space(self) -> Space | None:
        usage = await self._call("", lambda: self._access.sdk.users_get_space_usage())
        allocation = usage.allocation
        if allocation.is_individual():
            total, used = allocation.get_individual().allocated, usage.used
        elif allocation.is_team():
            team = allocation.get_team()
            total, used = team.allocated, team.used
            if 0 < team.user_within_team_space_allocated < total:
                total, used = team.user_within_team_space_allocated, usage.used
        else:
            return None
        return Space(int(total), max(0, int(total) - int(used)))

    async def changed(self, seconds: int = 60) -> bool:
        """Wait until anybody writes to the app folder, ``seconds`` (30 to 480) or a little longer.

        Returns whether somebody did since the call before, this program too; the first call of all
        only looks where it stands. A wake-up and no more: what is there, only a listing tells.
        """
        if self._seen is None:
            self._seen = await self._call("", self._listing.latest)
            return True
        since = self._seen
        changes, backoff = await self._call(
            "",
            lambda: self._listing.wait(since, seconds),
            limiter=self._waiters,
            call=Call(_ANSWER + _LONGPOLL_MORE + seconds),
        )
        if backoff:
            await trio.sleep(backoff)
        if changes:
            self._seen = await self._call("", self._listing.latest)
        return changes

    async def close(self) -> None:
        self._access.close()

    async def _put(self, name: str, source: Source) -> None:
        call = Call(_ANSWER + source.size / _SLOWEST)
        content = await self._call(
            name, lambda: source.content_hash(call), limiter=self._writers, call=call
        )
        doubted = self._doubts.get(name) == content
        if doubted and await self._is_there(name, content):
            self._settle(name, content)
            return
        self._committer.uploading(+1)
        try:
            mark = await self._call(
                name,
                lambda: self._sessions.upload(name, content, source, call),
                limiter=self._writers,
                call=call,
            )
            write = Write(name, self._path(name), mark, source.size, content)
        finally:
            self._committer.uploading(-1)
        known = False
        try:
            await self._committer.carry_out(write)
            known = True
        except UploadLost:
            self._sessions.forget(name, content)
            raise
        except (Unreachable, Limited):
            raise
        except Exists:
            known = True
            if not (doubted and await self._is_there(name, content)):
                raise
        except RemoteError:
            known = True
            raise
        finally:
            if known:
                self._settle(name, content)
            else:
                self._doubts[name] = content
                if len(self._doubts) > _DOUBTS:
                    self._doubts.popitem(last=False)

    def _settle(self, name: str, content: str) -> None:
        self._doubts.pop(name, None)
        self._sessions.forget(name, content)

    async def _is_there(self, name: str, content: str) -> bool:
        """Say whether an object has the bytes of this content hash."""
        try:
            found = await self._call(name, lambda: self._look(name))
        except NotFound:
            return False
        return bool(found.content_hash == content)

    def _look(self, name: str) -> files.FileMetadata:
        found = self._access.sdk.files_get_metadata(self._path(name))
        if not isinstance(found, files.FileMetadata):
            raise NotFound(f"There is no object {name} in {self.where}.")
        return found

    def _download(self, name: str, offset: int, size: int | None) -> bytes:
        headers = {"Accept-Encoding": "identity"}
        if offset or size is not None:
            headers["Range"] = f"bytes={offset}-{'' if size is None else offset + size - 1}"
        try:
            found, response = self._access.sdk.files_download(
                self._path(name), extra_headers=headers
            )
        except exceptions.HttpError as error:
            if error.status_code == 416:
                raise _PastTheEnd from None
            raise
        with closing(response):
            left = max(0, int(found.size) - offset)
            wanted = left if size is None else min(size, left)
            if wanted > MAX_OBJECT:
                raise too_long(name, int(found.size))
            skip = offset
            if response.status_code == 206:
                start = response.headers.get("content-range", "").removeprefix("bytes ")
                if not start.startswith(f"{offset}-"):
                    raise Unreachable(f"Dropbox gave another part of object {name}.")
                skip = 0
            body = bytearray()
            for piece in response.iter_content(PIECE):
                check()
                body += piece[skip:]
                skip = max(0, skip - len(piece))
                if len(body) >= wanted:
                    break
            if len(body) < wanted:
                raise Unreachable(f"Object {name} was cut off on its way from Dropbox.")
            return bytes(body[:wanted])

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    async def _call(
        self,
        name: str,
        work: Callable[[], _T],
        moved: int = 0,
        *,
        limiter: trio.CapacityLimiter | None = None,
        call: Call | None = None,
    ) -> _T:
        """Run ``work`` in a thread; ``moved`` bytes are moved by it."""
        what = f"object {name} in {self.where}"
        mine = call or Call(_ANSWER + moved / _SLOWEST)

        def guarded() -> _T:
            with self._access.during(mine, what):
                return work()

        try:
            return await trio.to_thread.run_sync(
                guarded, abandon_on_cancel=True, limiter=limiter or self._readers
            )
        except trio.Cancelled:
            mine.abandoned = True
            raise


class _PastTheEnd(Exception):
    """A range that begins where the object ends."""
