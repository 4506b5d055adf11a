"""``tagfs tag --why``: for every tag of a photo who said what, how surely, and what denied it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from tagfs.catalog.records import FileRecord, PhotoRecord
from tagfs.catalog.sights import Sight
from tagfs.catalog.state import State
from tagfs.errors import FileError, Integrity, Usage
from tagfs.model import Located, Place, Scored, TagId, Word
from tagfs.pipeline.contents import Contents
from tagfs.pipeline.details import Details
from tagfs.pipeline.said_in_files import is_named_in_file
from tagfs.vault.ops import Field
from tagfs.views.search import paths_of, place_as_json


@dataclass(slots=True)
class Seen:
    """What one pack saw of one tag."""

    pack: str
    confidence: float | None = None  # calibrated; None when it did not pass
    score: float | None = None  # as it came from the network; None when it is not known

    def as_json(self) -> dict[str, object]:
        """Return the form of ``tagfs tag --why --json``."""
        return {
            "pack": self.pack,
            "confidence": self.confidence,
            "score": self.score,
        }


@dataclass(slots=True)
class TagReason:
    """Why a photo has a tag, or has it not."""

    name: str
    in_force: bool
    word: Word = Word.UNSET  # the user's, on this very tag
    in_file: bool = False  # whether keywords or marked faces in the file name it
    because_of: list[str] = field(default_factory=list)  # tags below it that bring it
    denied_by: list[str] = field(default_factory=list)  # tags that the user denied: it, or above
    seen: list[Seen] = field(default_factory=list)
    threshold: float | None = None  # that the user's corrections have put in place of the usual one

    def as_json(self) -> dict[str, object]:
        """Return the form of ``tagfs tag --why --json``."""
        return {
            "name": self.name,
            "in_force": self.in_force,
            "word": {Word.YES: "yes", Word.NO: "no", Word.UNSET: None}[self.word],
            "in_file": self.in_file,
            "because_of": self.because_of,
            "denied_by": self.denied_by,
            "seen": [seen.as_json() for seen in self.seen],
            "threshold": self.threshold,
        }


@dataclass(frozen=True, slots=True)
class Reasons:
    """Everything that is known of a photo and who said it."""

    id: str
    name: str
    paths: list[str]
    tags: list[TagReason]
    pack: str | None  # that looked last
    unreadable: str | None
    favourite: bool
    user_date: str | None
    file_date: str | None
    place: Place | None
    located: Located | None
    scores_missing: str | None  # why the scores are not told

    def as_json(self) -> dict[str, object]:
        """Return the form of ``tagfs tag --why --json``."""
        return {
            "id": self.id,
            "name": self.name,
            "paths": self.paths,
            "tags": [tag.as_json() for tag in self.tags],
            "pack": self.pack,
            "unreadable": self.unreadable,
            "favourite": self.favourite,
            "date": {"you": self.user_date, "file": self.file_date},
            "place": place_as_json(self.place, self.located),
            "scores_missing": self.scores_missing,
        }


async def why(
    state: State,
    contents: Contents,
    file: FileRecord,
    thresholds: Mapping[TagId, float] = MappingProxyType({}),
) -> Reasons:
    """Explain every tag that a photo has, was given, was denied or nearly got.

    ``thresholds`` are those that corrections have moved, by tag.
    Raises Usage for an empty file, of which nothing is known.
    """
    photo = state.photos.get(file.content[0]) if file.content is not None else None
    if photo is None:
        raise Usage("It is empty, or still being written; nothing was looked at.")
    scores, missing = await _scores(state, contents, photo)
    rows = _rows(state, photo, scores)
    _explain(state, photo, rows)
    for tag, reason in rows.items():
        reason.threshold = thresholds.get(tag)
        reason.in_file = is_named_in_file(state, photo, tag)
    shown = None if photo.number is None else state.photos.names.shown(photo.number)
    name = shown.name if shown is not None else file.any_name
    sight = photo.sight
    tags = sorted(rows.values(), key=_order)
    return Reasons(
        photo.id.hex(),
        name.decode("utf-8", "surrogateescape"),
        [path for ident in photo.files for path in paths_of(state, ident)],
        tags,
        next((pack for pack, each in photo.sights.items() if each is sight), None),
        sight.unreadable if sight else None,
        bool(photo.regs.get(Field.FAVOURITE)),
        photo.regs.get(Field.DATE),
        sight.facts.date if sight else None,
        sight.facts.place if sight else None,
        sight.facts.located if sight else None,
        missing,
    )


async def _scores(
    state: State, contents: Contents, photo: PhotoRecord
) -> tuple[dict[str, tuple[Scored, ...]], str | None]:
    found: dict[str, tuple[Scored, ...]] = {}
    missing = None
    details = Details(state, contents)
    for pack, sight in photo.counting.items():
        try:
            kept = await details.of(sight)
        except (FileError, Integrity) as error:
            missing = str(error)
            continue
        if kept is not None:
            found[pack] = kept[0]
    details.close()
    return found, missing


def _rows(
    state: State, photo: PhotoRecord, scores: Mapping[str, tuple[Scored, ...]]
) -> dict[TagId, TagReason]:
    """Collect what was seen and said, by the tag that now stands for it."""
    rows: dict[TagId, TagReason] = {}

    def row(tag: TagId) -> TagReason:
        into = state.photos.canonical(tag)
        if into not in rows:
            rows[into] = TagReason(state.photos.tag_name(into), into in photo.tags)
        return rows[into]

    for tag in photo.tags:
        row(tag)
    for tag, (word, _) in photo.words.items():
        if word is not Word.UNSET:
            row(tag).word = word
    for pack, sight in photo.counting.items():
        for seen in _seen(pack, sight, scores.get(pack, ())):
            row(seen[0]).seen.append(seen[1])
    return rows


def _seen(pack: str, sight: Sight, scores: tuple[Scored, ...]) -> list[tuple[TagId, Seen]]:
    by_tag: dict[TagId, Seen] = {}
    for passed in sight.tags:
        by_tag[passed.tag] = Seen(pack, passed.confidence)
    for scored in scores:
        if ":" not in scored.tag:  # of several forms of a vote the plain one is told
            by_tag.setdefault(scored.tag, Seen(pack)).score = scored.confidence
    return list(by_tag.items())


def _explain(state: State, photo: PhotoRecord, rows: Mapping[TagId, TagReason]) -> None:
    """Say which tags bring which, and which are denied by what."""
    above = {tag: state.photos.above(tag) for tag in rows}
    for tag, reason in rows.items():
        if reason.in_force:
            below = [t for t in rows if tag in above[t] and rows[t].in_force]
            reason.because_of = sorted(rows[t].name for t in below)
        else:
            denied = [t for t in rows if rows[t].word is Word.NO and (t == tag or t in above[tag])]
            reason.denied_by = sorted(rows[t].name for t in denied)


def _order(reason: TagReason) -> tuple[bool, bool, float, str]:
    """Tags in force first, then denied ones, then what was not enough; the surest first."""
    sure = max((s.confidence or s.score or 0.0 for s in reason.seen), default=1.0)
    return (not reason.in_force, not reason.denied_by, -sure, reason.name)
