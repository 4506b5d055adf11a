"""Small sealed messages: journal segments and certificates on the remote, files of this machine.

A message is ``head ‖ sealed chunks`` like a part without a trailer. Its plaintext is
``length u32 ‖ payload ‖ zeros`` up to a Padmé length.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable

from tagfs.crypto.chunked import (
    COMMITMENT,
    SALT,
    TAG,
    Buffer,
    StreamKeys,
    chunk_count,
    plain_size,
    sealed_size,
)
from tagfs.crypto.padding import padme
from tagfs.errors import Integrity
from tagfs.model import CHUNK
from tagfs.vault.keys import KeyRing
from tagfs.vault.layout import HEAD, SMALLEST, STEP, context

_LENGTH = struct.Struct(">I")
_LOCAL_MAGIC = b"tagfsL\0\1"

Random = Callable[[int], bytes]


def seal_message(
    ring: KeyRing, kind: int, name: bytes, payload: bytes, random: Random = secrets.token_bytes
) -> bytes:
    """Seal a payload under the newest epoch's segment key, bound to its kind and 16-byte name."""
    epoch = ring.newest.number
    salt = random(SALT)
    keys = StreamKeys.derive(ring.segment_key(epoch), salt, context(ring.vault, kind, name))
    return struct.pack(">I", epoch) + salt + keys.commitment + _seal(keys, payload)


def open_message(
    ring: KeyRing, kind: int, name: bytes, stored: Buffer, limit: int, what: str
) -> tuple[int, bytes]:
    """Return (epoch, payload) of a stored message of at most ``limit`` bytes.

    Raises Integrity whose message begins with ``what``.
    """
    if not HEAD + TAG <= len(stored) <= limit:
        raise Integrity(f"{what} has {len(stored)} bytes, which is no length that it can have.")
    epoch, salt, commitment = struct.unpack_from(f">I{SALT}s{COMMITMENT}s", stored)
    try:
        key = ring.segment_key(epoch)
        keys = StreamKeys.derive(key, salt, context(ring.vault, kind, name))
        return epoch, _open(keys, commitment, memoryview(stored)[HEAD:])
    except Integrity as e:
        raise Integrity(f"{what} does not verify: {e}") from None


def seal_local(
    ring: KeyRing, kind: int, payload: bytes, random: Random = secrets.token_bytes
) -> bytes:
    """Seal a small file of the state directory: magic 8 ‖ salt ‖ commitment ‖ chunks."""
    salt = random(SALT)
    keys = StreamKeys.derive(ring.local_key(), salt, context(ring.vault, kind, bytes(16)))
    return _LOCAL_MAGIC + salt + keys.commitment + _seal(keys, payload)


def open_local(ring: KeyRing, kind: int, stored: Buffer, what: str) -> bytes:
    """Open what seal_local returned; raises Integrity whose message begins with ``what``."""
    view = memoryview(stored)
    start = len(_LOCAL_MAGIC) + SALT + COMMITMENT
    if not start + TAG <= len(view) <= 2**20 or view[: len(_LOCAL_MAGIC)] != _LOCAL_MAGIC:
        raise Integrity(f"{what} is not a file of this version of tagfs.")
    salt, commitment = struct.unpack_from(f"{SALT}s{COMMITMENT}s", view, len(_LOCAL_MAGIC))
    keys = StreamKeys.derive(ring.local_key(), salt, context(ring.vault, kind, bytes(16)))
    try:
        return _open(keys, commitment, view[start:])
    except Integrity as e:
        raise Integrity(f"{what} does not verify: {e}") from None


def _seal(keys: StreamKeys, payload: bytes) -> bytes:
    plain = _LENGTH.pack(len(payload)) + payload
    size = max(SMALLEST, padme(len(plain)))
    plain = plain.ljust(size, b"\0")
    count = chunk_count(size)
    out = bytearray(sealed_size(size))
    for index in range(count):
        piece = memoryview(plain)[index * CHUNK : (index + 1) * CHUNK]
        target = memoryview(out)[index * STEP : index * STEP + len(piece) + TAG]
        keys.seal_into(index, index == count - 1, piece, target)
    return bytes(out)


def _open(keys: StreamKeys, commitment: bytes, sealed: memoryview) -> bytes:
    if not keys.commits_to(commitment):
        raise Integrity("its commitment is not that of its key.")
    size = plain_size(len(sealed))
    count = chunk_count(size)
    plain = bytearray(size)
    for index in range(count):
        target = memoryview(plain)[index * CHUNK : (index + 1) * CHUNK]
        piece = sealed[index * STEP : index * STEP + len(target) + TAG]
        keys.open_into(index, index == count - 1, piece, target)
    if size < _LENGTH.size or (length := _LENGTH.unpack_from(plain)[0]) > size - _LENGTH.size:
        raise Integrity("its inner length is impossible.")
    return bytes(plain[_LENGTH.size : _LENGTH.size + length])
