"""Former contents of files that are no photos: the last three, at most one an hour."""

from __future__ import annotations

from collections.abc import Callable

from tagfs.catalog.records import FileRecord
from tagfs.catalog.shelves import versions_of
from tagfs.catalog.state import State
from tagfs.model import FileId
from tagfs.vault.ops import Entity, Field, Op, SetRegister

EVERY_MS = 3_600_000
"""Milliseconds from one former content that is kept of a file to the next."""
MOST = 3
"""Former contents kept of a file."""


class Versions:
    """Decides which former contents stay; they are files in the trash with VERSION_OF set."""

    def __init__(self, state: State, now_ms: Callable[[], int]) -> None:
        self._state = state
        self._now_ms = now_ms

    def counted(self, file: FileRecord) -> bool:
        """Whether the former contents of a file are counted: it is no photo."""
        photo = self._state.photos.get(file.content[0]) if file.content else None
        return photo is None or not photo.media

    def is_due(self, file: FileId) -> bool:
        """Whether the last former content was kept an hour ago, or longer."""
        newest = next(iter(self._kept(file)), None)
        return newest is None or not 0 <= self._now_ms() - _at(newest) < EVERY_MS

    def keep(self, file: FileId, version: FileId) -> list[Op]:
        """Make a file that goes to the trash the newest former content of another."""
        return [_set(version, Field.VERSION_OF, file), *self._purge(self._kept(file)[MOST - 1 :])]

    def hand_on(self, old: FileId, new: FileId, with_old: bool) -> list[Op]:
        """Count the former contents of a file as those of the one that takes its place.

        ``with_old``: the file itself goes to the trash and is the newest of them.
        """
        mine = {version.id for version in self._kept(old)}
        both = _newest_first([*self._kept(old), *self._kept(new)])
        room = MOST - 1 if with_old else MOST
        ops = self._purge(both[room:])
        ops += [_set(v.id, Field.VERSION_OF, new) for v in both[:room] if v.id in mine]
        return [*ops, _set(old, Field.VERSION_OF, new)] if with_old else ops

    def _purge(self, versions: list[FileRecord]) -> list[Op]:
        """Take the oldest out of the trash."""
        return [_set(version.id, Field.PURGED, self._now_ms()) for version in versions]

    def _kept(self, file: FileId) -> list[FileRecord]:
        return _newest_first([file for _, file in self._state.shelves.files(versions_of(file))])


def _newest_first(versions: list[FileRecord]) -> list[FileRecord]:
    """Order versions by when they were kept, which a clock that was set back does not tell."""
    return sorted(versions, key=lambda v: v.regs.stamp(Field.TRASHED), reverse=True)


def _at(version: FileRecord) -> int:
    return 0 if version.trashed is None else version.trashed[0]


def _set(file: FileId, field: Field, value: object) -> SetRegister:
    return SetRegister(Entity.FILE, file, field, value)
