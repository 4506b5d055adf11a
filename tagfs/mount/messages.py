"""What the command line and the daemon say to each other: lines of JSON, versioned and bounded.

A call is ``{"v": 1, "call": NAME, "with": {…}}``. Answers are any number of
``{"progress": [DONE, TOTAL]}`` and ``{"part": […]}`` (of a long list), then ``{"result": …}`` or
``{"error": {"kind": …, "message": …, "items": […]}}``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tagfs import errors
from tagfs.errors import TagfsError, Unfinished, Usage

VERSION = 1
LINE = 1024 * 1024
"""Bytes of one message, at most."""
PART = 256
"""Items of a list in one message."""

Progress = Callable[[int, int], None]
"""Called with (done, total)."""


class Broken(TagfsError):
    """tagfs itself is at fault; the log says where."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked for, with arguments that were not looked at yet."""

    name: str
    arguments: Mapping[str, object]

    def text(self, key: str) -> str:
        """Return an argument that must be a text."""
        value = self.arguments.get(key)
        if not isinstance(value, str):
            raise Usage(f"The call {self.name} needs a text as {key}.")
        return value

    def maybe_text(self, key: str) -> str | None:
        """Return a text that may be absent."""
        return None if self.arguments.get(key) is None else self.text(key)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return an argument that must be a list of texts; absent is empty."""
        value = self.arguments.get(key, [])
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise Usage(f"The call {self.name} needs texts as {key}.")
        return tuple(value)

    def maybe_number(self, key: str) -> float | None:
        """Return a number of at least 0 that may be absent."""
        value = self.arguments.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise Usage(f"The call {self.name} needs a number as {key}.")
        return float(value)

    def flag(self, key: str) -> bool:
        """Return a yes or no; absent is no."""
        return self.arguments.get(key) is True


def encode_call(call: Call) -> bytes:
    """Return a call as one line."""
    return _line({"v": VERSION, "call": call.name, "with": dict(call.arguments)})


def decode_call(line: bytes) -> Call:
    """Read a call; Usage for what is none, and for another version's."""
    message = _object(line)
    if message.get("v") != VERSION:
        raise Usage("The daemon is of another version of tagfs; unmount and mount again.")
    name, arguments = message.get("call"), message.get("with", {})
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise Usage("The call is malformed.")
    return Call(name, arguments)


def encode_progress(done: int, total: int) -> bytes:
    """Return how far a call is."""
    return _line({"progress": [done, total]})


def encode_result(value: object) -> list[bytes]:
    """Return the answer; a long list in parts."""
    if not isinstance(value, list):
        return [_line({"result": value})]
    parts = [_line({"part": value[i : i + PART]}) for i in range(0, len(value), PART)]
    return [*parts, _line({"result": []})]


def encode_error(error: BaseException) -> bytes:
    """Return an error. Of one that tagfs did not raise on purpose only the kind is told."""
    return _line({"error": error_as_json(error)})


def error_as_json(error: BaseException) -> dict[str, object]:
    """Return what the other side makes the same error of."""
    if isinstance(error, TagfsError):
        items = error.items if isinstance(error, Unfinished) else ()
        # An error of a room of its own is told as what the tree in tagfs.errors has it from.
        kinds = [kind.__name__ for kind in type(error).__mro__ if hasattr(errors, kind.__name__)]
        kind = "Broken" if isinstance(error, Broken) else kinds[0]
        return {"kind": kind, "message": str(error), "items": list(items)}
    return {"kind": "Broken", "message": f"Something unexpected happened ({type(error).__name__})."}


def error_from_json(raw: object) -> TagfsError:
    """Return the error that was told; one of a kind that is not known here is a Broken."""
    told = raw if isinstance(raw, dict) else {}
    message = str(told.get("message", "The daemon failed without a word."))
    kind = getattr(errors, str(told.get("kind")), None)
    if kind is Unfinished:
        items = told.get("items", [])
        return Unfinished(message, tuple(map(str, items)) if isinstance(items, list) else ())
    if isinstance(kind, type) and issubclass(kind, TagfsError):
        plain = kind.__new__(kind)  # some take more than a message, which matters to nobody here
        Exception.__init__(plain, message)
        return plain
    return Broken(message)


def innermost(error: BaseException) -> BaseException:
    """Return the one exception that nurseries have wrapped into groups."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


class Answers:
    """Puts an answer together from its lines."""

    def __init__(self, progress: Progress | None = None) -> None:
        self._progress = progress
        self._parts: list[object] = []

    def take(self, line: bytes) -> tuple[object] | None:
        """Take one line; return the result in a tuple when it is there. Raises what was told."""
        message = _object(line)
        if "error" in message:
            raise error_from_json(message["error"])
        if "part" in message:
            self._parts += _list(message["part"])
            return None
        if "progress" in message:
            done, total = _list(message["progress"])
            if self._progress is not None and isinstance(done, int) and isinstance(total, int):
                self._progress(done, total)
            return None
        result = message.get("result")
        return (self._parts + result if isinstance(result, list) else result,)


def _list(value: object) -> Sequence[object]:
    if not isinstance(value, list):
        raise Broken("The daemon's answer is malformed.")
    return value


def _object(line: bytes) -> Mapping[str, object]:
    try:
        message = json.loads(line)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise Usage("A message that is no JSON object came through the control socket.")
    return message


def _line(message: Mapping[str, object]) -> bytes:
    # Names that are no UTF-8 come as surrogates; escaped, they survive.
    line = json.dumps(message, ensure_ascii=True).encode() + b"\n"
    if len(line) > LINE:
        raise Usage("A message of more than 1 MiB does not go through the control socket.")
    return line
