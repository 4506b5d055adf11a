"""What a user's act means as operations: pure functions of the state, nothing is committed here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from tagfs.catalog.folders import suffixed, without_suffix
from tagfs.catalog.records import Dot, FileRecord
from tagfs.catalog.state import State
from tagfs.catalog.view_names import Shown
from tagfs.model import UNFILED, ContentId, DeviceId, FileId, FolderId, TagId, Word
from tagfs.vault.ops import (
    AddEntry,
    Entity,
    Field,
    Op,
    RemoveEntry,
    SetRegister,
    SetWord,
)

Keeps = Callable[[FileRecord, bytes], bool]
"""Whether deleting a file by a name must leave it in the trash (Files.keeps)."""


def set_file(file: FileId, field: Field, value: object) -> SetRegister:
    """Write a register of a file."""
    return SetRegister(Entity.FILE, file, field, value)


def set_folder(folder: FolderId, field: Field, value: object) -> SetRegister:
    """Write a register of a folder."""
    return SetRegister(Entity.FOLDER, folder, field, value)


def unlist(file: FileRecord, folder: FolderId, name: bytes) -> list[Op]:
    """Take one entry of a file away."""
    dots = file.entries.get((folder, name))
    return [] if dots is None else [RemoveEntry(folder, name, file.id, tuple(dots))]


def delete_entries(
    file: FileRecord, places: Collection[tuple[FolderId, bytes]], now_ms: int, keeps: Keeps
) -> list[Op]:
    """Remove entries; with its last one a file that would be missed goes to the trash."""
    ops = [op for place in places for op in unlist(file, *place)]
    if ops and len(ops) == len(file.entries) and any(keeps(file, name) for _, name in places):
        # First: where the operations are two units, a crash between them loses nothing.
        ops.insert(0, set_file(file.id, Field.TRASHED, (now_ms, tuple(places))))
    return ops


def delete_file(file: FileRecord, now_ms: int, keeps: Keeps) -> list[Op]:
    """Remove every entry of a file and put it into the trash."""
    return delete_entries(file, tuple(file.entries), now_ms, keeps)


def delete_photo(state: State, photo: ContentId, now_ms: int, keeps: Keeps) -> list[Op]:
    """Put every live file of a photo into the trash."""
    record = state.photos.get(photo)
    files = [state.file(f) for f in (record.files if record else [])]
    return [op for file in files if file is not None for op in delete_file(file, now_ms, keeps)]


def delete_everywhere(state: State, file: FileRecord, now_ms: int, keeps: Keeps) -> list[Op]:
    """Delete the photo that a view shows: every live file of it.

    A file alone if it is no photo, or a copy that is listed beside the photo by its own name:
    programs write a temporary file, copy it to its place and remove it.
    """
    shown = number_of(state, file)
    if shown is not None and shown.file == file.id:
        return delete_photo(state, shown.photo, now_ms, keeps)
    return delete_file(file, now_ms, keeps)


def restore(file: FileRecord) -> list[Op]:
    """Bring a deleted file back to where it was."""
    trashed = file.trashed
    if trashed is None:
        return []
    ops: list[Op] = [set_file(file.id, Field.TRASHED, None)]
    ops += [
        AddEntry(folder, name, file.id)
        for folder, name in trashed[1] or ((UNFILED, file.any_name),)
    ]
    return ops


def opposite(state: State, ops: Iterable[Op]) -> list[Op]:
    """Return what takes back a removal that is not done yet: entries, words and registers."""
    back: list[Op] = []
    for op in ops:
        match op:
            case RemoveEntry():
                back.append(AddEntry(op.folder, op.name, op.file))
            case SetRegister():
                value, _ = state.register(op.entity, op.id, op.field)
                back.append(SetRegister(op.entity, op.id, op.field, value))
            case SetWord():
                word, _ = state.word(op.photo, op.tag)
                back.append(SetWord(op.photo, op.tag, word))
    return back


def say(file: FileRecord, tags: Iterable[TagId], word: Word) -> list[Op]:
    """Say the user's word on a file: on its content where it has one."""
    subject = file.content[0] if file.content is not None else file.id
    return [SetWord(subject, tag, word) for tag in tags]


def unfiled_as(file: FileRecord, name: bytes) -> bytes | None:
    """Return the name that an unfiled file was written under and that ``name`` stands for: itself,
    or with the file's suffix. None for a name that is no such."""
    names = [entry for folder, entry in file.entries if folder == UNFILED]
    plain: bytes | None = name
    while plain is not None:
        label = plain
        while len(label) < len(name):
            label = suffixed(label, file.id)
        if plain in names and label == name:
            return plain
        plain = without_suffix(plain)
    return None


def written_as(state: State, name: bytes) -> Iterator[FileRecord]:
    """Yield the unfiled files that were written under a name, the latest first.

    ``name~id`` finds the one of that id, as does ``name~id~id``.
    """
    found = [state.file(f) for f in state.folders.candidates(UNFILED, name)]
    files = [f for f in found if f is not None]
    yield from sorted(files, key=lambda f: _when(f.entries[UNFILED, name]), reverse=True)
    plain = without_suffix(name)
    while plain is not None:
        for ident in state.folders.candidates(UNFILED, plain):
            label, file = plain, state.file(ident)
            while len(label) < len(name):
                label = suffixed(label, ident)
            if label == name and file is not None:
                yield file
        plain = without_suffix(plain)


def set_photo(file: FileRecord, field: Field, value: object) -> SetRegister:
    """Write a register of a file's photo, which hangs on the file while it has no content."""
    subject = file.content[0] if file.content is not None else file.id
    return SetRegister(Entity.PHOTO, subject, field, value)


def number_of(state: State, file: FileRecord) -> Shown | None:
    """Return how the photo of a file is listed, None while it is in no posting list."""
    if file.content is None:
        return None
    photo = state.photos.get(file.content[0])
    if photo is None or photo.number is None or photo.name is None:
        return None
    return state.photos.names.shown(photo.number)


def _when(dots: Iterable[Dot]) -> tuple[int, DeviceId, int]:
    return max((hlc, device, index) for device, hlc, index in dots)
