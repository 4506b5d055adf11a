"""Turn the weights of EfficientNet-Lite into a TFLite model, the same to the bit each time.

The architecture is that of EfficientNet-Lite (Tan and Le, 2019, without squeeze-and-excitation,
ReLU6; https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite): widths,
kernels and expansions are read off the shapes of the weights, only the strides are a table.
Batch norms are folded into the convolutions in float64, weights are stored as float16, biases as
float32. The model has one input (1, n, n, 3), RGB, (value - 127) / 128, and two outputs: the
probabilities (1, classes) and the pooled embedding (1, features).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagfs.errors import Integrity
from tagfs.recognise.flat import Blob, Node, Numbers, Scalar, Table, Tables, Text, write

Array = NDArray[Any]

LITE2_STRIDES = (1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1)
"""Of the 21 blocks of EfficientNet-Lite2."""
EPSILON = 1e-3
"""Of the batch norms, as the network was trained."""

# Numbers of the TFLite schema (schema.fbs, version 3).
_ADD, _CONV, _DEPTHWISE, _DEQUANTIZE, _DENSE, _SOFTMAX, _MEAN = 0, 3, 4, 6, 9, 25, 40
_OPTIONS = {_ADD: 11, _CONV: 1, _DEPTHWISE: 2, _DEQUANTIZE: 38, _DENSE: 8, _SOFTMAX: 9, _MEAN: 27}
_TYPES = {np.dtype(np.float32): 0, np.dtype(np.float16): 1, np.dtype(np.int32): 2}
_RELU6 = 3
_FLOAT32 = np.dtype(np.float32)


class _Graph:
    """A TFLite graph that grows an operator at a time; tensors are known by number."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self._tensors: list[Table] = []
        self._buffers = [Table({})]  # buffer 0 means: no data
        self._operators: list[Table] = []
        self._codes: list[int] = []

    def tensor(self, name: str, shape: Sequence[int], dtype: np.dtype[Any] = _FLOAT32) -> int:
        """Add a tensor that an operator fills."""
        return self._add(name, shape, dtype, 0)

    def constant(self, name: str, value: Array) -> int:
        """Add a tensor with data; float16 is expanded when the model is loaded."""
        little = value.astype(value.dtype.newbyteorder("<"))
        self._buffers.append(Table({0: Blob(little.tobytes())}))
        number = self._add(name, value.shape, value.dtype, len(self._buffers) - 1)
        if value.dtype != np.float16:
            return number
        wide = self.tensor(name + "/float32", value.shape)
        self.operator(_DEQUANTIZE, [number], wide, {})
        return wide

    def _add(self, name: str, shape: Sequence[int], dtype: np.dtype[Any], buffer: int) -> int:
        self.shapes.append(tuple(shape))
        fields: dict[int, Scalar | Node] = {
            0: Numbers("i", tuple(shape)),
            1: Scalar("b", _TYPES[np.dtype(dtype)]),
            2: Scalar("I", buffer),
            3: Text(name),
        }
        self._tensors.append(Table(fields))
        return len(self._tensors) - 1

    def operator(
        self, code: int, inputs: Sequence[int], output: int, options: Mapping[int, Scalar]
    ) -> int:
        """Add an operator; return its output."""
        if code not in self._codes:
            self._codes.append(code)
        fields: dict[int, Scalar | Node] = {
            0: Scalar("I", self._codes.index(code)),
            1: Numbers("i", inputs),
            2: Numbers("i", [output]),
            3: Scalar("B", _OPTIONS[code]),
            4: Table(dict(options)),
        }
        self._operators.append(Table(fields))
        return output

    def model(self, description: str, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Return the whole model."""
        subgraph = Table(
            {
                0: Tables(self._tensors),
                1: Numbers("i", inputs),
                2: Numbers("i", outputs),
                3: Tables(self._operators),
                4: Text("main"),
            }
        )
        codes = [
            Table({0: Scalar("b", c), 2: Scalar("i", 1), 3: Scalar("i", c)}) for c in self._codes
        ]
        root = Table(
            {
                0: Scalar("I", 3),
                1: Tables(codes),
                2: Tables([subgraph]),
                3: Text(description),
                4: Tables(self._buffers),
            }
        )
        return write(root, b"TFL3")


def _folded(tensors: Mapping[str, Array], conv: str, norm: str) -> tuple[Array, Array]:
    """Return kernel (out, in, h, w) and bias (out) with the batch norm folded in."""
    kernel = tensors[conv + ".weight"].astype(np.float64)
    variance = tensors[norm + ".running_var"].astype(np.float64)
    scale = tensors[norm + ".weight"].astype(np.float64) / np.sqrt(variance + EPSILON)
    mean = tensors[norm + ".running_mean"].astype(np.float64)
    bias = tensors[norm + ".bias"].astype(np.float64) - mean * scale
    return kernel * scale[:, None, None, None], bias.astype(np.float32)


def _convolve(
    graph: _Graph, source: int, name: str, folded: tuple[Array, Array], stride: int, act: int
) -> int:
    """Add a convolution (depthwise where the kernel has one input channel), padded 'same'."""
    kernel, bias = folded
    _, height, width, channels = graph.shapes[source]
    depthwise = kernel.shape[1] == 1 and channels > 1
    # TFLite has (out, h, w, in) and for depthwise (1, h, w, out).
    laid = kernel.transpose(1, 2, 3, 0) if depthwise else kernel.transpose(0, 2, 3, 1)
    weights = graph.constant(name + "/weights", np.ascontiguousarray(laid.astype(np.float16)))
    biases = graph.constant(name + "/bias", bias)
    shape = (1, -(-height // stride), -(-width // stride), kernel.shape[0])
    out = graph.tensor(name, shape)
    options = {0: Scalar("b", 0), 1: Scalar("i", stride), 2: Scalar("i", stride)}
    if depthwise:
        options |= {3: Scalar("i", 1), 4: Scalar("b", act)}
        return graph.operator(_DEPTHWISE, [source, weights, biases], out, options)
    options |= {3: Scalar("b", act)}
    return graph.operator(_CONV, [source, weights, biases], out, options)


def _block(graph: _Graph, source: int, name: str, tensors: Mapping[str, Array], stride: int) -> int:
    """Add one inverted residual block (Sandler et al., 2018)."""
    x = source
    if f"{name}._expand_conv.weight" in tensors:
        folded = _folded(tensors, f"{name}._expand_conv", f"{name}._bn0")
        x = _convolve(graph, x, f"{name}/expand", folded, 1, _RELU6)
    folded = _folded(tensors, f"{name}._depthwise_conv", f"{name}._bn1")
    x = _convolve(graph, x, f"{name}/depthwise", folded, stride, _RELU6)
    folded = _folded(tensors, f"{name}._project_conv", f"{name}._bn2")
    x = _convolve(graph, x, f"{name}/project", folded, 1, 0)
    if stride == 1 and graph.shapes[x] == graph.shapes[source]:
        total = graph.tensor(f"{name}/add", graph.shapes[x])
        x = graph.operator(_ADD, [x, source], total, {0: Scalar("b", 0)})
    return x


def efficientnet_lite(tensors: Mapping[str, Array], strides: Sequence[int], side: int) -> bytes:
    """Return the TFLite model of these weights.

    Args:
        tensors: by the names of the PyTorch module (``_conv_stem.weight``, …).
        strides: of the blocks, in order.
        side: pixels of the square input.

    Raises:
        Integrity: a weight is missing.
    """
    graph = _Graph()
    image = graph.tensor("image", (1, side, side, 3))
    try:
        x = _convolve(graph, image, "stem", _folded(tensors, "_conv_stem", "_bn0"), 2, _RELU6)
        for index, stride in enumerate(strides):
            x = _block(graph, x, f"_blocks.{index}", tensors, stride)
        x = _convolve(graph, x, "head", _folded(tensors, "_conv_head", "_bn1"), 1, _RELU6)
        dense = tensors["_fc.weight"]
        bias = tensors["_fc.bias"]
    except KeyError as error:
        raise Integrity(f"The model file lacks the weights {error}.") from None
    features = graph.shapes[x][3]
    axes = graph.constant("axes", np.array([1, 2], np.int32))
    pooled = graph.tensor("embedding", (1, features))
    graph.operator(_MEAN, [x, axes], pooled, {0: Scalar("b", 0)})
    weights = graph.constant("classes/weights", dense.astype(np.float16))
    biases = graph.constant("classes/bias", bias.astype(np.float32))
    logits = graph.tensor("logits", (1, dense.shape[0]))
    graph.operator(_DENSE, [pooled, weights, biases], logits, {0: Scalar("b", 0)})
    result = graph.tensor("probabilities", (1, dense.shape[0]))
    graph.operator(_SOFTMAX, [logits], result, {0: Scalar("f", 1.0)})
    return graph.model("EfficientNet-Lite, float16 weights", [image], [result, pooled])
