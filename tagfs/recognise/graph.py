"""A TFLite model that grows an operator at a time, the same to the bit each time.

Numbers are those of the TFLite schema (schema.fbs, version 3). Pictures are (1, h, w, channels).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tagfs.recognise.flat import Blob, Node, Numbers, Scalar, Table, Tables, Text, write

Array = NDArray[Any]


class Op(IntEnum):
    """Operators by their number in the schema."""

    ADD = 0
    CONV = 3
    DEPTHWISE = 4
    DEQUANTIZE = 6
    DENSE = 9
    LOGISTIC = 14
    MAX_POOL = 17
    MUL = 18
    RESHAPE = 22
    SOFTMAX = 25
    PAD = 34
    MEAN = 40
    PRELU = 54
    NEAREST = 97


class Act(IntEnum):
    """What a convolution, dense layer or sum applies to its result."""

    NONE = 0
    RELU = 1
    RELU6 = 3


_OPTIONS: Final = {
    Op.ADD: 11,
    Op.CONV: 1,
    Op.DEPTHWISE: 2,
    Op.DEQUANTIZE: 38,
    Op.DENSE: 8,
    Op.MAX_POOL: 5,
    Op.MUL: 21,
    Op.RESHAPE: 17,
    Op.SOFTMAX: 9,
    Op.PAD: 22,
    Op.MEAN: 27,
    Op.NEAREST: 74,
}
"""The number of each operator's table of options; the others have none."""
_TYPES: Final = {np.dtype(np.float32): 0, np.dtype(np.float16): 1, np.dtype(np.int32): 2}
_FLOAT32: Final = np.dtype(np.float32)
_SAME, _VALID = 0, 1


class Graph:
    """A TFLite graph; tensors are known by number."""

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
        self.operator(Op.DEQUANTIZE, [number], wide, {})
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
        self, code: Op, inputs: Sequence[int], output: int, options: Mapping[int, Scalar]
    ) -> int:
        """Add an operator; return its output."""
        if code not in self._codes:
            self._codes.append(code)
        fields: dict[int, Scalar | Node] = {
            0: Scalar("I", self._codes.index(code)),
            1: Numbers("i", inputs),
            2: Numbers("i", [output]),
        }
        if code in _OPTIONS:
            fields |= {3: Scalar("B", _OPTIONS[code]), 4: Table(dict(options))}
        self._operators.append(Table(fields))
        return output

    def convolve(
        self,
        source: int,
        name: str,
        kernel: Array,
        bias: Array,
        *,
        stride: int = 1,
        act: Act = Act.NONE,
        same: bool = True,
        store: type[np.floating[Any]] = np.float16,
    ) -> int:
        """Add a convolution, depthwise where the kernel has one input channel of several.

        Args:
            source: a picture.
            name: of the result; weights are named after it.
            kernel: (out, in, h, w).
            bias: (out,), float32.
            stride: of both axes.
            act: applied to the result.
            same: padded as TensorFlow's "same" pads; else not at all.
            store: the type that the kernel is stored in.
        """
        _, height, width, channels = self.shapes[source]
        depthwise = kernel.shape[1] == 1 and channels > 1
        # TFLite has (out, h, w, in) and for depthwise (1, h, w, out).
        laid = kernel.transpose(1, 2, 3, 0) if depthwise else kernel.transpose(0, 2, 3, 1)
        weights = self.constant(name + "/weights", np.ascontiguousarray(laid.astype(store)))
        biases = self.constant(name + "/bias", bias)
        if not same:
            height, width = height - kernel.shape[2] + 1, width - kernel.shape[3] + 1
        out = self.tensor(name, (1, -(-height // stride), -(-width // stride), kernel.shape[0]))
        options = {0: Scalar("b", _SAME if same else _VALID)}
        options |= {1: Scalar("i", stride), 2: Scalar("i", stride)}
        if depthwise:
            options |= {3: Scalar("i", 1), 4: Scalar("b", act)}
            return self.operator(Op.DEPTHWISE, [source, weights, biases], out, options)
        options |= {3: Scalar("b", act)}
        return self.operator(Op.CONV, [source, weights, biases], out, options)

    def pad(self, source: int, name: str, by: int) -> int:
        """Add ``by`` zeros on all four sides of a picture."""
        _, height, width, channels = self.shapes[source]
        sides = np.array([[0, 0], [by, by], [by, by], [0, 0]], np.int32)
        out = self.tensor(name, (1, height + 2 * by, width + 2 * by, channels))
        return self.operator(Op.PAD, [source, self.constant(name + "/sides", sides)], out, {})

    def max_pool(self, source: int, name: str, side: int) -> int:
        """Add the maximum over squares that do not overlap."""
        _, height, width, channels = self.shapes[source]
        out = self.tensor(name, (1, height // side, width // side, channels))
        options = {0: Scalar("b", _VALID)} | {n: Scalar("i", side) for n in (1, 2, 3, 4)}
        return self.operator(Op.MAX_POOL, [source], out, options)

    def enlarge(self, source: int, name: str, times: int) -> int:
        """Add a picture in which every pixel stands ``times`` times along both axes."""
        _, height, width, channels = self.shapes[source]
        size = np.array([height * times, width * times], np.int32)
        out = self.tensor(name, (1, height * times, width * times, channels))
        return self.operator(Op.NEAREST, [source, self.constant(name + "/size", size)], out, {})

    def reshape(self, source: int, name: str, shape: Sequence[int]) -> int:
        """Add the same numbers in another shape."""
        wanted = self.constant(name + "/shape", np.array(shape, np.int32))
        return self.operator(Op.RESHAPE, [source, wanted], self.tensor(name, shape), {})

    def combine(self, code: Op, source: int, name: str, other: int) -> int:
        """Add the sum, product or parametric ReLU of a tensor and a second one, or numbers."""
        out = self.tensor(name, self.shapes[source])
        options = {} if code is Op.PRELU else {0: Scalar("b", Act.NONE)}
        return self.operator(code, [source, other], out, options)

    def dense(self, source: int, name: str, weights: Array, bias: Array) -> int:
        """Add a dense layer, its weights (out, in) stored as they are."""
        inputs = [source, self.constant(name + "/weights", weights)]
        inputs.append(self.constant(name + "/bias", bias.astype(np.float32)))
        out = self.tensor(name, (1, weights.shape[0]))
        return self.operator(Op.DENSE, inputs, out, {0: Scalar("b", Act.NONE)})

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
