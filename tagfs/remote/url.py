"""From the URL that a user types to the store behind it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes, urlsplit

from tagfs.errors import Usage
from tagfs.remote.dir import DirStore
from tagfs.remote.login import AskLogin, not_logged_in
from tagfs.remote.memory import MemoryStore
from tagfs.remote.store import Store

if TYPE_CHECKING:
    from tagfs.remote.dropbox_login import Authorization

_LATER = ("s3", "webdav", "sftp")

_memory: dict[str, MemoryStore] = {}


def open_store(url: str, *, create: bool, login: AskLogin = not_logged_in) -> Store:
    """Return the store that ``url`` names. Does no I/O.

    ``dir:///path`` is a folder of this machine, ``memory://name`` lives as long as this process
    and is shared by everybody in it who opens the same name, ``dropbox:///folder`` lies in the
    app's folder of the user's Dropbox, which ``login`` opens. ``create`` says that the store may
    be a new one; without it an absent or empty folder counts as a disk that is not connected.

    Raises:
        Usage: not a URL of a store.
    """
    parts = urlsplit(url)
    if parts.scheme == "dir":
        path = os.fsdecode(unquote_to_bytes(parts.path))
        if parts.netloc or not path.startswith("/") or parts.query or parts.fragment:
            raise Usage(f"{url} is not a folder; write dir:// and an absolute path: dir:///path.")
        if "\x00" in path:
            raise Usage("A path has no NUL bytes.")
        return DirStore(Path(path), create=create)
    if parts.scheme == "memory":
        name = parts.netloc + parts.path
        return _memory.setdefault(name, MemoryStore(name))
    if parts.scheme == "dropbox":
        if parts.netloc or parts.query or parts.fragment:
            raise Usage(f"{url} is not a folder in Dropbox; write dropbox:///gallery.")
        with _dropbox_is_installed():
            from tagfs.remote.dropbox import DropboxStore

            return DropboxStore(parts.path.strip("/"), login)
    if parts.scheme in _LATER:
        raise Usage(
            f"Remotes of kind {parts.scheme} come with a later version of tagfs. "
            "Use a folder: dir:///path."
        )
    raise Usage(f"{url} is not the URL of a store. Use a folder: dir:///path.")


def dropbox_authorization(app_key: str) -> Authorization:
    """Begin to log in to Dropbox for the app of this key."""
    with _dropbox_is_installed():
        from tagfs.remote.dropbox_login import Authorization

        return Authorization(app_key)


@contextmanager
def _dropbox_is_installed() -> Iterator[None]:
    # Imported only by whoever has a gallery in Dropbox: it is an extra, and takes its time.
    try:
        yield
    except ModuleNotFoundError as error:
        raise Usage(
            f"A gallery in Dropbox needs {error.name}, which is not installed: install tagfs with "
            "its extra, as tagfs[dropbox]."
        ) from None


def dir_url(path: Path) -> str:
    """Return the URL of a folder, which `open_store` turns back into the same path."""
    return "dir://" + quote(os.fsencode(path.absolute()))
