"""Either interpreter will do; neither is said with what to do."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
from tiny_network import CLASSES, SIDE, STRIDES, weights

from tagfs.recognise.convert import efficientnet_lite
from tagfs.recognise.interpreter import Network, NoInterpreter

MODEL = efficientnet_lite(weights(), STRIDES, SIDE)
IMAGE = np.zeros((SIDE, SIDE, 3), dtype=np.float32)


def run() -> np.ndarray:
    return Network(MODEL).run(IMAGE)[0]


def test_ai_edge_litert_is_used_where_it_is_installed() -> None:
    pytest.importorskip("ai_edge_litert.interpreter")
    assert run().shape == (CLASSES,)


def test_tflite_runtime_is_used_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        import tflite_runtime.interpreter  # noqa: F401
    except ImportError:
        # The same interpreter under its older name stands in for it.
        litert = pytest.importorskip("ai_edge_litert.interpreter")
        older = ModuleType("tflite_runtime.interpreter")
        older.Interpreter = litert.Interpreter  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "tflite_runtime", ModuleType("tflite_runtime"))
        monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", older)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert run().shape == (CLASSES,)


def test_without_any_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", None)
    with pytest.raises(NoInterpreter, match="Install the package ai-edge-litert"):
        run()
