"""What goes along when one content takes the place of another: the user's words, the view name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tagfs.catalog.folders import suffixed
from tagfs.catalog.records import FileRecord, PhotoRecord
from tagfs.catalog.state import SAID, State
from tagfs.model import ContentId, FileId, TagId, Word
from tagfs.vault.ops import Entity, Field, Op, SetRegister, SetWord


def words(state: State, old: PhotoRecord, new: ContentId) -> list[Op]:
    """Give a content what the user said about another, where nothing was said about it yet."""
    regs = {field: value for field in SAID if (value := old.regs.get(field))}
    return _unless_said(state, state.photos.lasting(old.words), regs, new)


def words_along(state: State, old: FileRecord, new: FileId | ContentId) -> list[Op]:
    """Give what the user said of a file, with a content or without, to what stands for another."""
    return _unless_said(state, state.lasting_words(old), state.said(old), new)


def _unless_said(
    state: State, words: Mapping[TagId, Word], regs: Mapping[Field, Any], new: FileId | ContentId
) -> list[Op]:
    ops: list[Op] = [
        SetWord(new, tag, word)
        for tag, word in words.items()
        if state.word(new, tag)[0] is Word.UNSET
    ]
    for field, value in regs.items():
        if not state.register(Entity.PHOTO, new, field)[0]:
            ops.append(SetRegister(Entity.PHOTO, new, field, value))
    return ops


def words_of_file(state: State, file: FileRecord, new: ContentId) -> list[Op]:
    """Move what was said of a file that had no content yet to the content that it gets."""
    ops: list[Op] = [SetWord(new, tag, word) for tag, word in state.lasting_words(file).items()]
    ops += [SetWord(file.id, tag, Word.UNSET) for tag in state.words(file)]
    for field, value in state.said(file).items():
        unsaid = False if field is Field.FAVOURITE else None
        ops.append(SetRegister(Entity.PHOTO, new, field, value))
        ops.append(SetRegister(Entity.PHOTO, file.id, field, unsaid))
    return ops


def words_back(state: State, file: FileRecord) -> list[Op]:
    """Say of a file that is emptied what was said of its content: the next one takes it up."""
    photo = None if file.content is None else state.photos.get(file.content[0])
    if photo is None:
        return []
    ops: list[Op] = [
        SetWord(file.id, tag, word) for tag, word in state.photos.lasting(photo.words).items()
    ]
    values = [(field, photo.regs.get(field)) for field in SAID]
    return ops + [SetRegister(Entity.PHOTO, file.id, f, value) for f, value in values if value]


def origin(state: State, file: FileRecord) -> ContentId | None:
    """Return the content that what is written over a file must be compared with.

    One that was itself written over another and not looked at yet has no words: the other does.
    """
    before: ContentId | None = file.regs.get(Field.WRITTEN_OVER)
    if file.content is None:
        return before
    photo = state.photos.get(file.content[0])
    return file.content[0] if before is None or (photo and photo.sight) else before


def aside(photo: PhotoRecord, name: bytes) -> SetRegister:
    """Show a photo as ``name~id.ext`` from now on, because something else has its name."""
    return SetRegister(Entity.PHOTO, photo.id, Field.VIEW_NAME, suffixed(name, photo.id))


def view_name(
    state: State, file: FileRecord, old: PhotoRecord, new: ContentId, seen_as: bytes | None
) -> list[Op]:
    """Hand the view name of an edited photo on to its new content.

    While twins keep the old content it keeps its name, too, unless the edit came through a view,
    where it was known by the name ``seen_as``: that name must show what was written.
    """
    there = state.photos.get(new)
    if there is not None and there.chosen:
        return []
    alone = all(f == file.id for f in old.files)
    name = (_chosen(state, old) or contested(state, old)) if alone else seen_as
    if name is None or (not alone and old.name != name):
        return []
    shown = state.photos.names.named(name)
    if shown is not None and shown.photo != old.id:  # another photo's, which keeps it
        if not alone:
            return []
        name = suffixed(name, new)
    # Of several that chose one name the smallest id shows it, and the new content has another id.
    rivals = [
        state.photos.get(p) for p in state.photos.names.wanting(name) if p not in (old.id, new)
    ]
    ops: list[Op] = [aside(p, name) for p in rivals if p is not None and p.chosen]
    return [*ops, aside(old, name), SetRegister(Entity.PHOTO, new, Field.VIEW_NAME, name)]


def _chosen(state: State, photo: PhotoRecord) -> bytes | None:
    """Return the name that a photo has chosen, with the suffix that views show with it."""
    name: bytes | None = photo.regs.get(Field.VIEW_NAME)
    shown = None if photo.number is None else state.photos.names.shown(photo.number)
    return name if name is None or photo.name is None or shown is None else shown.name


def contested(state: State, photo: PhotoRecord) -> bytes | None:
    """Return the name that a photo shows without having chosen it, when others would take it."""
    name = photo.name
    if name is None or len(state.photos.names.wanting(name)) < 2:
        return None
    shown = state.photos.names.named(name)
    return name if shown is not None and shown.photo == photo.id else None
