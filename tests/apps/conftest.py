"""Galleries to try programs on: one for the tests of a file, or one for a test that spoils it.

New photos are looked at soon, where a file of tests does not say ``OPTIONS = ()``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from apps_kit import Gallery, why_no_mounts


@pytest.fixture(scope="module")
def gallery(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Gallery]:
    """A mounted gallery that the tests of a file share; each keeps to names of its own."""
    options = getattr(request.module, "OPTIONS", ())
    yield from _mounted(tmp_path_factory.mktemp("apps"), *options)


@pytest.fixture
def own_gallery(tmp_path: Path) -> Iterator[Gallery]:
    """A mounted gallery for one test."""
    yield from _mounted(tmp_path)


def _mounted(home: Path, *options: str) -> Iterator[Gallery]:
    if why := why_no_mounts():
        pytest.skip(why)
    gallery = Gallery(home, *options)
    try:
        gallery.mount()
        yield gallery
        gallery.unmount()
    finally:
        gallery.kill()


@pytest.fixture
def room(gallery: Gallery, request: pytest.FixtureRequest) -> Path:
    """A folder of the user's in the shared gallery, for one test."""
    path = gallery.path / re.sub(r"\W", "_", request.node.name.removeprefix("test_"))[:80]
    path.mkdir()
    return path


@pytest.fixture
def outside(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a file outside the gallery and returns its path."""

    def write(name: str, data: bytes) -> Path:
        path = tmp_path / "outside" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    return write
