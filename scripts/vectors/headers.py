"""Vectors of header generations."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from scripts.vectors.source import (
    CHEAP,
    ENTROPY,
    PASSPHRASE,
    FixedHpke,
    b64,
    counted,
    first_epoch,
    ring_json,
    the_ring,
)
from tagfs.crypto.kdf import KdfParams
from tagfs.vault import cbor, header
from tagfs.vault.device import DeviceKeys
from tagfs.vault.header import create_header, next_header, with_passphrase
from tagfs.vault.keys import KeyRing
from tagfs.vault.slots import Passphrase
from tagfs.vault.words import to_words


def header_file() -> dict[str, Any]:
    """A first header, one after a new passphrase, one after a rotation, and broken ones."""
    ring = first_epoch(the_ring())
    device = DeviceKeys.create(counted("device"))
    random, seal = counted("header"), FixedHpke(counted("hpke"))
    one, info = create_header(ring, Passphrase(PASSPHRASE), ENTROPY, device, CHEAP, random, seal)
    changed = with_passphrase(ring, info, Passphrase("new"), CHEAP, random)
    two, info_two = next_header(ring, changed, random, seal)
    three, _ = next_header(the_ring(), info_two, random, seal)
    refused = replace(
        info,
        slots=tuple(
            replace(s, params=KdfParams(2**22, 3, 1)) if s.params else s for s in info.slots
        ),
    )
    foreign = KeyRing(ring.vault, KeyRing.create(counted("foreign")).epochs, ring.content_key)
    forged = next_header(foreign, info, random, seal)[0]
    features = _with_body(ring, one, lambda body: body.update({7: [1]}))
    later = _with_body(ring, one, lambda body: body.update({99: "later"}))
    flips = [0, 71, 8 * 9, 8 * 9 + 7, 8 * 11, 8 * 60, 8 * 150, 8 * 400, len(one) * 8 - 1]
    return {
        "passphrase": PASSPHRASE,
        "words": to_words(ENTROPY),
        "device": {
            "id": device.id.hex(),
            "exchange_private": device.exchange_private.hex(),
            "signing_seed": device.signing_seed.hex(),
        },
        "good": [
            {
                "generation": generation,
                "header_b64": b64(data),
                "passphrase": passphrase,
                "ring": ring_json(owner),
            }
            for generation, data, passphrase, owner in [
                (1, one, PASSPHRASE, ring),
                (2, two, "new", ring),
                (3, three, "new", the_ring()),
                (1, later, PASSPHRASE, ring),
            ]
        ],
        "bad": [
            *(_bad(f"bit {bit} flipped", one, flip=bit) for bit in flips),
            *(_bad(f"cut to {n} bytes", one, cut=n) for n in (0, 13, 100, len(one) - 1)),
            _bad("one byte more", one, append="00"),
            {"what": "the words of another vault", "words": to_words(bytes(32))}
            | {"generation": 1, "header_b64": b64(one), "refusal": ["wrong-secret"]},
            {"what": "the old passphrase after a change", "passphrase": PASSPHRASE}
            | {"generation": 2, "header_b64": b64(two), "refusal": ["wrong-secret"]},
            {"what": "Argon2id costs out of bounds, which must not reach the KDF"}
            | {"passphrase": PASSPHRASE, "generation": 1, "refusal": ["integrity"]}
            | {"header_b64": b64(header._encode(ring, refused, random, seal))},
            {"what": "generation 1 under the name of generation 2", "passphrase": PASSPHRASE}
            | {"generation": 2, "header_b64": b64(one), "refusal": ["integrity"]},
            {"what": "a ring of the provider's own, sealed to the public keys"}
            | {"passphrase": PASSPHRASE, "generation": 2, "refusal": ["integrity"]}
            | {"header_b64": b64(forged)},
            {"what": "a needed feature that is unknown", "passphrase": PASSPHRASE}
            | {"generation": 1, "header_b64": b64(features), "refusal": ["newer-vault"]},
        ],
    }


def _with_body(ring: KeyRing, data: bytes, change: Callable[[dict[int, Any]], None]) -> bytes:
    length = int.from_bytes(data[10:14], "big")
    body = cbor.decode(data[14 : 14 + length])
    change(body)
    new = cbor.encode(body)
    signed = data[:10] + len(new).to_bytes(4, "big") + new
    return signed + b"".join(
        hmac.digest(ring.header_key(e.number), signed, "sha256") for e in ring.epochs
    )


def _bad(what: str, data: bytes, **change: Any) -> dict[str, Any]:
    """Return a negative vector of the first header, as a change to it."""
    refusals = ["wrong-secret", "not-a-vault", "newer-vault", "integrity"]
    if "flip" in change:
        bit = change["flip"]
        if bit < 64:
            refusals = ["not-a-vault"]
        elif bit < 80:
            refusals = ["newer-vault", "not-a-vault"]
    return {"what": what, "passphrase": PASSPHRASE, "generation": 1, "of": 0} | {
        "change": change,
        "refusal": refusals if data else [],
    }
