"""Faces are found and told apart as well as docs/accuracy.md says, on photos of real people."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest
from recognise_data import ROOT, data

from tagfs.recognise.packs import PackMissing

pytest.importorskip("ai_edge_litert", reason="the interpreter ai-edge-litert is not installed")


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_faces", ROOT / "scripts/bench/faces.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_faces"] = module  # where its dataclasses look for their module
    spec.loader.exec_module(module)
    return module


def missed(bench: ModuleType, every: int) -> tuple[int, list[object]]:
    """Return how many figures there are, and those below their bar."""
    data("data", "faces-dev"), data("data", "tagging-dev")
    try:
        find = bench.finder()
    except PackMissing as missing:
        pytest.skip(str(missing))
    figures = list(bench.figures(bench.look(data("data"), find, every)))
    return len(figures), [told for told in figures if not told.get("met", True)]


def test_an_eighth_of_the_people_is_told_apart(bench: ModuleType) -> None:
    number, below = missed(bench, 8)
    assert number > 20
    assert below == []


@pytest.mark.long
def test_all_bars_for_faces_are_met(bench: ModuleType) -> None:
    number, below = missed(bench, 1)
    assert number > 20
    assert below == []
