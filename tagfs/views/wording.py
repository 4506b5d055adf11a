"""``tagfs tag``: the user's words, date and mark on photos, as one act."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import trio

from tagfs.catalog.records import FileRecord
from tagfs.errors import Usage
from tagfs.model import TagId, UnitId, Word, random_id
from tagfs.pipeline.ledger import Ledger
from tagfs.vault.ops import Entity, Field, Op, SetRegister, SetWord

BATCH = 256
"""Photos in one unit; between two units everything else gets its turn."""
LONGEST_TAG = 255
"""Bytes of a tag's name, at most."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the user says: words on tags by name, and what else is to be set."""

    add: Sequence[str] = ()
    remove: Sequence[str] = ()
    forget: Sequence[str] = ()
    favourite: bool | None = None  # None: nothing is said about it
    date: str | None = None  # of 4, 7 or 10 characters; "" takes the user's date back

    def check(self) -> None:
        """Raise Usage when it makes no sense."""
        names = [*self.add, *self.remove, *self.forget]
        if len({name.casefold() for name in names}) < len(names):
            raise Usage("A tag is named twice; say one thing about each.")
        for name in names:
            if not _is_name(name):
                raise Usage(f"{name!r} is no name of a tag.")
        if self.date:
            check_date(self.date)


@dataclass(slots=True)
class WordReport:
    """What was said about how many photos. ``failed`` has (path, reason)."""

    photos: int = 0
    changed: int = 0  # of which something was different before
    act: UnitId | None = None
    failed: list[tuple[str, str]] = field(default_factory=list)
    hints: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return the form of ``tagfs tag --json``."""
        return {
            "photos": self.photos,
            "changed": self.changed,
            "act": None if self.act is None else self.act.hex(),
            "failed": [{"path": p, "reason": r} for p, r in self.failed],
            "hints": list(self.hints),
        }


def _is_name(name: str) -> bool:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:  # bytes that are no UTF-8 came as surrogates
        return False
    return bool(name.strip()) and not name.startswith(".") and size <= LONGEST_TAG


def check_date(text: str) -> None:
    """Raise Usage unless a text is a year, a month or a day: 2019, 2019-05, 2019-05-12."""
    parts = re.fullmatch(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", text, re.ASCII)
    try:
        if parts is None:
            raise ValueError
        year, month, day = (int(part or 1) for part in parts.groups())
        date(year, month, day)
    except ValueError:
        raise Usage(f"{text!r} is no date; write 2019, 2019-05 or 2019-05-12.") from None


async def say(ledger: Ledger, files: Sequence[FileRecord], said: Said) -> WordReport:
    """Say something about photos; all of it is one act. Raises Usage with nothing said."""
    said.check()
    report = WordReport()
    words, named = _tags(ledger, said)
    act = UnitId(random_id())
    ops: list[Op] = []
    for count, file in enumerate(files):
        if (said.favourite is not None or said.date is not None) and not _is_photo(ledger, file):
            report.failed.append((_name(file), "It is no photo, and has no date and no mark."))
            continue
        report.photos += 1
        more = [*_words(ledger, file, words), *_marks(ledger, file, said)]
        report.changed += bool(more)
        ops += more
        if ops and (count + 1) % BATCH == 0:
            ledger.commit([*named, *ops], act=act)
            report.act, ops, named = act, [], []
            await trio.lowlevel.checkpoint()
    if ops:
        ledger.commit([*named, *ops], act=act)
        report.act = act
    return report


def _tags(ledger: Ledger, said: Said) -> tuple[dict[TagId, Word], list[Op]]:
    """Return the words by tag, and what names the tags that are new."""
    words: dict[TagId, Word] = {}
    named: list[Op] = []
    for name in said.add:
        tag, ops = ledger.tag_named(name)
        words[tag] = Word.YES
        named += ops
    for names, word in ((said.remove, Word.NO), (said.forget, Word.UNSET)):
        for name in names:
            known = ledger.state.photos.tag(name)
            if known is None:
                raise Usage(f'No tag is called "{name}"; `tagfs tag --why PHOTO` lists a photo\'s.')
            if known in words:
                raise Usage(f'"{name}" is another name of a tag that is named, too.')
            words[known] = word
    return words, named


def _words(ledger: Ledger, file: FileRecord, words: dict[TagId, Word]) -> list[Op]:
    subject: bytes = file.id if file.content is None else file.content[0]
    before = ledger.state.words(file)
    ops: list[Op] = []
    for tag, word in words.items():
        # A word on a tag that was merged into this one counts as well, and is taken back with it.
        same = {t for t in before if ledger.state.photos.canonical(t) == tag} | {tag}
        for each in same if word is Word.UNSET else {tag}:
            if before.get(each, Word.UNSET) is not word:
                ops.append(SetWord(subject, each, word))
    return ops


def _marks(ledger: Ledger, file: FileRecord, said: Said) -> list[Op]:
    photo = ledger.state.photos.get(file.content[0]) if file.content is not None else None
    if photo is None:
        return []
    ops: list[Op] = []
    if said.favourite is not None and bool(photo.regs.get(Field.FAVOURITE)) != said.favourite:
        ops.append(SetRegister(Entity.PHOTO, photo.id, Field.FAVOURITE, said.favourite))
    if said.date is not None and photo.regs.get(Field.DATE) != (said.date or None):
        ops.append(SetRegister(Entity.PHOTO, photo.id, Field.DATE, said.date or None))
    return ops


def _is_photo(ledger: Ledger, file: FileRecord) -> bool:
    photo = ledger.state.photos.get(file.content[0]) if file.content is not None else None
    return photo is not None and photo.media


def _name(file: FileRecord) -> str:
    return file.any_name.decode("utf-8", "surrogateescape")
