"""Turn the weights of EfficientNet-Lite into a TFLite model, the same to the bit each time.

The architecture is that of EfficientNet-Lite (Tan and Le, 2019, without squeeze-and-excitation,
ReLU6; https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite): widths,
kernels and expansions are read off the shapes of the weights, only the strides are a table.
Batch norms are folded into the convolutions in float64, weights are stored as float16, biases as
float32. The model has one input (1, n, n, 3), RGB, (value - 127) / 128, and four outputs: the
probabilities (1, classes), the pooled embedding (1, features), and the feature maps that our own
heads look at (own_heads.py): what the last block gives and what goes into the last strided one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagfs.errors import Integrity
from tagfs.recognise.flat import Scalar
from tagfs.recognise.graph import Act, Graph, Op

Array = NDArray[Any]

LITE2_STRIDES = (1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1)
"""Of the 21 blocks of EfficientNet-Lite2."""
EPSILON = 1e-3
"""Of the batch norms, as the network was trained."""


def _folded(tensors: Mapping[str, Array], conv: str, norm: str) -> tuple[Array, Array]:
    """Return kernel (out, in, h, w) and bias (out) with the batch norm folded in."""
    kernel = tensors[conv + ".weight"].astype(np.float64)
    variance = tensors[norm + ".running_var"].astype(np.float64)
    scale = tensors[norm + ".weight"].astype(np.float64) / np.sqrt(variance + EPSILON)
    mean = tensors[norm + ".running_mean"].astype(np.float64)
    bias = tensors[norm + ".bias"].astype(np.float64) - mean * scale
    return kernel * scale[:, None, None, None], bias.astype(np.float32)


def _block(graph: Graph, source: int, name: str, tensors: Mapping[str, Array], stride: int) -> int:
    """Add one inverted residual block (Sandler et al., 2018)."""
    x = source
    if f"{name}._expand_conv.weight" in tensors:
        folded = _folded(tensors, f"{name}._expand_conv", f"{name}._bn0")
        x = graph.convolve(x, f"{name}/expand", *folded, act=Act.RELU6)
    folded = _folded(tensors, f"{name}._depthwise_conv", f"{name}._bn1")
    x = graph.convolve(x, f"{name}/depthwise", *folded, stride=stride, act=Act.RELU6)
    folded = _folded(tensors, f"{name}._project_conv", f"{name}._bn2")
    x = graph.convolve(x, f"{name}/project", *folded)
    if stride == 1 and graph.shapes[x] == graph.shapes[source]:
        x = graph.combine(Op.ADD, x, f"{name}/add", source)
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
    graph = Graph()
    image = graph.tensor("image", (1, side, side, 3))
    try:
        folded = _folded(tensors, "_conv_stem", "_bn0")
        x = graph.convolve(image, "stem", *folded, stride=2, act=Act.RELU6)
        middle = x
        for index, stride in enumerate(strides):
            middle = x if stride > 1 else middle
            x = _block(graph, x, f"_blocks.{index}", tensors, stride)
        last = x
        folded = _folded(tensors, "_conv_head", "_bn1")
        x = graph.convolve(x, "head", *folded, act=Act.RELU6)
        dense = tensors["_fc.weight"]
        bias = tensors["_fc.bias"]
    except KeyError as error:
        raise Integrity(f"The model file lacks the weights {error}.") from None
    features = graph.shapes[x][3]
    axes = graph.constant("axes", np.array([1, 2], np.int32))
    pooled = graph.tensor("embedding", (1, features))
    graph.operator(Op.MEAN, [x, axes], pooled, {0: Scalar("b", 0)})
    weights = graph.constant("classes/weights", dense.astype(np.float16))
    biases = graph.constant("classes/bias", bias.astype(np.float32))
    logits = graph.tensor("logits", (1, dense.shape[0]))
    graph.operator(Op.DENSE, [pooled, weights, biases], logits, {0: Scalar("b", Act.NONE)})
    result = graph.tensor("probabilities", (1, dense.shape[0]))
    graph.operator(Op.SOFTMAX, [logits], result, {0: Scalar("f", 1.0)})
    outputs = [result, pooled, last, middle]
    return graph.model("EfficientNet-Lite, float16 weights", [image], outputs)
