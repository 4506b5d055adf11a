"""Vectors of a whole small vault."""

from __future__ import annotations

from typing import Any

from scripts.vectors.parts import seal_content
from scripts.vectors.source import (
    CHEAP,
    ENTROPY,
    NOW_MS,
    PASSPHRASE,
    FixedHpke,
    b64,
    counted,
    pattern,
)
from tagfs.model import (
    ROOT as ROOT_FOLDER,
)
from tagfs.model import (
    Facts,
    FileId,
    FolderId,
    Scored,
    TagId,
    UnitId,
    Word,
)
from tagfs.vault.device import DeviceKeys, certify
from tagfs.vault.header import create_header
from tagfs.vault.keys import KeyRing
from tagfs.vault.layout import (
    header_path,
    object_path,
)
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
from tagfs.vault.packs import MEDIA_TYPE, PackBuilder
from tagfs.vault.segments import SegmentWriter
from tagfs.vault.slots import Passphrase
from tagfs.vault.words import to_words


def vault_file() -> dict[str, Any]:
    """A whole small vault: every object of its remote, its secrets, and what is in it."""
    random = counted("vault")
    ring = KeyRing.create(random)
    device = DeviceKeys.create(random)
    data, _ = create_header(
        ring, Passphrase(PASSPHRASE), ENTROPY, device, CHEAP, random, FixedHpke(random)
    )
    remote = {header_path(1): data}
    remote.update([certify(ring, device, NOW_MS, "laptop", random)])
    pictures = []
    for n, name in enumerate([b"dog.jpg", b"beach.jpg"]):
        content, stored = seal_content(ring, pattern(3000 + n, name.decode()), f"v{n}", name)
        pictures.append((name, content))
        remote.update((object_path(p.name), s) for p, s in zip(content.parts, stored, strict=True))
    builder = PackBuilder()
    place = builder.add_details([Scored(TagId("n02084071"), 0.9)], b"\0\x3c" * 8)
    pack, stored = seal_content(ring, builder.data(), "pack", b"", MEDIA_TYPE)
    remote.update((object_path(p.name), s) for p, s in zip(pack.parts, stored, strict=True))
    # The second picture was sealed a second time, and the first sealing was condemned and deleted.
    again, stored = seal_content(ring, pattern(3001, "beach.jpg"), "v1 again", b"beach.jpg")
    remote.update((object_path(p.name), s) for p, s in zip(again.parts, stored, strict=True))
    gone = pictures[1][1]
    del remote[object_path(gone.record)]
    folder = FolderId(random(16))
    files = [FileId(random(16)) for _ in pictures]
    hlc = NOW_MS << 16
    listed = [
        Unit(
            UnitId(random(16)),
            hlc,
            device.id,
            (
                SetRegister(Entity.FOLDER, folder, Field.PLACE, (ROOT_FOLDER, b"2026", True)),
                *(
                    op
                    for file, (name, content) in zip(files, pictures, strict=True)
                    for op in (
                        AddEntry(folder, name, file),
                        SetRegister(Entity.FILE, file, Field.CONTENT, (content.id, content.size)),
                        SetRegister(Entity.FILE, file, Field.MTIME, 1_700_000_000_000_000_000),
                        RecordContent(content),
                    )
                ),
            ),
        ),
        Unit(
            UnitId(random(16)),
            hlc + 1,
            device.id,
            (
                RecordContent(pack),
                RecordAnalysis(
                    pictures[0][1].id,
                    "default-1",
                    "image/jpeg",
                    (Scored(TagId("n02084071"), 0.9),),
                    Facts(width=4000, height=3000),
                    (pack.id, *place),
                    None,
                    None,
                ),
                SetWord(pictures[1][1].id, TagId("n09217230"), Word.YES),
                RemoveEntry(folder, b"beach.jpg", files[1], ((device.id, hlc, 5),)),
                AddEntry(folder, b"sea.jpg", files[1]),
            ),
        ),
        Unit(
            UnitId(random(16)),
            hlc + 2,
            device.id,
            (
                RecordContent(again),
                SetRegister(Entity.PHOTO, gone.id, Field.CONDEMNED, (gone.record,)),
            ),
        ),
    ]
    writer = SegmentWriter(ring, device, None, random)
    for unit in listed:
        path, sealed, writer.last = writer.seal([encode_unit(unit)], [])
        remote[path] = sealed
    return {
        "passphrase": PASSPHRASE,
        "words": to_words(ENTROPY),
        "remote_b64": {name: b64(stored) for name, stored in sorted(remote.items())},
        "device": device.id.hex(),
        "tree": {
            "2026/dog.jpg": {"seed": "dog.jpg", "size": 3000, "tags": ["n02084071"]},
            "2026/sea.jpg": {"seed": "beach.jpg", "size": 3001, "tags": ["n09217230"]},
        },
    }
