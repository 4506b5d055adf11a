"""What is pinned to this machine: files whose bytes are fetched and stay, whatever the cache does.

A pin belongs to the file, so an edit stays pinned; it is this machine's alone and no act of the
gallery. ``pins/0`` … ``pins/f`` hold the files' ids by their first digit, sealed.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import trio

from tagfs.errors import FileError, Integrity, Usage
from tagfs.model import Content, FileId, ObjectName, Part
from tagfs.pipeline.contents import Contents
from tagfs.pipeline.state_dir import write_file
from tagfs.vault.keys import KeyRing
from tagfs.vault.layout import KIND_PINS
from tagfs.vault.messages import open_local, seal_local

log = logging.getLogger(__name__)

RETRY = 60.0
"""Seconds after which what could not be fetched is tried again."""
ID = 16
MOST = 60_000
"""Ids in one of the files: what one sealed file of the state directory holds."""


class Pins:
    """The pinned files and a task that fetches their bytes. For trio's thread."""

    def __init__(
        self,
        folder: Path,
        ring: KeyRing,
        contents: Contents,
        content_of: Callable[[FileId], Content | None],
    ) -> None:
        """Read what is pinned; ``content_of`` returns a file's content, where it has one.

        A file of pins that is damaged counts as empty: no bytes depend on it.
        """
        self._folder = folder
        self._ring = ring
        self._contents = contents
        self._copies = contents.spool.copies
        self._content_of = content_of
        self._files: dict[FileId, Content | None] = {}
        self._names: Counter[ObjectName] = Counter()
        self._sizes: dict[ObjectName, int] = {}
        self._wake = trio.Event()
        self.failure: str | None = None
        """Why something pinned is not here yet."""
        self._unsaved = trio.Lock()
        for digit in range(16):
            self._read(folder / f"{digit:x}")

    def _read(self, path: Path) -> None:
        try:
            raw = open_local(self._ring, KIND_PINS, path.read_bytes(), "A file of pins")
        except FileNotFoundError:
            return
        except (OSError, Integrity) as e:
            log.error("pins are left out: %s", e)
            return
        for at in range(0, len(raw) - ID + 1, ID):
            self._files[FileId(raw[at : at + ID])] = None

    def begin(self) -> None:
        """Hold what is pinned, once the catalog knows what that is. For before any shrink()."""
        for file in list(self._files):
            self.changed(file)

    # -- saying so -----------------------------------------------------------------------------

    async def pin(self, files: Iterable[FileId]) -> int:
        """Pin files; return how many were not pinned. Usage when the cache is too small for all."""
        new = [file for file in dict.fromkeys(files) if file not in self._files]
        sizes = self._sizes | {
            part.name: part.stored for file in new for part in parts_of(self._content_of(file))
        }
        if sum(sizes.values()) > self._copies.limit:
            raise Usage(
                f"Pinned photos would need {sum(sizes.values())} bytes, and the cache has "
                f"{self._copies.limit}; pin fewer or mount with a larger -o cache_size."
            )
        for file in new:
            self._files[file] = None
            self._hold(file)
        await self._save(new)
        self._wake.set()
        return len(new)

    async def unpin(self, files: Iterable[FileId]) -> int:
        """Unpin files; return how many were pinned."""
        old = [file for file in dict.fromkeys(files) if file in self._files]
        for file in old:
            self._release(file)
            del self._files[file]
        await self._save(old)
        self._copies.shrink()
        return len(old)

    def is_pinned(self, file: FileId) -> bool:
        """Whether a file is pinned."""
        return file in self._files

    def __len__(self) -> int:
        return len(self._files)

    def changed(self, file: FileId) -> None:
        """A file may have other bytes now: they are the pinned ones."""
        if file in self._files:
            self._release(file)
            self._hold(file)
            self._wake.set()

    def as_json(self) -> dict[str, object]:
        """Return how full the cache is, and what of it is pinned."""
        return {
            "bytes": self._copies.bytes,
            "limit": self._copies.limit,
            "pinned": len(self._files),
            "pinned_bytes": self._copies.pinned_bytes,
            "failure": self.failure,
        }

    async def _save(self, files: list[FileId]) -> None:
        async with self._unsaved:
            for digit in sorted({file.hex()[0] for file in files}):
                ids = sorted(file for file in self._files if file.hex()[0] == digit)
                if len(ids) > MOST:
                    raise Usage("So many files cannot be pinned.")
                data = seal_local(self._ring, KIND_PINS, b"".join(ids))
                await trio.to_thread.run_sync(self._write, self._folder / digit, data)

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_file(path, data)

    # -- holding -------------------------------------------------------------------------------

    def _hold(self, file: FileId) -> None:
        content = self._files[file] = self._content_of(file)
        for part in parts_of(content):
            self._names[part.name] += 1
            self._sizes[part.name] = part.stored
        self._copies.pin(part.name for part in parts_of(content))

    def _release(self, file: FileId) -> None:
        for part in parts_of(self._files[file]):
            self._names[part.name] -= 1
            if not self._names[part.name]:
                del self._names[part.name], self._sizes[part.name]
                self._copies.unpin([part.name])

    # -- fetching ------------------------------------------------------------------------------

    def absent(self) -> list[Content]:
        """Return what is pinned and not on this machine. Looks at every pinned file."""
        held = {content.id: content for content in self._files.values() if content is not None}
        return [content for content in held.values() if not self._here(content)]

    def _here(self, content: Content) -> bool:
        return all(self._contents.spool.is_here(part.name) for part in content.parts)

    async def run(self) -> None:
        """Fetch what is pinned until cancelled; what fails is tried again."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            self.failure = None
            for content in self.absent():
                try:
                    if all(self._names[part.name] for part in content.parts):
                        await self._contents.fetch(content, copied=True)
                except FileError as e:
                    self.failure = str(e)
                    log.warning("a pinned content waits: %s", type(e).__name__)
            if self.failure is not None:
                with trio.move_on_after(RETRY):
                    await self._wake.wait()
                self._wake.set()


def parts_of(content: Content | None) -> tuple[Part, ...]:
    """Return the parts of a content; none of nothing."""
    return () if content is None else content.parts
