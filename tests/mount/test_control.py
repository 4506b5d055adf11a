"""The control socket: who is heard, what is bounded, what happens to calls that are given up."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio

from tagfs import errors
from tagfs.errors import Integrity, MountError, TagfsError, Unfinished, Usage
from tagfs.mount import control
from tagfs.mount.control import Line
from tagfs.mount.messages import (
    LINE,
    Answers,
    Broken,
    Call,
    Progress,
    decode_call,
    encode_call,
    encode_error,
    encode_result,
    error_as_json,
    error_from_json,
)


@asynccontextmanager
async def serving(state: Path, answer: control.Answer) -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(control.serve, control.listen(state), answer, nursery)
        yield nursery
        nursery.cancel_scope.cancel()


def call(state: Path, name: str, progress: Progress | None = None, **arguments: object) -> object:
    line = Line.to(state)
    assert line is not None
    return line.call(Call(name, arguments), progress)


async def ask(state: Path, name: str, **arguments: object) -> object:
    return await trio.to_thread.run_sync(lambda: call(state, name, **arguments))


async def echo(asked: Call, progress: Progress) -> object:
    if asked.name == "fail":
        raise Integrity("Object 17 does not verify.")
    if asked.name == "break":
        raise KeyError("holiday.jpg")
    if asked.name == "count":
        for i in range(3):
            progress(i + 1, 3)
            await trio.sleep(0.01)
    return asked.arguments.get("value")


def test_a_call_is_answered_with_its_result_or_its_error(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, echo):
            for value in (None, 7, "é\udcff", ["x"], {"a": [1]}, [], list(range(10_000))):
                assert await ask(tmp_path, "echo", value=value) == value
            with pytest.raises(Integrity, match="Object 17"):
                await ask(tmp_path, "fail")
            with pytest.raises(Broken) as caught:
                await ask(tmp_path, "break")
            assert "KeyError" in str(caught.value)
            assert "holiday" not in str(caught.value)
            assert await ask(tmp_path, "echo", value="still here") == "still here"

    trio.run(main)


def test_progress_is_told_on_the_way(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    async def main() -> None:
        async with serving(tmp_path, echo):
            await trio.to_thread.run_sync(
                lambda: call(tmp_path, "count", lambda done, total: seen.append((done, total)))
            )

    trio.run(main)
    assert seen[0] == (1, 3)
    assert sorted(seen) == seen


def test_nobody_is_there_when_no_daemon_runs(tmp_path: Path) -> None:
    assert Line.to(tmp_path) is None
    assert Line.to(tmp_path / "absent") is None

    async def main() -> None:
        async with serving(tmp_path, echo):
            pass

    trio.run(main)
    assert Line.to(tmp_path) is None  # the socket's file is left, and nobody listens


def test_a_path_longer_than_a_socket_address_works(tmp_path: Path) -> None:
    state = tmp_path / ("d" * 120) / ("e" * 120)
    state.mkdir(parents=True)

    async def main() -> None:
        async with serving(state, echo):
            assert await ask(state, "echo", value=1) == 1

    trio.run(main)


def test_a_folder_that_others_may_enter_is_not_trusted(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path, echo):
            (tmp_path / "run").chmod(0o755)
            with pytest.raises(MountError, match="alone"):
                Line.to(tmp_path)

    trio.run(main)


def test_processes_of_other_users_are_not_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with serving(tmp_path, echo):
            stream = await trio.open_unix_socket(str(tmp_path / "run" / "control"))
            monkeypatch.setattr(os, "geteuid", lambda: 4242)
            await stream.send_all(encode_call(Call("echo", {"value": 1})))
            with trio.fail_after(5):
                assert await received(stream) == b""

    trio.run(main)


async def received(stream: trio.SocketStream) -> bytes:
    data = b""
    with suppress(trio.BrokenResourceError):  # hung up on before all was read
        while more := await stream.receive_some():
            data += more
    return data


@pytest.mark.parametrize(
    "sent",
    [
        b"no json\n",
        b"[]\n",
        b'{"v": 1}\n',
        b'{"v": 1, "call": 3}\n',
        b'{"v": 2, "call": "echo"}\n',
        b'{"v": 1, "call": "echo", "with": []}\n',
        b"x" * (LINE + 70_000),
    ],
)
def test_what_is_no_call_gets_an_error_and_nothing_else(tmp_path: Path, sent: bytes) -> None:
    async def main() -> None:
        async with serving(tmp_path, echo):
            stream = await trio.open_unix_socket(str(tmp_path / "run" / "control"))
            with trio.fail_after(5):
                try:
                    await stream.send_all(sent)
                    answer = await received(stream)
                except trio.BrokenResourceError:
                    answer = b'{"error": {"kind": "Usage"}}'  # hung up on in the middle
            assert json.loads(answer)["error"]["kind"] == "Usage"
            assert await ask(tmp_path, "echo", value=1) == 1

    trio.run(main)


def test_a_caller_who_hangs_up_cancels_what_was_asked(tmp_path: Path) -> None:
    async def main() -> None:
        begun, cancelled = trio.Event(), trio.Event()

        async def forever(asked: Call, progress: Progress) -> object:
            begun.set()
            try:
                await trio.sleep_forever()
            finally:
                cancelled.set()

        async with serving(tmp_path, forever):
            stream = await trio.open_unix_socket(str(tmp_path / "run" / "control"))
            await stream.send_all(encode_call(Call("x", {})))
            await begun.wait()
            await stream.aclose()
            with trio.fail_after(5):
                await cancelled.wait()

    trio.run(main)


def test_a_daemon_that_ends_before_it_answers_is_said_to(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o700)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "run" / "control"))
    listener.listen()
    line = Line.to(tmp_path)
    assert line is not None
    listener.close()
    with pytest.raises(Broken, match="ended before"):
        line.call(Call("status", {}))


def every_error() -> list[type[TagfsError]]:
    found: list[type[TagfsError]] = [TagfsError]
    for kind in found:
        found += kind.__subclasses__()
    return [kind for kind in found if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", every_error())
def test_every_error_arrives_as_what_it_was(kind: type[TagfsError]) -> None:
    error = kind.__new__(kind)
    Exception.__init__(error, "what happened")
    if isinstance(error, Unfinished):
        error.items = ("one",)
    back = error_from_json(json.loads(json.dumps(error_as_json(error))))
    assert type(back) is kind
    assert str(back) == "what happened"
    assert back.exit_code == kind.exit_code
    if isinstance(back, Unfinished):
        assert back.items == ("one",)


def test_an_error_of_one_room_arrives_as_its_ancestor() -> None:
    class Caret(Usage):
        pass

    assert type(error_from_json(error_as_json(Caret("x")))) is Usage
    assert type(error_from_json({"kind": "Exception", "message": "x"})) is Broken
    assert type(error_from_json("nonsense")) is Broken


@pytest.mark.parametrize(
    "take",
    [
        lambda c: c.text("absent"),
        lambda c: c.text("number"),
        lambda c: c.texts("number"),
        lambda c: c.texts("mixed"),
        lambda c: c.maybe_number("text"),
        lambda c: c.maybe_number("yes"),
        lambda c: c.maybe_number("negative"),
        lambda c: c.maybe_number("nan"),
    ],
)
def test_arguments_of_a_wrong_kind_are_usage_errors(take: Callable[[Call], object]) -> None:
    given = {"number": 1, "mixed": ["a", 1], "text": "x", "yes": True, "negative": -1}
    with pytest.raises(Usage):
        take(Call("x", {**given, "nan": float("nan")}))


def test_messages_are_bounded_and_survive_the_way() -> None:
    asked = Call("search", {"query": "dög\n\udc80"})
    assert decode_call(encode_call(asked)) == asked
    with pytest.raises(Usage, match="1 MiB"):
        encode_call(Call("x", {"a": "x" * LINE}))
    answers = Answers()
    lines = encode_result([{"n": i} for i in range(1000)])
    assert len(lines) > 2
    assert [answers.take(line) for line in lines[:-1]] == [None] * (len(lines) - 1)
    assert answers.take(lines[-1]) == ([{"n": i} for i in range(1000)],)
    with pytest.raises(Unfinished):
        answers.take(encode_error(Unfinished("left")))
