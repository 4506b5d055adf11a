"""Weights become a model that computes the same, bit for bit the same file each time."""

from __future__ import annotations

import hashlib
import io
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_network import CLASSES, FEATURES, SIDE, STRIDES, reference, weights
from torch_files import ITEMS, Tensor, torch_file

from tagfs.errors import Integrity
from tagfs.recognise.convert import efficientnet_lite
from tagfs.recognise.flat import Blob, Numbers, Scalar, Table, Tables, Text, write
from tagfs.recognise.interpreter import Network
from tagfs.recognise.torchfile import read_tensors

pytest.importorskip("ai_edge_litert", reason="the interpreter ai-edge-litert is not installed")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_model_computes_what_the_weights_say(seed: int) -> None:
    tensors = weights(seed)
    network = Network(efficientnet_lite(tensors, STRIDES, SIDE))
    image = np.random.default_rng(seed).uniform(-1, 1, (SIDE, SIDE, 3)).astype(np.float32)
    probabilities, embedding, *_ = network.run(image)
    expected, pooled = reference(tensors, image)
    assert network.side == SIDE
    assert probabilities.shape == (CLASSES,)
    assert embedding.shape == (FEATURES,)
    assert np.abs(embedding - pooled).max() < 2e-5
    assert np.abs(probabilities - expected).max() < 1e-5


def test_the_feature_maps_come_after_probabilities_and_embedding() -> None:
    network = Network(efficientnet_lite(weights(), STRIDES, SIDE))
    answers = network.run(np.zeros((SIDE, SIDE, 3), np.float32))
    assert len(answers) == 4
    last, middle = answers[2:]
    assert last.ndim == middle.ndim == 3
    assert len(middle) > len(last)


def test_converting_twice_gives_the_same_file() -> None:
    first, second = (efficientnet_lite(weights(), STRIDES, SIDE) for _ in range(2))
    assert first == second
    # Pinned: another machine or numpy must give these bytes, or no user's hash would match.
    assert hashlib.sha256(first).hexdigest() == PINNED


PINNED = "cb3041f02b2770cdec027111ec66e29a075c0226073eb2f88fdf1fb81b56dd86"


def test_missing_weights_are_named() -> None:
    tensors = weights()
    del tensors["_conv_head.weight"]
    with pytest.raises(Integrity, match="_conv_head"):
        efficientnet_lite(tensors, STRIDES, SIDE)


def test_strides_of_a_tensor_are_honoured() -> None:
    view = (0, (3, 4), (1, 3))  # a transposed view on a storage laid out as 4 x 3
    data = torch_file({"w": Tensor("7", 12, view)}, {"7": ITEMS.tobytes()})
    assert (read_tensors(data)["w"] == ITEMS.reshape(4, 3).T).all()


@pytest.mark.parametrize(
    "view",
    [(0, (13,), (1,)), (1, (3, 4), (4, 1)), (0, (2,), (-1,)), (-1, (2,), (1,)), (0, (2, 2), (1,))],
    ids=["too long", "offset too far", "backwards", "before the start", "no stride"],
)
def test_a_view_outside_its_storage_is_refused(view: tuple[int, Any, Any]) -> None:
    data = torch_file({"w": Tensor("7", 12, view)}, {"7": ITEMS.tobytes()})
    with pytest.raises(Integrity):
        read_tensors(data)


def test_a_file_that_asks_for_code_gets_none() -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (print, ("this must not be printed",))

    out = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {}, {"w": Evil()}, []):
        pickle.dump(part, out, 2)
    with pytest.raises(Integrity, match="print"):
        read_tensors(out.getvalue())


@given(st.integers(0, 400))
def test_a_file_cut_short_is_refused(size: int) -> None:
    whole = torch_file({"w": Tensor("7", 12, (0, (12,), (1,)))}, {"7": ITEMS.tobytes()})
    with pytest.raises(Integrity):
        read_tensors(whole[: min(size, len(whole) - 1)])


def test_a_flatbuffer_is_what_the_reference_library_reads() -> None:
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    buffers = [Table({}), Table({0: Blob(bytes(range(33)))})]
    tensor = Table({0: Numbers("i", (1, 2, 3)), 1: Scalar("b", 1), 2: Scalar("I", 1), 3: Text("é")})
    root = Table(
        {
            0: Scalar("I", 3),
            2: Tables([Table({0: Tables([tensor]), 1: Numbers("i", [0])})]),
            3: Text("one tensor"),
            4: Tables(buffers),
        }
    )
    data = write(root, b"TFL3")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    assert (model.version, model.description) == (3, b"one tensor")
    (read,) = model.subgraphs[0].tensors
    assert (list(read.shape), read.type, read.buffer, read.name.decode()) == ([1, 2, 3], 1, 1, "é")
    assert bytes(model.buffers[1].data) == bytes(range(33))
    assert data.index(bytes(range(33))) % 16 == 0
