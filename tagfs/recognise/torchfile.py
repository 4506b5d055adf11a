"""Read the tensors of a legacy PyTorch file without PyTorch, running none of its code.

The form (``torch.save`` before 1.6): five pickles (magic, protocol, system, the dictionary whose
tensors refer to storages by key, the list of keys), then each storage as a count and raw items.
Tensors are views with offset and strides on a storage; the strides matter, because files
converted from other frameworks hold transposed views.
"""

from __future__ import annotations

import collections
import io
import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tagfs.errors import Integrity

Array = NDArray[Any]

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


@dataclass(frozen=True)
class _StorageType:
    """Stands for ``torch.FloatStorage`` and the like in the pickle."""

    dtype: np.dtype[Any]


@dataclass(frozen=True)
class _Storage:
    """A storage that a tensor refers to; the items follow after the pickles."""

    key: str
    dtype: np.dtype[Any]
    count: int


@dataclass(frozen=True)
class _View:
    """A tensor: a strided view (in items) on a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, items: Array) -> Array:
        """Return the tensor as an array of its own.

        Raises:
            Integrity: the view reaches outside the storage.
        """
        if len(self.shape) != len(self.strides) or min(self.shape, default=1) < 1:
            raise Integrity("A tensor of the model file has a shape that cannot be.")
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if min(self.strides, default=0) < 0 or self.offset < 0 or last >= items.size:
            raise Integrity("A tensor of the model file reaches outside its storage.")
        strides = tuple(s * items.itemsize for s in self.strides)
        return np.lib.stride_tricks.as_strided(items[self.offset :], self.shape, strides).copy()


def _rebuild_tensor(
    storage: object, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> _View:
    if not isinstance(storage, _Storage):
        raise Integrity("A tensor of the model file has no storage.")
    return _View(storage, offset, tuple(shape), tuple(strides))


_ALLOWED: Mapping[tuple[str, str], object] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): _StorageType(np.dtype("<f4")),
    ("torch", "LongStorage"): _StorageType(np.dtype("<i8")),
}


class _Restricted(pickle.Unpickler):
    """An unpickler that knows four names and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise Integrity(f"The model file asks for {module}.{name}: refused.") from None

    def persistent_load(self, pid: Any) -> _Storage:
        match pid:
            case ("storage", _StorageType() as kind, str() as key, str(), int() as count, None):
                return _Storage(key, kind.dtype, count)
        raise Integrity("The model file refers to a storage in an unknown way.")


def _pickles(file: io.BytesIO) -> tuple[dict[str, _View], list[str]]:
    """Return the views by tensor name and the storages' keys in order."""
    parts = [_Restricted(file).load() for _ in range(5)]
    if parts[0] != _MAGIC or parts[1] != _PROTOCOL:
        raise Integrity("This is not a PyTorch file of the legacy form.")
    views, keys = parts[3], parts[4]
    if not isinstance(views, dict) or not isinstance(keys, list):
        raise Integrity("The model file holds no dictionary of tensors.")
    return {str(k): v for k, v in views.items() if isinstance(v, _View)}, [str(k) for k in keys]


def read_tensors(data: bytes) -> dict[str, Array]:
    """Return every tensor by name, contiguous, in the file's own item types.

    Raises:
        Integrity: the file has another form, asks for other names or is cut short.
    """
    file = io.BytesIO(data)
    try:
        views, keys = _pickles(file)
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, IndexError) as error:
        raise Integrity(f"The model file cannot be read: {error}.") from error
    wanted = {v.storage.key: v.storage for v in views.values()}
    storages: dict[str, Array] = {}
    at = file.tell()
    for key in keys:
        storage = wanted.get(key)
        if storage is None or len(data) < at + 8:
            raise Integrity("The model file names a storage that no tensor uses.")
        (count,) = struct.unpack_from("<q", data, at)
        end = at + 8 + count * storage.dtype.itemsize
        if count != storage.count or end > len(data):
            raise Integrity("The model file is cut short.")
        storages[key] = np.frombuffer(data, storage.dtype, count, at + 8)
        at = end
    if missing := wanted.keys() - storages.keys():
        raise Integrity(f"The model file lacks {len(missing)} storages.")
    return {name: view.of(storages[view.storage.key]) for name, view in views.items()}
