"""The vectors of tests/vectors hold: the good ones open to what they say, the bad are refused."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from tagfs.crypto import kdf
from tagfs.crypto.chunked import StreamKeys
from tagfs.crypto.contentid import content_id
from tagfs.crypto.kdf import KdfParams, argon2id, derive
from tagfs.crypto.padding import padme
from tagfs.errors import Integrity, NewerVault, NotAVault, WrongSecret
from tagfs.model import Content, DeviceId, ObjectName, Part
from tagfs.vault.chains import check_next
from tagfs.vault.device import Certificate, certificate_name, open_certificate
from tagfs.vault.header import open_header
from tagfs.vault.keys import Epoch, KeyRing
from tagfs.vault.layout import certificate_path, object_path, padded_size, segment_path, stored_size
from tagfs.vault.objects import PartReader, verify_part
from tagfs.vault.ops import Field, RecordContent, SetRegister, decode_unit
from tagfs.vault.segments import Head, open_segment, segment_name
from tagfs.vault.slots import DevicePrivate, Passphrase, Words
from tagfs.vault.words import from_words, to_words

ROOT = Path(__file__).resolve().parent.parent.parent
REFUSALS = {
    "wrong-secret": WrongSecret,
    "not-a-vault": NotAVault,
    "newer-vault": NewerVault,
    "integrity": Integrity,
}


def load(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((ROOT / "tests" / "vectors" / f"{name}.json").read_text())
    return data


KEYS, HEADER, PARTS, UNITS, SEGMENTS = map(load, ["keys", "header", "parts", "units", "segments"])


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


def pattern(seed: str, size: int) -> bytes:
    return hashlib.shake_256(b"tagfs content " + seed.encode()).digest(size)


def ring_of(raw: dict[str, Any]) -> KeyRing:
    epochs = tuple(
        Epoch(e["number"], unhex(e["secret"]), unhex(e["signing_seed"])) for e in raw["epochs"]
    )
    return KeyRing(unhex(raw["vault"]), epochs, unhex(raw["content_key"]))


RING = ring_of(KEYS["ring"])


def named(vectors: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(v, id=v["what"]) for v in vectors]


def refused(vector: dict[str, Any]) -> Any:
    return pytest.raises(tuple(REFUSALS[r] for r in vector["refusal"]))


def test_the_vectors_are_what_the_script_makes() -> None:
    if KEYS["zlib"] != zlib.ZLIB_RUNTIME_VERSION:
        pytest.skip(f"the vectors were made with zlib {KEYS['zlib']}, whose output may differ")
    spec = importlib.util.spec_from_file_location("mv", ROOT / "scripts" / "make_vectors.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for name in script.FILES:
        path = ROOT / "tests" / "vectors" / f"{name}.json"
        assert path.read_text() == script.make(name), f"run scripts/make_vectors.py for {name}"


def test_key_vectors() -> None:
    for v in KEYS["derive"]:
        key = derive(unhex(v["secret"]), v["label"], unhex(v["context"]), v["length"])
        assert key.hex() == v["key"]
    for v in KEYS["of_epoch"]:
        n = v["epoch"]
        assert RING.object_key(n).hex() == v["object"]
        assert RING.segment_key(n).hex() == v["segment"]
        assert RING.header_key(n).hex() == v["header"]
        assert RING.certificate_key(n).hex() == v["certificate"]
        assert RING.epoch(n).signer_public().hex() == v["signing_public"]
    assert (RING.names_key().hex(), RING.tag_key().hex()) == (KEYS["names_key"], KEYS["tag_key"])


def test_stream_vectors() -> None:
    v = KEYS["stream"]
    keys = StreamKeys.derive(unhex(v["input_key"]), unhex(v["salt"]), unhex(v["context"]))
    assert keys.commitment.hex() == v["commitment"]
    for chunk in v["chunks"]:
        sealed = unhex(chunk["sealed"])
        assert keys.open(chunk["counter"], chunk["last"], sealed).hex() == chunk["plain"]
        with pytest.raises(Integrity):
            keys.open(chunk["counter"], not chunk["last"], sealed)


def test_size_vectors() -> None:
    assert [[n, padme(n)] for n, _ in KEYS["padme"]] == KEYS["padme"]
    sizes = [[n, padded_size(n), stored_size(n)] for n, _, _ in KEYS["padded_part"]]
    assert sizes == KEYS["padded_part"]


def test_argon2id_vectors() -> None:
    for v in KEYS["argon2id"]:
        params = KdfParams(v["memory_kib"], v["time"], v["lanes"])
        key = argon2id(Passphrase(v["passphrase"]).encode(), unhex(v["salt"]), params)
        assert key.hex() == v["key"]
    for costs in KEYS["argon2id_refused"]:
        with pytest.raises(Integrity):
            KdfParams(*costs).check()


def test_word_and_content_id_vectors() -> None:
    for v in KEYS["words"]:
        assert to_words(unhex(v["entropy"])) == v["words"]
        assert from_words(v["words"]).hex() == v["entropy"]
    for v in KEYS["content_ids"]:
        assert content_id(RING.content_key, pattern(v["seed"], v["size"])).hex() == v["id"]


def test_name_vectors() -> None:
    names = KEYS["names"]
    device = DeviceId(unhex(names["device"]))
    for seq, path in names["segments"]:
        assert segment_path(segment_name(RING, device, seq)) == path
    for epoch, path in names["certificates"]:
        assert certificate_path(certificate_name(RING, device, epoch)) == path


@pytest.fixture
def remembered_kdf(monkeypatch: pytest.MonkeyPatch) -> None:
    def remembered(passphrase: bytes, salt: bytes, params: KdfParams) -> bytes:
        params.check()
        if (passphrase, salt, params) not in MEMO:
            MEMO[passphrase, salt, params] = argon2id(passphrase, salt, params)
        return MEMO[passphrase, salt, params]

    monkeypatch.setattr(kdf, "argon2id", remembered)


MEMO: dict[tuple[bytes, bytes, KdfParams], bytes] = {}


@pytest.mark.usefixtures("remembered_kdf")
def test_good_headers_open_with_every_secret() -> None:
    first = ring_of(HEADER["good"][0]["ring"])
    device = HEADER["device"]
    for v in HEADER["good"]:
        data = base64.b64decode(v["header_b64"])
        for secret in (
            Passphrase(v["passphrase"]),
            Words(HEADER["words"]),
            DevicePrivate(DeviceId(unhex(device["id"])), unhex(device["exchange_private"]), first),
        ):
            ring, info = open_header(data, secret, v["generation"])
            assert ring == ring_of(v["ring"])
            assert info.generation == v["generation"]


@pytest.mark.usefixtures("remembered_kdf")
@pytest.mark.parametrize("vector", named(HEADER["bad"]))
def test_bad_headers_are_refused(vector: dict[str, Any]) -> None:
    if "header_b64" in vector:
        data = base64.b64decode(vector["header_b64"])
    else:
        data = changed(
            base64.b64decode(HEADER["good"][vector["of"]]["header_b64"]), vector["change"]
        )
    words = vector.get("words")
    secret = Words(words) if words else Passphrase(vector["passphrase"])
    with refused(vector):
        open_header(data, secret, vector["generation"])


def changed(data: bytes, change: dict[str, Any]) -> bytes:
    """Apply a change to stored bytes, as docs/format.md describes vectors."""
    out = bytearray(data)
    if "flip" in change:
        out[change["flip"] // 8] ^= 1 << change["flip"] % 8
    if "cut" in change:
        out = out[: change["cut"]]
    if "append" in change:
        out += unhex(change["append"])
    if "swap" in change:
        one, other, size = change["swap"]
        piece = bytes(out[one : one + size])
        out[one : one + size] = out[other : other + size]
        out[other : other + size] = piece
    return bytes(out)


def part_of(raw: dict[str, Any]) -> Part:
    return Part(
        ObjectName(unhex(raw["name"])),
        raw["epoch"],
        unhex(raw["salt"]),
        unhex(raw["commitment"]),
        raw["size"],
        raw["stored"],
    )


def stored_of(index: int) -> bytes:
    return base64.b64decode(PARTS["good"][index]["stored_b64"])


@pytest.mark.parametrize("index", range(len(PARTS["good"])))
def test_good_parts_open(index: int) -> None:
    v = PARTS["good"][index]
    part, stored = part_of(v["record"]["parts"][0]), stored_of(index)
    assert len(stored) == part.stored
    trailer = verify_part(RING, part, v["number"], lambda at, size: stored[at : at + size])
    assert (trailer.name.hex(), trailer.mtime_ns) == (v["name"], v["mtime_ns"])
    assert trailer.content.hex() == v["record"]["id"]
    if part.size:
        reader = PartReader(RING, part, 0)
        at, length, first = reader.span(0, part.size)
        out = bytearray(part.size)
        reader.open_into(stored[at : at + length], first, 0, memoryview(out))
        assert out == pattern(v["seed"], part.size)


def test_the_last_part_of_a_large_content_opens() -> None:
    v = PARTS["large"]
    part = part_of(v["record"]["parts"][1])
    stored = base64.b64decode(v["last_stored_b64"])
    assert hashlib.sha256(stored).hexdigest() == v["stored_sha256"][1]
    trailer = verify_part(RING, part, 1, lambda at, size: stored[at : at + size])
    assert (trailer.number, trailer.count) == (1, 2)


@pytest.mark.parametrize("vector", named(PARTS["bad"]))
def test_bad_parts_are_refused(vector: dict[str, Any]) -> None:
    raw = dict(PARTS["good"][vector["of"]]["record"]["parts"][0])
    change = vector["change"]
    stored = changed(stored_of(change.get("stored_of", vector["of"])), change)
    if "stored_b64" in change:
        stored = base64.b64decode(change["stored_b64"])
    for key in ("name", "commitment", "salt", "epoch", "size"):
        raw[key] = change.get(f"as_{key}", raw[key])
    ring = RING
    if "as_vault" in change:
        ring = KeyRing(unhex(change["as_vault"]), RING.epochs, RING.content_key)
    with refused(vector):
        verify_part(
            ring, part_of(raw), change.get("as_number", 0), lambda at, n: stored[at : at + n]
        )


@pytest.mark.parametrize("vector", named(UNITS["good"]))
def test_good_units_decode(vector: dict[str, Any]) -> None:
    unit = decode_unit(unhex(vector["unit"]), DeviceId(bytes(16)))
    assert (unit.id.hex(), unit.hlc) == (vector["id"], vector["hlc"])
    assert len(unit.ops) == len(vector["ops"])
    assert unit.by_user == vector.get("by_user", False)
    assert (unit.undoes and unit.undoes.hex()) == vector.get("undoes")


@pytest.mark.parametrize("vector", named(UNITS["bad"]))
def test_bad_units_are_refused(vector: dict[str, Any]) -> None:
    with refused(vector):
        decode_unit(unhex(vector["unit"]), DeviceId(bytes(16)))


DEVICE = DeviceId(unhex(SEGMENTS["device"]))


def certificates() -> dict[tuple[DeviceId, int], Certificate]:
    return {
        (DEVICE, v["epoch"]): open_certificate(
            RING, DEVICE, v["epoch"], base64.b64decode(v["stored_b64"])
        )
        for v in SEGMENTS["certificates"]
    }


def test_good_certificates_open() -> None:
    for v, found in zip(SEGMENTS["certificates"], certificates().values(), strict=True):
        assert certificate_path(certificate_name(RING, DEVICE, v["epoch"])) == v["path"]
        assert found.signing_public.hex() == v["signing_public"]
        assert found.exchange_public.hex() == v["exchange_public"]
        assert (found.created_ms, found.label) == (v["created_ms"], v["label"])


@pytest.mark.parametrize("vector", named(SEGMENTS["bad_certificates"]))
def test_bad_certificates_are_refused(vector: dict[str, Any]) -> None:
    with refused(vector):
        open_certificate(RING, DEVICE, vector["epoch"], base64.b64decode(vector["stored_b64"]))


def test_the_good_chain_opens() -> None:
    last: Head | None = None
    for v in SEGMENTS["chain"]:
        stored = base64.b64decode(v["stored_b64"])
        segment = open_segment(RING, certificates(), DEVICE, v["seq"], stored)
        last = check_next(last, segment)
        assert (segment.epoch, segment.prev.hex()) == (v["epoch"], v["prev"])
        assert [u.hex() for u in segment.units] == v["units"]
        assert [[h.device.hex(), h.seq, h.hash.hex()] for h in segment.heads] == v["heads"]
        assert segment.hash.hex() == v["hash"]


@pytest.mark.parametrize("vector", named(SEGMENTS["bad"]))
def test_bad_segments_are_refused(vector: dict[str, Any]) -> None:
    stored = base64.b64decode(vector["stored_b64"])
    known = certificates()
    if vector.get("chain_only"):
        segment = open_segment(RING, known, DEVICE, vector["seq"], stored)
        first = SEGMENTS["chain"][0]
        with refused(vector):
            check_next(Head(DEVICE, 1, unhex(first["hash"])), segment)
        return
    with refused(vector):
        open_segment(RING, known, DEVICE, vector["seq"], stored)


def test_the_whole_vault_opens_from_its_passphrase_alone() -> None:
    v = load("vault")
    remote = {name: base64.b64decode(data) for name, data in v["remote_b64"].items()}
    ring, info = open_header(remote["h/00000001"], Passphrase(v["passphrase"]), 1)
    (device,) = (d.device for d in info.devices)
    stored = remote[certificate_path(certificate_name(ring, device, 1))]
    known = {(device, 1): open_certificate(ring, device, 1, stored)}
    records: list[Content] = []
    condemned: set[ObjectName] = set()
    last: Head | None = None
    seq = 1
    while (path := segment_path(segment_name(ring, device, seq))) in remote:
        segment = open_segment(ring, known, device, seq, remote[path])
        last = check_next(last, segment)
        seq += 1
        for raw in segment.units:
            unit = decode_unit(raw, device)
            for op in unit.ops:
                if isinstance(op, RecordContent):
                    records.append(op.content)
                elif isinstance(op, SetRegister) and op.field is Field.CONDEMNED:
                    condemned |= set(op.value)
    assert last is not None
    assert last.seq == 3
    assert {object_path(name) for name in condemned}.isdisjoint(remote)
    contents = {
        record.id: b"".join(read_part(ring, p, n, remote) for n, p in enumerate(record.parts))
        for record in records
        if record.record not in condemned
    }
    found = set(contents.values())
    for entry in v["tree"].values():
        assert pattern(entry["seed"], entry["size"]) in found
    for ident, data in contents.items():
        assert content_id(ring.content_key, data) == ident


def read_part(ring: KeyRing, part: Part, number: int, remote: dict[str, bytes]) -> bytes:
    stored = remote[object_path(part.name)]
    verify_part(ring, part, number, lambda at, size: stored[at : at + size])
    reader = PartReader(ring, part, number)
    at, length, first = reader.span(0, part.size)
    out = bytearray(part.size)
    reader.open_into(stored[at : at + length], first, 0, memoryview(out))
    return bytes(out)
