"""Turn a network of convolutions from ONNX into a TFLite model, the same to the bit each time.

Pictures change from (1, channels, h, w) to (1, h, w, channels). Block-quantised weights are
expanded, batch norms folded in float64 into what they follow, and weights stored as float16 or
float32. Only the operators that YuNet and SFace consist of are known; all other files are refused.
"""

from __future__ import annotations

import struct
from collections import Counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tagfs.errors import Integrity
from tagfs.recognise.graph import Act, Graph, Op
from tagfs.recognise.onnxfile import Node, Onnx

Array = NDArray[Any]
Stored = type[np.float16] | type[np.float32]

MAX_WEIGHTS: Final = 64 * 1024 * 1024
"""Numbers of one tensor, expanded, at most."""
_TO_LAST: Final = (0, 2, 3, 1)


def to_tflite(onnx: Onnx, description: str, store: Stored = np.float16) -> bytes:
    """Return the TFLite model of a network; its outputs are in the same order and shape.

    Args:
        onnx: with one picture (1, channels, h, w) as its input.
        description: stands in the model.
        store: the type of the weights of convolutions and dense layers.

    Raises:
        Integrity: an operator or its use is not known, or a constant is missing.
    """
    try:
        return _Converter(onnx, store).run(description)
    except (ArithmeticError, LookupError, TypeError, ValueError, struct.error) as error:
        raise Integrity(f"The model file is of another kind than expected ({error}).") from error


def expanded(quantised: Array, scales: Array, zeros: Array, axis: int, block: int) -> Array:
    """Return float32 weights: of each block along an axis, (quantised - zero) * scale."""
    if quantised.size > MAX_WEIGHTS:
        raise Integrity("The model file has a tensor that is larger than allowed.")
    if block > 0 and scales.ndim:
        size = quantised.shape[axis]
        blocks = np.arange(size) // block
        scales, zeros = scales.take(blocks, axis), zeros.take(blocks, axis)
    whole = quantised.astype(np.float32) - zeros.astype(np.float32)
    return np.asarray(whole * scales.astype(np.float32))


class _Converter:
    def __init__(self, onnx: Onnx, store: Stored) -> None:
        self._onnx = onnx
        self._store = store
        self._graph = Graph()
        self._constants = dict(onnx.constants)
        self._tensors: dict[str, int] = {}
        self._uses = Counter(name for node in onnx.nodes for name in node.inputs)
        self._uses.update(onnx.outputs)
        self._used_by = {name: node for node in onnx.nodes for name in node.inputs}
        self._done: set[str] = set()  # results that are part of an operator before them

    def run(self, description: str) -> bytes:
        one, channels, height, width = self._onnx.shape
        if one != 1:
            raise ValueError(f"a batch of {one}")
        image = self._graph.tensor(self._onnx.input, (1, height, width, channels))
        self._tensors[self._onnx.input] = image
        for node in self._onnx.nodes:
            if node.output not in self._done and not self._is_constant(node):
                self._tensors[node.output] = self._operator(node)
        outputs = [self._tensors[name] for name in self._onnx.outputs]
        return self._graph.model(description, [image], outputs)

    def _is_constant(self, node: Node) -> bool:
        """Compute an operator on constants."""
        if node.kind not in ("DequantizeLinear", "Reshape") or node.inputs[0] in self._tensors:
            return node.kind == "Constant"
        values = [self._constants[name] for name in node.inputs]
        if node.kind == "Reshape":
            self._constants[node.output] = values[0].reshape(values[1])
        else:
            axis, block = int(_number(node, "axis")), int(_number(node, "block_size"))
            quantised, scales, zeros = values
            self._constants[node.output] = expanded(quantised, scales, zeros, axis, block)
        return True

    def _sole(self, name: str, kind: str) -> Node | None:
        """Return the one operator of this kind that uses a result, if nothing else does."""
        node = self._used_by.get(name)
        return node if node and node.kind == kind and self._uses[name] == 1 else None

    def _operator(self, node: Node) -> int:
        graph, name = self._graph, node.output
        if node.kind not in ("Add", "Sub", "Mul") and node.inputs[0] not in self._tensors:
            raise KeyError(node.inputs[0])
        source = self._tensors[node.inputs[0]]
        match node.kind:
            case "Conv":
                return self._convolution(node, source)
            case "Gemm":
                return self._dense(node, source)
            case "BatchNormalization":
                scale, shift = self._norm(node)
                scaled = graph.combine(Op.MUL, source, name + "/scaled", self._numbers(name, scale))
                return graph.combine(Op.ADD, scaled, name, self._numbers(name + "/shift", shift))
            case "PRelu":
                slopes = self._constants[node.inputs[1]].reshape(1, 1, -1)
                return graph.combine(Op.PRELU, source, name, self._numbers(name, slopes))
            case "Add" if node.inputs[1] in self._tensors:
                return graph.combine(Op.ADD, source, name, self._tensors[node.inputs[1]])
            case "Add" | "Sub" | "Mul":
                other = self._constants[node.inputs[1]].reshape(-1)
                code = Op.MUL if node.kind == "Mul" else Op.ADD
                signed = -other if node.kind == "Sub" else other
                return graph.combine(code, source, name, self._numbers(name, signed))
            case "Sigmoid":
                return graph.operator(
                    Op.LOGISTIC, [source], graph.tensor(name, graph.shapes[source]), {}
                )
            case "MaxPool":
                sides = {*_numbers(node, "kernel_shape"), *_numbers(node, "strides")}
                (side,) = sides  # squares that do not overlap
                if any(_numbers(node, "pads")):
                    raise ValueError("padded maximum")
                return graph.max_pool(source, name, side)
            case "Resize":
                return self._enlarged(node, source)
            case "Dropout":
                return source
            case "Transpose" if _numbers(node, "perm") == _TO_LAST:
                return source  # pictures have their channels last already
            case "Flatten":
                return source  # `_dense` reads a picture
            case "Reshape":
                return self._as_rows(node, source)
        raise ValueError(f"the operator {node.kind}")

    def _numbers(self, name: str, value: Array) -> int:
        return self._graph.constant(name + "/numbers", np.ascontiguousarray(value, np.float32))

    def _norm(self, node: Node) -> tuple[Array, Array]:
        """Return scale and shift of a batch norm, float64."""
        gamma, beta, mean, variance = (
            self._constants[name].astype(np.float64) for name in node.inputs[1:5]
        )
        scale = gamma / np.sqrt(variance + float(_number(node, "epsilon")))
        return scale, beta - mean * scale

    def _followed(self, name: str, kernel: Array, bias: Array) -> tuple[str, Array, Array]:
        """Return the result's name, weights and bias with a batch norm that follows folded in."""
        norm = self._sole(name, "BatchNormalization")
        if norm is None:
            return name, kernel, bias
        scale, shift = self._norm(norm)
        self._done.add(norm.output)
        spread = scale.reshape(-1, *[1] * (kernel.ndim - 1))
        return norm.output, kernel * spread, bias * scale + shift

    def _convolution(self, node: Node, source: int) -> int:
        kernel = self._constants[node.inputs[1]].astype(np.float64)
        bias = np.zeros(kernel.shape[0])
        if len(node.inputs) > 2:
            bias = self._constants[node.inputs[2]].astype(np.float64)
        if int(_number(node, "group", 1)) != self._graph.shapes[source][3] // kernel.shape[1]:
            raise ValueError("a convolution in groups")
        if {*_numbers(node, "dilations")} - {1}:
            raise ValueError("a dilated convolution")
        name, kernel, bias = self._followed(node.output, kernel, bias)
        act = Act.NONE
        if relu := self._sole(name, "Relu"):
            self._done.add(relu.output)
            name, act = relu.output, Act.RELU
        (stride,) = {*_numbers(node, "strides")}
        (padding,) = {*_numbers(node, "pads")}
        same = stride == 1 and 2 * padding + 1 == kernel.shape[2] == kernel.shape[3]
        if padding and not same:  # "same" of TensorFlow pads at one end where the stride is 2
            source = self._graph.pad(source, name + "/padded", padding)
        made = self._graph.convolve(
            source,
            name,
            kernel,
            bias.astype(np.float32),
            stride=stride,
            act=act,
            same=same,
            store=self._store,
        )
        self._tensors[name] = made
        return made

    def _dense(self, node: Node, source: int) -> int:
        if not _number(node, "transB", 0) or _number(node, "transA", 0):
            raise ValueError("a transposed dense layer")
        weights = self._constants[node.inputs[1]].astype(np.float64)
        bias = self._constants[node.inputs[2]].astype(np.float64)
        name, weights, bias = self._followed(node.output, weights, bias)
        _, height, width, channels = self._graph.shapes[source]
        by_place = weights.reshape(-1, channels, height, width).transpose(_TO_LAST)
        laid = np.ascontiguousarray(by_place.reshape(weights.shape)).astype(self._store)
        flat = self._graph.reshape(source, name + "/flat", (1, laid.shape[1]))
        made = self._graph.dense(flat, name, laid, bias)
        self._tensors[name] = made
        return made

    def _enlarged(self, node: Node, source: int) -> int:
        wanted = {"mode": b"nearest", "coordinate_transformation_mode": b"asymmetric"}
        wanted["nearest_mode"] = b"floor"
        if any(node.attributes.get(key) != value for key, value in wanted.items()):
            raise ValueError("a way of resizing")
        _, _, times, across = (float(v) for v in self._constants[node.inputs[2]])
        if times != across or not times.is_integer():
            raise ValueError("a factor of resizing")
        return self._graph.enlarge(source, node.output, int(times))

    def _as_rows(self, node: Node, source: int) -> int:
        """Add the places of a picture as rows: (1, h * w, channels)."""
        one, _, columns = (int(n) for n in self._constants[node.inputs[1]])
        _, height, width, channels = self._graph.shapes[source]
        if (one, columns) != (1, channels):
            raise ValueError("a change of shape")
        return self._graph.reshape(source, node.output, (1, height * width, channels))


def _number(node: Node, name: str, otherwise: float | None = None) -> float:
    value = node.attributes.get(name, otherwise)
    if not isinstance(value, int | float):
        raise ValueError(f"{node.kind} without {name}")
    return value


def _numbers(node: Node, name: str) -> tuple[int, ...]:
    value = node.attributes.get(name, ())
    if not isinstance(value, tuple):
        raise ValueError(f"{node.kind} without {name}")
    return value
