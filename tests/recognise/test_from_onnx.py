"""A network from an ONNX file computes the same, and broken files are refused."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_onnx import FEATURES, SIDE, File, reference, tiny

from tagfs.errors import Integrity
from tagfs.recognise import onnxfile
from tagfs.recognise.from_onnx import expanded, to_tflite
from tagfs.recognise.interpreter import Network
from tagfs.recognise.onnxfile import read_onnx

pytest.importorskip("ai_edge_litert", reason="the interpreter ai-edge-litert is not installed")

PINNED = "3cbb3c5cc01dab18cb6d10a3746bcf05e232b628414f28f2d26b363ebf44ef45"


def written(file: File) -> bytes:
    return bytes(file.model.SerializeToString(deterministic=True))


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("store", "within"), [(np.float32, 2e-6), (np.float16, 2e-3)])
def test_the_model_computes_what_the_onnx_file_says(
    seed: int, store: type[np.float32], within: float
) -> None:
    file = tiny(seed)
    network = Network(to_tflite(read_onnx(written(file)), "tiny", store))
    image = np.random.default_rng(seed).uniform(0, 255, (SIDE, SIDE, 3)).astype(np.float32)
    found = network.run(image)
    assert network.side == SIDE
    assert [one.shape for one in found] == [(64, 5), (FEATURES,)]
    for got, wanted in zip(found, reference(file, image), strict=True):
        assert np.abs(got - wanted).max() < within * max(1, np.abs(wanted).max())


def test_converting_an_onnx_file_twice_gives_the_same_model() -> None:
    first, second = (to_tflite(read_onnx(written(tiny())), "tiny") for _ in range(2))
    assert first == second
    # Pinned: another machine, numpy or protobuf must give these bytes.
    assert hashlib.sha256(first).hexdigest() == PINNED


def test_every_block_of_weights_has_its_own_scale_and_zero() -> None:
    found = expanded(
        np.array([[1, 2, 3, 4, 5]], np.int8),
        np.array([[1.0, 10.0, 100.0]], np.float32),
        np.array([[0, 1, 2]], np.int8),
        axis=1,
        block=2,
    )
    assert found.tolist() == [[1, 2, 20, 30, 300]]


def test_an_unknown_operator_is_named() -> None:
    file = tiny()
    file.model.graph.node[5].op_type = "Loop"
    with pytest.raises(Integrity, match="Loop"):
        to_tflite(read_onnx(written(file)), "tiny")


@pytest.mark.parametrize(
    ("kind", "attribute"),
    [("Conv", "dilations"), ("Conv", "group"), ("MaxPool", "pads"), ("Gemm", "transB")],
)
def test_an_operator_used_in_another_way_is_refused(kind: str, attribute: str) -> None:
    file = tiny()
    (node, *_) = [n for n in file.model.graph.node if n.op_type == kind]
    (told,) = [a for a in node.attribute if a.name == attribute]
    if told.ints:
        told.ints[0] += 1
    else:
        told.i = 0 if kind == "Gemm" else 7
    with pytest.raises(Integrity):
        to_tflite(read_onnx(written(file)), "tiny")


def test_weights_of_another_size_than_said_are_refused() -> None:
    file = tiny()
    file.model.graph.initializer[0].dims.append(1 << 40)
    with pytest.raises(Integrity, match="another size"):
        read_onnx(written(file))


def test_a_missing_weight_is_named() -> None:
    file = tiny()
    (found,) = [t for t in file.model.graph.initializer if t.name == "a_norm/gamma"]
    file.model.graph.initializer.remove(found)
    with pytest.raises(Integrity, match="a_norm/gamma"):
        to_tflite(read_onnx(written(file)), "tiny")


def test_a_file_that_is_too_large_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    data = written(tiny())
    monkeypatch.setattr(onnxfile, "MAX_ONNX", len(data) - 1)
    with pytest.raises(Integrity, match="larger"):
        read_onnx(data)


@settings(max_examples=60)
@given(st.data())
def test_a_broken_onnx_file_is_refused_or_converted(data: st.DataObject) -> None:
    whole = bytearray(written(tiny()))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    del whole[data.draw(st.integers(0, len(whole))) :]
    try:
        model = to_tflite(read_onnx(bytes(whole)), "tiny")
    except Integrity:
        return
    assert model[4:8] == b"TFL3"
