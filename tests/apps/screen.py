"""A screen without a monitor, a window manager, and Thunar on it, driven by mouse and keys."""

from __future__ import annotations

import os
import re
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from apps_kit import end, run, soon
from PIL import Image

SIZE = (1024, 768)
TOLD_AGAIN = 15.0
"""Seconds after which Thunar is told again what it has not done."""
PROGRAMS = ("Xvfb", "openbox", "xdotool", "dbus-run-session", "thunar")
SETTINGS = """<?xml version="1.0" encoding="UTF-8"?>
<channel name="thunar" version="1.0">
  <property name="last-view" type="string" value="ThunarIconView"/>
  <property name="misc-single-click" type="bool" value="false"/>
  <property name="misc-thumbnail-mode" type="string" value="THUNAR_THUMBNAIL_MODE_{mode}"/>
</channel>
"""


class Screen:
    """What is on the screen, and the hands at mouse and keyboard."""

    def __init__(self, env: dict[str, str], picture: Path, screenshots: Path) -> None:
        self._env = env
        self._picture = picture
        self._screenshots = screenshots
        self._steps = 0

    def do(self, *words: str) -> list[str]:
        """Tell xdotool to do something; return what it answers."""
        return run("xdotool", *words, env=self._env, expect=None).out.splitlines()

    def titles(self) -> list[str]:
        """Return what stands above the windows."""
        return self.do("search", "--onlyvisible", "--name", ".", "getwindowname", "%@")

    def dialogs(self) -> list[str]:
        """Return the titles of what is neither a folder's window nor without a title."""
        return [title for title in self.titles() if not title.endswith("Thunar")]

    def insist(self, act: Callable[[], None], done: Callable[[], bool]) -> bool:
        """Act, and act again where nothing at all came of it; return whether it is done.

        A busy machine loses keys: the window does not have the keyboard yet, or Thunar does not
        know yet that the clipboard holds a photo, and then does nothing at ctrl+v. What ends in a
        dialog was not lost, and is not tried again: it may be an error.
        """
        for _ in range(3):
            act()
            if soon(done, TOLD_AGAIN):
                return True
            if self.dialogs():
                break
        return soon(done)

    def window(self, title: str) -> Window:
        """Return the window of this title, once it is there."""
        found: list[str] = []

        def look() -> bool:
            found[:] = self.do("search", "--onlyvisible", "--name", f"^{re.escape(title)}$")
            return bool(found)

        assert soon(look), f"there is no window {title!r}, but {self.titles()}"
        return Window(self, found[0])

    def answer(self, title: str, *words: str) -> None:
        """Type over what a dialog proposes, if there are words, and accept it."""
        dialog = self.window(title)
        dialog.press(*(["ctrl+a"] if words else []))
        for word in words:
            self.do("type", "--delay", "2", word)
        self.do("key", "Return")
        assert soon(lambda: title not in self.titles()), f"{title!r} stays: {self.titles()}"

    def image(self) -> Image.Image:
        """Return what is on the screen, from the server's frame buffer (an XWD file)."""
        data = self._picture.read_bytes()
        head = struct.unpack(">25I", data[:100])
        start, width, height, row = head[0] + head[19] * 12, head[4], head[5], head[12]
        pixels = data[start : start + row * height]
        return Image.frombytes("RGB", (width, height), pixels, "raw", "BGRX", row, 1)

    def keep(self, what: str) -> None:
        """Keep a picture of the screen; the file's name says which step it was."""
        self._steps += 1
        self._screenshots.mkdir(parents=True, exist_ok=True)
        self.image().save(self._screenshots / f"{self._steps:02}-{what}.png")


class Window:
    """A window of Thunar's, or one of its dialogs."""

    def __init__(self, screen: Screen, number: str) -> None:
        self._screen = screen
        self._number = number

    def place(self, left: int, top: int, width: int, height: int) -> None:
        """Put the window somewhere."""
        self._screen.do("windowmove", self._number, str(left), str(top))
        self._screen.do("windowsize", self._number, str(width), str(height))

    def press(self, *keys: str) -> None:
        """Press keys in this window."""
        self._screen.do("windowactivate", "--sync", self._number)
        for key in keys:
            self._screen.do("key", "--clearmodifiers", key)

    def ask(self, key: str, title: str) -> None:
        """Press a key that opens a dialog, until the dialog is there."""
        asked = self._screen.insist(lambda: self.press(key), lambda: title in self._screen.titles())
        assert asked, f"{key} opens no {title!r}: {self._screen.titles()}"

    def go(self, folder: Path) -> None:
        """Show another folder.

        On a busy machine another window may have the keyboard though this one was activated, and
        Thunar may lose keys that come before its entry for them is there. So this clicks, and says
        it again where another folder, or a dialog, is shown.
        """
        title = [f"{folder.name} - Thunar"]
        for delay in ("2", "20", "50"):
            self.press()
            self._screen.do("mousemove", *map(str, self._empty()), "click", "1")
            for key in ("ctrl+l", "ctrl+a"):
                self._screen.do("key", "--clearmodifiers", key)
            self._screen.do("type", "--delay", delay, f"{folder}/")
            self._screen.do("key", "Return")
            if soon(lambda: self._screen.do("getwindowname", self._number) == title, TOLD_AGAIN):
                return
            self.press("Escape", "Escape")  # the dialog, and the entry
        raise AssertionError(f"{folder} is not shown, but {self._screen.titles()}")

    def choose_picture(self) -> None:
        """Click onto the one picture that this window shows."""
        self._screen.do("mousemove", *map(str, self.picture()), "click", "1")

    def drag_picture(self, target: Window) -> None:
        """Drag the one picture that this window shows into the empty part of another."""
        x, y = self.picture()
        to_x, to_y = target._empty()
        do = self._screen.do
        do("mousemove", str(x), str(y), "mousedown", "1")
        for i in range(1, 9):
            at = (x + (to_x - x) * i // 8, y + (to_y - y) * i // 8)
            do("mousemove", *map(str, at), "sleep", "0.05")
        do("sleep", "0.3", "mouseup", "1")

    def picture(self) -> tuple[int, int]:
        """Return the middle of the one picture's icon: of its part that is orange unless it is
        chosen; so nothing is."""
        left, top, width, height = self.frame()
        self.press()
        self._screen.do("mousemove", *map(str, self._empty()), "click", "1")
        spots: list[tuple[int, int]] = []

        def look() -> bool:
            data = self._screen.image().crop((left, top, left + width, top + height)).tobytes()
            spots[:] = [
                (left + i // 3 % width, top + i // 3 // width)
                for i in range(0, len(data), 3)
                if data[i] > 220 and 80 < data[i + 1] < 220 and data[i + 2] < 70
            ]
            return len(spots) > 100

        assert soon(look), "the window shows no picture"
        xs, ys = (sorted(axis) for axis in zip(*spots, strict=True))
        assert xs[-1] - xs[0] < 60, "the window shows more than one picture"
        return xs[len(xs) // 2], ys[len(ys) // 2]

    def _empty(self) -> tuple[int, int]:
        """Return a place where the window of a folder with few photos shows nothing."""
        left, top, width, height = self.frame()
        return left + width * 3 // 4, top + height * 3 // 4

    def frame(self) -> tuple[int, int, int, int]:
        """Return left, top, width and height in pixels."""
        said = self._screen.do("getwindowgeometry", "--shell", self._number)
        shown = dict(line.split("=") for line in said)
        return int(shown["X"]), int(shown["Y"]), int(shown["WIDTH"]), int(shown["HEIGHT"])


@contextmanager
def thunar(
    home: Path, screenshots: Path, folders: list[Path], thumbnails: bool = False
) -> Iterator[Screen]:
    """Start a screen and a Thunar with a window for each folder, all in a home of its own."""
    settings = home / ".config/xfce4/xfconf/xfce-perchannel-xml/thunar.xml"
    settings.parent.mkdir(parents=True)
    settings.write_text(SETTINGS.format(mode="ALWAYS" if thumbnails else "NEVER"))
    for name in ("run", "screen", ".cache", ".local/share"):
        (home / name).mkdir(mode=0o700, parents=True)
    env = {
        **os.environ,
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "NO_AT_BRIDGE": "1",
        "LC_ALL": "C.UTF-8",
    }
    with ExitStack() as running, open(home / "said.log", "wb") as log:

        def start(*command: str, pass_fds: tuple[int, ...] = ()) -> None:
            process = subprocess.Popen(
                command,
                env=env,
                stdout=log,
                stderr=log,
                pass_fds=pass_fds,
                start_new_session=True,
            )
            running.callback(end, process)

        reader, writer = os.pipe()
        options = ["-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24", "-nolisten", "tcp"]
        options += ["-displayfd", str(writer), "-fbdir", str(home / "screen")]
        start("Xvfb", *options, pass_fds=(writer,))
        os.close(writer)
        with open(reader) as told:
            number = told.readline().strip()
        assert number, (home / "said.log").read_text()
        env["DISPLAY"] = f":{number}"
        start("openbox")
        start("dbus-run-session", "--", "thunar", *map(str, folders))
        screen = Screen(env, home / "screen" / "Xvfb_screen0", screenshots)
        shown = [f"{folder.name} - Thunar" for folder in folders]
        started = soon(lambda: set(shown) <= set(screen.titles()))
        assert started, f"{screen.titles()}: {(home / 'said.log').read_text()}"
        yield screen
