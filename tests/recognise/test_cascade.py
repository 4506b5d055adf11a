"""Specialists are asked behind their gates, and what every pack sees comes back by its name."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
import trio
from recognise_data import data

from tagfs.model import Analysis, TagId
from tagfs.recognise import face_pack, packs, taxonomy
from tagfs.recognise.face import unpacked, vector
from tagfs.recognise.installing import install
from tagfs.recognise.packs import is_open
from tagfs.recognise.recogniser import recogniser
from tagfs.recognise.sniff import sniff

INSTALLED = os.environ["TAGFS_MODELS"]
FILES = {
    "birds": "mobilenet_v2_1.0_224_inat_bird_quant.tflite",
    "insects": "mobilenet_v2_1.0_224_inat_insect_quant.tflite",
    "objects": "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.tflite",
}


@pytest.fixture
def every_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have all packs installed whose weights can be had: the default one, and the test data's."""
    default = packs.load()
    if not packs.is_installed(default):
        pytest.skip("the default model pack is not installed: run `tagfs models install`")
    weights = packs.model_path(default)
    given = {name: data("models", file) for name, file in FILES.items()}
    monkeypatch.setenv("TAGFS_MODELS", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    packs.model_path(default).symlink_to(weights)
    for name, file in given.items():
        install(name, file)
    return tmp_path / "models"


async def looks(*photos: str) -> list[Analysis]:
    found = []
    async with recogniser(jobs=1) as eyes:
        for photo in photos:
            content = data("data/tagging-dev/photos", photo).read_bytes()

            async def read(offset: int, size: int, content: bytes = content) -> bytes:
                return content[offset : offset + size]

            found.append(await eyes.recognise(read, len(content), sniff(content[:64])))
    return found


def names(analysis: Analysis, pack: str) -> set[str | None]:
    graph = taxonomy.load()
    (seen,) = [each for each in analysis.more if each.pack == pack]
    return {graph.name(scored.tag) for scored in seen.scores}


def run(check: Callable[[], Awaitable[None]]) -> None:
    trio.run(check)


def test_specialists_are_asked_where_their_kind_is_seen(every_pack: Path) -> None:
    async def check() -> None:
        finch, damselfly, jeep = await looks(
            "in_house_finch.jpg", "in_damselfly.jpg", "in_jeep.jpg"
        )
        assert [seen.pack for seen in finch.more] == ["heads-1", "objects-1", "birds-1"]
        assert "house finch" in names(finch, "birds-1")
        assert "bird" in names(finch, "objects-1")
        assert [seen.pack for seen in damselfly.more] == ["heads-1", "objects-1", "insects-1"]
        assert [seen.pack for seen in jeep.more] == ["heads-1", "objects-1"]
        assert names(jeep, "objects-1") & {"car", "truck"}

    run(check)


def test_faces_are_found_and_kept_with_what_tells_them_apart(
    every_pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGFS_MODELS", INSTALLED)
    pack = face_pack.load()
    if not face_pack.is_installed(pack):
        pytest.skip("the pack faces is not installed: run `tagfs models install faces`")
    there = face_pack.model_paths(pack)
    monkeypatch.setenv("TAGFS_MODELS", str(every_pack))
    for here, weights in zip(face_pack.model_paths(pack), there, strict=True):
        here.symlink_to(weights)
    labels = json.loads(data("data/faces-dev/labels.json").read_text())
    crowd = next(name for name, label in sorted(labels.items()) if "identities" in label)
    alone = next(n for n, label in sorted(labels.items()) if label.get("singleton"))

    async def check() -> None:
        many, one, jeep = [
            next(seen for seen in analysis.more if seen.pack == pack.id)
            for analysis in await looks(
                f"../../faces-dev/photos/{crowd}", f"../../faces-dev/photos/{alone}", "in_jeep.jpg"
            )
        ]
        assert len(unpacked(many.features)) >= len(labels[crowd]["identities"])
        assert unpacked(one.features)  # bystanders, too
        assert (jeep.features, jeep.scores) == (b"", ())
        face = unpacked(one.features)[0]
        left, top, right, bottom = face.box
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
        assert np.linalg.norm(vector(face)) == pytest.approx(1, abs=1e-3)
        assert [scored.tag for scored in one.scores] == [taxonomy.load().find("person")]

    run(check)


def test_a_damaged_specialist_is_left_out_and_the_others_look(every_pack: Path) -> None:
    packs.model_path(packs.load("birds")).write_bytes(b"no model")

    async def check() -> None:
        (finch,) = await looks("in_house_finch.jpg")
        assert [seen.pack for seen in finch.more] == ["heads-1", "objects-1"]
        assert finch.tags

    run(check)


def test_a_gate_opens_from_its_score_on() -> None:
    birds = packs.load("birds")
    bird = birds.gates[0].tag
    score = birds.gates[0].score
    assert is_open(birds.gates, {"default": {bird: score}})
    assert not is_open(birds.gates, {"default": {bird: score - 0.01}})
    assert not is_open(birds.gates, {"default": {TagId("n02084071"): 0.99}})
    assert is_open(birds.gates, {"default": {}, "objects": {bird: 0.9}})
    assert not is_open(birds.gates, {})
    assert is_open(packs.load("objects").gates, {})


@pytest.mark.parametrize("name", packs.names())
def test_a_manifest_names_labels_and_gates_that_there_are(name: str) -> None:
    pack = packs.load(name)
    graph = taxonomy.load()
    assert pack.name == name
    assert any(tag is not None for tag in graph.classes(pack.labels))
    for gate in pack.gates:
        assert gate.pack in packs.names()
        assert gate.tag in graph
