"""What a check of `tagfs doctor` found: how it stands, in one sentence, and what to do."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from tagfs.errors import TagfsError


class Verdict(enum.Enum):
    """How something stands."""

    OK = "ok"
    NOTE = "note"  # worth knowing; nothing fails for it
    WRONG = "wrong"  # something does not work, or will not for long
    UNKNOWN = "unknown"  # could not be looked at


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `tagfs doctor`. ``status`` is the exit status that a WRONG one stands for."""

    check: str  # "remote"
    verdict: Verdict
    text: str  # one sentence: what is so
    todo: str = ""  # what to do about it
    status: int = TagfsError.exit_code

    def as_json(self) -> dict[str, object]:
        """Return the form of ``tagfs doctor --json``."""
        return {
            "check": self.check,
            "verdict": self.verdict.value,
            "text": self.text,
            "do": self.todo,
            "status": self.status if self.verdict is Verdict.WRONG else 0,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, object]) -> Finding:
        """Read what as_json gave."""
        status = raw["status"]
        return cls(
            str(raw["check"]),
            Verdict(raw["verdict"]),
            str(raw["text"]),
            str(raw["do"]),
            status if isinstance(status, int) else 1,
        )

    @classmethod
    def of_error(cls, check: str, error: TagfsError, todo: str = "") -> Finding:
        """Return what an error means, whose message says what to do already."""
        return cls(check, Verdict.WRONG, str(error), todo, error.exit_code)


def status_of(findings: list[Finding]) -> int:
    """Return the exit status: 0, that of what is wrong, or 1 where that is several things."""
    statuses = {f.status for f in findings if f.verdict is Verdict.WRONG}
    return statuses.pop() if len(statuses) == 1 else int(bool(statuses))
