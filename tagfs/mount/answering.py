"""Answering the kernel whatever happens: the wrapper around every handler."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import pyfuse3

from tagfs.errors import FileError
from tagfs.mount.errnos import errno_of, expected
from tagfs.mount.log import note


class Acts(Protocol):
    """Whoever answers for processes."""

    @property
    def acting(self) -> Callable[[int], None]:
        """What is called with the id of the process whose request is being answered."""

    @property
    def refused(self) -> Callable[[FileError], None]:
        """What is called with the error that a request is refused by."""


S = TypeVar("S", bound=Acts)
P = ParamSpec("P")
R = TypeVar("R")

Handler = Callable[Concatenate[S, P], Coroutine[Any, Any, R]]


def answered(handler: Handler[S, P, R]) -> Handler[S, P, R]:
    """Turn every exception into an answer: any other than FUSEError would end the mount."""

    @functools.wraps(handler)
    async def answer(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if args and isinstance(args[-1], pyfuse3.RequestContext):
            self.acting(args[-1].pid)
        try:
            return await handler(self, *args, **kwargs)
        except pyfuse3.FUSEError:
            raise
        except Exception as error:
            _take_note(handler.__name__, self, error)
            raise pyfuse3.FUSEError(errno_of(error)) from None

    return answer


def _take_note(what: str, acts: Acts, error: Exception) -> None:
    if not expected(error):
        note(f"{what} failed", error)
    elif isinstance(error, FileError):
        try:
            acts.refused(error)
        except Exception as worse:
            note("Telling of a refusal failed", worse)
