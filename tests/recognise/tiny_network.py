"""A network of EfficientNet-Lite's form, small and random, and the same arithmetic in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagfs.recognise.convert import EPSILON

Array = NDArray[Any]

SIDE = 16
CLASSES = 7
FEATURES = 24
STRIDES = (1, 2, 1)
_BLOCKS = ((8, 8, 3, 1), (8, 12, 5, 6), (12, 12, 3, 6))  # in, out, kernel, expansion


def _norm(random: np.random.RandomState, name: str, channels: int) -> dict[str, Array]:
    return {
        f"{name}.weight": random.uniform(0.5, 1.5, channels).astype(np.float32),
        f"{name}.bias": random.normal(0, 0.3, channels).astype(np.float32),
        f"{name}.running_mean": random.normal(0, 0.3, channels).astype(np.float32),
        f"{name}.running_var": random.uniform(0.5, 2.0, channels).astype(np.float32),
    }


def _kernel(random: np.random.RandomState, *shape: int) -> Array:
    return random.normal(0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32)


def weights(seed: int = 1) -> dict[str, Array]:
    """Return random weights by the names of the PyTorch module."""
    random = np.random.RandomState(seed)  # its stream is frozen for ever (NEP 19)
    tensors = {"_conv_stem.weight": _kernel(random, 8, 3, 3, 3), **_norm(random, "_bn0", 8)}
    for i, (inside, out, side, times) in enumerate(_BLOCKS):
        wide, name = inside * times, f"_blocks.{i}"
        if times > 1:
            tensors[f"{name}._expand_conv.weight"] = _kernel(random, wide, inside, 1, 1)
            tensors |= _norm(random, f"{name}._bn0", wide)
        tensors[f"{name}._depthwise_conv.weight"] = _kernel(random, wide, 1, side, side)
        tensors |= _norm(random, f"{name}._bn1", wide)
        tensors[f"{name}._project_conv.weight"] = _kernel(random, out, wide, 1, 1)
        tensors |= _norm(random, f"{name}._bn2", out)
    tensors["_conv_head.weight"] = _kernel(random, FEATURES, 12, 1, 1)
    tensors |= _norm(random, "_bn1", FEATURES)
    tensors["_fc.weight"] = _kernel(random, CLASSES, FEATURES)
    tensors["_fc.bias"] = random.normal(0, 0.3, CLASSES).astype(np.float32)
    return tensors


def _convolve(x: Array, tensors: dict[str, Array], conv: str, norm: str, stride: int) -> Array:
    """Convolve (h, w, in) with batch norm, padded as TensorFlow's 'same' pads."""
    variance = tensors[norm + ".running_var"].astype(np.float64)
    scale = tensors[norm + ".weight"] / np.sqrt(variance + EPSILON)
    kernel = tensors[conv + ".weight"] * scale[:, None, None, None]
    kernel = kernel.astype(np.float16).astype(np.float64)  # as the model stores it
    side = kernel.shape[2]
    size = -(-x.shape[0] // stride)
    padding = max((size - 1) * stride + side - x.shape[0], 0)
    low = padding // 2
    x = np.pad(x, ((low, padding - low), (low, padding - low), (0, 0)))
    out = np.zeros((size, size, kernel.shape[0]))
    for row in range(size):
        for column in range(size):
            top, left = row * stride, column * stride
            patch = x[top : top + side, left : left + side]
            if kernel.shape[1] == 1 and x.shape[2] > 1:
                out[row, column] = np.einsum("hwc,chw->c", patch, kernel[:, 0])
            else:
                out[row, column] = np.einsum("hwi,oihw->o", patch, kernel)
    return out + tensors[norm + ".bias"] - tensors[norm + ".running_mean"] * scale


def reference(tensors: dict[str, Array], image: Array) -> tuple[Array, Array]:
    """Return probabilities and pooled embedding of an image (h, w, 3)."""
    x = np.clip(_convolve(image, tensors, "_conv_stem", "_bn0", 2), 0, 6)
    for i, stride in enumerate(STRIDES):
        name, y = f"_blocks.{i}", x
        if f"{name}._expand_conv.weight" in tensors:
            y = np.clip(_convolve(y, tensors, f"{name}._expand_conv", f"{name}._bn0", 1), 0, 6)
        y = np.clip(_convolve(y, tensors, f"{name}._depthwise_conv", f"{name}._bn1", stride), 0, 6)
        y = _convolve(y, tensors, f"{name}._project_conv", f"{name}._bn2", 1)
        x = x + y if stride == 1 and x.shape == y.shape else y
    x = np.clip(_convolve(x, tensors, "_conv_head", "_bn1", 1), 0, 6)
    pooled = x.mean(axis=(0, 1))
    logits = tensors["_fc.weight"].astype(np.float16).astype(np.float64) @ pooled
    powers = np.exp(logits + tensors["_fc.bias"] - (logits + tensors["_fc.bias"]).max())
    return powers / powers.sum(), pooled
