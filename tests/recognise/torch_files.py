"""Files as PyTorch wrote them before version 1.6, made without PyTorch."""

from __future__ import annotations

import collections
import io
import pickle
import struct
from typing import Any

import numpy as np


class _Type:
    def __init__(self, name: str) -> None:
        self.name = name


class Tensor:
    """A view (offset, shape, strides in items) on a storage of so many items."""

    def __init__(self, key: str, count: int, view: tuple[int, Any, Any]) -> None:
        self.key, self.count, self.view = key, count, view


def torch_file(tensors: dict[str, Tensor], storages: dict[str, bytes]) -> bytes:
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
            if isinstance(obj, Tensor):
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
