"""A small random network as an ONNX file, block-quantised, and the same arithmetic in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagfs.recognise.onnxfile import _model_class

Array = NDArray[Any]

SIDE = 16
FEATURES = 6
_TYPES = {"float32": 1, "int8": 3, "int64": 7}


class File:
    """Writes an ONNX file, operator by operator."""

    def __init__(self, seed: int) -> None:
        self.model = _model_class()()
        self.random = np.random.RandomState(seed)  # its stream is frozen for ever (NEP 19)
        self.weights: dict[str, Array] = {}

    def constant(self, name: str, value: Array, raw: bool = True) -> str:
        told = self.model.graph.initializer.add(name=name, dims=list(value.shape))
        told.data_type = _TYPES[value.dtype.name]
        if raw:
            told.raw_data = value.tobytes()
        elif value.dtype == np.float32:
            told.float_data.extend(value.reshape(-1).tolist())
        else:
            told.int64_data.extend(value.reshape(-1).tolist())
        self.weights[name] = value
        return name

    def quantised(self, name: str, *shape: int) -> str:
        """Add weights as int8 in blocks of 4 along their rows; return the expanded tensor."""
        width = int(np.prod(shape[1:]))
        whole = self.random.randint(-128, 128, (shape[0], width)).astype(np.int8)
        blocks = (shape[0], -(-width // 4))
        scales = self.random.uniform(0.5, 1.5, blocks).astype(np.float32) / (60 * width**0.5)
        zeros = self.random.randint(-3, 4, blocks).astype(np.int8)
        inputs = [self.constant(name + "/q", whole), self.constant(name + "/s", scales)]
        inputs.append(self.constant(name + "/z", zeros))
        self.node("DequantizeLinear", inputs, name + "/flat", axis=1, block_size=4)
        sizes = self.constant(name + "/shape", np.array(shape, np.int64), raw=False)
        self.node("Reshape", [name + "/flat", sizes], name)
        spread = [a.repeat(4, 1)[:, :width].astype(np.float64) for a in (zeros, scales)]
        self.weights[name] = ((whole - spread[0]) * spread[1]).reshape(shape)
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        told = self.model.graph.node.add(input=inputs, output=[output], op_type=kind)
        for name, value in attributes.items():
            attribute = told.attribute.add(name=name)
            if isinstance(value, float):
                attribute.type, attribute.f = 1, value
            elif isinstance(value, int):
                attribute.type, attribute.i = 2, value
            elif isinstance(value, bytes):
                attribute.type, attribute.s = 3, value
            else:
                attribute.type = 7
                attribute.ints.extend(value)
        return output

    def norm(self, source: str, output: str, channels: int) -> str:
        """Add a batch norm."""
        names = []
        for part, low, high in (
            ("gamma", 0.5, 1.5),
            ("beta", -0.3, 0.3),
            ("mean", -0.3, 0.3),
            ("variance", 0.5, 2),
        ):
            value = self.random.uniform(low, high, channels).astype(np.float32)
            names.append(self.constant(f"{output}/{part}", value, raw=part != "beta"))
        return self.node("BatchNormalization", [source, *names], output, epsilon=1e-3)

    def convolution(self, source: str, output: str, shape: tuple[int, ...], stride: int) -> str:
        """Add a convolution without bias, padded by half its kernel on all sides."""
        kernel = self.quantised(output + "/kernel", *shape)
        groups = shape[0] if shape[1] == 1 else 1
        return self.node(
            "Conv",
            [source, kernel],
            output,
            group=groups,
            strides=(stride, stride),
            pads=(shape[2] // 2,) * 4,
            dilations=(1, 1),
            kernel_shape=shape[2:],
        )

    def slopes(self, source: str, output: str, channels: int) -> str:
        """Add a parametric ReLU."""
        value = self.random.uniform(-0.5, 0.5, (channels, 1, 1)).astype(np.float32)
        return self.node("PRelu", [source, self.constant(output + "/slopes", value)], output)


def tiny(seed: int = 1) -> File:
    """Return a network with every operator and every padding that YuNet and SFace have."""
    file = File(seed)
    graph = file.model.graph
    for name in ("image", "half"):  # old files list constants among the inputs, too
        graph.input.add(name=name)
    for size in (1, 3, SIDE, SIDE):
        graph.input[0].type.tensor_type.shape.dim.add(dim_value=size)
    half = file.constant("half", np.array([127.5], np.float32))
    part = file.constant("part", np.array([1 / 128], np.float32))
    x = file.node("Mul", [file.node("Sub", ["image", half], "centred"), part], "scaled")
    x = file.slopes(file.norm(file.convolution(x, "a", (8, 3, 3, 3), 1), "a_norm", 8), "a_act", 8)
    x = file.slopes(file.norm(file.convolution(x, "b", (8, 1, 3, 3), 2), "b_norm", 8), "b_act", 8)
    c = file.node("Relu", [file.convolution(x, "c", (8, 8, 1, 1), 1)], "c_act")
    pool = {"kernel_shape": (2, 2), "strides": (2, 2), "pads": (0, 0, 0, 0)}
    small = file.node("MaxPool", [c], "small", **pool)
    file.constant("none", np.zeros(0, np.float32))
    times = file.constant("times", np.array([1, 1, 2, 2], np.float32))
    how = {"mode": b"nearest", "nearest_mode": b"floor"}
    how["coordinate_transformation_mode"] = b"asymmetric"
    wide = file.node("Resize", [small, "none", times], "wide", **how)
    x = file.node("Add", [c, wide], "sum")
    head = file.convolution(x, "head", (5, 8, 1, 1), 1)
    rows = file.constant("rows", np.array([1, -1, 5], np.int64))
    head = file.node("Transpose", [head], "last", perm=(0, 2, 3, 1))
    file.node("Sigmoid", [file.node("Reshape", [head, rows], "cells")], "scores")
    file.node("Dropout", [file.norm(x, "normed", 8)], "dropped")
    file.node("Flatten", ["dropped"], "flat")
    weights = file.quantised("dense/weights", FEATURES, 8 * 8 * 8)
    bias = file.constant("dense/bias", file.random.normal(0, 1, FEATURES).astype(np.float32))
    file.node("Gemm", ["flat", weights, bias], "dense", transB=1, alpha=1.0, beta=1.0)
    file.norm("dense", "features", FEATURES)
    for name in ("scores", "features"):
        graph.output.add(name=name)
    return file


def _convolved(x: Array, kernel: Array, stride: int) -> Array:
    """Convolve (channels, h, w), padded by half the kernel on all sides, in float64."""
    by = kernel.shape[2] // 2
    x = np.pad(x, ((0, 0), (by, by), (by, by)))
    size = (x.shape[1] - kernel.shape[2]) // stride + 1
    out = np.zeros((kernel.shape[0], size, size))
    for row in range(size):
        for column in range(size):
            top, left = row * stride, column * stride
            patch = x[:, top : top + kernel.shape[2], left : left + kernel.shape[3]]
            if kernel.shape[1] == 1:
                out[:, row, column] = (patch * kernel[:, 0]).sum(axis=(1, 2))
            else:
                out[:, row, column] = np.tensordot(kernel, patch, 3)
    return out


def reference(file: File, image: Array) -> tuple[Array, Array]:
    """Return scores (64, 5) and features (6,) of an image (h, w, 3), 0 to 255."""
    w = file.weights

    def norm(x: Array, name: str) -> Array:
        parts = [w[f"{name}/{p}"].astype(np.float64) for p in ("gamma", "beta", "mean", "variance")]
        gamma, beta, mean, variance = (p.reshape(-1, *[1] * (x.ndim - 1)) for p in parts)
        return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta

    def act(x: Array, name: str) -> Array:
        return np.where(x < 0, x * w[f"{name}/slopes"], x)

    x = (image.astype(np.float64).transpose(2, 0, 1) - 127.5) / 128
    x = act(norm(_convolved(x, w["a/kernel"], 1), "a_norm"), "a_act")
    x = act(norm(_convolved(x, w["b/kernel"], 2), "b_norm"), "b_act")
    c = np.maximum(_convolved(x, w["c/kernel"], 1), 0)
    small = c.reshape(8, 4, 2, 4, 2).max(axis=(2, 4))
    x = c + small.repeat(2, 1).repeat(2, 2)
    cells = _convolved(x, w["head/kernel"], 1).transpose(1, 2, 0).reshape(-1, 5)
    dense = w["dense/weights"] @ norm(x, "normed").reshape(-1) + w["dense/bias"]
    return 1 / (1 + np.exp(-cells)), norm(dense, "features")
