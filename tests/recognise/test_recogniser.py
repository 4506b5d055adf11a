"""The real worker with the real model: right answers, and no harm from whatever it is given."""

from __future__ import annotations

import io
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from hostile_files import hostile, mutated
from PIL import Image

from tagfs.errors import Integrity
from tagfs.model import METADATA, Analysis, Facts, Located, Place
from tagfs.recognise import packs, taxonomy
from tagfs.recognise import recogniser as recogniser_module
from tagfs.recognise.messages import MAX_SIDECAR
from tagfs.recognise.packs import PackMissing
from tagfs.recognise.recogniser import Read, Recogniser, recogniser
from tagfs.recognise.sniff import DECODABLE, MOVIES, TELLING, sniff


@pytest.fixture
def model() -> packs.Pack:
    pack = packs.load()
    if not packs.is_installed(pack):
        pytest.skip("the default model pack is not installed: run `tagfs models install`")
    return pack


def as_read(data: bytes) -> Read:
    async def read(offset: int, size: int) -> bytes:
        return data[offset : offset + size]

    return read


async def look(found: Recogniser, data: bytes, media_type: str | None = None) -> Analysis:
    return await found.recognise(as_read(data), len(data), media_type or sniff(data[:64]))


def names(analysis: Analysis) -> set[str]:
    graph = taxonomy.load()
    return {graph.name(s.tag) or s.tag for s in analysis.tags}


@pytest.mark.parametrize(
    ("photo", "tag"),
    [
        ("in_Labrador_retriever.jpg", "dog"),
        ("in_jeep.jpg", "car"),
        ("in_pomegranate.jpg", "fruit"),
        ("in_trailer_truck.jpg", "vehicle"),
    ],
)
def test_a_clear_photo_gets_its_tag(test_data: object, model: object, photo: str, tag: str) -> None:
    data = (test_data / "data/tagging-dev/photos" / photo).read_bytes()  # type: ignore[operator]

    async def main() -> None:
        async with recogniser() as found:
            analysis = await look(found, data)
            assert tag in names(analysis)
            assert len(analysis.embedding) == 2 * 1280
            assert analysis.thumbnail.startswith(b"\xff\xd8")
            assert analysis.facts.width
            assert analysis.facts.phash

    trio.run(main)


def test_rubbish_is_unreadable_and_the_next_photo_is_looked_at(
    test_data: object, model: object
) -> None:
    good = (test_data / "data/tagging-dev/photos/in_jeep.jpg").read_bytes()  # type: ignore[operator]

    async def main() -> None:
        async with recogniser(jobs=1) as found:
            assert (await look(found, b"\xff\xd8\xff" + os.urandom(1000))).unreadable
            assert (await look(found, good[: len(good) // 20])).unreadable
            assert (await look(found, b"", "image/jpeg")).unreadable
            assert (await look(found, b"x", "application/pdf")).unreadable
            assert "car" in names(await look(found, good))

    trio.run(main)


def test_a_worker_makes_a_png_of_a_thumbnail_and_of_nothing_broken(
    test_data: object, model: object
) -> None:
    good = (test_data / "data/tagging-dev/photos/in_jeep.jpg").read_bytes()  # type: ignore[operator]

    async def main() -> None:
        async with recogniser(jobs=1) as found:
            small = (await look(found, good)).thumbnail
            for side in (128, 256):
                image = Image.open(io.BytesIO(await found.png(small, side) or b""))
                assert image.format == "PNG"
                assert max(image.size) == side
            assert await found.png(small[:200], 128) is None
            assert await found.png(b"", 128) is None
            assert "car" in names(await look(found, good))

    trio.run(main)


def test_a_worker_names_the_places_of_photos_and_of_positions(
    test_data: object, model: object
) -> None:
    base = test_data / "data/formats"  # type: ignore[operator]
    photos = {
        "gps/DSCN0010.jpg": Located("IT", "Tuscany", "Arezzo"),
        "avif/avif-orientation-6.avif": Located("UA", "Kyiv City", "Kyiv"),
    }

    async def main() -> None:
        async with recogniser(jobs=1) as found:
            for name, where in photos.items():
                assert (await look(found, (base / name).read_bytes())).facts.located == where
            places = [Place(48.8584, 2.2945), Place(30.0, -40.0), Place(-90.0, 0.0)]
            paris = Located("FR", "Île-de-France", "Paris")
            assert await found.locate(places) == (paris, None, None)
            assert await found.locate([]) == ()

    trio.run(main)


def test_a_worker_reads_a_sidecar_and_survives_one_that_is_none(
    test_data: object, model: object
) -> None:
    base = test_data / "data/formats/sidecar-pairs"  # type: ignore[operator]

    async def main() -> None:
        async with recogniser(jobs=1) as found:
            stated = await found.read_sidecar((base / "iphone_7.xmp").read_bytes(), Facts())
            assert stated is not None
            assert stated.camera == "Apple iPhone 7"
            assert stated.located is not None
            assert stated.located.country == "JP"
            for rubbish in (b"", bytes(range(256)) * 1000, b"<" * MAX_SIDECAR):
                assert await found.read_sidecar(rubbish, Facts()) == Facts()

    trio.run(main)


def test_a_worker_says_what_metadata_says_in_a_row_of_its_own(
    test_data: object, model: object
) -> None:
    base = test_data / "data/formats"  # type: ignore[operator]
    wide = (base / "gps/panorama360.jpg").read_bytes()
    photos = {
        (base / "png/screenshot.png").read_bytes(): {"screenshot"},
        wide: {"panorama"},
        wide[: wide.index(b"\xff\xda", wide.index(b"GPano"))]: {"panorama"},  # no pixels
        (base / "camera/Nikon_D70.jpg").read_bytes(): set(),
    }

    async def main() -> None:
        async with recogniser(jobs=1) as found:
            for data, kinds in photos.items():
                analysis = await look(found, data)
                said = [seen for seen in analysis.more if seen.pack == METADATA]
                assert {taxonomy.load().name(s.tag) for row in said for s in row.tags} == kinds
                assert len(said) == len(kinds)
            assert analysis.facts.lens == "100.0 mm f/2.8"

    trio.run(main)


def test_a_killed_worker_costs_its_photo_one_retry(test_data: object, model: object) -> None:
    good = (test_data / "data/tagging-dev/photos/in_jeep.jpg").read_bytes()  # type: ignore[operator]

    async def main() -> None:
        async with recogniser(jobs=1) as found:
            await look(found, good)
            (worker,) = found._all
            worker._process.kill()
            await worker._process.wait()
            assert "car" in names(await look(found, good))

    trio.run(main)


@pytest.mark.parametrize("more", [0, 1024 * 1024], ids=["fits the pipe", "does not"])
def test_a_stopped_worker_costs_its_photo_one_retry(
    test_data: object, model: object, monkeypatch: pytest.MonkeyPatch, more: int
) -> None:
    """It takes in no bytes and gives no answer: the time limit ends it."""
    good = (test_data / "data/tagging-dev/photos/in_jeep.jpg").read_bytes()  # type: ignore[operator]
    monkeypatch.setattr(recogniser_module, "PHOTO_SECONDS", 1.5)

    async def main() -> None:
        async with recogniser(jobs=1) as found:
            (worker,) = found._all
            os.kill(worker._process.pid, signal.SIGSTOP)
            with trio.fail_after(30):
                assert "car" in names(await look(found, good + bytes(more)))
            assert worker not in found._all

    trio.run(main)


FAKE = """#!/bin/sh
exec {python} -I -c '
import sys
from tagfs.model import Seen
from tagfs.recognise.messages import Result, read_request, write_result
{behaviour}
'
"""


@pytest.fixture
def fake_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what puts a program of few lines in the worker's place."""
    python = sys.executable

    def put(behaviour: str) -> None:
        program = tmp_path / "python"
        program.write_text(FAKE.format(python=python, behaviour=behaviour))
        program.chmod(0o755)
        monkeypatch.setattr(recogniser_module.sys, "executable", str(program))
        monkeypatch.setattr(packs, "read_model", lambda pack: b"")

    return put


@pytest.mark.parametrize(
    "behaviour",
    [
        "sys.exit(1)",
        "raise ImportError",
        "write_result(sys.stdout.buffer, Result(unreadable='no sandbox'))",
        "sys.stdout.write('nonsense, and a lot of it')",
    ],
)
def test_when_no_worker_gets_ready_the_pack_is_as_good_as_missing(
    fake_worker: Callable[[str], None], behaviour: str
) -> None:
    fake_worker(behaviour.replace("'", '"'))

    async def main() -> None:
        with pytest.raises(PackMissing, match="not recognised"):
            async with recogniser():
                pass

    trio.run(main)


@pytest.mark.parametrize(
    "behaviour",
    [
        "sys.exit(0)",
        "sys.stdout.buffer.write(bytes([255] * 1000)); sys.stdout.flush()",
        "sys.stdout.buffer.write(bytes([0, 0, 0, 1, 0])); sys.stdout.flush()",
        'write_result(sys.stdout.buffer, Result(more=(Seen("people-1", (), ()),)))',
    ],
    ids=["dies", "too long", "malformed", "in another's name"],
)
def test_a_worker_that_talks_nonsense_makes_its_photo_unreadable(
    fake_worker: Callable[[str], None], behaviour: str
) -> None:
    fake_worker(
        "write_result(sys.stdout.buffer, Result()); read_request(sys.stdin.buffer)\n" + behaviour
    )

    async def main() -> None:
        async with recogniser(jobs=1) as found:
            analysis = await look(found, b"some bytes", "image/jpeg")
            assert analysis.unreadable == "it made the decoder fail"
            assert not found._idle

    trio.run(main)


def test_a_failing_read_is_the_callers_and_leaves_no_worker_in_the_middle(
    fake_worker: Callable[[str], None],
) -> None:
    fake_worker("write_result(sys.stdout.buffer, Result()); read_request(sys.stdin.buffer)")

    async def read(offset: int, size: int) -> bytes:
        raise Integrity("an object does not verify")

    async def main() -> None:
        async with recogniser(jobs=1) as found:
            with pytest.raises(Integrity):
                await found.recognise(read, 100, "image/jpeg")
            assert not found._all

    trio.run(main)


def test_every_picture_of_the_formats_set_is_decoded_behind_the_bars(
    test_data: object, model: object
) -> None:
    """What decodes here decodes in the sandbox, too: no decoder needs what it forbids.

    What is not decoded tells its facts there.
    """
    folder: Path = test_data / "data/formats"  # type: ignore[operator]
    unreadable = []
    undated = []

    async def main() -> int:
        looked = 0
        async with recogniser(jobs=1) as found:
            for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                data = path.read_bytes()
                kind = sniff(data[:64], path.name.encode())
                if kind in DECODABLE:
                    looked += 1
                    analysis = await look(found, data, kind)
                    if analysis.unreadable:
                        unreadable.append((path.name, analysis.unreadable))
                elif kind in TELLING | MOVIES:
                    analysis = await look(found, data, kind)
                    assert "a form that is not decoded" in (analysis.unreadable or "")
                    if not analysis.facts.date:
                        undated.append(path.name)
        return looked

    assert trio.run(main) > 150
    assert unreadable == [("ultra-hdr.jpg", "truncated JPEG")]
    # exiftool finds no date in these either
    assert undated == ["Photoshop.psd", "RAW_KODAK_DC50.KDC", "christmas.mp4", "made_av1.mp4"]


async def survive(files: list[Path]) -> list[str]:
    """Return what went wrong: a photo that took a worker with it is no success."""
    troubles = []
    async with recogniser(jobs=1) as found:
        for path in files:
            data = path.read_bytes()
            kind = sniff(data[:64], path.name.encode())
            known = kind in DECODABLE | TELLING | MOVIES
            analysis = await look(found, data, kind if known else "image/jpeg")
            if analysis.unreadable == "it made the decoder fail":
                troubles.append(path.name)
    return troubles


def test_40_hostile_files_harm_nothing(test_data: object, model: object) -> None:
    files = random.Random(5).sample(hostile(test_data), 40)
    assert trio.run(survive, files) == []


@pytest.mark.long
def test_every_hostile_file_harms_nothing(test_data: object, model: object) -> None:
    assert trio.run(survive, hostile(test_data)) == []


def test_50_mutated_images_harm_nothing(test_data: object, model: object, tmp_path: Path) -> None:
    assert trio.run(survive, mutated(test_data, tmp_path, 50)) == []


@pytest.mark.long
def test_1000_mutated_images_harm_nothing(test_data: object, model: object, tmp_path: Path) -> None:
    assert trio.run(survive, mutated(test_data, tmp_path, 1000)) == []


def test_a_missing_pack_is_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGFS_MODELS", str(tmp_path))

    async def main() -> None:
        with pytest.raises(PackMissing, match="tagfs models install"):
            async with recogniser():
                pass

    trio.run(main)


def test_a_damaged_model_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: packs.Pack
) -> None:
    data = bytearray(packs.read_model(model))
    data[1000] ^= 1
    monkeypatch.setenv("TAGFS_MODELS", str(tmp_path))
    packs.model_path(model).write_bytes(data)
    assert not packs.is_installed(model)


def test_the_manifest_names_only_concepts_of_the_graph(model: packs.Pack) -> None:
    graph = taxonomy.load()
    classes = set(graph.classes(model.labels))
    for tag, leaves in model.evidence.items():
        assert tag in graph
        assert set(leaves) <= classes
