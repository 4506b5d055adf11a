"""Listings of Dropbox by pages that name everything once, also where Dropbox starts over."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from dropbox import exceptions, files

from tagfs.remote import store as store_
from tagfs.remote.dropbox_access import Access
from tagfs.remote.store import Entry, Page, is_name

_WALKS = 16  # listings under way at a time whose names are remembered


@dataclass(slots=True)
class Listing:
    """Lists what is below ``root``, a path of Dropbox ("" or "/folder").

    Dropbox may answer a cursor with ``reset``: then the listing begins again, and what it has named
    already is left out. To know, the names given so far are kept while a listing is under way.
    """

    access: Access
    root: str
    _walks: OrderedDict[str, dict[str, int]] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def page(self, prefix: str, cursor: str | None) -> Page:
        """Return one page; ``cursor`` is that of the page before. Blocks."""
        if cursor is None:
            return self._page(secrets.token_hex(8), 0, prefix, self._begin(prefix))
        walk, number, theirs = cursor.split(":", 2)
        try:
            answer = self.access.sdk.files_list_folder_continue(theirs)
        except exceptions.ApiError as error:
            if not error.error.is_reset():
                raise
            answer = self._begin(prefix)
        return self._page(walk, int(number), prefix, answer)

    def latest(self) -> str:
        """Return a cursor that stands for all there is now. Blocks."""
        answer = self.access.sdk.files_list_folder_get_latest_cursor("", recursive=True)
        return str(answer.cursor)

    def wait(self, since: str, seconds: int) -> tuple[bool, float]:
        """Return whether anything has changed since a cursor, and how long not to ask again.

        Blocks for ``seconds`` and up to 90 more, as Dropbox likes.
        """
        try:
            answer = self.access.sdk.files_list_folder_longpoll(since, timeout=seconds)
        except exceptions.ApiError as error:
            if not error.error.is_reset():
                raise
            return True, 0.0
        return bool(answer.changes), float(answer.backoff or 0)

    def _begin(self, prefix: str) -> Any:
        """Begin to list the deepest folder that holds whatever begins with ``prefix``."""
        folder = prefix.rpartition("/")[0]
        path = f"{self.root}/{folder}" if folder else self.root
        # "Approximately" so many, says Dropbox: a tenth is left for that.
        limit = max(1, store_.PAGE - store_.PAGE // 10)
        try:
            return self.access.sdk.files_list_folder(path, recursive=True, limit=limit)
        except exceptions.ApiError as error:
            if error.error.is_path() and (
                error.error.get_path().is_not_found() or error.error.get_path().is_not_folder()
            ):
                return None
            raise

    def _page(self, walk: str, number: int, prefix: str, answer: Any) -> Page:
        """Make a page of an answer. The one after it has ``number`` one higher."""
        if answer is None:
            return Page((), None)
        with self._lock:
            named = self._walks.setdefault(walk, {})
            self._walks.move_to_end(walk)
            if len(self._walks) > _WALKS:
                self._walks.popitem(last=False)
        entries: list[Entry] = []
        for item in answer.entries:
            name = self._name(item, prefix)
            # On an earlier page; one that was named on this page is named when it is asked again.
            if name is not None and named.setdefault(name, number) >= number:
                entries.append(Entry(name, int(item.size)))
        if not answer.has_more:
            return Page(tuple(entries), None)
        return Page(tuple(entries), f"{walk}:{number + 1}:{answer.cursor}")

    def _name(self, item: Any, prefix: str) -> str | None:
        """Return the name of an object; None for what is no file, not ours, or not asked for."""
        if not isinstance(item, files.FileMetadata) or item.path_lower is None:
            return None
        if not item.path_lower.startswith(self.root + "/"):
            return None
        name = item.path_lower[len(self.root) + 1 :]
        return name if name.startswith(prefix) and is_name(name) else None
