"""Names are whatever bytes somebody chose; on a terminal they are shown and steer nothing."""

from __future__ import annotations

import pytest

from tagfs.cli.readable import readable, readable_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("IMG_1.jpg", "IMG_1.jpg"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("a\tb\r", r"a\tb\r"),
        ("\x7f\x9b", r"\x7f\x9b"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("שלום 写真 👨‍👩‍👧 é\u0301", "שלום 写真 👨‍👩‍👧 é\u0301"),
        ("", ""),
    ],
)
def test_what_acts_on_a_terminal_is_escaped_and_all_else_stays(text: str, shown: str) -> None:
    assert readable(text) == readable_line(text) == shown


def test_lines_end_in_text_and_not_within_a_name() -> None:
    assert readable("one\ntwo\x1b") == "one\ntwo\\x1b"
    assert readable_line("one\ntwo") == r"one\ntwo"
