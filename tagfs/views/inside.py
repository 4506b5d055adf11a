"""``.tagfs/``: status and events as text and JSON; reachable by name, not listed at the root."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from tagfs.views.desktop import MARKERS
from tagfs.views.fixed import ReadOnly
from tagfs.views.nodes import Line, Node, Text

NAMES = (b"status", b"status.json", b"events", b"events.json")


class Inside(ReadOnly):
    """Texts that tagfs writes about itself; nothing in here can be changed."""

    name = ".tagfs"

    def __init__(
        self,
        report: Callable[[], Mapping[str, object]],
        events: Callable[[], Sequence[Mapping[str, object]]],
    ) -> None:
        self._report = report
        self._events = events

    def text(self, node: Text) -> bytes:
        """Return what reading this text gives now."""
        if node.name.encode() in MARKERS:
            return b""
        if node.name == "status":
            told = {k: v for k, v in self._report().items() if v is not None}
            return "".join(f"{k}: {_plain(v)}\n" for k, v in told.items()).encode()
        if node.name == "status.json":
            return json.dumps(self._report(), indent=1).encode() + b"\n"
        if node.name == "events":
            return "".join(map(_told, self._events())).encode()
        return json.dumps(list(self._events()), indent=1).encode() + b"\n"

    def lines(self, path: tuple[str, ...], start: int) -> Iterator[Line]:
        """Yield the texts."""
        for i, name in enumerate(NAMES):
            if i >= start:
                yield Line(i + 1, name, Text(name.decode()))

    def look_up(self, path: tuple[str, ...], name: bytes) -> Node | None:
        """Resolve a text."""
        return Text(name.decode()) if name in NAMES else None


def _told(event: Mapping[str, object]) -> str:
    """Return an event as a line: local time with its offset, and the text."""
    when = datetime.fromtimestamp(float(str(event["time"]))).astimezone()
    return f"{when.isoformat(timespec='seconds')} {event['text']}\n"


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_plain(v)}" for k, v in value.items())
    return str(value)
