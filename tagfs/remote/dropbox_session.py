"""The HTTP session that the Dropbox SDK talks through: every answer is looked at before the SDK is.

The SDK takes whatever answers for Dropbox: it asserts on a captive portal's page, and fails on a
``Retry-After`` that is no whole number. What is no answer of Dropbox is turned away here, slow and
endless bodies are cut off, and a call that nobody waits for any more ends at its next piece.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from dropbox import create_session

from tagfs.errors import Limited, Unreachable

PIECE = 256 * 1024
"""Bytes after which a download looks whether anybody still waits for it."""
LONGEST_ANSWER = 16 * 1024 * 1024
"""Bytes in one answer that is no download, at most: a page of a listing has below one million."""

SOCKET_TIMEOUT = 30.0
"""Seconds without one byte from Dropbox after which a call has failed."""


class Abandoned(Exception):
    """Nobody waits for this call any more."""


class Call:
    """One call in its thread: how long it may take, and whether it is still wanted."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = float("inf")
        self.abandoned = False
        """Nobody waits any more; set from any thread, and the call ends at its next piece."""

    def begin(self) -> None:
        """Let its time run from now on."""
        self._until = time.monotonic() + self._seconds
        self.check()

    def check(self) -> None:
        """Raise `Abandoned`, or `Unreachable` when the time is over."""
        if self.abandoned:
            raise Abandoned
        if time.monotonic() > self._until:
            raise Unreachable("Dropbox took too long to answer. tagfs tries again.")


class _Current(threading.local):
    call: Call | None = None


_current = _Current()


@contextmanager
def running(call: Call) -> Iterator[None]:
    """Let ``call`` be the one that this thread carries out."""
    _current.call = call
    try:
        call.begin()
        yield
    finally:
        _current.call = None


def check() -> None:
    """Look whether the call of this thread is still wanted; raises as `Call.check` does."""
    if _current.call is not None:
        _current.call.check()


def guarded_session(
    connections: int, proxies: dict[str, str] | None = None, authorities: str | None = None
) -> requests.Session:
    """Return a session for the SDK.

    ``proxies`` and ``authorities`` (a PEM file) as `dropbox.create_session` takes them; where they
    are given, nothing from the environment is used instead.
    """
    session: requests.Session = create_session(connections, proxies, authorities)
    # Without this a "default" line of ~/.netrc would stand in for the token.
    session.auth = _leave_as_it_is
    if proxies is not None or authorities is not None:
        session.trust_env = False
    session.hooks["response"].append(_look)
    return session


def _leave_as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _look(response: requests.Response, *_: Any, **__: Any) -> requests.Response:
    """Turn away what is no answer of Dropbox; leave its own answers, whole, to the SDK."""
    status = response.status_code
    kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
    if status == 206 or (status == 200 and "dropbox-api-result" in response.headers):
        return response  # a download, which is read piece by piece
    response = _whole(response)
    wait = _retry_after(response)
    if status == 429:
        raise Limited("Dropbox asks for fewer requests.", wait)
    if status >= 500:
        if wait is not None:
            raise Limited(f"Dropbox is busy (HTTP {status}) and says when to come back.", wait)
        raise Unreachable(f"Dropbox has trouble of its own (HTTP {status}). tagfs tries again.")
    if kind == "text/html" or 300 <= status < 400 or status == 511:
        raise Unreachable(
            "Something else answers in Dropbox's place: log in to the network in a browser."
        )
    if status in (200, 401, 403, 404, 409, 422) and kind != "application/json":
        raise Unreachable(f"The answer of Dropbox was not understood (HTTP {status}, {kind}).")
    return response


def _whole(response: requests.Response) -> requests.Response:
    """Return an answer with all of its body read, within its time and its size."""
    body = bytearray()
    try:
        for piece in response.iter_content(PIECE):
            check()
            body += piece
            if len(body) > LONGEST_ANSWER:
                raise Unreachable("Dropbox's answer does not end. tagfs tries again.")
    except requests.RequestException as error:
        raise Unreachable("Dropbox's answer was cut off. tagfs tries again.") from error
    finally:
        response.close()
    whole = requests.Response()
    whole.status_code, whole.reason = response.status_code, response.reason
    whole.headers, whole.encoding = response.headers, response.encoding
    whole.url, whole.request = response.url, response.request
    whole.raw = io.BytesIO(bytes(body))
    return whole


def _retry_after(response: requests.Response) -> float | None:
    """Return the seconds that an answer asks to wait, from its header or its JSON body."""
    told = response.headers.get("retry-after", "").strip()
    try:
        return float(told)
    except ValueError:
        pass
    try:
        return (parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        pass
    try:
        asked = response.json()["error"]["retry_after"]
        return float(asked)
    except (ValueError, KeyError, TypeError, requests.RequestException):
        return None
