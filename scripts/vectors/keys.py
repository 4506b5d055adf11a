"""Vectors of key derivation, padding, secrets and names."""

from __future__ import annotations

from typing import Any

from scripts.vectors.source import (
    CHEAP,
    ENTROPY,
    PASSPHRASE,
    counted,
    pattern,
    ring_json,
    the_ring,
)
from tagfs.crypto.chunked import StreamKeys
from tagfs.crypto.contentid import content_id
from tagfs.crypto.kdf import KdfParams, argon2id, derive
from tagfs.crypto.padding import padme
from tagfs.model import (
    CHUNK,
    PART,
    DeviceId,
    ObjectName,
)
from tagfs.vault.device import certificate_name
from tagfs.vault.layout import (
    certificate_path,
    header_path,
    object_path,
    padded_size,
    segment_path,
    stored_size,
)
from tagfs.vault.segments import segment_name
from tagfs.vault.slots import Passphrase
from tagfs.vault.words import to_words


def keys_file() -> dict[str, Any]:
    """Key derivation, Padmé, Argon2id, content ids, names."""
    ring = the_ring()
    device = DeviceId(counted("device")(16))
    of_epoch = [
        {
            "epoch": e.number,
            "object": ring.object_key(e.number).hex(),
            "segment": ring.segment_key(e.number).hex(),
            "header": ring.header_key(e.number).hex(),
            "certificate": ring.certificate_key(e.number).hex(),
            "signing_public": e.signer_public().hex(),
        }
        for e in ring.epochs
    ]
    stream = StreamKeys.derive(ring.object_key(1), bytes(24), b"context")
    return {
        "ring": ring_json(ring),
        "of_epoch": of_epoch,
        "names_key": ring.names_key().hex(),
        "tag_key": ring.tag_key().hex(),
        "derive": [
            {
                "secret": secret.hex(),
                "label": label,
                "context": ctx.hex(),
                "length": length,
                "key": derive(secret, label, ctx, length).hex(),
            }
            for secret, label, ctx, length in [
                (bytes(32), "object", b"", 32),
                (pattern(32), "segment", pattern(16), 32),
                (pattern(5), "x y", b"\0", 77),
            ]
        ],
        "stream": {
            "input_key": ring.object_key(1).hex(),
            "salt": bytes(24).hex(),
            "context": b"context".hex(),
            "key": stream._key.hex(),
            "base_nonce": stream._base.to_bytes(12, "big").hex(),
            "commitment": stream.commitment.hex(),
            "chunks": [
                {
                    "counter": counter,
                    "last": last,
                    "plain": b"plain".hex(),
                    "sealed": bytes(stream.seal(counter, last, b"plain")).hex(),
                }
                for counter, last in [(0, False), (1, True), (2**32 - 1, True)]
            ],
        },
        "padme": [[n, padme(n)] for n in [*range(20), 100, 1000, 1025, 9999, 10**6, PART - 1]],
        "padded_part": [[n, padded_size(n), stored_size(n)] for n in [0, 1, 1024, 1025, PART]],
        "argon2id": [
            {
                "passphrase": passphrase,
                "salt": pattern(16, "salt").hex(),
                "memory_kib": params.memory_kib,
                "time": params.time,
                "lanes": params.lanes,
                "key": argon2id(Passphrase(passphrase).encode(), pattern(16, "salt"), params).hex(),
            }
            for passphrase, params in [
                (PASSPHRASE, CHEAP),
                ("bättery", KdfParams(64 * 1024, 3, 4)),
                ("ba\u0308ttery", KdfParams(64 * 1024, 3, 4)),
            ]
        ],
        "argon2id_refused": [
            [64 * 1024 - 1, 3, 1],
            [64 * 1024, 2, 1],
            [64 * 1024, 3, 0],
            [2 * 1024 * 1024 + 1, 3, 1],
            [64 * 1024, 17, 1],
            [64 * 1024, 3, 17],
        ],
        "words": [{"entropy": e.hex(), "words": to_words(e)} for e in (bytes(32), ENTROPY)],
        "content_ids": [
            {
                "seed": str(n),
                "size": n,
                "id": content_id(ring.content_key, pattern(n, str(n))).hex(),
            }
            for n in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5)
        ],
        "names": {
            "device": device.hex(),
            "segments": [[n, segment_path(segment_name(ring, device, n))] for n in (1, 2, 10**9)],
            "certificates": [
                [e.number, certificate_path(certificate_name(ring, device, e.number))]
                for e in ring.epochs
            ],
            "object": object_path(ObjectName(pattern(16))),
            "header": header_path(42),
        },
    }
