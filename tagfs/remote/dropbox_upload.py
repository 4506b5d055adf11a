"""Upload sessions of Dropbox: bytes on their way to a commit, resumed where a line broke."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from dropbox import exceptions, files

from tagfs.remote.dropbox_access import Access
from tagfs.remote.dropbox_errors import UploadLost
from tagfs.remote.dropbox_session import Call
from tagfs.remote.store import Bytes

STEP = 8 * 1024 * 1024
"""Bytes in one request of an upload: a photo is one request, and a broken line costs no more."""
BLOCK = 4 * 1024 * 1024
"""Bytes of which Dropbox takes one hash, to take the content hash over those."""

_CORRECTIONS = 8  # of the offset within one upload, before the session counts as broken
_REMEMBERED = 256  # sessions begun and not committed; Dropbox keeps them for seven days


@dataclass(frozen=True, slots=True)
class Source:
    """The bytes of one object, by pieces: ``piece(offset, size)``."""

    size: int
    piece: Callable[[int, int], bytes]

    def content_hash(self, call: Call) -> str:
        """Return what Dropbox calls the content hash of these bytes."""
        blocks = hashlib.sha256()
        for offset in range(0, self.size, BLOCK):
            call.check()
            blocks.update(hashlib.sha256(self.piece(offset, BLOCK)).digest())
        return blocks.hexdigest()


def of_bytes(data: Bytes) -> Source:
    """Return the source of bytes in memory."""
    view = memoryview(data).cast("B")
    return Source(view.nbytes, lambda offset, size: bytes(view[offset : offset + size]))


class _Descriptor:
    """Closed only when no thread holds it: its number must not be another file's by then."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)


def of_file(path: Path) -> Source:
    """Return the source of a file; OSError where it cannot be read or turns out shorter."""
    file = _Descriptor(path)
    size = os.fstat(file.fd).st_size

    def piece(offset: int, wanted: int) -> bytes:
        wanted = min(wanted, size - offset)
        data = b""
        while len(data) < wanted:
            more = os.pread(file.fd, wanted - len(data), offset + len(data))
            if not more:
                raise OSError("the file shrank while it was read")
            data += more
        return data

    return Source(size, piece)


class _Gone(Exception):
    """A session that is of no use any more."""


@dataclass(slots=True)
class _Session:
    id: str
    offset: int
    closed: bool


@dataclass(slots=True)
class Sessions:
    """Begun uploads by object name and content hash."""

    access: Access
    _begun: OrderedDict[tuple[str, str], _Session] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def upload(self, name: str, content: str, source: Source, call: Call) -> str:
        """Bring all bytes of ``source`` into a closed session; return its id.

        What came so far is remembered also when this raises, until `forget`.
        """
        with self._lock:
            # Taken out meanwhile: two uploads of one object must not share a session.
            session = self._begun.pop((name, content), None)
        try:
            if session is None:
                session = self._begin(source, call)
            self._go_on(session, source, call)
            return session.id
        except _Gone as error:
            session = None
            raise UploadLost("Dropbox has forgotten a begun upload; it is begun anew.") from error
        finally:
            # The bytes of a cancelled caller may change while its thread still reads them.
            if session is not None and not call.abandoned:
                self._remember(name, content, session)

    def forget(self, name: str, content: str) -> None:
        """Begin anew with this object the next time."""
        with self._lock:
            self._begun.pop((name, content), None)

    def _remember(self, name: str, content: str, session: _Session) -> None:
        with self._lock:
            self._begun[name, content] = session
            if len(self._begun) > _REMEMBERED:
                self._begun.popitem(last=False)

    def _begin(self, source: Source, call: Call) -> _Session:
        data = source.piece(0, STEP)
        call.check()  # after the copy: from here on the caller may do with its bytes what it likes
        close = len(data) == source.size
        answer = self.access.sdk.files_upload_session_start(data, close=close)
        return _Session(answer.session_id, len(data), close)

    def _go_on(self, session: _Session, source: Source, call: Call) -> None:
        corrected = 0
        while not session.closed:
            data = source.piece(session.offset, STEP)
            call.check()
            end = session.offset + len(data)
            try:
                self.access.sdk.files_upload_session_append_v2(
                    data,
                    files.UploadSessionCursor(session.id, session.offset),
                    close=end == source.size,
                )
            except exceptions.ApiError as error:
                corrected += 1
                if corrected > _CORRECTIONS:
                    raise _Gone from error
                session.offset = _correct_offset(error, source.size)
                session.closed = error.error.is_closed()
            else:
                session.offset, session.closed = end, end == source.size


def _correct_offset(error: exceptions.ApiError, size: int) -> int:
    """Return where a session really stands; `_Gone` where only a new one helps."""
    said: files.UploadSessionAppendError = error.error
    if said.is_closed():
        return size  # the answer to the last piece was lost; the commit checks the size
    if said.is_incorrect_offset():
        at = int(said.get_incorrect_offset().correct_offset)
        if 0 <= at <= size:
            return at
    elif not said.is_not_found():
        raise error
    raise _Gone from error
