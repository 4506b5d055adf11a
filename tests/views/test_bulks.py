"""What belongs to one act, and how much a recursive deletion may take."""

from __future__ import annotations

import pytest

from tagfs.errors import FileError
from tagfs.model import ACT_GAP as GAP
from tagfs.views.bulks import Bulks


class Held:
    """A guard whose clock and gallery the test holds."""

    def __init__(self, photos: int) -> None:
        self.now = 100.0
        self.told: list[str] = []
        self.guard = Bulks(lambda: photos, self.told.append, lambda: self.now)


def test_a_quarter_of_a_large_gallery_is_the_end_of_a_bulk_through_views() -> None:
    held = Held(200)
    for _ in range(50):
        held.guard.removing(7, "all")
    for _ in range(3):
        with pytest.raises(FileError):
            held.guard.removing(7, "all")
    assert len(held.told) == 1
    held.now += GAP
    held.guard.removing(7, "all")


def test_small_galleries_and_own_folders_have_no_such_end() -> None:
    held = Held(100)
    for _ in range(100):
        held.guard.removing(7, "all")
    held = Held(1000)
    for _ in range(1000):
        held.guard.removing(7, None)
    assert held.told == []


def test_the_trash_can_be_emptied_by_itself_but_not_by_what_filled_it() -> None:
    held = Held(10)
    held.guard.removing(7, "trash")
    held.guard.removing(7, "trash")
    held.now += GAP
    held.guard.removing(7, None)
    held.now += GAP / 2
    with pytest.raises(FileError):
        held.guard.removing(7, "trash")
    held.now += GAP / 2
    with pytest.raises(FileError):
        held.guard.removing(7, "trash")
    held.now += GAP
    held.guard.removing(7, "trash")


def test_an_act_is_what_one_process_does_with_gaps_under_two_seconds() -> None:
    held = Held(10)
    first = held.guard.act(7)
    assert held.guard.act(8) != first
    for _ in range(3):
        held.now += GAP - 0.1
        assert held.guard.act(7) == first
    held.now += GAP
    assert held.guard.act(7) != first
    assert held.guard.act(0) != held.guard.act(0)


def test_another_process_is_not_held_back() -> None:
    held = Held(10)
    held.guard.removing(7, None)
    held.guard.removing(8, "trash")
