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
    """A loaded model with one image input; runs on one thread."""

    def __init__(self, model: bytes) -> None:
        """Load and allocate.

        Raises:
            NoInterpreter: no interpreter is installed.
            ValueError: the interpreter does not accept the model.
        """
        self._interpreter = _interpreter_class()(model_content=model, num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = self._interpreter.get_output_details()
        self.side = int(self._input["shape"][1])
        self.takes_bytes = np.dtype(self._input["dtype"]) == np.uint8

    def run(self, image: NDArray[Any]) -> list[NDArray[np.float32]]:
        """Return every output, the first dimension (of one picture) taken off.

        ``image`` is RGB of shape (side, side, 3): uint8 where the network takes bytes, else
        float32 scaled by who calls. Quantised outputs come as the numbers they stand for.
        """
        self._interpreter.set_tensor(int(self._input["index"]), image[None])
        self._interpreter.invoke()
        return [self._read(output) for output in self._outputs]

    def _read(self, output: Any) -> NDArray[np.float32]:
        values: NDArray[Any] = self._interpreter.get_tensor(int(output["index"]))[0]
        if values.dtype == np.float32:
            return values
        scale, zero = output["quantization"]
        found: NDArray[np.float32] = (values.astype(np.float32) - zero) * np.float32(scale)
        return found
