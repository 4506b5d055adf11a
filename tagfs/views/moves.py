"""What moving, linking and removing mean: places of one kind move, places of two kinds add."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping

from tagfs.catalog.folders import FOLDER
from tagfs.catalog.records import FileRecord
from tagfs.errors import FileError, not_permitted
from tagfs.model import UNFILED, FileId, FolderId
from tagfs.pipeline.ledger import Ledger
from tagfs.pipeline.names import looks_temporary
from tagfs.vault.ops import AddEntry, Entity, Field, Op, SetRegister
from tagfs.views import acts
from tagfs.views.nodes import Directory, FileNode, Node, OwnFolder, Spot, View
from tagfs.views.overwriting import Overwriting
from tagfs.views.traces import Away, Door, Traces


class Moves:
    """Turns acts on entries into operations; commits nothing.

    ``check_free(directory, name)`` raises unless a new entry of the name may be made there.
    """

    def __init__(
        self,
        ledger: Ledger,
        views: Mapping[str, View],
        check_free: Callable[[Directory, bytes], None],
        keeps: acts.Keeps,
        overwriting: Overwriting,
        traces: Traces,
    ) -> None:
        self._state = ledger.state
        self._now_ms = ledger.now_ms
        self._overwriting = overwriting
        self._traces = traces
        self._views = views
        self._check_free = check_free
        self._keeps = keeps

    def take(self, file: FileRecord, where: Directory, name: bytes) -> list[Op]:
        """Remove a file from a place."""
        if isinstance(where, OwnFolder):
            recorded = self._state.folders.entry_name(where.folder, name, file.id)
            places = ((where.folder, recorded),)
            return acts.delete_entries(file, places, self._now_ms(), self._keeps)
        if where.view != "trash" and self._overwriting.is_scratch(file, name):
            return acts.delete_file(file, self._now_ms(), self._keeps)
        return self._views[where.view].remove(where.path, file)

    def bring(self, file: FileRecord, where: Directory, name: bytes) -> list[Op]:
        """Add a file to a place under a name."""
        if isinstance(where, OwnFolder):
            return [AddEntry(where.folder, name, file.id)]
        if file.target is not None:
            raise not_permitted("Symbolic links belong into your own folders.")
        ops = self._views[where.view].add(where.path, file)
        if where.view != "trash" and not self._answers(file, name):
            ops.append(AddEntry(UNFILED, name, file.id))
        return ops

    def _answers(self, file: FileRecord, name: bytes) -> bool:
        """Whether views resolve this name to this file already."""
        shown = acts.number_of(self._state, file)
        if shown is not None and shown.name == name and shown.file == file.id:
            photo = self._state.photos.get(shown.photo)
            if photo is not None and photo.listed:  # all/ has no documents of own folders
                return True
        return acts.unfiled_as(file, name) is not None

    def move_file(
        self,
        file: FileRecord,
        source: Directory,
        name: bytes,
        target: Directory,
        new_name: bytes,
        there: Node | None,
    ) -> list[Op]:
        if isinstance(there, OwnFolder | Spot):
            raise FileError(errno.EISDIR)
        if file.target is not None and isinstance(target, Spot) and target.view != "trash":
            raise not_permitted("Symbolic links belong into your own folders.")
        if isinstance(target, Spot) and target.view == "trash":
            if isinstance(source, Spot) and source.view == "trash":
                raise not_permitted("Names in the trash stay as they were.")
            return self._discard(file, source, name)
        ops: list[Op] = []
        if isinstance(source, Spot) and source.view == "trash":
            ops.append(acts.set_file(file.id, Field.TRASHED, None))
        if isinstance(target, OwnFolder):
            if there == FileNode(file.id):
                return []
            if there is None:
                self._check_free(target, new_name)
            if isinstance(source, OwnFolder):
                ops += self._in_place_of(file, source, name, target, new_name, there)
            if isinstance(there, FileNode):
                old = self._record(there.file)
                taken = self.take(old, target, new_name)
                if isinstance(source, OwnFolder):
                    saved = self._overwriting.is_new(file, name)
                    taken = self._overwriting.replace(old, file, taken, saved)
                ops += taken
            if isinstance(source, OwnFolder):
                recorded = self._state.folders.entry_name(source.folder, name, file.id)
                ops += acts.unlist(file, source.folder, recorded)
            return [*ops, AddEntry(target.folder, new_name, file.id)]
        if isinstance(source, Spot) and source.view == target.view:
            return self._move_inside(file, source, name, target, new_name, there)
        if isinstance(there, FileNode) and there.file != file.id and file.live:
            return self._views[target.view].add(target.path, file)  # the name stays another's
        return [*ops, *self.bring(file, target, new_name)]

    def _in_place_of(
        self,
        file: FileRecord,
        source: Directory,
        name: bytes,
        target: Directory,
        new_name: bytes,
        there: Node | None,
    ) -> list[Op]:
        """Tell a file that was just written in place of which other it stands from now on."""
        if isinstance(there, FileNode):
            old: FileId | None = there.file
        else:
            away = self._traces.taken(target, new_name)
            old = None if away is None else away.door.file
        if old is None or old == file.id:
            return []
        where = source if isinstance(source, Spot) else None
        if not self._overwriting.is_new(file, name, where):
            return []
        return self._overwriting.instead(self._state.file(old), file, target)

    def created(self, file: FileId, where: Directory, name: bytes) -> list[Op]:
        """Say what a new file stands in place of, when its name was just taken from another."""
        self._traces.made(file)
        away = self._traces.taken(where, name)
        if away is None:
            return []
        old = self._state.file(away.door.file)
        return [*away.back, *self._overwriting.instead(old, file, where)]

    def moved(self, file: FileId, source: Directory, name: bytes, target: Directory) -> None:
        """Remember that a program took a name from a file, and may write another under it.

        But for a file that it has just made: it uses one temporary name again and again.
        """
        if source == target and not self._traces.made_by_caller(file):
            self._traces.took(Away(Door(file, source, name)))

    def counted(self, file: FileRecord, where: Directory, name: bytes) -> str | None:
        """Return the view that a removal counts for, None where it is not through a view."""
        if isinstance(where, OwnFolder) or self._overwriting.is_scratch(file, name):
            return None
        return where.view

    def removing(self, file: FileRecord, where: Directory, name: bytes, ops: list[Op]) -> None:
        """Remember what a removal is about to do.

        ``cp -a``, ``tar`` and others remove what they write over, and in a view that must not
        harm the photo that has the name: when the same program writes another, it is taken back.
        """
        back: list[Op] = []
        if isinstance(where, Spot):
            if where.view == "trash" or not self._overwriting.gives_way(file):
                return
            back = acts.opposite(self._state, ops) + self._overwriting.make_way(file, name)
        self._traces.took(Away(Door(file.id, where, name), tuple(back)))

    def _discard(self, file: FileRecord, source: Directory, name: bytes) -> list[Op]:
        """Delete what was moved into the trash: an entry, or the whole photo from a view."""
        if isinstance(source, OwnFolder):
            return self.take(file, source, name)
        return self._views["all"].remove((), file)

    def _move_inside(
        self,
        file: FileRecord,
        source: Spot,
        name: bytes,
        target: Spot,
        new_name: bytes,
        there: Node | None,
    ) -> list[Op]:
        """Move within one view: what the old path said goes, what the new one says comes."""
        ops: list[Op] = []
        if source.path != target.path:
            ops += self._views[source.view].shift(source.path, target.path, file)
        content = None if file.content is None else file.content[0]
        over: FileId | None = None
        if isinstance(there, FileNode) and there.file != file.id:
            if not self._overwriting.is_new(file, name, source):
                return ops  # a known photo gains what the target means, and no names change
            over = there.file
            ops += self._overwriting.over(self._record(over), file.id, content, new_name)
        elif name == new_name:
            return ops
        else:
            ops += self._in_place_of(file, source, name, target, new_name, None)
        recorded = acts.unfiled_as(file, name)
        if recorded is not None:
            ops += acts.unlist(file, UNFILED, recorded)
            ops.append(AddEntry(UNFILED, new_name, file.id))
        photo = None if content is None else self._state.photos.get(content)
        shown = acts.number_of(self._state, file)
        if photo is None or shown is None:
            return ops
        twin = photo.chosen and shown.file != file.id  # of a photo that has a name of its own
        unnamed = looks_temporary(name) and looks_temporary(new_name) and not photo.chosen
        if not twin and not unnamed:
            named = self._state.photos.names.named(new_name)
            if named is not None and named.photo != shown.photo and named.file != over:
                # It is of a photo that is not here.
                ops += self._overwriting.make_way(self._record(named.file), new_name)
            ops.append(SetRegister(Entity.PHOTO, shown.photo, Field.VIEW_NAME, new_name))
        return ops

    def move_folder(
        self,
        folder: FolderId,
        source: Directory,
        target: Directory,
        new_name: bytes,
        there: Node | None,
    ) -> list[Op]:
        if isinstance(target, Spot):
            if target.view != "trash":
                raise not_permitted("A folder cannot be moved into a view.")
            return self._discard_folder(folder)
        if there == OwnFolder(folder):
            return []
        if self._state.folders.loops(folder, target.folder) or folder == target.folder:
            raise FileError(errno.EINVAL)
        ops: list[Op] = []
        if there is None:
            self._check_free(target, new_name)
        elif isinstance(there, OwnFolder):
            if not self._state.folders.is_empty(there.folder):
                raise FileError(errno.ENOTEMPTY)
            ops += self.drop(there.folder)
        elif isinstance(there, Spot):
            raise not_permitted("That name is a view's.")
        else:
            raise FileError(errno.ENOTDIR)
        return [*ops, acts.set_folder(folder, Field.PLACE, (target.folder, new_name, True))]

    def drop(self, folder: FolderId) -> list[Op]:
        place = self._state.folders.ensure(folder).place
        if place is None:
            return []
        return [acts.set_folder(folder, Field.PLACE, (place[0], place[1], False))]

    def _discard_folder(self, folder: FolderId) -> list[Op]:
        """Delete a folder with everything in it."""
        folders = [folder]
        places: dict[FileId, list[tuple[FolderId, bytes]]] = {}  # all of them that a file has here
        for at in folders:
            for item in self._state.folders.listing(at):
                if item.kind == FOLDER:
                    folders.append(FolderId(item.id))
                else:
                    places.setdefault(FileId(item.id), []).append((at, item.recorded))
        ops: list[Op] = []
        for file, found in places.items():
            ops += acts.delete_entries(self._record(file), found, self._now_ms(), self._keeps)
        return ops + [op for at in reversed(folders) for op in self.drop(at)]

    def _record(self, file: FileId) -> FileRecord:
        record = self._state.file(file)
        if record is None:
            raise FileError(errno.ESTALE)
        return record
