"""The one seam to the TFLite interpreter: ``ai_edge_litert``, or ``tflite_runtime`` instead."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagfs.errors import TagfsError


class NoInterpreter(TagfsError):
    """Neither interpreter is installed."""


def _interpreter_class() -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        try:
            from tflite_runtime.interpreter import Interpreter
        except ImportError:
            raise NoInterpreter(
                "Photos cannot be recognised: no TFLite interpreter is installed. "
                "Install the package ai-edge-litert."
            ) from None
    return Interpreter


class Network:
    """A loaded model with one image input and two outputs; runs on one thread."""

    def __init__(self, model: bytes) -> None:
        """Load and allocate.

        Raises:
            NoInterpreter: no interpreter is installed.
            ValueError: the interpreter does not accept the model.
        """
        self._interpreter = _interpreter_class()(model_content=model, num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        outputs = self._interpreter.get_output_details()
        self._outputs = [int(o["index"]) for o in outputs]
        self.side = int(self._input["shape"][1])

    def run(self, image: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return probabilities (classes,) and embedding (features,) of an image (n, n, 3)."""
        self._interpreter.set_tensor(int(self._input["index"]), image[None])
        self._interpreter.invoke()
        first, second = (self._interpreter.get_tensor(o)[0] for o in self._outputs)
        return first, second
