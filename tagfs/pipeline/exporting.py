"""``tagfs export``: writing files out of the gallery into a folder, byte for byte.

Nothing that is there is ever written over: a file appears under its name whole, or not at all.
Running it again goes on where it stopped, because what has the right bytes already is left.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import trio

from tagfs.catalog.folders import suffixed
from tagfs.catalog.records import FileRecord
from tagfs.errors import FileError, TagfsError, Unreachable, Usage
from tagfs.model import Content, FileId
from tagfs.pipeline.copy_out import Target, Way
from tagfs.pipeline.gallery import Gallery

STEP = 1024 * 1024
"""Bytes written at a time; between two steps everything else gets its turn."""
DRAFTS = 10.0
"""Seconds that edits which were just closed get to be sealed."""
GIVE_UP = 3
"""Files in a row that the remote does not give, after which the others are not asked for."""
HOPELESS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
"""Errors of the destination that the next file would meet as well."""

Progress = Callable[[int, int], None]
"""Called with (files done, files in all)."""


@dataclass(frozen=True, slots=True)
class Item:
    """One file to be written: where, below the destination, and what its sidecar says."""

    way: Way
    file: FileId
    sidecar: Callable[[], bytes | None] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What an export writes. Folders come before what is in them."""

    items: Sequence[Item]
    folders: Sequence[tuple[Way, int, int]] = ()  # way, mode, mtime in ns
    hints: tuple[str, ...] = ()


@dataclass(slots=True)
class ExportReport:
    """What an export did. ``failed`` has (path, reason)."""

    files: int = 0
    bytes: int = 0
    present: int = 0  # the same bytes were there already
    sidecars: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    hints: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the form of ``tagfs export --json``."""
        return {
            "files": self.files,
            "bytes": self.bytes,
            "present": self.present,
            "sidecars": self.sidecars,
            "failed": [{"path": p, "reason": r} for p, r in self.failed],
            "hints": list(self.hints),
        }


async def export(
    gallery: Gallery, plan: Plan, dest: Path, progress: Progress = lambda done, total: None
) -> ExportReport:
    """Write what a plan names below ``dest``; returns when it survives a power cut.

    What cannot be read or written is reported and the rest goes on. Raises Usage when ``dest``
    is no folder and cannot be made, TagfsError when it is full, Unreachable when the remote
    does not give what is only there.
    """
    with trio.move_on_after(DRAFTS):
        while gallery.ledger.local.drafts():
            await trio.sleep(0.1)
    report = ExportReport(hints=plan.hints)
    target = Target(os.fsencode(dest), gallery.ledger.ring.content_key)
    try:
        await trio.to_thread.run_sync(target.begin)
    except OSError as error:
        raise Usage(f"{dest} cannot be written to: {error.strerror}; name another.") from None
    run = _Run(gallery, target, report)
    for way, mode, _ in plan.folders:
        await run.folder(way, mode)
    for done, item in enumerate(plan.items):
        await run.item(item)
        progress(done + 1, len(plan.items))
    await trio.to_thread.run_sync(target.end, list(plan.folders))
    return report


class _Run:
    """One export while it goes on."""

    def __init__(self, gallery: Gallery, target: Target, report: ExportReport) -> None:
        self._gallery = gallery
        self._target = target
        self._report = report
        self._written: dict[FileId, Way] = {}  # files of several entries, where they lie now
        self._unreachable = 0

    async def folder(self, way: Way, mode: int) -> None:
        """Make a folder, empty ones too."""
        try:
            await trio.to_thread.run_sync(self._target.make_folder, way, mode)
        except OSError as error:
            self._failed(way, error)

    async def item(self, item: Item) -> None:
        """Write one file and its sidecar."""
        record = self._gallery.state.file(item.file)
        if record is None or not record.kept:
            return  # deleted since the plan was made
        try:
            way = await self._file(item, record)
            self._unreachable = 0
            if item.sidecar is not None:
                await self._sidecar(way, item.sidecar())
        except FileError as error:
            self._report.failed.append((_text(item.way), str(error)))
            self._unreachable += error.errno == errno.ENETUNREACH
            if self._unreachable >= GIVE_UP:
                raise Unreachable(
                    f"{self._report.files} files were written, but the remote does not give the "
                    f"others ({error}). Run the same command again when it answers."
                ) from error
        except OSError as error:
            self._failed(item.way, error)

    async def _file(self, item: Item, record: FileRecord) -> Way:
        """Write a file, or find that it is there; return where."""
        local = self._gallery.ledger.local
        if local.draft(record.id) is not None:
            raise FileError(errno.EBUSY, "It is being written to; close it and export it again.")
        ident: bytes = record.id if record.content is None else record.content[0]
        for name in (item.way[-1], suffixed(item.way[-1], ident)):
            way = (*item.way[:-1], name)
            there = await trio.to_thread.run_sync(
                self._target.compare,
                way,
                ident,
                0 if record.content is None else record.content[1],
                record.target,
            )
            if there is None:
                await self._write(way, record)
                return way
            if there:
                self._report.present += 1
                return way
        raise FileError(errno.EEXIST, "Something else has its name there.")

    async def _write(self, way: Way, record: FileRecord) -> None:
        twin = self._written.get(record.id)
        if record.target is not None:
            await trio.to_thread.run_sync(self._target.link_to, way, record.target)
        elif twin is None or not await trio.to_thread.run_sync(self._target.twin, twin, way):
            await self._copy(way, record)
            self._report.bytes += 0 if record.content is None else record.content[1]
        if len(record.entries) > 1:
            self._written[record.id] = way
        self._report.files += 1

    async def _copy(self, way: Way, record: FileRecord) -> None:
        content = self._content(record)
        size = 0 if content is None else content.size
        fd = await trio.to_thread.run_sync(self._target.open, way)
        try:
            if content is not None:
                reader = self._gallery.contents.reader(content)
                try:
                    at = 0
                    while at < size:
                        data = await reader.read(at, STEP)
                        await trio.to_thread.run_sync(self._target.write, fd, data)
                        at += len(data)
                finally:
                    reader.close()
        except BaseException:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._target.abandon, way, fd)
            raise
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(
                self._target.finish, way, fd, record.mode, record.mtime_ns
            )

    def _content(self, record: FileRecord) -> Content | None:
        if record.content is None:
            return None
        content = self._gallery.state.photos.content(record.content[0])
        if content is None:
            raise FileError(errno.EIO, "The record of this file's content is missing.")
        return content

    async def _sidecar(self, way: Way, text: bytes | None) -> None:
        if text is None:
            return
        if await trio.to_thread.run_sync(self._target.sidecar, way, text):
            self._report.sidecars += 1

    def _failed(self, way: Way, error: OSError) -> None:
        if error.errno in HOPELESS:
            raise TagfsError(
                f"{os.fsdecode(self._target.root)} takes no more ({error.strerror}) after "
                f"{self._report.files} files; make room and run the same command again."
            ) from error
        self._report.failed.append((_text(way), error.strerror or str(error)))


def _text(way: Way) -> str:
    return os.fsdecode(b"/".join(way))
