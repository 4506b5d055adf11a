"""Mounts of the model are tested where they are possible (tests/mount)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "mount"))
from mounted import why_no_mounts


@pytest.fixture(autouse=True)
def _mounts_are_possible(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("mount") and (why := why_no_mounts()):
        pytest.skip(why)
