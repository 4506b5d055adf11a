"""What survives a power cut: the order in which things are synced, and the rule applied after one.

A draft ends with the line that gives its file another content, or with a DraftDropped.

Writing: a line is appended after the bytes it names were written, and synced after they were
synced (``make_durable``); then a mark says up to where that is so. Bytes that a line names are
removed only when a later line that says so has been synced.

The disk may keep more than was synced, in any order. So after a start (``recover``) the lines
behind the last mark are believed only as far as every one of them finds the bytes it names
whole, or a later believed line excuses their absence; the first that does not ends the journal.
Lines before the mark are believed; where their bytes are gone that content is reported.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import cbor2

from tagfs.errors import FileError, Integrity
from tagfs.model import Content, ContentId, FileId, ObjectName
from tagfs.pipeline.contents import WINDOW
from tagfs.pipeline.journal import START, LocalJournal, Position
from tagfs.pipeline.notes import (
    UNRECORDED,
    Base,
    DraftDropped,
    DraftSaved,
    Dropped,
    Kind,
    Published,
    Uploaded,
    decode_note,
)
from tagfs.pipeline.scratch import Scratches
from tagfs.pipeline.spool import Spool
from tagfs.vault.keys import KeyRing
from tagfs.vault.objects import PartReader
from tagfs.vault.ops import Entity, Field, decode_content


def make_durable(journal: LocalJournal, spool: Spool, scratches: Scratches) -> None:
    """Block until every line appended so far, and every byte they name, survives a power cut.

    Then do what remove_later(), settle() and drop() asked for before. Not for trio's thread;
    one call at a time. Raises FileError when the disk fails; the journal is stopped then, as
    the kernel may report the same lost write as written the next time.
    """
    later, dropped = spool.take_later(), scratches.take_dropped()
    end = journal.end
    try:
        spool.sync()
        scratches.sync()
        journal.sync()
        journal.mark(end)
    except (OSError, FileError) as e:
        spool.put_back(later)
        for ident in dropped:
            scratches.drop(ident)
        if isinstance(e, FileError):
            raise
        journal.stop("The disk under the state directory fails; check it, then mount again.")
        raise FileError(e.errno or errno.EIO, f"The local disk fails: {e.strerror}.") from e
    try:
        spool.do_later(later)
        for ident in dropped:
            scratches.remove(ident)
    except OSError as e:
        raise FileError(e.errno or errno.EIO, f"The local disk fails: {e.strerror}.") from e


@dataclass(frozen=True, slots=True)
class Damage:
    """A content whose bytes had been synced and are gone or not whole."""

    content: ContentId
    error: Integrity


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a start found. The believed lines are ``journal.replay(after)``."""

    end: Position  # of the last line that is believed
    ended: Integrity | None  # why lines behind it are not
    damaged: tuple[Damage, ...]
    drafts: dict[FileId, DraftSaved]  # to be re-sealed
    orphan_objects: frozenset[ObjectName]  # in the spool, and no believed line names them
    orphan_scratches: frozenset[bytes]


@dataclass(slots=True)
class _Claim:
    """A line that names bytes."""

    before: Position  # end of the line before it
    position: Position
    content: Content | None = None
    draft: DraftSaved | None = None
    error: Integrity | None = None
    bad: list[ObjectName] = field(default_factory=list)  # objects of the content that are not whole
    excused: Position | None = None  # end of the line from which on the bytes may be missing


@dataclass(slots=True)
class _Story:
    """What the lines say about bytes."""

    claims: list[_Claim] = field(default_factory=list)
    gone: dict[ObjectName, Position] = field(default_factory=dict)  # uploaded or dropped first at
    dropped: dict[ObjectName, Position] = field(default_factory=dict)
    drafts: dict[FileId, list[tuple[Position, DraftSaved | None]]] = field(default_factory=dict)
    uploaded: dict[ObjectName, Position] = field(default_factory=dict)
    published: list[tuple[Position, Position]] = field(default_factory=list)  # said at, up to

    def settled(self, end: Position) -> Callable[[_Claim], bool]:
        """Return what tells whether lines up to ``end`` say that a record is in the vault.

        It is published, and its own objects are uploaded: those of another record of the same
        content say nothing of them.
        """
        published = max((upto for said, upto in self.published if said <= end), default=START)
        return lambda claim: (
            claim.content is not None
            and claim.position <= published
            and all(_by(self.uploaded.get(part.name), end) for part in claim.content.parts)
        )


def recover(
    journal: LocalJournal,
    spool: Spool,
    scratches: Scratches,
    ring: KeyRing,
    keep: Iterable[ObjectName] = (),
) -> Recovery:
    """Apply the rule above, once, before the first append: the journal is cut where it ends.

    ``keep`` names spool objects that are needed though no line here does (lines retired too
    early). Nothing is removed; ``remove_orphans`` does that. Asks for the move of settled
    objects that a crash prevented, and lets the next make_durable() sync what is believed
    behind the mark. Opens every chunk that a line behind the last mark names, no other.
    """
    story = _read(journal)
    sizes = spool.sizes()
    marked = journal.marked
    for claim in story.claims:
        _check(claim, story, spool, scratches, ring, sizes, claim.position > marked)
    end, ended = _find_end(story.claims, marked, journal.end)
    if end != journal.end:
        journal.cut(end)
    settled = story.settled(end)
    needed = set(keep)
    damaged = []
    for claim in story.claims:
        if claim.position > end or claim.content is None:
            continue
        names = [part.name for part in claim.content.parts]
        needed.update(n for n in names if not _by(story.dropped.get(n), end))
        if claim.error is not None and not _by(claim.excused, end):
            damaged.append(Damage(claim.content.id, claim.error))
        elif claim.position > marked:
            for name in names:
                if name in claim.bad:
                    spool.remove_later(name)  # torn, but the remote has it
                elif name in sizes:
                    spool.adopt(name)
        if settled(claim):
            for name in names:
                if name in sizes:
                    spool.settle(name)
    drafts = {}
    for file, history in story.drafts.items():
        draft = [d for position, d in history if position <= end][-1:]
        if draft and draft[0] is not None:
            drafts[file] = draft[0]
            needed.update(draft[0].objects)
            scratches.adopt(draft[0].scratch)
            for name in draft[0].objects:
                spool.adopt(name)
    logs = {draft.scratch for draft in drafts.values()}
    return Recovery(
        end,
        ended,
        tuple(damaged),
        drafts,
        frozenset(sizes.keys() - needed),
        frozenset(scratches.ids() - logs),
    )


def remove_orphans(recovery: Recovery, spool: Spool, scratches: Scratches) -> None:
    """Let go of what no believed line names: an object interrupted by a crash is begun anew.

    It goes with the next make_durable(): the lines that made it superfluous may have survived
    a killed process only, and not yet a power cut.
    """
    for name in recovery.orphan_objects:
        spool.remove_later(name)
    for ident in recovery.orphan_scratches:
        scratches.drop(ident)


def _read(journal: LocalJournal) -> _Story:
    story = _Story()
    before = journal.base
    for position, kind, payload in journal.replay():
        if kind == Kind.UNIT:
            contents, files = _unit(payload)
            for content in contents:
                story.claims.append(_Claim(before, position, content=content))
            for file in files:
                story.drafts.setdefault(file, []).append((position, None))
        else:
            match decode_note(kind, payload):
                case DraftSaved() as draft:
                    story.claims.append(_Claim(before, position, draft=draft))
                    story.drafts.setdefault(draft.file, []).append((position, draft))
                case DraftDropped(file):
                    story.drafts.setdefault(file, []).append((position, None))
                case Uploaded(names):
                    for name in names:
                        story.gone.setdefault(name, position)
                        story.uploaded.setdefault(name, position)
                case Dropped(names):
                    for name in names:
                        story.gone.setdefault(name, position)
                        story.dropped.setdefault(name, position)
                case Published(upto=upto):
                    story.published.append((position, upto))
        before = position
    return story


def _unit(payload: bytes) -> tuple[list[Content], list[FileId]]:
    """Return the contents that a unit records and the files that get another content.

    Other operations are not decoded. The second end those files' drafts, in the same line.
    """
    contents, files = [], []
    try:
        for op in cbor2.loads(payload)[2]:
            if op[0] == 5:
                contents.append(decode_content(op[1:]))
            elif op[0] == 1 and op[1] == Entity.FILE and op[3] == Field.CONTENT:
                files.append(FileId(op[2]))
    except (cbor2.CBORDecodeError, ValueError, TypeError, IndexError, KeyError) as e:
        raise Integrity(f"A journal unit is malformed ({type(e).__name__}).") from e
    return contents, files


def _check(
    claim: _Claim,
    story: _Story,
    spool: Spool,
    scratches: Scratches,
    ring: KeyRing,
    sizes: dict[ObjectName, int],
    closely: bool,
) -> None:
    """Fill in what is wrong with a claim's bytes, and from where on that is excused."""
    if claim.content is not None:
        excuses: list[Position | None] = []
        for number, part in enumerate(claim.content.parts):
            try:
                if closely:
                    spool.verify(part, number)
                elif sizes.get(part.name) != part.stored and not _has_copy(spool, part.name):
                    raise Integrity(f"Object {part.name.hex()} is missing from the spool.")
            except Integrity as e:
                claim.error = e
                claim.bad.append(part.name)
                excuses.append(story.gone.get(part.name))
        if claim.error is not None and None not in excuses:
            claim.excused = max(e for e in excuses if e is not None)
    elif claim.draft is not None and closely:
        draft = claim.draft
        try:
            _check_draft(draft, spool, scratches, ring)
        except Integrity as e:
            claim.error = e
            later = [p for p, _ in story.drafts[draft.file] if p > claim.position]
            claim.excused = min(later, default=None)


def _check_draft(draft: DraftSaved, spool: Spool, scratches: Scratches, ring: KeyRing) -> None:
    base = draft.base
    scratch = scratches.open(draft.scratch, draft.length, base.size if base is not None else 0)
    scratch.close()
    if scratch.size != draft.size:
        raise Integrity(f"Scratch log {draft.scratch.hex()} does not fit its note.")
    if base is not None and base.content.id == UNRECORDED:
        _check_base(base, spool, ring)


def _check_base(base: Base, spool: Spool, ring: KeyRing) -> None:
    """Open every chunk of an interrupted pass that counts."""
    rest = base.size
    for number, part in enumerate(base.content.parts):
        reader = PartReader(ring, part, number)
        fd = spool.open_local(part.name)
        if fd is None:
            raise Integrity(f"Object {part.name.hex()} is not on this machine.")
        try:
            for begin in range(0, min(rest, part.size), WINDOW):
                size = min(WINDOW, part.size - begin, rest - begin)
                offset, length, first = reader.span(begin, size)
                stored = os.pread(fd, length, offset)
                reader.open_into(stored, first, begin, memoryview(bytearray(size)))
        finally:
            spool.close(fd)
        rest -= part.size


def _find_end(
    claims: list[_Claim], marked: Position, end: Position
) -> tuple[Position, Integrity | None]:
    """Return the end of the longest prefix of lines whose bytes are whole or excused in it."""
    ended = None
    suspects = [c for c in claims if c.error is not None and c.position > marked]
    while True:
        bad = next((c for c in suspects if c.position <= end and not _by(c.excused, end)), None)
        if bad is None:
            return end, ended
        end, ended = bad.before, bad.error


def _by(position: Position | None, end: Position) -> bool:
    return position is not None and position <= end


def _has_copy(spool: Spool, name: ObjectName) -> bool:
    fd = spool.open_local(name)
    if fd is not None:
        spool.close(fd)
    return fd is not None
