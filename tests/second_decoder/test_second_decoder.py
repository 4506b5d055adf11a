"""The second decoder reads every vector of docs/format.md, and a vault that tagfs has written.

``decoder.py`` was written from the document alone. What it and tagfs agree on here is what the
document says; where they part, one of the three is wrong.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import stat
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import trio

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "pipeline"))
import decoder as d
import encoder as e
from gallery_kit import SECRET, VIEWS, Folder, make, opened

VECTORS = Path(__file__).parent.parent / "vectors"


def vectors(name: str) -> dict[str, Any]:
    return json.loads((VECTORS / f"{name}.json").read_text())


KEYS, HEADERS, PARTS, UNITS, SEGMENTS, VAULT = (
    vectors(name) for name in ("keys", "header", "parts", "units", "segments", "vault")
)


def h(text: str) -> bytes:
    return bytes.fromhex(text)


def b64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def ring_of(item: dict[str, Any]) -> d.Ring:
    epochs = item["epochs"]
    assert [epoch["number"] for epoch in epochs] == list(range(1, len(epochs) + 1))
    pairs = tuple((h(epoch["secret"]), h(epoch["signing_seed"])) for epoch in epochs)
    return d.Ring(h(item["vault"]), h(item["content_key"]), pairs)


def content_of(seed: str, size: int) -> bytes:
    return hashlib.shake_256(b"tagfs content " + seed.encode()).digest(size)


def changed(data: bytes, change: dict[str, Any]) -> bytes:
    """Apply those changes of the document that are about bytes."""
    out = bytearray(data)
    if "flip" in change:
        out[change["flip"] // 8] ^= 1 << change["flip"] % 8
    if "cut" in change:
        del out[change["cut"] :]
    if "append" in change:
        out += h(change["append"])
    if "swap" in change:
        a, b, n = change["swap"]
        out[a : a + n], out[b : b + n] = out[b : b + n], out[a : a + n]
    if "stored_b64" in change:
        out[:] = b64(change["stored_b64"])
    return bytes(out)


def named(items: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(item, id=item["what"]) for item in items]


# --- keys.json -----------------------------------------------------------------------------------


def test_derived_keys_are_those_of_the_vectors() -> None:
    for item in KEYS["derive"]:
        key = d.derive(h(item["secret"]), item["label"], h(item["context"]), item["length"])
        assert key.hex() == item["key"]


def test_the_keys_of_a_ring_are_those_of_the_vectors() -> None:
    ring = ring_of(KEYS["ring"])
    for item in KEYS["of_epoch"]:
        epoch = item["epoch"]
        for label in ("object", "segment", "header", "certificate"):
            assert ring.key(label, epoch).hex() == item[label]
        assert ring.signing_public(epoch).public_bytes_raw().hex() == item["signing_public"]
    assert ring.key("names").hex() == KEYS["names_key"]
    assert ring.key("tag").hex() == KEYS["tag_key"]


def test_chunks_of_a_stream_open_and_seal_as_in_the_vectors() -> None:
    item = KEYS["stream"]
    stream = d.Stream(h(item["input_key"]), h(item["salt"]), h(item["context"]))
    assert stream.key.hex() == item["key"]
    assert stream.nonce.hex() == item["base_nonce"]
    assert stream.commitment.hex() == item["commitment"]
    for chunk in item["chunks"]:
        plain, sealed = h(chunk["plain"]), h(chunk["sealed"])
        assert stream.open_chunk(chunk["counter"], chunk["last"], sealed) == plain
        assert stream.seal_chunk(chunk["counter"], chunk["last"], plain) == sealed
        with pytest.raises(d.Refused):
            stream.open_chunk(chunk["counter"], not chunk["last"], sealed)


def test_padding_and_stored_sizes_are_those_of_the_vectors() -> None:
    for size, padded in KEYS["padme"]:
        assert d.padme(size) == padded
    for size, padded, stored in KEYS["padded_part"]:
        assert d.padded_part(size) == (padded, stored)


def test_passphrases_stretch_to_the_keys_of_the_vectors_and_bad_costs_are_refused() -> None:
    for item in KEYS["argon2id"]:
        costs = item["memory_kib"], item["time"], item["lanes"]
        assert d.stretch(item["passphrase"], h(item["salt"]), *costs).hex() == item["key"]
    for costs in KEYS["argon2id_refused"]:
        with pytest.raises(d.Refused):
            d.stretch("", bytes(16), *costs)


def test_recovery_words_and_entropy_turn_into_each_other() -> None:
    for item in KEYS["words"]:
        assert d.entropy_of_words(item["words"]).hex() == item["entropy"]
        assert d.words_of_entropy(h(item["entropy"])) == item["words"]
        with pytest.raises(d.WrongSecret):
            d.entropy_of_words(item["words"].rsplit(" ", 1)[0] + " zoo")


def test_content_ids_are_those_of_the_vectors() -> None:
    ring = ring_of(KEYS["ring"])
    for item in KEYS["content_ids"]:
        content = content_of(item["seed"], item["size"])
        assert d.content_id(ring, content).hex() == item["id"]


def test_names_on_the_remote_are_those_of_the_vectors() -> None:
    ring, item = ring_of(KEYS["ring"]), KEYS["names"]
    device = h(item["device"])
    for seq, path in item["segments"]:
        assert d.path_of("j", ring.segment_name(device, seq)) == path
    for epoch, path in item["certificates"]:
        assert d.path_of("d", ring.certificate_name(epoch, device)) == path
    assert d.header_path(42) == item["header"]
    for path in (item["object"], item["header"], *(p for _, p in item["segments"])):
        assert d.NAMES.fullmatch(path)


# --- header.json ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(HEADERS["good"])))
def test_good_headers_open_with_every_secret(number: int) -> None:
    item = HEADERS["good"][number]
    header = d.read_header(b64(item["header_b64"]), item["generation"])
    ring = ring_of(item["ring"])
    device = HEADERS["device"]
    known = ring_of(HEADERS["good"][0]["ring"])
    private = h(device["exchange_private"])
    assert d.open_header(header, passphrase=item["passphrase"]) == ring
    assert d.open_header(header, words=HEADERS["words"]) == ring
    assert d.open_header_as_device(header, h(device["id"]), private, known) == ring


@pytest.mark.parametrize("item", named(HEADERS["bad"]))
def test_bad_headers_are_refused_for_what_is_wrong_with_them(item: dict[str, Any]) -> None:
    base = item if "header_b64" in item else HEADERS["good"][item["of"]]
    data = changed(b64(base["header_b64"]), item.get("change", {}))
    secrets = item.get("passphrase"), item.get("words")
    with pytest.raises(d.Refused) as refusal:
        d.open_header(d.read_header(data, item["generation"]), *secrets)
    assert refusal.value.outcome in item["refusal"]


# --- parts.json ----------------------------------------------------------------------------------


def record_of(item: dict[str, Any]) -> d.Record:
    parts = tuple(
        d.Part(
            h(part["name"]),
            part["epoch"],
            h(part["salt"]),
            h(part["commitment"]),
            part["size"],
            part["stored"],
        )
        for part in item["parts"]
    )
    return d.Record(h(item["id"]), item["size"], item["media_type"], parts)


@pytest.mark.parametrize("number", range(len(PARTS["good"])))
def test_good_parts_open_by_their_records_and_by_their_trailers(number: int) -> None:
    item = PARTS["good"][number]
    ring, record, stored = (
        ring_of(PARTS["ring"]),
        record_of(item["record"]),
        b64(item["stored_b64"]),
    )
    expected = content_of(item["seed"], record.size)
    content, trailer = d.open_part(ring, record.parts[0], item["number"], stored)
    assert content == expected
    assert d.content_id(ring, content) == record.content
    assert trailer == d.Trailer(
        h(item["name"]),
        item["mtime_ns"],
        record.media_type,
        item["number"],
        item["count"],
        record.size,
        record.size,
        record.content,
    )
    assert d.padded_part(record.size)[1] == len(stored)
    remote = d.RemoteInMemory({d.path_of("o", record.parts[0].name): stored})
    problems: list[str] = []
    (found,) = d.find_contents(remote, ring, problems)
    pieces: list[bytes] = []
    d.read_found(remote, ring, found, pieces.append)
    assert (b"".join(pieces), found.trailer, problems) == (expected, trailer, [])


def test_the_last_of_two_parts_opens_and_the_first_can_be_made_again() -> None:
    item = PARTS["large"]
    ring, record = ring_of(PARTS["ring"]), record_of(item["record"])
    content = content_of(item["seed"], record.size)
    assert d.content_id(ring, content) == record.content
    last = b64(item["last_stored_b64"])
    assert hashlib.sha256(last).hexdigest() == item["stored_sha256"][1]
    tail, trailer = d.open_part(ring, record.parts[1], 1, last)
    assert tail == content[d.PART :]
    assert (trailer.name, trailer.number, trailer.count) == (h(item["name"]), 1, 2)
    name, epoch, salt = (getattr(record.parts[0], k) for k in ("name", "epoch", "salt"))
    begins = replace(trailer, number=0, size=d.PART)
    part, first = e.seal_part(ring, name, epoch, salt, content[: d.PART], begins)
    assert part == record.parts[0]
    assert hashlib.sha256(first).hexdigest() == item["stored_sha256"][0]
    assert d.open_part(ring, record.parts[0], 0, first)[0] == content[: d.PART]


@pytest.mark.parametrize("item", named(PARTS["bad"]))
def test_bad_parts_are_refused(item: dict[str, Any]) -> None:
    good, change = PARTS["good"][item["of"]], item["change"]
    ring, part = ring_of(PARTS["ring"]), record_of(good["record"]).parts[0]
    number = change.get("as_number", good["number"])
    source = PARTS["good"][change["stored_of"]] if "stored_of" in change else good
    stored = changed(b64(source["stored_b64"]), change)
    for key in ("name", "salt", "commitment"):
        if f"as_{key}" in change:
            part = replace(part, **{key: h(change[f"as_{key}"])})
    for key in ("epoch", "size"):
        if f"as_{key}" in change:
            part = replace(part, **{key: change[f"as_{key}"]})
    if "as_vault" in change:
        ring = replace(ring, vault=h(change["as_vault"]))
    with pytest.raises(d.Refused):
        d.open_part(ring, part, number, stored)


@pytest.mark.parametrize(
    "what",
    [
        "the last chunk not marked as the last",
        "the first chunk numbered 1",
        "sealed as part number 1",
        "padding that is not zero",
    ],
)
def test_parts_that_are_sealed_wrongly_are_refused_without_their_length_being_wrong(
    what: str,
) -> None:
    (item,) = [item for item in PARTS["bad"] if item["what"] == what]
    good = PARTS["good"][item["of"]]
    stored = b64(item["change"]["stored_b64"])
    part = record_of(good["record"]).parts[0]
    assert len(stored) == part.stored
    epoch, salt, commitment = d.head_of(stored)
    part = replace(part, epoch=epoch, salt=salt, commitment=commitment)
    with pytest.raises(d.Refused):
        d.open_part(ring_of(PARTS["ring"]), part, 0, stored)


# --- units.json ----------------------------------------------------------------------------------


def from_json(value: Any) -> Any:
    if isinstance(value, dict) and "hex" in value:
        return h(value["hex"])
    if isinstance(value, dict):
        return {key: from_json(item) for key, item in value["map"]}
    if isinstance(value, list):
        return [from_json(item) for item in value]
    return value


@pytest.mark.parametrize("item", named(UNITS["good"]))
def test_good_units_decode_to_the_operations_that_they_say(item: dict[str, Any]) -> None:
    unit = d.read_unit(h(item["unit"]))
    assert (unit.ident, unit.clock) == (h(item["id"]), item["hlc"])
    assert list(unit.ops) == [from_json(op) for op in item["ops"]]
    expected = bytes.fromhex(item.get("undoes") or "") if item.get("by_user") else None
    assert unit.mark == expected


@pytest.mark.parametrize("item", named(UNITS["bad"]))
def test_bad_units_are_refused(item: dict[str, Any]) -> None:
    with pytest.raises(d.Refused):
        d.read_unit(h(item["unit"]))


# --- segments.json -------------------------------------------------------------------------------

DEVICE = h(SEGMENTS["device"])


def vector_certificate(device: bytes, epoch: int) -> d.Certificate:
    assert device == DEVICE
    (item,) = [item for item in SEGMENTS["certificates"] if item["epoch"] == epoch]
    return d.read_certificate(ring_of(SEGMENTS["ring"]), device, epoch, b64(item["stored_b64"]))


def vector_segment(item: dict[str, Any]) -> d.Segment:
    ring = ring_of(SEGMENTS["ring"])
    return d.read_segment(ring, DEVICE, item["seq"], b64(item["stored_b64"]), vector_certificate)


def test_good_certificates_decode_to_what_they_say() -> None:
    ring = ring_of(SEGMENTS["ring"])
    for item in SEGMENTS["certificates"]:
        assert d.path_of("d", ring.certificate_name(item["epoch"], DEVICE)) == item["path"]
        assert vector_certificate(DEVICE, item["epoch"]) == d.Certificate(
            DEVICE,
            h(item["signing_public"]),
            h(item["exchange_public"]),
            item["epoch"],
            item["created_ms"],
            item["label"],
        )


@pytest.mark.parametrize("item", named(SEGMENTS["bad_certificates"]))
def test_bad_certificates_are_refused(item: dict[str, Any]) -> None:
    ring = ring_of(SEGMENTS["ring"])
    with pytest.raises(d.Refused):
        d.read_certificate(ring, DEVICE, item["epoch"], b64(item["stored_b64"]))


def test_a_good_chain_decodes_to_what_it_says() -> None:
    before = None
    for item in SEGMENTS["chain"]:
        segment = vector_segment(item)
        d.check_follows(segment, before)
        assert (segment.seq, segment.epoch) == (item["seq"], item["epoch"])
        assert (segment.before, segment.digest) == (h(item["prev"]), h(item["hash"]))
        assert segment.heads == {h(a): (seq, h(digest)) for a, seq, digest in item["heads"]}
        assert segment.units == tuple(h(unit) for unit in item["units"])
        before = segment


@pytest.mark.parametrize("item", named(SEGMENTS["bad"]))
def test_bad_segments_are_refused(item: dict[str, Any]) -> None:
    if item.get("chain_only"):
        segment = vector_segment(item)
        with pytest.raises(d.Refused):
            d.check_follows(segment, vector_segment(SEGMENTS["chain"][0]))
    else:
        with pytest.raises(d.Refused):
            vector_segment(item)


# --- vault.json ----------------------------------------------------------------------------------

OBJECTS = {path: b64(data) for path, data in VAULT["remote_b64"].items()}


@pytest.mark.parametrize("secret", ["passphrase", "words"])
def test_the_vault_of_the_vectors_reads_as_its_tree(secret: str) -> None:
    vault = d.Vault(d.RemoteInMemory(OBJECTS), **{secret: VAULT[secret]})
    assert set(vault.header.devices) == {h(VAULT["device"])}
    files = {os.fsdecode(path): entry for path, entry in vault.tree.walk() if entry.file}
    assert set(files) == set(VAULT["tree"])
    for path, item in VAULT["tree"].items():
        assert vault.read(files[path]) == content_of(item["seed"], item["size"])
        assert sorted(vault.state.tags_of(files[path].file)) == item["tags"]
    assert vault.problems == []


def test_the_contents_of_the_vault_of_the_vectors_come_back_without_its_journal() -> None:
    objects = {path: data for path, data in OBJECTS.items() if path[0] in "ho"}
    remote, problems = d.RemoteInMemory(objects), list[str]()
    ring = d.open_header(d.newest_header(remote), words=VAULT["words"])
    contents = set()
    for found in d.find_contents(remote, ring, problems):
        pieces: list[bytes] = []
        d.read_found(remote, ring, found, pieces.append)
        if found.trailer.media_type != d.PACK:
            contents.add(b"".join(pieces))
    tree = VAULT["tree"].values()
    assert contents == {content_of(item["seed"], item["size"]) for item in tree}
    assert problems == []


@pytest.mark.parametrize("kind", ["d", "j", "o"])
def test_a_change_in_any_object_of_the_vault_is_noticed(kind: str) -> None:
    paths = [path for path in OBJECTS if path.startswith(kind)]
    for path in paths:
        data = changed(OBJECTS[path], {"flip": 8 * (len(OBJECTS[path]) - 600)})
        remote = d.RemoteInMemory({**OBJECTS, path: data})
        vault = d.Vault(remote, passphrase=VAULT["passphrase"])
        refusals = list(vault.problems)
        for record in (r for c in vault.state.records for r in vault.state.records_of(c)):
            try:
                d.read_content(remote, vault.ring, record, len)
            except d.Refused as refusal:
                refusals.append(str(refusal))
        assert refusals
    assert paths


# --- a vault that tagfs has written ---------------------------------------------------------------

OWN_TAG = "rote Bilder"


@dataclass(frozen=True)
class Shown:
    """What the gallery shows under one path."""

    mode: int
    mtime_ns: int
    data: bytes | None
    """Bytes of a file, None for a folder or a link."""


@dataclass(frozen=True)
class Made:
    """A real vault and what the gallery showed of it."""

    remote: Path
    words: str
    shown: dict[str, Shown]
    links: dict[str, bytes]
    one_file: set[str]
    all: dict[str, bytes]
    trash: dict[str, bytes]
    tags: dict[str, dict[str, bytes]]
    contents: set[bytes]


def picture(red: int) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (32, 32), (red, 10, 10)).save(out, "PNG")
    return out.getvalue()


FILM = 70_000_000


async def first_acts(g: Folder) -> None:
    """Write, overwrite, rename, link, delete, tag."""
    for folder in ("2019", "2019/summer", "2020", "empty", "gone", "ä\u0308 \n odd"):
        g.mkdir(folder)
    await g.write("2019/summer/red.png", picture(200))
    await g.write("2019/summer/dark.png", picture(20))
    await g.write("2019/summer/twin.png", picture(200))
    await g.write("2019/notes.bin", content_of("notes", 300_000))
    await g.write("2020/film.mp4", content_of("film", FILM))
    await g.write("2020/nothing.txt", b"")
    await g.write("at the root.txt", b"root")
    for size in (1, 1023, 1024, 1025, 131071, 131072, 131073, 33_554_432):
        await g.write(f"2020/{size}.bin", content_of(str(size), size))
    await g.write(os.fsdecode(b"\xff\xfe no text.bin"), b"bytes")
    await g.write("2020/" + "n" * 251 + ".png", picture(90))


async def second_acts(g: Folder) -> None:
    """Go on after the first acts were stored and the gallery was opened anew."""
    await g.write("2019/notes.bin", content_of("notes, second", 200_000))
    await g.write("2019/notes.bin", content_of("notes, third", 250_000))
    g.mv("2019/summer", "2020/moved summer")
    g.mv("2020/1.bin", "2020/moved summer/one.bin")
    g.mv("2020/1024.bin", "2020/1023.bin")
    g.ln("2020/film.mp4", "2019/the same film.mp4")
    g.tree.symlink(*g.split("2019/link"), b"../2020/film.mp4")
    await g.write("2019/deleted.png", picture(150))
    await g.write("gone/with its folder.txt", b"gone")
    await g.gallery.wait("stored", 60)
    g.rm("2019/deleted.png")
    g.rm("2020/131071.bin")
    g.rm("gone/with its folder.txt")
    g.rmdir("gone")
    g.tree.set_attr(g.ino("2020/moved summer/red.png"), 0o600, 1_234_567_890_123_456_789)
    g.tree.set_attr(g.ino("2020/nothing.txt"), 0o4755, -1_000_000_001)
    g.tree.set_attr(g.ino("empty"), 0o700, 1_000_000_000_000_000_007)
    g.mkdir("tags/" + OWN_TAG)
    g.mkdir("tags/Zu Löschen")
    g.mkdir("tags/kept though empty")
    g.mv("2020/moved summer/red.png", f"tags/{OWN_TAG}/red.png")
    await g.write(f"tags/{OWN_TAG}/only tagged.png", picture(210))
    g.mv("2020/moved summer/dark.png", "tags/Zu Löschen/dark.png")
    g.rm("tags/Zu Löschen/dark.png")
    g.mv("2020/moved summer/dark.png", "tags/Zu Löschen/dark.png")
    g.mv("tags/Zu Löschen", "tags/behalten")
    await g.gallery.wait("stored", 60)


async def look(g: Folder, remote: Path, words: str) -> Made:
    """Note everything that the gallery shows."""
    shown: dict[str, Shown] = {}
    links: dict[str, bytes] = {}

    async def below(folder: str) -> None:
        for name in g.names(folder):
            path = f"{folder}/{name}" if folder else name
            if path in VIEWS:
                continue
            attr = g.tree.attr(g.ino(path))
            if path == "2019/link":
                links[path] = b"../2020/film.mp4"
                shown[path] = Shown(attr.mode, attr.mtime_ns, None)
                continue
            try:
                inside = g.names(path)
            except Exception:  # it is not a folder
                shown[path] = Shown(attr.mode, attr.mtime_ns, await g.read(path))
                continue
            shown[path] = Shown(attr.mode, attr.mtime_ns, None)
            if inside:
                await below(path)

    async def files(view: str) -> dict[str, bytes]:
        return {name: await g.read(f"{view}/{name}") for name in g.names(view)}

    await below("")
    film = g.ino("2020/film.mp4")
    one_file = {path for path in shown if g.ino(path) == film}
    tags = {tag: await files(f"tags/{tag}") for tag in g.names("tags")}
    everything = await files("all")
    trash = await files("trash")
    contents = {item.data for item in shown.values() if item.data}
    contents |= set(everything.values()) | set(trash.values())
    return Made(remote, words, shown, links, one_file, everything, trash, tags, contents)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    tmp_path = tmp_path_factory.mktemp("gallery")

    async def main() -> Made:
        words = await make(tmp_path)
        async with opened(tmp_path) as g:
            await first_acts(g)
            assert await g.gallery.wait("stored", 60)
        async with opened(tmp_path) as g:
            await second_acts(g)
            assert await g.gallery.wait("stored", 60)
            return await look(g, tmp_path / "remote", words)

    return trio.run(main)


@pytest.fixture(scope="module")
def vault(made: Made) -> d.Vault:
    return d.Vault(d.Remote(made.remote), passphrase=SECRET.text)


def test_a_real_vault_opens_with_both_secrets_and_with_no_other(made: Made, vault: d.Vault) -> None:
    header = d.newest_header(d.Remote(made.remote))
    assert d.open_header(header, words=made.words) == vault.ring
    with pytest.raises(d.WrongSecret):
        d.open_header(header, passphrase=SECRET.text + " ")
    assert vault.problems == []


def test_every_name_in_a_real_remote_is_one_of_the_document(made: Made) -> None:
    remote = d.Remote(made.remote)
    files = [p for p in made.remote.rglob("*") if p.is_file()]
    known = {name for kind in ("h/", "d/", "j/", "o/") for name in remote.names(kind)}
    assert {p.relative_to(made.remote).as_posix() for p in files} == known


def test_the_tree_has_the_same_paths_modes_and_times_as_the_gallery(
    made: Made, vault: d.Vault
) -> None:
    seen = {os.fsdecode(path): entry for path, entry in vault.tree.walk()}
    assert set(seen) == set(made.shown)
    for path, entry in seen.items():
        shown = made.shown[path]
        assert (path, vault.mode(entry)) == (path, stat.S_IMODE(shown.mode))
        if entry.file or path == "empty":
            assert (path, vault.mtime_ns(entry)) == (path, shown.mtime_ns)
        else:  # the gallery also counts what was last added to a folder, or taken out of it
            assert vault.mtime_ns(entry) <= shown.mtime_ns


def test_every_file_has_the_same_bytes_as_in_the_gallery(made: Made, vault: d.Vault) -> None:
    files = {os.fsdecode(p): e for p, e in vault.tree.walk() if e.file}
    assert set(files) == {p for p, s in made.shown.items() if s.data is not None} | set(made.links)
    for path, entry in files.items():
        if path in made.links:
            assert vault.target(entry) == made.links[path]
        else:
            assert vault.target(entry) is None
            assert vault.read(entry) == made.shown[path].data
    assert len({files[path].file for path in made.one_file}) == 1 < len(made.one_file)


def test_a_file_of_several_parts_is_sealed_in_several_objects(vault: d.Vault) -> None:
    (film,) = [e for p, e in vault.tree.walk() if p == b"2020/film.mp4"]
    content, size = vault.content_of(film)[:2]
    (record,) = vault.state.records_of(content)
    assert size == record.size == FILM
    assert [part.size for part in record.parts] == [d.PART, d.PART, FILM - 2 * d.PART]


def test_deleted_and_overwritten_files_are_in_the_trash(made: Made, vault: d.Vault) -> None:
    trash = sorted(vault.read(entry) for entry in vault.trash())
    assert trash == sorted(made.trash.values())


def test_the_photos_of_every_tag_are_those_that_the_gallery_shows(
    made: Made, vault: d.Vault
) -> None:
    listed = {e.file: vault.read(e) for _, e in vault.tree.walk() if e.file}
    listed |= {e.file: vault.read(e) for e, _ in vault.tree.unfiled()}
    by_tag: dict[str, set[bytes]] = {}
    for file, data in listed.items():
        for tag in vault.state.tags_of(file):
            by_tag.setdefault(vault.tag_name(tag), set()).add(data)
    shown = {tag: set(photos.values()) for tag, photos in made.tags.items() if photos}
    assert by_tag == shown


def test_the_id_of_a_users_tag_follows_from_its_first_name(vault: d.Vault) -> None:
    tag = d.tag_id_of_name(vault.ring, "ZU LÖSCHEN")
    assert vault.tag_name(tag) == "behalten"
    assert vault.tag_name(d.tag_id_of_name(vault.ring, OWN_TAG)) == OWN_TAG


def test_the_command_writes_the_whole_gallery_into_a_folder(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "stdin", io.StringIO(SECRET.text + "\n"))
    assert d.main([str(made.remote), str(out)]) == 0
    for path, shown in made.shown.items():
        written = out / "tree" / path
        if path in made.links:
            assert os.fsencode(os.readlink(written)) == made.links[path]
            continue
        info = written.stat()
        assert (path, stat.S_IMODE(info.st_mode)) == (path, stat.S_IMODE(shown.mode))
        if shown.data is not None:
            assert (path, info.st_mtime_ns) == (path, shown.mtime_ns)
            assert written.read_bytes() == shown.data
    assert len({(out / "tree" / path).stat().st_ino for path in made.one_file}) == 1
    assert json.loads((out / "tags.json").read_text())["tree/2020/moved summer/red.png"]


def test_all_contents_come_back_from_trailers_when_the_journal_is_gone(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = tmp_path / "remote"
    for kind in ("h", "o"):
        for path in d.Remote(made.remote).names(f"{kind}/"):
            (remote / path).parent.mkdir(parents=True, exist_ok=True)
            os.link(made.remote / path, remote / path)
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "stdin", io.StringIO(made.words + "\n"))
    assert d.main([str(remote), str(out), "--words", "--from-trailers"]) == 0
    recovered = {path.read_bytes() for path in (out / "contents").iterdir()}
    assert made.contents <= recovered
