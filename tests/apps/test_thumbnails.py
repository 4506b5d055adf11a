"""Tumbler, which makes thumbnails for Thunar, on photos whose bytes are not on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from apps_kit import Gallery, need, soon
from colours import of_colour
from screen import PROGRAMS, Screen, thunar

pytestmark = pytest.mark.mount
OPTIONS = ("--far",)
TUMBLER = "/usr/share/dbus-1/services/org.xfce.Tumbler.Thumbnailer1.service"
MAGENTA = (255, 0, 255)


def shown(screen: Screen) -> int:
    """Return how many pixels of the screen have the photos' colour."""
    data = screen.image().tobytes()
    return sum(
        data[i] > 200 and data[i + 1] < 60 and data[i + 2] > 200 for i in range(0, len(data), 3)
    )


def test_thunar_shows_thumbnails_of_absent_photos_and_leaves_none_on_the_disk(
    gallery: Gallery, tmp_path: Path
) -> None:
    need(*PROGRAMS)
    if not os.path.exists(TUMBLER):
        pytest.skip("tumbler is not installed: thumbnails in file managers are not tested")
    (gallery / "2019").mkdir()
    for i in range(3):
        (gallery / f"2019/thumb-{i}.jpg").write_bytes(of_colour(MAGENTA, seed=i))
    gallery.recognised()
    gallery.become_a_new_device()
    asked = gallery.say("gets")
    with thunar(tmp_path, tmp_path / "screenshots", [gallery / "2019"], thumbnails=True) as screen:
        assert soon(lambda: shown(screen) > 3000)
        screen.keep("thumbnails")
    assert gallery.say("gets") - asked < 3, "the photos themselves were fetched"
    assert [p for p in (tmp_path / ".cache").rglob("*") if p.suffix in (".png", ".jpg")] == []
