"""The manual page says what the parser understands: all of it, and nothing else."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import click
import pytest

from tagfs.cli.main import tagfs

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "man" / "tagfs.1"


def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_man", ROOT / "scripts" / "make_man.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_parser_gives() -> None:
    assert PAGE.read_text() == writer().page(), "run scripts/make_man.py"


def test_every_command_and_option_is_in_the_page_and_no_other() -> None:
    page = PAGE.read_text().replace("\\-", "-")
    offered = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", page))
    known: set[str] = set()

    def walk(group: click.Group) -> None:
        for name, command in group.commands.items():
            assert re.search(rf'^\.SS "(\w+ )?{name}', page, re.M), name
            for parameter in command.params:
                if isinstance(parameter, click.Option):
                    known.update(parameter.opts)
            if isinstance(command, click.Group):
                walk(command)

    walk(tagfs)
    assert known <= offered
    assert offered - known <= {"-person"}, "-person is part of a query"


def test_every_command_explains_itself() -> None:
    for name, command in writer().commands(tagfs):
        assert command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts}"


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is missing: roff is not checked")
def test_the_page_is_good_roff() -> None:
    shown = subprocess.run(
        ["groff", "-man", "-Tascii", "-ww", PAGE], capture_output=True, text=True
    )
    assert shown.stderr == ""
    assert "tagfs" in shown.stdout
