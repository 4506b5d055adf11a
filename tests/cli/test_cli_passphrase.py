"""Where the passphrase comes from, and that it stays nowhere."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest

from tagfs.cli import passphrase
from tagfs.cli.passphrase import Source
from tagfs.errors import TagfsError, Usage
from tagfs.mount.launch import environment
from tagfs.vault.slots import Passphrase, Words
from tagfs.vault.words import to_words


def test_a_file_comes_before_a_command_and_a_command_before_the_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "p").write_text("from the file\r\nsecond line\n")
    monkeypatch.setenv("TAGFS_PASSPHRASE", "from the environment")
    assert Source(str(home / "p"), "echo from the command").find() == "from the file"
    assert Source(None, "echo from the command").find() == "from the command"
    assert Source().find() == "from the environment"


def test_the_environment_is_read_once_and_nothing_inherits_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TAGFS_PASSPHRASE", "secret")
    assert "TAGFS_PASSPHRASE" not in environment()
    assert Source().find() == "secret"
    assert "TAGFS_PASSPHRASE" not in os.environ
    assert Source().find() is None


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "empty"), (b"  \n", "empty"), (b"\xff", "UTF-8"), (b"x" * 5000, "longer")],
)
def test_what_is_no_passphrase_is_refused(home: Path, content: bytes, why: str) -> None:
    (home / "p").write_bytes(content)
    with pytest.raises(Usage, match=why):
        Source(str(home / "p")).find()


def test_a_command_that_fails_is_said_to(home: Path) -> None:
    with pytest.raises(TagfsError, match="status 3"):
        Source(None, "echo half; exit 3").find()


def test_without_a_terminal_nobody_is_asked(home: Path) -> None:
    with pytest.raises(Usage, match="--passphrase-file"):
        passphrase.known(Source())
    with pytest.raises(Usage, match="--passphrase-file"):
        passphrase.new(Source())


def test_recovery_words_are_known_by_their_checksum() -> None:
    words = to_words(bytes(range(32)))
    assert passphrase.secret_of(words.upper()) == Words(words.upper())
    wrong = " ".join(words.split()[::-1])
    assert passphrase.secret_of(wrong) == Passphrase(wrong)
    assert passphrase.secret_of("abandon") == Passphrase("abandon")


class Input:
    """A standard input that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Input())


@pytest.mark.usefixtures("terminal")
def test_a_new_passphrase_is_asked_for_until_it_was_typed_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter(["one thing", "another", "the same thing", "the same thing"])
    monkeypatch.setattr(click, "prompt", lambda *_, **__: next(answers))
    assert passphrase.new(Source()) == Passphrase("the same thing")


@pytest.mark.usefixtures("terminal")
def test_enter_takes_the_six_words_that_were_offered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(passphrase, "offer_passphrase", lambda: "one two three four five six")
    answers = iter(["", "one  two three four five six "])
    monkeypatch.setattr(click, "prompt", lambda *_, **__: next(answers))
    assert passphrase.new(Source()) == Passphrase("one two three four five six")
    assert "one two three four five six" in capsys.readouterr().err


def test_a_weak_passphrase_is_warned_about(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert passphrase.new(Source(None, "echo hello")) == Passphrase("hello")
    assert "guessed" in capsys.readouterr().err
    passphrase.new(Source(None, "echo zoo abandon able velvet orbit lamp"))
    assert "guessed" not in capsys.readouterr().err
