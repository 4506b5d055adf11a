"""``tagfs import``: copying files and folders in without going through the mount."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import trio

from tagfs.catalog.folders import FILE, FOLDER, suffixed
from tagfs.errors import FileError, Usage
from tagfs.model import ROOT, FileId, FolderId, UnitId, Word, random_id
from tagfs.pipeline.gallery import Gallery
from tagfs.pipeline.names import RESERVED
from tagfs.recognise.sniff import sniff
from tagfs.vault.ops import AddEntry, Entity, Field, Op, SetRegister, SetWord

STEP = 1024 * 1024
"""Bytes read at a time; between two steps everything else gets its turn."""

HEAD = 4096
"""Bytes that tell what kind of file it is."""

Progress = Callable[[int, int], None]
"""Called with (files done, files in all)."""


@dataclass(slots=True)
class ImportReport:
    """What an import did. ``failed`` has (path, reason)."""

    files: int = 0
    bytes: int = 0
    present: int = 0  # the same bytes were there under that name already
    failed: list[tuple[str, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """Return the form of ``tagfs import --json``."""
        return {
            "files": self.files,
            "bytes": self.bytes,
            "present": self.present,
            "failed": [{"path": p, "reason": r} for p, r in self.failed],
        }


@dataclass(frozen=True, slots=True)
class _Found:
    source: Path
    parts: tuple[bytes, ...]  # folders below the target, then the name
    info: os.stat_result


async def import_paths(
    gallery: Gallery,
    sources: Sequence[Path],
    into: str | None = None,
    tags: Sequence[str] = (),
    progress: Progress = lambda done, total: None,
) -> ImportReport:
    """Copy files and folders in, as ``cp -r`` would; returns when all survives a power cut.

    ``into`` is a folder of the gallery (made when it is not there), the root without it. What
    cannot be read is reported and the rest goes on. Raises Usage for a source that is not
    there and for a name that a view has.
    """
    base = [os.fsencode(p) for p in (into or "").split("/") if p]
    found = await trio.to_thread.run_sync(lambda: list(_walk(sources)))
    for name in {(*base, *item.parts)[0] for item in found}:
        if name in RESERVED or name == b".tagfs":
            raise Usage(
                f"The name {os.fsdecode(name)} at the root of the gallery is a view's; "
                "import it with --into SOMEFOLDER."
            )
    report = ImportReport()
    act = UnitId(random_id())
    folders: dict[tuple[bytes, ...], FolderId] = {(): ROOT}
    for done, item in enumerate(found):
        try:
            way = (*base, *item.parts)
            parent = _folder(gallery, folders, way[:-1], act)
            if stat.S_ISDIR(item.info.st_mode):
                _folder(gallery, folders, way, act)
            elif stat.S_ISLNK(item.info.st_mode):
                _link(gallery, parent, way[-1], item, report, act)
            elif stat.S_ISREG(item.info.st_mode):
                await _copy(gallery, parent, way[-1], item, tags, report, act)
            else:
                report.failed.append((str(item.source), "neither a file nor a folder"))
        except (OSError, FileError) as e:
            report.failed.append((str(item.source), _reason(e)))
        progress(done + 1, len(found))
    await gallery.sync()
    return report


def _walk(sources: Sequence[Path]) -> Iterator[_Found]:
    for source in sources:
        path = Path(os.path.abspath(source))
        try:
            info = path.lstat()
        except OSError as e:
            raise Usage(f"{source} cannot be imported: {e.strerror}.") from None
        name = os.fsencode(path.name)
        yield _Found(path, (name,), info)
        if stat.S_ISDIR(info.st_mode):
            yield from _below(path, (name,))


def _below(folder: Path, parts: tuple[bytes, ...]) -> Iterator[_Found]:
    with os.scandir(folder) as entries:
        inside = sorted(entries, key=lambda e: e.name)
    for entry in inside:
        way = (*parts, os.fsencode(entry.name))
        yield _Found(Path(entry.path), way, entry.stat(follow_symlinks=False))
        if entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path), way)


def _folder(
    gallery: Gallery,
    known: dict[tuple[bytes, ...], FolderId],
    way: tuple[bytes, ...],
    act: UnitId,
) -> FolderId:
    found = known.get(way)
    if found is not None:
        return found
    parent = _folder(gallery, known, way[:-1], act)
    there = gallery.state.folders.look_up(parent, way[-1])
    if there is not None and there[0] == FOLDER:
        folder = FolderId(there[1])
    elif there is not None:
        raise FileError(20, f"{os.fsdecode(way[-1])} is a file in the gallery.")
    else:
        folder = FolderId(random_id())
        gallery.ledger.commit(
            [
                SetRegister(Entity.FOLDER, folder, Field.MODE, 0o755),
                SetRegister(Entity.FOLDER, folder, Field.PLACE, (parent, way[-1], True)),
            ],
            act=act,
        )
    known[way] = folder
    return folder


def _link(
    gallery: Gallery,
    parent: FolderId,
    name: bytes,
    item: _Found,
    report: ImportReport,
    act: UnitId,
) -> None:
    if gallery.state.folders.look_up(parent, name) is not None:
        report.present += 1
        return
    file = FileId(random_id())
    target = os.fsencode(os.readlink(item.source))
    gallery.ledger.commit(
        [
            SetRegister(Entity.FILE, file, Field.TARGET, target),
            SetRegister(Entity.FILE, file, Field.MTIME, item.info.st_mtime_ns),
            AddEntry(parent, name, file),
        ],
        act=act,
    )
    report.files += 1


async def _copy(
    gallery: Gallery,
    parent: FolderId,
    name: bytes,
    item: _Found,
    tags: Sequence[str],
    report: ImportReport,
    act: UnitId,
) -> None:
    file = FileId(random_id())
    mode = stat.S_IMODE(item.info.st_mode) & 0o777
    there = gallery.state.folders.look_up(parent, name)
    writer = gallery.files.writer()
    head = b""
    try:
        source = await trio.open_file(item.source, "rb", buffering=0)
        async with source:
            while data := await source.read(STEP):
                head = head or data[:HEAD]
                gallery.spool.reserve(len(data))
                writer.append(data)
    except BaseException:
        gallery.files.discard(writer)
        raise
    content = None
    if writer.size:
        content = writer.finish(name, item.info.st_mtime_ns, sniff(head, name))
    if there is not None and there[0] == FILE:
        old = gallery.state.file(FileId(there[1]))
        if old is not None and (old.content and old.content[0]) == (content and content.id):
            gallery.files.discard(writer)
            report.present += 1
            return
    if there is not None:
        name = suffixed(name, file)
    ops: list[Op] = [
        SetRegister(Entity.FILE, file, Field.MODE, mode),
        SetRegister(Entity.FILE, file, Field.MTIME, item.info.st_mtime_ns),
        AddEntry(parent, name, file),
    ]
    subject: bytes = file if content is None else content.id
    for tag in tags:
        ident, named = gallery.ledger.tag_named(tag)
        ops += [*named, SetWord(subject, ident, Word.YES)]
    gallery.files.adopt(file, content, ops, act)
    report.files += 1
    report.bytes += item.info.st_size


def _reason(e: OSError | FileError) -> str:
    return (e.strerror or str(e)) if isinstance(e, OSError) else str(e)
