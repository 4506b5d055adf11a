"""Why something was refused, and when: what the user can read of it."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from datetime import datetime

from tagfs.errors import FileError, no_entry, not_permitted
from tagfs.views.inside import Inside
from tagfs.views.nodes import Text
from tagfs.views.refusals import AGAIN, Refusals


class Held:
    """Refusals whose clock and events the test holds."""

    def __init__(self) -> None:
        self.now = 100.0
        self.told: list[str] = []
        self.refusals = Refusals(self.told.append, self.events, lambda: self.now)

    def events(self) -> list[Mapping[str, object]]:
        return [{"time": 0, "text": text} for text in self.told]


def test_a_reason_is_told_once_a_minute() -> None:
    held = Held()
    for _ in range(3):
        held.refusals.refused(not_permitted("all/ has no folders."))
        held.refusals.refused(not_permitted("trash/ has no folders."))
    assert held.told == ["all/ has no folders.", "trash/ has no folders."]
    held.now += AGAIN
    held.refusals.refused(not_permitted("all/ has no folders."))
    assert len(held.told) == 3


def test_what_carries_no_reason_is_not_told() -> None:
    held = Held()
    held.refusals.refused(FileError(errno.EPERM))
    held.refusals.refused(FileError(errno.EEXIST))
    held.refusals.refused(no_entry("nothing there"))
    assert held.told == []


def test_who_refused_and_told_more_is_not_repeated() -> None:
    held = Held()
    held.told.append("Emptying the trash was refused. Wait a few seconds.")
    held.refusals.refused(not_permitted("Emptying the trash was refused."))
    assert len(held.told) == 1


def test_events_have_local_times() -> None:
    inside = Inside(dict, lambda: [{"time": 1_790_000_000, "text": "It rained."}])
    line = inside.text(Text("events")).decode()
    when, _, text = line.partition(" ")
    assert text == "It rained.\n"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", when)
    assert datetime.fromisoformat(when).timestamp() == 1_790_000_000
    assert b"1790000000" in inside.text(Text("events.json"))
