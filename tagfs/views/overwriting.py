"""Writing over a name: what becomes of the file that had it, and what the new one is told of it."""

from __future__ import annotations

from collections.abc import Callable

from tagfs.catalog.records import FileRecord
from tagfs.catalog.state import State
from tagfs.model import UNFILED, Content, ContentId, FileId
from tagfs.pipeline import inheriting
from tagfs.pipeline.names import looks_temporary
from tagfs.pipeline.versions import Versions
from tagfs.vault.ops import AddEntry, Entity, Field, Op, RemoveEntry, SetRegister
from tagfs.views import acts
from tagfs.views.nodes import Directory, OwnFolder
from tagfs.views.traces import Traces


class Overwriting:
    """Turns writing over names into operations; commits nothing.

    ``unsealed``: whether a file has bytes that are no content yet; ``rewritten``: whether it has
    other bytes than its content.
    """

    def __init__(
        self,
        state: State,
        now_ms: Callable[[], int],
        keeps: acts.Keeps,
        unsealed: Callable[[FileId], bool],
        rewritten: Callable[[FileId], bool],
        traces: Traces,
        versions: Versions,
    ) -> None:
        self._state = state
        self._versions = versions
        self._now_ms = now_ms
        self._keeps = keeps
        self._unsealed = unsealed
        self._rewritten = rewritten
        self._traces = traces

    def may_be_photo(self, file: FileRecord) -> bool:
        """Whether a file is, or may turn out to be, a photo or video."""
        if file.content is None:
            return self._unsealed(file.id)
        photo = self._state.photos.get(file.content[0])
        return photo is None or photo.media

    def gives_way(self, file: FileRecord) -> bool:
        """Whether writing over a file by a name in a view must leave it as it is.

        A note that lies in ``all/`` is overwritten like anywhere; a photo is not, and no file
        in a folder of the user's, which would change without being touched there.
        """
        if file.content is None:
            return self._unsealed(file.id)  # an empty one has nothing to lose
        return self.may_be_photo(file) or not _unfiled(file)

    def is_new(self, file: FileRecord, name: bytes, where: Directory | None = None) -> bool:
        """Whether a file that is renamed from ``name`` was just written to take another's place.

        ``where`` is the directory that it comes from, None for an own folder.
        """
        if looks_temporary(name):
            return True
        if where is not None and not _unfiled(file):
            return False
        if file.content is None or self._traces.made_by_caller(file.id):
            return True
        photo = self._state.photos.get(file.content[0])
        return photo is None or not photo.chosen

    def is_scratch(self, file: FileRecord, name: bytes) -> bool:
        """Whether removing a file by a name in a view is a program's tidying up after itself."""
        return looks_temporary(name) and _unfiled(file)

    def over(
        self, old: FileRecord, new: FileId, content: ContentId | None, name: bytes
    ) -> list[Op]:
        """Give a new file the name in a view that an old one has. Nothing is lost: the old one
        is ``name~id`` from then on, or in the trash when it is no photo."""
        same = old.content is not None and old.content[0] == content
        if old.content is not None and same and not self._rewritten(old.id):
            return self._again(old.content[0], name)
        if _unfiled(old) and not self.may_be_photo(old):
            return acts.delete_file(old, self._now_ms(), self._keeps)
        ops: list[Op] = []
        if old.content is not None:
            ops += self.make_way(old, name)
            ops.append(acts.set_file(new, Field.WRITTEN_OVER, old.content[0]))
        return ops

    def _again(self, content: ContentId, name: bytes) -> list[Op]:
        """Let the same bytes take the place of those that were written here before; the photo
        keeps the name, though another would have it by the files that are left."""
        photo = self._state.photos.get(content)
        files = [self._state.file(f) for f in (photo.files if photo else ())]
        ops: list[Op] = []
        borrowed = photo is not None and not photo.chosen
        if photo is not None and borrowed and inheriting.contested(self._state, photo) == name:
            ops.append(SetRegister(Entity.PHOTO, content, Field.VIEW_NAME, name))
        for file in filter(None, files):
            shown = acts.number_of(self._state, file)
            listed = shown is not None and (shown.name, shown.file) == (name, file.id)
            if not (listed or acts.unfiled_as(file, name) is not None):
                continue
            if len(file.entries) == 1 and _unfiled(file) and not self._rewritten(file.id):
                ops += acts.unlist(file, *next(iter(file.entries)))
        return ops

    def replace(self, old: FileRecord, new: FileRecord, taken: list[Op], saved: bool) -> list[Op]:
        """Give a file the entry in an own folder that ``taken`` takes from another.

        When a text or document is ``saved`` in that way, what it was is one of its versions.
        """
        if not self._versions.counted(old) or len(old.entries) != 1:
            return taken
        if old.content is None and self._unsealed(old.id):
            return taken  # it may be a photo
        due = not saved or self._versions.is_due(old.id)
        if not due:
            taken = [op for op in taken if isinstance(op, RemoveEntry)]
        return taken + self._versions.hand_on(old.id, new.id, with_old=due)

    def take_name(self, old: FileRecord, content: Content, name: bytes) -> list[Op]:
        """Choose the view name of a photo that was written over an old file's; a known one keeps
        its own, and so does a photo that has the name in other places than this.

        Otherwise it could go to one that an own folder has under the same name.
        """
        photo = self._state.photos.get(content.id)
        if not content.media_type.startswith(("image/", "video/")) or (photo and photo.chosen):
            return []
        shown = self._state.photos.names.named(name)
        if shown is not None and (old.content is None or shown.photo != old.content[0]):
            return []
        others = [self._state.photos.get(p) for p in self._state.photos.names.wanting(name)]
        ops: list[Op] = [
            inheriting.aside(other, name)
            for other in others
            if other is not None and other.id != content.id
        ]
        return [*ops, SetRegister(Entity.PHOTO, content.id, Field.VIEW_NAME, name)]

    def make_way(self, file: FileRecord, name: bytes) -> list[Op]:
        """Show the photo that has a view name as ``name~id`` from now on, and all that would have
        the name if it were free."""
        shown = acts.number_of(self._state, file)
        if shown is None or shown.name != name:
            return self._rename_twin(file, name)
        wanting = dict.fromkeys([shown.photo, *self._state.photos.names.wanting(name)])
        photos = [self._state.photos.get(photo) for photo in wanting]
        return [inheriting.aside(photo, name) for photo in photos if photo is not None]

    @staticmethod
    def _rename_twin(file: FileRecord, name: bytes) -> list[Op]:
        """Let a file that ``all/`` lists as ``name~id`` take that for its name, which then is one
        of two equal ones."""
        entry = acts.unfiled_as(file, name)
        if entry is None or entry == name:
            return []
        return [*acts.unlist(file, UNFILED, entry), AddEntry(UNFILED, name, file.id)]

    def instead(
        self, old: FileRecord | None, new: FileRecord | FileId, where: Directory
    ) -> list[Op]:
        """Tell a new file (its id while it has no record) in place of which one it was written.

        Words go along once the two were compared. Those of an old one that will not be, because
        there is nothing in it or because its own original is, go along at once; those of texts,
        too, which are always taken for one.
        """
        if old is None:
            return []
        ident, content = (new.id, new.content) if isinstance(new, FileRecord) else (new, None)
        if not isinstance(where, OwnFolder):
            return [] if old.content is None else [_written_over(ident, old.content[0])]
        over = inheriting.origin(self._state, old)
        ops: list[Op] = [] if over is None else [_written_over(ident, over)]
        compared = old.content is not None and over == old.content[0]
        media = self._state.photos.is_media(old) or (
            isinstance(new, FileRecord) and self._state.photos.is_media(new)
        )
        texts = content is not None and not media
        if texts or not compared:
            ops += inheriting.words_along(self._state, old, content[0] if content else ident)
        return ops


def _written_over(file: FileId, content: ContentId) -> Op:
    return acts.set_file(file, Field.WRITTEN_OVER, content)


def _unfiled(file: FileRecord) -> bool:
    return all(folder == UNFILED for folder, _ in file.entries)
