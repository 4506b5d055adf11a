"""Where the test data of the recogniser lies; tests skip what is absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def data(*parts: str) -> Path:
    """Return a path of the test data (TAGFS_TEST_DATA, default ../shared), or skip the test."""
    base = Path(os.environ.get("TAGFS_TEST_DATA", ROOT.parent / "shared"))
    path = base.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"test data {'/'.join(parts)} is missing (TAGFS_TEST_DATA)")
    return path
