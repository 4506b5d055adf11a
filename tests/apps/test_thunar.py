"""A file manager on a gallery: Thunar, on a screen that nobody watches but the tests.

Set TAGFS_SCREENSHOTS to a folder to see what it showed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from apps_kit import Gallery, need, soon
from colours import photo
from screen import PROGRAMS, SIZE, Screen, Window, thunar

pytestmark = pytest.mark.mount


@dataclass
class Desk:
    """A gallery in the left window, a folder outside of it in the right one."""

    screen: Screen
    left: Window
    right: Window
    outside: Path


@pytest.fixture(scope="module")
def desk(gallery: Gallery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    need(*PROGRAMS)
    home = tmp_path_factory.mktemp("thunar")
    shots = Path(os.environ.get("TAGFS_SCREENSHOTS") or home / "screenshots")
    outside = home / "camera"
    outside.mkdir()
    with thunar(home, shots, [gallery.path, outside]) as screen:
        left, right = screen.window("Gallery - Thunar"), screen.window("camera - Thunar")
        half = SIZE[0] // 2
        left.place(0, 0, half - 10, 600)
        right.place(half, 0, half - 10, 600)
        screen.keep("the-gallery")
        yield Desk(screen, left, right, outside)


@pytest.fixture(autouse=True)
def _no_dialog_stays(desk: Desk) -> Iterator[None]:
    """Close what a test that failed has left open, so that the next has the keyboard."""
    yield
    for _ in desk.screen.dialogs():
        desk.screen.do("key", "Escape")


@pytest.fixture
def camera(desk: Desk) -> Path:
    """An empty folder outside of the gallery."""
    path = desk.outside / f"card-{len(list(desk.outside.iterdir()))}"
    path.mkdir()
    return path


def test_a_photo_that_is_dragged_into_a_tag_from_outside_is_copied_and_tagged(
    gallery: Gallery, desk: Desk, camera: Path
) -> None:
    (gallery / "tags/beach").mkdir()
    (camera / "drag-1.jpg").write_bytes(photo(800))
    desk.left.go(gallery / "tags/beach")
    desk.right.go(camera)
    dragged = desk.screen.insist(
        lambda: desk.right.drag_picture(desk.left),
        lambda: gallery.names("tags/beach") == {"drag-1.jpg"},
    )
    assert dragged, gallery.names("tags/beach")
    desk.left.picture()  # the window shows what came in
    desk.screen.keep("dragged-in")
    assert soon(lambda: (gallery / "tags/beach/drag-1.jpg").read_bytes() == photo(800))
    assert (camera / "drag-1.jpg").read_bytes() == photo(800)
    assert gallery.names("all") >= {"drag-1.jpg"}


def test_a_photo_that_is_dragged_from_a_folder_onto_a_tag_is_in_both(
    gallery: Gallery, desk: Desk
) -> None:
    (gallery / "tags/hills").mkdir()
    (gallery / "2019").mkdir()
    (gallery / "2019/drag-2.jpg").write_bytes(photo(810))
    desk.left.go(gallery / "tags/hills")
    desk.right.go(gallery / "2019")
    dragged = desk.screen.insist(
        lambda: desk.right.drag_picture(desk.left),
        lambda: gallery.names("tags/hills") == {"drag-2.jpg"},
    )
    assert dragged, gallery.names("tags/hills")
    desk.left.picture()
    desk.right.picture()  # which was told of a move
    desk.screen.keep("dragged-from-a-folder")
    assert gallery.names("2019") == {"drag-2.jpg"}
    assert (gallery / "2019/drag-2.jpg").read_bytes() == photo(810)


def test_a_photo_that_is_copied_and_pasted_into_a_folder_is_there(
    gallery: Gallery, desk: Desk, camera: Path
) -> None:
    (gallery / "pasted").mkdir()
    (camera / "paste-1.jpg").write_bytes(photo(820))
    desk.left.go(gallery / "pasted")
    desk.right.go(camera)

    def copy_and_paste() -> None:
        desk.right.picture()
        desk.right.press("ctrl+a", "ctrl+c")
        desk.left.press("ctrl+v")

    pasted = desk.screen.insist(copy_and_paste, lambda: gallery.names("pasted") == {"paste-1.jpg"})
    assert pasted, (gallery.names("pasted"), os.listdir(camera), desk.screen.titles())
    desk.left.picture()
    assert soon(lambda: (gallery / "pasted/paste-1.jpg").read_bytes() == photo(820))
    desk.screen.keep("pasted")


@pytest.mark.parametrize("where", ["", "tags"])
def test_a_new_folder_is_a_folder_or_a_tag(gallery: Gallery, desk: Desk, where: str) -> None:
    name = f"new-{where or 'root'}"
    desk.left.go(gallery / where if where else gallery.path)
    desk.left.ask("ctrl+shift+n", "Create New Folder")
    desk.screen.answer("Create New Folder", name)
    assert soon(lambda: name in gallery.names(where))
    desk.screen.keep("new-folder")


def test_a_new_folder_in_a_tag_is_a_kept_narrowing(gallery: Gallery, desk: Desk) -> None:
    (gallery / "tags/sea").mkdir()
    (gallery / "tags/night").mkdir()
    desk.left.go(gallery / "tags/sea")
    desk.left.ask("ctrl+shift+n", "Create New Folder")
    desk.screen.answer("Create New Folder", "night")
    assert soon(lambda: "night" in gallery.names("tags/sea"))
    desk.screen.keep("new-narrowing")


def test_a_photo_is_renamed_in_a_folder_and_in_a_tag(gallery: Gallery, desk: Desk) -> None:
    (gallery / "named").mkdir()
    (gallery / "tags/named-tag").mkdir()
    for place, seed in (("named", 830), ("tags/named-tag", 831)):
        (gallery / place / f"IMG_{seed}.jpg").write_bytes(photo(seed))
        desk.left.go(gallery / place)
        desk.left.choose_picture()
        desk.left.ask("F2", f'Rename "IMG_{seed}.jpg"')
        desk.screen.answer(f'Rename "IMG_{seed}.jpg"', f"better-{seed}.jpg")
        assert soon(lambda: gallery.names(place) == {f"better-{seed}.jpg"})  # noqa: B023
        assert (gallery / place / f"better-{seed}.jpg").read_bytes() == photo(seed)
        desk.screen.keep("renamed")


def agree_to_delete(desk: Desk) -> None:
    """Say yes to what Thunar asks where there is no trash; with gvfs it proposes to cancel."""
    desk.screen.window("Attention").press("alt+y")
    if not soon(lambda: "Attention" not in desk.screen.titles(), 1.0):
        desk.screen.answer("Attention")


def test_a_photo_that_is_deleted_in_a_folder_is_in_the_trash(gallery: Gallery, desk: Desk) -> None:
    (gallery / "old").mkdir()
    (gallery / "old/delete-1.jpg").write_bytes(photo(840))
    desk.left.go(gallery / "old")
    desk.left.choose_picture()
    desk.left.ask("Delete", "Attention")
    desk.screen.keep("asked-before-deleting")
    agree_to_delete(desk)
    assert soon(lambda: gallery.names("old") == set())
    assert (gallery / "trash/delete-1.jpg").read_bytes() == photo(840)
    desk.left.go(gallery / "trash")
    desk.screen.keep("the-trash")


def test_a_photo_that_is_deleted_in_a_tag_is_untagged_and_stays(
    gallery: Gallery, desk: Desk
) -> None:
    (gallery / "kept").mkdir()
    (gallery / "tags/wrong").mkdir()
    (gallery / "kept/delete-2.jpg").write_bytes(photo(850))
    os.link(gallery / "kept/delete-2.jpg", gallery / "tags/wrong/delete-2.jpg")
    desk.left.go(gallery / "tags/wrong")
    desk.left.choose_picture()
    desk.left.ask("Delete", "Attention")
    agree_to_delete(desk)
    assert soon(lambda: gallery.names("tags/wrong") == set())
    desk.screen.keep("untagged")
    assert gallery.names("kept") == {"delete-2.jpg"}
    assert "delete-2.jpg" not in gallery.names("trash")


def test_what_was_seen_is_shown_like_a_folder(gallery: Gallery, desk: Desk) -> None:
    (gallery / "cats").mkdir()
    desk.left.go(gallery / "tags")
    (gallery / "cats/cat-1.jpg").write_bytes(photo(860, red=20))
    gallery.recognised()
    desk.screen.keep("every-tag")
    desk.left.go(gallery / "tags/cat")
    desk.left.picture()
    desk.screen.keep("what-was-seen")
