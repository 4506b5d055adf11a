"""The ledger: every change is first a sealed line of the local journal, then in the catalog."""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from itertools import count

from tagfs.catalog.photos import fold
from tagfs.catalog.state import Change, State
from tagfs.catalog.store import CatalogStore
from tagfs.model import Clock, DeviceId, FileId, TagId, UnitId, random_id
from tagfs.pipeline.journal import LocalJournal, Position
from tagfs.pipeline.local import LocalContents
from tagfs.pipeline.notes import (
    DraftDropped,
    DraftSaved,
    Kind,
    Note,
    OnTheirWay,
    Published,
    decode_note,
    encode_note,
)
from tagfs.vault.keys import KeyRing
from tagfs.vault.ops import (
    Entity,
    Field,
    Op,
    RecordContent,
    SetRegister,
    Unit,
    decode_unit,
    encode_unit,
)

EVENTS = 200
"""Events that .tagfs/events keeps."""

UNIT_OPS = 20_000
"""Operations of one unit, at most; format 1 allows vault.ops.MAX_OPS."""
UNIT_BYTES = 4 * 1024 * 1024
"""Bytes of one unit of several operations, at most; format 1 allows vault.ops.MAX_UNIT."""

Listener = Callable[[list[Change], bool], None]


class Ledger:
    """The only way to change a gallery's state. Never blocks on network or fsync."""

    def __init__(
        self,
        ring: KeyRing,
        device: DeviceId,
        clock: Clock,
        journal: LocalJournal,
        catalog: CatalogStore,
        state: State,
        local: LocalContents,
        now_ns: Callable[[], int],
    ) -> None:
        self.ring = ring
        self.device = device
        self.journal = journal
        self.catalog = catalog
        self.state = state
        self.local = local
        self.now_ns = now_ns
        self.dirty = False
        """Whether lines were written since this was last set to False."""
        # Units that the catalog has are not replayed, and the wall clock may have been set back:
        # a later act with an earlier stamp would lose to what it replaces.
        self._clock = clock
        self._highest = local.clock()
        clock.witness(self._highest)
        self._listeners: list[Listener] = []
        self._events: deque[dict[str, object]] = deque(maxlen=EVENTS)

    def commit(
        self,
        ops: Iterable[Op],
        by_user: bool = False,
        act: UnitId | None = None,
        undoes: UnitId | None = None,
    ) -> UnitId:
        """Journal and apply operations as one unit. Raises FileError(ENOSPC) with nothing done.

        ``by_user``: a file-system call stands for it, so the kernel knows its own part already.
        ``act``: the user's act that this belongs to, or is; None for the pipeline's own doing,
        which nobody undoes. ``undoes``: the act that this one takes back. Operations that are too
        many for one unit are several, and ENOSPC may leave the first of them done.
        """
        hlc = self._clock.tick()
        ident = act or UnitId(random_id())
        ops = tuple(ops)
        unit = Unit(ident, hlc, self.device, ops, act is not None, undoes)
        data = encode_unit(unit)
        if len(ops) > 1 and (len(ops) > UNIT_OPS or len(data) > UNIT_BYTES):
            half = len(ops) // 2
            self.commit(ops[:half], by_user, act)
            return self.commit(ops[half:], by_user, act, undoes)
        position = self.journal.append(Kind.UNIT, data)
        self._apply(unit, by_user)
        self.catalog.request_commit(position.encode())
        self.dirty = True
        return unit.id

    def note(self, note: Note) -> None:
        """Journal something about the bytes on this machine."""
        position = self.journal.append(*encode_note(note))
        self._apply_note(note)
        self.catalog.request_commit(position.encode())
        self.dirty = True

    def learn(self, unit: Unit) -> None:
        """Apply a unit that a segment of the vault has."""
        self._clock.witness(unit.hlc)
        self._apply(unit, False)

    def replay(self, after: Position | None) -> None:
        """Apply the lines of the local journal that the catalog has not seen."""
        for position, kind, payload in self.journal.replay(after):
            if kind == Kind.UNIT:
                unit = decode_unit(payload, self.device)
                self._clock.witness(unit.hlc)
                self._apply(unit, False)
            else:
                note = decode_note(kind, payload)
                if note is not None:
                    self._apply_note(note)
            self.catalog.request_commit(position.encode())
        if after is None:
            self.catalog.request_commit(self.journal.end.encode())

    def _apply_note(self, note: Note) -> None:
        match note:
            case DraftSaved():
                self.local.save_draft(note)
            case DraftDropped():
                self.local.drop_draft(note.file)
            case OnTheirWay(records):
                for passing in records:
                    self.local.condemned.note(passing)
            case Published():
                self.local.note_published(note.upto)
            case _:
                pass  # the uploader asks the spool and the remote again after a crash

    def on_changes(self, listener: Listener) -> None:
        """Call ``listener(changes, by_user)`` after every unit."""
        self._listeners.append(listener)

    def event(self, text: str) -> None:
        """Tell the user something that no request fails for."""
        seconds = self.now_ns() // 1_000_000_000
        self._events.append({"time": seconds, "text": text})

    def events(self) -> list[Mapping[str, object]]:
        """Return what was told, oldest first."""
        return list(self._events)

    def now_ms(self) -> int:
        """Return milliseconds since 1970."""
        return self.now_ns() // 1_000_000

    def name_tag(self, name: str) -> TagId:
        """Return the id of a new tag of the user's: a keyed hash of its first casefolded name.

        A tag that was renamed has kept the id of that name, so the next one counts on.
        """
        return self._name("u", "", fold(name))

    def name_person(self, name: str) -> TagId:
        """Return the id of a new person, made as that of a tag."""
        return self._name("p", "person\0", fold(name))

    def _name(self, kind: str, label: str, name: str) -> TagId:
        text = label + name
        for number in count(2):
            digest = hmac.digest(
                self.ring.tag_key(), text.encode("utf-8", "surrogateescape"), "sha256"
            )
            tag = TagId(kind + digest[:16].hex())
            if not self.state.photos.knows_tag(tag):
                break
            text = f"{label}{name}\0{number}"
        return tag

    def tag_named(self, name: str) -> tuple[TagId, list[Op]]:
        """Return the tag of this name, and what must be journalled when it is a new one."""
        tag = self.state.photos.tag(name)
        if tag is not None:
            return tag, []
        tag = self.name_tag(name)
        return tag, [SetRegister(Entity.TAG, tag.encode(), Field.TAG_NAME, name)]

    def _apply(self, unit: Unit, by_user: bool) -> None:
        changes = self.state.apply(unit)
        if unit.hlc > self._highest:
            self._highest = unit.hlc
            self.local.note_clock(unit.hlc)
        for op in unit.ops:
            if isinstance(op, RecordContent):
                self.local.recorded(op.content)
            elif isinstance(op, SetRegister) and op.field is Field.CONTENT:
                self.local.drop_draft(FileId(op.id))
        for listener in self._listeners:
            listener(changes, by_user)
