"""Read the graph and the weights of an ONNX file, with protobuf and only the fields used here.

The schema below is the part of ``onnx.proto`` (https://github.com/onnx/onnx) that a network of
convolutions needs; protobuf skips what it does not name, such as sub-graphs and files with
weights elsewhere. The package ``onnx`` reads more and takes 31 MB for it; protobuf is there with
the interpreter. It is imported when a pack is installed, not in the worker.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tagfs.errors import Integrity, TagfsError

Array = NDArray[Any]

MAX_ONNX: Final = 64 * 1024 * 1024
"""Bytes of a file that is read, at most."""

_DTYPES: Final[dict[int, np.dtype[Any]]] = {
    1: np.dtype("<f4"),
    3: np.dtype("<i1"),
    6: np.dtype("<i4"),
    7: np.dtype("<i8"),
}
"""The types of tensors that are read, by their number in ``TensorProto.DataType``."""
_SCHEMA: Final = {
    # message: {field: (number, type, repeated)}
    "Model": {"graph": (7, "Graph", False)},
    "Graph": {
        "node": (1, "Node", True),
        "initializer": (5, "Tensor", True),
        "input": (11, "Value", True),
        "output": (12, "Value", True),
    },
    "Node": {
        "input": (1, "string", True),
        "output": (2, "string", True),
        "op_type": (4, "string", False),
        "attribute": (5, "Attribute", True),
    },
    "Attribute": {
        "name": (1, "string", False),
        "f": (2, "float", False),
        "i": (3, "int64", False),
        "s": (4, "bytes", False),
        "ints": (8, "int64", True),
        "type": (20, "int32", False),
    },
    "Tensor": {
        "dims": (1, "int64", True),
        "data_type": (2, "int32", False),
        "float_data": (4, "float", True),
        "int32_data": (5, "int32", True),
        "int64_data": (7, "int64", True),
        "name": (8, "string", False),
        "raw_data": (9, "bytes", False),
    },
    "Value": {"name": (1, "string", False), "type": (2, "Type", False)},
    "Type": {"tensor_type": (1, "TensorType", False)},
    "TensorType": {"shape": (2, "Shape", False)},
    "Shape": {"dim": (1, "Dimension", True)},
    "Dimension": {"dim_value": (1, "int64", False)},
}

Attribute = float | int | bytes | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """One operator of the graph, its tensors by name."""

    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class Onnx:
    """A network: operators in the order in which they are computed, and constants by name."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]
    input: str
    shape: tuple[int, ...]  # of the input
    outputs: tuple[str, ...]


@cache
def _model_class() -> Any:
    """Return the protobuf class of a model; raises TagfsError without protobuf."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError:
        raise TagfsError(
            "This pack cannot be converted: protobuf is not installed. Install the package "
            "protobuf."
        ) from None
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="tagfs/onnx", package="tagfs", syntax="proto3")
    for message, fields in _SCHEMA.items():
        made = file.message_type.add(name=message)
        for name, (number, kind, repeated) in fields.items():
            field = made.field.add(name=name, number=number)
            field.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            if kind in _SCHEMA:
                field.type, field.type_name = kinds.TYPE_MESSAGE, ".tagfs." + kind
            else:
                field.type = getattr(kinds, "TYPE_" + kind.upper())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tagfs.Model"))


def _tensor(told: Any) -> Array:
    """Return a tensor; raises Integrity where its data are of another size or type."""
    dtype, shape = _DTYPES.get(told.data_type), tuple(told.dims)
    if dtype is None:
        raise Integrity(f"The model file has numbers of the unknown type {told.data_type}.")
    if any(n < 0 for n in shape):
        raise Integrity("The model file has a tensor of a negative size.")
    if told.raw_data:
        whole = len(told.raw_data) // dtype.itemsize
        items: Array = np.frombuffer(told.raw_data, dtype, whole)
    else:
        listed = {1: told.float_data, 7: told.int64_data}.get(told.data_type, told.int32_data)
        items = np.array(listed).astype(dtype)
    if items.size != math.prod(shape):
        raise Integrity("The model file has a tensor whose data are of another size.")
    return items.reshape(shape)


def _attribute(told: Any) -> Attribute | None:
    """Return the value of an attribute; None for kinds that no network here has."""
    match told.type:
        case 1:
            return float(told.f)
        case 2:
            return int(told.i)
        case 3:
            return bytes(told.s)
        case 7:
            return tuple(told.ints)
    return None


def read_onnx(data: bytes) -> Onnx:
    """Return the network in a file.

    Raises:
        Integrity: it is no ONNX file, or is larger or of another kind than is read here.
        TagfsError: protobuf is not installed.
    """
    if len(data) > MAX_ONNX:
        raise Integrity("The model file is larger than 64 MiB.")
    model = _model_class()()
    try:
        model.ParseFromString(data)
    except Exception as error:  # DecodeError, and what else a broken file makes it raise
        raise Integrity("The model file is not an ONNX file.") from error
    graph = model.graph
    nodes = []
    for node in graph.node:
        if not node.output:
            raise Integrity("The model file has an operator without a result.")
        values = {a.name: _attribute(a) for a in node.attribute}
        known = {name: value for name, value in values.items() if value is not None}
        nodes.append(Node(node.op_type, tuple(node.input), node.output[0], known))
    constants = {t.name: _tensor(t) for t in graph.initializer}
    # Old files list the constants among the inputs.
    inputs = [value for value in graph.input if value.name not in constants]
    produced = {node.output for node in nodes}
    inputs = [value for value in inputs if any(value.name in n.inputs for n in nodes)]
    if len(inputs) != 1 or not graph.output:
        raise Integrity("The model file is not of a network with one input.")
    shape = tuple(int(d.dim_value) for d in inputs[0].type.tensor_type.shape.dim)
    outputs = tuple(value.name for value in graph.output)
    if not set(outputs) <= produced:
        raise Integrity("The model file lacks what its outputs are made of.")
    return Onnx(tuple(nodes), constants, inputs[0].name, shape, outputs)
