"""Answering queries: which photos a term has, and what is said of each photo that was found.

Tags, dates, places and marks are answered from posting lists. Terms about facts (camera, lens,
name, type) look at the records of the photos one by one; persons and look-alikes are not known yet,
and a query that asks for them finds nothing and says so.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable
from dataclasses import dataclass

from pyroaring import BitMap

from tagfs.catalog.photos import ALL, FAVOURITES, UNTAGGED
from tagfs.catalog.records import PhotoRecord
from tagfs.catalog.state import State
from tagfs.model import ROOT, UNFILED, Facts, FileId, FolderId, Located, Place, TagId, Word
from tagfs.recognise.gazetteer import country_name
from tagfs.vault.ops import Field
from tagfs.views.places import called
from tagfs.views.query import parse
from tagfs.views.terms import (
    Camera,
    DateIn,
    Flag,
    Is,
    Lens,
    NameGlob,
    Person,
    PlaceIs,
    Tag,
    Type,
    evaluate,
)


@dataclass(frozen=True, slots=True)
class TagHit:
    """One tag of a photo: how sure, and who said so."""

    name: str
    confidence: float
    by: str  # "auto" or "you"


@dataclass(frozen=True, slots=True)
class Hit:
    """One photo that was found. Paths are relative to the mountpoint."""

    id: str
    name: str
    paths: tuple[str, ...]
    tags: tuple[TagHit, ...]
    date: str | None
    place: Place | None
    located: Located | None

    def as_json(self) -> dict[str, object]:
        """Return the stable form of ``tagfs search --json``."""
        return {
            "id": self.id,
            "name": self.name,
            "paths": list(self.paths),
            "tags": [{"name": t.name, "confidence": t.confidence, "by": t.by} for t in self.tags],
            "people": [],
            "date": self.date,
            "place": place_as_json(self.place, self.located),
        }


def place_as_json(place: Place | None, located: Located | None) -> dict[str, object] | None:
    """Return position and names of a place; None where no position is known."""
    if place is None:
        return None
    return {
        "latitude": place.latitude,
        "longitude": place.longitude,
        "country": None if located is None else country_name(located.country),
        "region": None if located is None else located.region,
        "town": None if located is None else located.town,
    }


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query found, and what it asked for that nothing is known of."""

    hits: tuple[Hit, ...]
    hints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The numbers of the listed photos that a query finds, and what it asked for in vain."""

    numbers: BitMap
    hints: tuple[str, ...]


def find(state: State, text: str) -> Found:
    """Answer a query with numbers alone; raises QuerySyntax."""
    query = parse(text)
    hints: list[str] = []
    numbers = evaluate(
        query,
        lambda term: _numbers(state, term, hints.append),
        lambda: state.photos.postings.bitmap(ALL),
    )
    return Found(numbers & state.photos.postings.bitmap(ALL), tuple(dict.fromkeys(hints)))


def search(state: State, text: str) -> Answer:
    """Answer a query; raises QuerySyntax. Photos come in the order they were recorded."""
    found = find(state, text)
    hits = []
    for number in found.numbers:
        shown = state.photos.names.shown(number)
        photo = state.photos.get(shown.photo) if shown else None
        if shown is not None and photo is not None:
            hits.append(_hit(state, photo, shown.name))
    return Answer(tuple(hits), found.hints)


def _numbers(state: State, term: object, hint: Callable[[str], None]) -> BitMap:
    """Return the photos for which one term holds."""
    postings = state.photos.postings
    match term:
        case Tag(word=word, confs=confs):
            tag = state.photos.tag(word)
            if tag is None:
                hint(f'No tag is called "{word}".')
                return BitMap()
            found = postings.bitmap(tag.encode())
            if not confs:
                return found
            return _where(
                state,
                found,
                lambda p: any(
                    state.photos.canonical(seen) == tag and all(c.holds(sure) for c in confs)
                    for seen, sure in p.seen.items()
                ),
            )
        case Person(name=name):
            person = state.photos.person(name)
            if person is None:
                hint(f'No person is called "{name}".')
                return BitMap()
            return postings.bitmap(person.encode())
        case Is(flag=Flag.FAVOURITE):
            return postings.bitmap(FAVOURITES)
        case Is(flag=Flag.UNTAGGED):
            return postings.bitmap(UNTAGGED)
        case Type(kind=kind):
            prefix = "image/" if kind == "photo" else kind + "/"
            return _where(
                state,
                postings.bitmap(ALL),
                lambda p: p.content is not None and p.content.media_type.startswith(prefix),
            )
        case Camera(name=name):
            return _told(state, name, lambda facts: facts.camera)
        case Lens(name=name):
            return _told(state, name, lambda facts: facts.lens)
        case NameGlob(pattern=pattern):
            return _where(state, postings.bitmap(ALL), lambda p: _named(state, p, pattern))
        case DateIn(first=first, last=last):
            return state.photos.lists.between(first, last)
        case PlaceIs(name=name):
            found = called(state, name)
            if not found:
                hint(f'No photo is known to be taken in a place called "{name}".')
            return found
    hint(f"{type(term).__name__.lower()}: is not known to this version; it finds nothing.")
    return BitMap()


def _where(state: State, numbers: BitMap, holds: Callable[[PhotoRecord], bool]) -> BitMap:
    found = BitMap()
    for number in numbers:
        shown = state.photos.names.shown(number)
        photo = state.photos.get(shown.photo) if shown else None
        if photo is not None and holds(photo):
            found.add(number)
    return found


def _told(state: State, part: str, fact: Callable[[Facts], str | None]) -> BitMap:
    """Return the photos of which a fact contains a text, without regard to case."""
    folded = part.casefold()

    def holds(photo: PhotoRecord) -> bool:
        return photo.sight is not None and folded in (fact(photo.sight.facts) or "").casefold()

    return _where(state, state.photos.postings.bitmap(ALL), holds)


def _date(photo: PhotoRecord) -> str | None:
    said: str | None = photo.regs.get(Field.DATE)
    return said or (photo.sight.facts.date if photo.sight else None)


def _named(state: State, photo: PhotoRecord, pattern: str) -> bool:
    names = {photo.name or b""}
    for ident in photo.files:
        file = state.file(ident)
        names |= {name for _, name in file.entries} if file else set()
    folded = pattern.casefold()
    return any(fnmatch.fnmatchcase(os.fsdecode(n).casefold(), folded) for n in names)


def _hit(state: State, photo: PhotoRecord, name: bytes) -> Hit:
    seen: dict[TagId, float] = {}
    for tag, confidence in photo.seen.items():
        into = state.photos.canonical(tag)
        seen[into] = max(confidence, seen.get(into, 0.0))
    tags = []
    for tag in photo.tags:
        said = photo.words.get(tag)
        by = "you" if said is not None and said[0] is Word.YES else "auto"
        confidence = 1.0 if by == "you" else seen.get(tag, 1.0)
        tags.append(TagHit(state.photos.tag_name(tag), confidence, by))
    tags.sort(key=lambda t: (-t.confidence, t.name))
    paths = [path for ident in photo.files for path in paths_of(state, ident)]
    return Hit(
        photo.id.hex(),
        os.fsdecode(name),
        tuple(paths),
        tuple(tags),
        _date(photo),
        photo.sight.facts.place if photo.sight else None,
        photo.sight.facts.located if photo.sight else None,
    )


def paths_of(state: State, ident: FileId) -> list[str]:
    """Return every path of a file, relative to the mountpoint."""
    file = state.file(ident)
    paths = []
    for folder, name in file.entries if file else ():
        above = _folder_path(state, folder)
        if above is not None:
            paths.append(os.fsdecode(above + name))
    return sorted(paths)


def _folder_path(state: State, folder: FolderId) -> bytes | None:
    parts: list[bytes] = []
    while folder != ROOT:
        if folder == UNFILED:
            return b"/".join([b"all", *reversed(parts), b""])
        shown = state.folders.ensure(folder).shown
        if shown is None:
            return None
        parts.append(shown[1])
        folder = shown[0]
    return b"/".join([*reversed(parts), b""])
