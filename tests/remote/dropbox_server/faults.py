"""What can go wrong on demand, between the SDK and the account behind the server."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any


class Harm(enum.Enum):
    """What a fault does to the request that it meets."""

    DROP_BEFORE = "the connection breaks, and nothing was done"
    DROP_AFTER = "the connection breaks, though it was done"
    ANSWER = "``status``, ``headers`` and ``body`` are answered, and nothing was done"
    ANSWER_AFTER = "the same, though it was done"
    CUT = "the answer ends after ``amount`` bytes of its body"
    FLIP = "byte ``amount`` of the answer's body is inverted"
    SLOW = "the answer begins ``amount`` seconds later"
    TRICKLE = "the answer comes in pieces of one byte, ``amount`` seconds apart"
    WHOLE = "a download ignores the range that was asked for"
    RESET = "a cursor is not valid any more"
    ENTRIES = "every entry of a batch whose number ``amount`` divides fails with ``body``, JSON"


@dataclass(slots=True)
class Fault:
    """The next ``times`` requests whose route begins with ``route`` are harmed."""

    route: str
    harm: Harm
    times: int = 1
    amount: float = 0
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = b""


def captive_portal(route: str = "", times: int = 1) -> Fault:
    """A page of some hotel instead of an answer."""
    html = {"Content-Type": "text/html; charset=utf-8"}
    return Fault(route, Harm.ANSWER, times, status=200, headers=html, body=b"<html>Log in</html>")


def limited_text(route: str = "", retry_after: str | None = "7", times: int = 1) -> Fault:
    """429 as plain text, with or without ``Retry-After``."""
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    return Fault(route, Harm.ANSWER, times, status=429, headers=headers, body=b"too_many_requests")


def limited_json(route: str = "", seconds: int = 7, times: int = 1) -> Fault:
    """429 as JSON: a `dropbox.auth.RateLimitError`."""
    body = {
        "error_summary": "too_many_requests/.",
        "error": {"reason": {".tag": "too_many_requests"}, "retry_after": seconds},
    }
    return Fault(
        route,
        Harm.ANSWER,
        times,
        status=429,
        headers={"Content-Type": "application/json"},
        body=body,
    )
