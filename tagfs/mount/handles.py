"""Handles that the kernel was given: open files, and listings that are being read."""

from __future__ import annotations

import errno
import os
from collections import deque
from itertools import islice

from tagfs.errors import FileError
from tagfs.mount.seam import Opened, Tree
from tagfs.views.nodes import Attr

BATCH = 256
"""Entries taken from the tree at a time: a request of the kernel's takes a few dozen."""
PAGE = 4096
"""Bytes that the kernel reads at least."""
DOTS = 2
"""Cookies 1 and 2 stand for ``.`` and ``..``; the tree's own follow."""


class Listing:
    """One open directory.

    A batch is read ahead, and dropped whenever anything in the tree has changed since, so that
    no name is given out that has gone.
    """

    def __init__(self, ino: int) -> None:
        self.ino = ino
        self._ahead: deque[tuple[int, bytes, Attr]] = deque()
        self._after = -1
        self._age = -1

    def next(self, tree: Tree, after: int, age: int) -> tuple[int, bytes, Attr] | None:
        """Return the entry after the tree's cookie ``after`` without moving on; None: no more."""
        if after != self._after or age != self._age:
            self._ahead.clear()
        if not self._ahead:
            self._ahead.extend(islice(tree.list(self.ino, after), BATCH))
            self._after, self._age = after, age
        return self._ahead[0] if self._ahead else None

    def given(self) -> None:
        """The entry that ``next`` returned was taken by the kernel."""
        self._after = self._ahead.popleft()[0]


class Handles:
    """Numbers for open files and listings."""

    def __init__(self) -> None:
        self._files: dict[int, Opened] = {}
        self._asked: dict[int, int] = {}  # handles that look: up to where they were let down
        self._listings: dict[int, Listing] = {}
        self._last = 0

    def add(self, opened: Opened, flags: int = 0) -> int:
        """Give a file that was opened with these flags a number."""
        self._last += 1
        self._files[self._last] = opened
        if not flags & os.O_DIRECT:  # else an error goes to the program itself
            self._asked[self._last] = 0
        return self._last

    def file(self, number: int) -> Opened:
        """Return the open file of this number."""
        try:
            return self._files[number]
        except KeyError:
            raise FileError(errno.EBADF) from None

    def remove(self, number: int) -> Opened:
        """Take the number of an open file back."""
        opened = self.file(number)
        del self._files[number]
        self._asked.pop(number, None)
        return opened

    def ask_by_page(self, number: int, offset: int, size: int) -> None:
        """Raise FileError(EAGAIN) for a read of absent bytes that nobody may have asked for.

        The kernel reads ahead of the program. When that fails it asks for what the program really
        wants, page by page: often no more than the head, which is here. So reads of a file whose
        beginning is here are let down until a page is asked for that is not, and each of them
        once only: a kernel that repeats a whole range hands the second error to the program.
        """
        upto = self._asked.get(number)
        if upto is None:
            return
        ahead = size > PAGE and offset >= upto
        if ahead and (upto or self.file(number).read_now(0, PAGE) is not None):
            self._asked[number] = offset + size
            raise FileError(errno.EAGAIN)
        del self._asked[number]

    def files(self) -> list[tuple[int, Opened]]:
        """Return every open file with its number."""
        return list(self._files.items())

    def add_listing(self, ino: int) -> int:
        """Begin a listing."""
        self._last += 1
        self._listings[self._last] = Listing(ino)
        return self._last

    def listing(self, number: int) -> Listing:
        """Return the listing of this number."""
        try:
            return self._listings[number]
        except KeyError:
            raise FileError(errno.EBADF) from None

    def end_listing(self, number: int) -> None:
        """Forget a listing."""
        self._listings.pop(number, None)
