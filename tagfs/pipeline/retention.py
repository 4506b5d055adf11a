"""What leaves by itself: files that lay in the trash for 30 days, acts that are too old to undo."""

from __future__ import annotations

from itertools import islice

from tagfs.catalog.records import FileRecord
from tagfs.pipeline.ledger import Ledger
from tagfs.vault.ops import Entity, Field, Op, SetRegister

DAY_MS = 86_400_000
TRASH_DAYS = 30
"""Days that a deleted file stays in trash/."""
GRACE_DAYS = 7
"""Days more that its bytes stay in the vault, and that undo reaches it."""
BATCH = 1000
"""Files in one unit, at most."""


def expire(ledger: Ledger) -> int:
    """Take out of the trash what lay there for 30 days; forget acts whose grace is over.

    Returns how many files left. They are purged, not destroyed: undo reaches them for 7 days more.
    """
    now = ledger.now_ms()
    gone = 0
    while batch := list(islice(_expired(ledger, now - TRASH_DAYS * DAY_MS), BATCH)):
        ops: list[Op] = [SetRegister(Entity.FILE, f.id, Field.PURGED, now) for f in batch]
        ledger.commit(ops)
        gone += len(batch)
    ledger.state.undo.forget(undoable_since(now))
    return gone


def undoable_since(now_ms: int) -> int:
    """Return the clock before which an act has ended that cannot be taken back any more.

    A log that was built anew has acts that an earlier one had forgotten, and whose bytes are gone.
    """
    return max(0, now_ms - (TRASH_DAYS + GRACE_DAYS) * DAY_MS) << 16


def _expired(ledger: Ledger, before_ms: int) -> list[FileRecord]:
    trashed = [file for _, file in ledger.state.trash()]
    return [f for f in trashed if f.trashed is not None and f.trashed[0] < before_ms]
