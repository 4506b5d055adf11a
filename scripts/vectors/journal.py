"""Vectors of units, certificates and segments."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from scripts.vectors.parts import seal_content
from scripts.vectors.source import (
    NOW_MS,
    b64,
    counted,
    first_epoch,
    pattern,
    ring_json,
    the_ring,
)
from tagfs.model import (
    ROOT as ROOT_FOLDER,
)
from tagfs.model import (
    UNFILED,
    ContentId,
    Facts,
    FileId,
    FolderId,
    Located,
    ObjectName,
    Place,
    Region,
    Scored,
    TagId,
    UnitId,
    Word,
)
from tagfs.vault import cbor, segments
from tagfs.vault.device import DeviceKeys, certificate_name, certify
from tagfs.vault.keys import KeyRing
from tagfs.vault.layout import (
    KIND_CERTIFICATE,
    KIND_SEGMENT,
    certificate_path,
)
from tagfs.vault.messages import open_message, seal_message
from tagfs.vault.ops import (
    AddEntry,
    Entity,
    Field,
    RecordAnalysis,
    RecordContent,
    RemoveEntry,
    SetRegister,
    SetWord,
    Unit,
    encode_unit,
)
from tagfs.vault.segments import SegmentWriter, segment_name


def units() -> list[tuple[str, Unit]]:
    """Return one unit with every operation, and what a small gallery has."""
    device = DeviceKeys.create(counted("device")).id
    ids = counted("ids")
    folder, file, twin = FolderId(ids(16)), FileId(ids(16)), FileId(ids(16))
    ring = the_ring()
    picture, _ = seal_content(ring, pattern(5, "5"), "part 5", b"IMG_\xff 1.jpg")
    facts = Facts(
        4000,
        3000,
        6,
        "2026-11-24T20:15:00",
        "+01:00",
        "ACME 1",
        Place(41.9, 12.5, 21.0),
        0x00C0FFEE12345678,
        Located("IT", "Lazio", "Rome"),
        "ACME 50mm f/1.8",
        regions=(
            Region("Anna", (0.0, 1 / 65535, 0.5 + 0.5 / 65535, 1.0)),
            Region("Ärpád O'Neil", (0.2, 0.4, 0.6, 0.8)),
        ),
        keywords=("Schöne Wiese", "food/drink"),
        rating=7,
    )
    hlc = NOW_MS << 16
    every = Unit(
        UnitId(ids(16)),
        hlc,
        device,
        (
            SetRegister(Entity.FOLDER, folder, Field.PLACE, (ROOT_FOLDER, b"2026", True)),
            SetRegister(Entity.FOLDER, folder, Field.MODE, 0o755),
            AddEntry(folder, b"IMG_\xff 1.jpg", file),
            AddEntry(UNFILED, b"twin.jpg", twin),
            SetRegister(Entity.FILE, file, Field.CONTENT, (picture.id, picture.size)),
            SetRegister(
                Entity.FILE, twin, Field.CONTENT, (picture.id, picture.size, ContentId(bytes(32)))
            ),
            SetRegister(Entity.FILE, file, Field.MTIME, -1),
            SetRegister(Entity.FILE, file, Field.TARGET, b"../target"),
            SetRegister(Entity.FILE, file, Field.TRASHED, (NOW_MS, ((folder, b"old"),))),
            SetRegister(Entity.FILE, file, Field.PURGED, NOW_MS),
            SetRegister(Entity.TAG, b"n02084071", Field.TAG_NAME, "Hund"),
            SetRegister(Entity.TAG, b"n02084071", Field.TAG_MERGED, None),
            SetRegister(Entity.TAG, b"n02084071", Field.TAG_KEPT, True),
            SetRegister(Entity.PHOTO, picture.id, Field.VIEW_NAME, b"IMG_1.jpg"),
            SetRegister(Entity.PHOTO, picture.id, Field.FAVOURITE, True),
            SetRegister(Entity.PHOTO, picture.id, Field.DATE, "2026-11"),
            SetRegister(Entity.PHOTO, picture.id, Field.RATING, 9),
            SetRegister(Entity.PHOTO, picture.id, Field.CONDEMNED, (ObjectName(bytes(16)),)),
            SetRegister(Entity.FILE, file, Field.ATTRIBUTES, ((b"user.xdg.comment", b"hi"),)),
            SetRegister(Entity.FILE, twin, Field.VERSION_OF, file),
            SetRegister(Entity.FILE, twin, Field.WRITTEN_OVER, picture.id),
            SetRegister(Entity.PATH, b"n02084071/n09217230", Field.NARROWING, True),
            SetRegister(Entity.QUERY, b"dog beach", Field.QUERY, True),
            SetWord(picture.id, TagId("n02084071"), Word.NO),
            SetWord(twin, TagId("n02084071"), Word.YES),
            RemoveEntry(folder, b"IMG_\xff 1.jpg", file, ((device, hlc, 2),)),
            RecordContent(picture),
            RecordAnalysis(
                picture.id,
                "default-1",
                "image/jpeg",
                (Scored(TagId("n02084071"), 0.875),),
                facts,
                (ContentId(bytes(32)), 0, 100),
                None,
                None,
            ),
        ),
    )
    return [
        ("every operation", every),
        ("no operation", Unit(UnitId(ids(16)), 0, device, ())),
        ("an act of the user's", Unit(UnitId(ids(16)), 1, device, (), True)),
        ("an act that takes back another", Unit(UnitId(ids(16)), 2, device, (), True, every.id)),
    ]


def units_file() -> dict[str, Any]:
    """Encoded units, and malformed ones."""
    head = [bytes(16), 1]
    part = [bytes(16), 1, bytes(24), bytes(32), 5, 1000]

    def with_ops(*listed: object) -> bytes:
        return cbor.encode([*head, list(listed)])

    def looked(facts: dict[int, Any]) -> list[Any]:
        return [6, bytes(32), "p", "a/b", [], facts, None, None, None]

    bad: list[tuple[str, bytes]] = [
        ("empty", b""),
        ("an id of 15 bytes", cbor.encode([bytes(15), 1, []])),
        ("a clock that is no integer", cbor.encode([bytes(16), 1.0, []])),
        ("a mark of one byte", cbor.encode([*head, [], b"x"])),
        ("a mark that is no byte string", cbor.encode([*head, [], True])),
        ("condemned records of a file", with_ops([1, 4, bytes(16), 20, [bytes(16)]])),
        ("no condemned record", with_ops([1, 4, bytes(32), 20, []])),
        ("a condemned record twice", with_ops([1, 4, bytes(32), 20, [bytes(16)] * 2])),
        (
            "condemned records out of order",
            with_ops([1, 4, bytes(32), 20, [b"\1" * 16, bytes(16)]]),
        ),
        ("a rating of eleven", with_ops([1, 4, bytes(32), 18, 11])),
        ("an attribute without a name", with_ops([1, 1, bytes(16), 19, [[b"", b"x"]]])),
        ("an attribute that is there twice", with_ops([1, 1, bytes(16), 19, [[b"a", b""]] * 2])),
        ("attributes of 65537 bytes", with_ops([1, 1, bytes(16), 19, [[b"a", bytes(65536)]]])),
        ("a name with a slash", with_ops([3, bytes(16), b"a/b", bytes(16)])),
        ("a name of two dots", with_ops([3, bytes(16), b"..", bytes(16)])),
        ("a name of 256 bytes", with_ops([3, bytes(16), b"x" * 256, bytes(16)])),
        ("parts that do not add up", with_ops([5, bytes(32), 6, "a/b", [part]])),
        ("a first part that is not whole", with_ops([5, bytes(32), 10, "a/b", [part, part]])),
        ("a lens of 257 bytes", with_ops(looked({10: "x" * 257}))),
        ("a lens that is a number", with_ops(looked({10: 50}))),
        ("a latitude of 91", with_ops(looked({7: [91.0, 0.0, None]}))),
        ("a perceptual hash of 7 bytes", with_ops(looked({8: bytes(7)}))),
        ("a perceptual hash that is a number", with_ops(looked({8: 1}))),
        ("a country in small letters", with_ops(looked({9: ["it", None, None]}))),
        ("a town without a name", with_ops(looked({9: ["IT", None, ""]}))),
        ("a region of two lines", with_ops(looked({9: ["IT", "La\nzio", None]}))),
        ("a town of 129 bytes", with_ops(looked({9: ["IT", "Lazio", "x" * 129]}))),
        ("a place of two values", with_ops(looked({9: ["IT", "Lazio"]}))),
        ("a marked face without a name", with_ops(looked({11: [["", 0, 0, 1, 1]]}))),
        ("a marked face of two lines", with_ops(looked({11: [["An\nna", 0, 0, 1, 1]]}))),
        ("a name of 256 bytes at a face", with_ops(looked({11: [["x" * 256, 0, 0, 1, 1]]}))),
        ("a marked face without width", with_ops(looked({11: [["Anna", 7, 0, 7, 1]]}))),
        ("a marked face upside down", with_ops(looked({11: [["Anna", 0, 2, 1, 1]]}))),
        ("a marked face beyond the side", with_ops(looked({11: [["Anna", 0, 0, 65536, 1]]}))),
        ("a marked face of three sides", with_ops(looked({11: [["Anna", 0, 0, 1]]}))),
        ("65 marked faces", with_ops(looked({11: [["Anna", 0, 0, 1, 1]] * 65}))),
        ("an empty keyword", with_ops(looked({12: [""]}))),
        ("a keyword of two lines", with_ops(looked({12: ["a\nb"]}))),
        ("a keyword of 129 bytes", with_ops(looked({12: ["x" * 129]}))),
        ("65 keywords", with_ops(looked({12: ["x"] * 65}))),
        ("eleven half stars", with_ops(looked({13: 11}))),
        ("a word that is none", with_ops([2, bytes(32), "n1", 3])),
        ("nested too deep", b"\x81" * 500 + b"\0"),
        ("an endless array", b"\x83\x50" + bytes(16) + b"\x01\x9f\xff"),
        ("an array that claims 2^60 items", b"\x9b\x10" + bytes(7)),
    ]
    skipped = with_ops([7, "later"], [1, 99, b"", 1, None], [3, bytes(16), b"n", bytes(16), "more"])
    return {
        "good": [
            {
                "what": what,
                "unit": encode_unit(unit).hex(),
                "id": unit.id.hex(),
                "hlc": unit.hlc,
                "ops": [_plain(op) for op in cbor.decode(encode_unit(unit))[2]],
                "by_user": unit.by_user,
                "undoes": None if unit.undoes is None else unit.undoes.hex(),
            }
            for what, unit in units()
        ]
        + [
            {
                "what": "operations, entities and fields of a later version",
                "unit": skipped.hex(),
                "id": bytes(16).hex(),
                "hlc": 1,
                "ops": [
                    None,
                    None,
                    [3, {"hex": bytes(16).hex()}, {"hex": "6e"}, {"hex": bytes(16).hex()}],
                ],
            }
        ],
        "bad": [{"what": w, "unit": u.hex(), "refusal": ["integrity"]} for w, u in bad],
    }


def _plain(value: Any) -> Any:
    """Return a CBOR value as JSON: byte strings as {"hex": …}, maps as {"map": [[k, v], …]}."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {"map": [[_plain(k), _plain(v)] for k, v in value.items()]}
    return value


def segments_file() -> dict[str, Any]:
    """A certificate, a chain of three segments across a rotation, and what must be refused."""
    new, random = the_ring(), counted("segments")
    old = first_epoch(new)
    device = DeviceKeys.create(counted("device"))
    other = DeviceKeys.create(counted("other device"))
    _, first_certificate = certify(old, device, NOW_MS, "laptop", random)
    _, second_certificate = certify(new, device, NOW_MS + 1, "laptop", random)
    chain: list[dict[str, Any]] = []
    writer = SegmentWriter(old, device, None, random)
    heads = [segments.Head(other.id, 3, pattern(32))]
    for listed in ([b"unit one", b"unit two"], [], [bytes(5000)]):
        if len(chain) == 2:
            writer = SegmentWriter(new, device, writer.last, random)
        _, stored, head = writer.seal(listed, heads if chain else [])
        writer.last = head
        chain.append(
            {
                "seq": head.seq,
                "epoch": 2 if len(chain) == 2 else 1,
                "stored_b64": b64(stored),
                "prev": chain[-1]["hash"] if chain else bytes(32).hex(),
                "hash": head.hash.hex(),
                "heads": [[h.device.hex(), h.seq, h.hash.hex()] for h in (heads if chain else [])],
                "units": [u.hex() for u in listed],
            }
        )
    return {
        "ring": ring_json(new),
        "device": device.id.hex(),
        "certificates": [
            {
                "epoch": epoch,
                "path": certificate_path(certificate_name(new, device.id, epoch)),
                "stored_b64": b64(stored),
                "signing_public": device.signing_public.hex(),
                "exchange_public": device.exchange_public.hex(),
                "created_ms": created,
                "label": "laptop",
            }
            for epoch, stored, created in [
                (1, first_certificate, NOW_MS),
                (2, second_certificate, NOW_MS + 1),
            ]
        ],
        "bad_certificates": _bad_certificates(new, device, other, first_certificate, random),
        "chain": chain,
        "bad": _bad_segments(new, device, other, random),
    }


def _bad_certificates(
    ring: KeyRing,
    device: DeviceKeys,
    other: DeviceKeys,
    good: bytes,
    random: Callable[[int], bytes],
) -> list[dict[str, Any]]:
    name = certificate_name(ring, device.id, 1)
    _, payload = open_message(ring, KIND_CERTIFICATE, name, good, 4096, "")
    body = payload[64:]
    flipped = good[:100] + bytes([good[100] ^ 1]) + good[101:]
    old = first_epoch(ring)
    forged = seal_message(old, KIND_CERTIFICATE, name, other.sign(body) + body, random)
    return [
        {"what": what, "epoch": epoch, "stored_b64": b64(data), "refusal": ["integrity"]}
        for what, epoch, data in [
            ("a bit flipped", 1, flipped),
            ("cut", 1, good[:-1]),
            ("under the name of another epoch", 2, good),
            ("signed by somebody else", 1, forged),
        ]
    ]


def _bad_segments(
    ring: KeyRing, device: DeviceKeys, other: DeviceKeys, random: Callable[[int], bytes]
) -> list[dict[str, Any]]:
    """Return segments for sequence 1 of the device; the last one for its place in the chain."""

    def craft(
        body: bytes,
        signer: DeviceKeys = device,
        named: DeviceKeys = device,
        packed: bytes | None = None,
        seq: int = 1,
    ) -> bytes:
        name = segment_name(ring, device.id, seq)
        packed = zlib.compress(body, 6) if packed is None else packed
        signature = signer.sign(segments._signed(ring, name, packed))
        return seal_message(ring, KIND_SEGMENT, name, named.id + signature + packed, random)

    def body(**changes: Any) -> bytes:
        fields = {1: device.id, 2: 1, 3: bytes(32), 4: [], 5: []}
        return cbor.encode(fields | {int(k[1:]): v for k, v in changes.items()})

    good = craft(body())
    flipped = good[:200] + bytes([good[200] ^ 1]) + good[201:]
    cut = good[:-1]
    bomb = zlib.compress(bytes(segments.MAX_BODY + 1), 9)
    return [
        {"what": what, "seq": seq, "stored_b64": b64(data), "refusal": ["integrity"]}
        for what, seq, data in [
            ("a bit flipped", 1, flipped),
            ("cut", 1, cut),
            ("under the name of sequence 2", 2, good),
            ("signed by another device", 1, craft(body(), other)),
            ("naming another device", 1, craft(body(), device, other)),
            ("a body that names another device", 1, craft(body(_1=other.id))),
            ("a body that names another sequence", 1, craft(body(_2=2))),
            ("a body of more than 32 MiB", 1, craft(b"", packed=bomb)),
            ("a body that ends early", 1, craft(b"", packed=zlib.compress(body(), 6)[:-4])),
            ("bytes after the body", 1, craft(b"", packed=zlib.compress(body(), 6) + b"x")),
            ("a body that is no map", 1, craft(cbor.encode([]))),
            ("a head with a short hash", 1, craft(body(_4=[[other.id, 1, bytes(31)]]))),
        ]
    ] + [
        {
            "what": "well made, but it does not follow the segment before it",
            "seq": 2,
            "stored_b64": b64(craft(body(_2=2, _3=pattern(32)), seq=2)),
            "refusal": ["integrity"],
            "chain_only": True,
        }
    ]
